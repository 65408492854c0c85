"""Validates a rotary embedding and its scaling record; kinds and keys as in docs/slm-language.md."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from frontends.configuration.values import ArgumentError, Rotary, boolean, number, positive_integer, positive_number
from frontends.errors import did_you_mean, show

MAX_THETA = 1e15
"""Larger values are surely mistakes."""
MAX_POSITIONS = 2**31 - 1
MAX_HEAD_DIM = 65536

COMMON_KEYS = frozenset(
    ("rope_type", "type", "rope_theta", "partial_rotary_factor", "original_max_position_embeddings")
)
"""Keys every record may have; theta and the rotated part are read from the config proper."""


def _factor(value: object, what: str) -> float:
    return positive_number(value, what)


def _at_least_one(value: object, what: str) -> float:
    result = number(value, what)
    if result < 1:
        raise ValueError(f"{what} must be at least 1, found {show(value)}")
    return result


def _not_negative(value: object, what: str) -> float:
    result = number(value, what)
    if result < 0:
        raise ValueError(f"{what} must not be negative, found {show(value)}")
    return result


def _flag(value: object, what: str) -> float:
    return float(boolean(value, what))


Check = Callable[[object, str], float]
"""Records hold floats, so that a flag is 1 or 0."""
LIST_KEYS = ("short_factor", "long_factor", "divisors")

REQUIRED_KEYS: Mapping[str, Mapping[str, Check]] = {
    "default": {},
    "linear": {"factor": _factor},
    "dynamic": {"factor": _at_least_one},
    "llama3": {"factor": _factor, "low_freq_factor": _factor, "high_freq_factor": _factor},
    "yarn": {"factor": _at_least_one},
    "longrope": {"short_factor": _factor, "long_factor": _factor},
    "divisors": {"divisors": _factor},
}
OPTIONAL_KEYS: Mapping[str, Mapping[str, Check]] = {
    "yarn": {
        "beta_fast": _factor,
        "beta_slow": _factor,
        "attention_factor": _factor,
        "mscale": _not_negative,
        "mscale_all_dim": _not_negative,
        "truncate": _flag,
    },
    "longrope": {"factor": _factor, "attention_factor": _factor},
}
NEEDS_ORIGINAL = ("llama3", "yarn", "longrope")
NEEDS_MAXIMUM = ("dynamic", "longrope")


@contextmanager
def _argument(name: str) -> Generator[None]:
    try:
        yield
    except ValueError as error:
        raise ArgumentError(name, str(error)) from error


def checked_rotary(
    dim: object, theta: object, scaling: object, max_positions: object, original_positions: object
) -> Rotary:
    """Raises ArgumentError that names the wrong argument, key and value."""
    with _argument("dim"):
        rotated = positive_integer(dim, "the rotary dimension", MAX_HEAD_DIM)
        if rotated % 2:
            raise ValueError(f"the rotary dimension must be even, found {rotated}")
    with _argument("theta"):
        base = number(theta, "rope theta")
        if not 1 <= base <= MAX_THETA:
            raise ValueError(f"rope theta must be between 1 and {MAX_THETA:.0e}, found {show(theta)}")
    with _argument("max_positions"):
        longest = _positions(max_positions, "max_positions")
    with _argument("original_positions"):
        original = _positions(original_positions, "original_positions")
    with _argument("scaling"):
        return _scaled(Rotary(rotated, base, {}, longest, original), scaling)


def _scaled(rotary: Rotary, scaling: object) -> Rotary:
    if scaling is None:
        return rotary
    if not isinstance(scaling, dict):
        raise ValueError(f"rope scaling must be a record, found {show(scaling)}")
    record = _checked_record(cast(dict[str, Any], scaling), rotary.dim)
    theta = scaling.get("rope_theta")
    if theta is not None and theta != rotary.theta:
        raise ValueError(f"rope_theta is {show(theta)} in the rope scaling and {show(rotary.theta)} beside it")
    if not record:
        return rotary
    original = int(record.pop("original_max_position_embeddings", 0)) or rotary.original_positions
    if rotary.original_positions not in (0, original):
        outside = rotary.original_positions
        raise ValueError(f"original_max_position_embeddings is {original} in the rope scaling and {outside} beside it")
    return _with_lengths(Rotary(rotary.dim, rotary.theta, record, rotary.max_positions, original))


def _positions(value: object, what: str) -> int:
    return 0 if value is None else positive_integer(value, what, MAX_POSITIONS)


def _with_lengths(rotary: Rotary) -> Rotary:
    """Checks the lengths that the kind of scaling needs; yarn falls back to max_positions as published."""
    kind, longest, original = rotary.scaling["rope_type"], rotary.max_positions, rotary.original_positions
    if kind == "yarn":
        original = original or longest
    if kind in NEEDS_ORIGINAL and not original:
        raise ValueError(f'rope scaling "{kind}" needs original_max_position_embeddings')
    if kind in NEEDS_MAXIMUM and not longest:
        raise ValueError(f'rope scaling "{kind}" needs max_position_embeddings')
    if kind == "longrope" and original < 2:
        raise ValueError(f"original_max_position_embeddings must be at least 2, found {original}")
    if kind == "dynamic" and rotary.dim < 4:
        raise ValueError(f'rope scaling "dynamic" needs a rotary dimension of at least 4, found {rotary.dim}')
    if kind == "yarn" and rotary.theta == 1:
        raise ValueError('rope scaling "yarn" needs a theta greater than 1')
    return Rotary(rotary.dim, rotary.theta, rotary.scaling, longest, original)


def _checked_record(scaling: dict[str, Any], dim: int) -> dict[str, Any]:
    """The record with its known keys, numbers as floats; empty for `default`."""
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    if not isinstance(kind, str) or kind not in REQUIRED_KEYS:
        raise ValueError(f"unknown rope scaling {show(kind)} (known: {', '.join(REQUIRED_KEYS)})")
    required, optional = REQUIRED_KEYS[kind], OPTIONAL_KEYS.get(kind, {})
    for key in scaling:
        if key not in COMMON_KEYS and key not in required and key not in optional:
            hint = did_you_mean(key, [*required, *optional])
            raise ValueError(f'rope scaling "{kind}" does not know {show(key)}' + (f", {hint}" if hint else ""))
    if kind == "default":
        return {}
    record: dict[str, Any] = {"rope_type": kind}
    for key, check in {**required, **optional}.items():
        value = scaling.get(key)
        if value is None and key in required:
            raise ValueError(f'rope scaling "{kind}" needs {key}')
        if value is not None:
            record[key] = _list(value, key, check, dim // 2) if key in LIST_KEYS else check(value, key)
    if kind == "llama3" and record["low_freq_factor"] >= record["high_freq_factor"]:
        raise ValueError("low_freq_factor must be less than high_freq_factor")
    original = scaling.get("original_max_position_embeddings")
    if original is not None:
        record["original_max_position_embeddings"] = _positions(original, "original_max_position_embeddings")
    return record


def _list(value: object, key: str, check: Check, length: int) -> list[float]:
    if not isinstance(value, list):
        raise ValueError(f"{key} must be a list of {length} numbers, found {show(value)}")
    items = cast(list[object], value)
    if len(items) != length:
        raise ValueError(f"{key} must have {length} numbers, found {len(items)}")
    return [check(item, f"{key}[{index}]") for index, item in enumerate(items)]

"""The tables of a rotary embedding: the one definition, for the interpreters and for the compiler's TABLE constants.

Frequencies follow the table of docs/slm-language.md; everything up to the last rounding is binary64.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ArrayAttr, DenseArrayBase, FloatAttr, IntegerAttr, StringAttr
from xdsl.ir import Attribute

from compiler.dialects.slm import RotaryAttr

F64 = NDArray[np.float64]
Record = Mapping[str, Attribute]
"""The config's scaling record as attributes."""


def rotary_tables(
    rotary: RotaryAttr, positions: int, total_length: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """cos and sin for positions 0 .. positions-1, each float32 [positions, dim / 2], attention factor included.

    total_length: tokens of the whole sequence; `dynamic` and `longrope` choose their frequencies by it.
    Raises ValueError if the scaling record is of an unknown kind or lacks a key or a length.
    """
    cos, sin = rotary_tables_f64(rotary, positions, total_length)
    return cos.astype(np.float32), sin.astype(np.float32)


def rotary_tables_f64(rotary: RotaryAttr, positions: int, total_length: int) -> tuple[F64, F64]:
    """The same before the rounding to float32."""
    frequencies, attention_factor = rotary_frequencies(rotary, total_length)
    angles = np.arange(positions, dtype=np.float64)[:, None] * frequencies
    return np.cos(angles) * attention_factor, np.sin(angles) * attention_factor


def table_lengths(rotary: RotaryAttr, context: int) -> tuple[int, ...]:
    """The lengths of sequence that tables are made for, ascending; a sequence takes the first that is not shorter.

    There are two where the frequencies change within the context, so that `rotary_tables(rotary, length, length)` serves
    every shorter sequence down to the next length.
    """
    original = rotary.original_positions.data
    changes = _kind(rotary.scaling.data) == "longrope" and original < context
    return (original, context) if changes else (context,)


def restart_lengths(rotaries: Iterable[RotaryAttr], context: int) -> tuple[int, ...]:
    """Lengths, ascending, past which a growing sequence takes other tables: it is processed again from position 0."""
    return tuple(sorted({length for rotary in rotaries for length in table_lengths(rotary, context)[:-1]}))


def longest_context(rotary: RotaryAttr) -> int | None:
    """The longest sequence whose keys keep their rotation as it grows, None: any. See docs/numerics.md, section 8."""
    return rotary.max_positions.data if _kind(rotary.scaling.data) == "dynamic" else None


def rotary_frequencies(rotary: RotaryAttr, total_length: int) -> tuple[F64, float]:
    """Radians per position, float64 [dim / 2], and the factor on cos and sin."""
    dim, theta = rotary.dim.data, float(rotary.theta.value.data)
    scaling = rotary.scaling.data
    kind = _kind(scaling)
    needed = {"dynamic": rotary.max_positions, "llama3": rotary.original_positions, "yarn": rotary.original_positions}
    if needed.get(kind, rotary.dim).data < 1 or (kind == "longrope" and rotary.original_positions.data < 2):
        raise ValueError(f'rope scaling "{kind}" needs the length of the original or the longest sequence')
    if kind == "dynamic":
        longest, factor = rotary.max_positions.data, _number(scaling, "factor")
        if total_length > longest:
            theta *= (factor * total_length / longest - factor + 1) ** (dim / (dim - 2))
    frequencies = np.array([theta ** (-2 * j / dim) for j in range(dim // 2)])
    original = rotary.original_positions.data
    match kind:
        case "default" | "dynamic":
            return frequencies, 1.0
        case "linear":
            return frequencies / _number(scaling, "factor"), 1.0
        case "llama3":
            return _llama3(frequencies, scaling, original), 1.0
        case "yarn":
            return _yarn(frequencies, scaling, original, theta)
        case "longrope":
            return _longrope(frequencies, scaling, rotary, total_length)
        case "divisors":
            return frequencies / _numbers(scaling, "divisors", dim // 2), 1.0
        case _:
            raise ValueError(f'unknown rope scaling "{kind}"')


def _llama3(frequencies: F64, scaling: Record, original: int) -> F64:
    """Short wavelengths keep their frequency, long ones are divided, those between are blended."""
    factor = _number(scaling, "factor")
    low, high = _number(scaling, "low_freq_factor"), _number(scaling, "high_freq_factor")
    wavelengths = 2 * math.pi / frequencies
    smooth = (original / wavelengths - low) / (high - low)
    blended = frequencies * ((1 - smooth) / factor + smooth)
    divided = np.where(wavelengths > original / low, frequencies / factor, blended)
    return np.where(wavelengths < original / high, frequencies, divided)


def _yarn(frequencies: F64, scaling: Record, original: int, theta: float) -> tuple[F64, float]:
    """A linear ramp over j from f to f / factor, between the j that make beta_fast and beta_slow turns."""
    factor, half = _number(scaling, "factor"), len(frequencies)

    def index_of_turns(turns: float) -> float:
        return half * math.log(original / (turns * 2 * math.pi)) / math.log(theta)

    first = index_of_turns(_number(scaling, "beta_fast", 32.0))
    last = index_of_turns(_number(scaling, "beta_slow", 1.0))
    if _number(scaling, "truncate", 1.0):
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, 2 * half - 1)
    # The published code widens an empty ramp by 0.001 so that it becomes a step.
    width = last - first if last != first else 0.001
    ramp = np.clip((np.arange(half) - first) / width, 0.0, 1.0)
    scaled = frequencies / factor * ramp + frequencies * (1 - ramp)
    return scaled, _number(scaling, "attention_factor", _yarn_attention_factor(scaling, factor))


def _yarn_attention_factor(scaling: Record, factor: float) -> float:
    """What is taken when the record has none; mscale and mscale_all_dim count only together."""

    def magnitude(scale: float) -> float:
        return 0.1 * scale * math.log(factor) + 1 if factor > 1 else 1.0

    above, below = _number(scaling, "mscale", 0.0), _number(scaling, "mscale_all_dim", 0.0)
    return magnitude(above) / magnitude(below) if above and below else magnitude(1.0)


def _longrope(frequencies: F64, scaling: Record, rotary: RotaryAttr, total_length: int) -> tuple[F64, float]:
    original, longest = rotary.original_positions.data, rotary.max_positions.data
    key = "long_factor" if total_length > original else "short_factor"
    ratio = _number(scaling, "factor", longest / original)
    default = math.sqrt(1 + math.log(ratio) / math.log(original)) if ratio > 1 else 1.0
    return frequencies / _numbers(scaling, key, len(frequencies)), _number(scaling, "attention_factor", default)


def _kind(scaling: Record) -> str:
    kind = scaling.get("rope_type", scaling.get("type"))
    return kind.data if isinstance(kind, StringAttr) else "default"


def _number(scaling: Record, key: str, default: float | None = None) -> float:
    value = scaling.get(key)
    if isinstance(value, FloatAttr):
        return float(value.value.data)
    if isinstance(value, IntegerAttr):
        return float(value.value.data)
    if value is None and default is not None:
        return default
    raise ValueError(f'rope scaling needs the number "{key}"')


def _numbers(scaling: Record, key: str, length: int) -> F64:
    value = scaling.get(key)
    if isinstance(value, DenseArrayBase):
        numbers = [float(item) for item in value.get_values()]
    elif isinstance(value, ArrayAttr):
        items = cast(ArrayAttr[Attribute], value).data
        numbers = [_number({key: item}, key) for item in items]
    else:
        numbers = []
    if len(numbers) != length:
        raise ValueError(f'rope scaling needs {length} numbers in "{key}", found {len(numbers)}')
    return np.array(numbers)

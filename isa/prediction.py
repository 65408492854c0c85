"""The section PRED of an executable: what the compiler predicts of its steps, to be compared with what a simulation measures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from isa.canonical_json import canonical_json, parse_canonical_json
from isa.container_format import MAX_JSON_BYTES
from isa.spec import KV_BLOCK

SCHEMA = 1
PHASES = ("prefill", "decode")
ENGINES = ("DML", "DMS", "MXU", "VPU")
BOUNDS = (*ENGINES, "latency")
MOST_STEPS = 4096
MOST_OPERATORS = 1 << 16
MOST = 1 << 62


@dataclass(frozen=True, slots=True)
class PredictedStep:
    """One turn of the generate loop: `tokens` from `position` on; `is_last`: of the prompt, so that a token is made."""

    tokens: int
    position: int
    is_last: bool
    cycles: int
    dram_bytes: int


@dataclass(frozen=True, slots=True)
class PredictedOperator:
    """What an operator adds to a step: cycles of progress, busy cycles by engine, bytes on the DRAM bus, what bounds it."""

    name: str
    cycles: int
    busy: Mapping[str, int]
    dram_bytes: int
    bound: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """`operators`: of one step of each phase, by phase."""

    steps: tuple[PredictedStep, ...]
    operators: Mapping[str, tuple[PredictedOperator, ...]]

    def cycles(self, tokens: int, position: int, is_last: bool) -> float | None:
        """Of a step, linear between predicted positions; None if there are none around it."""
        known = sorted((s.position, s.cycles) for s in self.steps if s.tokens == tokens and s.is_last == is_last)
        for (low, first), (high, second) in zip(known, [*known[1:], *known[-1:]], strict=True):
            if low <= position <= high:
                return first + (second - first) * (position - low) / max(1, high - low)
        return None

    def prefill_cycles(self, prompt_tokens: int, chunk: int) -> float | None:
        """Of a prompt processed from position 0 on, in the chunks of the generate loop; None if one is not predicted."""
        position, total = 0, 0.0
        while position < prompt_tokens:
            tokens = min(chunk, KV_BLOCK - position % KV_BLOCK, prompt_tokens - position)
            cycles = self.cycles(tokens, position, position + tokens == prompt_tokens)
            if cycles is None:
                return None
            position, total = position + tokens, total + cycles
        return total

    def decode_cycles(self, position: int, tokens: int) -> float | None:
        """Of tokens made one after the other, the first one at this position."""
        found = [self.cycles(1, position + number, True) for number in range(tokens)]
        return sum(cycles for cycles in found if cycles is not None) if None not in found else None

    def to_bytes(self) -> bytes:
        """The section. Raises ValueError for one that a reader would refuse."""
        document = {
            "schema": SCHEMA,
            "steps": [[s.tokens, s.position, int(s.is_last), s.cycles, s.dram_bytes] for s in self.steps],
            "operators": {
                phase: [
                    [o.name, o.cycles, [o.busy[engine] for engine in ENGINES], o.dram_bytes, o.bound] for o in operators
                ]
                for phase, operators in self.operators.items()
            },
        }
        data = canonical_json(document)
        Prediction.from_bytes(data)
        return data

    @staticmethod
    def from_bytes(data: bytes) -> Prediction | None:
        """The prediction of a section, None if it is of another schema. Raises ValueError for a malformed one."""
        document = parse_canonical_json(data, MAX_JSON_BYTES)
        if not isinstance(document, dict) or "schema" not in document:
            raise ValueError("the prediction is not an object with a schema")
        document = cast(dict[str, Any], document)
        if document["schema"] != SCHEMA:
            return None
        if document.keys() != {"schema", "steps", "operators"} or not isinstance(document["operators"], dict):
            raise ValueError("the prediction has not exactly the keys operators schema steps")
        phases = cast(dict[str, Any], document["operators"])
        if not phases.keys() <= set(PHASES):
            raise ValueError("the phases of a prediction are prefill and decode")
        return Prediction(
            tuple(_step(row) for row in _rows(document["steps"], 5, MOST_STEPS)),
            {phase: tuple(_operator(row) for row in _rows(rows, 5, MOST_OPERATORS)) for phase, rows in phases.items()},
        )


def _rows(value: Any, width: int, most: int) -> list[list[Any]]:
    rows = cast(list[Any], value) if isinstance(value, list) else None
    if (
        rows is None
        or len(rows) > most
        or not all(isinstance(row, list) and len(cast(list[Any], row)) == width for row in rows)
    ):
        raise ValueError(f"expected a list of at most {most} rows of {width} values")
    return rows


def _number(value: Any, least: int = 0) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MOST:
        raise ValueError(f"a predicted number is not an integer in [{least}, 2^62]")
    return value


def _step(row: list[Any]) -> PredictedStep:
    tokens, position, is_last, cycles, dram_bytes = row
    if is_last not in (0, 1):
        raise ValueError("whether a step is the last one is 0 or 1")
    return PredictedStep(_number(tokens, 1), _number(position), bool(is_last), _number(cycles), _number(dram_bytes))


def _operator(row: list[Any]) -> PredictedOperator:
    name, cycles, busy, dram_bytes, bound = row
    if not isinstance(name, str) or bound not in BOUNDS:
        raise ValueError("a predicted operator has a name and one of the known bounds")
    if not isinstance(busy, list) or len(cast(list[Any], busy)) != len(ENGINES):
        raise ValueError(f"a predicted operator has busy cycles of {len(ENGINES)} engines")
    engines = {engine: _number(value) for engine, value in zip(ENGINES, cast(list[Any], busy), strict=True)}
    return PredictedOperator(name, _number(cycles), engines, _number(dram_bytes), bound)

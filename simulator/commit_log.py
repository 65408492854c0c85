"""The commit log: what every executed instruction changed, for comparison with RTL (docs/verification.md has the format)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from isa.descriptor import Descriptor
from isa.encoding import Decoded, decode
from isa.spec import TD_OPERANDS, Instruction, Region, used_fields
from simulator.observer import Captured
from simulator.reference.selection import list_words
from simulator.state import State

ML_RESULTS = 3  # m, l, alpha; the fourth word is not changed


class CommitLog:
    """An observer that writes a line per instruction. `state`: that of the engine it watches, asked for anew by each line."""

    def __init__(self, text: NDArray[np.void], state: Callable[[], State], file: TextIO) -> None:
        self._text, self._state, self._file = text, state, file
        self._decoded: dict[int, Decoded] = {}

    def scalar(self, pc: int, row: Instruction) -> None:
        d = self._at(pc)
        used = used_fields(d.row, d.fl)
        state = self._state()
        if "rd" in used:
            self._write(pc, f"x{d.rd}={state.x[d.rd] & (1 << 64) - 1:016x}")
        elif "ta" in used:
            self._write(pc, f"t{d.ta}={state.descriptor(d.ta).pack().hex()}")
        else:
            self._write(pc)

    def smem(self, pc: int, row: Instruction, low: int, high: int, write: bool) -> None:
        if write:
            self._write(pc, _written(Region.SMEM, low, high, bytes(self._state().memory.smem[low:high])))
        else:
            self.scalar(pc, row)

    def engine(self, pc: int, row: Instruction, fn: int, fl: int, tds: Captured) -> None:
        operands = {name: d for name, d in zip(TD_OPERANDS, tds, strict=True) if d is not None}
        parts = [f"{name}={d.pack().hex()}" for name, d in operands.items()]
        results = [self._result(_changed(row, name, d)) for name, d in operands.items() if name in row.writes]
        self._write(pc, *parts, *results)

    def mark(self, pc: int, label: int, value: int) -> None:
        self._write(pc)

    def event(self, pc: int, kind: int, value: int) -> None:
        self._write(pc, f"event={kind}:{value & (1 << 64) - 1:016x}")

    def halt(self, pc: int) -> None:
        self._write(pc)

    def _at(self, pc: int) -> Decoded:
        known = self._decoded.get(pc)
        if known is None:
            known = self._decoded[pc] = decode(self._text[pc], pc)
        return known

    def _result(self, d: Descriptor) -> str:
        memory = self._state().memory
        low, high = d.interval()
        stored = d.region in memory.arrays
        return _written(d.region, low, high, np.ascontiguousarray(memory.bits(d)).tobytes() if stored else None)

    def _write(self, pc: int, *parts: str) -> None:
        self._file.write(" ".join((f"{pc:06x}", self._text[pc].tobytes().hex(), *parts)) + "\n")


def _changed(row: Instruction, name: str, d: Descriptor) -> Descriptor:
    """The elements that the instruction writes."""
    if row.mnemonic == "vtopk":
        return list_words(d)
    if row.mnemonic == "vsmx" and name == "tc":
        return Descriptor(d.base, d.region, d.dtype, (ML_RESULTS, *d.extents[1:]), d.strides)
    return d


def _written(region: Region, low: int, high: int, content: bytes | None) -> str:
    """Region, bounding interval, and the CRC-32 of the elements in ascending order of their indices; `-` without storage."""
    return f"{region.name}:{low:x}-{high:x}={'-' if content is None else f'{crc32(content):08x}'}"

"""For the simulator tests: a core to run short programs on, and the arithmetic of docs/numerics.md in scalar Python.

Nothing here uses NumPy arithmetic or the simulator's kernels: every operation is one binary64 operation rounded once to binary32
(exact for + - * / sqrt), and values are taken from bytes with `struct`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Iterator
from itertools import product

import numpy as np

from isa.assembler import assemble
from isa.descriptor import Descriptor, dense_strides
from isa.encoding import decode_text
from isa.spec import ELEMENT_BITS, Dtype, Feature, Region
from simulator.memory import Memory
from simulator.reference.engine import Event, Options, ReferenceEngine
from simulator.state import State

SIZES = {Region.SRAM: 1 << 18, Region.KV: 1 << 16, Region.IO: 1 << 16, Region.SCRATCH: 1 << 16}
E2M1_VALUES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
"""OCP Microscaling Formats v1.0, section 5.3: the values of the eight codes without a sign."""
NIBBLES = (Dtype.I4, Dtype.E2M1)
CANONICAL = {Dtype.F32: 0x7FC00000, Dtype.F16: 0x7E00, Dtype.BF16: 0x7FC0}


class Core:
    """Memories, registers and a text; `run` assembles and executes."""

    def __init__(
        self, weights: bytes = bytes(4096), table: bytes = bytes(4096), absent: frozenset[Region] = frozenset()
    ):
        mapped = {Region.WEIGHT: np.frombuffer(weights, np.uint8), Region.TABLE: np.frombuffer(table, np.uint8)}
        self.memory = Memory(SIZES, mapped, absent)
        self.state = State(self.memory, 0)
        self.x = self.state.x

    def td(self, register: int, d: Descriptor) -> Descriptor:
        self.state.set_descriptor(register, d)
        return d

    def write(self, region: Region, base: int, data: bytes) -> None:
        self.memory.arrays[region][base : base + len(data)] = np.frombuffer(data, np.uint8)

    def read(self, region: Region, base: int, size_bytes: int) -> bytes:
        return self.memory.arrays[region][base : base + size_bytes].tobytes()

    def run(self, source: str, observer: object = None, **options: object) -> list[Event]:
        return self.run_text(assemble(source + "\n halt").text, observer, **options)

    def run_text(self, text: bytes, observer: object = None, **options: object) -> list[Event]:
        options.setdefault("features", Feature.SPARSE)
        self.state.instructions = len(text) // 16
        self.engine = ReferenceEngine(decode_text(text), self.state, observer, Options(**options))
        return list(self.engine.run(0))

    def values(self, d: Descriptor) -> dict[tuple[int, int, int, int], float]:
        """Elements by (i3, i2, i1, i0), each from its own bytes."""
        return {place: element(self.memory, d, place) for place in places(d)}

    def bits(self, d: Descriptor) -> dict[tuple[int, int, int, int], int]:
        """Bit patterns of byte-sized elements by (i3, i2, i1, i0)."""
        size = ELEMENT_BITS[d.dtype] // 8
        return {p: int.from_bytes(self.read(d.region, address(d, p), size), "little") for p in places(d)}


def tensor(
    base: int,
    dtype: Dtype,
    *extents: int,
    region: Region = Region.SRAM,
    strides: tuple[int, ...] | None = None,
    glog2: int = 5,
    fmt: int = 0,
) -> Descriptor:
    """A dense descriptor (or with explicit strides); missing extents are 1."""
    full = (*extents, *(1,) * (4 - len(extents)))
    steps = dense_strides(dtype, extents) if strides is None else (*strides, *((0,) * (4 - len(strides))))
    return Descriptor(base, region, dtype, full, steps, glog2 if dtype in (*NIBBLES, Dtype.I8, Dtype.E4M3) else 0, fmt)


def places(d: Descriptor) -> Iterator[tuple[int, int, int, int]]:
    e0, e1, e2, e3 = d.extents
    return product(range(e3), range(e2), range(e1), range(e0))


def address(d: Descriptor, place: tuple[int, int, int, int]) -> int:
    i3, i2, i1, i0 = place
    return d.base + i0 * d.strides[0] + i1 * d.strides[1] + i2 * d.strides[2] + i3 * d.strides[3]


def element(memory: Memory, d: Descriptor, place: tuple[int, int, int, int]) -> float:
    """The value of one element of a plain tensor."""
    data = memory.arrays[d.region]
    if d.dtype in NIBBLES:
        group = 1 << d.glog2
        i0 = place[3]
        at = address(d, (*place[:3], 0)) + i0 // group * (group // 2) + i0 % group % (group // 2)
        byte = int(data[at])
        nibble = byte >> 4 if i0 % group >= group // 2 else byte & 15
        return nibble - 8 if d.dtype == Dtype.I4 else e2m1(nibble)
    size = ELEMENT_BITS[d.dtype] // 8
    at = address(d, place)
    return value_of(data[at : at + size].tobytes(), d.dtype)


def value_of(raw: bytes, dtype: Dtype) -> float:
    match dtype:
        case Dtype.F32:
            return struct.unpack("<f", raw)[0]
        case Dtype.F16:
            return struct.unpack("<e", raw)[0]
        case Dtype.BF16:
            return struct.unpack("<f", b"\0\0" + raw)[0]
        case Dtype.I32:
            return struct.unpack("<i", raw)[0]
        case Dtype.I8:
            return struct.unpack("<b", raw)[0]
        case Dtype.U8:
            return raw[0]
        case Dtype.E8M0:
            return math.nan if raw[0] == 255 else 2.0 ** (raw[0] - 127)
        case Dtype.E4M3:
            return e4m3(raw[0])
    raise AssertionError(dtype)


def e2m1(code: int) -> float:
    return math.copysign(E2M1_VALUES[code & 7], -1.0 if code & 8 else 1.0)


def e4m3(code: int) -> float:
    """OCP 8-bit Floating Point Specification v1.0: bias 7, S.1111.111 is NaN, no infinities."""
    sign, exponent, mantissa = (-1.0 if code & 0x80 else 1.0), code >> 3 & 15, code & 7
    if (exponent, mantissa) == (15, 7):
        return math.nan
    if exponent == 0:
        return sign * 2.0**-6 * (mantissa / 8)
    return sign * 2.0 ** (exponent - 7) * (1 + mantissa / 8)


def f32(value: float) -> float:
    """Rounds a binary64 (or integer) to binary32, to nearest even."""
    try:
        return struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)


def store_bits(value: float, dtype: Dtype) -> int:
    """The stored pattern of a binary32 value: section 1 of numerics.md."""
    if dtype in CANONICAL:
        if math.isnan(value):
            return CANONICAL[dtype]
        if dtype == Dtype.F32:
            return struct.unpack("<I", struct.pack("<f", value))[0]
        if dtype == Dtype.F16:
            try:
                return struct.unpack("<H", struct.pack("<e", value))[0]
            except OverflowError:
                return 0xFC00 if value < 0 else 0x7C00
        return _bf16(value)
    low, high = {Dtype.I8: (-128, 127), Dtype.I32: (-(2**31), 2**31 - 1), Dtype.I4: (-8, 7)}[dtype]
    if math.isnan(value):
        whole = 0
    elif math.isinf(value):
        whole = low if value < 0 else high
    else:
        whole = min(max(round(value), low), high)
    return whole & {Dtype.I8: 0xFF, Dtype.I32: 0xFFFFFFFF, Dtype.I4: 0xFF}[dtype]


def _bf16(value: float) -> int:
    bits = struct.unpack("<I", struct.pack("<f", value))[0]
    kept, rest = bits >> 16, bits & 0xFFFF
    return kept + (rest > 0x8000 or (rest == 0x8000 and kept & 1))


def add(a: float, b: float) -> float:
    return f32(a + b)


def mul(a: float, b: float) -> float:
    return f32(a * b)


def sum_fp(terms: Iterable[float], start: float = 0.0) -> float:
    """Section 2: quanta of 32, a tree of strided halves, then one addition per quantum."""
    items = list(terms)
    total = start
    for first in range(0, len(items), 32):
        lanes = items[first : first + 32]
        lanes += [0.0] * (32 - len(lanes))
        for width in (16, 8, 4, 2, 1):
            lanes = [add(lanes[i], lanes[i + width]) for i in range(width)]
        total = add(total, lanes[0])
    return total


def same(a: float, b: float) -> bool:
    """Equal bits, all NaN alike."""
    return (math.isnan(a) and math.isnan(b)) or struct.pack("<d", a) == struct.pack("<d", b)


def pack(values: Iterable[float], dtype: Dtype) -> bytes:
    """Values to bytes of a byte-sized dtype, by struct."""
    if dtype == Dtype.BF16:
        return b"".join(struct.pack("<f", value)[2:] for value in values)
    code = {Dtype.F32: "f", Dtype.F16: "e", Dtype.I32: "i", Dtype.I8: "b", Dtype.U8: "B", Dtype.E8M0: "B"}[dtype]
    items = list(values)
    return struct.pack(f"<{len(items)}{code}", *items)


Unary = Callable[[float], float]

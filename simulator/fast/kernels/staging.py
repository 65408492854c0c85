"""Elements of any dtype and stride to binary32 numbers that follow each other, and back: the indirect way of rare combinations.

The bits of the elements are brought into 32-bit words and these are converted 16 at a time. Parameters say which dtype and strides,
so one kernel serves all.
"""

from __future__ import annotations

from enum import IntEnum

from isa.descriptor import Descriptor
from isa.spec import Dtype
from simulator.fast.kernels.conversion import NARROW, WIDEN, size_bytes
from simulator.fast.kernels.emit import Code
from simulator.fast.kernels.lanes import F32, I32, LANES, Kind, Value

CHUNK = 512
"""Elements that are converted at a time."""
CHUNK_BYTES = 4 * CHUNK
I4_BIAS = 8


class Field(IntEnum):
    """Parameters of an operand."""

    DTYPE = 0
    SIZE = 1  # bytes of an element; 0: nibbles
    STEP = 2  # bytes from one element to the next
    HALF = 3  # log2 of half a group of nibbles
    LENGTH = 4


def fields(d: Descriptor, step: int) -> tuple[int, int, int, int]:
    """In the order of Field. `step`: from one element of a row to the next."""
    return int(d.dtype), size_bytes(d.dtype), step, max(0, d.glog2 - 1)


class Staged:
    """An operand whose fields are parameters."""

    def __init__(self, code: Code, place: int) -> None:
        self.code = code
        self.dtype, self.size, self.step, self.half = (code.parameter(place + field) for field in range(Field.LENGTH))

    def load(self, row: Value, first: Value, count: Value, to: Value) -> None:
        """Elements of a row as binary32, up to CHUNK of them. Writes whole vectors."""
        code = self.code
        for size, element in ((4, "i32"), (2, "i16"), (1, "i8")):
            with code.when(self.size.equals(size)), code.loop(code.word(0), count) as k:
                code.store(to + k * 4, _word(code.load(Kind(element), row + (first + k) * self.step)))
        with code.when(self.size.equals(0)), code.loop(code.word(0), count) as k:
            byte, shift = self._nibble(row, first + k)
            value = (code.load(Kind("i8"), byte).cast("zext", "i32") >> shift & 15) - I4_BIAS
            code.store(to + k * 4, value)
        for dtype, widen in (*WIDEN.items(), (Dtype.I4, WIDEN[Dtype.I32])):
            if dtype != Dtype.F32:
                with code.when(self.dtype.equals(dtype)), code.loop(code.word(0), count, LANES) as k:
                    code.store(to + k * 4, widen(code.load(I32, to + k * 4)))

    def store(self, row: Value, first: Value, count: Value, at: Value) -> None:
        """Rounds binary32 numbers, which it overwrites, and stores them. Reads and writes whole vectors at `at`."""
        code = self.code
        for dtype, narrow in NARROW.items():
            with code.when(self.dtype.equals(dtype)), code.loop(code.word(0), count, LANES) as k:
                code.store(at + k * 4, narrow(code.load(F32, at + k * 4)))
        for size, element in ((4, "i32"), (2, "i16"), (1, "i8")):
            with code.when(self.size.equals(size)), code.loop(code.word(0), count) as k:
                bits = code.load(Kind(element), at + k * 4)
                code.store(row + (first + k) * self.step, bits)
        with code.when(self.size.equals(0)), code.loop(code.word(0), count) as k:
            byte, shift = self._nibble(row, first + k)
            others = code.load(Kind("i8"), byte).cast("zext", "i32") & (shift.like(240) >> shift)
            value = (code.load(Kind("i32"), at + k * 4) + I4_BIAS & 15) << shift
            code.store(byte, (others | value).cast("trunc", "i8"))

    def _nibble(self, row: Value, element: Value) -> tuple[Value, Value]:
        """Address of the byte, and shift: element i of a group is in the low nibble of byte i, or in the high one of byte i - g / 2."""
        one = element.like(1)
        half = one << self.half
        group, within = element >> (self.half + 1), element & ((half << 1) - 1)
        byte = row + (group << self.half) + (within & (half - 1))
        return byte, (within >> self.half << 2).cast("trunc", "i32")


def _word(bits: Value) -> Value:
    return bits if bits.kind.element == "i32" else bits.cast("zext", "i32")

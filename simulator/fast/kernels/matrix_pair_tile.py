"""Register tiles of float products with bfloat16 weights in lines of two columns, [k, k + 1][16 rows]: a line is read once.

A lane of 32 bits has the weights of two rows: the bits of the odd one, with zeros below them, are its binary32 number, and those of
the even one are it when they are shifted. So lanes 0 to 7 of two vectors have column k of the even and of the odd rows, lanes 8 to 15
column k + 1, and the last step of a quantum, l[0] + l[1], adds the halves (docs/numerics.md, section 2).
"""

from __future__ import annotations

from isa.spec import BLOCK_ROWS, SUM_QUANTUM
from simulator.fast.kernels.conversion import float_of
from simulator.fast.kernels.lanes import I32, Kind, Value
from simulator.fast.kernels.matrix_code import LINE_BYTES
from simulator.fast.kernels.matrix_float_tile import FloatTile

HALF = BLOCK_ROWS // 2
_LANES = range(BLOCK_ROWS)
ROW_OF_LANE = [*_LANES[0::2], *_LANES[1::2]]
"""Of a sum."""
LANE_OF_ROW = [row // 2 + row % 2 * HALF for row in _LANES]
_LOW = [*range(HALF), *range(BLOCK_ROWS, BLOCK_ROWS + HALF)]


class PairTile(FloatTile):
    """Of blocked bfloat16 weights."""

    def _arranged(self, value: Value) -> Value:
        return value.shuffled(ROW_OF_LANE)

    def _in_order(self, value: Value) -> Value:
        return value.shuffled(LANE_OF_ROW)

    def _quantum(self, w: Value, k: Value, first: int, step: int) -> list[Value]:
        sums: list[Value] = []
        for even, odd in self._pairs(w, k, first, 2 * step):
            sums.append(even.shuffled(_LOW, odd) + even.shuffled([lane + HALF for lane in _LOW], odd))
        return sums

    def _pairs(self, w: Value, k: Value, first: int, step: int) -> list[tuple[Value, Value]]:
        """The sums of the pairs of terms first, first + step, .. of the quantum: of the even and of the odd rows of the block."""
        if step == SUM_QUANTUM:
            return self._pair_products(w, k, first)
        halves = self._pairs(w, k, first, 2 * step), self._pairs(w, k, first + step, 2 * step)
        return [(a[0] + b[0], a[1] + b[1]) for a, b in zip(*halves, strict=True)]

    def _pair_products(self, w: Value, k: Value, first: int) -> list[tuple[Value, Value]]:
        self._ask_ahead(w, k, first)
        code, x_offset = self.code, (k - self.place.x_first) * 4 + 4 * first
        line = code.load(I32, w + (k + first) * (LINE_BYTES // 2))
        even, odd = float_of(line << 16), float_of(line & -(1 << 16))
        factors = [code.load(Kind("f32", 2), x + x_offset).shuffled([0] * HALF + [1] * HALF) for x in self.x]
        return [(even * x, odd * x) for x in factors]

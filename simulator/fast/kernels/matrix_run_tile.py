"""Register tiles of float products with k in the lanes: for few rows of A and plain rows of B (keys).

The first step of a quantum, p[i] + p[i+16], adds two vectors; the others halve them, those of two rows of B becoming one, so that
16 rows end in the 16 lanes (docs/numerics.md, section 2).
"""

from __future__ import annotations

from collections.abc import Callable

from isa.descriptor import Descriptor
from isa.spec import BLOCK_ROWS, SUM_QUANTUM
from simulator.fast.kernels.conversion import to_f32
from simulator.fast.kernels.emit import Code
from simulator.fast.kernels.lanes import F32, Value, Variable
from simulator.fast.kernels.matrix_code import LINE_BYTES, addresses, zeros
from simulator.fast.kernels.matrix_values import run_at

Leaf = Callable[[int], list[Value]]


def halved(a: Value, b: Value, width: int) -> Value:
    """a and b have parts of `width` lanes; lane i and i + width / 2 of each part are added, the parts of a come first."""
    half = width // 2
    starts = range(0, 2 * BLOCK_ROWS, width)
    low = a.shuffled([start + i for start in starts for i in range(half)], b)
    return low + a.shuffled([start + half + i for start in starts for i in range(half)], b)


def halving_tree(leaf: Leaf, first: int = 0, count: int = BLOCK_ROWS) -> list[Value]:
    """Of each row of A: vectors with the sums of `count` rows of B from `first` on, of each 16 / count partial ones."""
    if count == 1:
        return leaf(first)
    left = halving_tree(leaf, first, count // 2)
    right = halving_tree(leaf, first + count // 2, count // 2)
    return [halved(a, b, 2 * BLOCK_ROWS // count) for a, b in zip(left, right, strict=True)]


class RunTile:
    """`rows` rows of A, f32 and padded with zeros to whole quanta, and the 16 rows of B that begin at the addresses w."""

    def __init__(self, code: Code, b: Descriptor, rows: int, xs: Value, w: list[Value], terms: Value) -> None:
        self.code, self.b, self.rows, self.w, self.terms = code, b, rows, w, terms
        self.x = addresses(code, xs, rows)

    def write(self, ys: Value, y_offset: Value, accumulate: Value) -> None:
        """C (+)= A B."""
        code, whole = self.code, self.terms // SUM_QUANTUM * SUM_QUANTUM
        y = addresses(code, ys, self.rows, y_offset)
        totals = zeros(code, F32, self.rows)
        with code.when(accumulate):
            for total, at in zip(totals, y, strict=True):
                total.set(code.load(F32, at))
        with code.loop(0, whole, SUM_QUANTUM) as k:
            self._add_quantum(totals, k, None)
        with code.when(whole < self.terms):
            self._add_quantum(totals, whole, self.terms - whole)
        for total, at in zip(totals, y, strict=True):
            code.store(at, to_f32(total.get()))

    def _add_quantum(self, totals: list[Variable], k: Value, count: Value | None) -> None:
        """`count`: how many terms there are, if not all."""
        code, half = self.code, SUM_QUANTUM // 2
        x = [[code.load(F32, at + k * 4 + i * LINE_BYTES) for i in range(2)] for at in self.x]

        def leaf(n: int) -> list[Value]:
            low = run_at(code, self.b, self.w[n], k, count)
            high = run_at(code, self.b, self.w[n], k + half, None if count is None else count - half)
            return [low * x_low + high * x_high for x_low, x_high in x]

        for total, value in zip(totals, halving_tree(leaf), strict=True):
            total.set(total.get() + value)

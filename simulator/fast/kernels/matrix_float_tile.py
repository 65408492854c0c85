"""Register tiles of float products with the 16 rows of a block of B in the lanes.

Term k is f32(a_k * b_k). A quantum of 32 terms is the tree l[i] = p[i] + p[i+16], then 8, 4, 2, 1; quanta are added to an accumulator
in ascending order (docs/numerics.md, sections 2 and 3). With scales the sum of a group starts at +0 and acc = acc + (p_g * s_g).
"""

from __future__ import annotations

from dataclasses import dataclass

from isa.spec import SUM_QUANTUM
from simulator.fast.kernels.conversion import to_f32
from simulator.fast.kernels.emit import Code
from simulator.fast.kernels.lanes import F32, Kind, Value, Variable
from simulator.fast.kernels.matrix_code import LINE_BYTES, PREFETCH_BYTES, addresses, clear, prefetch, zeros
from simulator.fast.kernels.matrix_values import ColumnReader

FLOAT = Kind("f32")


@dataclass(frozen=True)
class FloatPlace:
    """Columns k .. k_end - 1, whole quanta, of the block of B whose column 0 is at w.

    xs: a table of the addresses of f32 rows of A that begin at column x_first; ys: one of rows of C, moved by y_offset. With scales,
    f32 [groups][16], the columns are whole groups of `group` columns.
    """

    w: Value
    k: Value
    k_end: Value
    xs: Value
    x_first: Value
    ys: Value
    y_offset: Value
    scales: Value | None
    group: Value


class FloatTile:
    """`rows` rows of A and one block of B. `kind`: of terms and their sums.

    `line_terms`: how many columns a line of 64 bytes has if lines are asked for ahead, or 0.
    """

    kind = F32

    def __init__(self, code: Code, rows: int, reader: ColumnReader, place: FloatPlace, line_terms: int = 0) -> None:
        self.code, self.rows, self.reader, self.place, self.line_terms = code, rows, reader, place, line_terms
        self.x = addresses(code, place.xs, rows)

    def write(self, accumulate: Value) -> None:
        """C (+)= A B."""
        code, place = self.code, self.place
        y = addresses(code, place.ys, self.rows, place.y_offset)
        kind = self.kind if place.scales is None else F32
        totals = zeros(code, kind, self.rows)
        with code.when(accumulate):
            for total, at in zip(totals, y, strict=True):
                total.set(code.load(kind, at))
        if place.scales is None:
            self._add_quanta(totals, place.k, place.k_end)
        else:
            self._add_groups(totals, place.scales)
        for total, at in zip(totals, y, strict=True):
            code.store(at, to_f32(total.get()) if kind.is_float else total.get())

    def _add_groups(self, totals: list[Variable], scales: Value) -> None:
        code, place = self.code, self.place
        at = code.variable(scales)
        sums = zeros(code, self.kind, self.rows)
        with code.loop(place.k, place.k_end, place.group) as k:
            clear(code, sums, self.kind)
            self._add_quanta(sums, k, k + place.group)
            factor = code.load(F32, at.get())
            at.set(at.get() + LINE_BYTES)
            for total, part in zip(totals, sums, strict=True):
                value = part.get() if self.kind.is_float else part.get().cast("sitofp", "f32")
                total.set(total.get() + value * factor)

    def _add_quanta(self, totals: list[Variable], first: Value, end: Value) -> None:
        with self.code.loop(first, end, SUM_QUANTUM) as k:
            for total, value in zip(totals, self._quantum(k, 0, 1), strict=True):
                total.set(total.get() + value)

    def _quantum(self, k: Value, first: int, step: int) -> list[Value]:
        """The sums of the terms first, first + step, .. of the quantum, of each row."""
        if step < SUM_QUANTUM:
            halves = self._quantum(k, first, 2 * step), self._quantum(k, first + step, 2 * step)
            return [a + b for a, b in zip(*halves, strict=True)]
        return self._products(k, first)

    def _products(self, k: Value, first: int) -> list[Value]:
        """Term `first` of the quantum, of each row."""
        if self.line_terms and first % self.line_terms == 0:
            prefetch(self.code, self.place.w + (k + first) * (LINE_BYTES // self.line_terms) + PREFETCH_BYTES)
        w, x_offset = self.reader(self.code, self.place.w, k, first), (k - self.place.x_first) * 4 + 4 * first
        return [w * self.code.load(FLOAT, x + x_offset).spread() for x in self.x]

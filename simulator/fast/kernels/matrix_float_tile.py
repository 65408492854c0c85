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
from simulator.fast.kernels.matrix_ahead import Ahead
from simulator.fast.kernels.matrix_code import LINE_BYTES, SECOND_CACHE, addresses, clear, prefetch, zeros
from simulator.fast.kernels.matrix_scales import ScaleReader
from simulator.fast.kernels.matrix_values import ColumnReader

FLOAT = Kind("f32")


@dataclass(frozen=True)
class FloatPlace:
    """Columns k .. k_end - 1, whole quanta, of the blocks of B whose columns 0 are at w.

    xs: a table of the addresses of f32 rows of A that begin at column x_first; ys: one of rows of C, moved by y_offset. With scales
    the columns are whole groups of `group` columns.
    """

    w: list[Value]
    k: Value
    k_end: Value
    xs: Value
    x_first: Value
    ys: Value
    y_offset: Value
    scales: ScaleReader | None
    group: Value


class FloatTile:
    """`rows` rows of A and some blocks of B; sums are in the order of blocks, then rows. `kind`: of terms and their sums.

    `ahead`: where lines of B are asked for before they are used, and how many columns a line of 64 bytes has.
    """

    kind = F32

    def __init__(
        self, code: Code, rows: int, reader: ColumnReader, place: FloatPlace, ahead: tuple[Ahead, int] | None = None
    ) -> None:
        self.code, self.rows, self.reader, self.place, self.ahead = code, rows, reader, place, ahead
        self.x = addresses(code, place.xs, rows)
        self.sums = rows * len(place.w)
        self.distance = code.word(0)

    def write(self, accumulate: Value) -> None:
        """C (+)= A B."""
        code, place = self.code, self.place
        rows = addresses(code, place.ys, self.rows, place.y_offset)
        y = [row + LINE_BYTES * block for block in range(len(place.w)) for row in rows]
        kind = self.kind if place.scales is None else F32
        totals = zeros(code, kind, self.sums)
        with code.when(accumulate):
            for total, at in zip(totals, y, strict=True):
                total.set(self._arranged(code.load(kind, at)))
        if place.scales is None:
            self._add_quanta(totals, place.k, place.k_end)
        else:
            self._add_groups(totals, place.scales)
        for total, at in zip(totals, y, strict=True):
            value = self._in_order(total.get())
            code.store(at, to_f32(value) if kind.is_float else value)

    def _arranged(self, value: Value) -> Value:
        """The 16 rows of a block in the lanes that have their sums."""
        return value

    def _in_order(self, value: Value) -> Value:
        """Sums in the order of rows."""
        return value

    def _add_groups(self, totals: list[Variable], scales: ScaleReader) -> None:
        code, place = self.code, self.place
        group = code.variable(code.word(0))
        sums = zeros(code, self.kind, self.sums)
        with code.loop(place.k, place.k_end, place.group) as k:
            clear(code, sums, self.kind)
            self._add_quanta(sums, k, k + place.group)
            factors = [scales(block, group.get()) for block in range(len(place.w))]
            group.set(group.get() + 1)
            for number, (total, part) in enumerate(zip(totals, sums, strict=True)):
                value = part.get() if self.kind.is_float else part.get().cast("sitofp", "f32")
                total.set(total.get() + value * factors[number // self.rows])

    def _add_quanta(self, totals: list[Variable], first: Value, end: Value) -> None:
        with self.code.loop(first, end, SUM_QUANTUM) as k:
            if self.ahead is not None:
                ahead, line_terms = self.ahead
                self.distance = ahead.distance(k * (LINE_BYTES // line_terms))
            for block, w in enumerate(self.place.w):  # one after the other: their sums would not fit the registers
                of_block = totals[block * self.rows : (block + 1) * self.rows]
                for total, value in zip(of_block, self._quantum(w, k, 0, 1), strict=True):
                    total.set(total.get() + value)

    def _quantum(self, w: Value, k: Value, first: int, step: int) -> list[Value]:
        """The sums of the terms first, first + step, .. of the quantum of a block at w, of each row."""
        if step < SUM_QUANTUM:
            halves = self._quantum(w, k, first, 2 * step), self._quantum(w, k, first + step, 2 * step)
            return [a + b for a, b in zip(*halves, strict=True)]
        return self._products(w, k, first)

    def _products(self, w: Value, k: Value, first: int) -> list[Value]:
        """Term `first` of the quantum, of each row."""
        self._ask_ahead(w, k, first)
        x_offset = (k - self.place.x_first) * 4 + 4 * first
        weight = self.reader(self.code, w, k, first)
        return [weight * self.code.load(FLOAT, x + x_offset).spread() for x in self.x]

    def _ask_ahead(self, w: Value, k: Value, first: int) -> None:
        """For the line that lies in front of the one that begins with term `first` of the quantum."""
        if self.ahead is None or first % self.ahead[1]:
            return
        prefetch(self.code, w + (k + first) * (LINE_BYTES // self.ahead[1]) + self.distance, SECOND_CACHE)

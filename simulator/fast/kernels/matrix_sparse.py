"""mm and mmg of 2:4 sparse rows of B (docs/numerics.md, section 3): the terms are the kept (value, A) pairs in ascending k.

Kept terms 2i and 2i + 1 of every row of B belong to columns 4i .. 4i + 3. So A is copied as those four columns for each term, and
a lane takes the one its row of B names. Terms have places: those of a group are padded with zeros to whole quanta. Integers go the
same way; their sums are exact.
"""

from __future__ import annotations

from dataclasses import dataclass

from isa.descriptor import Descriptor
from isa.encoding import Decoded
from isa.spec import BLOCK_ROWS, ELEMENT_BITS, PACKED_4BIT, SUM_QUANTUM, Dtype
from simulator.fast.kernels.abi import Choice
from simulator.fast.kernels.conversion import WIDEN_NIBBLES
from simulator.fast.kernels.emit import Code, emitted
from simulator.fast.kernels.instructions import call
from simulator.fast.kernels.lanes import F32, I32, WORD, Kind, Value
from simulator.fast.kernels.matrix_code import BYTE, LINE_BYTES
from simulator.fast.kernels.matrix_elements import float_at, row_of_block
from simulator.fast.kernels.matrix_float_tile import FloatPlace, FloatTile
from simulator.fast.kernels.matrix_rows import Rows, write_kernel, write_tiles
from simulator.fast.kernels.matrix_scales import copied_scales, scale_name, write_scales
from simulator.fast.kernels.matrix_shape import Layout, P, group_size, is_divisible, parameters, row_count
from simulator.fast.kernels.matrix_values import panel_reader
from simulator.fast.target import has

SEGMENT_TERMS = 1024
FOUR_BYTES = 16


@dataclass(frozen=True)
class SparsePlan:
    """What the code of a kernel depends on."""

    a: Descriptor
    b: Descriptor
    scale: Descriptor | None
    tile_rows: int

    @property
    def kind(self) -> Kind:
        return I32 if self.a.dtype == Dtype.I8 else F32


def chosen_of_four(code: Code, four: Value, which: Value) -> Value:
    """Lane i: number which[i], 0 to 3, of four that every 4 lanes of `four` repeat."""
    if has("avx512f"):
        floats = code.builder.bitcast(four.llvm, F32.llvm)
        value = call(code.builder, "llvm.x86.avx512.vpermilvar.ps.512", F32.llvm, [floats, which.llvm])
        return Value(code.builder, code.builder.bitcast(value, four.kind.llvm), four.kind)
    low, high = ((which & 1).equals(0).choose(four.lane(i).spread(), four.lane(i + 1).spread()) for i in (0, 2))
    return (which & 2).equals(0).choose(low, high)


class SparseTile(FloatTile):
    """The panel of B has the values, and `columns_at` bytes behind each line of them the columns within four."""

    def __init__(self, code: Code, rows: int, kind: Kind, place: FloatPlace, columns_at: Value) -> None:
        super().__init__(code, rows, panel_reader, place)
        self.kind, self.columns_at = kind, columns_at

    def _products(self, w: Value, k: Value, first: int) -> list[Value]:
        code, place = self.code, self.place
        line = w + k * LINE_BYTES + first * LINE_BYTES
        kept, which = code.load(self.kind, line), code.load(I32, line + self.columns_at)
        x_offset = (k - place.x_first) * FOUR_BYTES + first * FOUR_BYTES
        fours = (code.load(Kind(self.kind.element, 4), x + x_offset).shuffled([0, 1, 2, 3] * 4) for x in self.x)
        return [kept * chosen_of_four(code, four, which) for four in fours]


class SparseSegment:
    """Places first .. end - 1 of terms, of some rows."""

    def __init__(self, plan: SparsePlan, rows: Rows, first: Value, end: Value) -> None:
        self.plan, self.rows, self.first, self.end, self.code = plan, rows, first, end, rows.code

    def _term(self, place: Value) -> tuple[Value, Value]:
        """The number of the kept term at a place, and whether there is one."""
        code, padded = self.code, self.code.parameter(P.PADDED_GROUP)
        group, within = place // padded, place % padded
        first, end = group * code.parameter(P.GROUP) >> 1, (group + 1) * code.parameter(P.GROUP) >> 1
        return first + within, first + within < end

    def pack_rows(self) -> None:
        """Four columns of A for each place."""
        code, rows, kind = self.code, self.rows, self.plan.kind
        row_bytes = (self.end - self.first) * FOUR_BYTES
        with code.loop(0, rows.padded) as row:
            x = code.load(WORD, rows.x_table + row * 8)
            to = rows.place(P.PACKED) + row.smaller(rows.count - 1) * row_bytes
            code.store(rows.place(P.PACKED_TABLE) + row * 8, to)
            with code.when(row < rows.count), code.loop(self.first, self.end) as place:
                term, exists = self._term(place)
                at = to + (place - self.first) * FOUR_BYTES
                code.store(at, code.constant(Kind(kind.element, 4), 0))
                with code.when(exists), code.loop(0, 4) as i:
                    source = x + ((term >> 1) * 4 + i) * code.parameter(P.A_TERM)
                    code.store(at + i * 4, self._number(self.plan.a.dtype, source))

    def _number(self, dtype: Dtype, address: Value) -> Value:
        if self.plan.kind.is_float:
            return float_at(self.code, dtype, address)
        return self.code.load(BYTE, address).cast("sext", "i32")

    def _kept(self, row: Value, term: Value) -> Value:
        """A kept value."""
        code, b = self.code, self.plan.b
        if b.dtype not in PACKED_4BIT:
            return self._number(b.dtype, row + term * (ELEMENT_BITS[b.dtype] // 8))
        stored = code.load(BYTE, row + (term >> 1)).cast("zext", "i64") >> (term & 1) * 4
        nibble = (stored & 15).cast("trunc", "i32")
        return WIDEN_NIBBLES[b.dtype](nibble) if self.plan.kind.is_float else nibble - 8

    def _column(self, row: Value, term: Value) -> Value:
        """Which of four columns a kept value has."""
        code = self.code
        codes = row + (code.parameter(P.TERMS) * ELEMENT_BITS[self.plan.b.dtype] >> 4)
        pairs = code.load(BYTE, codes + (term >> 2)).cast("zext", "i64")
        return (pairs >> (term & 3) * 2 & 3).cast("trunc", "i32")

    def write_block(self, block: Value, columns_at: Value) -> None:
        """All rows by the 16 rows of a block of B."""
        code, rows, plan, panel = self.code, self.rows, self.plan, self.rows.place(P.PANEL)
        with code.loop(0, BLOCK_ROWS) as r:
            row = row_of_block(code, rows.b, block, r, (P.B_BLOCK, P.B_ROW))
            with code.loop(self.first, self.end) as place:
                term, exists = self._term(place)
                at = panel + (place - self.first) * LINE_BYTES + r * 4
                code.store(at, code.constant(Kind(plan.kind.element), 0))
                code.store(at + columns_at, code.constant(Kind("i32"), 0))
                with code.when(exists):
                    code.store(at, self._kept(row, term))
                    code.store(at + columns_at, self._column(row, term))
        self._write_tiles(block, panel, columns_at)

    def _write_tiles(self, block: Value, panel: Value, columns_at: Value) -> None:
        code, rows, plan, group = self.code, self.rows, self.plan, self.code.parameter(P.PADDED_GROUP)
        scales = None
        if plan.scale is not None:
            first = self.first // group
            groups = self.end // group - first
            write_scales(plan.scale, rows, (block, 1), rows.place(P.SCALES), first, groups)
            scales = copied_scales(code, rows.place(P.SCALES), groups)
        accumulate = ~(code.parameter(P.ACCUMULATE) | self.first).equals(0)

        def write_tile(row: Value, ys: Value, y_offset: Value) -> None:
            xs, w = rows.place(P.PACKED_TABLE) + row * 8, [panel - self.first * LINE_BYTES]
            place = FloatPlace(w, self.first, self.end, xs, self.first, ys, y_offset, scales, group)
            SparseTile(code, plan.tile_rows, plan.kind, place, columns_at).write(accumulate)

        write_tiles(rows, block, (plan.tile_rows, 1), accumulate, write_tile)


def _write(code: Code, plan: SparsePlan) -> None:
    def write_rows(rows: Rows) -> None:
        total, step = code.parameter(P.GROUPS) * code.parameter(P.PADDED_GROUP), code.parameter(P.SEGMENT)
        with code.loop(0, total, step) as first:
            segment = SparseSegment(plan, rows, first, (first + step).smaller(total))
            segment.pack_rows()
            with code.loop(rows.block, rows.block_end) as block:
                segment.write_block(block, step * LINE_BYTES)

    write_kernel(code, plan.tile_rows, write_rows)


def choose_sparse(instruction: Decoded, operands: dict[str, Descriptor]) -> Choice:
    """A of any dtype and sparse B."""
    a, b, scale = operands["tb"], operands["tc"], operands.get("td")
    group = group_size(b, scale is not None)
    padded = -(-group // (2 * SUM_QUANTUM)) * SUM_QUANTUM
    total = b.extents[0] // group * padded
    segment = min(total, SEGMENT_TERMS if scale is None else max(1, SEGMENT_TERMS // padded) * padded)
    plan = SparsePlan(a, b, scale, 1 if row_count(a, b) == 1 else 4)
    layout = Layout(
        tile_rows=plan.tile_rows,
        padded_group=padded,
        segment=segment,
        packs=False,
        sum_bytes=0,
        packed_bytes=FOUR_BYTES * segment,
        scale_bytes=LINE_BYTES * (segment // padded) if scale is not None else 0,
        panel_bytes=2 * LINE_BYTES * segment,
    )
    name = f"matrix.{a.dtype.name.lower()}.{b.dtype.name.lower()}.sparse.{plan.tile_rows}"
    if scale is not None:
        name += f".{scale_name(scale)}"
    given = parameters(instruction, operands, layout)
    return Choice(name, emitted(lambda code: _write(code, plan)), given, is_divisible(operands["ta"], a))

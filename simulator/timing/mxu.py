"""Matrix unit: a pass holds rows x columns weights and streams rows of A through them, one every `beats_per_row` cycles.

Weights of the next pass are loaded meanwhile, so a pass takes the longer of streaming and loading. Partial sums of
up to `accumulator_rows` rows of A stay in the unit; C is read (accumulating) and written once per instruction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from isa.descriptor import Descriptor
from isa.machine_core import Core
from isa.spec import ELEMENT_BITS, FMT_SPARSE, Dtype, Flag
from simulator.timing.actions import ACTION_INDEX, mac_action
from simulator.timing.sram import Runs, access, ceil_div
from simulator.timing.weights import weight_access

ACCUMULATOR_BYTES = 4
_A, _B, _C = (ACTION_INDEX[f"sram_read.mxu_{name}"] for name in "abc")
_C_WRITE = ACTION_INDEX["sram_write.mxu_c"]
_ACCUMULATOR = ACTION_INDEX["accumulator"]


@dataclass(frozen=True, slots=True)
class MatrixCost:
    """Cycles the unit is occupied; `lead`: to load the first weights; `fill`: for which rows of A stream, or accumulators are
    taken, after the unit takes the next instruction; `drain`: for which C is written after that; `first_tile`: from the start
    until the first tile has streamed; `writes`: of the port for C; SRAM bank accesses, counts by action index.
    """

    cycles: int
    lead: int
    fill: int
    drain: int
    first_tile: int
    writes: int
    bank_accesses: int
    actions: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class _Tiles:
    """`count` equal tiles. Of each: cycles of its passes and of the last one; accesses to A and B; rows of C, and of each of these
    cycles of the port and accesses.
    """

    count: int
    cycles: int
    stream: int
    accesses: int
    rows: int
    row: int
    row_accesses: int


@dataclass(slots=True)
class _Flow:
    """Tiles stream one after the other, and the rows of C of each are written, in order, when its last pass streams them.

    In cycles from the start: the weights of all passes are loaded or hidden; the last tile has streamed; it is written; the tile
    before it is; the first one has streamed. And cycles of the port for C, and bank accesses.
    """

    issued: int = 0
    streamed: int = 0
    written: int = 0
    before_last: int = 0
    first_tile: int = 0
    writes: int = 0
    accesses: int = 0

    def add(self, tiles: _Tiles, behind: int, banks: int) -> None:
        """The last pass of a tile ends `behind` cycles after the tile. Tiles are no faster than the banks that serve them, but for
        accesses to C that are left when the last one has streamed.
        """
        count, stream, writes = tiles.count, tiles.stream, tiles.rows * tiles.row
        self.accesses += count * (tiles.accesses + tiles.rows * tiles.row_accesses)
        issued = self.issued + count * tiles.cycles
        begin = max(self.written, self.issued + tiles.cycles + behind - stream)
        left = max(begin + count * writes - issued - behind, writes - stream)
        issued = max(issued, ceil_div(self.accesses - max(0, left) * tiles.row_accesses // tiles.row, banks))
        tile = ceil_div(issued - self.issued, count)
        first, last = self.issued + tile + behind, issued + behind
        begin = max(self.written, first - stream)  # if the port has no pause from then on

        def written(number: int, streamed: int) -> int:
            return max(begin + number * writes, streamed - stream + writes, streamed + tiles.row - 1)

        self.before_last = written(count - 1, last - tile) if count > 1 else self.written
        self.written = written(count, last)
        self.first_tile = self.first_tile or first
        self.issued, self.streamed, self.writes = issued, last, self.writes + count * writes

    def repeat(self, times: int) -> None:
        """All of it so many times."""
        if times > 1:
            period, issued = max(self.issued, self.writes), self.issued
            self.before_last = max(self.before_last + (times - 1) * period, self.written + (times - 2) * period)
            self.written += (times - 1) * period
            self.issued, self.streamed = times * issued, self.streamed + (times - 1) * issued
            self.writes *= times
            self.accesses *= times


@dataclass(frozen=True, slots=True)
class _Shape:
    batches: int
    m: int
    n: int
    k: int


def matrix_cost(
    core: Core, flags: int, c: Descriptor, a: Descriptor, b: Descriptor, s: Descriptor | None
) -> MatrixCost:
    """The cost of mm (s is None) or mmg, all operands in SRAM; an operand in SMEM is charged as if it were in SRAM."""
    shape = _shape(a, b)
    beats = beats_per_row(core, a.dtype, b.dtype)
    accumulates = bool(flags & Flag.ACC)
    banks_a = banks_b = banks_c = lead = 0
    flow, banks = _Flow(), core.sram.banks.value
    for rows, row_count in _tiles(shape.m, core.mxu.accumulator_rows.value):
        for n, n_count in _tiles(shape.n, core.mxu.rows.value):
            streamed = stream = tile_a = tile_b = 0
            for k, k_count in _tiles(shape.k, core.mxu.columns.value):
                a_access = _a_access(core, a, k)
                weights = weight_access(core, b, s, n, k)
                stream = rows * max(beats, a_access[0])
                lead = lead or weights.beats
                streamed += k_count * max(stream, weights.beats)
                tile_a += k_count * rows * a_access[1]
                tile_b += k_count * weights.bank_accesses
            c_beats, c_banks = _c_access(core, c, n)
            tiles, row_accesses = row_count * n_count, c_banks * (1 + accumulates)
            banks_a, banks_b, banks_c = (
                banks_a + tiles * tile_a,
                banks_b + tiles * tile_b,
                banks_c + tiles * rows * c_banks,
            )
            row = max(c_beats, ceil_div(row_accesses, banks))
            flow.add(
                _Tiles(tiles, streamed, stream, tile_a + tile_b, rows, row, row_accesses), min(stream, lead), banks
            )
    flow.repeat(shape.batches)
    bank_bytes = core.sram.bank_bytes.value
    batches, macs = shape.batches, shape.batches * shape.m * shape.n * shape.k
    k_passes = ceil_div(shape.k, core.mxu.columns.value)
    accumulator_bytes = 2 * ACCUMULATOR_BYTES * batches * shape.m * shape.n * k_passes
    actions = [
        (mac_action(a.dtype, b.dtype), macs),
        (_A, batches * banks_a * bank_bytes),
        (_B, batches * banks_b * bank_bytes),
        (_C_WRITE, batches * banks_c * bank_bytes),
        (_ACCUMULATOR, accumulator_bytes),
    ]
    if accumulates:
        actions.append((_C, batches * banks_c * bank_bytes))
    computed = max(flow.streamed, flow.before_last)
    fill, drain = computed - flow.issued, flow.written - computed
    return MatrixCost(flow.issued, lead, fill, drain, flow.first_tile, flow.writes, flow.accesses, tuple(actions))


def beats_per_row(core: Core, a: Dtype, b: Dtype) -> int:
    """Cycles one row of A occupies the array: the rate of the wider type."""
    table = core.mxu.beats_per_row
    widest = max(ELEMENT_BITS[a], ELEMENT_BITS[b])
    return (table.i8 if widest <= 8 else table.f16 if widest == 16 else table.f32).value


def _shape(a: Descriptor, b: Descriptor) -> _Shape:
    """Kept terms count for sparse B. Rows of A that share B stream together."""
    k = a.extents[0] // 2 if b.fmt & FMT_SPARSE else a.extents[0]
    _, e1, e2, e3 = a.extents
    n = b.extents[1]
    return _Shape(1, e1 * e2 * e3, n, k) if b.extents[2] == 1 else _Shape(e2, e1 * e3, n, k)


def _tiles(total: int, size: int) -> Iterator[tuple[int, int]]:
    """(tile size, how many): the full tiles, then the rest."""
    full, rest = divmod(total, size)
    if full:
        yield size, full
    if rest:
        yield rest, 1


def _a_access(core: Core, a: Descriptor, k: int) -> tuple[int, int]:
    """Port cycles and bank accesses for one row of A in one pass."""
    size = ELEMENT_BITS[a.dtype] // 8
    stride = a.strides[0]
    runs = (
        Runs(1, k * size) if stride == size or k == 1 else Runs(1, size) if stride == 0 else Runs(k, size, abs(stride))
    )
    cost = access(runs, core.mxu.a_port_bytes.value, core.sram)
    return cost.beats, cost.bank_accesses


def _c_access(core: Core, c: Descriptor, n: int) -> tuple[int, int]:
    """Port cycles and bank accesses for one row of C, n wide."""
    size, stride = ELEMENT_BITS[c.dtype] // 8, c.strides[0]
    runs = Runs(1, n * size) if stride == size or n == 1 else Runs(n, size, max(1, abs(stride)))
    cost = access(runs, core.mxu.c_port_bytes.value, core.sram)
    return cost.beats, cost.bank_accesses

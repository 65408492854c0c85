"""Matrix unit: a pass holds rows x columns weights and streams rows of A through them, one every `beats_per_row` cycles.

Weights of the next pass are loaded meanwhile, so a pass takes the longer of streaming and loading. Partial sums of
up to `accumulator_rows` rows of A stay in the unit; C is read (accumulating) and written once per instruction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

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
    """`count` equal tiles. Of each: cycles to load its first weights, from the begin of its first pass to that of the last one, and
    of the last one; accesses to A and B; rows of C, and of each of these cycles of the port and accesses.
    """

    count: int
    load: int
    body: int
    stream: int
    accesses_a: int
    accesses_b: int
    rows: int
    row: int
    row_accesses: int


@dataclass(slots=True)
class _Flow:
    """Tiles stream one after the other, and the rows of C of each are written, in order, when its last pass streams them.

    In cycles from the start: the last tile has streamed, its last pass in `stream` cycles; it is written; the tile before it is; the
    first one has streamed. `lead`: to load the first weights. And cycles of the port for C, and bank accesses.
    """

    lead: int = 0
    stream: int = 0
    streamed: int = 0
    written: int = 0
    before_last: int = 0
    first_tile: int = 0
    writes: int = 0
    accesses: int = 0

    @property
    def issued(self) -> int:
        """The unit takes the next instruction, whose weights are loaded while the last pass streams."""
        return self.streamed - min(self.stream, self.lead)

    def add(self, tiles: _Tiles, banks: int) -> None:
        """Tiles are no faster than the banks that serve them, but for accesses to C that are left when the last one has streamed."""
        count, stream, row, writes = tiles.count, tiles.stream, tiles.row, tiles.rows * tiles.row
        self.lead = self.lead or tiles.load
        self.accesses += count * (tiles.accesses_a + tiles.accesses_b + tiles.rows * tiles.row_accesses)
        first, last = self._unshared(tiles)
        begin = max(self.written, first - stream)  # if the port has no pause from then on
        left = max(begin + count * writes - last, writes - stream, 0)
        served = ceil_div(self.accesses - left * tiles.row_accesses // row, banks) + min(stream, self.lead)
        late = max(0, served - last)
        first, last = first + ceil_div(late, count), last + late
        begin = max(self.written, first - stream, first + row - 1 - writes)

        def written(number: int, streamed: int) -> int:
            return max(begin + number * writes, streamed - stream + writes, streamed + row - 1)

        before = last - ceil_div(last - first, count - 1) if count > 1 else 0
        self.before_last = written(count - 1, before) if count > 1 else self.written
        self.written = written(count, last)
        self.first_tile = self.first_tile or first
        self.stream, self.streamed, self.writes = stream, last, self.writes + count * writes

    def _unshared(self, tiles: _Tiles) -> tuple[int, int]:
        """When the first and the last of the tiles have streamed if no bank holds them up. A tile begins when its weights are loaded,
        as the pass before it streams, and the tile before the last one is written.
        """
        count, stream, writes = tiles.count, tiles.stream, tiles.rows * tiles.row
        one, wait = tiles.body + stream, max(0, tiles.load - stream)
        first = max(self.streamed + max(0, tiles.load - self.stream), self.before_last) + one
        if count == 1:
            return first, first
        last = max(first + wait, self.written) + one + (count - 2) * (wait + one)
        if count > 2:  # they wait for each other
            first_written = max(self.written + writes, first - stream + writes, first + tiles.row - 1)
            last = max(last, first_written + (count - 3) * writes + one)
        return first, last

    def add_batches(self, batch: list[_Tiles], times: int, banks: int) -> None:
        """So many times the same tiles: those that are all alike count together, otherwise all go on like the second batch."""
        if len(batch) == 1:
            self.add(replace(batch[0], count=batch[0].count * times), banks)
            return
        for tiles in batch:
            self.add(tiles, banks)
        if times == 1:
            return
        streamed, written, writes, accesses = self.streamed, self.written, self.writes, self.accesses
        for tiles in batch:
            self.add(tiles, banks)
        more = (times - 2) * max(self.streamed - streamed, self.written - written)
        self.before_last += more
        self.written += more
        self.streamed += more
        self.writes, self.accesses = times * writes, times * accesses


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
    shape, accumulates = _shape(a, b), bool(flags & Flag.ACC)
    batch = [
        _alike(core, shape, row_count * n_count, (rows, n), (c, a, b, s), 1 + accumulates)
        for rows, row_count in _tiles(shape.m, core.mxu.accumulator_rows.value)
        for n, n_count in _tiles(shape.n, core.mxu.rows.value)
    ]
    flow = _Flow()
    flow.add_batches(batch, shape.batches, core.sram.banks.value)
    batches, macs = shape.batches, shape.batches * shape.m * shape.n * shape.k
    moved = batches * core.sram.bank_bytes.value
    k_passes = ceil_div(shape.k, core.mxu.columns.value)
    accumulator_bytes = 2 * ACCUMULATOR_BYTES * batches * shape.m * shape.n * k_passes
    accesses_c = sum(tiles.count * tiles.rows * tiles.row_accesses for tiles in batch) // (1 + accumulates)
    actions = [
        (mac_action(a.dtype, b.dtype), macs),
        (_A, moved * sum(tiles.count * tiles.accesses_a for tiles in batch)),
        (_B, moved * sum(tiles.count * tiles.accesses_b for tiles in batch)),
        (_C_WRITE, moved * accesses_c),
        (_ACCUMULATOR, accumulator_bytes),
    ]
    if accumulates:
        actions.append((_C, moved * accesses_c))
    computed = max(flow.streamed, flow.before_last)
    fill, drain = computed - flow.issued, flow.written - computed
    return MatrixCost(flow.issued, flow.lead, fill, drain, flow.first_tile, flow.writes, flow.accesses, tuple(actions))


def _alike(
    core: Core,
    shape: _Shape,
    count: int,
    size: tuple[int, int],
    operands: tuple[Descriptor, Descriptor, Descriptor, Descriptor | None],
    uses: int,
) -> _Tiles:
    """`count` tiles of this size, rows and columns of C, which is used so often. Weights are loaded while the pass before them streams."""
    (rows, n), (c, a, b, s) = size, operands
    beats = beats_per_row(core, a.dtype, b.dtype)
    load = body = stream = of_a = of_b = 0
    for k, k_count in _tiles(shape.k, core.mxu.columns.value):
        a_beats, a_banks = _a_access(core, a, k)
        weights = weight_access(core, b, s, n, k)
        if load:
            body += max(stream, weights.beats)
        load, stream = load or weights.beats, rows * max(beats, a_beats)
        body += (k_count - 1) * max(stream, weights.beats)
        of_a += k_count * rows * a_banks
        of_b += k_count * weights.bank_accesses
    c_beats, c_banks = _c_access(core, c, n)
    row = max(c_beats, ceil_div(uses * c_banks, core.sram.banks.value))
    return _Tiles(count, load, body, stream, of_a, of_b, rows, row, uses * c_banks)


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

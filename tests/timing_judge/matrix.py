"""MXU: passes of rows x columns weights. While one pass streams its rows of A, the weights of the next one are loaded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from isa.descriptor import Descriptor
from isa.machine import Machine
from isa.spec import BLOCK_ROWS, ELEMENT_BITS, FMT_BLOCKED, FMT_SPARSE, Dtype, Flag
from tests.timing_judge.core import NEVER
from tests.timing_judge.program import Work
from tests.timing_judge.sram import Banks, Beat, Piece, Port


@dataclass(frozen=True)
class Pass:
    """Weights [n0, n0 + n) x [k0, k0 + k) of a batch, k counting kept values, with the addresses of the rows of A and C
    that stream through.
    """

    batch: int
    n0: int
    n: int
    k0: int
    k: int
    a_rows: list[int]
    c_rows: list[int]
    is_last_k: bool


def passes_of(machine: Machine, c: Descriptor, a: Descriptor, b: Descriptor) -> Iterator[Pass]:
    """In order: batches, blocks of rows of A, rows of B, columns."""
    mxu = machine.core.mxu
    depth = a.extents[0] // 2 if b.fmt & FMT_SPARSE else a.extents[0]
    step_n, step_k, step_m = mxu.rows.value, mxu.columns.value, mxu.accumulator_rows.value
    for batch in range(b.extents[2]):
        batches = range(a.extents[2]) if b.extents[2] == 1 else range(batch, batch + 1)
        a_rows, c_rows = (_rows(td, batches) for td in (a, c))
        for m0 in range(0, len(a_rows), step_m):
            for n0 in range(0, b.extents[1], step_n):
                for k0 in range(0, depth, step_k):
                    n, k = min(step_n, b.extents[1] - n0), min(step_k, depth - k0)
                    rows = slice(m0, m0 + step_m)
                    yield Pass(batch, n0, n, k0, k, a_rows[rows], c_rows[rows], k0 + k == depth)


def _rows(td: Descriptor, batches: range) -> list[int]:
    _, e1, _, e3 = td.extents
    _, s1, s2, s3 = td.strides
    return [td.base + i1 * s1 + i2 * s2 + i3 * s3 for i3 in range(e3) for i2 in batches for i1 in range(e1)]


def row_pieces(td: Descriptor, start: int, first: int, count: int) -> list[Piece]:
    """Elements [first, first + count) of a plain row that begins at `start`."""
    if td.dtype == Dtype.I4:
        group = 1 << td.glog2
        touched = {i // group * (group // 2) + i % (group // 2) for i in range(first, first + count)}
        return _merged([Piece(start + byte, 1, 1) for byte in sorted(touched)])
    size, stride = ELEMENT_BITS[td.dtype] // 8, td.strides[0]
    if stride == size or count == 1:
        return [Piece(start + first * stride, count * size, count)]
    if stride == 0:
        return [Piece(start, size, count)]
    return [Piece(start + i * stride, size, 1, start + 1) for i in range(first, first + count)]


def weight_pieces(td: Descriptor, part: Pass, first: int, count: int) -> list[Piece]:
    """Elements [first, first + count) of the rows of a pass, of B or of its scales."""
    base = td.base + (part.batch * td.strides[2] if td.extents[2] > 1 else 0)
    rows = range(part.n0, part.n0 + part.n)
    s0, s1 = td.strides[0], td.strides[1]
    size = ELEMENT_BITS[td.dtype] // 8
    if td.fmt & FMT_BLOCKED:
        return _blocked_pieces(td, base, rows, first, count)
    if td.fmt & FMT_SPARSE:
        return _sparse_pieces(td, base, rows, first, count)
    if td.dtype != Dtype.I4 and count > 1 and s0 not in (0, size) and s1 == size:
        return _merged(
            [Piece(base + rows[0] * s1 + i * s0, part.n * size, part.n) for i in range(first, first + count)]
        )
    return _merged([piece for row in rows for piece in row_pieces(td, base + row * s1, first, count)])


def _blocked_pieces(td: Descriptor, base: int, rows: range, first: int, count: int) -> list[Piece]:
    """Whole blocks of 16 rows, as many groups of columns as are touched, back to back on the port."""
    if td.dtype in (Dtype.I8, Dtype.I4):
        group, group_bytes = (4 if td.dtype == Dtype.I8 else 8), 4 * BLOCK_ROWS
    else:
        group, group_bytes = 1, BLOCK_ROWS * ELEMENT_BITS[td.dtype] // 8
    low, high = first // group, (first + count - 1) // group + 1
    blocks = range(rows[0] // BLOCK_ROWS, rows[-1] // BLOCK_ROWS + 1)
    return [Piece(base + i * td.strides[1] + low * group_bytes, (high - low) * group_bytes, count) for i in blocks]


def _sparse_pieces(td: Descriptor, base: int, rows: range, first: int, count: int) -> list[Piece]:
    bits, kept = ELEMENT_BITS[td.dtype], td.extents[0] // 2
    pieces: list[Piece] = []
    for row in rows:
        start = base + row * td.strides[1]
        values = Piece(start + first * bits // 8, count * bits // 8, count)
        low, high = first // 4, (first + count - 1) // 4 + 1
        pieces += [values, Piece(start + kept * bits // 8 + low, high - low, 1)]
    if count < kept:  # the port takes the values of all rows, then the positions
        pieces = pieces[0::2] + pieces[1::2]
    return _merged(pieces)


def _merged(pieces: list[Piece]) -> list[Piece]:
    found: list[Piece] = []
    for piece in pieces:
        last = found[-1] if found else None
        if last is not None and not piece.row and last.address + last.size_bytes == piece.address:
            found[-1] = Piece(last.address, last.size_bytes + piece.size_bytes, last.elements + piece.elements)
        else:
            found.append(piece)
    return found


@dataclass(frozen=True)
class Row:
    """A row of C on its way, of the tile with this number."""

    tile: int
    port: Port


class MatrixTask:
    """One mm or mmg, after the `last` one. The unit takes the next instruction `fill` cycles before the last row has streamed,
    so that its first weights are loaded meanwhile. Its accumulators hold two tiles, one that streams and one that is written:
    rows of C are written in order by one port, and read by another one.
    """

    def __init__(self, machine: Machine, banks: Banks, work: Work, last: MatrixTask | None) -> None:
        self.released = self.visible = NEVER
        self._machine, self._banks, self._before = machine, banks, last
        self._unwritten = last  # the one before, as long as its C is on the way
        c, a, b, s = work.tds
        assert c is not None and a is not None and b is not None
        self._c, self._a, self._b, self._s = c, a, b, s
        self._accumulates = bool(work.flags & Flag.ACC)
        beats = machine.core.mxu.beats_per_row
        widest = max(ELEMENT_BITS[a.dtype], ELEMENT_BITS[b.dtype])
        self._beats = (beats.i8 if widest <= 8 else beats.f16 if widest == 16 else beats.f32).value
        self._latency = machine.core.mxu.latency.value
        self._passes = list(passes_of(machine, c, a, b))
        self._loaded = self._streaming = 0  # passes whose weights are there; the one that streams
        self._tile = 0  # the one that streams
        self._row, self._row_cycles = 0, 0
        self._a_port: Port | None = None
        self._load_port: Port | None = self._loader(0)
        self._results: list[Row] = []  # to be written
        self._sums: list[Row] = []  # to be read
        self._row_time = self._last_row_time()
        self._moved = [False, False]
        self._fill = min(sum(1 for _ in self._weight_beats(self._passes[0])), self._stream_time())

    def _loader(self, number: int) -> Port | None:
        if number >= len(self._passes):
            return None
        return Port(self._banks, self._weight_beats(self._passes[number]))

    def _weight_beats(self, part: Pass) -> Iterator[Beat]:
        width = self._machine.core.mxu.b_port_bytes.value
        b, blocked = self._b, FMT_BLOCKED
        yield from _port_beats(self._banks, weight_pieces(b, part, part.k0, part.k), width, bool(b.fmt & blocked))
        if self._s is not None:
            scale = 2 if b.fmt & FMT_SPARSE else 1
            first, last = part.k0 * scale >> b.glog2, (part.k0 + part.k) * scale - 1 >> b.glog2
            pieces = weight_pieces(self._s, part, first, last - first + 1)
            yield from _port_beats(self._banks, pieces, width, bool(self._s.fmt & blocked))

    def _last_row_time(self) -> int:
        """Cycles of a row of A in the last pass."""
        last, width = self._passes[-1], self._machine.core.mxu.a_port_bytes.value
        pieces = row_pieces(self._a, last.a_rows[0], last.k0, last.k)
        return max(self._beats, sum(1 for _ in self._banks.beats(pieces, width)))

    def _stream_time(self) -> int:
        """Cycles of the last pass."""
        return len(self._passes[-1].a_rows) * self._row_time

    def step(self, cycle: int) -> None:
        """Rows of C wait for all others, as there is room for them, unless several do. Of a pass that streams and the weights of
        the next one, the one that has more left to do asks for banks first.
        """
        self._moved = [len(rows) > 1 and self._step_rows(rows) for rows in (self._sums, self._results)]
        if self._load_is_behind():
            self._step_load()
            self._step_stream()
        else:
            self._step_stream()
            self._step_load()

    def _load_is_behind(self) -> bool:
        if self._load_port is None or not self._is_streaming():
            return False
        load, rows = self._load_port, len(self._passes[self._streaming].a_rows)
        return load.left * rows > (rows - self._row) * load.beats

    def settle(self, cycle: int) -> None:
        """What is done when all instructions have done their part of a cycle."""
        if self.visible != NEVER:
            return
        for rows, already in zip((self._sums, self._results), self._moved, strict=True):
            if not already:
                self._step_rows(rows)
        if self.released == NEVER and self._left() <= self._fill:
            self.released = cycle + 1
        if self.is_written:
            self.visible = cycle + 1 + self._latency
            self.released = min(self.released, cycle + 1)

    @property
    def is_written(self) -> bool:
        return self._streaming == len(self._passes) and not self._results and not self._sums

    def _is_first(self) -> bool:
        """Whether all older instructions have written their rows."""
        if self._unwritten is not None and self._unwritten.is_written:
            self._unwritten = None
        return self._unwritten is None

    def _step_rows(self, rows: list[Row]) -> bool:
        """The port of C goes on with the first of these rows; whether there was one."""
        if not rows or not self._is_first():
            return False
        if rows[0].port.step() and rows[0].port.is_done:
            rows.pop(0)
        return True

    def _tiles_on_the_way(self) -> int:
        """Tiles that have streamed and are not written, of this instruction and of older ones."""
        older = 0 if self._unwritten is None or self._is_first() else self._unwritten._tiles_on_the_way()
        return older + len({row.tile for row in (*self._results, *self._sums)})

    def _left(self) -> int:
        """Cycles until the last row has streamed, if it is in the last pass or that could begin."""
        if self._streaming < len(self._passes) - 1 or not self._may_stream():
            return NEVER
        if self._streaming == len(self._passes):
            return 0
        return max(1, self._stream_time() - self._row * self._row_time - self._row_cycles)

    def _step_load(self) -> None:
        """There is room for the weights of one pass beside those that stream."""
        if self._load_port is not None and self._loaded <= self._streaming + self._is_streaming():
            self._load_port.step()
            if self._load_port.is_done:
                self._loaded += 1
                self._load_port = self._loader(self._loaded)

    def _step_stream(self) -> None:
        """One row of A occupies the array for `beats` cycles, or as long as its port needs."""
        if self._streaming == len(self._passes) or not self._may_stream():
            return
        part = self._passes[self._streaming]
        if self._a_port is None:
            pieces = row_pieces(self._a, part.a_rows[self._row], part.k0, part.k)
            self._a_port = Port(self._banks, self._banks.beats(pieces, self._machine.core.mxu.a_port_bytes.value))
        self._row_cycles += 1
        if not self._a_port.is_done:
            self._a_port.step()
        if self._a_port.is_done and self._row_cycles >= self._beats:
            self._finish_row(part)

    def _is_streaming(self) -> bool:
        return self._row > 0 or self._a_port is not None

    def _may_stream(self) -> bool:
        """Whether there are weights, the array, and accumulators for the pass, if there is one left."""
        if self._streaming == len(self._passes) or self._is_streaming():
            return True
        begins_tile = self._passes[self._streaming].k0 == 0
        is_loaded = self._streaming < self._loaded
        return is_loaded and self._array_is_free() and not (begins_tile and self._tiles_on_the_way() > 1)

    def _array_is_free(self) -> bool:
        """Whether the instruction before has streamed its last row."""
        if self._before is not None and self._before._left() == 0:
            self._before = None
        return self._before is None

    def _finish_row(self, part: Pass) -> None:
        if part.is_last_k:
            pieces = row_pieces(self._c, part.c_rows[self._row], part.n0, part.n)
            beats = list(self._banks.beats(pieces, self._machine.core.mxu.c_port_bytes.value))
            self._results.append(Row(self._tile, Port(self._banks, beats)))
            if self._accumulates:
                self._sums.append(Row(self._tile, Port(self._banks, beats)))
        self._a_port, self._row_cycles = None, 0
        self._row += 1
        if self._row == len(part.a_rows):
            self._row, self._streaming = 0, self._streaming + 1
            self._tile += part.is_last_k


def _port_beats(banks: Banks, pieces: list[Piece], port_bytes: int, is_dense: bool) -> Iterator[Beat]:
    """Beats of pieces; blocked ones fill the port across their borders."""
    if not is_dense:
        yield from banks.beats(pieces, port_bytes)
        return
    words = [(piece.address + i) // banks.width for piece in pieces for i in range(piece.size_bytes)]
    for first in range(0, len(words), port_bytes):
        part = words[first : first + port_bytes]
        yield Beat(banks.rounds(dict.fromkeys(part)), len(part), len(part))

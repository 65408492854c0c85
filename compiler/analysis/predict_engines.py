"""What an engine instruction costs by itself: docs/timing.md, sections 4 to 6, in closed form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from compiler.analysis.predict_accesses import Pieces, PortUse, element_size, pieces_of, port_use
from compiler.analysis.predict_dram import DramForm
from compiler.analysis.predict_tiles import Alike, Tiles
from compiler.sizes import ceil_div
from isa.descriptor import Descriptor
from isa.machine import Machine
from isa.machine_core import Core
from isa.spec import BLOCK_ROWS, ELEMENT_BITS, FMT_BLOCKED, FMT_SPARSE, PACKED_4BIT, Region

DML, DMS, MXU, VPU = range(4)
ENGINE_NAMES = ("DML", "DMS", "MXU", "VPU")
CHEAP_FUNCTIONS = ("mov", "abs")
DIVISIONS = ("div", "sqrt")


@dataclass(frozen=True)
class EngineCost:
    """Cycles the engine is occupied; the first step computes `lead` after the start, the last until `fill` after the end;
    visible `latency` after the end. Shares of the SRAM banks and of the DRAM bus; bytes on the bus. Of a product: from the start
    until the first tile could be visible, and cycles of the port for results.
    """

    engine: int
    cycles: int
    lead: int = 0
    fill: int = 0
    latency: int = 0
    sram_share: float = 0.0
    dram_share: float = 0.0
    dram_bytes: int = 0
    first_tile: int = 0
    writes: int = 0


def tiles(total: int, size: int) -> Iterator[tuple[int, int]]:
    """(size, how many) of the whole tiles, then of the rest."""
    if total >= size:
        yield size, total // size
    if total % size:
        yield total % size, 1


def beats_per_row(core: Core, widest_bits: int) -> int:
    """Cycles for which a row of A occupies the array, by the bits of the wider operand's elements."""
    table = core.mxu.beats_per_row
    return (table.i8 if widest_bits <= 8 else table.f16 if widest_bits == 16 else table.f32).value


class EngineForms:
    """The closed forms for one machine."""

    def __init__(self, machine: Machine) -> None:
        self.core, self.dram = machine.core, DramForm(machine)
        self.bank_count = machine.core.sram.banks.value

    def shared(self, bank_accesses: int, cycles: int) -> float:
        return min(1.0, bank_accesses / (self.bank_count * cycles))

    def copy(self, inside: Descriptor, outside: Descriptor, *, write: bool) -> EngineCost:
        """A load or a store: the longer of the DRAM and its port."""
        moved, pieces = self.dram.moved(outside, write=write), pieces_of(inside)
        engine, dma = (DMS, self.core.dms) if write else (DML, self.core.dml)
        in_sram = inside.region == Region.SRAM
        use = port_use(pieces, (dma.port_bytes if in_sram else self.core.seq.smem_port_bytes).value, self.core.sram)
        banks = use.bank_accesses if in_sram else 0
        cycles = max(moved.cycles, use.cycles, ceil_div(banks, self.bank_count))
        return EngineCost(
            engine, cycles, latency=self.dram.latency[write], sram_share=self.shared(banks, cycles),
            dram_share=min(1.0, moved.bus_cycles / cycles), dram_bytes=moved.size_bytes,
        )  # fmt: skip

    # MXU

    def matrix(
        self, c: Descriptor, a: Descriptor, b: Descriptor, scales: Descriptor | None, accumulates: bool
    ) -> EngineCost:
        """mm and mmg: passes of rows x columns weights; those of the next one are loaded while one streams."""
        mxu = self.core.mxu
        batches = 1 if b.extents[2] == 1 else a.extents[2]
        m_total = a.extents[1] * a.extents[2] * a.extents[3] // batches
        batch = [
            self.alike(row_count * n_count, rows, n, (c, a, b, scales), 1 + accumulates)
            for rows, row_count in tiles(m_total, mxu.accumulator_rows.value)
            for n, n_count in tiles(b.extents[1], mxu.rows.value)
        ]
        pipe = Tiles(batch[0].load)
        pipe.add_batches(batch, batches, self.bank_count)
        computed = max(pipe.streamed, pipe.earlier)
        share = self.shared(pipe.accesses, max(pipe.issued, pipe.writes))
        latency = pipe.written - pipe.issued + mxu.latency.value
        first = pipe.first + mxu.latency.value
        return EngineCost(
            MXU, pipe.issued, pipe.lead, computed - pipe.issued, latency, share, first_tile=first, writes=pipe.writes
        )  # fmt: skip

    def alike(
        self,
        count: int,
        rows: int,
        n: int,
        operands: tuple[Descriptor, Descriptor, Descriptor, Descriptor | None],
        uses: int,
    ) -> Alike:
        """As many tiles of rows x n of C, which is used so often."""
        (c, a, b, scales), mxu = operands, self.core.mxu
        k_total = a.extents[0] // (2 if b.fmt & FMT_SPARSE else 1)
        load = body = stream = accesses = 0
        for k, k_count in tiles(k_total, mxu.columns.value):
            of_a = port_use(row_pieces(a, k), mxu.a_port_bytes.value, self.core.sram)
            of_b = self.weights(b, scales, n, k)
            body += max(stream, of_b.cycles) if load else 0
            load, stream = load or of_b.cycles, rows * max(self.beats(a, b), of_a.cycles)
            body += (k_count - 1) * max(stream, of_b.cycles)
            accesses += k_count * (rows * of_a.bank_accesses + of_b.bank_accesses)
        of_c = port_use(row_pieces(c, n), mxu.c_port_bytes.value, self.core.sram)
        of_row = uses * of_c.bank_accesses
        row = max(of_c.cycles, ceil_div(of_row, self.bank_count))
        return Alike(count, load, body, stream, rows * row, row, accesses, of_row)

    def beats(self, a: Descriptor, b: Descriptor) -> int:
        return beats_per_row(self.core, max(ELEMENT_BITS[a.dtype], ELEMENT_BITS[b.dtype]))

    def weights(self, b: Descriptor, scales: Descriptor | None, n: int, k: int) -> PortUse:
        """n rows of k stored weights and their scales, one behind the other on the B port."""
        pieces = sparse_pieces(b, n, k) if b.fmt & FMT_SPARSE else [weight_pieces(b, n, k)]
        if scales is not None:
            groups = ceil_div(k * (2 if b.fmt & FMT_SPARSE else 1), 1 << b.glog2)
            pieces.append(weight_pieces(scales, n, groups))
        uses = [port_use(piece, self.core.mxu.b_port_bytes.value, self.core.sram) for piece in pieces]
        return PortUse(sum(use.cycles for use in uses), sum(use.bank_accesses for use in uses))

    # VPU

    def vector(
        self, kind: str, elements: int, sources: Sequence[Descriptor], results: Sequence[Descriptor], reduces: bool
    ) -> EngineCost:
        """`kind`: simple, transcendental, softmax or division; `elements` pass through the lanes."""
        vpu = self.core.vpu
        per_step, steps = getattr(vpu.cycles, kind).value, ceil_div(elements, vpu.lanes.value)
        slowest, banks = [steps, steps], 0
        for side, operands in enumerate((sources, results)):
            for td in operands:
                in_smem = td.region == Region.SMEM
                port = self.core.seq.smem_port_bytes if in_smem else vpu.port_bytes
                use = port_use(pieces_of(td), port.value, self.core.sram)
                slowest[side] = max(slowest[side], use.cycles)
                banks += 0 if in_smem else use.bank_accesses
        read, written = (ceil_div(cycles, steps) for cycles in slowest)
        cycles = max(steps * per_step, *slowest, ceil_div(banks, self.bank_count))
        behind = read - 1 + per_step + written - 1 - max(read, per_step, written)
        latency = (vpu.reduction_latency if reduces else vpu.latency).value + behind
        fill = max(0, behind - (written - 1))
        return EngineCost(VPU, cycles, read - 1, fill, latency, self.shared(banks, cycles))


def vector_kind(op: str, function: str) -> str:
    """The class of a vector op by its mnemonic and function."""
    if op == "vsmx":
        return "softmax"
    if op == "vrng" or function in DIVISIONS:
        return "division"
    return "transcendental" if op == "vun" and function not in CHEAP_FUNCTIONS else "simple"


def row_pieces(td: Descriptor, length: int) -> Pieces:
    """A row of `length` elements of A or C."""
    size, stride = element_size(td), td.strides[0]
    if stride == size or length == 1:
        return Pieces(1, length * size)
    return Pieces(1, size) if stride == 0 else Pieces(length, size, abs(stride))


def weight_pieces(td: Descriptor, n: int, k: int) -> Pieces:
    """n rows of k weights as they are stored: blocked, packed, or along the dense one of the two dimensions."""
    if td.fmt & FMT_BLOCKED:
        return Pieces(1, ceil_div(n, BLOCK_ROWS) * replace(td, extents=(k, BLOCK_ROWS, 1, 1)).block_bytes())
    size, (along_k, along_n) = element_size(td), td.strides[:2]
    if td.dtype in PACKED_4BIT:
        group = 1 << td.glog2
        return adjacent(n, k // group * (group // 2) + min(k % group, group // 2), along_n)
    if along_k in (0, size) or k == 1:
        return adjacent(n, size if along_k == 0 else k * size, along_n)
    return adjacent(k, n * size, along_k) if along_n == size else Pieces(n * k, size, abs(along_k), n)


def adjacent(rows: int, row_bytes: int, pitch: int) -> Pieces:
    return Pieces(1, rows * row_bytes) if pitch == row_bytes else Pieces(rows, row_bytes)


def sparse_pieces(b: Descriptor, n: int, k: int) -> list[Pieces]:
    """2:4 sparse rows: k values and a quarter of it in bytes of positions, together if the pass takes whole rows."""
    values, positions = k * ELEMENT_BITS[b.dtype] // 8, ceil_div(k, 4)
    if 2 * k == b.extents[0]:
        return [adjacent(n, values + positions, b.strides[1])]
    return [Pieces(n, values), Pieces(n, positions)]

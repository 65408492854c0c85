"""What an engine instruction costs, whatever else is running: closed forms, memoised by everything they depend on."""

from __future__ import annotations

from dataclasses import dataclass

from isa.descriptor import Descriptor
from isa.machine import Machine
from isa.spec import READ_ONLY_REGIONS, TD_OPERANDS, Engine, Instruction, Region
from simulator.timing.actions import ACTION_INDEX
from simulator.timing.dram import Dram
from simulator.timing.mxu import matrix_cost
from simulator.timing.resource import share_of
from simulator.timing.sram import Access, access, ceil_div, runs_of
from simulator.timing.vpu import vector_cost

MAX_MEMOISED = 1 << 16
DRAM_GRANULE_BYTES = 64
SMEM_GRANULE_BYTES = 8
INDEX_BYTES = 4  # the descriptor of a vtopk list ends with its last value, the list with the index after it

Operands = tuple[Descriptor | None, Descriptor | None, Descriptor | None, Descriptor | None]


@dataclass(frozen=True, slots=True)
class Span:
    """One operand for the interlock: offsets of its bounding interval from the base of descriptor `operand`."""

    operand: int
    region: int
    low: int
    high: int
    granule: int
    write: bool


@dataclass(frozen=True, slots=True)
class Cost:
    """Cycles are those without contention; shares (of WHOLE) are the parts of the SRAM banks and of the DRAM bus used
    meanwhile. The unit computes from `lead` after the start to `fill` after the end, when it has taken the next instruction.
    Of products: from the start until the result of the first tile could be visible, and cycles of the port for results.
    """

    engine: int
    cycles: int
    lead: int
    fill: int
    latency: int
    sram_share: int
    dram_share: int
    dram_write: bool
    spans: tuple[Span, ...]
    actions: tuple[tuple[int, int], ...]
    first_tile: int = 0
    writes: int = 0


class CostModel:
    """Costs of instructions on one machine."""

    def __init__(self, machine: Machine) -> None:
        self._core = machine.core
        self.dram = Dram(machine)
        self._memo: dict[object, Cost] = {}

    def cost(self, row: Instruction, function: int, flags: int, tds: Operands) -> Cost:
        """The cost of one engine instruction with its descriptors (ta, tb, tc, td) as captured at dispatch.

        Raises ValueError for an engine that has no timing (PIM, NET).
        """
        period = self.dram.period_bytes
        key = (
            row.opcode,
            function,
            flags,
            *(
                td
                and (int(td.region), int(td.dtype), td.extents, td.strides, td.glog2, td.fmt)
                + ((td.base % period,) if td.region < Region.SRAM else ())
                for td in tds
            ),
        )
        found = self._memo.get(key)
        if found is None:
            if len(self._memo) >= MAX_MEMOISED:
                self._memo.clear()
            found = self._memo[key] = self.computed(row, function, flags, tds)
        return found

    def computed(self, row: Instruction, function: int, flags: int, tds: Operands) -> Cost:
        """The same, worked out again. The DRAM operand counts modulo `dram.period_bytes`, other bases do not."""
        ta, tb, tc, td = tds
        spans = _spans(row, tds)
        banks = self._core.sram.banks.value
        if row.engine in (Engine.DML, Engine.DMS):
            assert ta is not None and tb is not None
            return self._copy(row, ta, tb, spans)
        if row.engine == Engine.MXU:
            assert ta is not None and tb is not None and tc is not None
            matrix = matrix_cost(self._core, flags, ta, tb, tc, td)
            # Results that are written when the unit has taken the next instruction take their banks then.
            share = share_of(matrix.bank_accesses, banks * max(matrix.cycles, matrix.writes))
            unit_latency = self._core.mxu.latency.value
            return Cost(
                row.engine,
                matrix.cycles,
                matrix.lead,
                matrix.fill,
                matrix.fill + matrix.drain + unit_latency,
                share,
                0,
                False,
                spans,
                matrix.actions,
                matrix.first_tile + unit_latency,
                matrix.writes,
            )
        if row.engine == Engine.VPU:
            operands = {name: td for name, td in zip(TD_OPERANDS, tds, strict=True) if td is not None}
            vector = vector_cost(self._core, row, function, operands)
            share = share_of(vector.bank_accesses, banks * vector.cycles)
            return Cost(
                row.engine,
                vector.cycles,
                vector.lead,
                vector.fill,
                vector.latency,
                share,
                0,
                False,
                spans,
                vector.actions,
            )
        raise ValueError(f"{row.mnemonic}: engine {Engine(row.engine).name} has no timing model")

    def _copy(self, row: Instruction, ta: Descriptor, tb: Descriptor, spans: tuple[Span, ...]) -> Cost:
        """ld and st: the slower of the DRAM and the scratchpad port, which work at the same time."""
        write = row.engine == Engine.DMS
        outside, inside = (ta, tb) if write else (tb, ta)
        transfer = self.dram.transfer(outside, write=write)
        port_access, local_action = self._inside(inside, write)
        cycles = max(transfer.cycles, port_access.beats)
        direction = "write" if write else "read"
        burst_bytes = self.dram.burst_bytes
        actions = (
            local_action,
            (ACTION_INDEX["dram.activate"], transfer.activates),
            (ACTION_INDEX["dram.burst"], transfer.bursts),
            (ACTION_INDEX["dram.row_hit"], transfer.row_hits),
            (ACTION_INDEX[f"dram.{direction}"], transfer.bursts * burst_bytes),
            (ACTION_INDEX[f"{direction}.{Region(outside.region).name}"], runs_of(outside).size_bytes),
        )
        in_sram = inside.region == Region.SRAM
        share = share_of(port_access.bank_accesses, self._core.sram.banks.value * cycles) if in_sram else 0
        latency = self.dram.write_latency if write else self.dram.read_latency
        bus_share = share_of(transfer.bus_cycles, cycles)
        return Cost(row.engine, cycles, 0, 0, latency, share, bus_share, write, spans, actions)

    def _inside(self, td: Descriptor, write: bool) -> tuple[Access, tuple[int, int]]:
        """The on-chip side of a copy: port cycles, and the action it counts as."""
        runs, core = runs_of(td), self._core
        if td.region == Region.SMEM:
            return access(runs, core.seq.smem_port_bytes.value, core.sram), (ACTION_INDEX["smem"], runs.size_bytes)
        engine = core.dms if write else core.dml
        cost = access(runs, engine.port_bytes.value, core.sram)
        beats = max(cost.beats, ceil_div(cost.bank_accesses, core.sram.banks.value))
        name = "sram_read.dms" if write else "sram_write.dml"
        counted = (ACTION_INDEX[name], cost.bank_accesses * core.sram.bank_bytes.value)
        return Access(beats, cost.bank_accesses), counted


def _spans(row: Instruction, tds: Operands) -> tuple[Span, ...]:
    """The intervals the interlock compares. Regions nobody can write are exempt; a written operand counts once."""
    spans: list[Span] = []
    for index, (name, td) in enumerate(zip(TD_OPERANDS, tds, strict=True)):
        write = name in row.writes
        if td is None or td.region in READ_ONLY_REGIONS or not (write or name in row.reads):
            continue
        low, high = td.interval()
        if row.mnemonic == "vtopk" and write:
            high += INDEX_BYTES
        granule = SMEM_GRANULE_BYTES if td.region == Region.SMEM else DRAM_GRANULE_BYTES
        spans.append(Span(index, int(td.region), low - td.base, high - td.base, granule, write))
    return tuple(spans)

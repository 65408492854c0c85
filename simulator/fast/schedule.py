"""When an engine instruction runs: the rules of simulator/timing/ (docs/timing.md), on arrays."""

from __future__ import annotations

from isa.spec import Engine, Region
from simulator.fast.compiled import compiled, inlined
from simulator.fast.counts import record
from simulator.fast.layout import (
    ENGINE_COUNT,
    MAX_CYCLE,
    RINGS,
    Access,
    Block,
    Core,
    Cost,
    Exit,
    Form,
    Operand,
    Profile,
)
from simulator.fast.sharing import has_room, place
from simulator.fast.turnaround import extra_cycles, remember_transfer, transfers_have_room

FIRST_ENGINE = int(Engine.DML)
SMEM = int(Region.SMEM)
READS = ENGINE_COUNT
"""The first ring of reads: writes of each engine come first, then reads of each."""

LIMIT, GROW = int(Exit.LIMIT), int(Exit.GROW)


@compiled
def blocked(s: Block, low: int, high: int, write: int, until: int, by: int) -> tuple[int, int]:
    """(cycle, engine) until which, and by which, an access is held up, if that is later than `until`; else (until, by).

    Of several that finish together the oldest counts, writes before reads. A ring is searched from its newest access
    on, as far as something can still finish that late.
    """
    accesses, mask = s.accesses, s.core[Core.RING_MASK]
    start, first = until, s.core[Core.SEQUENCE]
    for ring in range(RINGS if write else READS):
        if ring == READS:
            first = -1  # a read never comes before a write that finishes with it
        if s.ring_peaks[ring] <= start:
            continue
        for age in range(1, min(s.ring_ends[ring], mask + 1) + 1):
            at = s.ring_ends[ring] - age & mask
            if accesses[ring, at, Access.PEAK] <= start or accesses[ring, at, Access.PEAK] < until:
                break
            if accesses[ring, at, Access.LOW] >= high or low >= accesses[ring, at, Access.HIGH]:
                continue
            finish, order = accesses[ring, at, Access.FINISH], accesses[ring, at, Access.ORDER]
            if finish > until or (finish == until and until > start and order < first):
                until, first, by = finish, order, ring % ENGINE_COUNT + FIRST_ENGINE
    return until, by


@compiled
def add_access(s: Block, ring: int, low: int, high: int, finish: int) -> None:
    """Records an access that is over at `finish`."""
    end, mask = s.ring_ends[ring], s.core[Core.RING_MASK]
    at = end & mask
    peak = max(finish, s.ring_peaks[ring])
    s.ring_peaks[ring] = peak
    s.accesses[ring, at, Access.FINISH] = finish
    s.accesses[ring, at, Access.PEAK] = peak
    s.accesses[ring, at, Access.LOW] = low
    s.accesses[ring, at, Access.HIGH] = high
    s.accesses[ring, at, Access.ORDER] = s.core[Core.SEQUENCE]
    s.core[Core.SEQUENCE] += 1
    s.ring_ends[ring] = end + 1


@inlined
def rings_have_room(s: Block, form: int, now: int) -> bool:
    """Whether no access that can still matter would be overwritten."""
    engine = s.forms[form, Form.ENGINE] - FIRST_ENGINE
    capacity, operands = s.core[Core.RING_MASK] + 1, s.forms[form, Form.OPERANDS]
    for ring in (engine, engine + READS):
        last = s.ring_ends[ring] + operands - 1 - capacity  # the newest one to be overwritten
        if last >= 0 and s.accesses[ring, last & capacity - 1, Access.PEAK] > now:
            return False
    return True


@compiled
def schedule(s: Block, form: int, cost: int) -> int:
    """Dispatches an engine instruction, finds its start and its end, and records it. Returns 0 or an Exit."""
    forms, core, profile = s.forms, s.core, s.profile
    engine, now = forms[form, Form.ENGINE], core[Core.NOW]
    if max(now, profile[engine, Profile.FREE]) > MAX_CYCLE or core[Core.FULL] != 0:
        return LIMIT
    if not rings_have_room(s, form, now):
        return GROW
    if not (has_room(s, now) and transfers_have_room(s, now)):
        return LIMIT
    head = profile[engine, Profile.HEAD]
    dispatch = max(now, s.starts[engine, head])  # a full queue stalls SEQ until its oldest instruction starts
    core[Core.QUEUE_FULL + engine] += dispatch - now
    core[Core.NOW] = dispatch  # the loop adds the cycle of the instruction
    start = start_of(s, form, engine, dispatch)
    s.starts[engine, head] = start
    profile[engine, Profile.HEAD] = head + 1 if head + 1 < core[Core.QUEUE_DEPTH] else 0
    # The first step of the unit comes after the last one of the instruction before.
    cycles = s.costs[cost, Cost.CYCLES] + max(0, profile[engine, Profile.COMPUTED] - start - s.costs[cost, Cost.LEAD])
    if s.costs[cost, Cost.DRAM_SHARE] > 0:
        cycles += extra_cycles(s, start, s.costs[cost, Cost.DRAM_WRITE])
    end = place(s, start, cycles, s.costs[cost, Cost.SRAM_SHARE], s.costs[cost, Cost.DRAM_SHARE])
    if s.costs[cost, Cost.DRAM_SHARE] > 0:
        remember_transfer(s, start, end, s.costs[cost, Cost.DRAM_WRITE])
    record_accesses(s, form, engine, end + forms[form, Form.LATENCY])
    record(s, engine, cost, start, end)
    profile[engine, Profile.COMPUTED] = end + s.costs[cost, Cost.FILL]
    return 0


@inlined
def start_of(s: Block, form: int, engine: int, dispatch: int) -> int:
    """The cycle the engine starts: after dispatch, after its own previous instruction, after conflicts."""
    ready = max(dispatch, s.profile[engine, Profile.FREE])
    start, blocker = ready, -1
    for number in range(s.forms[form, Form.OPERANDS]):
        at = Form.OPERAND + number * Operand.LENGTH
        if s.forms[form, at + Operand.GRANULE] > 0:
            write = s.forms[form, at + Operand.WRITE]
            start, blocker = blocked(s, s.lows[number], s.highs[number], write, start, blocker)
    if blocker >= 0:
        s.profile[engine, Profile.INTERLOCK + blocker] += start - ready
    return start


@inlined
def record_accesses(s: Block, form: int, engine: int, finish: int) -> None:
    """The operands are accessed until `finish`."""
    for number in range(s.forms[form, Form.OPERANDS]):
        at = Form.OPERAND + number * Operand.LENGTH
        if s.forms[form, at + Operand.GRANULE] > 0:
            ring = engine - FIRST_ENGINE + (0 if s.forms[form, at + Operand.WRITE] else READS)
            add_access(s, ring, s.lows[number], s.highs[number], finish)
            if s.forms[form, at + Operand.REGION] == SMEM:
                s.core[Core.SMEM_HORIZON] = max(s.core[Core.SMEM_HORIZON], finish)
    s.core[Core.FRONTIER] = max(s.core[Core.FRONTIER], finish)

"""When an engine instruction runs: the rules of simulator/timing/ (docs/timing.md), on arrays."""

from __future__ import annotations

from isa.spec import Engine, Region
from simulator.fast.compiled import compiled, inlined
from simulator.fast.counts import record
from simulator.fast.interlock import READS, WRITES, add_access, conflict
from simulator.fast.layout import MAX_ACCESSES, MAX_CYCLE, Block, Core, Cost, Exit, Form, Operand, Profile
from simulator.fast.sharing import has_room as shares_have_room
from simulator.fast.sharing import place
from simulator.fast.slots import GROUP, GROUPS
from simulator.fast.turnaround import extra_cycles, remember_transfer

STORES = int(Engine.DMS)
SMEM = int(Region.SMEM)
LIMIT = int(Exit.LIMIT)


@inlined
def has_room(s: Block) -> bool:
    """Whether the lists have room for what one instruction adds to them."""
    longest = max(s.access_use[READS, GROUPS], s.access_use[WRITES, GROUPS])
    return GROUP * (longest + 1) <= MAX_ACCESSES and shares_have_room(s)


@compiled
def schedule(s: Block, form: int, cost: int) -> int:
    """Dispatches an engine instruction, finds its start and its end, and records it. Returns 0 or an Exit."""
    forms, core, profile = s.forms, s.core, s.profile
    engine, now = forms[form, Form.ENGINE], core[Core.NOW]
    if max(now, profile[engine, Profile.FREE]) > MAX_CYCLE or core[Core.FULL] != 0:
        return LIMIT
    if not has_room(s):
        return LIMIT
    head = profile[engine, Profile.HEAD]
    dispatch = max(now, s.starts[engine, head])  # a full queue stalls SEQ until its oldest instruction starts
    core[Core.QUEUE_FULL + engine] += dispatch - now
    core[Core.NOW] = dispatch  # the loop adds the cycle of the instruction
    start = start_of(s, form, engine, dispatch)
    s.starts[engine, head] = start
    profile[engine, Profile.HEAD] = head + 1 if head + 1 < core[Core.QUEUE_DEPTH] else 0
    cycles = s.costs[cost, Cost.CYCLES] + held_up(s, engine, cost, start)
    sram_share, dram_share = s.costs[cost, Cost.SRAM_SHARE], s.costs[cost, Cost.DRAM_SHARE]
    write = 1 if engine == STORES else 0
    if dram_share > 0:
        cycles += extra_cycles(s, start, write)
    in_flight = core[Core.WRITE_IN_FLIGHT] if write else core[Core.READ_IN_FLIGHT]
    end = place(s, start, cycles, sram_share, dram_share, in_flight, dispatch)
    if dram_share > 0:
        remember_transfer(s, start, end, write)
    finish = end + forms[form, Form.LATENCY]
    if s.costs[cost, Cost.WRITES] > 0:  # one port writes the results of all products, in order
        finish = core[Core.PRODUCTS] = max(finish, core[Core.PRODUCTS] + s.costs[cost, Cost.WRITES])
    record_accesses(s, form, engine, finish, dispatch)
    record(s, engine, cost, start, end)
    profile[engine, Profile.COMPUTED] = end + s.costs[cost, Cost.FILL]
    return 0


@inlined
def start_of(s: Block, form: int, engine: int, dispatch: int) -> int:
    """The cycle the engine starts: after dispatch, after its own previous instruction, after conflicts."""
    ready = max(dispatch, s.profile[engine, Profile.FREE])
    start, by = conflict(s, form)
    if start <= ready:
        return ready
    s.profile[engine, Profile.INTERLOCK + by] += start - ready
    return start


@inlined
def held_up(s: Block, engine: int, cost: int, start: int) -> int:
    """Cycles by which the first step of the unit would come before the last one of the instruction before, or the first tile of a
    product before the results of older ones.
    """
    late = max(0, s.profile[engine, Profile.COMPUTED] - start - s.costs[cost, Cost.LEAD])
    if s.costs[cost, Cost.WRITES] > 0:
        late = max(late, s.core[Core.PRODUCTS] - start - s.costs[cost, Cost.FIRST_TILE])
    return late


@inlined
def record_accesses(s: Block, form: int, engine: int, finish: int, now: int) -> None:
    """The operands are accessed until `finish`."""
    for number in range(s.forms[form, Form.OPERANDS]):
        at = Form.OPERAND + number * Operand.LENGTH
        if s.forms[form, at + Operand.GRANULE] > 0:
            add_access(s, engine, s.lows[number], s.highs[number], s.forms[form, at + Operand.WRITE], finish, now)
            if s.forms[form, at + Operand.REGION] == SMEM:
                s.core[Core.SMEM_HORIZON] = max(s.core[Core.SMEM_HORIZON], finish)
    s.core[Core.FRONTIER] = max(s.core[Core.FRONTIER], finish)

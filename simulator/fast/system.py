"""The rare instructions of the compiled loop: SMEM accesses, marks, and what stops it."""

from __future__ import annotations

from typing import Any

from simulator.fast.compiled import compiled
from simulator.fast.counts import bring_up_to_date
from simulator.fast.descriptors import load_descriptor
from simulator.fast.interlock import ENGINE_BITS, READS, WRITES, latest
from simulator.fast.layout import ADDRESS_BITS, FIRST_TOTAL, LOG_ROWS, Block, Core, Exit, Ints, Profile
from simulator.fast.program_layout import Op
from simulator.fast.scalar import load, smem_place, store
from simulator.fast.schedule import SMEM
from simulator.reference.scalar import TD_LD_ALIGNMENT
from simulator.timing.actions import ACTION_INDEX
from simulator.timing.costs import SMEM_GRANULE_BYTES
from simulator.timing.parts import FIRST_ACTION, FIRST_BUSY
from simulator.timing.profile import ENGINE_SLOTS

SMEM_ACTION = ACTION_INDEX["smem"]
EVENT, HALT, FAULT, LOG = int(Exit.EVENT), int(Exit.HALT), int(Exit.FAULT), int(Exit.LOG)


@compiled
def system(s: Block, values: Ints, i: Any) -> int:
    """Executes an instruction. Returns 0, or an Exit; unless that is EVENT or HALT, nothing was done."""
    op, core = i.op, s.core
    if op <= Op.STS:
        return access_smem(s, values, i)
    if op == Op.MARK:
        return mark(s, values, i)
    if op == Op.YIELD:
        core[Core.EVENT_KIND], core[Core.EVENT_VALUE] = i.imm, values[i.rs]
        return EVENT
    if op == Op.HALT:
        waited = max(core[Core.FRONTIER] - core[Core.NOW], 0)
        core[Core.HALT_WAIT] += waited
        core[Core.NOW] += waited
        return HALT
    return FAULT


@compiled
def access_smem(s: Block, values: Ints, i: Any) -> int:
    """lds, sts, tdld: waits for older conflicting engine instructions. `kind`: log2 of the bytes."""
    width, place = 1 << i.kind, values[i.rs] + i.imm
    is_td = i.op == Op.TDLD
    if not smem_place(place, width, TD_LD_ALIGNMENT if is_td else width):
        return FAULT
    smem = s.memories[SMEM, 0]
    if is_td and not load_descriptor(s.tds, i.ta, smem + place):
        return FAULT
    if i.op == Op.LDS:
        values[i.rd] = load(smem, place, i.kind)
    elif i.op == Op.STS:
        store(smem, place, i.kind, values[i.b])
        s.core[Core.EPOCH] += 1
    s.actions[SMEM_ACTION] += width
    if s.core[Core.SMEM_HORIZON] > s.core[Core.NOW]:
        wait_for_smem(s, place, width, 1 if i.op == Op.STS else 0)
    return 0


@compiled
def wait_for_smem(s: Block, place: int, width: int, write: int) -> None:
    """Stalls SEQ until nobody older accesses these bytes in a conflicting way."""
    low = place & -SMEM_GRANULE_BYTES
    high = place + width + SMEM_GRANULE_BYTES - 1 & -SMEM_GRANULE_BYTES
    low, high, now = low | SMEM << ADDRESS_BITS, high | SMEM << ADDRESS_BITS, s.core[Core.NOW]
    stamp, _ = latest(s, WRITES, low, high)
    if write != 0:
        stamp = max(stamp, latest(s, READS, low, high)[0])
    until = max(now, stamp >> ENGINE_BITS)
    s.core[Core.SMEM_WAIT] += until - now
    s.core[Core.NOW] = until


@compiled
def mark(s: Block, values: Ints, i: Any) -> int:
    """Notes the totals behind this instruction."""
    core, row = s.core, s.core[Core.LOGGED]
    if row == LOG_ROWS:
        return LOG
    bring_up_to_date(s)
    s.log[row, 0], s.log[row, 1] = i.imm, values[i.rs]
    s.log[row, FIRST_TOTAL] = max(core[Core.NOW] + 1, core[Core.FRONTIER])
    stalled = core[Core.SMEM_WAIT] + core[Core.HALT_WAIT]
    for engine in range(ENGINE_SLOTS):
        stalled += core[Core.QUEUE_FULL + engine]
        s.log[row, FIRST_TOTAL + FIRST_BUSY + engine] = s.profile[engine, Profile.BUSY]
    s.log[row, FIRST_TOTAL + 1] = core[Core.NOW] + 1 - stalled
    for action in range(s.actions.size):
        s.log[row, FIRST_TOTAL + FIRST_ACTION + action] = s.actions[action]
    core[Core.LOGGED] = row + 1
    return 0

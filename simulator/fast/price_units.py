"""What vector instructions cost: the rules of simulator/timing/vpu.py on arrays.

Prices are written to a row of `costs`; the latency until the result is visible is returned.
"""

from __future__ import annotations

from isa.spec import Region
from simulator.fast.compiled import compiled, inlined
from simulator.fast.layout import Block, Cost, Form, Ints, Operand
from simulator.fast.price_access import access, ceil_div, elements_of, runs_of
from simulator.fast.price_layout import Number, Rule, Shape
from simulator.timing.actions import ACTION_INDEX
from simulator.timing.resource import WHOLE

READ, WRITE = ACTION_INDEX["sram_read.vpu"], ACTION_INDEX["sram_write.vpu"]
VECTOR, SMEM_ACTION = ACTION_INDEX["vpu.simple"], ACTION_INDEX["smem"]
SMEM = int(Region.SMEM)
MAX_SHARED = 1 << 42
"""Bank accesses or cycles of which a share can be worked out in 64 bits."""


@inlined
def share_of(used: int, capacity: int) -> int:
    return min(WHOLE, max(used * WHOLE // capacity, 1 if used > 0 else 0))


@inlined
def add_action(cost: Ints, action: int, count: int) -> None:
    at = Cost.ACTION + 2 * cost[Cost.ACTIONS]
    cost[at], cost[at + 1] = action, count
    cost[Cost.ACTIONS] += 1


@compiled
def price_vector(s: Block, form: int, cost: Ints) -> int:
    """Each operand has a port of its own. -1: too much for 64 bits."""
    forms, machine = s.forms, s.machine
    is_reduction = forms[form, Form.RULE] == Rule.REDUCTION
    elements = elements_of(s.shapes[1 if is_reduction else 0])
    steps, per_step = ceil_div(elements, machine[Number.LANES]), machine[Number.STEP + forms[form, Form.ACTION]]
    reads, writes, smem_bytes, read_banks, write_banks = steps, steps, 0, 0, 0
    for number in range(forms[form, Form.OPERANDS]):
        at = Form.OPERAND + number * Operand.LENGTH
        beats, banks, size_bytes = vector_access(s, number)
        if forms[form, at + Operand.LOADED] != 0:
            reads, read_banks, smem_bytes = max(reads, beats), read_banks + banks, smem_bytes + size_bytes
        if forms[form, at + Operand.STORED] != 0:
            writes, write_banks, smem_bytes = max(writes, beats), write_banks + banks, smem_bytes + size_bytes
    banks = read_banks + write_banks
    cycles = max(max(steps * per_step, ceil_div(banks, machine[Number.BANKS])), max(reads, writes))
    if max(banks, cycles) > MAX_SHARED:
        return -1
    first_read, last_write = ceil_div(reads, steps), ceil_div(writes, steps)
    behind = first_read - 1 + per_step + last_write - 1 - max(first_read, max(per_step, last_write))
    cost[Cost.CYCLES], cost[Cost.LEAD], cost[Cost.FILL] = cycles, first_read - 1, max(0, behind - last_write + 1)
    cost[Cost.SRAM_SHARE] = share_of(banks, machine[Number.BANKS] * cycles)
    add_action(cost, VECTOR + forms[form, Form.ACTION], elements)
    for action, count in (
        (READ, read_banks * machine[Number.BANK_BYTES]),
        (WRITE, write_banks * machine[Number.BANK_BYTES]),
        (SMEM_ACTION, smem_bytes),
    ):
        if count > 0:
            add_action(cost, action, count)
    return behind + machine[Number.REDUCTION_LATENCY if is_reduction else Number.VPU_LATENCY]


@compiled
def vector_access(s: Block, number: int) -> tuple[int, int, int]:
    """(beats, bank accesses in SRAM, bytes in SMEM) of an operand."""
    count, run_bytes, stride, rows, pitch = runs_of(s.shapes[number])
    if s.shapes[number, Shape.REGION] == SMEM:
        beats, _ = access(s, count, run_bytes, stride, rows, pitch, s.machine[Number.SMEM_PORT])
        return beats, 0, count * run_bytes
    beats, banks = access(s, count, run_bytes, stride, rows, pitch, s.machine[Number.VPU_PORT])
    return beats, banks, 0

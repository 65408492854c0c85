"""What products and vector instructions cost: the rules of simulator/timing/mxu.py and vpu.py on arrays.

Prices are written to a row of `costs`; the latency until the result is visible is returned.
"""

from __future__ import annotations

from isa.spec import FMT_SPARSE, Region
from simulator.fast.compiled import compiled, inlined
from simulator.fast.layout import Block, Cost, Form, Ints, Operand
from simulator.fast.price_access import access, ceil_div, elements_of, runs_of, weight_access
from simulator.fast.price_layout import Flow, Number, Rule, Shape
from simulator.timing.actions import ACTION_INDEX
from simulator.timing.mxu import ACCUMULATOR_BYTES
from simulator.timing.resource import WHOLE

A, B, C = (ACTION_INDEX[f"sram_read.mxu_{name}"] for name in "abc")
C_WRITE, ACCUMULATOR = ACTION_INDEX["sram_write.mxu_c"], ACTION_INDEX["accumulator"]
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


@inlined
def tile(total: int, size: int, number: int) -> tuple[int, int]:
    """(size, how many) of the full tiles, number 0, or of the rest, number 1."""
    return (size, total // size) if number == 0 else (total % size, 1 if total % size > 0 else 0)


@compiled
def price_product(s: Block, form: int, cost: Ints, has_scales: bool) -> int:
    """C, A, B and scales are operands 0 to 3. -1: too much for 64 bits."""
    m, n, k, batches = product_shape(s)
    machine, sums = s.machine, s.sums
    beats, accumulates = beats_of_row(s), s.forms[form, Form.ACCUMULATES]
    for place in range(sums.size):
        sums[place] = 0
    for row_tile in range(2):
        rows, row_count = tile(m, machine[Number.ACCUMULATOR_ROWS], row_tile)
        for n_tile in range(2):
            columns, n_count = tile(n, machine[Number.MXU_ROWS], n_tile)
            if row_count * n_count > 0:
                add_tiles(s, row_count * n_count, rows, columns, k, beats, has_scales, 1 + accumulates)
    repeat_tiles(sums, batches)
    cycles, writes = sums[Flow.ISSUED], sums[Flow.WRITES]
    banks_a, banks_b, banks_c = sums[Flow.BANKS_A], sums[Flow.BANKS_B], sums[Flow.BANKS_C]
    banks = batches * sums[Flow.ACCESSES]
    if max(banks, max(cycles, sums[Flow.WRITTEN])) > MAX_SHARED:
        return -1
    cost[Cost.CYCLES], cost[Cost.LEAD] = cycles, sums[Flow.LEAD]
    cost[Cost.FILL] = max(sums[Flow.STREAMED], sums[Flow.BEFORE_LAST]) - cycles
    cost[Cost.FIRST_TILE], cost[Cost.WRITES] = sums[Flow.FIRST_TILE] + machine[Number.MXU_LATENCY], writes
    cost[Cost.SRAM_SHARE] = share_of(banks, machine[Number.BANKS] * max(cycles, writes))
    width = batches * machine[Number.BANK_BYTES]
    k_passes = ceil_div(k, machine[Number.MXU_COLUMNS])
    add_action(cost, s.forms[form, Form.ACTION], batches * m * n * k)
    add_action(cost, A, banks_a * width)
    add_action(cost, B, banks_b * width)
    add_action(cost, C_WRITE, banks_c * width)
    add_action(cost, ACCUMULATOR, 2 * ACCUMULATOR_BYTES * batches * m * n * k_passes)
    if accumulates:
        add_action(cost, C, banks_c * width)
    return sums[Flow.WRITTEN] - cycles + machine[Number.MXU_LATENCY]


@inlined
def product_shape(s: Block) -> tuple[int, int, int, int]:
    """(m, n, k, batches)."""
    a, b = s.shapes[1], s.shapes[2]
    k, n = a[Shape.E0], b[Shape.E1]
    if b[Shape.FORMAT] & FMT_SPARSE:
        k = k // 2
    if b[Shape.E2] == 1:
        return a[Shape.E1] * a[Shape.E2] * a[Shape.E3], n, k, 1
    return a[Shape.E1] * a[Shape.E3], n, k, a[Shape.E2]


@inlined
def beats_of_row(s: Block) -> int:
    """Cycles one row of A occupies the array: the rate of the wider type."""
    widest = max(s.shapes[1, Shape.BITS], s.shapes[2, Shape.BITS])
    place = Number.BEATS_8 if widest <= 8 else Number.BEATS_16 if widest == 16 else Number.BEATS_32
    return s.machine[place]


@compiled
def add_tiles(s: Block, tiles: int, rows: int, columns: int, k: int, beats: int, has_scales: bool, c_uses: int) -> None:
    """Equal tiles of C of so many rows and columns; C is used `c_uses` times."""
    sums, stream, streamed, banks = s.sums, 0, 0, 0
    for k_tile in range(2):
        terms, k_count = tile(k, s.machine[Number.MXU_COLUMNS], k_tile)
        if k_count > 0:
            a_beats, a_banks = row_access(s, 1, terms, s.machine[Number.A_PORT])
            b_beats, b_banks = weight_access(s, has_scales, columns, terms)
            stream = rows * max(beats, a_beats)
            sums[Flow.LEAD] = sums[Flow.LEAD] if sums[Flow.LEAD] > 0 else b_beats
            streamed += k_count * max(stream, b_beats)
            sums[Flow.BANKS_A] += tiles * k_count * rows * a_banks
            sums[Flow.BANKS_B] += tiles * k_count * b_banks
            banks += k_count * (rows * a_banks + b_banks)
    c_beats, c_banks = row_access(s, 0, columns, s.machine[Number.C_PORT])
    sums[Flow.BANKS_C] += tiles * rows * c_banks
    row = max(c_beats, ceil_div(c_uses * c_banks, s.machine[Number.BANKS]))
    sums[Flow.ACCESSES] += tiles * (banks + rows * c_uses * c_banks)
    served = sums[Flow.ACCESSES] - unwritten(sums, tiles, streamed, stream, rows * row) * c_uses * c_banks // row
    issued = max(sums[Flow.ISSUED] + tiles * streamed, ceil_div(served, s.machine[Number.BANKS]))
    add_flow(sums, tiles, issued, stream, rows * row, row)


@inlined
def unwritten(sums: Ints, tiles: int, cycles: int, stream: int, writes: int) -> int:
    """Cycles of the port for C that are left when the last of these tiles has streamed, if no bank holds it up."""
    behind = min(stream, sums[Flow.LEAD])
    begin = max(sums[Flow.WRITTEN], sums[Flow.ISSUED] + cycles + behind - stream)
    left = begin + tiles * writes - sums[Flow.ISSUED] - tiles * cycles - behind
    return max(0, max(left, writes - stream))


@compiled
def add_flow(sums: Ints, tiles: int, issued: int, stream: int, writes: int, row: int) -> None:
    """When equal tiles have streamed and are written. Of each: `stream`, cycles of the last pass, `writes` of the port for C, of which
    `row` for a row.
    """
    one, behind = ceil_div(issued - sums[Flow.ISSUED], tiles), min(stream, sums[Flow.LEAD])
    first, last = sums[Flow.ISSUED] + one + behind, issued + behind
    begin = max(sums[Flow.WRITTEN], first - stream)
    if tiles > 1:
        after_one = last - one + max(writes - stream, row - 1)
        sums[Flow.BEFORE_LAST] = max(begin + (tiles - 1) * writes, after_one)
    else:
        sums[Flow.BEFORE_LAST] = sums[Flow.WRITTEN]
    sums[Flow.WRITTEN] = max(begin + tiles * writes, last + max(writes - stream, row - 1))
    if sums[Flow.FIRST_TILE] == 0:
        sums[Flow.FIRST_TILE] = first
    sums[Flow.ISSUED], sums[Flow.STREAMED] = issued, last
    sums[Flow.WRITES] += tiles * writes


@inlined
def repeat_tiles(sums: Ints, times: int) -> None:
    """All of them so many times."""
    if times > 1:
        issued = sums[Flow.ISSUED]
        period = max(issued, sums[Flow.WRITES])
        repeated = sums[Flow.BEFORE_LAST] + (times - 1) * period
        sums[Flow.BEFORE_LAST] = max(repeated, sums[Flow.WRITTEN] + (times - 2) * period)
        sums[Flow.WRITTEN] += (times - 1) * period
        sums[Flow.ISSUED] = times * issued
        sums[Flow.STREAMED] += (times - 1) * issued
        sums[Flow.WRITES] *= times


@inlined
def row_access(s: Block, number: int, elements: int, port: int) -> tuple[int, int]:
    """Of a row of A, operand 1, in one pass, or of C, operand 0."""
    size, stride = s.shapes[number, Shape.BITS] >> 3, s.shapes[number, Shape.S0]
    if stride == size or elements == 1:
        return access(s, 1, elements * size, 0, 1, 0, port)
    if stride == 0 and number == 1:
        return access(s, 1, size, 0, 1, 0, port)
    return access(s, elements, size, max(1, abs(stride)), 1, 0, port)


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

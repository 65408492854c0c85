"""What products cost: the rules of simulator/timing/mxu.py on arrays.

Prices are written to a row of `costs`; the latency until the result is visible is returned.
"""

from __future__ import annotations

from isa.spec import FMT_SPARSE
from simulator.fast.compiled import compiled, inlined
from simulator.fast.layout import Block, Cost, Form, Ints
from simulator.fast.price_access import access, ceil_div, weight_access
from simulator.fast.price_layout import Flow, Number, Shape
from simulator.fast.price_units import MAX_SHARED, add_action, share_of
from simulator.timing.actions import ACTION_INDEX
from simulator.timing.mxu import ACCUMULATOR_BYTES

A, B, C = (ACTION_INDEX[f"sram_read.mxu_{name}"] for name in "abc")
C_WRITE, ACCUMULATOR = ACTION_INDEX["sram_write.mxu_c"], ACTION_INDEX["accumulator"]


@inlined
def tile(total: int, size: int, number: int) -> tuple[int, int]:
    """(size, how many) of the full tiles, number 0, or of the rest, number 1."""
    return (size, total // size) if number == 0 else (total % size, 1 if total % size > 0 else 0)


@inlined
def has_one_size(total: int, size: int) -> bool:
    return total < size or total % size == 0


@compiled
def price_product(s: Block, form: int, cost: Ints, has_scales: bool) -> int:
    """C, A, B and scales are operands 0 to 3. -1: too much for 64 bits."""
    m, n, k, batches = product_shape(s)
    machine, sums, accumulates = s.machine, s.sums, s.forms[form, Form.ACCUMULATES]
    for place in range(sums.size):
        sums[place] = 0
    alike = has_one_size(m, machine[Number.ACCUMULATOR_ROWS]) and has_one_size(n, machine[Number.MXU_ROWS])
    add_batch(s, m, n, k, has_scales, 1 + accumulates, batches if alike else 1)
    times = 1 if alike else batches
    banks_a, banks_b, banks_c = times * sums[Flow.BANKS_A], times * sums[Flow.BANKS_B], times * sums[Flow.BANKS_C]
    banks, writes = times * sums[Flow.ACCESSES], times * sums[Flow.WRITES]
    if times > 1:
        streamed, written = sums[Flow.STREAMED], sums[Flow.WRITTEN]
        add_batch(s, m, n, k, has_scales, 1 + accumulates, 1)
        go_on(sums, (times - 2) * max(sums[Flow.STREAMED] - streamed, sums[Flow.WRITTEN] - written))
    cycles = sums[Flow.STREAMED] - min(sums[Flow.STREAM], sums[Flow.LEAD])
    if max(banks, max(cycles, sums[Flow.WRITTEN])) > MAX_SHARED:
        return -1
    cost[Cost.CYCLES], cost[Cost.LEAD] = cycles, sums[Flow.LEAD]
    cost[Cost.FILL] = max(sums[Flow.STREAMED], sums[Flow.BEFORE_LAST]) - cycles
    cost[Cost.FIRST_TILE], cost[Cost.WRITES] = sums[Flow.FIRST_TILE] + machine[Number.MXU_LATENCY], writes
    cost[Cost.SRAM_SHARE] = share_of(banks, machine[Number.BANKS] * max(cycles, writes))
    width = machine[Number.BANK_BYTES]
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
def add_batch(s: Block, m: int, n: int, k: int, has_scales: bool, c_uses: int, times: int) -> None:
    """All tiles of a batch; of several batches if there is one kind of tiles."""
    for row_tile in range(2):
        rows, row_count = tile(m, s.machine[Number.ACCUMULATOR_ROWS], row_tile)
        for n_tile in range(2):
            columns, n_count = tile(n, s.machine[Number.MXU_ROWS], n_tile)
            if row_count * n_count > 0:
                add_tiles(s, times * row_count * n_count, rows, columns, k, has_scales, c_uses)


@compiled
def add_tiles(s: Block, tiles: int, rows: int, columns: int, k: int, has_scales: bool, c_uses: int) -> None:
    """Equal tiles of C of so many rows and columns; C is used `c_uses` times. Weights are loaded while the pass before them streams."""
    sums, load, body, stream, of_a, of_b, beats = s.sums, 0, 0, 0, 0, 0, beats_of_row(s)
    for k_tile in range(2):
        terms, k_count = tile(k, s.machine[Number.MXU_COLUMNS], k_tile)
        if k_count > 0:
            a_beats, a_banks = row_access(s, 1, terms, s.machine[Number.A_PORT])
            b_beats, b_banks = weight_access(s, has_scales, columns, terms)
            if load > 0:
                body += max(stream, b_beats)
            load, stream = load if load > 0 else b_beats, rows * max(beats, a_beats)
            body += (k_count - 1) * max(stream, b_beats)
            of_a += k_count * rows * a_banks
            of_b += k_count * b_banks
    c_beats, c_banks = row_access(s, 0, columns, s.machine[Number.C_PORT])
    row = max(c_beats, ceil_div(c_uses * c_banks, s.machine[Number.BANKS]))
    sums[Flow.BANKS_A] += tiles * of_a
    sums[Flow.BANKS_B] += tiles * of_b
    sums[Flow.BANKS_C] += tiles * rows * c_banks
    sums[Flow.ACCESSES] += tiles * (of_a + of_b + rows * c_uses * c_banks)
    sums[Flow.LEAD] = sums[Flow.LEAD] if sums[Flow.LEAD] > 0 else load
    first, last = unshared(sums, tiles, load, body, stream, rows * row, row)
    left = max(max(sums[Flow.WRITTEN], first - stream) + tiles * rows * row - last, max(rows * row - stream, 0))
    served = ceil_div(sums[Flow.ACCESSES] - left * c_uses * c_banks // row, s.machine[Number.BANKS])
    late = max(0, served + min(stream, sums[Flow.LEAD]) - last)
    add_flow(sums, tiles, first + ceil_div(late, tiles), last + late, stream, rows * row, row)


@inlined
def unshared(sums: Ints, tiles: int, load: int, body: int, stream: int, writes: int, row: int) -> tuple[int, int]:
    """When the first and the last of equal tiles have streamed if no bank holds them up."""
    one, wait = body + stream, max(0, load - stream)
    first = max(sums[Flow.STREAMED] + max(0, load - sums[Flow.STREAM]), sums[Flow.BEFORE_LAST]) + one
    last = first
    if tiles > 1:
        last = max(first + wait, sums[Flow.WRITTEN]) + one + (tiles - 2) * (wait + one)
    if tiles > 2:
        first_written = max(sums[Flow.WRITTEN] + writes, first + max(writes - stream, row - 1))
        last = max(last, first_written + (tiles - 3) * writes + one)
    return first, last


@compiled
def add_flow(sums: Ints, tiles: int, first: int, last: int, stream: int, writes: int, row: int) -> None:
    """Equal tiles, of which the first and the last one have streamed then. Of each: `stream`, cycles of the last pass, `writes` of the
    port for C, of which `row` for a row.
    """
    begin = max(sums[Flow.WRITTEN], max(first - stream, first + row - 1 - writes))
    behind = max(writes - stream, row - 1)  # a tile is written so long after it has streamed
    sums[Flow.BEFORE_LAST] = sums[Flow.WRITTEN]
    if tiles > 1:
        before = last - ceil_div(last - first, tiles - 1)
        sums[Flow.BEFORE_LAST] = max(begin + (tiles - 1) * writes, before + behind)
    sums[Flow.WRITTEN] = max(begin + tiles * writes, last + behind)
    if sums[Flow.FIRST_TILE] == 0:
        sums[Flow.FIRST_TILE] = first
    sums[Flow.STREAM], sums[Flow.STREAMED] = stream, last
    sums[Flow.WRITES] += tiles * writes


@inlined
def go_on(sums: Ints, cycles: int) -> None:
    """Everything ends so much later."""
    sums[Flow.BEFORE_LAST] += cycles
    sums[Flow.WRITTEN] += cycles
    sums[Flow.STREAMED] += cycles


@inlined
def row_access(s: Block, number: int, elements: int, port: int) -> tuple[int, int]:
    """Of a row of A, operand 1, in one pass, or of C, operand 0."""
    size, stride = s.shapes[number, Shape.BITS] >> 3, s.shapes[number, Shape.S0]
    if stride == size or elements == 1:
        return access(s, 1, elements * size, 0, 1, 0, port)
    if stride == 0 and number == 1:
        return access(s, 1, size, 0, 1, 0, port)
    return access(s, elements, size, max(1, abs(stride)), 1, 0, port)

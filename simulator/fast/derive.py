"""Forms that the loop learns itself: an instruction that passed the checks of the reference, with operands of other shapes.

Region, type, group and format of each operand are what they were, so that everything that was checked of these still holds. What
the checks say of extents and strides is here once more; shapes of which these rules are not sure are left to the reference.
"""

from __future__ import annotations

from typing import Any

from isa.spec import FMT_BLOCKED, FMT_SPARSE, MAX_MM_K, MAX_SOFTMAX_KEYS
from simulator.fast.compiled import compiled, inlined
from simulator.fast.layout import MAX_FORMS, Block, Core, Effect, Form, Ints, Operand, Pair, Td
from simulator.fast.lookup import enter, form_hash
from simulator.fast.price import describe_operands, price
from simulator.fast.price_access import block_bytes, ceil_div, elements_of
from simulator.fast.price_layout import Rule, Shape
from simulator.reference.matrix import MAX_WORK
from simulator.reference.operands import MAX_ELEMENTS
from simulator.reference.softmax import ML_WORDS


@compiled
def derive(s: Block, like: int, pc: int, i: Any) -> int:
    """The row and one of a new form of the instruction at pc, like one that it had (a row); 0 if the host has to make it."""
    row, core = s.core[Core.FORMS], s.core
    if s.forms[like, Form.RULE] == Rule.NONE or row == MAX_FORMS or not has_kinds(s, like):
        return 0
    describe_operands(s, like)
    if not passes(s, like):
        return 0
    form = s.forms[row]
    for column in range(Form.PARAMETER):
        form[column] = s.forms[like, column]
    form[Form.COST] = form[Form.NEWEST] = 0
    if form[Form.EFFECT] >= Effect.KERNEL:
        form[Form.EFFECT] = Effect.UNKNOWN
    for number in range(form[Form.OPERANDS]):
        describe_operand(s, form, number)
    for number in range(form[Form.PAIRS]):
        at = Form.PAIR + number * Pair.LENGTH
        one, two = s.shapes[form[at + Pair.DESTINATION]], s.shapes[form[at + Pair.SOURCE]]
        form[at + Pair.MAY_EQUAL] = 1 if form[at + Pair.ALIGNED] != 0 and is_same(one, two) else 0
    if price(s, row) == 0:
        return 0
    core[Core.FORMS] = row + 1
    enter(s.form_table, form_hash(s.tds, pc, i), row)
    return row + 1


@inlined
def has_kinds(s: Block, form: int) -> bool:
    """Whether the operands have the regions, types, groups and formats of a form."""
    for number in range(s.forms[form, Form.OPERANDS]):
        at = Form.OPERAND + number * Operand.LENGTH
        if s.forms[form, at + Operand.KIND] != s.tds[s.forms[form, at + Operand.REGISTER], Td.KIND]:
            return False
    return True


@compiled
def describe_operand(s: Block, form: Ints, number: int) -> None:
    """Shape and reach of an operand as it is."""
    at = Form.OPERAND + number * Operand.LENGTH
    td = form[at + Operand.REGISTER]
    for word in range(Td.EXTENTS, Td.LENGTH):
        form[at + Operand.KIND + word - Td.KIND] = s.tds[td, word]
    form[at + Operand.LOW], form[at + Operand.HIGH] = reach_of(s.shapes[number])


@compiled
def reach_of(d: Ints) -> tuple[int, int]:
    """The first byte and the one behind the last, from the base on."""
    low, high, extent = 0, 0, d[Shape.E0]
    if d[Shape.FORMAT] & FMT_BLOCKED:
        high = block_bytes(d, extent)
    elif d[Shape.FORMAT] & FMT_SPARSE:
        high = (extent * d[Shape.BITS] >> 3) // 2 + extent // 8
    elif d[Shape.PACKED] != 0:
        high = extent * d[Shape.BITS] >> 3
    else:
        high, low = (d[Shape.BITS] >> 3) + max(0, (extent - 1) * d[Shape.S0]), min(0, (extent - 1) * d[Shape.S0])
    for dimension in range(1, 4):
        extent = d[Shape.E0 + dimension]
        if dimension == 1 and d[Shape.FORMAT] & FMT_BLOCKED:
            extent = ceil_div(extent, 16)
        further = (extent - 1) * d[Shape.S0 + dimension]
        low, high = low + min(0, further), high + max(0, further)
    return low, high


@inlined
def is_same(one: Ints, two: Ints) -> bool:
    """Equal extents, strides, format and element size."""
    for column in range(Shape.E0, Shape.LENGTH):
        if one[column] != two[column]:
            return False
    sizes = one[Shape.BITS] == two[Shape.BITS] and one[Shape.FORMAT] == two[Shape.FORMAT]
    return sizes and (one[Shape.PACKED] == 0 or one[Shape.GROUP] == two[Shape.GROUP])


@compiled
def passes(s: Block, form: int) -> bool:
    """Whether operands with these shapes pass all checks but those of bases, as far as that is easy to see."""
    for number in range(s.forms[form, Form.OPERANDS]):
        d = s.shapes[number]
        if not is_legal(d):
            return False
        if s.forms[form, Form.OPERAND + number * Operand.LENGTH + Operand.STORED] != 0 and not nests(d):
            return False
    return fits_together(s, form)


@compiled
def is_legal(d: Ints) -> bool:
    """Extents, and what groups, formats and alignment ask of extents and strides."""
    e0, s0, size = d[Shape.E0], d[Shape.S0], d[Shape.BITS] >> 3
    rows, outer = d[Shape.E1] * d[Shape.E2], d[Shape.E3]
    if e0 == 0 or rows == 0 or outer == 0 or rows > MAX_ELEMENTS or elements_of(d) > MAX_ELEMENTS:
        return False
    if d[Shape.PACKED] != 0 and (e0 % d[Shape.GROUP] != 0 or s0 != 0):
        return False
    if d[Shape.FORMAT] & FMT_BLOCKED and s0 != 0:
        return False
    if d[Shape.FORMAT] & FMT_SPARSE and (e0 % 8 != 0 or s0 != (0 if d[Shape.PACKED] != 0 else size)):
        return False
    if size > 1:
        for dimension in range(4):
            if d[Shape.S0 + dimension] & size - 1 != 0:
                return False
    return True


@compiled
def nests(d: Ints) -> bool:
    """Whether each stride passes over the span of all smaller ones, so that no two elements share a byte."""
    first, span, done = 0, d[Shape.BITS] >> 3, 0
    if d[Shape.PACKED] != 0:
        first, span = 1, d[Shape.E0] // 2
    while True:
        smallest = smallest_stride(d, first, done)
        if smallest < 0:
            return True
        step = abs(d[Shape.S0 + smallest])
        if step < span:
            return False
        span, done = span + (d[Shape.E0 + smallest] - 1) * step, done | 1 << smallest


@inlined
def smallest_stride(d: Ints, first: int, done: int) -> int:
    """The dimension of more than one element with the smallest stride, of those that are not done; or -1."""
    smallest = -1
    for dimension in range(first, 4):
        is_left = done >> dimension & 1 == 0 and d[Shape.E0 + dimension] > 1
        if is_left and (smallest < 0 or abs(d[Shape.S0 + dimension]) < abs(d[Shape.S0 + smallest])):
            smallest = dimension
    return smallest


@compiled
def fits_together(s: Block, form: int) -> bool:
    """The extents of the operands, by what the instruction is."""
    rule, shapes = s.forms[form, Form.RULE], s.shapes
    if Rule.PRODUCT <= rule <= Rule.SCALED:
        return fits_product(s, rule == Rule.SCALED)
    first = shapes[0]
    if rule == Rule.REDUCTION:
        return first[Shape.E0] == 1 and has_rows(first, shapes[1])
    if rule == Rule.SOFTMAX:
        state, keys = shapes[2], shapes[1, Shape.E0]
        same = keys <= MAX_SOFTMAX_KEYS and first[Shape.E0] == keys and has_rows(first, shapes[1])
        return same and state[Shape.E0] == ML_WORDS and has_rows(state, shapes[1])
    for number in range(1, s.forms[form, Form.OPERANDS]):
        if shapes[number, Shape.E0] != first[Shape.E0] or not has_rows(shapes[number], first):
            return False
    return True


@inlined
def has_rows(one: Ints, two: Ints) -> bool:
    """Equal extents but the first one."""
    return one[Shape.E1] == two[Shape.E1] and one[Shape.E2] == two[Shape.E2] and one[Shape.E3] == two[Shape.E3]


@compiled
def fits_product(s: Block, has_scales: bool) -> bool:
    """C [n, m, batch, outer], A [k, m, batch, outer], B [k, n, batch or 1], scales [groups, n, batch or 1]."""
    c, a, b = s.shapes[0], s.shapes[1], s.shapes[2]
    k, n, batch = a[Shape.E0], b[Shape.E1], b[Shape.E2]
    if b[Shape.E0] != k or (batch != 1 and batch != a[Shape.E2]) or b[Shape.E3] != 1:
        return False
    if c[Shape.E0] != n or not has_rows(c, a) or k > MAX_MM_K or k * elements_of(c) > MAX_WORK:
        return False
    if not has_scales:
        return True
    scales, group = s.shapes[3], b[Shape.GROUP]
    if k % group != 0 or scales[Shape.E0] != k // group or scales[Shape.E1] != n or scales[Shape.E3] != 1:
        return False
    return scales[Shape.E2] == 1 or scales[Shape.E2] == batch

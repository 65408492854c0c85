"""Engine instructions on the way of a trace: which of their operands may lie elsewhere next time."""

from __future__ import annotations

from typing import Any

from isa.spec import READ_ONLY_REGIONS, Region
from simulator.fast.compiled import compiled
from simulator.fast.descriptors import BASE_MASK
from simulator.fast.layout import Block, ByPc, Form, Ints, Operand, Td
from simulator.fast.lookup import find_form
from simulator.fast.program_layout import NO_TD
from simulator.fast.trace_layout import MAX_POINTERS, MAX_TRACE_ENGINES, Way, WaySource
from simulator.fast.way import added_to, is_small, limit, make_known, touch_base

KV = int(Region.KV)
READ_ONLY = sum(1 << region for region in READ_ONLY_REGIONS)


@compiled
def follow_engine(s: Block, by_pc: Ints, i: Any, pc: int) -> bool:
    """An engine instruction. It is executed before the trace is used, so it needs no check here."""
    if s.way[Way.ENGINES] == MAX_TRACE_ENGINES:
        return False
    may_go_on = follow_operand(s, by_pc, i, pc, int(i.ta))
    may_go_on &= follow_operand(s, by_pc, i, pc, int(i.tb))
    may_go_on &= follow_operand(s, by_pc, i, pc, int(i.tc))
    may_go_on &= follow_operand(s, by_pc, i, pc, int(i.td))
    s.way[Way.ENGINES] += 1
    return may_go_on


@compiled
def follow_operand(s: Block, by_pc: Ints, i: Any, pc: int, register: int) -> bool:
    """What lies in a read-only region may lie elsewhere, as the interlock does not look at it; and so may keys and values, if all
    of them do.
    """
    if register == NO_TD:
        return True
    source, region, form = touch_base(s, register), s.tds[register, Td.KIND] & 15, 0
    if source >= 0 and (region == KV or READ_ONLY >> region & 1 != 0):
        form = find_form(s, by_pc[pc, ByPc.FORM], pc, i)
    added = 0 if source < 0 else added_to(s, source, 1, s.tds[register, Td.BASE])
    if form == 0 or not is_only_pointer(s, form - 1, register) or not is_small(added):
        make_known(s, source)
        s.way[Way.FIXED] |= 1 if region == KV else 0
        return True
    s.way_sources[source, WaySource.IS_ANCHORED] |= 1 if region == KV else 0
    at = s.way[Way.POINTERS]
    if at == MAX_POINTERS:
        return False
    s.way_pointers[at, 0], s.way_pointers[at, 1], s.way_pointers[at, 2] = form - 1, source, added
    s.way[Way.POINTERS] = at + 1
    s.way_sources[source, WaySource.POINTS] = 1
    low, high, size = reach(s, form - 1)
    limit(s, source, -added - min(low, 0), min(size - high, BASE_MASK) - added)
    return True


@compiled
def is_only_pointer(s: Block, form: int, register: int) -> bool:
    """Whether a descriptor register is that of the operand in DRAM, which nothing else is compared with."""
    return s.forms[form, Form.DRAM] == register and s.forms[form, Form.PAIRS] == 0


@compiled
def reach(s: Block, form: int) -> tuple[int, int, int]:
    """Where its operand in DRAM begins and ends, from the base on, and the size of the region."""
    forms, at = s.forms, Form.OPERAND
    while forms[form, at + Operand.REGISTER] != forms[form, Form.DRAM]:
        at += Operand.LENGTH
    region = forms[form, at + Operand.REGION]
    return forms[form, at + Operand.LOW], forms[form, at + Operand.HIGH], s.memories[region, 1]

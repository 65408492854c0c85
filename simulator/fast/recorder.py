"""Follows the program from a cut to a later one without doing anything, and notes in way.py what it needs on the way.

The registers are those of the program meanwhile, and put back in the end. A result of False means: no trace can go on like this.
"""

from __future__ import annotations

from typing import Any

from isa.spec import X_REGISTERS, Region
from simulator.fast.compiled import compiled
from simulator.fast.descriptors import BASE_MASK, field_of, load_descriptor, set_field
from simulator.fast.layout import Block, ByPc, Core, Ints, Program, Td
from simulator.fast.program_layout import NO_TD, Op
from simulator.fast.scalar import branches, load, smem_place
from simulator.fast.trace_layout import MAX_FLOWS, MAX_READS, TdWay, Way
from simulator.fast.way import (
    NO_SOURCE,
    added_to,
    factor_of,
    is_small,
    know,
    limit,
    make_known,
    new_load,
    set_base,
    set_number,
    source_of,
    touch,
    touch_base,
)
from simulator.fast.way_numbers import follow_alu, limits_branch
from simulator.fast.way_operands import follow_engine
from simulator.reference.scalar import TD_LD_ALIGNMENT

MAX_LENGTH = 1 << 15
REFUSED = -1
TO_KNOWN = -1
PROVEN = 16
"""A place from which so much was passed over is known."""
SMEM = int(Region.SMEM)
WORD_BYTES, WORD_LOG2 = 8, 3


@compiled
def follow(s: Block, program: Program, values: Ints, by_pc: Ints, pc: int, cuts: int) -> int:
    """The pc behind the last cut, or in front of what no trace has; or REFUSED. With cuts of TO_KNOWN: behind the first one where
    traces have proved useful.
    """
    way = s.way
    while way[Way.INSTRUCTIONS] < MAX_LENGTH:
        i = program[pc]
        op, following, is_cut = i.op, pc + 1, False
        if op >= Op.STS or (op == Op.ENGINE and meets_smem(s, i)):
            way[Way.CUTS] += 1
            return REFUSED if cuts == TO_KNOWN else pc
        if op < Op.BRANCH:
            may_go_on = follow_alu(s, values, i)
        elif op <= Op.JALR:
            following, target = follow_jump(s, program, values, by_pc, i, pc)
            may_go_on, is_cut = following >= 0, target <= pc
        elif op <= Op.TDADD:
            may_go_on = follow_change(s, values, i)
        elif op == Op.ENGINE:
            may_go_on = follow_engine(s, by_pc, i, pc)
        else:
            may_go_on = follow_load(s, values, i)
        if not may_go_on:
            return REFUSED
        way[Way.INSTRUCTIONS] += 1
        if is_cut:
            way[Way.CUTS] += 1
            if way[Way.CUTS] == cuts or (cuts == TO_KNOWN and by_pc[following, ByPc.USEFUL] >= PROVEN):
                return following
        pc = following
    return REFUSED


@compiled
def meets_smem(s: Block, i: Any) -> bool:
    """Whether an engine instruction has an operand in SMEM."""
    tds = s.tds
    meets = i.ta != NO_TD and tds[i.ta, Td.KIND] & 15 == SMEM
    meets |= i.tb != NO_TD and tds[i.tb, Td.KIND] & 15 == SMEM
    meets |= i.tc != NO_TD and tds[i.tc, Td.KIND] & 15 == SMEM
    return meets | (i.td != NO_TD and tds[i.td, Td.KIND] & 15 == SMEM)


@compiled
def follow_jump(s: Block, program: Program, values: Ints, by_pc: Ints, i: Any, pc: int) -> tuple[int, int]:
    """The next pc, or REFUSED; and the one it goes to if it jumps."""
    target, following = int(i.imm), pc + 1
    if i.op < Op.JAL:
        taken = branches(i.op, values[i.rs], values[i.b])
        limits_branch(s, values, i, taken)
        if not taken:
            return following, target
    else:
        if i.op == Op.JALR:
            know(s, int(i.rs))
            target += values[i.rs]
        values[i.rd] = following
        set_number(s, int(i.rd), NO_SOURCE, 0)
    if target < 0 or target >= program.size - 1:
        return REFUSED, target
    if not (add_flow(s, by_pc, target, 1) and add_flow(s, by_pc, following, -1)):
        return REFUSED, target
    return target, target


@compiled
def add_flow(s: Block, by_pc: Ints, pc: int, change: int) -> bool:
    """One entry for each pc."""
    if by_pc[pc, ByPc.WAY] != s.core[Core.WAYS]:
        at = s.way[Way.FLOWS]
        if at == MAX_FLOWS:
            return False
        by_pc[pc, ByPc.WAY], by_pc[pc, ByPc.WAY_FLOW] = s.core[Core.WAYS], at
        s.way_flows[at, 0], s.way_flows[at, 1] = pc, 0
        s.way[Way.FLOWS] = at + 1
    s.way_flows[by_pc[pc, ByPc.WAY_FLOW], 1] += change
    return True


@compiled
def follow_change(s: Block, values: Ints, i: Any) -> bool:
    """tdset and tdadd."""
    op, register, second, value = i.op, int(i.ta), int(i.b), values[i.b]
    touch(s, register)
    if op == Op.TDSET or op == Op.TDADD:
        know(s, second)
        if op == Op.TDADD:
            value += field_of(s.tds, register, i.rd)
        return set_field(s.tds, register, i.rd, value)
    if factor_of(s, second) != 1:
        know(s, second)
    source = source_of(s, second)
    if op == Op.TDADD_BASE:
        before = touch_base(s, register)
        if before >= 0 and source >= 0:
            make_known(s, before)
            make_known(s, source)
            before = source = NO_SOURCE
        source = max(source, before)
        value += s.tds[register, Td.BASE]
    if value < 0 or value > BASE_MASK:
        return False
    if source >= 0:
        added = added_to(s, source, 1, value)
        if is_small(added):
            limit(s, source, -added, BASE_MASK - added)
        else:
            make_known(s, source)
    s.tds[register, Td.BASE] = value
    set_base(s, register, source)
    return True


@compiled
def follow_load(s: Block, values: Ints, i: Any) -> bool:
    """lds and tdld."""
    address, width, is_td = values[i.rs] + i.imm, 1 << i.kind, i.op == Op.TDLD
    if not smem_place(address, width, TD_LD_ALIGNMENT if is_td else width):
        return False
    smem = s.memories[SMEM, 0]
    s.way[Way.SMEM_BYTES] += width
    if is_td:
        know(s, int(i.rs))
        for word in range(4):
            if not add_read(s, address + WORD_BYTES * word, WORD_LOG2):
                return False
        s.way_td[i.ta, TdWay.IS_KNOWN] = 1
        set_base(s, int(i.ta), NO_SOURCE)
        return load_descriptor(s.tds, i.ta, smem + address)
    source, value = source_of(s, int(i.rs)), load(smem, address, i.kind)
    # What it waits for depends on the address, unless no engine accesses SMEM.
    if source >= X_REGISTERS or (source >= 0 and s.core[Core.SMEM_HORIZON] > s.core[Core.NOW]):
        make_known(s, source)
        source = NO_SOURCE
    if source >= 0:
        factor = factor_of(s, int(i.rs))
        loaded = new_load(s, source, factor, added_to(s, source, factor, address), int(i.kind), value)
        if loaded < 0:
            make_known(s, source)
        source = loaded
    if source < 0 and not add_read(s, address, int(i.kind)):
        return False
    values[i.rd] = value
    set_number(s, int(i.rd), source, 1)
    return True


@compiled
def add_read(s: Block, address: int, log2: int) -> bool:
    """What SMEM has at an address becomes a condition, once."""
    mark = s.core[Core.WAYS] << 2 | log2
    if s.read_marks[address] == mark:
        return True
    at = s.way[Way.READS]
    if at == MAX_READS:
        return False
    s.read_marks[address] = mark
    s.way_reads[at, 0], s.way_reads[at, 1] = address, log2
    s.way_reads[at, 2] = load(s.memories[SMEM, 0], address, log2)
    s.way[Way.READS] = at + 1
    return True

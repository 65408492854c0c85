"""The compiled loop: executes a predecoded program until something needs the host. One instruction, one turn."""

from __future__ import annotations

from typing import Any

from simulator.fast.compiled import inlined
from simulator.fast.descriptors import BASE_MASK, field_of, set_field
from simulator.fast.issue import CUT, issue
from simulator.fast.layout import Block, ByPc, Core, Exit, Ints, Program, Td
from simulator.fast.lookup import learn
from simulator.fast.posting import finish_all
from simulator.fast.program_layout import Op
from simulator.fast.replay import arrive, reach_obstacle
from simulator.fast.scalar import DIV, REM, alu, branches
from simulator.fast.system import bring_up_to_date, system

DONE, FAULT, WATCHDOG = int(Exit.HOST), int(Exit.FAULT), int(Exit.WATCHDOG)


def run(s: Block, program: Program, values: Ints, by_pc: Ints) -> int:
    """Executes until an Exit, which it returns. Place, cycle and steps left are kept in registers meanwhile."""
    core, tds = s.core, s.tds
    pc, now, steps, instructions = core[Core.PC], core[Core.NOW], core[Core.STEPS], program.size - 1
    learn(s, program)
    code = 0
    while code == 0:
        if steps == 0:
            code = WATCHDOG
            break
        i = program[pc]
        op, following, is_cut = i.op, pc + 1, False
        if op < Op.BRANCH:
            if DIV <= op <= REM and values[i.b] == 0:
                code = FAULT
                break
            values[i.rd] = alu(op, values[i.rs], values[i.b])
        elif op <= Op.TDADD:
            if op >= Op.TDSET_BASE:
                if not changes_td(op, i, values, tds):
                    code = FAULT
                    break
            else:
                target = i.imm
                if op >= Op.JAL or branches(op, values[i.rs], values[i.b]):
                    if op == Op.JALR:
                        target += values[i.rs]
                    if target < 0 or target >= instructions:
                        code = FAULT
                        break
                    if op >= Op.JAL:
                        values[i.rd] = following
                    by_pc[target, ByPc.FLOW] += 1
                    by_pc[following, ByPc.FLOW] -= 1
                    following = target
                is_cut = target <= pc
        else:
            core[Core.NOW] = now
            if op == Op.ENGINE:
                code = issue(s, values, by_pc, i, pc)
            else:
                if op >= Op.STS:
                    is_cut = True
                    reach_obstacle(s, pc)
                code = system(s, values, i)
            if code > DONE:
                break
            if code == CUT:
                code, is_cut = 0, True
            now = core[Core.NOW]
        pc = following
        now += 1
        steps -= 1
        if is_cut and core[Core.EXTRAPOLATES] != 0 and code == 0:
            core[Core.PC], core[Core.NOW], core[Core.STEPS] = pc, now, steps
            code = arrive(s, program, values, by_pc)
            pc, now, steps = core[Core.PC], core[Core.NOW], core[Core.STEPS]
    core[Core.PC], core[Core.NOW], core[Core.STEPS] = pc, now, steps
    finish_all(s)
    bring_up_to_date(s)
    return code


@inlined
def changes_td(op: int, i: Any, values: Ints, tds: Ints) -> bool:
    """tdset and tdadd; False if the value does not fit the field."""
    value = values[i.b]
    if op == Op.TDSET:
        return set_field(tds, i.ta, i.rd, value)
    if op == Op.TDADD:
        return set_field(tds, i.ta, i.rd, value + field_of(tds, i.ta, i.rd))
    if op == Op.TDADD_BASE:
        value += tds[i.ta, Td.BASE]
    if value < 0 or value > BASE_MASK:
        return False
    tds[i.ta, Td.BASE] = value
    return True

"""The compiled loop: executes a predecoded program until something needs the host. One instruction, one turn."""

from __future__ import annotations

from typing import Any

from simulator.fast.compiled import compiled, inlined
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
        op, following = i.op, pc + 1
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
                if target <= pc and core[Core.EXTRAPOLATES] != 0:
                    code = come_to_cut(s, program, values, by_pc, following, now, steps)
                    following, now, steps = core[Core.PC], core[Core.NOW] - 1, core[Core.STEPS] + 1
        else:
            core[Core.NOW] = now
            code = issue(s, values, by_pc, i, pc) if op == Op.ENGINE else system_between_cuts(s, values, i, pc)
            if code > DONE:
                break
            now = core[Core.NOW]
            if code == CUT:
                code = come_to_cut(s, program, values, by_pc, following, now, steps)
                following, now, steps = core[Core.PC], core[Core.NOW] - 1, core[Core.STEPS] + 1
        pc = following
        now += 1
        steps -= 1
    core[Core.PC], core[Core.NOW], core[Core.STEPS] = pc, now, steps
    finish_all(s)
    bring_up_to_date(s)
    return code


@compiled
def come_to_cut(s: Block, program: Program, values: Ints, by_pc: Ints, following: int, now: int, steps: int) -> int:
    """The instruction before `following` is done, and there is a cut behind it."""
    s.core[Core.PC], s.core[Core.NOW], s.core[Core.STEPS] = following, now + 1, steps - 1
    return arrive(s, program, values, by_pc) if s.core[Core.EXTRAPOLATES] != 0 else 0


@inlined
def system_between_cuts(s: Block, values: Ints, i: Any, pc: int) -> int:
    """`system`; CUT if a trace may begin behind the instruction, in front of which others end."""
    if i.op < Op.STS:
        return system(s, values, i)
    reach_obstacle(s, pc)
    code = system(s, values, i)
    return CUT if code == 0 else code


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

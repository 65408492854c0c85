"""SEQ instructions. Each factory turns a decoded instruction into a step: a closure that executes it and returns the next pc.

A negative return value ~pc stops the run at pc: after a yield, or at halt.
"""

from __future__ import annotations

import operator
from collections.abc import Callable

from isa.descriptor import Descriptor
from isa.encoding import Decoded
from isa.spec import SMEM_BYTES, SMEM_WIDTHS, TD_BYTES, TD_FUNCTIONS, Flag, Trap
from simulator.state import DISCARD, TD_RANGES, State
from simulator.traps import Fault

Step = Callable[[], int]
Access = Callable[[], tuple[int, int]]

MIN_X, MAX_X = -(1 << 63), (1 << 63) - 1
MASK = (1 << 64) - 1
TD_LD_ALIGNMENT = 8


def wrap(value: int) -> int:
    """The low 64 bits as a signed number."""
    return ((value & MASK) ^ (1 << 63)) - (1 << 63)


def _div(a: int, b: int) -> int:
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def _rem(a: int, b: int) -> int:
    return a - b * _div(a, b)


ALU: dict[str, Callable[[int, int], int]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": _div,
    "rem": _rem,
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
    "sll": lambda a, b: a << (b & 63),
    "srl": lambda a, b: (a & MASK) >> (b & 63),
    "sra": lambda a, b: a >> (b & 63),
    "min": min,
    "max": max,
    "slt": lambda a, b: int(a < b),
}
COMPARE: dict[str, Callable[[int, int], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "ge": operator.ge,
}


def _guarded(f: Callable[[int, int], int], divisor: str) -> Callable[[int, int], int]:
    def divide(a: int, b: int) -> int:
        if b == 0:
            raise Fault(Trap.DIVISION_BY_ZERO, divisor)
        return f(a, b)

    return divide


def alu(state: State, d: Decoded, pc: int) -> Step:
    x, f, rd, rs, rt, following = state.x, ALU[d.function], d.rd or DISCARD, d.rs, d.rt, pc + 1
    immediate = d.imm
    if d.function in ("div", "rem"):
        f = _guarded(f, "imm" if d.fl & Flag.I else "rt")

    def with_register() -> int:
        value = f(x[rs], x[rt])
        x[rd] = value if MIN_X <= value <= MAX_X else wrap(value)
        return following

    def with_immediate() -> int:
        value = f(x[rs], immediate)
        x[rd] = value if MIN_X <= value <= MAX_X else wrap(value)
        return following

    return with_immediate if d.fl & Flag.I else with_register


def smem_interval(state: State, d: Decoded) -> Access:
    """A function that gives the checked SMEM interval [low, high) of lds, sts and tdld."""
    x, rs, offset = state.x, d.rs, d.imm
    is_td = d.row.mnemonic == "tdld"
    width = TD_BYTES if is_td else int(SMEM_WIDTHS[d.fn])
    alignment = TD_LD_ALIGNMENT if is_td else width
    last = SMEM_BYTES - width

    def interval() -> tuple[int, int]:
        low = x[rs] + offset
        if low % alignment:
            raise Fault(Trap.MISALIGNED, "imm", f"address {low:#x} is not a multiple of {alignment}")
        if not 0 <= low <= last:
            raise Fault(
                Trap.OUT_OF_BOUNDS, "imm", f"bytes [{low:#x}, {low + width:#x}) of SMEM, which has {SMEM_BYTES:#x}"
            )
        return low, low + width

    return interval


def lds(state: State, d: Decoded, pc: int) -> Step:
    x, smem, rd, following = state.x, state.memory.smem, d.rd or DISCARD, pc + 1
    interval = smem_interval(state, d)
    signed = SMEM_WIDTHS[d.fn] == "8"

    def step() -> int:
        low, high = interval()
        x[rd] = int.from_bytes(smem[low:high], "little", signed=signed)
        return following

    return step


def sts(state: State, d: Decoded, pc: int) -> Step:
    x, smem, rt, following = state.x, state.memory.smem, d.rt, pc + 1
    interval = smem_interval(state, d)
    width = int(SMEM_WIDTHS[d.fn])
    mask = (1 << 8 * width) - 1

    def step() -> int:
        low, high = interval()
        smem[low:high] = (x[rt] & mask).to_bytes(width, "little")
        return following

    return step


def _outside(state: State, target: int, operand: str) -> Fault:
    return Fault(Trap.PC_OUT_OF_RANGE, operand, f"target {target}, the text has {state.instructions} instructions")


def br(state: State, d: Decoded, pc: int) -> Step:
    x, compare, rs, rt, following, target = state.x, COMPARE[d.function], d.rs, d.rt, pc + 1, d.imm

    def step() -> int:
        return target if compare(x[rs], x[rt]) else following

    def step_outside() -> int:
        if compare(x[rs], x[rt]):
            raise _outside(state, target, "imm")
        return following

    return step if 0 <= target < state.instructions else step_outside


def jal(state: State, d: Decoded, pc: int) -> Step:
    x, rd, following, target = state.x, d.rd or DISCARD, pc + 1, d.imm
    legal = 0 <= target < state.instructions

    def step() -> int:
        if not legal:
            raise _outside(state, target, "imm")
        x[rd] = following
        return target

    return step


def jalr(state: State, d: Decoded, pc: int) -> Step:
    x, rd, rs, following, offset, limit = state.x, d.rd or DISCARD, d.rs, pc + 1, d.imm, state.instructions

    def step() -> int:
        target = x[rs] + offset
        if not 0 <= target < limit:
            raise _outside(state, target, "rs")
        x[rd] = following
        return target

    return step


def tdld(state: State, d: Decoded, pc: int) -> Step:
    smem, ta, following = state.memory.smem, d.ta, pc + 1
    interval = smem_interval(state, d)
    known: dict[bytes, Descriptor] = {}

    def step() -> int:
        low, high = interval()
        data = bytes(smem[low:high])
        descriptor = known.get(data)
        if descriptor is None:
            try:
                descriptor = Descriptor.unpack(data)
            except ValueError as error:
                raise Fault(Trap.TD_ILLEGAL, "ta", str(error)) from None
            if len(known) < 1024:
                known[data] = descriptor
        state.set_descriptor(ta, descriptor)
        return following

    return step


def _td_field(state: State, d: Decoded, pc: int, adds: bool) -> Step:
    x, values, captured, ta, fn, rs, following = state.x, state.td_values, state.captured, d.ta, d.fn, d.rs, pc + 1
    low, high = TD_RANGES[d.fn]
    immediate = d.imm if d.fl & Flag.I else None

    def step() -> int:
        value = x[rs] if immediate is None else immediate
        if adds:
            value += values[ta][fn]
        if not low <= value <= high:
            raise Fault(Trap.TD_OVERFLOW, "ta", f"{TD_FUNCTIONS[fn]} = {value} does not fit [{low}, {high}]")
        values[ta][fn] = value
        captured[ta] = None
        return following

    return step


def tdset(state: State, d: Decoded, pc: int) -> Step:
    return _td_field(state, d, pc, adds=False)


def tdadd(state: State, d: Decoded, pc: int) -> Step:
    return _td_field(state, d, pc, adds=True)


def trap(state: State, d: Decoded, pc: int) -> Step:
    def step() -> int:
        raise Fault(Trap.PROGRAM, "imm", word=d.imm)

    return step


def mark(state: State, d: Decoded, pc: int) -> Step:
    following = pc + 1
    return lambda: following


SCALAR: dict[str, Callable[[State, Decoded, int], Step]] = {
    "alu": alu, "lds": lds, "sts": sts, "br": br, "jal": jal, "jalr": jalr, "tdld": tdld, "tdset": tdset, "tdadd": tdadd,
    "trap": trap, "mark": mark,
}  # fmt: skip

"""SEQ instructions of the compiled loop. A result of False (or a negative one) means: this instruction traps, and nothing was done."""

from __future__ import annotations

from isa.spec import ALU, BRANCH, SMEM_BYTES
from simulator.fast.compiled import compiled, inlined
from simulator.fast.program_layout import Op
from simulator.fast.raw import load_8, load_16, load_32, load_64, store_8, store_16, store_32, store_64

ADD, SUB, MUL, DIV, REM, AND, OR, XOR, SLL, SRL, SRA, MIN, MAX, SLT = range(len(ALU))
EQ, NE, LT, GE = (Op.BRANCH + place for place in range(len(BRANCH)))


@inlined
def alu(op: int, a: int, b: int) -> int:
    """x[rs] f b, wrapping; b is not 0 for div and rem."""
    if op == ADD:
        return a + b
    if op == SUB:
        return a - b
    if op == MUL:
        return a * b
    if op == DIV:
        return truncated(a, b)
    if op == REM:
        return a - b * truncated(a, b)
    if op == AND:
        return a & b
    if op == OR:
        return a | b
    if op == XOR:
        return a ^ b
    if op == SLL:
        return a << (b & 63)
    if op == SRL:
        return a >> (b & 63) & ~(-2 << (63 - (b & 63)))
    if op == SRA:
        return a >> (b & 63)
    if op == MIN:
        return min(a, b)
    if op == MAX:
        return max(a, b)
    return 1 if a < b else 0


@compiled
def truncated(a: int, b: int) -> int:
    """a / b towards 0; -2^63 / -1 wraps."""
    if b == -1:
        return -a
    quotient = a // b
    if quotient < 0 and quotient * b != a:
        quotient += 1
    return quotient


@inlined
def branches(op: int, a: int, b: int) -> bool:
    """Whether a branch is taken."""
    if op == EQ:
        return a == b
    if op == NE:
        return a != b
    if op == LT:
        return a < b
    return a >= b


@inlined
def smem_place(address: int, width: int, alignment: int) -> bool:
    """Whether SMEM may be accessed there."""
    return address & (alignment - 1) == 0 and 0 <= address <= SMEM_BYTES - width


@compiled
def load(smem: int, place: int, log2: int) -> int:
    """2^log2 bytes of SMEM, zero-extended (8: signed)."""
    if log2 == 0:
        return load_8(smem + place)
    if log2 == 1:
        return load_16(smem + place)
    if log2 == 2:
        return load_32(smem + place)
    return load_64(smem + place)


@compiled
def store(smem: int, place: int, log2: int, value: int) -> None:
    """The low 2^log2 bytes of a number to SMEM."""
    if log2 == 0:
        store_8(smem + place, value)
    elif log2 == 1:
        store_16(smem + place, value)
    elif log2 == 2:
        store_32(smem + place, value)
    else:
        store_64(smem + place, value)

"""Which virtual registers are live where, in a flat list of instructions with labels. Sets of registers are bit masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.ir import Operation

from compiler.dialects.isa import VIRTUAL, InstructionOp, LabelOp
from isa.spec import TD_OPERANDS, X_FIELDS

WRITES_X = {"alu": "rd", "lds": "rd", "jal": "rd", "jalr": "rd"}  # vrng reads its rd: the key
WRITES_TD = ("tdld", "tdset", "tdadd")


@dataclass(frozen=True)
class Access:
    """The virtual registers an instruction reads and writes, of one register file."""

    reads: tuple[int, ...]
    writes: tuple[int, ...]


def x_access(op: InstructionOp) -> Access:
    used = op.used()
    written = WRITES_X.get(op.ROW.mnemonic)
    reads = tuple(op.number(f) for f in X_FIELDS if f in used and f != written and op.number(f) >= VIRTUAL)
    writes = (op.number(written),) if written is not None and op.number(written) >= VIRTUAL else ()
    return Access(reads, writes)


def td_access(op: InstructionOp) -> Access:
    """A descriptor field update reads the descriptor it changes."""
    used = op.used()
    numbers = tuple(op.number(f) for f in TD_OPERANDS if f in used and op.number(f) >= VIRTUAL)
    if op.ROW.mnemonic not in WRITES_TD:
        return Access(numbers, ())
    return Access(() if op.ROW.mnemonic == "tdld" else numbers, numbers)


def successors(ops: Sequence[Operation]) -> list[tuple[int, ...]]:
    """The possible next ops of each op."""
    places = {op.label.data: index for index, op in enumerate(ops) if isinstance(op, LabelOp)}
    following: list[tuple[int, ...]] = []
    for index, op in enumerate(ops):
        target = op.label if isinstance(op, InstructionOp) else None
        mnemonic = op.ROW.mnemonic if isinstance(op, InstructionOp) else ""
        if mnemonic in ("halt", "trap", "jalr"):
            following.append(())
        elif target is not None:
            jump = places[target]
            following.append((jump,) if mnemonic == "jal" else (index + 1, jump))
        else:
            following.append((index + 1,) if index + 1 < len(ops) else ())
    return following


def mask(registers: Sequence[int]) -> int:
    bits = 0
    for register in registers:
        bits |= 1 << register
    return bits


def live_out(ops: Sequence[Operation], accesses: Sequence[Access | None]) -> list[int]:
    """For each op, the registers live behind it; backward data flow until nothing changes."""
    following = successors(ops)
    reads = [mask(access.reads) if access else 0 for access in accesses]
    kept = [~mask(access.writes) if access else -1 for access in accesses]
    live_in, out = [0] * (len(ops) + 1), [0] * len(ops)
    changed = True
    while changed:
        changed = False
        for index in range(len(ops) - 1, -1, -1):
            behind = 0
            for successor in following[index]:
                behind |= live_in[successor]
            before = reads[index] | (behind & kept[index])
            if behind != out[index] or before != live_in[index]:
                out[index], live_in[index] = behind, before
                changed = True
    return out


def members(bits: int) -> list[int]:
    """The registers of a mask, ascending."""
    found: list[int] = []
    while bits:
        low = bits & -bits
        found.append(low.bit_length() - 1)
        bits ^= low
    return found

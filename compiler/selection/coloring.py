"""Register assignment by colouring the interference graph, in order of first appearance, with moves as hints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xdsl.ir import Operation

from compiler.dialects.isa import VIRTUAL, InstructionOp
from compiler.selection.liveness import Access, live_out, members
from isa.spec import Flag


@dataclass(frozen=True)
class Assignment:
    """Physical registers by virtual ones, and those that found none."""

    registers: dict[int, int]
    failed: tuple[int, ...]


def is_move(op: Operation) -> bool:
    """`alu.add rd, rs, 0`."""
    return (
        isinstance(op, InstructionOp)
        and op.ROW.mnemonic == "alu"
        and op.function == "add"
        and bool(op.flags & Flag.I)
        and op.number("imm") == 0
    )


def accesses_of(ops: Sequence[Operation], access: Callable[[InstructionOp], Access]) -> list[Access | None]:
    return [access(op) if isinstance(op, InstructionOp) else None for op in ops]


def interference(ops: Sequence[Operation], accesses: Sequence[Access | None]) -> dict[int, int]:
    """For each virtual register a mask of those it must differ from: what is live where it is written."""
    graph: dict[int, int] = {}
    for op, access, behind in zip(ops, accesses, live_out(ops, accesses), strict=True):
        if access is None:
            continue
        for register in (*access.reads, *access.writes):
            graph.setdefault(register, 0)
        for register in access.writes:
            others = behind & ~(1 << register)
            if is_move(op):
                for source in access.reads:
                    others &= ~(1 << source)
            graph[register] |= others
            for other in members(others):
                graph[other] = graph.get(other, 0) | 1 << register
    return graph


def hints_of(ops: Sequence[Operation]) -> dict[int, list[int]]:
    """Registers that a move connects."""
    hints: dict[int, list[int]] = {}
    for op in ops:
        if isinstance(op, InstructionOp) and is_move(op):
            target, source = op.number("rd"), op.number("rs")
            hints.setdefault(target, []).append(source)
            hints.setdefault(source, []).append(target)
    return hints


def color(ops: Sequence[Operation], access: Callable[[InstructionOp], Access], available: Sequence[int]) -> Assignment:
    """Gives each virtual register of one file a physical one of `available`."""
    accesses = accesses_of(ops, access)
    graph = interference(ops, accesses)
    hints = hints_of(ops)
    registers: dict[int, int] = {}
    failed: list[int] = []
    for virtual in sorted(graph):
        taken = {registers[other] for other in members(graph[virtual]) if other in registers}
        wanted = [registers[h] for h in hints.get(virtual, []) if h >= VIRTUAL and h in registers]
        free = [r for r in (*wanted, *available) if r not in taken]
        if free:
            registers[virtual] = free[0]
        else:
            failed.append(virtual)
    return Assignment(registers, tuple(failed))

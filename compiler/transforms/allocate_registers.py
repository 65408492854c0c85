"""allocate-registers: virtual registers become x1..x31 and t0..t127; scalars that find no register live in SMEM.

    isa.alu "add" vx300, vx299, 4   ->   isa.alu "add" x5, x6, 4
A spilled scalar is stored after each write and loaded before each read. Descriptors are never spilled: convert-tile-to-isa keeps
their number in bounds. Moves within one register disappear.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from compiler.dialects.isa import VIRTUAL, DescriptorOp, InstructionOp, ProgramOp, instruction
from compiler.errors import CompileError
from compiler.selection.coloring import Assignment, accesses_of, color, is_move
from compiler.selection.liveness import live_out, members, td_access, x_access
from compiler.walking import ops_of
from isa.abi import SMEM_IMAGE_OFFSET
from isa.spec import SMEM_BYTES, TD_BYTES, TD_OPERANDS, TD_REGISTERS, X_FIELDS, X_REGISTERS

X_AVAILABLE = range(1, X_REGISTERS)
TD_AVAILABLE = range(TD_REGISTERS)
MOST_ROUNDS = 64


@dataclass
class Spills:
    """SMEM words for scalars without a register, behind the descriptor constants."""

    next_address: int
    next_register: int

    def slot(self) -> int:
        self.next_address += 8
        if self.next_address > SMEM_BYTES:
            raise CompileError("no SMEM left for spilled scalars")
        return self.next_address - 8

    def register(self) -> int:
        self.next_register += 1
        return self.next_register - 1


def spill(program: ProgramOp, virtual: int, spills: Spills) -> None:
    """Replaces one virtual register by loads and stores around each use."""
    address = spills.slot()
    for op in list(program.body.block.ops):
        if not isinstance(op, InstructionOp):
            continue
        access = x_access(op)
        if virtual not in access.reads and virtual not in access.writes:
            continue
        short = spills.register()
        for field in X_FIELDS:
            if field in op.used() and op.number(field) == virtual:
                op.set_number(field, short)
        if virtual in access.reads:
            put(instruction("lds", "8", rd=short, rs=0, imm=address), InsertPoint.before(op), op)
        if virtual in access.writes:
            put(instruction("sts", "8", rt=short, rs=0, imm=address), InsertPoint.after(op), op)


def put(new: Operation, point: InsertPoint, like: Operation) -> None:
    new.location = like.location
    Rewriter.insert_op(new, point)


def victim(program: ProgramOp, failed: int) -> int:
    """Among the registers live where `failed` is, the one with the fewest uses for its length; not one made by spilling."""
    ops = list(program.body.block.ops)
    accesses = accesses_of(ops, x_access)
    uses: dict[int, int] = {}
    length: dict[int, int] = {}
    near: set[int] = {failed}
    for access, behind in zip(accesses, live_out(ops, accesses), strict=True):
        live = members(behind)
        if failed in live:
            near.update(live)
        for register in live:
            length[register] = length.get(register, 0) + 1
        for register in (*access.reads, *access.writes) if access else ():
            uses[register] = uses.get(register, 0) + 1
    return max(near, key=lambda r: (length.get(r, 0) / (1 + uses.get(r, 0) ** 2), -r))


def allocate_scalars(program: ProgramOp, spills: Spills) -> Assignment:
    """Colours, spilling one register at a time until all have a place."""
    for _ in range(MOST_ROUNDS):
        found = color(list(program.body.block.ops), x_access, X_AVAILABLE)
        if not found.failed:
            return found
        spill(program, victim(program, found.failed[0]), spills)
    raise CompileError("scalars do not fit the registers, even with spilling")


def rewrite(op: InstructionOp, scalars: Assignment, descriptors: Assignment) -> None:
    for field in op.used():
        number = op.number(field)
        if number >= VIRTUAL and field in X_FIELDS:
            op.set_number(field, scalars.registers[number])
        elif number >= VIRTUAL and field in TD_OPERANDS:
            op.set_number(field, descriptors.registers[number])


@dataclass(frozen=True)
class AllocateRegistersPass(ModulePass):
    """See the module docstring."""

    name = "allocate-registers"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        tops = [d.address.value.data + TD_BYTES for d in ops_of(DescriptorOp, op)]
        for program in ops_of(ProgramOp, op):
            self.allocate(program, max(tops, default=SMEM_IMAGE_OFFSET))

    def allocate(self, program: ProgramOp, spill_address: int) -> None:
        ops = list(program.body.block.ops)
        numbers = [o.number(f) for o in ops if isinstance(o, InstructionOp) for f in X_FIELDS if f in o.used()]
        spills = Spills(spill_address, max([VIRTUAL, *numbers]) + 1)
        scalars = allocate_scalars(program, spills)
        descriptors = color(list(program.body.block.ops), td_access, TD_AVAILABLE)
        if descriptors.failed:
            raise CompileError(f"{len(descriptors.failed)} views find no descriptor register")
        for op in list(program.body.block.ops):
            if isinstance(op, InstructionOp):
                rewrite(op, scalars, descriptors)
                if is_move(op) and op.number("rd") == op.number("rs"):
                    Rewriter.erase_op(op)

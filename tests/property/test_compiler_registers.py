"""Register allocation keeps the meaning of programs: a small scalar interpreter runs them before and after, spills included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from xdsl.context import Context
from xdsl.dialects.builtin import IntegerAttr, ModuleOp, StringAttr, i64
from xdsl.ir import Operation

from compiler.dialects.isa import VIRTUAL, DescriptorOp, InstructionOp, LabelOp, ProgramOp, instruction
from compiler.errors import CompileError
from compiler.selection.coloring import color
from compiler.selection.liveness import live_out, members, x_access
from compiler.transforms.allocate_registers import AllocateRegistersPass
from isa.spec import TD_BYTES, TD_REGISTERS, X_REGISTERS, Flag
from tests.property.scalar_machine import ALU, TAKEN, Machine

# No shrinking: it would take minutes, and the program that fails is printed.
SETTINGS = settings(
    deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None, max_examples=30,
    phases=[Phase.generate],
)  # fmt: skip


# Random programs


@dataclass
class Maker:
    """Draws statements over `variables` virtual registers."""

    draw: st.DrawFn
    variables: int
    ops: list[Operation] = field(default_factory=list)
    labels: int = 0
    counters: int = 0

    def variable(self) -> int:
        return VIRTUAL + self.draw(st.integers(0, self.variables - 1))

    def label(self) -> str:
        self.labels += 1
        return f"l{self.labels}"

    def emit(self, mnemonic: str, function: str = "", flags: int = 0, **fields: int | str) -> None:
        self.ops.append(instruction(mnemonic, function, flags, **fields))

    def place(self, label: str) -> None:
        self.ops.append(LabelOp(properties={"label": StringAttr(label)}))

    def statements(self, depth: int, most: int) -> None:
        for _ in range(self.draw(st.integers(1, most))):
            kind = self.draw(st.sampled_from(["alu", "alu", "immediate", "move", "post", "loop", "branch"]))
            if kind == "loop" and depth:
                self.loop(depth)
            elif kind == "branch" and depth:
                self.branch(depth)
            elif kind == "post":
                self.emit("yield", rs=self.variable(), imm=self.draw(st.integers(1, 9)))
            elif kind == "move":
                self.emit("alu", "add", Flag.I, rd=self.variable(), rs=self.variable(), imm=0)
            elif kind == "immediate":
                imm = self.draw(st.integers(-100, 100))
                self.emit("alu", self.function(), Flag.I, rd=self.variable(), rs=self.variable(), imm=imm)
            else:
                self.emit("alu", self.function(), rd=self.variable(), rs=self.variable(), rt=self.variable())

    def function(self) -> str:
        return self.draw(st.sampled_from(sorted(ALU)))

    def loop(self, depth: int) -> None:
        """A counter of its own, 1 to 3 times."""
        counter = VIRTUAL + self.variables + self.counters
        self.counters += 1
        start = self.label()
        self.emit("alu", "add", Flag.I, rd=counter, rs=0, imm=self.draw(st.integers(1, 3)))
        self.place(start)
        self.statements(depth - 1, 4)
        self.emit("alu", "sub", Flag.I, rd=counter, rs=counter, imm=1)
        self.emit("br", "ne", rs=counter, rt=0, target=start)

    def branch(self, depth: int) -> None:
        otherwise, end = self.label(), self.label()
        self.emit(
            "br", self.draw(st.sampled_from(sorted(TAKEN))), rs=self.variable(), rt=self.variable(), target=otherwise
        )
        self.statements(depth - 1, 3)
        self.emit("jal", rd=0, target=end)
        self.place(otherwise)
        self.statements(depth - 1, 3)
        self.place(end)


@st.composite
def programs(draw: st.DrawFn, variables: int) -> ProgramOp:
    """Sets all variables, does something, posts all variables: so all are live all the time."""
    maker = Maker(draw, variables)
    for index in range(variables):
        maker.emit("alu", "add", Flag.I, rd=VIRTUAL + index, rs=0, imm=7 * index + 1)
    maker.statements(3, 12)
    for index in range(variables):  # so that what is spilled is also read and written by one instruction
        maker.emit("alu", "add", Flag.I, rd=VIRTUAL + index, rs=VIRTUAL + index, imm=index)
    for index in range(variables):
        maker.emit("yield", rs=VIRTUAL + index, imm=100 + index)
    maker.emit("halt")
    return ProgramOp("random", maker.ops)


def allocate(program: ProgramOp) -> ProgramOp:
    """A copy with physical registers."""
    copy = program.clone()
    module = ModuleOp([copy])
    AllocateRegistersPass().apply(Context(), module)
    module.verify()
    copy.detach()
    return copy


def instructions(program: ProgramOp) -> Iterator[InstructionOp]:
    return (op for op in program.body.block.ops if isinstance(op, InstructionOp))


def check(program: ProgramOp) -> ProgramOp:
    allocated = allocate(program)
    for op in instructions(allocated):
        for name in ("rd", "rs", "rt"):
            assert op.number(name) < X_REGISTERS
    assert Machine().run(allocated) == Machine().run(program)
    return allocated


@SETTINGS
@given(st.data(), st.integers(1, 31))
def test_programs_that_fit_keep_their_meaning(data: st.DataObject, variables: int) -> None:
    check(data.draw(programs(variables)))


@settings(SETTINGS, max_examples=10)
@given(st.data(), st.integers(32, 60))
def test_programs_that_spill_keep_their_meaning(data: st.DataObject, variables: int) -> None:
    allocated = check(data.draw(programs(variables)))
    stores = [op for op in instructions(allocated) if op.ROW.mnemonic == "sts"]
    assert stores
    assert min(op.number("imm") for op in stores) >= 0
    assert not any(op.number("imm") % 8 for op in stores)


@SETTINGS
@given(st.data())
def test_liveness_holds_what_is_read_later(data: st.DataObject) -> None:
    """Along a run, a register read later and not written before must be live."""
    program = data.draw(programs(6))
    ops = list(program.body.block.ops)
    accesses = [x_access(op) if isinstance(op, InstructionOp) else None for op in ops]
    live = live_out(ops, accesses)
    labels = {op.label.data: place for place, op in enumerate(ops) if isinstance(op, LabelOp)}
    machine, place, trace = Machine(), 0, []
    while not (isinstance(op := ops[place], InstructionOp) and op.ROW.mnemonic == "halt"):
        trace.append(place)
        jumps = isinstance(op, InstructionOp) and machine.step(op)
        place = labels[op.label or ""] if jumps else place + 1
    needed: set[int] = set()
    for place in reversed(trace):
        assert needed <= set(members(live[place]))
        access = accesses[place]
        if access is not None:
            needed = (needed - set(access.writes)) | set(access.reads)


@SETTINGS
@given(st.data(), st.integers(1, 12))
def test_colouring_needs_no_more_than_it_is_given(data: st.DataObject, available: int) -> None:
    """Whatever finds a register differs from all that live at the same time; with enough registers nothing fails."""
    program = data.draw(programs(10))
    ops = list(program.body.block.ops)
    found = color(ops, x_access, range(1, available + 1))
    assert set(found.registers.values()) <= set(range(1, available + 1))
    assert found.failed or available >= 10
    accesses = [x_access(op) if isinstance(op, InstructionOp) else None for op in ops]
    for behind, access in zip(live_out(ops, accesses), accesses, strict=True):
        if access is None or not access.writes or access.reads:
            continue
        written = found.registers.get(access.writes[0])
        others = [found.registers[r] for r in members(behind) if r != access.writes[0] and r in found.registers]
        assert written is None or written not in others


def test_spilled_words_lie_behind_the_descriptors() -> None:
    ops: list[Operation] = [descriptor(4096)]
    for index in range(40):
        ops.append(instruction("alu", "add", Flag.I, rd=VIRTUAL + index, rs=0, imm=index))
    ops += [instruction("yield", rs=VIRTUAL + index, imm=1) for index in range(40)]
    allocated = check(ProgramOp("spills", [*ops, instruction("halt")]))
    addresses = [op.number("imm") for op in instructions(allocated) if op.ROW.mnemonic == "sts"]
    assert len(addresses) == len(set(addresses)) >= 9
    assert min(addresses) == 4096 + TD_BYTES


def test_moves_within_a_register_disappear() -> None:
    ops: list[Operation] = [instruction("alu", "add", Flag.I, rd=VIRTUAL, rs=0, imm=5)]
    for index in range(5):
        ops.append(instruction("alu", "add", Flag.I, rd=VIRTUAL + index + 1, rs=VIRTUAL + index, imm=0))
    ops += [instruction("yield", rs=VIRTUAL + 5, imm=1), instruction("halt")]
    assert len(list(instructions(check(ProgramOp("moves", ops))))) == 3


# Descriptors


def descriptor(address: int) -> DescriptorOp:
    return DescriptorOp(
        properties={
            "address": IntegerAttr(address, i64),
            "label": StringAttr("d"),
            "content": StringAttr("00" * TD_BYTES),
        }
    )


@SETTINGS
@given(st.data(), st.integers(1, TD_REGISTERS))
def test_descriptors_keep_their_fields(data: st.DataObject, count: int) -> None:
    """`count` descriptors live at once, changed and used in any order."""
    ops: list[Operation] = [instruction("tdld", ta=VIRTUAL + index, rs=0, imm=8 * index) for index in range(count)]
    ops.append(instruction("alu", "add", Flag.I, rd=VIRTUAL, rs=0, imm=11))
    one = st.integers(VIRTUAL, VIRTUAL + count - 1)
    for _ in range(data.draw(st.integers(1, 20))):
        name = data.draw(st.sampled_from(["base", "e0", "s3"]))
        if data.draw(st.booleans()):
            ops.append(instruction("tdset", name, Flag.I, ta=data.draw(one), imm=data.draw(st.integers(0, 9))))
        else:
            ops.append(instruction("tdset", name, ta=data.draw(one), rs=VIRTUAL))
        ops.append(instruction("ld", ta=data.draw(one), tb=data.draw(one)))
    ops += [instruction("ld", ta=VIRTUAL + index, tb=VIRTUAL + index) for index in range(count)]
    program = ProgramOp("views", [*ops, instruction("halt")])
    allocated = allocate(program)
    assert max(op.number(name) for op in instructions(allocated) for name in ("ta", "tb")) < TD_REGISTERS
    assert Machine().run(allocated) == Machine().run(program)


def test_too_many_descriptors_are_an_error() -> None:
    count = TD_REGISTERS + 1
    ops: list[Operation] = [instruction("tdld", ta=VIRTUAL + index, rs=0, imm=0) for index in range(count)]
    ops += [instruction("ld", ta=VIRTUAL + index, tb=VIRTUAL + index) for index in range(count)]
    with pytest.raises(CompileError, match="1 views find no descriptor register"):
        allocate(ProgramOp("views", [*ops, instruction("halt")]))

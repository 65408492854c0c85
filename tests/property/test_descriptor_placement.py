"""Wherever descriptors are loaded and set, an instruction sees what its views say, and no field is given a value that does not fit.

Random tile programs are executed by a small interpreter, and, selected, by a machine of scalars and descriptors. Many have more views
than there are registers; some scalars fit their fields only where a branch has tested them.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from xdsl.dialects import arith, scf
from xdsl.dialects.builtin import FunctionType, IntegerAttr, ModuleOp, UnknownLoc, i64
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, Region, SSAValue

from compiler.dialects import tile
from compiler.dialects.isa import DescriptorOp, InstructionOp, ProgramOp
from compiler.driver import make_context
from compiler.lowering.builder import Place, TileBuilder
from compiler.selection.selector import Selector
from compiler.transforms.allocate_registers import AllocateRegistersPass
from compiler.transforms.simplify_indices import SimplifyIndicesPass
from compiler.transforms.unroll_turns import UnrollTurnsPass
from isa.descriptor import Descriptor, field_range
from isa.spec import TD_FIELDS, TD_REGISTERS, Dtype, Flag
from isa.spec import Region as Space
from tests.property.scalar_machine import Machine

SETTINGS = settings(
    deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None, max_examples=16,
    phases=[Phase.generate],
)  # fmt: skip
RANGES = {name: field_range(width, signed) for name, width, signed in TD_FIELDS}
WORDS = 8
WORD_AT = 1024
CONSTANTS_AT = 2048


# Random programs


class Maker:
    """Statements over the scalars and views in sight. `bold`: values that may be negative, only used behind a test."""

    def __init__(self, seed: int, loads: int):
        self.random = random.Random(seed)
        self.loads = loads
        self.block = Block()
        self.b = TileBuilder(self.block, UnknownLoc())
        self.buffers = [self.b.alloc(f"b{index}", 4096) for index in range(3)]
        for index, buffer in enumerate(self.buffers):
            buffer.owner.properties["offset"] = IntegerAttr(4096 * index, i64)  # type: ignore[union-attr]
        read = [self.b.lds(8, displacement=WORD_AT + 8 * index) for index in range(WORDS)]
        self.bold = read[:2]
        self.safe = [self.clamped(value) for value in read[2:]]
        self.views: list[SSAValue] = []

    def clamped(self, value: SSAValue) -> SSAValue:
        return self.b.value(self.b.least(self.b.greatest(value, 0), 300))

    def number(self) -> SSAValue:
        return self.random.choice(self.safe)

    def function(self) -> FuncOp:
        self.statements(3)
        while self.loads > 0:
            self.statements(3)
        self.b.insert(ReturnOp())
        return FuncOp("generate", FunctionType.from_lists([], []), Region(self.block))

    def statements(self, depth: int) -> None:
        """A block; what becomes known in it is forgotten behind it."""
        seen = len(self.safe), len(self.views)
        for _ in range(self.random.randint(2, 5)):
            self.statement(depth)
        del self.safe[seen[0] :]
        del self.views[seen[1] :]

    def statement(self, depth: int) -> None:
        kind = self.random.choice(["load", "load", "load", "scalar", "loop", "turns", "branch", "tested"])
        if kind == "scalar":
            one, other = self.number(), self.number()
            op = self.random.choice([self.b.add, self.b.least, self.b.greatest])
            self.safe.append(self.clamped(self.b.value(op(one, other))))
        elif kind == "load" or not depth:
            self.loads -= 1
            self.b.load(self.view(), self.view())
        elif kind in ("loop", "turns"):
            self.loop(depth, kind == "turns")
        else:
            self.branch(depth, kind == "tested")

    def view(self) -> SSAValue:
        if self.views and self.random.random() < 0.5:
            return self.random.choice(self.views)
        pick = self.random.random
        base = self.number() if pick() < 0.6 else 8 * self.random.randrange(50)
        extents = [self.number() if pick() < 0.3 else self.random.randint(1, 64) for _ in range(2)]
        place = Place("weight") if pick() < 0.3 else Place("sram", self.random.choice(self.buffers))
        place = Place(place.space, place.buffer, base)
        self.views.append(self.b.view(place, "u8", extents, [1, 64], self.random.choice([0, 16, 640])))
        return self.views[-1]

    def loop(self, depth: int, turns: bool) -> None:
        known = self.random.random() < 0.7 or turns
        high = self.random.randint(0, 5) if known else self.b.value(self.b.least(self.number(), 3))

        def body(index: SSAValue, carried: list[SSAValue]) -> list[SSAValue]:
            seen = len(self.safe)
            self.safe += [index, *carried]
            self.statements(depth - 1)
            del self.safe[seen:]
            return [self.b.value(self.b.sub(128, value)) for value in carried]

        self.safe += self.b.loop(0, high, 1, body, [0] if turns else [])

    def branch(self, depth: int, tested: bool) -> None:
        value = self.random.choice(self.bold)
        condition = self.b.compare("sge", value, 0) if tested else self.b.compare("slt", self.number(), self.number())

        def side() -> None:
            seen = len(self.safe)
            self.safe += [value] if tested else []
            self.statements(depth - 1)
            del self.safe[seen:]

        def other() -> None:
            self.statements(depth - 1)

        self.b.when(condition, side, other if self.random.random() < 0.5 else None)


# What they mean

SCALARS: dict[type[Operation], Callable[[int, int], int]] = {
    arith.AddiOp: lambda a, b: a + b,
    arith.SubiOp: lambda a, b: a - b,
    arith.MinSIOp: min,
    arith.MaxSIOp: max,
}


class Walker:
    """Executes tile IR as it is written; `seen`: the descriptors of each load."""

    def __init__(self, memory: dict[int, int]):
        self.memory, self.values = memory, dict[SSAValue, int]()
        self.seen: list[object] = []

    def block(self, block: Block) -> list[int]:
        for op in block.ops:
            if isinstance(op, scf.YieldOp):
                return [self.values[value] for value in op.operands]
            self.op(op)
        return []

    def op(self, op: Operation) -> None:
        if isinstance(op, arith.ConstantOp) and isinstance(op.value, IntegerAttr):
            self.values[op.result] = op.value.value.data
        elif isinstance(op, arith.CmpiOp):
            a, b = self.values[op.lhs], self.values[op.rhs]
            self.values[op.result] = int(a >= b if op.predicate.value.data == 5 else a < b)
        elif type(op) in SCALARS:
            a, b = (self.values[value] for value in op.operands)
            self.values[op.results[0]] = SCALARS[type(op)](a, b)
        elif isinstance(op, tile.LdsOp):
            self.values[op.result] = self.memory[op.displacement.value.data]
        elif isinstance(op, tile.LoadOp):
            self.seen.append((self.descriptor(op.target), self.descriptor(op.source)))
        elif isinstance(op, scf.IfOp):
            region = op.true_region if self.values[op.cond] else op.false_region
            self.block(region.block) if region.blocks else None
        elif isinstance(op, scf.ForOp):
            low, high, step = (self.values[value] for value in (op.lb, op.ub, op.step))
            carried = [self.values[value] for value in op.iter_args]
            for index in range(low, high, step):
                self.values.update(zip(op.body.block.args, (index, *carried), strict=True))
                carried = self.block(op.body.block)
            self.values.update(zip(op.results, carried, strict=True))

    def descriptor(self, value: SSAValue) -> Descriptor:
        view = value.owner
        assert isinstance(view, tile.ViewOp)
        buffer = view.buffer.owner if view.buffer is not None else None
        offset = buffer.offset.value.data if isinstance(buffer, tile.AllocOp) and buffer.offset is not None else 0
        base = offset + view.static_base.value.data + (self.values[view.base] if view.base is not None else 0)
        e0, e1, e2, e3 = (v if isinstance(v, int) else self.values[v] for v in view.full_extents())
        s0, s1, s2, s3 = (v if isinstance(v, int) else self.values[v] for v in view.full_strides())
        space = Space.SRAM if buffer is not None else Space.WEIGHT
        return Descriptor(base, space, Dtype.U8, (e0, e1, e2, e3), (s0, s1, s2, s3))


class DescriptorMachine(Machine):
    """Traps where the hardware would; posts descriptors."""

    def __init__(self, memory: dict[int, int], constants: dict[int, Descriptor]):
        super().__init__(memory=dict(memory))
        self.constants, self.tds = constants, dict[int, Descriptor]()

    def descriptor_step(self, op: InstructionOp) -> None:
        if op.ROW.mnemonic == "tdld":
            self.tds[op.number("ta")] = self.constants[op.number("imm")]
        elif op.ROW.mnemonic == "tdset":
            value = op.number("imm") if op.flags & Flag.I else self.read(op, "rs")
            low, high = RANGES[op.function]
            assert low <= value <= high, f"{op.function} = {value} traps"
            self.tds[op.number("ta")] = self.tds[op.number("ta")].with_field(op.function, value)
        else:
            assert op.ROW.mnemonic == "ld"
            self.posted.append((self.tds[op.number("ta")], self.tds[op.number("tb")]))


def select(function: FuncOp) -> ProgramOp:
    return ProgramOp("generate", Selector(function, CONSTANTS_AT).select())


def run(program: ProgramOp, memory: dict[int, int]) -> list[object]:
    constants = {
        op.address.value.data: Descriptor.unpack(bytes.fromhex(op.content.data))
        for op in program.body.block.ops
        if isinstance(op, DescriptorOp)
    }
    return DescriptorMachine(memory, constants).run(program)


def words(seed: int) -> dict[int, int]:
    chosen = random.Random(seed)
    return {WORD_AT + 8 * index: chosen.randint(-20, 200) for index in range(WORDS)}


def check(seed: int, loads: int) -> ProgramOp:
    function = Maker(seed, loads).function()
    module = ModuleOp([function])
    module.verify()
    memories = [words(seed + step) for step in range(3)]
    expected: list[list[object]] = []
    for memory in memories:
        walker = Walker(memory)
        walker.block(function.body.block)
        expected.append(walker.seen)
    for transform in (UnrollTurnsPass(), SimplifyIndicesPass()):
        transform.apply(make_context(), module)
        module.verify()
    program = select(function)
    assert [run(program, memory) for memory in memories] == expected
    AllocateRegistersPass().apply(make_context(), ModuleOp([program]))
    assert [run(program, memory) for memory in memories] == expected
    return program


def registers(program: ProgramOp) -> set[int]:
    instructions = [op for op in program.body.block.ops if isinstance(op, InstructionOp)]
    return {op.number(name) for op in instructions for name in ("ta", "tb") if name in op.used()}


@SETTINGS
@given(st.integers(0, 1 << 30))
def test_instructions_see_what_their_views_say(seed: int) -> None:
    check(seed, 20)


@settings(SETTINGS, max_examples=3)
@given(st.integers(0, 1 << 30))
def test_more_views_than_registers(seed: int) -> None:
    assert max(registers(check(seed, 250))) < TD_REGISTERS


@pytest.mark.parametrize("views", [TD_REGISTERS, TD_REGISTERS + 1, 2 * TD_REGISTERS + 1])
def test_a_loop_keeps_what_the_registers_hold(views: int) -> None:
    """All but one of the registers stay as they are; the views that are left take turns in it."""
    maker = Maker(0, 0)
    b, buffer = maker.b, maker.buffers[0]

    def body(_index: SSAValue, _carried: list[SSAValue]) -> list[SSAValue]:
        for number in range(views):
            view = b.view(Place("sram", buffer, 8 * number), "u8", [8], [1])
            b.load(view, view)
        return []

    b.loop(0, 10, 1, body)
    program = select(maker.function())
    ops = list(program.body.block.ops)
    labels = [index for index, op in enumerate(ops) if op.name == "isa.label"]
    inside = [op for op in ops[labels[0] : labels[1]] if isinstance(op, InstructionOp) and op.ROW.mnemonic == "tdld"]
    assert len(inside) == (0 if views <= TD_REGISTERS else views - TD_REGISTERS + 1)
    AllocateRegistersPass().apply(make_context(), ModuleOp([program]))
    assert max(registers(program)) == TD_REGISTERS - 1

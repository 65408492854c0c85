"""The selector: walks structured tile IR and emits instructions with virtual registers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from xdsl.dialects import arith, scf
from xdsl.dialects.builtin import LocationAttr, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, SSAValue

from compiler.dialects import tile
from compiler.dialects.isa import VIRTUAL, LabelOp, instruction
from compiler.errors import CompileError
from compiler.locations import is_unknown, source_of
from compiler.scalars import constant_of
from compiler.selection.descriptors import Descriptors
from compiler.selection.engine_ops import ENGINE_SELECTORS
from isa.spec import Flag

IMMEDIATE = range(-(1 << 31), 1 << 31)
ALU: dict[type[Operation], str] = {
    arith.AddiOp: "add", arith.SubiOp: "sub", arith.MuliOp: "mul", arith.RemSIOp: "rem", arith.DivSIOp: "div",
    arith.MinSIOp: "min", arith.MaxSIOp: "max", arith.AndIOp: "and",
}  # fmt: skip
COMMUTATIVE = ("add", "mul", "min", "max", "and")
# Comparison: (branch taken if it holds, operands swapped), and its opposite.
BRANCHES = {0: ("eq", False), 1: ("ne", False), 2: ("lt", False), 3: ("ge", True), 4: ("lt", True), 5: ("ge", False)}
OPPOSITES = {0: 1, 1: 0, 2: 5, 3: 4, 4: 3, 5: 2}


class Selector:
    """Selects one function; `select` returns the ops of the program."""

    def __init__(self, function: FuncOp, constants_address: int):
        self.function = function
        self.registers: dict[SSAValue, int] = {}
        self.next_register = VIRTUAL
        self.labels = 0
        self.location: LocationAttr = function.location
        self.current: Operation | None = None
        self.code: list[Operation] = []
        self.descriptors = Descriptors(self, function, constants_address)

    def select(self) -> list[Operation]:
        self.block(self.function.body.block)
        ops = [*self.descriptors.constants.values(), *self.code]
        for op in ops:
            if is_unknown(op.location):
                op.location = self.function.location
        return ops

    # Emission

    def emit(self, op: Operation, location: LocationAttr | None = None) -> None:
        op.location = self.location if location is None else location
        self.code.append(op)

    def new_register(self) -> int:
        self.next_register += 1
        return self.next_register - 1

    def new_label(self, stem: str) -> str:
        self.labels += 1
        return f"{stem}{self.labels}"

    def label(self, name: str) -> None:
        self.emit(LabelOp(properties={"label": StringAttr(name)}))

    def define(self, value: SSAValue) -> int:
        self.registers[value] = self.new_register()
        return self.registers[value]

    def register(self, value: SSAValue) -> int:
        """The register of a value; constants are put into one where they are needed."""
        constant = constant_of(value)
        if constant == 0:
            return 0
        if constant is None:
            return self.registers[value]
        register = self.new_register()
        self.load_constant(register, constant)
        return register

    def load_constant(self, register: int, constant: int) -> None:
        if constant in IMMEDIATE:
            self.emit(instruction("alu", "add", Flag.I, rd=register, rs=0, imm=constant))
            return
        high = self.new_register()
        self.load_constant(high, constant >> 16)
        shifted = self.new_register()
        self.emit(instruction("alu", "sll", Flag.I, rd=shifted, rs=high, imm=16))
        self.emit(instruction("alu", "or", Flag.I, rd=register, rs=shifted, imm=constant & 0xFFFF))

    def add(self, register: int, number: int, location: LocationAttr | None = None) -> int:
        """A new register with the sum."""
        total = self.new_register()
        if number in IMMEDIATE:
            self.emit(instruction("alu", "add", Flag.I, rd=total, rs=register, imm=number), location)
            return total
        far = self.new_register()
        self.load_constant(far, number)
        self.emit(instruction("alu", "add", rd=total, rs=register, rt=far), location)
        return total

    def move(self, target: int, value: SSAValue) -> None:
        constant = constant_of(value)
        if constant is not None:
            self.load_constant(target, constant)
        elif self.registers[value] != target:
            self.emit(instruction("alu", "add", Flag.I, rd=target, rs=self.registers[value], imm=0))

    def move_all(self, targets: Sequence[int], values: Sequence[SSAValue]) -> None:
        """Moves that happen at once: a target that is still read goes through a copy."""
        sources = [self.registers.get(value) for value in values]
        pending = list(zip(targets, values, sources, strict=True))
        for index, (target, value, source) in enumerate(pending):
            if source is not None and source != target and source in targets[:index]:
                raise CompileError("a loop hands a carried value on to another one", source_of(self.location))
            self.move(target, value)

    # Blocks and control flow

    def block(self, block: Block) -> None:
        for op in block.ops:
            self.op(op)

    def op(self, op: Operation) -> None:
        self.location, self.current = op.location, op
        self.descriptors.before(op)
        if type(op) in ALU:
            self.alu(op)
        elif type(op) in ENGINE_SELECTORS:
            ENGINE_SELECTORS[type(op)](self, op)
        elif type(op) in CONTROL:
            CONTROL[type(op)](self, op)
        else:
            raise CompileError(f"{op.name} has no instruction", source_of(op.location))

    def nothing(self, op: Operation) -> None:
        """Constants, comparisons, buffers and views are used by others; they are no instructions."""

    def alu(self, op: Operation) -> None:
        function = ALU[type(op)]
        a, b = op.operands
        if constant_of(a) is not None and function in COMMUTATIVE:
            a, b = b, a
        constant = constant_of(b)
        left = self.register(a)
        if constant is not None and constant in IMMEDIATE:
            self.emit(instruction("alu", function, Flag.I, rd=self.define(op.results[0]), rs=left, imm=constant))
        else:
            right = self.register(b)
            self.emit(instruction("alu", function, rd=self.define(op.results[0]), rs=left, rt=right))

    def branch(self, condition: SSAValue, target: str, if_true: bool) -> None:
        """To `target` if the condition, a comparison, is (not) true."""
        compare = condition.owner
        if not isinstance(compare, arith.CmpiOp):
            raise CompileError("a condition is a comparison", source_of(self.location))
        predicate = compare.predicate.value.data
        function, swapped = BRANCHES[predicate if if_true else OPPOSITES[predicate]]
        left, right = (self.register(value) for value in (compare.lhs, compare.rhs))
        if swapped:
            left, right = right, left
        self.emit(instruction("br", function, rs=left, rt=right, target=target))

    def for_loop(self, op: scf.ForOp) -> None:
        block = op.body.block
        index, *carried = (self.define(arg) for arg in block.args)
        self.move(index, op.lb)
        for target, value in zip(carried, op.iter_args, strict=True):
            self.move(target, value)
        bounds = [constant_of(value) for value in (op.lb, op.ub)]
        start, end = self.new_label("loop"), self.new_label("done")
        high = self.register(op.ub)
        if None in bounds or bounds[0] >= bounds[1]:  # type: ignore[operator]
            self.emit(instruction("br", "ge", rs=index, rt=high, target=end))
        self.descriptors.entering(op)
        self.label(start)
        self.block(block)
        self.location = op.location
        self.advance(op, index, carried, high, start)
        self.label(end)
        for result, register in zip(op.results, carried, strict=True):
            self.registers[result] = register

    def advance(self, op: scf.ForOp, index: int, carried: Sequence[int], high: int, start: str) -> None:
        """The end of a loop body: carried values, index, branch back."""
        end = op.body.block.last_op
        self.move_all(carried, list(end.operands) if end is not None else [])
        step = constant_of(op.step)
        if step is None:
            raise CompileError("a loop has a constant step", source_of(op.location))
        self.emit(instruction("alu", "add", Flag.I, rd=index, rs=index, imm=step))
        self.emit(instruction("br", "lt", rs=index, rt=high, target=start))

    def while_loop(self, op: scf.WhileOp) -> None:
        before, after = op.before_region.block, op.after_region.block
        carried = [self.define(arg) for arg in before.args]
        for target, value in zip(carried, op.arguments, strict=True):
            self.move(target, value)
        start, end = self.new_label("while"), self.new_label("done")
        condition = before.last_op
        if not isinstance(condition, scf.ConditionOp):
            raise CompileError("a while loop ends its test in scf.condition", source_of(op.location))
        self.label(start)
        for inner in list(before.ops)[:-1]:
            self.op(inner)
        self.branch(condition.condition, end, if_true=False)
        for arg, value in zip(after.args, condition.args, strict=True):
            self.registers[arg] = self.registers[value]
        self.block(after)
        last = after.last_op
        self.move_all(carried, list(last.operands) if last is not None else [])
        self.emit(instruction("jal", rd=0, target=start))
        self.label(end)
        for result, value in zip(op.results, condition.args, strict=True):
            self.registers[result] = self.registers[value]

    def if_else(self, op: scf.IfOp) -> None:
        results = [self.define(result) for result in op.results]
        otherwise, end = self.new_label("else"), self.new_label("end")
        has_else = bool(op.false_region.blocks)
        self.branch(op.cond, otherwise if has_else else end, if_true=False)
        self.side(op.true_region.block, results)
        if has_else:
            self.emit(instruction("jal", rd=0, target=end))
            self.label(otherwise)
            self.side(op.false_region.block, results)
        self.label(end)

    def side(self, block: Block, results: Sequence[int]) -> None:
        """One side of a branch."""
        self.block(block)
        last = block.last_op
        self.move_all(results, list(last.operands) if last is not None else [])

    def halt(self, op: Operation) -> None:
        self.emit(instruction("halt"))

    def td(self, view: SSAValue) -> int:
        """The descriptor register of a view that the op at work names."""
        if self.current is None:
            raise ValueError("no op is at work")
        return self.descriptors.register(self.current, view)


CONTROL: dict[type[Operation], Callable[[Selector, Any], None]] = {
    scf.ForOp: Selector.for_loop,
    scf.WhileOp: Selector.while_loop,
    scf.IfOp: Selector.if_else,
    scf.YieldOp: Selector.nothing,
    ReturnOp: Selector.halt,
    arith.ConstantOp: Selector.nothing,
    arith.CmpiOp: Selector.nothing,
    tile.AllocOp: Selector.nothing,
    tile.RenewOp: Selector.nothing,
    tile.ViewOp: Selector.nothing,
}

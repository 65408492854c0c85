"""The selector: walks structured tile IR and emits instructions with virtual registers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from xdsl.dialects import arith, scf
from xdsl.dialects.builtin import IntegerAttr, LocationAttr, StringAttr, i64
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Operation, SSAValue

from compiler.dialects import tile
from compiler.dialects.isa import VIRTUAL, DescriptorOp, LabelOp, instruction
from compiler.errors import SMEM_HINT, CompileError
from compiler.locations import is_unknown, source_of
from compiler.selection.engine_ops import ENGINE_SELECTORS
from compiler.selection.scopes import Scope, Scopes
from compiler.selection.views import ViewPlan, plan_views
from isa.spec import SMEM_BYTES, TD_BYTES, Flag

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
        self.constants_address = constants_address
        self.scopes = Scopes()
        self.registers: dict[SSAValue, int] = {}
        self.next_register = VIRTUAL
        self.plans = plan_views(function)
        self.descriptors: dict[SSAValue, int] = {}
        self.addresses: dict[SSAValue, int] = {}
        self.labels = 0
        self.location: LocationAttr = function.location
        self.constants: list[Operation] = []
        self.start: list[Operation] = []

    def select(self) -> list[Operation]:
        self.block(self.function.body.block)
        ops = [*self.constants, *self.start, *self.scopes.top.ops]
        for op in ops:
            if is_unknown(op.location):
                op.location = self.function.location
        return ops

    # Emission

    def emit(self, op: Operation, into: list[Operation] | None = None) -> None:
        op.location = self.location
        (self.scopes.top.ops if into is None else into).append(op)

    def new_register(self) -> int:
        self.next_register += 1
        return self.next_register - 1

    def new_label(self, stem: str) -> str:
        self.labels += 1
        return f"{stem}{self.labels}"

    def label(self, name: str) -> None:
        self.emit(LabelOp(properties={"label": StringAttr(name)}))

    def constant_of(self, value: SSAValue) -> int | None:
        """The number a value is known to be."""
        owner = value.owner
        if isinstance(owner, arith.ConstantOp) and isinstance(owner.value, IntegerAttr):
            return owner.value.value.data
        return None

    def define(self, value: SSAValue) -> int:
        self.registers[value] = self.new_register()
        self.scopes.define(value)
        return self.registers[value]

    def register(self, value: SSAValue, into: list[Operation] | None = None) -> int:
        """The register of a value; constants are put into one where they are needed."""
        constant = self.constant_of(value)
        if constant == 0:
            return 0
        if constant is None:
            return self.registers[value]
        register = self.new_register()
        self.load_constant(register, constant, into)
        return register

    def load_constant(self, register: int, constant: int, into: list[Operation] | None = None) -> None:
        if constant in IMMEDIATE:
            self.emit(instruction("alu", "add", Flag.I, rd=register, rs=0, imm=constant), into)
            return
        high = self.new_register()
        self.load_constant(high, constant >> 16, into)
        shifted = self.new_register()
        self.emit(instruction("alu", "sll", Flag.I, rd=shifted, rs=high, imm=16), into)
        self.emit(instruction("alu", "or", Flag.I, rd=register, rs=shifted, imm=constant & 0xFFFF), into)

    def move(self, target: int, value: SSAValue) -> None:
        constant = self.constant_of(value)
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
        self.location = op.location
        if type(op) in ALU:
            self.alu(op)
        elif isinstance(op, tile.ViewOp):
            self.view(op)
        elif type(op) in ENGINE_SELECTORS:
            ENGINE_SELECTORS[type(op)](self, op)
        elif type(op) in CONTROL:
            CONTROL[type(op)](self, op)
        else:
            raise CompileError(f"{op.name} has no instruction", source_of(op.location))

    def nothing(self, op: Operation) -> None:
        """Constants, comparisons and buffers are used by others; they are no instructions."""

    def alu(self, op: Operation) -> None:
        function = ALU[type(op)]
        a, b = op.operands
        if self.constant_of(a) is not None and function in COMMUTATIVE:
            a, b = b, a
        constant = self.constant_of(b)
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

    def inside(self, is_loop: bool, body: Callable[[], None]) -> None:
        """Emits a nested scope and appends it, a loop's preheader first."""
        self.scopes.stack.append(Scope(is_loop))
        body()
        scope = self.scopes.stack.pop()
        self.scopes.top.ops.extend([*scope.preheader, *scope.ops])

    def for_loop(self, op: scf.ForOp) -> None:
        block = op.body.block
        index, *carried = (self.define(arg) for arg in block.args)
        self.move(index, op.lb)
        for target, value in zip(carried, op.iter_args, strict=True):
            self.move(target, value)
        bounds = [self.constant_of(value) for value in (op.lb, op.ub)]
        start, end = self.new_label("loop"), self.new_label("done")
        high = self.register(op.ub)
        if None in bounds or bounds[0] >= bounds[1]:  # type: ignore[operator]
            self.emit(instruction("br", "ge", rs=index, rt=high, target=end))

        def body() -> None:
            self.label(start)
            for arg in block.args:
                self.scopes.define(arg)
            self.block(block)
            self.location = op.location
            self.advance(op, index, carried, high, start)

        self.inside(True, body)
        self.label(end)
        for result, register in zip(op.results, carried, strict=True):
            self.registers[result] = register
            self.scopes.define(result)

    def advance(self, op: scf.ForOp, index: int, carried: Sequence[int], high: int, start: str) -> None:
        """The end of a loop body: carried values, index, branch back."""
        end = op.body.block.last_op
        self.move_all(carried, list(end.operands) if end is not None else [])
        step = self.constant_of(op.step)
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

        def body() -> None:
            self.label(start)
            for arg in before.args:
                self.scopes.define(arg)
            for inner in list(before.ops)[:-1]:
                self.op(inner)
            self.branch(condition.condition, end, if_true=False)
            for arg, value in zip(after.args, condition.args, strict=True):
                self.registers[arg] = self.registers[value]
                self.scopes.define(arg)
            self.block(after)
            last = after.last_op
            self.move_all(carried, list(last.operands) if last is not None else [])
            self.emit(instruction("jal", rd=0, target=start))

        self.inside(True, body)
        self.label(end)
        for result, value in zip(op.results, condition.args, strict=True):
            self.registers[result] = self.registers[value]
            self.scopes.define(result)

    def if_else(self, op: scf.IfOp) -> None:
        results = [self.define(result) for result in op.results]
        otherwise, end = self.new_label("else"), self.new_label("end")
        has_else = bool(op.false_region.blocks)
        self.branch(op.cond, otherwise if has_else else end, if_true=False)

        def side(block: Block) -> Callable[[], None]:
            def body() -> None:
                self.block(block)
                last = block.last_op
                self.move_all(results, list(last.operands) if last is not None else [])

            return body

        self.inside(False, side(op.true_region.block))
        if has_else:
            self.emit(instruction("jal", rd=0, target=end))
            self.label(otherwise)
            self.inside(False, side(op.false_region.block))
        self.label(end)

    def halt(self, op: Operation) -> None:
        self.emit(instruction("halt"))

    # Views

    def view(self, op: tile.ViewOp) -> None:
        """A resident view has its descriptor from here on; another one is made anew wherever it is used."""
        plan = self.plans[op.result]
        self.addresses[op.result] = self.descriptor_constant(op, plan)
        if plan.resident:
            self.descriptors[op.result] = self.new_register()
            self.load_descriptor(op.result, self.descriptors[op.result], self.start)

    def descriptor_constant(self, op: tile.ViewOp, plan: ViewPlan) -> int:
        """Puts the constant part into the SMEM image; its address."""
        address = self.constants_address + TD_BYTES * len(self.constants)
        if address + TD_BYTES > SMEM_BYTES:
            message = f"the program needs more than {SMEM_BYTES} bytes of SMEM"
            raise CompileError(message, source_of(op.location), hint=SMEM_HINT)
        try:
            content = plan.descriptor.pack().hex()
        except ValueError as error:
            raise CompileError(f"a tensor is too large for a descriptor: {error}", source_of(op.location)) from error
        properties: dict[str, Attribute] = {
            "address": IntegerAttr(address, i64),
            "label": StringAttr(plan.label),
            "content": StringAttr(content),
        }
        self.emit(DescriptorOp(properties=properties), self.constants)
        return address

    def load_descriptor(self, view: SSAValue, register: int, into: list[Operation]) -> None:
        """Loads the constant part; sets the fields that change: of a resident view as far outside of the loops as possible."""
        plan = self.plans[view]
        self.emit(instruction("tdld", ta=register, rs=0, imm=self.addresses[view]), into)
        for field in plan.fields:
            target = self.scopes.hoisted([field.value]) if plan.resident else into
            self.set_field(register, field.name, field.value, field.plus, target)

    def set_field(self, register: int, name: str, value: SSAValue, plus: int, into: list[Operation]) -> None:
        constant = self.constant_of(value)
        if constant is not None and constant + plus in IMMEDIATE:
            self.emit(instruction("tdset", name, Flag.I, ta=register, imm=constant + plus), into)
            return
        source = self.register(value, into)
        if plus:
            total = self.new_register()
            self.emit(instruction("alu", "add", Flag.I, rd=total, rs=source, imm=plus), into)
            source = total
        self.emit(instruction("tdset", name, ta=register, rs=source), into)

    def td(self, view: SSAValue) -> int:
        """The descriptor register of a view."""
        if view in self.descriptors:
            return self.descriptors[view]
        register = self.new_register()
        self.load_descriptor(view, register, self.scopes.top.ops)
        return register


CONTROL: dict[type[Operation], Callable[[Selector, Any], None]] = {
    scf.ForOp: Selector.for_loop,
    scf.WhileOp: Selector.while_loop,
    scf.IfOp: Selector.if_else,
    scf.YieldOp: Selector.nothing,
    ReturnOp: Selector.halt,
    arith.ConstantOp: Selector.nothing,
    arith.CmpiOp: Selector.nothing,
    tile.AllocOp: Selector.nothing,
}

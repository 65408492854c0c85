"""Walks the tile IR of a step with the numbers it works with, but no tensors, and tells a timeline what happens.

Scalars are known: the mailbox is given, the layer table is the program's, everything else that is read from SMEM counts as 0. Loops
whose iterations have become alike are not walked to their end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from xdsl.dialects import arith, scf
from xdsl.dialects.builtin import DenseArrayBase, ModuleOp
from xdsl.ir import Block, Operation, SSAValue

from compiler.analysis.predict_lines import Line, Program, Settings
from compiler.analysis.predict_operations import OPERANDS, EngineForm, OperationCosts
from compiler.analysis.predict_scalars import LAST_WALKED, ArithmeticForm, ViewForm
from compiler.analysis.predict_timeline import Timeline
from compiler.dialects import tile
from compiler.scalars import ARITHMETIC, compared, constant_of
from compiler.transforms.allocate_dram import LAYER_TABLE_ATTRIBUTE
from compiler.walking import ops_of
from isa.descriptor import Descriptor
from isa.spec import SMEM_BYTES

ALIKE_CYCLES, ALIKE_PART = 2.0, 0.002
"""Two iterations are alike if the engines stand alike at their ends: within so many cycles and such a part of their time."""


class Walk:
    """Walks one function. values: numbers by the identities of SSA values."""

    def __init__(self, module: ModuleOp, timeline: Timeline, costs: OperationCosts, program: Program) -> None:
        self.timeline, self.costs, self.program, self.scalars = timeline, costs, program, program.scalars
        self.values: dict[int, int] = {}
        self.views: dict[int, Descriptor] = {}
        self.smem = bytearray(SMEM_BYTES)
        for op in ops_of(tile.AllocOp, program.function):
            if op.label.data == "layer_table":
                self.write_table(module, place_of(op))

    def write_table(self, module: ModuleOp, base: int) -> None:
        words = module.attributes.get(LAYER_TABLE_ATTRIBUTE)
        for index, word in enumerate(words.get_values() if isinstance(words, DenseArrayBase) else ()):
            self.smem[base + 8 * index : base + 8 * index + 8] = int(word).to_bytes(8, "little", signed=True)

    def of(self, values: Iterable[SSAValue]) -> list[int]:
        return [self.values[id(value)] for value in values]

    def put(self, values: Iterable[SSAValue], numbers: Iterable[int]) -> None:
        for value, number in zip(values, numbers, strict=True):
            self.values[id(value)] = number

    def block(self, block: Block) -> list[int]:
        """Walks a block; what it yields."""
        lines = self.program.lines(block)
        for line in lines.ops:
            self.line(line)
        return [self.values[value] for value in lines.yielded]

    def line(self, line: Line) -> None:
        self.settings(line.before)
        HANDLERS[type(line.op)](self, line)

    def settings(self, settings: Settings) -> None:
        """Instructions that make descriptors."""
        for name, instructions in settings:
            self.timeline.scalar(name, instructions)

    def engine(self, line: Line) -> None:
        form = line.form
        assert isinstance(form, EngineForm)
        views = self.views
        done = self.costs.of(form, tuple([views[view] for view in form.views]))
        self.timeline.engine(line.name, done.cost, done.spans, done.region)

    def for_loop(self, line: Line) -> None:
        op, name = line.op, line.name
        assert isinstance(op, scf.ForOp)
        if self.scalars.is_layers(op):
            self.layers(line, op)
            return
        (low, high, step), carried = self.of((op.lb, op.ub, op.step)), self.of(op.iter_args)
        count, index = max(0, -(-(high - low) // step)), 0
        self.timeline.scalar(name, 2 + len(carried))
        if count:
            self.settings(line.entering)
        states: list[LoopState] = []
        period, last = self.scalars.period(op), LAST_WALKED
        repeats = period > 0 and count > period + last + 1
        while index < count:
            self.put(op.body.block.args, (low + index * step, *carried))
            carried = self.block(op.body.block)
            self.timeline.scalar(name, 2 + len(carried))
            index += 1
            if not repeats:
                continue
            states.append(LoopState(self.timeline, carried))
            jumps = (count - last - index) // period
            if index > period and jumps > 0 and states[-1].is_like(states[-1 - period]):
                carried = states[-1].jump(self.timeline, states[-1 - period], jumps)
                index, repeats = index + period * jumps, False
        self.put(op.results, carried)

    def layers(self, line: Line, op: scf.ForOp) -> None:
        """A layer behind one of the same kind as before takes as long as the first such layer; the last one does not, where layers
        load the first weights of the next one."""
        known: dict[object, tuple[LoopState, LoopState]] = {}
        before, argument = None, op.body.block.args[0]
        looks_ahead = any(isinstance(use.operation, arith.AddiOp) for use in argument.uses)
        low, high, step = self.of((op.lb, op.ub, op.step))
        self.settings(line.entering)
        for index in range(low, high, step):
            self.values[id(argument)] = index
            kind = (self.kind(op, index), looks_ahead and index + step >= high)
            start = LoopState(self.timeline, ())
            if (before, kind) in known:
                first, second = known[before, kind]
                second.repeat(self.timeline, first, 1)
            else:
                self.block(op.body.block)
                self.timeline.scalar(line.name, 2)
                known[before, kind] = start, LoopState(self.timeline, ())
            before = kind

    def kind(self, loop: scf.ForOp, index: int) -> tuple[int, ...]:
        """What the branches of a layer depend on: words of the layer table."""
        found: list[int] = []
        for read in self.scalars.kind_reads(loop):
            address = index if read.address is None else affine(read.address, loop.body.block.args[0], index)
            owner = read.buffer.owner if read.buffer is not None else None
            place = (place_of(owner) if isinstance(owner, tile.AllocOp) else 0) + read.displacement.value.data + address
            found.append(int.from_bytes(self.smem[place : place + 8], "little"))
        return tuple(found)

    def if_else(self, line: Line) -> None:
        op = line.op
        assert isinstance(op, scf.IfOp)
        taken = bool(self.values[id(op.cond)])
        region = op.true_region if taken else op.false_region
        self.timeline.scalar(line.name, self.scalars.branch(op, taken))
        results = self.block(region.block) if region.blocks else []
        self.timeline.scalar(line.name, len(results))
        self.put(op.results, results)

    def skip(self, line: Line) -> None:
        """No instruction, nothing to know."""

    def constant(self, line: Line) -> None:
        self.values[id(line.op.results[0])] = constant_of(line.op.results[0]) or 0

    def compare(self, line: Line) -> None:
        op = line.op
        assert isinstance(op, arith.CmpiOp)
        a, b = self.of(op.operands)
        self.values[id(op.result)] = int(compared(op.predicate.value.data, a, b))

    def arithmetic(self, line: Line) -> None:
        form, values = line.form, self.values
        assert isinstance(form, ArithmeticForm)
        self.timeline.scalar(line.name, form.instructions)
        values[form.result] = form.function(values[form.a], values[form.b])

    def view(self, line: Line) -> None:
        form = line.form
        assert isinstance(form, ViewForm)
        self.views[form.result] = form.descriptor(self.values)

    def smem_place(self, op: tile.LdsOp | tile.StsOp) -> tuple[int, int]:
        """[low, high) of the bytes that lds or sts touches."""
        owner = op.buffer.owner if op.buffer is not None else None
        base = place_of(owner) if isinstance(owner, tile.AllocOp) else 0
        low = base + op.displacement.value.data + (self.values[id(op.address)] if op.address is not None else 0)
        low = min(max(low, 0), SMEM_BYTES - 8)
        return low, low + op.width.value.data

    def lds(self, line: Line) -> None:
        op = line.op
        assert isinstance(op, tile.LdsOp)
        low, high = self.smem_place(op)
        self.timeline.touch_smem(line.name, low // 8 * 8, -(-high // 8) * 8, False)
        self.values[id(op.result)] = int.from_bytes(self.smem[low:high], "little", signed=high - low == 8)

    def sts(self, line: Line) -> None:
        op = line.op
        assert isinstance(op, tile.StsOp)
        low, high = self.smem_place(op)
        self.timeline.touch_smem(line.name, low // 8 * 8, -(-high // 8) * 8, True)
        number = self.values[id(op.value)] & ((1 << 8 * (high - low)) - 1)
        self.smem[low:high] = number.to_bytes(high - low, "little")

    def one_cycle(self, line: Line) -> None:
        self.timeline.scalar(line.name)


class LoopState:
    """Behind an iteration: where the engines stand, what is carried, what has been counted."""

    def __init__(self, timeline: Timeline, carried: Sequence[int]) -> None:
        self.now, self.shape, self.carried = timeline.now, timeline.shape(), list(carried)
        self.counted = timeline.snapshot()

    def is_like(self, earlier: LoopState) -> bool:
        near = ALIKE_CYCLES + ALIKE_PART * (self.now - earlier.now)
        return all(abs(a - b) <= near for a, b in zip(self.shape, earlier.shape, strict=True))

    def jump(self, timeline: Timeline, earlier: LoopState, times: int) -> list[int]:
        """Goes on by `times` times what lies between the two; the carried values there."""
        self.repeat(timeline, earlier, times)
        return [b + times * (b - a) for a, b in zip(earlier.carried, self.carried, strict=True)]

    def repeat(self, timeline: Timeline, earlier: LoopState, times: int) -> None:
        """Goes on by `times` times what lies between the two states, which may be long ago."""
        timeline.repeat(earlier.counted, self.counted, times)
        timeline.shift(times * (self.now - earlier.now))


def affine(value: SSAValue, argument: SSAValue, index: int) -> int:
    """A product or sum of constants and the loop's index."""
    constant = constant_of(value)
    if constant is not None:
        return constant
    if isinstance(value.owner, arith.MuliOp):
        return affine(value.owner.lhs, argument, index) * affine(value.owner.rhs, argument, index)
    if isinstance(value.owner, arith.AddiOp):
        return affine(value.owner.lhs, argument, index) + affine(value.owner.rhs, argument, index)
    return index if value is argument else 0


def place_of(op: tile.AllocOp) -> int:
    return op.offset.value.data if op.offset is not None else 0


HANDLERS: dict[type[Operation], Callable[[Walk, Line], None]] = {
    **dict.fromkeys(OPERANDS, Walk.engine),
    **dict.fromkeys(ARITHMETIC, Walk.arithmetic),
    arith.ConstantOp: Walk.constant,
    arith.CmpiOp: Walk.compare,
    scf.ForOp: Walk.for_loop,
    scf.IfOp: Walk.if_else,
    tile.AllocOp: Walk.skip,
    tile.RenewOp: Walk.skip,
    tile.ViewOp: Walk.view,
    tile.LdsOp: Walk.lds,
    tile.StsOp: Walk.sts,
    tile.MarkOp: Walk.one_cycle,
    tile.EventOp: Walk.one_cycle,
    tile.TrapOp: Walk.skip,
}

"""Walks the tile IR of a step with the numbers it works with, but no tensors, and tells a timeline what happens.

Scalars are known: the mailbox is given, the layer table is the program's, everything else that is read from SMEM counts as 0. Loops
whose iterations have become alike are not walked to their end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from xdsl.dialects import arith, scf
from xdsl.dialects.builtin import DenseArrayBase, IntegerAttr, ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, SSAValue

from compiler.analysis.predict_operations import OPERANDS, OperationCosts, spans_of, views_of
from compiler.analysis.predict_scalars import LAST_WALKED, ScalarCosts
from compiler.analysis.predict_timeline import Timeline
from compiler.dialects import tile
from compiler.locations import operator_of, source_of
from compiler.scalars import ARITHMETIC, compared, constant_of
from compiler.transforms.allocate_dram import LAYER_TABLE_ATTRIBUTE
from isa.descriptor import Descriptor
from isa.spec import SMEM_BYTES, Region

ALIKE_CYCLES, ALIKE_PART = 2.0, 0.002
"""Two iterations are alike if the engines stand alike at their ends: within so many cycles and such a part of their time."""


class Walk:
    """Walks one function; `operator`: the name that the time of an op is attributed to."""

    def __init__(
        self, module: ModuleOp, function: FuncOp, timeline: Timeline, costs: OperationCosts, scalars: ScalarCosts
    ) -> None:
        self.function, self.timeline, self.costs, self.scalars = function, timeline, costs, scalars
        self.values: dict[SSAValue, int] = {}
        self.views: dict[SSAValue, Descriptor] = {}
        self.smem = bytearray(SMEM_BYTES)
        self.names: dict[Operation, str] = {}
        self.operands: dict[Operation, list[tuple[str, SSAValue]]] = {}
        for op in function.walk():
            if isinstance(op, tile.AllocOp) and op.label.data == "layer_table":
                self.write_table(module, place_of(op))

    def write_table(self, module: ModuleOp, base: int) -> None:
        words = module.attributes.get(LAYER_TABLE_ATTRIBUTE)
        for index, word in enumerate(words.get_values() if isinstance(words, DenseArrayBase) else ()):
            self.smem[base + 8 * index : base + 8 * index + 8] = int(word).to_bytes(8, "little", signed=True)

    def name(self, op: Operation) -> str:
        found = self.names.get(op)
        if found is None:
            source = source_of(op.location)
            found = self.names[op] = operator_of(op.location) + (f" {source}" if source else "")
        return found

    # Control flow

    def block(self, block: Block) -> list[int]:
        """Walks a block; what it yields."""
        for op in block.ops:
            if isinstance(op, scf.YieldOp | scf.ConditionOp | ReturnOp):
                return [self.values[operand] for operand in op.operands]
            self.op(op)
        return []

    def op(self, op: Operation) -> None:
        self.settings(self.scalars.before.get(op, ()))
        if type(op) in OPERANDS:
            self.engine(op)
        else:
            HANDLERS[type(op)](self, op)

    def settings(self, counts: Sequence[tuple[tile.ViewOp, int]]) -> None:
        """Instructions that make descriptors."""
        for view, instructions in counts:
            self.timeline.scalar(self.name(view), instructions)

    def engine(self, op: Operation) -> None:
        operands = self.operands.get(op)
        if operands is None:
            operands = self.operands[op] = views_of(op)
        tds = {name: self.views[value] for name, value in operands}
        name = self.name(op)
        region = next((int(td.region) for td in tds.values() if td.region < Region.SRAM), 0)
        self.timeline.engine(name, self.costs.cost(op, tds), spans_of(op, tds), region)

    def for_loop(self, op: scf.ForOp) -> None:
        if self.scalars.is_layers(op):
            self.layers(op)
            return
        low, high, step = (self.values[value] for value in (op.lb, op.ub, op.step))
        carried = [self.values[value] for value in op.iter_args]
        count, index, name = max(0, -(-(high - low) // step)), 0, self.name(op)
        self.timeline.scalar(name, 2 + len(carried))
        if count:
            self.settings(self.scalars.entering.get(op, ()))
        states: list[LoopState] = []
        period, last = self.scalars.period(op), LAST_WALKED
        repeats = period > 0 and count > period + last + 1
        while index < count:
            self.values.update(zip(op.body.block.args, (low + index * step, *carried), strict=True))
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
        self.values.update(zip(op.results, carried, strict=True))

    def layers(self, op: scf.ForOp) -> None:
        """A layer behind one of the same kind as before takes as long as the first such layer; the last one does not, where layers
        load the first weights of the next one."""
        known: dict[object, tuple[LoopState, LoopState]] = {}
        before, name, argument = None, self.name(op), op.body.block.args[0]
        looks_ahead = any(isinstance(use.operation, arith.AddiOp) for use in argument.uses)
        low, high, step = (self.values[value] for value in (op.lb, op.ub, op.step))
        self.settings(self.scalars.entering.get(op, ()))
        for index in range(low, high, step):
            self.values[argument] = index
            kind = (self.kind(op, index), looks_ahead and index + step >= high)
            start = LoopState(self.timeline, ())
            if (before, kind) in known:
                first, second = known[before, kind]
                second.repeat(self.timeline, first, 1)
            else:
                self.block(op.body.block)
                self.timeline.scalar(name, 2)
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

    def if_else(self, op: scf.IfOp) -> None:
        taken = bool(self.values[op.cond])
        region = op.true_region if taken else op.false_region
        name = self.name(op)
        self.timeline.scalar(name, self.scalars.branch(op, taken))
        results = self.block(region.block) if region.blocks else []
        self.timeline.scalar(name, len(results))
        self.values.update(zip(op.results, results, strict=True))

    def skip(self, op: Operation) -> None:
        """No instruction, nothing to know."""

    # Scalars and views

    def constant(self, op: arith.ConstantOp) -> None:
        self.values[op.result] = op.value.value.data if isinstance(op.value, IntegerAttr) else 0

    def compare(self, op: arith.CmpiOp) -> None:
        a, b = self.values[op.lhs], self.values[op.rhs]
        self.values[op.result] = int(compared(op.predicate.value.data, a, b))

    def view(self, op: tile.ViewOp) -> None:
        form = self.scalars.view(op)
        constant, values = form.constant, self.values
        self.views[form.result] = Descriptor(
            constant.base + form.plus + (values[form.base] if form.base is not None else 0),
            constant.region,
            constant.dtype,
            quad([v if isinstance(v, int) else values[v] for v in form.extents]) if form.extents else constant.extents,
            quad([v if isinstance(v, int) else values[v] for v in form.strides]) if form.strides else constant.strides,
            constant.glog2,
            constant.fmt,
        )

    def smem_place(self, op: tile.LdsOp | tile.StsOp) -> tuple[int, int]:
        """[low, high) of the bytes that lds or sts touches."""
        owner = op.buffer.owner if op.buffer is not None else None
        base = place_of(owner) if isinstance(owner, tile.AllocOp) else 0
        low = base + op.displacement.value.data + (self.values[op.address] if op.address is not None else 0)
        low = min(max(low, 0), SMEM_BYTES - 8)
        return low, low + op.width.value.data

    def lds(self, op: tile.LdsOp) -> None:
        low, high = self.smem_place(op)
        self.timeline.touch_smem(self.name(op), low // 8 * 8, -(-high // 8) * 8, False)
        self.values[op.result] = int.from_bytes(self.smem[low:high], "little", signed=high - low == 8)

    def sts(self, op: tile.StsOp) -> None:
        low, high = self.smem_place(op)
        self.timeline.touch_smem(self.name(op), low // 8 * 8, -(-high // 8) * 8, True)
        self.smem[low:high] = (self.values[op.value] & ((1 << 8 * (high - low)) - 1)).to_bytes(high - low, "little")

    def one_cycle(self, op: Operation) -> None:
        self.timeline.scalar(self.name(op))


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


def quad(values: Sequence[int]) -> tuple[int, int, int, int]:
    return values[0], values[1], values[2], values[3]


def arithmetic(function: Callable[[int, int], int]) -> Callable[[Walk, Any], None]:
    def run(walk: Walk, op: Operation) -> None:
        form = walk.scalars.arithmetic(op)
        walk.timeline.scalar(walk.name(op), form.instructions)
        walk.values[form.result] = function(walk.values[form.a], walk.values[form.b])

    return run


Handler = Callable[[Walk, Any], None]
HANDLERS: dict[type[Operation], Handler] = {op: arithmetic(function) for op, function in ARITHMETIC.items()} | {
    arith.ConstantOp: Walk.constant,
    arith.CmpiOp: Walk.compare,
    scf.ForOp: Walk.for_loop,
    scf.IfOp: Walk.if_else,
    tile.AllocOp: Walk.skip,
    tile.ViewOp: Walk.view,
    tile.LdsOp: Walk.lds,
    tile.StsOp: Walk.sts,
    tile.MarkOp: Walk.one_cycle,
    tile.EventOp: Walk.one_cycle,
    tile.TrapOp: Walk.skip,
}

"""unroll-turns: a loop whose buffers take turns is unrolled by two. Within an iteration every turn is then known before the loop, and
so is all that follows from it: views of the halves stay as they are.

    scf.for %i = 0 to 192 step 64 iter_args(%t = 0) {       body(0, 0)
      body(%i, %t)                                     ->   scf.for %i = 64 to 192 step 128 {
      scf.yield 1 - %t                                        body(%i, 1)
    }                                                         body(%i + 64, 0)
                                                            }
Of an odd number of iterations the first one stands in front: where a loop works on one strip and loads the next, that is the small one.
An innermost loop of a few iterations disappears. Loops that end who knows when stay as they are, and so do long bodies.
Runs when buffers have their places: all copies have the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from xdsl.context import Context
from xdsl.dialects import arith, scf
from xdsl.dialects.builtin import IntegerAttr, ModuleOp, i1, i64
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from compiler.attributes import INDEX
from compiler.dialects import tile
from compiler.scalars import ARITHMETIC, compared, constant, constant_of, trips_of
from compiler.walking import ops_in, ops_of

MOST_OPS = 400
MOST_WHOLE = 4
"""Iterations of a loop that disappears altogether, if it has no loop inside: of those the copies would cost more than they save."""
TRIPS_ATTRIBUTE = "tile.trips"
"""On a loop: how often it ran before it was unrolled."""


@dataclass(frozen=True)
class Turn:
    """A value that is `start` and `total - start` in turns."""

    position: int
    start: SSAValue
    total: SSAValue


@dataclass
class Copier:
    """Copies ops with other values; what is known of scalars and branches then is worked out."""

    point: InsertPoint
    values: dict[SSAValue, SSAValue] = field(default_factory=dict[SSAValue, SSAValue])

    def insert(self, op: Operation, like: Operation) -> Operation:
        op.location = like.location
        Rewriter.insert_op(op, self.point)
        return op

    def mapped(self, values: Sequence[SSAValue]) -> list[SSAValue]:
        return [self.values.get(value, value) for value in values]

    def block(self, block: Block) -> list[SSAValue]:
        """Copies a block without its end; what it yields."""
        for op in block.ops:
            if isinstance(op, scf.YieldOp):
                return self.mapped(op.operands)
            self.op(op)
        return []

    def op(self, op: Operation) -> None:
        number = self.number(op)
        if number is not None:
            new = arith.ConstantOp(IntegerAttr(number, i1)) if isinstance(op, arith.CmpiOp) else constant(number)
            self.values[op.results[0]] = self.insert(new, op).results[0]
        elif isinstance(op, scf.IfOp) and (condition := constant_of(self.mapped([op.cond])[0])) is not None:
            region = op.true_region if condition else op.false_region
            self.values.update(zip(op.results, self.block(region.block) if region.blocks else [], strict=True))
        else:
            new = op.create(
                operands=self.mapped(op.operands),
                result_types=op.result_types,
                properties=op.properties.copy(),
                attributes=op.attributes.copy(),
                regions=[self.region(region) for region in op.regions],
            )
            self.values.update(zip(op.results, self.insert(new, op).results, strict=True))

    def number(self, op: Operation) -> int | None:
        """The result of a scalar op of known numbers."""
        if not isinstance(op, arith.CmpiOp) and type(op) not in ARITHMETIC:
            return None
        a, b = (constant_of(value) for value in self.mapped(op.operands))
        if a is None or b is None:
            return None
        return (
            int(compared(op.predicate.value.data, a, b)) if isinstance(op, arith.CmpiOp) else ARITHMETIC[type(op)](a, b)
        )

    def region(self, region: Region) -> Region:
        blocks: list[Block] = []
        for block in region.blocks:
            new = Block(arg_types=[arg.type for arg in block.args])
            inner = Copier(InsertPoint.at_end(new), self.values)
            self.values.update(zip(block.args, new.args, strict=True))
            ends = inner.block(block)
            end = block.last_op
            if isinstance(end, scf.YieldOp):
                inner.insert(scf.YieldOp(*ends), end)
            blocks.append(new)
        return Region(blocks)


def turns_of(loop: scf.ForOp) -> list[Turn]:
    """The carried values whose next one is a constant minus themselves."""
    end = loop.body.block.last_op
    found: list[Turn] = []
    for position, (arg, following) in enumerate(
        zip(loop.body.block.args[1:], end.operands if end else (), strict=True)
    ):
        owner = following.owner
        if isinstance(owner, arith.SubiOp) and owner.rhs is arg and constant_of(owner.lhs) is not None:
            found.append(Turn(position, loop.iter_args[position], owner.lhs))
    return found


def drop_unchanged(loop: scf.ForOp) -> scf.ForOp:
    """The loop without carried values that it never changes."""
    block, end = loop.body.block, loop.body.block.last_op
    if end is None:
        return loop
    kept = [n for n, arg in enumerate(block.args[1:]) if end.operands[n] is not arg]
    if len(kept) == len(loop.iter_args):
        return loop
    for position in reversed([n for n in range(len(loop.iter_args)) if n not in kept]):
        block.args[1 + position].replace_all_uses_with(loop.iter_args[position])
        loop.results[position].replace_all_uses_with(loop.iter_args[position])
        block.erase_arg(block.args[1 + position])
    new_end = scf.YieldOp(*(end.operands[n] for n in kept))
    new_end.location = end.location
    Rewriter.replace_op(end, new_end)
    starts = [loop.iter_args[n] for n in kept]
    results: list[SSAValue | None] = [None] * len(loop.results)
    new = scf.ForOp(loop.lb, loop.ub, loop.step, starts, loop.detach_region(loop.body))
    new.location = loop.location
    for n, result in zip(kept, new.results, strict=True):
        results[n] = result
    Rewriter.replace_op(loop, new, results)
    return new


class Unrolling:
    """Of one loop that runs `trips` times."""

    def __init__(self, loop: scf.ForOp, turns: list[Turn], trips: int):
        self.loop, self.turns, self.trips, self.block = loop, turns, trips, loop.body.block
        self.before = Copier(InsertPoint.before(loop))
        self.step = constant_of(loop.step) or 1
        self.others = [n for n in range(len(loop.iter_args)) if n not in {turn.position for turn in turns}]
        self.starts = {turn.position: turn.start for turn in turns}
        self.flipped = {turn.position: self.difference(turn) for turn in turns}

    def constant(self, number: int, into: Copier) -> SSAValue:
        return into.insert(constant(number), self.loop).results[0]

    def difference(self, turn: Turn) -> SSAValue:
        """The other value of a turn, in front of the loop."""
        total, start = constant_of(turn.total) or 0, constant_of(turn.start)
        if start is not None:
            return self.constant(total - start, self.before)
        return self.before.insert(arith.SubiOp(self.constant(total, self.before), turn.start), self.loop).results[0]

    def copy(
        self, into: Copier, index: SSAValue, others: Sequence[SSAValue], turns: dict[int, SSAValue]
    ) -> list[SSAValue]:
        """One iteration; the carried values behind it that are no turns."""
        into.values = {self.block.args[0]: index}
        into.values |= {self.block.args[1 + n]: value for n, value in zip(self.others, others, strict=True)}
        into.values |= {self.block.args[1 + n]: value for n, value in turns.items()}
        following = into.block(self.block)
        return [following[n] for n in self.others]

    def run(self) -> None:
        loop, low = self.loop, constant_of(self.loop.lb) or 0
        for alloc in ops_of(tile.AllocOp, loop):
            alloc.detach()
            Rewriter.insert_op(alloc, InsertPoint.before(loop))
        carried = [loop.iter_args[n] for n in self.others]
        first, second = self.starts, self.flipped
        whole = self.trips <= MOST_WHOLE and not has_loops(loop)
        for _ in range(self.trips if whole else self.trips % 2):
            carried = self.copy(self.before, self.constant(low, self.before), carried, first)
            first, second = second, first
            low += self.step
        if not whole:
            carried = self.loop_of_two(low, carried, first, second)
        ends = self.flipped if self.trips % 2 else self.starts
        results = {**ends, **dict(zip(self.others, carried, strict=True))}
        Rewriter.replace_op(loop, [], [results[n] for n in range(len(loop.results))])

    def loop_of_two(
        self, low: int, carried: Sequence[SSAValue], first: dict[int, SSAValue], second: dict[int, SSAValue]
    ) -> Sequence[SSAValue]:
        """The loop from `low` on, two iterations in one; its results."""
        loop = self.loop
        body = Block(arg_types=[INDEX] * (1 + len(carried)))
        inside = Copier(InsertPoint.at_end(body))
        index, *others = body.args
        others = self.copy(inside, index, others, first)
        step = self.constant(self.step, inside)
        following = inside.insert(arith.AddiOp(index, step), loop).results[0]
        inside.insert(scf.YieldOp(*self.copy(inside, following, others, second)), loop)
        bounds = self.constant(low, self.before), loop.ub, self.constant(2 * self.step, self.before)
        new = scf.ForOp(*bounds, carried, Region(body))
        new.attributes[TRIPS_ATTRIBUTE] = IntegerAttr(self.trips, i64)
        self.before.insert(new, loop)
        return new.results


def has_loops(loop: scf.ForOp) -> bool:
    return any(isinstance(op, scf.ForOp | scf.WhileOp) for op in loop.body.walk())


@dataclass(frozen=True)
class UnrollTurnsPass(ModulePass):
    """See the module docstring."""

    name = "unroll-turns"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        loops = ops_of(scf.ForOp, op)
        for found in reversed(loops):
            loop = drop_unchanged(found)
            turns, trips = turns_of(loop), trips_of(loop)
            if turns and trips is not None and trips > 1 and len(ops_in(loop)) <= MOST_OPS:
                Unrolling(loop, turns, trips).run()

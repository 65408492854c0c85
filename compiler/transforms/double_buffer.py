"""double-buffer: a buffer that each iteration of a loop fills anew becomes two that take turns, so that the next fill can run ahead.

    scf.for .. {                                       %b = tile.alloc "weights" .. bytes 2n
      %b = tile.alloc "weights" .. bytes n stream  ->  scf.for .. iter_args(%half = 0) {
      %v = tile.view %b ..                               %v = tile.view %b + %half ..
    }                                                    scf.yield n - %half }
A loop inside such a loop hands its turn on to its next run. Correct whatever the engines do: the hardware interlocks by address.
Under a plan of one buffer (the last resort of choose-tiling and choose-single) no buffer is a stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects import arith, scf
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from compiler.attributes import INDEX, SEGMENT_SIZES, number, segment_sizes
from compiler.dialects import tile
from compiler.scalars import constant
from compiler.sizes import to_granules
from compiler.walking import ops_of


def insert(op: Operation, point: InsertPoint, like: Operation) -> SSAValue:
    """Inserts an op with the location of another; its first result."""
    op.location = like.location
    Rewriter.insert_op(op, point)
    return op.results[0]


def with_base(view: tile.ViewOp, base: SSAValue) -> tile.ViewOp:
    """The view of a buffer with another base, which the old one may not have."""
    operands = [view.operands[0], base, *view.dynamic_extents, *view.dynamic_strides]
    sizes = segment_sizes((1, 1, len(view.dynamic_extents), len(view.dynamic_strides)))
    return tile.ViewOp.create(
        operands=operands,
        properties={**view.properties, SEGMENT_SIZES: sizes},
        result_types=view.result_types,
        location=view.location,
    )


def rotate(alloc: tile.AllocOp, half: SSAValue) -> None:
    """Every view of the buffer starts `half` bytes further."""
    for use in tuple(alloc.result.uses):
        view = use.operation
        if not isinstance(view, tile.ViewOp):
            raise TypeError(f"a stream buffer is used by {view.name}")
        base = half
        if view.base is not None:
            base = insert(arith.AddiOp(view.base, half), InsertPoint.before(view), view)
        Rewriter.replace_op(view, with_base(view, base))


def extend(loop: scf.ForOp, starts: Sequence[SSAValue], following: Sequence[SSAValue]) -> scf.ForOp:
    """The loop with more carried values, whose block arguments have been added to its body already."""
    block = loop.body.block
    end = block.last_op
    if not isinstance(end, scf.YieldOp):
        raise TypeError("a loop body ends in scf.yield")
    new_end = scf.YieldOp(*end.operands, *following)
    new_end.location = end.location
    Rewriter.replace_op(end, new_end)
    body = loop.detach_region(loop.body)
    new = scf.ForOp(loop.lb, loop.ub, loop.step, [*loop.iter_args, *starts], body)
    new.location = loop.location
    Rewriter.replace_op(loop, new, list(new.results[: len(loop.results)]))
    return new


def widen(loop: scf.ForOp, allocs: list[tile.AllocOp]) -> scf.ForOp:
    """Gives the loop one carried value per buffer and moves the buffers, doubled, in front of it."""
    block = loop.body.block
    end = block.last_op
    if end is None:
        raise TypeError("a loop body ends in scf.yield")
    starts: list[SSAValue] = []
    following: list[SSAValue] = []
    for alloc in allocs:
        size = to_granules(alloc.size_bytes.value.data)
        starts.append(insert(constant(0), InsertPoint.before(loop), alloc))
        half = block.insert_arg(INDEX, len(block.args))
        rotate(alloc, half)
        total = insert(constant(size), InsertPoint.before(end), alloc)
        following.append(insert(arith.SubiOp(total, half), InsertPoint.before(end), alloc))
        alloc.detach()
        del alloc.properties["stream"]
        alloc.properties["size_bytes"] = number(2 * size)
        Rewriter.insert_op(alloc, InsertPoint.before(loop))
    return extend(loop, starts, following)


def carry(outer: scf.ForOp, inner: scf.ForOp, allocs: list[tile.AllocOp]) -> scf.ForOp:
    """Hands the halves on from one run of the inner loop to the next, so that the turns go on and no buffer is filled twice in a row."""
    count = len(allocs)
    starts: list[SSAValue] = []
    for offset, alloc in enumerate(allocs):
        starts.append(insert(constant(0), InsertPoint.before(outer), alloc))
        half = outer.body.block.insert_arg(INDEX, len(outer.body.block.args))
        inner.operands[len(inner.operands) - count + offset] = half
        alloc.detach()
        Rewriter.insert_op(alloc, InsertPoint.before(outer))
    return extend(outer, starts, list(inner.results[len(inner.results) - count :]))


def keep(branch: scf.IfOp, allocs: list[tile.AllocOp]) -> None:
    """Moves buffers out of the loop around a branch. Other branches of such a loop work on other turns of it, and while the
    engines do, the memory is not free for them. Branches that exclude each other, those of kinds of layers, share memory."""
    loop = branch.parent_op()
    if isinstance(loop, scf.ForOp) and not branch.false_region.blocks:
        for alloc in allocs:
            alloc.detach()
            Rewriter.insert_op(alloc, InsertPoint.before(loop))


@dataclass(frozen=True)
class DoubleBufferPass(ModulePass):
    """See the module docstring."""

    name = "double-buffer"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        widened: set[scf.ForOp] = set()
        for loop in ops_of(scf.ForOp, op):
            allocs = [a for a in loop.body.block.ops if isinstance(a, tile.AllocOp) and a.stream is not None]
            if not allocs:
                continue
            new = widen(loop, allocs)
            widened.add(new)
            outer = new.parent_op()
            if isinstance(outer, scf.IfOp):
                keep(outer, allocs)
            if isinstance(outer, scf.ForOp) and outer in widened:
                widened.add(carry(outer, new, allocs))

"""double-buffer: a buffer that each iteration of a loop fills anew becomes two that take turns, so that the next fill can run ahead.

    scf.for .. {                                       %b = tile.alloc "weights" .. bytes 2n
      %b = tile.alloc "weights" .. bytes n stream  ->  scf.for .. iter_args(%half = 0) {
      %v = tile.view %b ..                               %v = tile.view %b + %half ..
    }                                                    scf.yield n - %half }
Correct whatever the engines do: the hardware interlocks by address.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects import arith, scf
from xdsl.dialects.builtin import IndexType, IntegerAttr, ModuleOp, i64
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from compiler.dialects import tile

GRANULE_BYTES = 64


def insert(op: Operation, point: InsertPoint, like: Operation) -> SSAValue:
    """Inserts an op with the location of another; its first result."""
    op.location = like.location
    Rewriter.insert_op(op, point)
    return op.results[0]


def constant(value: int) -> arith.ConstantOp:
    return arith.ConstantOp(IntegerAttr(value, IndexType()))


def rotate(alloc: tile.AllocOp, half: SSAValue) -> None:
    """Every view of the buffer starts `half` bytes further."""
    for use in tuple(alloc.result.uses):
        view = use.operation
        if not isinstance(view, tile.ViewOp):
            raise TypeError(f"a stream buffer is used by {view.name}")
        base = half
        if view.base is not None:
            base = insert(arith.AddiOp(view.base, half), InsertPoint.before(view), view)
        new = tile.ViewOp(
            operands=[view.buffer, base, list(view.dynamic_extents), list(view.dynamic_strides)],
            properties={name: value for name, value in view.properties.items() if name != "operandSegmentSizes"},
            result_types=[tile.ViewType()],
        )
        new.location = view.location
        Rewriter.replace_op(view, new)


def widen(loop: scf.ForOp, allocs: list[tile.AllocOp]) -> None:
    """Gives the loop one carried value per buffer and moves the buffers, doubled, in front of it."""
    block = loop.body.block
    end = block.last_op
    if not isinstance(end, scf.YieldOp):
        raise TypeError("a loop body ends in scf.yield")
    before = InsertPoint.before(loop)
    starts: list[SSAValue] = []
    following: list[SSAValue] = list(end.operands)
    for alloc in allocs:
        size = -(-alloc.size_bytes.value.data // GRANULE_BYTES) * GRANULE_BYTES
        starts.append(insert(constant(0), before, alloc))
        half = block.insert_arg(IndexType(), len(block.args))
        rotate(alloc, half)
        total = insert(constant(size), InsertPoint.before(end), alloc)
        following.append(insert(arith.SubiOp(total, half), InsertPoint.before(end), alloc))
        alloc.detach()
        del alloc.properties["stream"]
        alloc.properties["size_bytes"] = IntegerAttr(2 * size, i64)
        Rewriter.insert_op(alloc, before)
    new_end = scf.YieldOp(*following)
    new_end.location = end.location
    Rewriter.replace_op(end, new_end)
    body = loop.detach_region(loop.body)
    new = scf.ForOp(loop.lb, loop.ub, loop.step, [*loop.iter_args, *starts], body)
    new.location = loop.location
    Rewriter.replace_op(loop, new, list(new.results[: len(loop.results)]))


@dataclass(frozen=True)
class DoubleBufferPass(ModulePass):
    """See the module docstring."""

    name = "double-buffer"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        loops = [inner for inner in op.walk() if isinstance(inner, scf.ForOp)]
        for loop in loops:
            allocs = [a for a in loop.body.block.ops if isinstance(a, tile.AllocOp) and a.stream is not None]
            if allocs:
                widen(loop, allocs)

"""Segments of a block where more tokens go through the layers together than are worked on at once.

Mixtures whose rows choose their experts take all tokens, so that the weights of an expert are streamed once for them, and so do stacks of
layers. What lies between works on one chunk of tokens after the other, and so does what comes behind a choice of rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.func import ReturnOp
from xdsl.ir import Block, Operation, SSAValue

from compiler.dialects import slm, slmq
from compiler.dialects.slm import has_tokens
from compiler.lowering.values import ancestor_in


@dataclass(frozen=True)
class Segment:
    """Ops that follow each other. `is_whole`: they take all tokens."""

    ops: tuple[Operation, ...]
    is_whole: bool


def is_sparse(op: Operation | None) -> bool:
    """Whether an op is a mixture of which each row runs the experts it chose."""
    return isinstance(op, slm.MixtureOp) and op.chosen is not None


def takes_all(op: Operation) -> bool:
    return isinstance(op, slm.LayersOp) or is_sparse(op)


def knows_tokens(op: Operation) -> bool:
    """Whether an op has to do with tokens; one that works on weights alone has not."""
    return isinstance(op, slmq.StripsOp) or any(has_tokens(value) for value in (*op.operands, *op.results))


def segments(block: Block) -> list[Segment]:
    """In order; what works on weights alone comes first."""
    ops = [op for op in block.ops if not isinstance(op, slm.YieldOp | ReturnOp)]
    selected = next((n for n, op in enumerate(ops) if isinstance(op, slmq.SelectRowsOp)), len(ops))
    alone = [op for op in ops[:selected] if not knows_tokens(op)]
    found = [Segment(tuple(alone), True)] if alone else []
    run: list[Operation] = []
    for op in [op for op in ops[:selected] if knows_tokens(op)]:
        if not takes_all(op):
            run.append(op)
            continue
        found += [Segment(tuple(run), False)] if run else []
        found.append(Segment((op,), True))
        run = []
    return found + [Segment(tuple(run), False) for run in (run, ops[selected:]) if run]


def crossing_values(block: Block) -> set[SSAValue]:
    """Values that are read in another segment than the one they are made in, or behind the block."""
    number = {op: index for index, segment in enumerate(segments(block)) for op in segment.ops}
    found = set[SSAValue](block.args)
    for op in block.ops:
        for result in op.results:
            readers = [ancestor_in(block, use.operation) for use in result.uses]
            if any(reader is None or number.get(reader) != number.get(op) for reader in readers):
                found.add(result)
    return found

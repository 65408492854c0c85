"""Rewriting by patterns in the way of xDSL, with what depends on the kind of an op alone looked up once for each kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from xdsl.folder import Folder
from xdsl.ir import Block, Operation, Region
from xdsl.pattern_rewriter import PatternRewriter, PatternRewriterListener, RewritePattern

from compiler.effects import is_needed

Patterns = tuple[RewritePattern, ...]


@dataclass(frozen=True)
class ByKind(RewritePattern):
    """Erases an op that does nothing, or folds it, or applies the first pattern for its kind that matches.

    `folder`: of the kinds for which it says so.
    """

    patterns_of: Callable[[type[Operation]], Patterns]
    folder: Folder | None = None
    folds: Callable[[type[Operation]], bool] = lambda kind: False

    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter) -> None:
        if all([result.first_use is None for result in op.results]) and not is_needed(op):
            rewriter.erase(op)
            return
        kind = type(op)
        if self.folder is not None and self.folds(kind):
            folded = self.folder.try_fold(op)
            if folded is not None:
                rewriter.replace(op, new_ops=folded[1], new_results=folded[0])
                return
        for pattern in self.patterns_of(kind):
            pattern.match_and_rewrite(op, rewriter)
            if rewriter.has_done_action:
                return


def erase_dead(region: Region, listener: PatternRewriterListener) -> bool:
    """Erases what nobody needs; whether there was any. Every value is defined in front of where it is used, so that one walk from the
    end to the begin finds it all."""
    needed: set[int] = set()
    for block in region.blocks:
        mark(block, needed)
    return any([sweep(block, needed, listener) for block in region.blocks])


def mark(block: Block, needed: set[int]) -> None:
    """`needed` gets the identity of each op that stays."""
    op = block.last_op
    while op is not None:
        for region in op.regions:
            for inner in region.blocks:
                mark(inner, needed)
        if is_needed(op) or any([id(use.operation) in needed for result in op.results for use in result.uses]):
            needed.add(id(op))
        op = op.prev_op


def sweep(block: Block, needed: set[int], listener: PatternRewriterListener) -> bool:
    """Erases the other ops; whether there were any."""
    found, op = False, block.last_op
    while op is not None:
        before = op.prev_op
        if id(op) not in needed:
            found = True
            listener.handle_operation_removal(op)
            block.erase_op(op, safe_erase=False)
        else:
            inside = [sweep(inner, needed, listener) for region in op.regions for inner in region.blocks]
            found = found or any(inside)
        op = before
    return found

"""Rewriting by patterns in the way of xDSL, with what depends on the kind of an op alone looked up once for each kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from xdsl.folder import Folder
from xdsl.ir import Block, Operation, Region
from xdsl.pattern_rewriter import PatternRewriter, PatternRewriterListener, PatternRewriteWalker, RewritePattern

from compiler.effects import is_needed
from compiler.walking import ops_in

Patterns = tuple[RewritePattern, ...]


@dataclass(frozen=True)
class ByKind(RewritePattern):
    """Erases an op that does nothing, or folds it, or applies the first pattern for its kind that matches.

    `folder`: of the kinds for which it says so.
    """

    patterns_of: Callable[[type[Operation]], Patterns]
    folder: Folder | None = None
    folds: Callable[[type[Operation]], bool] = lambda kind: False

    def concerns(self, op: Operation) -> bool:
        """Whether there is anything to try."""
        return bool(self.patterns_of(type(op))) or self.folds(type(op)) or is_dead(op)

    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter) -> None:
        if is_dead(op):
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


def is_dead(op: Operation) -> bool:
    return all([result.first_use is None for result in op.results]) and not is_needed(op)


class KindWalker(PatternRewriteWalker):
    """Comes to the same ops in the same order, but those for which there is nothing to try: most of a program."""

    def __init__(
        self, pattern: ByKind, post_walk: Callable[[Region, PatternRewriterListener], bool] | None = None
    ) -> None:
        super().__init__(pattern, post_walk_func=post_walk)
        self.concerns = pattern.concerns

    def _populate_worklist(self, op: Operation | Region | Block) -> None:
        root = op if isinstance(op, Operation) else op.parent_op() if isinstance(op, Block) else op.parent
        for inner in reversed(ops_in(root)[1:] if root is not None else []):
            if self.concerns(inner):
                self._worklist.push(inner)


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

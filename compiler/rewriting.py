"""Rewriting by patterns in the way of xDSL, with what depends on the kind of an op alone looked up once for each kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from xdsl.folder import Folder
from xdsl.ir import Block, Operation, Region
from xdsl.pattern_rewriter import PatternRewriter, PatternRewriterListener, PatternRewriteWalker, RewritePattern
from xdsl.transforms.dead_code_elimination import region_dce

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
        """`op`: what is walked. An op is part of it, as with xDSL."""
        blocks = op.blocks if isinstance(op, Region) else [op] if isinstance(op, Block) else []
        roots = [op] if isinstance(op, Operation) else [root for block in blocks for root in block.ops]
        for inner in reversed([inner for root in roots for inner in ops_in(root)]):
            if self.concerns(inner):
                self._worklist.push(inner)


def erase_dead(region: Region, listener: PatternRewriterListener) -> bool:
    """Erases what nobody needs; whether there was any. From the end to the begin, as what uses a value mostly stands behind it: then the
    users of a value that goes have gone. Regions of several blocks, which only text can bring in, are left to xDSL: it looks which blocks
    can be reached."""
    block = region.first_block
    if block is None:
        return False
    if block.next_block is not None:
        return region_dce(region, listener)
    found, op = False, block.last_op
    while op is not None:
        before = op.prev_op
        if is_dead(op):
            found = True
            listener.handle_operation_removal(op)
            block.erase_op(op)
        else:
            inside = [erase_dead(inner, listener) for inner in op.regions]
            found = found or any(inside)
        op = before
    return found

"""canonicalize: what ops say of themselves: constants are folded, loops and branches that are known disappear, and what nobody needs.

    %2 = arith.addi %c1, %c3                        %2 = arith.constant 4 : index
    scf.for %i = %c0 to %c1 step %c1 { .. }   ->    ..
xDSL's pass of this name does the same; it looks up the patterns of each op at every visit.
"""

from __future__ import annotations

from functools import cache

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.folder import Folder
from xdsl.ir import Operation
from xdsl.passes import ModulePass
from xdsl.traits import ConstantLike, HasCanonicalizationPatternsTrait, HasFolder

from compiler.rewriting import ByKind, KindWalker, Patterns, erase_dead


@cache
def patterns_of(kind: type[Operation]) -> Patterns:
    """The patterns that a kind of op says of itself."""
    traits = kind.get_traits_of_type(HasCanonicalizationPatternsTrait)
    return tuple(pattern for trait in traits for pattern in trait.get_patterns(kind))


@cache
def folds(kind: type[Operation]) -> bool:
    """Whether a kind of op folds itself. Constants would be made again for ever."""
    return kind.has_trait(HasFolder) and not kind.has_trait(ConstantLike)


class CanonicalizePass(ModulePass):
    """See the module docstring."""

    name = "canonicalize"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        pattern = ByKind(patterns_of, Folder(ctx), folds)
        KindWalker(pattern, erase_dead).rewrite_module(op)

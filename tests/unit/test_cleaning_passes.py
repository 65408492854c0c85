"""cse, canonicalize and simplify-indices against xDSL's passes and walker: the same text wherever the pipeline runs them, and of random
programs."""

from __future__ import annotations

from collections import Counter

import pytest
from xdsl.context import Context
from xdsl.dialects import arith, scf
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.cf import Cf
from xdsl.parser import Parser
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import GreedyRewritePatternApplier, PatternRewriteWalker
from xdsl.transforms.canonicalize import CanonicalizePass
from xdsl.transforms.common_subexpression_elimination import CommonSubexpressionElimination

from compiler.driver import make_context, pipeline
from compiler.rewriting import ByKind, KindWalker
from compiler.transforms import canonicalize, simplify_indices
from compiler.transforms.cse import CsePass
from compiler.walking import ops_of
from frontends import load_program
from slmc.ir_text import module_text
from tests.end_to_end.e2e_support import PUBLISHED, options
from tests.unit.cleaning_programs import Writer


class XdslSimplifyIndices(ModulePass):
    """The patterns of simplify-indices, tried on every op by xDSL."""

    name = "simplify-indices"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        simplify_indices.settle_branches(op)
        patterns = [pattern for patterns in simplify_indices.PATTERNS.values() for pattern in patterns]
        PatternRewriteWalker(GreedyRewritePatternApplier([*dict.fromkeys(patterns)])).rewrite_module(op)


OURS: tuple[ModulePass, ...] = (CsePass(), canonicalize.CanonicalizePass(), simplify_indices.SimplifyIndicesPass())
THEIRS: dict[str, ModulePass] = {
    made.name: made for made in (CommonSubexpressionElimination(), CanonicalizePass(), XdslSimplifyIndices())
}


@pytest.mark.parametrize("variant", ["gemma3", "mixtral", "mamba", "kosmos2"])
def test_the_same_as_the_passes_of_xdsl(variant: str) -> None:
    module, ctx, compared = load_program(PUBLISHED / variant).module.clone(), make_context(), Counter[str]()
    for stage in pipeline(options("edge", "w8a8", 256))[:3]:
        for transform in stage.passes:
            copy = module.clone() if transform.name in THEIRS else None
            transform.apply(ctx, module)
            if copy is not None:
                THEIRS[transform.name].apply(ctx, copy)
                compared[transform.name] += 1
                assert module_text(module) == module_text(copy), f"{transform.name} of stage {stage.name}"
    assert compared["cse"] >= 5 and compared["canonicalize"] >= 3 and compared["simplify-indices"] >= 1


@pytest.mark.parametrize("seed", range(40))
def test_random_programs(seed: int) -> None:
    """Each pass on what was written, and all of them one after the other."""
    ctx = make_context()
    written = Parser(ctx, Writer(seed).program()).parse_module()
    written.verify()
    one, other = written.clone(), written.clone()
    for ours in OURS:
        for module, copy in ((written.clone(), written.clone()), (one, other)):
            ours.apply(ctx, module)
            module.verify()
            THEIRS[ours.name].apply(ctx, copy)
            assert module_text(module) == module_text(copy), ours.name


SEVERAL_BLOCKS = """
func.func @blocks(%is: i1) {
  %used = arith.constant 3 : index
  %unused = arith.constant 4 : index
  cf.cond_br %is, ^bb1, ^bb2
^bb1:
  %x = tile.lds 8 + 0 : index
  tile.event 1 %used
  cf.cond_br %is, ^bb1, ^bb2
^bb2:
  %sum = arith.addi %used, %used : index
  %more = arith.muli %sum, %used : index
  tile.event 2 %used
  func.return
}
"""


USED_IN_FRONT = """
func.func @front() {
  tile.event 1 %used
  %sum = arith.addi %unused, %unused : index
  %used = arith.constant 3 : index
  %unused = arith.constant 4 : index
  func.return
}
"""


@pytest.mark.parametrize(("written", "gone"), [(SEVERAL_BLOCKS, "arith.muli"), (USED_IN_FRONT, "arith.addi")])
def test_what_is_needed_elsewhere_stays(written: str, gone: str) -> None:
    """The compiler writes one block into each region, and values in front of their uses; text may have it otherwise."""
    ctx = make_context()
    ctx.load_dialect(Cf)
    module = Parser(ctx, written).parse_module()
    copy = module.clone()
    canonicalize.CanonicalizePass().apply(ctx, module)
    module.verify()
    THEIRS["canonicalize"].apply(ctx, copy)
    text = module_text(module)
    assert text == module_text(copy)
    assert text.count("arith.constant") == 1 and gone not in text


EMPTY_SUMS = """
func.func @sums() {
  %x = tile.lds 8 + 0 : index
  %unused = arith.addi %x, %x : index
  %is = arith.cmpi eq, %x, %x : index
  scf.if %is {
    %first = arith.addi %x, %x : index
  } else {
    %second = arith.addi %x, %x : index
  }
  func.return
}
"""


@pytest.mark.parametrize("alone", [False, True])
def test_only_the_region_that_is_given_is_rewritten(alone: bool) -> None:
    """One of two regions of an op; it may have no op around."""
    module = Parser(make_context(), EMPTY_SUMS).parse_module()
    (branch,) = ops_of(scf.IfOp, module)
    region = branch.detach_region(0) if alone else branch.true_region
    assert KindWalker(ByKind(lambda kind: ())).rewrite_region(region)
    assert [type(op) for op in region.block.ops] == [scf.YieldOp]
    assert len(ops_of(arith.AddiOp, module)) == 2

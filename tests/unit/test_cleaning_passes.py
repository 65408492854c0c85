"""cse and canonicalize against xDSL's passes of these names: the same text wherever the pipeline runs them."""

from __future__ import annotations

import pytest
from xdsl.dialects import arith, scf
from xdsl.dialects.cf import Cf
from xdsl.parser import Parser
from xdsl.passes import ModulePass
from xdsl.transforms.canonicalize import CanonicalizePass
from xdsl.transforms.common_subexpression_elimination import CommonSubexpressionElimination

from compiler.driver import make_context, pipeline
from compiler.rewriting import ByKind, KindWalker
from compiler.transforms import canonicalize
from compiler.walking import ops_of
from frontends import load_program
from slmc.ir_text import module_text
from tests.end_to_end.e2e_support import PUBLISHED, options

OURS: dict[str, ModulePass] = {"canonicalize": canonicalize.CanonicalizePass()}
THEIRS: dict[str, ModulePass] = {"cse": CommonSubexpressionElimination(), "canonicalize": CanonicalizePass()}


@pytest.mark.parametrize("variant", ["gemma3", "mixtral", "mamba", "kosmos2"])
def test_the_same_as_the_passes_of_xdsl(variant: str) -> None:
    module, ctx, compared = load_program(PUBLISHED / variant).module.clone(), make_context(), 0
    for stage in pipeline(options("edge", "w8a8", 256))[:3]:
        for transform in stage.passes:
            copy = module.clone() if transform.name in THEIRS else None
            transform.apply(ctx, module)
            if copy is not None:
                THEIRS[transform.name].apply(ctx, copy)
                compared += 1
                assert module_text(module) == module_text(copy), f"{transform.name} of stage {stage.name}"
    assert compared >= 8


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


def test_values_of_other_blocks_are_needed() -> None:
    """The compiler writes one block into each region; text may have more."""
    ctx = make_context()
    ctx.load_dialect(Cf)
    module = Parser(ctx, SEVERAL_BLOCKS).parse_module()
    copy = module.clone()
    OURS["canonicalize"].apply(ctx, module)
    module.verify()
    THEIRS["canonicalize"].apply(ctx, copy)
    text = module_text(module)
    assert text == module_text(copy)
    assert text.count("arith.constant") == 1 and "arith.muli" not in text


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

"""cse and canonicalize against xDSL's passes of these names: the same text wherever the pipeline runs them."""

from __future__ import annotations

import pytest
from xdsl.passes import ModulePass
from xdsl.transforms.canonicalize import CanonicalizePass
from xdsl.transforms.common_subexpression_elimination import CommonSubexpressionElimination

from compiler.driver import make_context, pipeline
from frontends import load_program
from slmc.ir_text import module_text
from tests.end_to_end.e2e_support import PUBLISHED, options

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

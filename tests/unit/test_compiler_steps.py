"""Steps of several chunks: where a block is cut, what crosses the cuts, which plan experts have, and what all that costs."""

from __future__ import annotations

import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block

from compiler.analysis.plan_costs import UNEVEN, Share, chunk_cost, share_of, token_bytes
from compiler.analysis.tile_plans import has_choices, mixing_plans
from compiler.dialects import slm, slmq
from compiler.driver import lower
from compiler.lowering.plan import TilePlan
from compiler.lowering.segments import crossing_values, segments
from compiler.transforms.choose_tiling import ChooseTilingPass
from frontends import load_program
from tests.end_to_end.e2e_support import options
from tests.end_to_end.mixture_support import architecture, mixtral, program_of
from tests.end_to_end.test_e2e_mixture import CONFIG


def slmq_of(name: str) -> ModuleOp:
    return lower(program_of(architecture(name)), options("edge", "w8a8", 64), "slmq")


def layer_of(module: ModuleOp) -> Block:
    return next(op for op in module.walk() if isinstance(op, slm.LayersOp)).body(0)


def test_segments_of_a_layer() -> None:
    """Chunks, the mixture, chunks."""
    found = segments(layer_of(slmq_of("sparse")))
    assert [segment.is_whole for segment in found] == [False, True, False]
    assert [type(op) for op in found[1].ops] == [slm.MixtureOp]
    assert isinstance(found[0].ops[-1], slmq.RowsOp)


def test_segments_of_a_function() -> None:
    """The embedding, the layers, and behind a choice of rows all the rest, a mixture too."""
    module = slmq_of("outside of the layers")
    function = next(op for op in module.walk() if isinstance(op, FuncOp))
    found = segments(function.body.block)
    assert [segment.is_whole for segment in found] == [False, True, False]
    assert isinstance(found[2].ops[0], slmq.SelectRowsOp)
    assert any(isinstance(op, slm.MixtureOp) for op in found[2].ops)


def test_mixtures_without_choices_are_no_cut() -> None:
    assert [segment.is_whole for segment in segments(layer_of(slmq_of("dense")))] == [False]
    assert not has_choices(slmq_of("dense"))
    assert has_choices(slmq_of("sparse"))


def test_what_works_on_weights_alone_comes_first() -> None:
    first, *_ = segments(layer_of(slmq_of("tensors")))
    assert first.is_whole
    assert {type(op) for op in first.ops} == {slmq.TensorOp}


def test_values_that_cross() -> None:
    """What the layer takes and gives, the rows for the experts, weights, choices, the sum, and the residual around the mixture."""
    block = layer_of(slmq_of("sparse"))
    mixture = next(op for op in block.ops if isinstance(op, slm.MixtureOp))
    found = crossing_values(block)
    assert {*mixture.operands, mixture.result, *block.args} <= found
    attention = next(op for op in block.ops if isinstance(op, slmq.AttentionOp))
    assert not {attention.q, attention.result} & found


def mixture(experts: int, chosen: int) -> slm.MixtureOp:
    module = lower(mixtral(num_local_experts=experts, num_experts_per_tok=chosen), options("edge", "w8a8", 64), "slmq")
    return next(op for op in module.walk() if isinstance(op, slm.MixtureOp))


def test_shares() -> None:
    """One token touches two experts, many touch all; an expert whose share and a quarter exceed its rows is streamed twice."""
    op = mixture(8, 2)
    assert share_of(None, 512, 1) == Share(1, 1)
    assert share_of(op, 1, 1) == Share(2, 2)
    assert share_of(op, 512, 160).streamed == pytest.approx(8)
    assert share_of(op, 512, 128).streamed == pytest.approx(16)
    assert share_of(op, 4, 4).streamed == pytest.approx(8 * (1 - 0.75**4))
    assert UNEVEN * 128 <= 160


def test_costs_of_a_chunk_have_all_experts() -> None:
    """Twice the experts are twice their weights, but not more work."""
    few, many = (chunk_cost(lower(mixtral(num_local_experts=n), options("edge", "w8a8", 64), "slmq")) for n in (4, 8))
    router = 2 * 4 * 24 * 4 * 2  # rows of f32: two layers, four more logits; their beats are 4
    assert many.work - few.work <= router
    assert many.weight_bytes > 1.5 * few.weight_bytes


def test_larger_steps_cost_less() -> None:
    """Mixtral: the weights of experts are most of what a token costs until a step gives them 86 rows."""
    module = lower(load_program(CONFIG, random_seed=1), options("edge", "w8a8", 1024), "slmq")
    limits = ChooseTilingPass(context=1024)
    cheapest: dict[int, float] = {}
    for plan in [plan for plans in mixing_plans(module, limits) for plan in plans]:
        cost = token_bytes(module, plan, limits.balance)
        cheapest[plan.tokens] = min(cheapest.get(plan.tokens, cost), cost)
    assert sorted(cheapest) == [256, 512]
    assert 1.1 < cheapest[256] / cheapest[512] < 1.5


def test_plans_of_experts() -> None:
    """As long a row stays in SRAM as outside; more rows have fewer columns of results at once. One token has no parts."""
    plan = TilePlan(
        1024, 128, 1 << 18, 1, 256, stream_bytes=1 << 20, stream_rows=512, tokens=512, expert_rows=192, expert_stream_rows=341
    )  # fmt: skip
    experts = plan.for_experts()
    assert (experts.chunk, experts.tokens, experts.expert_rows, experts.stream_rows) == (192, 0, 0, 341)
    assert experts.stream_bytes // experts.chunk == plan.stream_bytes // plan.chunk
    assert plan.most_tokens == 512 and plan.for_part().most_tokens == 128
    single = plan.for_one_token(1, 256, 1)
    assert (single.most_tokens, single.for_experts().chunk, single.for_experts().stream_rows) == (1, 1, 341)

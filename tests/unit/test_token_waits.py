"""The closed form for what DRAM waits in a token."""

from __future__ import annotations

from dataclasses import replace

import pytest
from xdsl.dialects.builtin import ModuleOp

from compiler.analysis.token_waits import BETWEEN, LATENCY, SPAN, TRANSFER, Rates, TokenWaits
from compiler.dialects import slmq
from compiler.driver import lower
from compiler.lowering.plan import TilePlan, heads_of
from compiler.lowering.strip_shapes import row_shape_of
from compiler.transforms.choose_single import takes_no_less
from tests.end_to_end.e2e_support import options, tiny_program

TINY = Rates(12.8, 32)


@pytest.mark.parametrize(
    ("size_bytes", "expected"),
    [
        (8192, TRANSFER),  # 640 cycles to come, 256 for the product and the latency: no wait
        (
            128,
            (4 + LATENCY - 10) / 2,
        ),  # 10 cycles to come, 4 for the product: every other transfer waits for all of them
    ],
)
def test_a_transfer_waits_for_products(size_bytes: int, expected: float) -> None:
    assert TINY.wait(size_bytes, 2) == expected


@pytest.fixture(scope="module")
def module() -> ModuleOp:
    """A model of one layer behind stage slmq."""
    program = tiny_program(5, hidden_size=64, intermediate_size=128, num_hidden_layers=1, vocab_size=200)
    return lower(program, options("edge", "w8a8", 64), "slmq")


def plan(strip_bytes: int, span_bytes: int, ahead: int) -> TilePlan:
    return TilePlan(64, 1, 1 << 17, 1, 256).for_one_token(1, 256, ahead, strip_bytes, span_bytes)


def test_what_is_cut_waits_longer(module: ModuleOp) -> None:
    """Into more strips, and then into more spans: no span has fewer columns than a strip."""
    whole = TokenWaits(module, TINY).under(plan(1 << 20, 1 << 20, 1))
    strips = TokenWaits(module, TINY).under(plan(1024, 1 << 20, 1))
    spans = TokenWaits(module, TINY).under(plan(1024, 128, 1))
    assert whole < strips < spans


def test_groups_wait_for_each_other_without_loads_ahead(module: ModuleOp) -> None:
    """There are q, k, v, o, gate and up, down and head; a span more or less is another wait."""
    ahead, behind = (TokenWaits(module, TINY).under(plan(1 << 20, 1 << 20, ahead)) for ahead in (1, 0))
    groups = round((behind - ahead) / BETWEEN)
    assert behind - ahead == groups * BETWEEN and 5 <= groups <= 7
    assert ahead >= groups * SPAN


@pytest.mark.parametrize(
    ("strip_bytes", "span_bytes", "expected"),
    [
        (1 << 20, 256, (192, 192)),  # strips are the span
        (1024, 256, (16, 64)),  # a quarter of a head, and one head
        (3072, 512, (32, 128)),  # 48 rows do not divide a head; an even number of heads
    ],
)
def test_strips_may_be_parts_of_heads(strip_bytes: int, span_bytes: int, expected: tuple[int, int]) -> None:
    """Of a group of queries and of one of more columns: rows of a strip, columns of a span."""
    program = tiny_program(5, hidden_size=64, num_attention_heads=3, num_key_value_heads=3, head_dim=64)
    module = lower(program, options("edge", "w8a8", 64), "slmq")
    queries = next(op for op in module.walk() if isinstance(op, slmq.StripsOp) and heads_of(op) == 64)
    shape = row_shape_of(plan(strip_bytes, span_bytes, 1), queries)
    assert ({strip.rows for strip in shape.strips.values()}, shape.span) == ({expected[0]}, expected[1])


def test_plans_that_take_no_less() -> None:
    small = plan(1024, 256, 0)
    assert takes_no_less(plan(1024, 256, 1), small) and takes_no_less(small, small)
    assert not takes_no_less(plan(1 << 20, 128, 1), small)
    assert not takes_no_less(replace(small, key_tile=32), small)

"""Strip shapes, tile plans, when a value dies, and what choose-tiling chooses."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import FloatAttr, IntegerAttr, ModuleOp, TensorType, f32, f64, i64
from xdsl.ir import Block, Operation, Region, SSAValue

from compiler.analysis.tile_plans import CHUNKS, candidates, largest_strip_bytes
from compiler.dialects import slm, slmq
from compiler.driver import lower, make_context
from compiler.errors import CompileError
from compiler.formats import WeightFormat
from compiler.lowering.plan import STRIP_ROWS_UNIT, TilePlan, strip_shape
from compiler.lowering.strip_shapes import token_strip
from compiler.lowering.values import dies_at
from compiler.transforms import choose_single
from compiler.transforms.choose_tiling import ChooseTilingPass
from compiler.transforms.plan_needs import need_of
from tests.end_to_end.e2e_support import build, options, tiny_program

FORMATS = ["i8", "bf16", "f32", "i8-s24", "i8-g64", "i8-g32-s24", "i4-g32", "i4-g64-zp", "i4-g128", "i4-g128-s24"]


def row_bytes(form: WeightFormat, columns: int) -> float:
    """Elements, positions of kept ones, scales and offsets of groups."""
    bits = {"f32": 32, "bf16": 16, "i8": 8, "i4": 4}[form.element] * columns
    elements = bits / 16 + columns / 8 if form.sparse else bits / 8
    return elements + (columns / form.group * (4 if form.offsets else 2) if form.group else 0)


@settings(deadline=None, derandomize=True, database=None, max_examples=300)
@given(
    st.integers(64, 1 << 18), st.integers(1, 5000), st.integers(1, 20000), st.sampled_from(FORMATS), st.integers(1, 4)
)
def test_strips_cover_a_matrix_and_fit_the_budget(
    budget_bytes: int, rows: int, columns: int, text: str, matmuls: int
) -> None:
    form = WeightFormat.of(text)
    unit = form.group or (8 if form.sparse else 1)
    columns = -(-columns // unit) * unit
    shape = strip_shape(TilePlan(512, 1, budget_bytes, 1, 256), rows, columns, form, matmuls)
    assert shape.rows % STRIP_ROWS_UNIT == 0
    assert STRIP_ROWS_UNIT <= shape.rows <= -(-rows // STRIP_ROWS_UNIT) * STRIP_ROWS_UNIT
    assert 1 <= shape.k_tile <= columns
    quantum = form.group or (64 if form.sparse else 32)  # sums may be split at multiples of 32 terms, or of a group
    assert shape.k_tile == columns or shape.k_tile % quantum == 0
    least, whole = STRIP_ROWS_UNIT * row_bytes(form, min(quantum, columns)), row_bytes(form, shape.k_tile)
    assert shape.rows * whole <= max(budget_bytes // matmuls, least)


@pytest.mark.parametrize(
    ("array_rows", "expected"), [(8, 256 << 10), (128, 256 << 10), (192, 384 << 10), (256, 512 << 10)]
)
def test_the_strips_of_wide_arrays_are_whole_rows(array_rows: int, expected: int) -> None:
    """Rows of 2 KiB, at least as many as the array computes at once; k-tiles are for longer ones."""
    assert largest_strip_bytes(array_rows) == expected
    plan = TilePlan(512, 1, largest_strip_bytes(array_rows), 1, 256, array_rows)
    shape = strip_shape(plan, 5632, 2048, WeightFormat("i8"), 1)
    assert shape.k_tile == 2048 and shape.rows >= array_rows


@pytest.mark.parametrize("sram_bytes", [8 << 20, 16 << 20])
def test_no_strip_of_a_token_is_too_large_for_a_descriptor(monkeypatch: pytest.MonkeyPatch, sram_bytes: int) -> None:
    """An eighth of the SRAM is 1 MiB and more: a strip is one run of bytes."""

    def many(_: object) -> int:
        return 1 << 33

    monkeypatch.setattr(choose_single, "token_weights", many)
    sizes = choose_single.strip_sizes(ModuleOp([]), TilePlan(512, 128, 1 << 18, 1, 256), sram_bytes)
    assert max(size for size, _ in sizes) == (1 << 20) - 1


def test_no_strip_is_too_large_for_a_descriptor() -> None:
    assert largest_strip_bytes(1024) + 512 * 8 < 1 << 20


@pytest.mark.parametrize(
    ("budget", "rows", "columns", "expected"),
    [
        (4096, 100, 64, (64, 64)),  # 64 whole rows of 64 bytes
        (4096, 40, 64, (48, 64)),  # the matrix ends before
        (1 << 20, 5000, 64, (512, 64)),  # never more than 512
        (4096, 100, 300, (64, 64)),  # 64 rows of 300 bytes are too many: k-tiles, so that the array is full
        (16384, 100, 300, (64, 192)),  # two k-tiles of equal size rather than 256 and 44 columns
        (1024, 100, 300, (16, 64)),  # too little even for that: 16 rows
        (100, 100, 300, (16, 32)),  # the smallest strip there is
        (100, 5, 7, (16, 7)),
    ],
)  # fmt: skip
def test_strip_shapes(budget: int, rows: int, columns: int, expected: tuple[int, int]) -> None:
    shape = strip_shape(TilePlan(512, 1, budget, 1, 256), rows, columns, WeightFormat("i8"), 1)
    assert (shape.rows, shape.k_tile) == expected


@pytest.mark.parametrize(
    ("budget", "columns", "expected"),
    [
        (262144, 2048, (32, 2048)),  # 32 rows of 8 KiB
        (262144, 5632, (16, 5632)),  # 16 rows of 22 KiB are a third too large
        (262144, 8192, (16, 4096)),  # 16 rows of 32 KiB are too large by far: two k-tiles
        (
            32768,
            5632,
            (16, 480),
        ),  # 12 k-tiles: with 11 of 512 columns a strip would begin in the buffer in which another one ends
    ],
)
def test_strips_of_a_token(budget: int, columns: int, expected: tuple[int, int]) -> None:
    matrix = SimpleNamespace(weight_format=WeightFormat("f32"), rows=2048, columns=columns)
    plan = TilePlan(512, 1, budget, 1, 256, token_strip_bytes=budget)
    shape = token_strip(plan, cast(slmq.MatmulOp, matrix), columns)
    assert (shape.rows, shape.k_tile) == expected


def test_a_plan_is_recorded_on_the_module() -> None:
    plan = TilePlan(512, 12, 4096, 2, 128)
    module = ModuleOp([])
    with pytest.raises(CompileError, match="the module has no tile.plan"):
        TilePlan.of(module)
    module.attributes["tile.plan"] = plan.to_attribute()
    assert TilePlan.of(module) == plan


def test_more_memory_never_means_smaller_chunks() -> None:
    program = tiny_program()
    chunks = [build(program, options("tiny", "w8a8", sram_bytes=size << 10)).meta["chunk"] for size in (48, 1024)]
    assert chunks == sorted(chunks)
    assert chunks[0] < chunks[-1] == 128
    assert build(program, options("edge", "w8a8", context=5)).meta["chunk"] <= 5


# When a value dies

ROWS = TensorType(f32, [-1, 4])


def scale(x: SSAValue) -> slmq.ScaleOp:
    return slmq.ScaleOp(operands=[x], properties={"factor": FloatAttr(2.0, f64)}, result_types=[ROWS])


def add(a: SSAValue, b: SSAValue) -> slmq.AddOp:
    return slmq.AddOp(operands=[a, b], result_types=[ROWS])


def strips(body: list[Operation], out: SSAValue) -> slmq.StripsOp:
    end = slmq.YieldOp(operands=[[out]])
    return slmq.StripsOp(
        properties={"columns": IntegerAttr(4, i64)}, regions=[Region(Block([*body, end]))], result_types=[[ROWS]]
    )


def test_a_value_dies_at_its_last_reader() -> None:
    block = Block(arg_types=[ROWS, ROWS])
    x, y = block.args
    a = scale(x)
    b = add(a.result, y)
    c = add(b.result, b.result)
    d = add(c.result, a.result)
    block.add_ops([a, b, c, d])
    assert dies_at(x, a)  # an argument of the block may be overwritten in it
    assert dies_at(y, b)
    assert not dies_at(a.result, b)  # d reads it
    assert dies_at(a.result, d)
    assert not dies_at(b.result, c)  # read twice: one operand would see what the other has become
    assert dies_at(c.result, d)


def test_what_strips_read_from_outside_dies_with_the_strips() -> None:
    block = Block(arg_types=[ROWS, ROWS, ROWS])
    x, y, z = block.args
    first = scale(x)
    inside = add(first.result, y)
    group = strips([first, inside], inside.result)
    again = scale(z)
    other = add(again.result, z)
    second = strips([again, other], other.result)
    after = add(y, second.outs[0])
    block.add_ops([group, second, after])
    assert dies_at(x, first)
    assert dies_at(first.result, inside)
    assert not dies_at(y, inside)  # read after the strips
    assert not dies_at(z, again)  # the next op of the same strip reads it
    assert not dies_at(z, other)  # and the next strip reads it in `again`
    assert dies_at(second.outs[0], after)


def test_values_from_outside_a_loop_do_not_die_in_it() -> None:
    block = Block(arg_types=[ROWS, ROWS])
    x, y = block.args
    body = Block(arg_types=[ROWS])
    inner = add(body.args[0], y)
    body.add_ops([inner, slm.YieldOp(operands=[[inner.result]])])
    layers = slm.LayersOp("layers", [0, 0], [x], [Region(body)])
    block.add_op(layers)
    assert dies_at(body.args[0], inner)
    assert not dies_at(y, inner)  # the next layer reads it again


@pytest.mark.parametrize(
    ("sram_bytes", "changes"),
    [
        pytest.param(1 << 17, {"intermediate_size": 1024}, marks=pytest.mark.long),
        (1 << 16, {"hidden_size": 96, "head_dim": 64, "num_key_value_heads": 3, "sliding_window": 300}),
        pytest.param(
            1 << 18,
            {"vocab_size": 3000, "intermediate_size": 3000, "num_attention_heads": 12, "num_key_value_heads": 4},
            marks=pytest.mark.long,
        ),
        (1 << 15, {"num_hidden_layers": 2, "attention_bias": True}),
    ],
)
def test_chunks_are_left_out_only_if_no_plan_of_theirs_fits(sram_bytes: int, changes: dict[str, int]) -> None:
    chosen = options("edge", "w8a8", 400, sram_bytes=sram_bytes)
    module = lower(tiny_program(**changes), chosen, stop_after="slmq")
    choice = ChooseTilingPass(sram_bytes, chosen.machine.mxu_rows, chosen.context)
    plans = list(candidates(module, choice, CHUNKS))
    first = need_of(make_context(), module, plans[0], 1 << 21, rows=True)
    excluded = [plan for plan in plans if first.excludes(plan, sram_bytes)]
    assert excluded
    for plan in plans:
        need = need_of(make_context(), module, plan, 1 << 21, rows=True)
        assert need.size_bytes >= need.score_bytes >= need.row_bytes
        assert need.row_bytes * first.plan.chunk >= first.row_bytes * plan.chunk
        if plan.kv_heads >= first.plan.kv_heads:
            assert need.score_bytes * first.plan.chunk >= first.score_bytes * plan.chunk
        if need.size_bytes <= sram_bytes:
            break
    assert plan not in excluded
    with pytest.raises(ValueError, match="rows and scores is not known"):
        need_of(make_context(), module, plan, 1 << 21).excludes(plan, sram_bytes)
    assert choice.first_fitting(make_context(), module, candidates(module, choice, CHUNKS), []) == plan

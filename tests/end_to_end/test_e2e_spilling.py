"""Plans whose large values lie in DRAM: the bits are those of slmq and of plans without, whatever the chunk and the tiles."""

from __future__ import annotations

from collections.abc import Generator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from compiler.dialects import tile
from compiler.driver import lower
from compiler.lowering import strips
from compiler.lowering.plan import TilePlan
from compiler.lowering.wide_products import stays_in_sums
from compiler.transforms import choose_tiling, refine_plan
from compiler.transforms.choose_tiling import ChooseTilingPass
from frontends import Virtual, load_program
from slmc.building import Checkpoint
from tests.end_to_end.e2e_support import PUBLISHED, SCHEMES, check_bits, options, prompt_of, some_quick, tiny_program
from tests.end_to_end.mixture_support import program_of
from tests.end_to_end.spilling_support import (
    MANY_HEADS,
    SRAM_BYTES,
    WIDE,
    check,
    labels_of,
    layered,
    plan_of,
    starve,
    stream_inputs,
    stream_to_one_buffer,
)

CONFIGS = Path(__file__).parents[2] / "examples" / "configs"


@pytest.fixture
def starved(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    starve(monkeypatch)
    yield


@pytest.mark.usefixtures("starved")
@pytest.mark.parametrize(
    ("name", "scheme"),
    some_quick(
        product(["edge", "tiny"], [*SCHEMES, "w4a8-g32", "w4a16-g32-zp", "w8a8-kv4"]),
        *[("edge", "w8a8"), ("edge", "w8a8-kv4"), ("edge", "w4a16-g32-zp")],
        *[("tiny", "w8a8-kv8"), ("tiny", "bf16"), ("tiny", "w4a8-g32")],
    ),
)
def test_bits(name: str, scheme: str) -> None:
    # Queries over an int4 cache are not cut into tiles.
    chosen = options(name, scheme, 200, sram_bytes=SRAM_BYTES << 2 if scheme.endswith("kv4") else SRAM_BYTES)
    plan = check(tiny_program(3, **WIDE), chosen, 150)
    assert plan.spills
    assert plan.chunk > plan.row_tile(4 * 160)


@pytest.mark.usefixtures("starved")
@pytest.mark.parametrize("length", some_quick([1, 2, 7, 8, 9, 127, 129, 257], 1, 9, 257))
def test_tails(length: int) -> None:
    chosen = options("tiny", "w8a8", 300, sram_bytes=SRAM_BYTES)
    assert check(tiny_program(4, **MANY_HEADS), chosen, length).spills


@pytest.mark.usefixtures("starved")
def test_rows_of_wide_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four rows at once where there is room, not as many as a part of the SRAM has."""
    monkeypatch.setattr(ChooseTilingPass, "first_fitting", lambda *_: None)
    program = tiny_program(3, **WIDE | {"intermediate_size": 672})
    chosen = options("tiny", "w4a8-g32", 64, sram_bytes=96 << 10)
    assert check(program, chosen, 50).row_tile(4 * 672) == 4
    monkeypatch.setattr(refine_plan, "longer_runs", lambda *_: 0)
    assert plan_of(program, chosen).row_tile(4 * 672) == 2


@pytest.fixture
def one_buffer(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    stream_to_one_buffer(monkeypatch)
    yield


@pytest.mark.usefixtures("starved", "one_buffer")
@pytest.mark.parametrize(
    ("name", "scheme"),
    some_quick(
        product(["edge", "tiny"], [*SCHEMES, "w4a8-g32", "w4a16-g32-zp", "w8a8-s24"]),
        *[("edge", "w8a8"), ("edge", "w4a16-g32-zp"), ("tiny", "w4a8-g32"), ("tiny", "w8a8-s24")],
    ),
)
def test_one_buffer(name: str, scheme: str) -> None:
    """The last resort, with values in DRAM: nothing comes while it is read. A token has two all the same."""
    program, chosen = tiny_program(3, **WIDE), options(name, scheme, 200, sram_bytes=SRAM_BYTES)
    plan = check(program, chosen, 150)
    assert plan.spills and plan.buffers == 1
    single = TilePlan.of_single(lower(program, chosen, "tile"))
    assert single is not None and single.buffers == 2


@pytest.mark.usefixtures("starved", "one_buffer")
@pytest.mark.parametrize("name", some_quick(["gemma2", "phi", "qwen3", "mixtral", "olmo2", "opt"], "gemma2", "mixtral"))
def test_families_with_one_buffer(name: str) -> None:
    check_bits(load_program(PUBLISHED / name), options("tiny", "w8a8", 64), prompt_of(50, 60), 4)


def test_one_buffer_where_two_do_not_fit() -> None:
    """Else weights would be streamed for each token of a prompt."""
    overrides = {"num_hidden_layers": "2"}
    program = Checkpoint(CONFIGS / "llama-3.2-1b.json", overrides=overrides, virtual=Virtual.ALWAYS).load()
    plan = plan_of(program, options("tiny", "w8a8", 512))
    assert plan.buffers == 1 and plan.chunk >= 32


@pytest.fixture
def streaming(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    stream_inputs(monkeypatch)
    yield


@pytest.mark.usefixtures("streaming")
@pytest.mark.parametrize(
    "scheme", some_quick([*SCHEMES, "w4a8-g32", "w8a8-s24", "mxfp4"], "fp32", "w8a8", "w4a8-g32", "w8a8-s24")
)
def test_streamed_inputs(scheme: str) -> None:
    chosen = options("tiny", scheme, 64, sram_bytes=48 << 10)
    program = tiny_program(3, **WIDE | {"intermediate_size": 288, "num_hidden_layers": 1})
    assert check(program, chosen, 50).stream_bytes
    labels = labels_of(program, chosen)
    assert "loaded_inputs" in labels


@pytest.mark.usefixtures("streaming")
@pytest.mark.parametrize("length", some_quick([1, 7, 129], 129))
def test_tails_of_streamed_inputs(length: int) -> None:
    chosen = options("tiny", "w8a8", 300, sram_bytes=SRAM_BYTES)
    program = tiny_program(4, **MANY_HEADS | {"intermediate_size": 176, "num_hidden_layers": 1})
    assert check(program, chosen, length).stream_bytes


ACTIVATIONS = layered(
    "a, b: rms_norm(d, 1e-5); q, k, v: linear(d -> [H, hd]); o: linear([H, hd] -> d); w: linear(d -> d)",
    """
    h = a(x)
    g = ACTIVATION(h)
    x += o(attention(q(h), k(h), v(h))) * g
    x += w(b(x))
    """,
)


@pytest.mark.usefixtures("starved")
@pytest.mark.parametrize("activation", ["softplus", "gelu"])
def test_activations_of_rows(activation: str) -> None:
    """What an activation needs beside its result is in no place where that is wanted."""
    program = program_of(ACTIVATIONS.replace("ACTIVATION", activation))
    assert check(program, options("tiny", "bf16", 64, sram_bytes=SRAM_BYTES), 30).spills


PARALLEL = layered(
    "a: rms_norm(d, 1e-5); q, k, v: linear(d -> [H, hd]); o: linear([H, hd] -> d); w: linear(d -> d)",
    """
    h = a(x)
    s = x + o(attention(q(h), k(h), v(h)))
    x = SUM
    """,
)


@pytest.mark.usefixtures("starved")
@pytest.mark.parametrize("total", ["s + w(h)", "a(s + w(h)) * s"])
def test_parallel_sums(total: str) -> None:
    """A sum of two products in the place of what they are added to, but not where another sum is there."""
    program = program_of(PARALLEL.replace("SUM", total))
    assert check(program, options("tiny", "w8a8", 64, sram_bytes=SRAM_BYTES), 30).spills


FAMILIES = [
    "gemma2",
    "gemma3",
    "phi",
    "phi3",
    "gpt2",
    "gpt_neox",
    "opt",
    "olmo2",
    "qwen3",
    "stablelm",
    "mixtral",
    "lfm2",
]


def published(family: str) -> list[str]:
    """Names of committed checkpoints of a family."""
    return sorted(path.name for path in PUBLISHED.iterdir() if path.is_dir() and path.name.startswith(family))[:1]


@pytest.mark.usefixtures("starved")
@pytest.mark.parametrize("family", some_quick(FAMILIES, "gemma2", "gemma3", "lfm2", "gpt2"))
def test_families(family: str) -> None:
    for name in published(family):
        program = load_program(PUBLISHED / name)
        chosen = options("tiny", "w8a8", 64, sram_bytes=64 << 10)
        check_bits(program, chosen, prompt_of(40, 60), 3)


@pytest.fixture
def wide(starved: None, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """Values lie in DRAM wherever they can, and every input of a product that can be quantised late has tiles of 32 columns."""
    monkeypatch.setattr(ChooseTilingPass, "first_fitting", lambda *_: None)
    monkeypatch.setattr(refine_plan, "wide_tiles", lambda *_: [32])
    yield


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize(
    ("scheme", "width", "length"),
    some_quick(
        product(["w8a8", "w8a8-kv8"], [112, 160, 208, 320], [33, 140]),
        *[("w8a8", 112, 33), ("w8a8", 208, 140), ("w8a8-kv8", 320, 140)],
    ),
)
def test_late_rows(scheme: str, width: int, length: int) -> None:
    """One tile or several between the first and the last one; tails of all sizes; few rows and those of a second chunk."""
    program = tiny_program(5, **WIDE | {"intermediate_size": width})
    chosen = options("tiny", scheme, 160, sram_bytes=96 << 10)
    check_bits(program, chosen, prompt_of(length, 67), 3)
    labels = labels_of(program, chosen)
    assert {"last_columns", "late_rows"} <= labels


BEHIND = layered(
    "q, k, v: linear(d -> [H, hd]); o: linear([H, hd] -> d); up: linear(d -> f); down: linear(f -> d); a, b: rms_norm(d, 1e-5)",
    """
    x += a(o(attention(q(x), k(x), v(x))))
    y = down(silu(up(x)))
    x = RESULT
    """,
    sizes="f = .f ?? 208",
)


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize(
    ("result", "length"),
    some_quick(product(["x + b(y)", "b(y)", "x + b(y) * y"], [17, 33, 140]), ("x + b(y)", 33), ("x + b(y) * y", 140)),
)
def test_results_stay_in_sums(monkeypatch: pytest.MonkeyPatch, result: str, length: int) -> None:
    """What only rows read stays where the sums of a late product are."""
    found: list[bool] = []

    def spy(*arguments: Any) -> bool:
        found.append(stays_in_sums(*arguments))
        return found[-1]

    monkeypatch.setattr(strips, "stays_in_sums", spy)
    monkeypatch.setattr(choose_tiling, "SPILL_SHARES", ((64, 16, 4),))
    check(program_of(BEHIND.replace("RESULT", result)), options("tiny", "w8a8", 160, sram_bytes=96 << 10), length)
    assert any(found)


@pytest.mark.usefixtures("wide")
def test_sums_without_room_for_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inputs are quantised late, even where the sums must make room for the rows behind them."""
    monkeypatch.setattr(choose_tiling, "SPILL_SHARES", ((64, 16, 4),))
    monkeypatch.setattr(refine_plan, "staying_bytes", lambda *_: (96 << 10) + 1)
    plan = plan_of(program_of(BEHIND.replace("RESULT", "x + b(y)")), options("tiny", "w8a8", 160, sram_bytes=96 << 10))
    assert plan.wide_tile and not plan.staying


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize("scheme", ["w8a8-s24", "w4a8-g32", "bf16"])
def test_sums_in_order_are_not_late(scheme: str) -> None:
    """Sums of floats and of groups have an order, which tiles would change."""
    program, chosen = tiny_program(5, **WIDE), options("tiny", scheme, 160, sram_bytes=96 << 10)
    module = lower(program, chosen, "tile")
    assert not [op for op in module.walk() if isinstance(op, tile.AllocOp) and op.label.data == "last_columns"]


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize(
    "family",
    some_quick(["gemma2", "olmo2", "phi", "gpt_neox", "gpt2", "opt", "qwen3", "stablelm"], "gemma2", "phi", "gpt_neox"),
)
def test_families_with_late_rows(family: str) -> None:
    """With norms behind the product, with biases, and with another product in the group."""
    for name in published(family):
        program, chosen = load_program(PUBLISHED / name), options("tiny", "w8a8", 64, sram_bytes=96 << 10)
        check_bits(program, chosen, prompt_of(40, 60), 3)

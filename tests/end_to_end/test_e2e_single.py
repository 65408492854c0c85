"""Chunks of one token, which have instructions of their own: the bits are those of slmq, whatever is loaded before its time."""

from __future__ import annotations

from typing import Any

import pytest

from compiler.driver import lower
from compiler.lowering.plan import TilePlan
from compiler.transforms import choose_single
from frontends import load_program
from tests.end_to_end.e2e_support import PUBLISHED, check_bits, options, prompt_of, tiny_program

WIDE: dict[str, Any] = {
    "hidden_size": 96,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 16,
    "intermediate_size": 352,
    "num_hidden_layers": 3,
    "vocab_size": 200,
}


def single_of(name: str, scheme: str, sram_bytes: int = 0, **changes: Any) -> TilePlan:
    """The plan for one token of a tiny model, after its bits have been compared."""
    program, chosen = tiny_program(5, **WIDE | changes), options(name, scheme, 64, sram_bytes=sram_bytes)
    check_bits(program, chosen, prompt_of(6, 67), 5)
    single = TilePlan.of_single(lower(program, chosen, "tile"))
    assert single is not None
    return single


@pytest.mark.parametrize(
    ("scheme", "sram_bytes"),
    [
        pytest.param("fp32", 24 << 10, marks=pytest.mark.long),
        ("w8a8", 24 << 10),
        ("w4a8-g32-zp", 24 << 10),
        pytest.param("w8a8", 48 << 10, marks=pytest.mark.long),
        pytest.param("w4a16-g32", 1 << 20, marks=pytest.mark.long),
    ],
)
def test_weights_ahead(scheme: str, sram_bytes: int) -> None:
    """One strip, many strips, and k-tiles, whose number is even or odd."""
    assert single_of("tiny", scheme, sram_bytes).ahead == 1


@pytest.mark.parametrize("scheme", ["w8a8", "w4a8-g32"])
def test_parts_of_heads(scheme: str) -> None:
    """A head has more rows than a strip, and a span is some of the heads."""
    single = single_of("tiny", scheme, 32 << 10, head_dim=64, num_attention_heads=8, num_key_value_heads=8)
    assert single.token_strip_bytes < 64 * WIDE["hidden_size"] // 2 and single.span_bytes < 8 * 64 * 4


@pytest.mark.parametrize("name", ["gemma2", "phi", "mamba", "mixtral"])
def test_families(name: str) -> None:
    """Kinds of layers, biases, norms behind products, experts, states."""
    program = load_program(PUBLISHED / name)
    check_bits(program, options("tiny", "w8a8", 64), prompt_of(3, 60), 4)


@pytest.fixture
def few_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    """One key-value head is attended to at once."""
    monkeypatch.setattr(choose_single, "ENTRY_SHARES", (1 << 30,))


@pytest.mark.usefixtures("few_heads")
@pytest.mark.parametrize("scheme", ["bf16", "w8a8-kv8", "w8a8-kv4", "fp32"])
@pytest.mark.parametrize("length", [254, pytest.param(510, marks=pytest.mark.long)])
def test_groups_of_heads(scheme: str, length: int) -> None:
    """The loop over blocks goes from one group of heads to the next; a block begins while tokens are decoded."""
    program, chosen = tiny_program(6, **WIDE | {"num_hidden_layers": 1}), options("edge", scheme, 520)
    check_bits(program, chosen, prompt_of(length, 67), 5)
    module = lower(program, chosen, "tile")
    single = TilePlan.of_single(module)
    tiled = scheme.endswith("-kv4")  # an int4 cache lies in tiles of the other plan
    expected = TilePlan.of(module).kv_heads if tiled else 1
    assert single is not None and single.kv_heads == expected


@pytest.mark.usefixtures("few_heads")
def test_groups_of_heads_with_a_window() -> None:
    changes = {"model_type": "mistral", "sliding_window": 200, "num_key_value_heads": 2}
    check_bits(tiny_program(7, **WIDE | changes), options("edge", "w8a8", 800), prompt_of(700, 67), 4)


def test_no_plan_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing fits, one token is worked on like a chunk of more."""

    def none(*_: object) -> list[TilePlan]:
        return []

    monkeypatch.setattr(choose_single, "single_plans", none)
    program, chosen = tiny_program(5, **WIDE), options("tiny", "w8a8", 64)
    check_bits(program, chosen, prompt_of(6, 67), 3)
    assert TilePlan.of_single(lower(program, chosen, "tile")) is None

"""Scales of groups that come with each k-tile of a strip, not all at once: the bits are the same, and long rows keep long tiles."""

from __future__ import annotations

from typing import Any

import pytest

from compiler.analysis import tile_plans
from compiler.driver import lower
from compiler.lowering.plan import TilePlan
from compiler.lowering.weight_stream import WeightStream
from tests.end_to_end.e2e_support import check_bits, options, prompt_of, some_quick, tiny_program
from tests.end_to_end.spilling_support import labels_of, stream_inputs

LONG: dict[str, Any] = {
    "hidden_size": 64,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "intermediate_size": 672,
    "num_hidden_layers": 1,
}
SCHEMES = ["w4a8-g32", "w4a16-g32", "w8a8-g32", "mxfp4", "mxfp8"]


@pytest.fixture
def by_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    """They come with each k-tile wherever they can, however small they are."""

    def possible(stream: WeightStream) -> bool:
        return not stream.is_whole and stream.form.group > 0 and not stream.form.sparse and stream.op.sums is None

    monkeypatch.setattr(WeightStream, "has_numbers_by_tile", property(possible))


@pytest.mark.usefixtures("by_tile")
@pytest.mark.parametrize(
    ("scheme", "name", "chunk"),
    some_quick(
        [(scheme, name, chunk) for scheme in SCHEMES for name in ("edge", "tiny") for chunk in (1, 5)],
        *[("w4a8-g32", "tiny", 5), ("w4a16-g32", "edge", 1), ("mxfp4", "edge", 5), ("w8a8-g32", "tiny", 1)],
    ),
)
def test_bits(scheme: str, name: str, chunk: int) -> None:
    """Tiles in two turns and in one, the last one shorter; of some rows and of one, whose first tiles come ahead."""
    chosen = options(name, scheme, 64, chunk, sram_bytes=1 << 15)
    program = tiny_program(2, **LONG | {"hidden_size": 224, "intermediate_size": 288})
    assert "strip_header" not in labels_of(program, chosen)
    check_bits(program, chosen, prompt_of(11, 67), 3)


def in_dram(monkeypatch: pytest.MonkeyPatch) -> None:
    """All inputs of products that can lie in DRAM do, and strips are small."""
    stream_inputs(monkeypatch)
    monkeypatch.setattr(tile_plans, "STREAM_SHARES", ((64, 64, 16),))


@pytest.mark.parametrize("scheme", some_quick(["w4a8-g32", "w4a16-g32", "mxfp4"], "w4a8-g32"))
def test_many_groups(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """Numbers of 21 groups take more room than tiles of one or two of them, also beside tiles of the input."""
    in_dram(monkeypatch)
    found: set[tuple[int, bool]] = set()
    rule = WeightStream.has_numbers_by_tile.fget
    assert rule is not None

    def spy(stream: WeightStream) -> bool:
        found.add((stream.op.columns, rule(stream)))
        return rule(stream)

    monkeypatch.setattr(WeightStream, "has_numbers_by_tile", property(spy))
    chosen = options("tiny", scheme, 64, sram_bytes=64 << 10)
    program = tiny_program(3, **LONG)
    assert TilePlan.of(lower(program, chosen, "tile")).stream_bytes
    assert (672, True) in found and (64, True) not in found
    check_bits(program, chosen, prompt_of(40, 67), 3)


def test_few_groups_come_at_once() -> None:
    """Two k-tiles of a row: what all groups take is little beside them, and one load does."""
    program = tiny_program(2, **LONG | {"hidden_size": 224, "intermediate_size": 288})
    chosen = options("tiny", "w4a8-g32", 64, 5, sram_bytes=1 << 15)
    assert "strip_header" in labels_of(program, chosen)


@pytest.mark.parametrize("scheme", ["w4a8-g32-zp", "w4a8-g32-s24"])
def test_offsets_and_sparse_rows_have_theirs_at_once(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """Offsets are added behind all products."""
    in_dram(monkeypatch)
    chosen = options("tiny", scheme, 64, sram_bytes=96 << 10)
    assert "strip_header" in labels_of(tiny_program(3, **LONG), chosen)

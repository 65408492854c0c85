"""What one layer leaves for the next one: stacks of a single layer, and layers whose end reads what their beginning made."""

from __future__ import annotations

import pytest

from compiler.dialects import tile
from compiler.driver import lower
from compiler.lowering.plan import EARLY_GROUPS, EARLY_LAYERS, EARLY_ROWS
from compiler.transforms import choose_tiling, refine_plan
from tests.end_to_end.e2e_support import options, tiny_program
from tests.end_to_end.mixture_support import program_of
from tests.end_to_end.spilling_support import WIDE, check, layered, only_early, starve, stream_to_one_buffer

ONE_LAYER = layered(
    "a, b: rms_norm(d, 1e-5); qn, kn: rms_norm(hd, 1e-5); q: linear(d -> [H, hd]); k, v: linear(d -> [G, hd]);"
    " o: linear([H, hd] -> d); gate, up: linear(d -> f); down: linear(f -> d)",
    """
    h = a(x)
    x += o(attention(rope(qn(q(h))), rope(kn(k(h))), v(h), window=24))
    x = b(x + down(relu(gate(x)) * up(x)))
    x = 0.5 * x
    """,
    heads=5,
    sizes="G = .g ?? 1; f = .f ?? 96; rope = rotary(hd, 10000, max_positions=512)",
)
SMALL = {"d = .d ?? 64": "d = .d ?? 32", "hd = .hd ?? 16": "hd = .hd ?? 32", "L = .l ?? 2": "L = .l ?? 1"}


@pytest.mark.parametrize("length", [5, 33])
def test_one_layer(monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    """Nothing is carried where no layer follows: canonicalize takes the loop away in which that would be."""
    starve(monkeypatch)
    monkeypatch.setattr(choose_tiling, "SPILL_SHARES", ((64, 64, 4),))
    text = ONE_LAYER
    for old, new in SMALL.items():
        text = text.replace(old, new)
    program, chosen = program_of(text), options("edge", "w4a16-g32-zp", 160, sram_bytes=64 << 10)
    assert check(program, chosen, length).early & EARLY_LAYERS
    assert not any(isinstance(op, tile.RenewOp) for op in lower(program, chosen, "tile").walk())


NORMED_RESIDUAL = layered(
    "m, a: rms_norm(d, 1e-5); q, k, v: linear(d -> [H, hd]); o: linear([H, hd] -> d)",
    """
    h = m(x)
    x = a(o(attention(q(h), k(h), v(h)))) + h
    """,
)


@pytest.mark.parametrize("length", [33, 140])
def test_rows_that_the_end_of_the_layer_reads(monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    """Rows of the next layer would be written over those of this one, which stay in SRAM and are read beside."""
    only_early(monkeypatch, EARLY_LAYERS | EARLY_ROWS)
    monkeypatch.setattr(choose_tiling, "SPILL_SHARES", ((64, 64, 4),))

    def second(*_: object) -> list[int]:
        return [1]

    monkeypatch.setattr(refine_plan, "kept_first", second)
    assert check(program_of(NORMED_RESIDUAL), options("tiny", "w8a8", 160, sram_bytes=256 << 10), length).kept


TWO_KINDS = """architecture rows for "rows"
config { V = .v ?? 67; d = .d ?? 64; L = .l ?? 3; H = .h ?? 8; hd = .hd ?? 16; f = .f ?? FFN; is_mlp = [i % 2 == 0 for i in 0..L] }
weights {
  embed: embedding(V, d)
  layers[i < L] {
    m, b: rms_norm(d, 1e-5)
    if is_mlp[i] { w: linear(d -> f); z: linear(f -> d) } else { q, k, v: linear(d -> [H, hd]); o: linear([H, hd] -> d) }
  }
  head: linear(d -> V)
}
def forward(tokens: [T]) {
  x = embed(tokens)
  for i in layers {
    h = m(x)
    if is_mlp[i] { x += b(z(relu(w(h)))) } else { x += b(o(attention(q(h), k(h), v(h)))) }
  }
  return head(x)
}
"""


@pytest.mark.parametrize("columns", [64, 80, 96])
def test_kinds_of_layers_with_other_products(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """First strips are those of one kind, also if there are fewer columns in the last of them than another kind has."""
    only_early(monkeypatch, EARLY_LAYERS | EARLY_ROWS)
    monkeypatch.setattr(choose_tiling, "SPILL_SHARES", ((64, 64, 4),))
    program = program_of(TWO_KINDS.replace("FFN", str(columns)))
    assert check(program, options("tiny", "w8a8", 160, sram_bytes=256 << 10), 33).spills


ONE_GROUP = layered("a: rms_norm(d, 1e-5); w: linear(d -> d)", "x += w(a(x))").replace(
    "H = .h ?? 4; hd = .hd ?? 16; ", ""
)


def test_layers_of_one_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """Offsets of groups are needed when a strip is finished: what the next layer loads must not come over them."""
    only_early(monkeypatch, EARLY_LAYERS)
    monkeypatch.setattr(choose_tiling, "SPILL_SHARES", ((64, 64, 4),))
    assert check(program_of(ONE_GROUP), options("edge", "w4a16-g32-zp", 160, sram_bytes=128 << 10), 33).spills


def test_groups_in_a_row_with_one_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop of one turn looks at nothing ahead, so no strips of the group behind it are there early."""
    only_early(monkeypatch, EARLY_GROUPS)
    monkeypatch.setattr(choose_tiling, "SPILL_SHARES", ((64, 64, 4),))
    stream_to_one_buffer(monkeypatch)
    program = tiny_program(4, **WIDE | {"num_attention_heads": 6, "head_dim": 32})
    assert check(program, options("edge", "w8a8", 160, sram_bytes=256 << 10), 33).early

"""What slmc inspect says a model costs: by hand for small models, and against what the compiler lays out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compiler.analysis.model_costs import model_costs
from compiler.driver import lower
from compiler.emit.executable import region_sizes
from compiler.errors import CompileError
from compiler.schemes import find_scheme
from frontends import Virtual, load_program
from slmc.model_inspection import describe_model, grouped
from tests.end_to_end.e2e_support import options, tiny_program

OWN = """\
architecture own for "own"

config {
  window = .window ?? 20
}
weights {
  embed: embedding(50, 16)
  layers[i < 3] {
    norm: rms_norm(16, 1e-5)
    q: linear(16 -> [4, 8], bias=true)
    k, v: linear(16 -> [2, 8])
    o: linear([4, 8] -> 16)
  }
  twice: linear(16 -> 16)
  head: linear(16 -> 50)
}
def forward(tokens: [T]) {
  x = embed(tokens)
  for i in layers {
    h = norm(x)
    x += o(attention(q(h), k(h), v(h), window=window if i == 1 else null)) + twice(twice(h))
  }
  return head(x)
}
"""
MATRICES = 3 * (32 * 16 + 2 * 16 * 16 + 16 * 32) + 16 * 16 + 50 * 16


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.slm"
    path.write_text(OWN)
    return path


def test_a_small_model_by_hand(own: Path) -> None:
    costs = model_costs(load_program(own, virtual=Virtual.IF_ABSENT))
    assert costs.parameters == costs.active_parameters == MATRICES + 50 * 16 + 3 * (16 + 32)
    assert costs.matrix_macs == MATRICES + 5 * 16 * 16  # `twice` runs six times and is stored once
    # Two layers see 100 positions, the one with a window 20: scores and sums of 4 heads of 8.
    assert costs.attention_macs(100) == 2 * 4 * 8 * (100 + 100 + 20)
    w8a8, kv8 = find_scheme("w8a8"), find_scheme("w8a8-kv8")
    rows = 3 * (32 + 16 + 16 + 16) + 16 + 50
    vectors, table = 3 * (16 + 32) * 4, 50 * 16 * 2
    assert costs.weight_bytes(w8a8) == MATRICES + rows * 4 + vectors + table
    again = 5 * (16 * 16 + 16 * 4)
    assert costs.weight_bytes_read(w8a8) == MATRICES + rows * 4 + vectors + 16 * 2 + again
    assert costs.cache_bytes_per_token(w8a8) == 3 * 2 * 2 * 8 * 2
    assert costs.cache_bytes_per_token(kv8) == 3 * 2 * 2 * (8 + 4)
    assert costs.cache_bytes_read(w8a8, 100) == 2 * 2 * 8 * 2 * (100 + 100 + 20)
    # int4: keys of 8 channels in a group of 32, a scale for each position of the values, and 256 bytes of key scales for a block.
    kv4, entry, recent = find_scheme("w8a8-kv4"), 2 * (16 + 4 + 4) + 1, 2 * 2 * 8 * 2
    assert costs.cache_bytes_per_token(kv4) == 3 * entry
    assert costs.cache_bytes_read(kv4, 100) == costs.cache_bytes_read(w8a8, 100)
    assert costs.cache_bytes_read(kv4, 257) == 2 * (256 * entry + recent) + 19 * entry + recent
    assert costs.cache_bytes_read(kv4, 512) == 2 * 256 * (entry + recent) + 20 * recent
    assert costs.cache_bytes(kv4, 700) == 256 * (2 * 2 * entry + entry + 3 * recent)
    assert costs.cache_bytes(kv4, 255) == 256 * 3 * recent
    # Whole blocks of 256 positions; a window of 20 needs two of them.
    assert costs.cache_bytes(w8a8, 700) == 2 * 2 * 8 * 2 * (768 + 768 + 512)
    assert costs.uncounted == set()


@pytest.mark.parametrize("scheme", ["fp32", "bf16", "w8a8", "w8a8-kv8", "w8a8-kv4"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"num_hidden_layers": 3, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": False},
        {"sliding_window": 300, "vocab_size": 1000, "num_key_value_heads": 3},
    ],
)
def test_the_compiler_adds_padding_alone(changes: dict[str, Any], scheme: str) -> None:
    """Each weight is rounded up to 64 bytes, and a strip's header to the rows of a strip."""
    program = tiny_program(hidden_size=64, head_dim=64, intermediate_size=192, **changes)
    costs, sizes = model_costs(program), region_sizes(lower(program, options("edge", scheme, 1024)))
    assert sizes["kv"] == costs.cache_bytes(find_scheme(scheme), 1024)
    stated = costs.weight_bytes(find_scheme(scheme))
    padding = sum(part.stored * (64 + 2 * 4 * 512) for part in costs.parts)
    assert stated <= sizes["weight"] < stated + padding


def test_a_context_longer_than_the_model_is_refused() -> None:
    with pytest.raises(CompileError, match="a context of 4000 is longer than the model's 2048 positions"):
        describe_model(tiny_program(), 4000)


def test_weights_that_differ_in_their_indices_share_a_row(own: Path) -> None:
    description = describe_model(load_program(own, virtual=Virtual.IF_ABSENT), 512)
    assert len(description["weights"]) == 3 + 3 * 6
    rows = {row[0]: row[1:] for row in grouped(description["weights"])}
    assert rows["layers.{}.q.weight"] == (3, [32, 16], "BF16", 3 * 512, "")
    assert rows["twice.weight"][0] == 1
    assert sum(row[3] for row in rows.values()) == description["parameters"]

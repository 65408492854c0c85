"""What is said about positions that no table holds, and about variants of the layer norm families that are not described."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compiler.driver import lower
from compiler.errors import CompileError
from frontends import FrontendError, load_program
from tests.end_to_end.e2e_support import options

CONFIGS = Path(__file__).parents[2] / "examples" / "configs"

FORWARD = """architecture own for "own"
config {{
  V = 32
  d = {width}
}}
weights {{
  embed: embedding(V, d)
  pos: embedding({rows}, d)
  head: linear(d -> V)
}}
def forward(tokens: [T]) {{
  x = embed(tokens) + {expression}
  return head(x)
}}
"""
WRONG = {  # expression, rows of the table, width: message
    ("pos(positions + 9)", 9, 8): '12:23: error: "pos" has 9 rows, the first position looks up row 9',
    ("pos(positions - 1)", 9, 8): "12:27: error: positions start at 0 or more and below 2^31, found -1",
    (
        "pos(positions + 2147483648)",
        9,
        8,
    ): "12:27: error: positions start at 0 or more and below 2^31, found 2147483648",
    ("pos(positions) + sinusoid(positions, d)", 9, 7): (
        "12:40: error: a sinusoid has an even number of columns, 4 or more, found 7"
    ),
    ("pos(positions) + sinusoid(positions, d)", 9, 2): (
        "12:40: error: a sinusoid has an even number of columns, 4 or more, found 2"
    ),
    ("pos(positions * 2)", 9, 8): (
        "12:27: error: arithmetic on positions other than + and - of a whole number is in the language, but the compiler "
        "does not have it yet"
    ),
    ("pos(2 - positions)", 9, 8): (
        "12:27: error: arithmetic on positions other than + and - of a whole number is in the language, but the compiler "
        "does not have it yet"
    ),
    ("pos(positions + 0.5)", 9, 8): (
        "12:27: error: arithmetic on positions other than + and - of a whole number is in the language, but the compiler "
        "does not have it yet"
    ),
}


def own_file(folder: Path, expression: str, rows: int, width: int) -> Path:
    path = folder / "own.slm"
    path.write_text(FORWARD.format(expression=expression, rows=rows, width=width))
    return path


@pytest.mark.parametrize(("expression", "rows", "width"), WRONG)
def test_positions(expression: str, rows: int, width: int, tmp_path: Path) -> None:
    with pytest.raises(FrontendError) as caught:
        load_program(own_file(tmp_path, expression, rows, width), random_seed=1)
    assert caught.value.headline() == f"own.slm:{WRONG[expression, rows, width]}"


def test_a_context_longer_than_a_learned_table(tmp_path: Path) -> None:
    program = load_program(own_file(tmp_path, "pos(positions + 2)", 66, 8), random_seed=1)
    assert program.max_positions == 64
    lower(program, options("edge", "fp32", 64))
    with pytest.raises(CompileError, match=r"^a context of 65 is longer than the model's 64 positions$"):
        lower(program, options("edge", "fp32", 65))


@pytest.mark.parametrize("name", ["gpt2", "opt-13b"])
def test_the_tables_of_real_models_bound_the_context(name: str) -> None:
    program = load_program(CONFIGS / f"{name}.json", random_seed=1)
    assert program.max_positions == (1024 if name == "gpt2" else 2048)


UNSUPPORTED: dict[tuple[str, str], Any] = {
    ("phi-1_5", "tie_word_embeddings"): (True, "tied embeddings"),
    ("opt-13b", "layer_norm_elementwise_affine"): (False, "LayerNorm without weights"),
    ("gpt2", "add_cross_attention"): (True, "cross attention"),
    ("kosmos-2", "tie_word_embeddings"): (False, "untied embeddings"),
}


@pytest.mark.parametrize(("name", "field"), UNSUPPORTED)
def test_what_a_family_does_not_describe(name: str, field: str, tmp_path: Path) -> None:
    value, message = UNSUPPORTED[name, field]
    config = json.loads((CONFIGS / f"{name}.json").read_text()) | {field: value}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    with pytest.raises(FrontendError, match=f"is not supported: {message}"):
        load_program(path, random_seed=1)

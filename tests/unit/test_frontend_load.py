"""load_program: parameter counts of real configs, the module's structure, aliases, overrides, models of one's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import FileLineColLoc, ModuleOp
from xdsl.parser import Parser

from compiler.dialects import slm
from compiler.driver import make_context
from frontends import FrontendError, Virtual, known_architectures, load_program

CONFIGS = Path(__file__).parents[2] / "examples" / "configs"
TINY: dict[str, Any] = {
    "model_type": "llama", "vocab_size": 32, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2,
    "num_key_value_heads": 1, "intermediate_size": 24, "max_position_embeddings": 64, "tie_word_embeddings": True,
}  # fmt: skip

OWN = """
architecture own for "own"
config {
  V = .vocab_size ?? 30
  d = .hidden_size ?? 16
  L = 4
  H = 2
  hd = d // H
  cap = .cap ?? null
  rope = rotary(hd, 1e4)
}
weights {
  embed: embedding(V, d)
  layers[i < L] {
    q, k, v: linear(d -> [H, hd])
    o: linear([H, hd] -> d)
  }
  extra[j < 2] {
    up: linear(d -> d, bias=true)
  }
  head: linear(d -> V)
}
def step(x) {
  return softcap(-x, cap)
}
def forward(tokens: [T]) {
  x = embed(tokens) * sqrt(d)
  y = x + x
  z = x
  for i in layers {
    turn = rope if i % 3 == 0 else null
    window = 16 if i % 2 == 0 else null
    x += o(attention(turn?(q(x)), turn?(k(x)), v(x), window=window, scale=hd ** -0.25)) / (i + 1 if i == 3 else 1)
  }
  for i in extra {
    x = relu(up(x)) ** 2 + y
  }
  return head(step(x) - z)
}
"""


def _write(path: Path, config: dict[str, Any]) -> Path:
    path.write_text(json.dumps(config))
    return path


def _reparsed(module: ModuleOp) -> ModuleOp:
    result = Parser(make_context(), str(module)).parse_module()
    result.verify()
    return result


def test_facts_of_real_configs() -> None:
    llama = load_program(CONFIGS / "llama-3.2-1b.json", random_seed=1)
    (rope, *_) = [op for op in llama.module.walk() if isinstance(op, slm.RopeOp)]
    assert (rope.rotary.dim.data, rope.rotary.theta.value.data, rope.rotary.original_positions.data) == (64, 5e5, 8192)
    assert {key: str(value) for key, value in rope.rotary.scaling.data.items()} == {
        "rope_type": '"llama3"',
        "factor": "3.200000e+01 : f64",
        "low_freq_factor": "1.000000e+00 : f64",
        "high_freq_factor": "4.000000e+00 : f64",
    }
    assert llama.weights.alias_of("head.weight") == "embed.weight"
    assert llama.stop_tokens == (128001,)
    mistral = load_program(CONFIGS / "mistral-7b-v0.1.json", random_seed=1)
    (attention,) = [op for op in mistral.module.walk() if isinstance(op, slm.AttentionOp)]
    assert attention.window is not None and attention.window.value.data == 4096
    tiny = load_program(CONFIGS / "tinyllama-1.1b.json", random_seed=1)
    assert (tiny.architecture, tiny.max_positions, tiny.stop_tokens) == ("llama", 2048, (2,))
    assert tiny.config["num_key_value_heads"] == 4
    assert tiny.weights.alias_of("head.weight") is None


def test_locations(tmp_path: Path) -> None:
    """Every operation knows its line; `gate` is called in line 43 of llama.slm."""
    program = load_program(_write(tmp_path / "config.json", TINY), random_seed=1)
    for op in program.module.walk():
        if not isinstance(op, ModuleOp | slm.YieldOp):
            assert isinstance(op.location, FileLineColLoc), op.name
            assert op.location.filename.data == "llama.slm"
    (activation,) = [op for op in program.module.walk() if isinstance(op, slm.ActivationOp)]
    assert isinstance(activation.location, FileLineColLoc) and activation.location.line.data == 43


def test_both_dialects_of_rope(tmp_path: Path) -> None:
    """transformers 5 writes rope_parameters, hub files rope_theta and rope_scaling."""
    old = {**TINY, "rope_theta": 5e4, "rope_scaling": {"type": "linear", "factor": 2.0}}
    new = {**TINY, "rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 5e4}}
    modules = [load_program(_write(tmp_path / "config.json", config), random_seed=1).module for config in (old, new)]
    assert modules[0].is_structurally_equivalent(modules[1])
    assert "#slm.rotary<8, 50000.0, 64, 0" in str(modules[0])


def test_model_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "own.slm"
    path.write_text(OWN)
    program = load_program(path, random_seed=1)
    assert _reparsed(program.module).is_structurally_equivalent(program.module)
    layers, extra = [op for op in program.module.walk() if isinstance(op, slm.LayersOp)]
    # Layers 0 .. 3: window and rope; rope only in none but 0 and 3; window in 0 and 2; 3 divides: four kinds.
    assert layers.layer_kinds == (0, 1, 2, 3)
    assert len(layers.values) == 1
    # y is read in the second loop, so it is carried; z is not.
    assert extra.layer_kinds == (0, 0)
    assert len(extra.values) == 2
    states = [op.state.data for op in layers.walk() if isinstance(op, slm.AttentionOp)]
    assert states == ["layers.{i}.attention.0"] * 4
    assert program.weights.shape("extra.1.up.bias") == (16,)
    assert "tanh" not in str(program.module)


def test_overrides(tmp_path: Path) -> None:
    path = tmp_path / "own.slm"
    path.write_text(OWN)
    program = load_program(path, random_seed=1, overrides={"L": "2", "hidden_size": "32", ".cap": "30.0"})
    assert program.weights.shape("layers.1.q.weight") == (32, 32)
    assert "layers.2.q.weight" not in program.weights.names()
    assert '"tanh"' in str(program.module)
    with pytest.raises(FrontendError) as caught:
        load_program(path, random_seed=1, overrides={"hiden_size": "32"})
    assert caught.value.headline() == 'own.slm: error: "hiden_size" is not a config value of this architecture'
    assert caught.value.hint == 'did you mean "hidden_size"?'
    with pytest.raises(FrontendError, match='a dimension must be a positive integer, found "x"'):
        load_program(path, random_seed=1, overrides={"V": "x"})


def test_architecture_file_beside_the_config(tmp_path: Path) -> None:
    (tmp_path / "own.slm").write_text(OWN)
    _write(tmp_path / "config.json", {"vocab_size": 40})
    assert load_program(tmp_path, random_seed=1).weights.shape("embed.weight") == (40, 16)
    (tmp_path / "other.slm").write_text(OWN)
    with pytest.raises(FrontendError, match="there are 2 .slm files in this directory, expected one"):
        load_program(tmp_path, random_seed=1)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("linear(8 -> 11)", '"head" is linear(8 -> 11): [11, 8], but it shares "embed", which is [10, 8]'),
        ("linear(8 -> 10, bias=true)", '"embed" has no bias to share'),
    ],
)
def test_tied_weights_must_fit(head: str, message: str, tmp_path: Path) -> None:
    """Also without a checkpoint."""
    path = tmp_path / "tied.slm"
    path.write_text(f"""architecture tied for "tied"
weights {{
  embed: embedding(10, 8)
  head: {head}
  last: linear({"11" if "11" in head else "10"} -> 10)
}}
def forward(tokens: [T]) {{ return last(head(embed(tokens))) }}
checkpoint hf {{ embed = "e"; head = embed; last = "l" }}
""")
    with pytest.raises(FrontendError) as caught:
        load_program(path, random_seed=1)
    assert caught.value.message == message


def test_examples_of_the_documentation(tmp_path: Path) -> None:
    text = (CONFIGS.parents[1] / "docs" / "slm-language.md").read_text(encoding="utf-8")
    examples = [block.split("```")[0] for block in text.split("```slm\n")[1:]]
    assert examples
    for example in examples:
        path = tmp_path / "example.slm"
        path.write_text(example)
        load_program(path, random_seed=1, overrides={"hidden_size": "64", "L": "2"}).module.verify()


REFUSED = {
    "x ** 0.5": '"**" on these tensors',
    "x ** 17": '"**" on these tensors',
    "x + sinusoid(positions * 2, d)": "arithmetic on positions other than + and - of a whole number",
    "x + sinusoid(tokens, d)": "a sinusoid of other than positions",
    "x + side(table)": "a linear on other than rows",
    "x + rms(table)": "a rms_norm on other than rows",
    "x + flat(rope(grid))": "rotary positions on other than one row for each token",
    "sum(top_k(big(x), 65)) * x": "top_k of more than 64",
    "sum(back(attention(e2(x), e2(x), e2(x))) for e in pool)": "attention inside of a sum over a group",
    "sum(back(rope(e2(x))) for e in pool)": "rope inside of a sum over a group",
}


@pytest.mark.parametrize("expression", REFUSED)
def test_what_the_compiler_does_not_have_yet(expression: str, tmp_path: Path) -> None:
    declarations = {
        "table": "table: tensor(d)",
        "side(": "side: linear(d -> d)",
        "rms(": "rms: rms_norm(d, 1e-5)",
        "grid": "grid: tensor([1, H, hd]); flat: linear([H, hd] -> d)",
        "pool": "pool[e < 2] { e2: linear(d -> [H, hd]); back: linear([H, hd] -> d) }",
        "big(": "big: linear(d -> 5 * d)",
    }
    weights = "\n".join(line for word, line in declarations.items() if word in expression)
    text = OWN.replace("  head: linear(d -> V)", f"  head: linear(d -> V)\n{weights}")
    path = tmp_path / "own.slm"
    path.write_text(text.replace("return head(step(x) - z)", f"x = {expression}\nreturn head(step(x) - z)"))
    with pytest.raises(FrontendError) as caught:
        load_program(path, random_seed=1)
    message = f"{REFUSED[expression]} is in the language, but the compiler does not have it yet"
    assert caught.value.message == message
    assert caught.value.line > 0


def test_stop_tokens(tmp_path: Path) -> None:
    _write(tmp_path / "config.json", {**TINY, "eos_token_id": 3})
    assert load_program(tmp_path, random_seed=1).stop_tokens == (3,)
    _write(tmp_path / "generation_config.json", {"eos_token_id": [5, 6]})
    assert load_program(tmp_path, random_seed=1).stop_tokens == (5, 6)
    _write(tmp_path / "generation_config.json", {"eos_token_id": None})
    assert load_program(tmp_path, random_seed=1).stop_tokens == (3,)


def test_known_architectures() -> None:
    assert known_architectures()["llama.slm"] == ("llama", "mistral", "mobilellm")


@pytest.mark.parametrize("name", ["gemma-2b", "gemma-2-2b", "gemma-3-1b"])
def test_gemma_attends_in_one_direction(name: str, tmp_path: Path) -> None:
    """transformers 5 writes the field as false or null; true is another model."""
    config = json.loads((CONFIGS / f"{name}.json").read_text())
    for value in (False, None):
        path = _write(tmp_path / "config.json", {**config, "use_bidirectional_attention": value})
        assert load_program(path, random_seed=1).notes == []
    path = _write(tmp_path / "config.json", {**config, "use_bidirectional_attention": True})
    with pytest.raises(FrontendError, match="bidirectional attention"):
        load_program(path, random_seed=1)


def test_virtual_weights_are_the_declared_shapes(tmp_path: Path) -> None:
    path = _write(tmp_path / "config.json", {**TINY, "attention_bias": True, "tie_word_embeddings": True})
    program, random = load_program(path, virtual=Virtual.IF_ABSENT), load_program(path, random_seed=7)
    assert program.virtual_weights and not random.virtual_weights
    assert program.module.is_structurally_equivalent(random.module)
    weights = program.weights
    assert weights.names() == random.weights.names() and "layers.0.q.bias" in weights.names()
    for name in weights.names():
        assert weights.shape(name) == random.weights.shape(name)
        assert weights.alias_of(name) == random.weights.alias_of(name)
        with pytest.raises(FrontendError, match=f'weight "{name}" is virtual: it has a shape, but no values'):
            weights.load(name)
    assert weights.alias_of("head.weight") == "embed.weight"
    assert load_program(tmp_path, virtual=Virtual.ALWAYS).virtual_weights, (
        "a directory of which only the config is read"
    )
    with pytest.raises(FrontendError, match="no safetensors file"):
        load_program(tmp_path, virtual=Virtual.IF_ABSENT)
    with pytest.raises(FrontendError, match="weights cannot be random and virtual at once"):
        load_program(path, random_seed=1, virtual=Virtual.ALWAYS)


def test_random_weights(tmp_path: Path) -> None:
    path = _write(tmp_path / "config.json", {**TINY, "vocab_size": 4096, "hidden_size": 128, "attention_bias": True})
    weights = load_program(path, random_seed=7).weights
    again = load_program(path, random_seed=7).weights
    other = load_program(path, random_seed=8).weights
    for name in reversed(weights.names()):
        values = weights.load(name)
        assert values.dtype == np.float32 and values.shape == weights.shape(name)
        assert not (values.view(np.uint32) & 0xFFFF).any(), "exactly representable in bf16"
        assert np.array_equal(values, again.load(name))
        assert not np.array_equal(values, other.load(name))
        assert weights.storage_dtype(name) == "bf16"
    assert np.array_equal(weights.load("head.weight"), weights.load("embed.weight"))
    assert not np.array_equal(weights.load("layers.0.q.weight"), weights.load("layers.1.q.weight"))
    down = weights.load("layers.0.down.weight")
    assert abs(down.mean()) < 0.01 and down.std() == pytest.approx(24**-0.5, rel=0.05)
    assert weights.load("embed.weight").std() == pytest.approx(0.02, rel=0.01)
    norm = weights.load("norm.weight")
    assert norm.mean() == pytest.approx(1, abs=0.01) and 0 < norm.std() < 0.05
    assert 0 < weights.load("layers.0.q.bias").std() < 0.05


def test_random_tensors_follow_their_formula() -> None:
    """A of a scan is -exp(A_log): were it positive, the state would grow without bound."""
    weights = load_program(CONFIGS / "mamba-130m.json", random_seed=7).weights
    a, d = weights.load("layers.3.A"), weights.load("layers.3.D")
    assert a.shape == (1536, 16) and a.mean() == pytest.approx(-1, abs=0.01) and 0 < a.std() < 0.05
    assert not (a.view(np.uint32) & 0xFFFF).any(), "exactly representable in bf16"
    assert abs(d.mean()) < 0.01 and 0 < d.std() < 0.05


SMALL = """
architecture small for "small"
weights {
  embed: embedding(10, 8)
  layers[i < 3] { norm: rms_norm(8, 0.5, offset=1); up: linear(8 -> 8, bias=true) if i != 1 }
  head: linear(8 -> 10)
}
def forward(tokens: [T]) {
  x = embed(tokens)
  for i in layers { x += silu(up?(norm(x))) * 2 }
  return head(x)
}
checkpoint hf { embed = "e"; layers[i] = "l.{i}" { norm = "n"; up = "u" }; head = embed }
"""


MODULE = """\
builtin.module {
  func.func @forward(%0: tensor<?xi32>) -> tensor<?x10xf32> {
    %1 = slm.embedding %0, #slm.weight<"embed.weight", tensor<10x8xbf16>> : tensor<?xi32> -> tensor<?x8xf32>
    %2 = slm.layers "layers" [0, 1, 0](%1) {
    ^bb0(%3: tensor<?x8xf32>):
      %4 = slm.rms_norm %3, #slm.weight<"layers.{i}.norm.weight", tensor<8xbf16>> eps 5.000000e-01 offset \
1.000000e+00 axes 1 : tensor<?x8xf32>
      %5 = slm.linear %4, #slm.weight<"layers.{i}.up.weight", tensor<8x8xbf16>> bias \
#slm.weight<"layers.{i}.up.bias", tensor<8xbf16>> : tensor<?x8xf32> -> tensor<?x8xf32>
      %6 = slm.activation "silu" %5 : tensor<?x8xf32>
      %7 = slm.constant 2.000000e+00 : tensor<f32>
      %8 = slm.mul %6, %7 : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
      %9 = slm.add %3, %8 : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x8xf32>
      slm.yield %9 : tensor<?x8xf32>
    } {
    ^bb0(%10: tensor<?x8xf32>):
      %11 = slm.rms_norm %10, #slm.weight<"layers.{i}.norm.weight", tensor<8xbf16>> eps 5.000000e-01 offset \
1.000000e+00 axes 1 : tensor<?x8xf32>
      %12 = slm.activation "silu" %11 : tensor<?x8xf32>
      %13 = slm.constant 2.000000e+00 : tensor<f32>
      %14 = slm.mul %12, %13 : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
      %15 = slm.add %10, %14 : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x8xf32>
      slm.yield %15 : tensor<?x8xf32>
    } : tensor<?x8xf32> -> tensor<?x8xf32>
    %16 = slm.linear %2, #slm.weight<"head.weight", tensor<10x8xbf16>> : tensor<?x8xf32> -> tensor<?x10xf32>
    func.return %16 : tensor<?x10xf32>
  }
}"""


def test_the_text_of_a_module(tmp_path: Path) -> None:
    """A layer without `up` is another kind of layer; a tied head keeps its own name."""
    path = tmp_path / "small.slm"
    path.write_text(SMALL)
    assert str(load_program(path, random_seed=1).module) == MODULE


SCALED = """
architecture own for "own"
config { V = 30; d = 16; L = 5; H = 2; hd = d // H }
weights {
  embed: embedding(V, d)
  layers[i < L] {
    q, k, v: linear(d -> [H, hd])
    o: linear([H, hd] -> d)
  }
  head: linear(d -> V)
}
def forward(tokens: [T]) {
  x = embed(tokens)
  for i in layers {
    a = attention(q(x), k(x), v(x), scale=1 / (i + 1), window=16 if i == 2 else null)
    x += o(attention(a, k(x), v(x), scale=0.5))
  }
  return head(x)
}
"""


def test_layers_that_differ_in_attention_scales_are_one_kind(tmp_path: Path) -> None:
    """Layer 2 has a window, so it is of another kind; a scale that all layers share stays one number."""
    path = tmp_path / "own.slm"
    path.write_text(SCALED)
    (layers,) = [op for op in load_program(path, random_seed=1).module.walk() if isinstance(op, slm.LayersOp)]
    assert layers.layer_kinds == (0, 0, 1, 0, 0)
    scales = [
        [None if op.layer_scales is None else op.layer_scales.get_values() for op in region.walk() if isinstance(op, slm.AttentionOp)]
        for region in layers.kinds
    ]  # fmt: skip
    assert scales[1] == [None, None]
    by_layer, shared = scales[0]
    assert shared is None and by_layer is not None
    assert [by_layer[layer] for layer in (0, 1, 3, 4)] == [1, 1 / 2, 1 / 4, 1 / 5]


def test_gpt2_with_scales_by_layer_is_as_small_as_without(tmp_path: Path) -> None:
    config = json.loads((CONFIGS / "gpt2.json").read_text())
    sizes: set[int] = set()
    for layers, scaled in ((12, False), (12, True), (48, True)):
        path = _write(
            tmp_path / "config.json", {**config, "n_layer": layers, "scale_attn_by_inverse_layer_idx": scaled}
        )
        sizes.add(len(list(load_program(path, random_seed=1).module.walk())))
    assert len(sizes) == 1

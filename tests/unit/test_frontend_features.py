"""What slmc models says about an architecture file, each entry checked by reading the file."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from frontends import known_architectures
from frontends.features import Features, features_of, known_features
from frontends.language.parser import parse
from frontends.language.source import SourceText
from slmc.cli import main

EVERYTHING = Path(__file__).parent / "slm_everything.slm"
KNOWN = {features.name: features for features in known_features()}


def test_every_file_of_the_package_is_described() -> None:
    assert [features.model_types for features in known_features()] == list(known_architectures().values())


def test_llama() -> None:
    assert KNOWN["llama"] == Features(
        name="llama",
        model_types=("llama", "mistral", "mobilellm"),
        formats=("hf", "gguf"),
        mixers=("attention",),
        attention=("GQA", "window"),
        positions=("rope", "scaling"),
        norms=("rms", "2 per layer"),
        mlp=("silu", "gated"),
        biases=("q k v o gate up down by config",),
        head=("tied by config",),
        inputs=(),
    )


def test_what_others_do_differently() -> None:
    gemma = KNOWN["gemma3"]
    assert gemma.attention == ("GQA", "window by layer", "softcap", "own scale")
    assert gemma.positions == ("2 ropes", "scaling")
    assert gemma.norms == ("rms", "1 + w", "4 per layer", "q_norm", "k_norm")
    assert gemma.head == ("tied", "softcap")
    assert KNOWN["gemma"].mlp == ("gelu_tanh", "gated")
    assert KNOWN["phi3"].positions == ("rope", "partial", "scaling")
    assert KNOWN["smollm3"].positions == ("rope", "scaling", "NoPE layers")
    assert KNOWN["qwen2"].biases == ("q k v",)
    assert KNOWN["olmo2"].norms == ("rms", "2 per layer", "q_norm", "k_norm")


def test_a_file_with_everything() -> None:
    features = features_of(parse(SourceText(EVERYTHING.name, EVERYTHING.read_text())))
    assert features.model_types == ("everything", "all of it")
    assert features.mixers == ("attention", "short convolution", "state space")
    assert features.attention == ("window", "softcap", "own scale", "not causal")
    assert features.positions == ("rope", "partial", "scaling", "NoPE layers", "learned", "sinusoid")
    assert features.norms == ("layer", "rms", "1 + w", "2 per layer", "q_norm", "k_norm")
    assert features.mlp[0] == "gelu_tanh"
    assert features.mlp[-2:] == ("experts", "top-k")
    assert features.biases == ("q dt",)
    assert features.inputs == ("pixels", "image_mask")


def test_the_least_a_model_can_be() -> None:
    text = """architecture least for "least"
weights { embed: embedding(8, 4); head: linear(4 -> 8) }
def forward(tokens: [T]) { return head(embed(tokens)) }
"""
    features = features_of(parse(SourceText("least.slm", text)))
    assert features == Features("least", ("least",), (), (), (), (), (), (), (), ("untied",), ())


def test_the_command_prints_what_is_known() -> None:
    shown = json.loads(CliRunner().invoke(main, ["models", "--json"]).stdout)
    assert [family["name"] for family in shown] == list(KNOWN)
    assert next(family for family in shown if family["name"] == "qwen2")["biases"] == ["q k v"]
    table = CliRunner().invoke(main, ["models"]).stdout
    assert all(model_type in table for features in KNOWN.values() for model_type in features.model_types)

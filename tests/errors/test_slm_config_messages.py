"""Messages for wrong configs: each names the place in the .slm file, the value, and the fields of the config behind it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from frontends import FrontendError, load_program

CONFIG: dict[str, Any] = {
    "model_type": "llama", "vocab_size": 32, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 24, "rms_norm_eps": 1e-5, "hidden_act": "silu", "max_position_embeddings": 64,
}  # fmt: skip

Case = tuple[str, dict[str, Any], str, str]
"""Name, changed fields (null is a missing field), headline and hint; CONFIG stands for the config file's path."""
KNOWN = "for another one, write a .slm file (docs/slm-language.md) and put it beside config.json"
CASES: list[Case] = [
    (
        "a missing field",
        {"hidden_size": None},
        "llama.slm:6:9: error: CONFIG has no field .hidden_size, or it is null",
        'did you mean ".hidden_act"?',
    ),
    (
        "a dimension that is a string",
        {"vocab_size": "32"},
        'llama.slm:24:20: error: a dimension must be a positive integer, found "32"',
        "comes from .vocab_size of CONFIG",
    ),
    (
        "a dimension that is zero",
        {"intermediate_size": 0},
        "llama.slm:30:27: error: a dimension must be a positive integer, found 0",
        "comes from .intermediate_size of CONFIG",
    ),
    (
        "a dimension that is negative",
        {"intermediate_size": -4},
        "llama.slm:30:27: error: a dimension must be a positive integer, found -4",
        "comes from .intermediate_size of CONFIG",
    ),
    (
        "a dimension with a fraction",
        {"intermediate_size": 24.0},
        "llama.slm:30:27: error: a dimension must be a positive integer, found 24.0",
        "comes from .intermediate_size of CONFIG; use // for exact division",
    ),
    (
        "a dimension that is true",
        {"intermediate_size": True},
        "llama.slm:30:27: error: a dimension must be a positive integer, found true",
        "comes from .intermediate_size of CONFIG",
    ),
    (
        "a dimension beyond 31 bits",
        {"vocab_size": 2147483648},
        "llama.slm:24:20: error: a dimension is 2147483648, the largest accepted is 2147483647",
        "comes from .vocab_size of CONFIG",
    ),
    (
        "a matrix that is too large",
        {"vocab_size": 2147483647, "hidden_size": 2048},
        "llama.slm:24:3: error: embedding of [2147483647, 2048] is larger than this compiler accepts",
        "",
    ),
    (
        "too many layers",
        {"num_hidden_layers": 4097},
        'llama.slm:25:14: error: group "layers" has 4097 members, the largest accepted is 4096',
        "comes from .num_hidden_layers of CONFIG",
    ),
    (
        "arithmetic on a string",
        {"hidden_size": "16"},
        'llama.slm:10:22: error: "//" needs numbers, found "16"',
        "comes from .hidden_size, .num_attention_heads of CONFIG",
    ),
    (
        "division by zero",
        {"num_attention_heads": 0},
        'llama.slm:10:22: error: "//" divides by zero',
        "comes from .hidden_size, .num_attention_heads of CONFIG",
    ),
    (
        "a number beyond 64 bits",
        {"vocab_size": 9223372036854775808},
        'CONFIG: error: is not valid JSON: the number "9223372036854775808" does not fit 64 bits',
        "",
    ),
    (
        "eps that is negative",
        {"rms_norm_eps": -1e-05},
        "llama.slm:26:38: error: eps must be a positive number, found -1e-05",
        "comes from .rms_norm_eps of CONFIG",
    ),
    (
        "eps that is zero",
        {"rms_norm_eps": 0},
        "llama.slm:26:38: error: eps must be a positive number, found 0",
        "comes from .rms_norm_eps of CONFIG",
    ),
    (
        "eps that is a string",
        {"rms_norm_eps": "1e-5"},
        'llama.slm:26:38: error: eps must be a finite number, found "1e-5"',
        "comes from .rms_norm_eps of CONFIG",
    ),
    (
        "a bias that is no truth value",
        {"attention_bias": 1},
        "llama.slm:27:41: error: bias must be true or false, found 1",
        "comes from .attention_bias of CONFIG",
    ),
    (
        "a tie that is no truth value",
        {"tie_word_embeddings": "yes"},
        'llama.slm:57:19: error: a condition must be true or false, found "yes"',
        "comes from .share_embedding, .tie_word_embeddings of CONFIG",
    ),
    (
        "heads that do not divide",
        {"num_attention_heads": 4, "num_key_value_heads": 3},
        "llama.slm:41:12: error: attention needs a multiple of the k/v heads, found 4 heads and 3 k/v heads",
        "",
    ),
    (
        "an odd head dimension",
        {"head_dim": 5},
        "llama.slm:18:10: error: the rotary dimension must be even, found 5",
        "comes from .head_dim, .hidden_size, .num_attention_heads of CONFIG",
    ),
    (
        "an unknown activation",
        {"hidden_act": "silo"},
        'llama.slm:17:10: error: unknown activation "silo", did you mean "silu"?',
        "comes from .hidden_act of CONFIG",
    ),
    (
        "an activation far from any",
        {"hidden_act": "xyz"},
        'llama.slm:17:10: error: unknown activation "xyz" '
        "(known: silu, gelu, gelu_tanh, quick_gelu, relu, sigmoid, tanh, softplus, swish, "
        "gelu_new, gelu_pytorch_tanh, gelu_fast)",
        "comes from .hidden_act of CONFIG",
    ),
    (
        "an activation that is no name",
        {"hidden_act": 3},
        "llama.slm:17:10: error: an activation is named by a string, found 3",
        "comes from .hidden_act of CONFIG",
    ),
    (
        "a window of zero",
        {"model_type": "mistral", "sliding_window": 0},
        "llama.slm:41:12: error: a window must be a positive integer, found 0",
        "comes from .sliding_window, .model_type of CONFIG",
    ),
    (
        "a window with a fraction",
        {"model_type": "mistral", "sliding_window": 4.5},
        "llama.slm:41:12: error: a window must be a positive integer, found 4.5",
        "comes from .sliding_window, .model_type of CONFIG",
    ),
    (
        "a required property",
        {"rope_interleaved": True},
        "llama.slm:19:3: error: CONFIG is not supported: interleaved rope",
        "",
    ),
    (
        "an unread field",
        {"hiden_size": 3},
        "CONFIG: error: config field .hiden_size: not read by llama.slm",
        'did you mean ".hidden_size"? if it does not change the model, allow unread fields (--allow-unread)',
    ),
    (
        "several unread fields",
        {"field_0": 0, "field_1": 1, "field_2": 2, "field_3": 3, "field_4": 4, "field_5": 5, "field_6": 6},
        "CONFIG: error: config fields .field_0, .field_1, .field_2, .field_3, .field_4 and 2 more: not read by llama.slm",
        "if it does not change the model, allow unread fields (--allow-unread)",
    ),
    (
        "a theta that is too small",
        {"rope_theta": 0.5},
        "llama.slm:18:10: error: rope theta must be between 1 and 1e+15, found 0.5",
        "comes from .rope_theta of CONFIG",
    ),
    (
        "a theta that is a string",
        {"rope_theta": "10000"},
        'llama.slm:18:10: error: rope theta must be a finite number, found "10000"',
        "comes from .rope_theta of CONFIG",
    ),
    (
        "a scaling that is no record",
        {"rope_scaling": "llama3"},
        'llama.slm:18:10: error: rope scaling must be a record, found "llama3"',
        "comes from .rope_scaling of CONFIG",
    ),
    (
        "an unknown kind of scaling",
        {
            "rope_scaling": {
                "rope_type": "lama3",
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 32,
            }
        },
        'llama.slm:18:10: error: unknown rope scaling "lama3" (known: default, linear, dynamic, llama3, yarn, longrope, divisors)',
        "comes from .rope_scaling of CONFIG",
    ),
    (
        "an unknown key of scaling",
        {
            "rope_scaling": {
                "rope_type": "llama3",
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 32,
                "facto": 3,
            }
        },
        'llama.slm:18:10: error: rope scaling "llama3" does not know "facto", did you mean "factor"?',
        "comes from .rope_scaling of CONFIG",
    ),
    (
        "a missing key of scaling",
        {
            "rope_scaling": {
                "rope_type": "llama3",
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 32,
            }
        },
        'llama.slm:18:10: error: rope scaling "llama3" needs factor',
        "comes from .rope_scaling of CONFIG",
    ),
    (
        "a factor that is negative",
        {
            "rope_scaling": {
                "rope_type": "llama3",
                "factor": -1,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 32,
            }
        },
        "llama.slm:18:10: error: factor must be a positive number, found -1",
        "comes from .rope_scaling of CONFIG",
    ),
    (
        "a factor that is a string",
        {
            "rope_scaling": {
                "rope_type": "llama3",
                "factor": "8",
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 32,
            }
        },
        'llama.slm:18:10: error: factor must be a finite number, found "8"',
        "comes from .rope_scaling of CONFIG",
    ),
    (
        "a factor of dynamic below one",
        {"rope_scaling": {"rope_type": "dynamic", "factor": 0.5}},
        "llama.slm:18:10: error: factor must be at least 1, found 0.5",
        "comes from .rope_scaling of CONFIG",
    ),
    (
        "frequency factors in the wrong order",
        {
            "rope_scaling": {
                "rope_type": "llama3",
                "factor": 8.0,
                "low_freq_factor": 4.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 32,
            }
        },
        "llama.slm:18:10: error: low_freq_factor must be less than high_freq_factor",
        "comes from .rope_scaling of CONFIG",
    ),
    (
        "no original length",
        {"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}},
        'llama.slm:18:10: error: rope scaling "llama3" needs original_max_position_embeddings',
        "comes from .rope_scaling of CONFIG",
    ),
    (
        "an original length that is no integer",
        {
            "rope_scaling": {
                "rope_type": "llama3",
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 8.5,
            }
        },
        "llama.slm:18:10: error: original_max_position_embeddings must be a positive integer, found 8.5",
        "comes from .rope_scaling of CONFIG",
    ),
    (
        "a factor list of the wrong length",
        {
            "rope_scaling": {
                "type": "longrope",
                "short_factor": [1.0, 1.0, 1.0, 1.0],
                "long_factor": [1.0],
                "original_max_position_embeddings": 32,
            }
        },
        "llama.slm:18:10: error: long_factor must have 4 numbers, found 1",
        "comes from .rope_scaling of CONFIG",
    ),
    (
        "a factor list that is none",
        {
            "rope_scaling": {
                "type": "longrope",
                "short_factor": [1.0, 1.0, 1.0, 1.0],
                "long_factor": 2.0,
                "original_max_position_embeddings": 32,
            }
        },
        "llama.slm:18:10: error: long_factor must be a list of 4 numbers, found 2.0",
        "comes from .rope_scaling of CONFIG",
    ),
    (
        "a factor in a list",
        {
            "rope_scaling": {
                "type": "longrope",
                "short_factor": [1.0, 1.0, 1.0, 1.0],
                "long_factor": [1.0, 2.0, 0, 1],
                "original_max_position_embeddings": 32,
            }
        },
        "llama.slm:18:10: error: long_factor[2] must be a positive number, found 0",
        "comes from .rope_scaling of CONFIG",
    ),
    (
        "an unknown key of yarn",
        {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "mscal": 1.0}},
        'llama.slm:18:10: error: rope scaling "yarn" does not know "mscal", did you mean "mscale"?',
        "comes from .rope_scaling of CONFIG",
    ),
    (
        "a magnitude below zero",
        {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "mscale": -1.0}},
        "llama.slm:18:10: error: mscale must not be negative, found -1.0",
        "comes from .rope_scaling of CONFIG",
    ),
    (
        "a flag that is a number",
        {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "truncate": 1}},
        "llama.slm:18:10: error: truncate must be true or false, found 1",
        "comes from .rope_scaling of CONFIG",
    ),
    (
        "two thetas",
        {"rope_scaling": {"rope_type": "linear", "factor": 4.0, "rope_theta": 500.0}, "rope_theta": 10000.0},
        "llama.slm:18:10: error: rope_theta is 500.0 in the rope scaling and 10000.0 beside it",
        "comes from .rope_scaling of CONFIG",
    ),
    (
        "a transformers 5 record",
        {"rope_parameters": {"rope_type": "linear", "rope_theta": 10000.0}},
        'llama.slm:18:10: error: rope scaling "linear" needs factor',
        "comes from .rope_scaling of CONFIG",
    ),
    ("a model type that is unknown", {"model_type": "lama"}, 'CONFIG: error: unknown model_type "lama"', KNOWN),
    (
        "a model type that is no name",
        {"model_type": None},
        "CONFIG: error: model_type must name the architecture, found null",
        KNOWN,
    ),
    (
        "stop tokens that are none",
        {"eos_token_id": [1, "2"]},
        'CONFIG: error: eos_token_id must be a token id or a list of them, found [1, "2"]',
        "",
    ),
    (
        "a stop token that is negative",
        {"eos_token_id": -1},
        "CONFIG: error: eos_token_id must be a token id or a list of them, found -1",
        "",
    ),
]


@pytest.mark.parametrize(("changes", "headline", "hint"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_message(changes: dict[str, Any], headline: str, hint: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({key: value for key, value in {**CONFIG, **changes}.items() if value is not None}))
    with pytest.raises(FrontendError) as caught:
        load_program(path, random_seed=1)
    assert caught.value.headline().replace(str(path), "CONFIG") == headline
    found = (caught.value.hint or "").replace(str(path), "CONFIG")
    assert found == hint or hint == KNOWN and found.endswith(KNOWN) and "known are gemma, gemma2" in found


def test_allowed_unread_fields_are_notes(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**CONFIG, "surprise": 1}))
    program = load_program(path, random_seed=1, allow_unread=True)
    assert program.notes == [f"{path}: config field .surprise: not read by llama.slm"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not valid JSON: Expecting value"),
        (b"[1]", "must hold a JSON object, found [1]"),
        (b'{"a": 1, "a": 2}', 'is not valid JSON: the name "a" appears twice'),
        (b'{"a": NaN}', "is not valid JSON: NaN is not a JSON number"),
        (b'{"a": 1e999}', 'is not valid JSON: the number "1e999" is too large'),
        (b'{"a": "\xff"}', "is not valid JSON: 'utf-8' codec can't decode byte 0xff in position 7: invalid start byte"),
        (b'{"a": ["\\uD83D"]}', "holds half of a surrogate pair, which is no text"),
        (b"{" + b" " * (4 << 20), "is larger than 4194304 bytes, the largest accepted here"),
    ],
)
def test_wrong_json(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(FrontendError) as caught:
        load_program(path, random_seed=1)
    assert caught.value.message == message
    assert caught.value.file == str(path)


def test_paths(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(CONFIG))
    (tmp_path / "model.onnx").write_bytes(b"\x08\x08")
    (tmp_path / "model.bin").write_bytes(b"\x80\x02")
    (tmp_path / "empty").mkdir()
    for path, seed, message in (
        (tmp_path / "missing", None, "there is no such file or directory"),
        (tmp_path / "empty", None, "there is no config.json in this directory"),
        (tmp_path / "model.onnx", 1, "this is not a checkpoint that can be read"),
        (tmp_path / "model.bin", 1, "is a pickled checkpoint, which can run code when it is loaded"),
        (config, None, "there are no weights beside this file"),
    ):
        with pytest.raises(FrontendError) as caught:
            load_program(path, random_seed=seed)
        assert (caught.value.message, caught.value.file) == (message, str(path))
    with pytest.raises(FrontendError, match="must be between 0 and"):
        load_program(config, random_seed=-1)

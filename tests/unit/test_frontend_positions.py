"""Rotary embeddings and windows as the families read them from both dialects of config.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from xdsl.dialects.builtin import FloatAttr

from compiler.dialects import slm
from compiler.program import Program
from frontends import FrontendError, load_program

CONFIGS = Path(__file__).parents[2] / "examples" / "configs"
SHORT, LONG = [1.0, 1.5, 2.0, 2.5], [2.0, 3.0, 4.0, 5.0]
SMALL: dict[str, Any] = {
    "vocab_size": 32, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
    "head_dim": 8, "intermediate_size": 24, "max_position_embeddings": 64,
}  # fmt: skip


def load(folder: Path, **changes: Any) -> Program:
    path = folder / "config.json"
    path.write_text(json.dumps(SMALL | changes))
    return load_program(path, random_seed=1)


def rotaries(program: Program) -> list[slm.RotaryAttr]:
    """One for each rotation, in program order."""
    return [op.rotary for op in program.module.walk() if isinstance(op, slm.RopeOp)]


def windows(program: Program) -> list[int | None]:
    ops = [op for op in program.module.walk() if isinstance(op, slm.AttentionOp)]
    return [None if op.window is None else op.window.value.data for op in ops]


def factor(rotary: slm.RotaryAttr) -> float | None:
    value = rotary.scaling.data.get("factor")
    return float(value.value.data) if isinstance(value, FloatAttr) else None


GEMMA3: dict[str, Any] = {"model_type": "gemma3_text", "sliding_window": 4, "query_pre_attn_scalar": 8}
LAYERS = {"layer_types": ["sliding_attention", "full_attention"]}
LINEAR = {"rope_type": "linear", "factor": 8.0}


def test_gemma3_scales_its_global_layers_alone(tmp_path: Path) -> None:
    hub = load(
        tmp_path, **GEMMA3, sliding_window_pattern=2, rope_theta=1e6, rope_local_base_freq=2e4, rope_scaling=LINEAR
    )
    local, globally = rotaries(hub)[0], rotaries(hub)[-1]
    assert (float(local.theta.value.data), factor(local)) == (2e4, None)
    assert (float(globally.theta.value.data), factor(globally)) == (1e6, 8.0)
    assert windows(hub) == [4, None]


def test_gemma3_reads_the_same_from_transformers_5(tmp_path: Path) -> None:
    hub = load(tmp_path, **GEMMA3, sliding_window_pattern=2, rope_local_base_freq=2e4, rope_scaling=LINEAR)
    nested = {
        "sliding_attention": {"rope_type": "default", "rope_theta": 2e4},
        "full_attention": LINEAR | {"rope_theta": 1e6},
    }
    newer = load(tmp_path, **GEMMA3, **LAYERS, rope_parameters=nested)
    assert rotaries(newer) == rotaries(hub)
    assert windows(newer) == windows(hub)


def test_gemma3_may_scale_its_local_layers(tmp_path: Path) -> None:
    nested = {
        "sliding_attention": {"rope_type": "linear", "factor": 3.0, "rope_theta": 1e4},
        "full_attention": LINEAR | {"rope_theta": 1e6},
    }
    found = rotaries(load(tmp_path, **GEMMA3, **LAYERS, rope_parameters=nested))
    assert (factor(found[0]), factor(found[-1])) == (3.0, 8.0)
    wrong = nested | {"sliding_attention": {"rope_type": "linear", "rope_theta": 1e4}}
    with pytest.raises(FrontendError, match='rope scaling "linear" needs factor'):
        load(tmp_path, **GEMMA3, **LAYERS, rope_parameters=wrong)


PHI3: dict[str, Any] = {
    "model_type": "phi3", "head_dim": None, "rope_theta": 1e4,
    "rope_scaling": {"type": "longrope", "short_factor": SHORT, "long_factor": LONG},
}  # fmt: skip


def phi3(folder: Path, **changes: Any) -> slm.RotaryAttr:
    fields = {name: value for name, value in (PHI3 | changes).items() if value is not None}
    path = folder / "config.json"
    path.write_text(json.dumps({name: value for name, value in SMALL.items() if name != "head_dim"} | fields))
    return rotaries(load_program(path, random_seed=1))[0]


def test_the_original_length_of_phi3_stands_beside_the_record(tmp_path: Path) -> None:
    assert phi3(tmp_path, original_max_position_embeddings=24).original_positions.data == 24
    assert phi3(tmp_path).original_positions.data == 4096  # the published default
    both = PHI3["rope_scaling"] | {"original_max_position_embeddings": 24}
    assert phi3(tmp_path, rope_scaling=both, original_max_position_embeddings=24).original_positions.data == 24


def test_original_lengths_that_differ_are_refused(tmp_path: Path) -> None:
    """The published code silently takes the one beside the record, or 4096."""
    record = PHI3["rope_scaling"] | {"original_max_position_embeddings": 24}
    for beside, said in ((32, 32), (None, 4096)):
        message = f"original_max_position_embeddings is 24 in the rope scaling and {said} beside it"
        with pytest.raises(FrontendError, match=message):
            phi3(tmp_path, rope_scaling=record, original_max_position_embeddings=beside)


def test_windows_of_mistral_and_llama(tmp_path: Path) -> None:
    """A Mistral config that says nothing has 4096; the published Llama has no window, whatever its config says."""
    assert windows(load(tmp_path, model_type="mistral", sliding_window=5)) == [5]
    assert windows(load(tmp_path, model_type="mistral", sliding_window=None)) == [None]
    assert windows(load(tmp_path, model_type="mistral")) == [4096]
    assert windows(load(tmp_path, model_type="llama", sliding_window=5)) == [None]


def test_full_size_configs_keep_their_positions() -> None:
    """Facts of the published configs that a default would get wrong."""
    falcon = rotaries(load_program(CONFIGS / "falcon3-1b.json", random_seed=1))[0]
    assert (float(falcon.theta.value.data), falcon.dim.data) == (1000042.0, 256)
    phi4 = rotaries(load_program(CONFIGS / "phi-4-mini.json", random_seed=1))[0]
    assert (phi4.dim.data, phi4.original_positions.data, phi4.max_positions.data) == (96, 4096, 131072)
    assert windows(load_program(CONFIGS / "phi-3-mini-4k.json", random_seed=1)) == [2047]
    assert windows(load_program(CONFIGS / "gemma-3-1b.json", random_seed=1)) == [512, None]
    smollm2 = rotaries(load_program(CONFIGS / "smollm2-135m.json", random_seed=1))[0]
    assert float(smollm2.theta.value.data) == 100000.0

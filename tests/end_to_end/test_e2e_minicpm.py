"""MiniCPM, which the published library lacks: a Granite checkpoint whose config is written in MiniCPM's fields."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from compiler.interpreters.slm import interpret_slm
from frontends import load_program
from isa.abi import RunFlag
from simulator.session import Session
from tests.end_to_end.e2e_support import PUBLISHED, build, options

SOURCE = PUBLISHED / "granite_minicpm"
GRANITE_ONLY = (
    "attention_bias", "attention_multiplier", "embedding_multiplier", "logits_scaling", "mlp_bias", "residual_multiplier",
)  # fmt: skip
TOLERANCE = 2e-4
CONTEXT = 512


def minicpm_directory(folder: Path) -> Path:
    """The weights of the Granite checkpoint beside a MiniCPM config of the same arithmetic."""
    fields = json.loads((SOURCE / "config.json").read_text(encoding="utf-8"))
    config = {name: value for name, value in fields.items() if name not in GRANITE_ONLY}
    config |= {"architectures": ["MiniCPMForCausalLM"], "model_type": "minicpm"}
    config |= {"scale_emb": 12, "scale_depth": 1.4, "dim_model_base": 16}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    shutil.copy(SOURCE / "model.safetensors", folder)
    return folder


def test_interpreter(tmp_path: Path) -> None:
    program = load_program(minicpm_directory(tmp_path))
    assert program.architecture == "minicpm"
    with np.load(SOURCE / "golden.npz", allow_pickle=False) as golden:
        found = interpret_slm(program, golden["tokens"].tolist())
        np.testing.assert_allclose(found, golden["logits"], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("machine", ["edge", "tiny"])
def test_binary(machine: str, tmp_path: Path) -> None:
    program = load_program(minicpm_directory(tmp_path))
    session = Session(build(program, options(machine, "fp32", CONTEXT, 6)), check_uninitialised=True)
    with np.load(SOURCE / "golden.npz", allow_pickle=False) as golden:
        prompt, greedy = golden["tokens"].tolist(), golden["greedy"].tolist()
        expected = np.concatenate([golden["logits"], golden["greedy_logits"][1:]])
    assert list(session.generate(prompt, len(greedy), dump=RunFlag.DUMP_ALL)) == greedy
    np.testing.assert_allclose(session.logits(), expected, rtol=0, atol=TOLERANCE)

"""The fp32 binary of a GGUF file against the published implementation run on the dequantised weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from frontends import load_program
from isa.abi import RunFlag
from simulator.session import Session
from tests.end_to_end.e2e_support import build, options

GGUF = Path(__file__).parents[1] / "golden" / "gguf"
TOLERANCE = 2e-4


@pytest.mark.parametrize("name", ["gemma2", "llama_q4_0", "llama_q6_k"])
def test_binary_repeats_the_published_model(name: str) -> None:
    session = Session(
        build(load_program(GGUF / f"{name}.gguf"), options("edge", "fp32", 512)), check_uninitialised=True
    )
    with np.load(GGUF / f"{name}.npz", allow_pickle=False) as golden:
        prompt, logits, greedy = golden["tokens"].tolist(), golden["logits"], golden["greedy"].tolist()
    assert list(session.generate(prompt, len(greedy), dump=RunFlag.DUMP_ALL)) == greedy
    np.testing.assert_allclose(session.logits()[: len(prompt)], logits, rtol=0, atol=TOLERANCE)

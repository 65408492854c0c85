"""Whole models on processors with less: the same tokens, logits and records as on this one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import pytest

from frontends import load_program
from isa.abi import RunFlag
from simulator.session import Session
from tests.end_to_end.e2e_support import PUBLISHED, build, options, prompt_of, vocabulary_of

ROOT = Path(__file__).parents[2]
MODELS = (
    ("gqa", "w8a8"),
    ("gqa", "w4a8-g32"),
    ("gemma3", "bf16"),
    ("mixtral", "fp16"),
    ("mamba", "w8a8"),
    ("phi3", "fp32"),
)
PROMPT, NEW = 24, 12


def fingerprint(variant: str, scheme: str) -> str:
    """Everything a run gives, as text that two processes can compare."""
    executable = build(load_program(PUBLISHED / variant), options("edge", scheme, 64))
    session = Session(executable)
    tokens = list(session.generate(prompt_of(PROMPT, vocabulary_of(executable)), NEW, dump=RunFlag.DUMP_ALL))
    assert session.clock is not None
    return f"{tokens} {session.logits().tobytes().hex()} {session.clock.records()}"


CHILD = """
import sys
from tests.end_to_end.test_processors import MODELS, fingerprint
for model in MODELS:
    print(fingerprint(*model))
"""


def without_wide_vectors() -> str:
    """This processor's features with all of AVX-512 and AMX off."""
    features = llvm.get_host_cpu_features()
    off = {name: False for name in features if name.startswith(("avx512", "amx", "avx10", "evex512"))}
    return ",".join(f"{'+' if on else '-'}{name}" for name, on in sorted((dict(features) | off).items()))


@pytest.mark.long
def test_without_avx512_models_give_the_same_bits(tmp_path: Path) -> None:
    settings = {"NUMBA_CPU_FEATURES": without_wide_vectors(), "NUMBA_CACHE_DIR": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", CHILD], cwd=ROOT, env=os.environ | settings, capture_output=True, text=True, timeout=900
    )
    assert result.returncode == 0, result.stderr[-2000:]
    lines = result.stdout.splitlines()
    assert len(lines) == len(MODELS)
    for model, line in zip(MODELS, lines, strict=True):
        assert line == fingerprint(*model), model

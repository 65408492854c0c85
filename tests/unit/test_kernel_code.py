"""The machine code of kernels: nothing is contracted, and processors without wide vectors get the same bits."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from isa.descriptor import Descriptor, dense_strides
from isa.spec import TD_OPERANDS, VBIN, VMAD, VRED, VUN, Dtype, Region
from simulator.fast.kernels import store
from simulator.fast.kernels.abi import Choice
from tests.property.kernel_judge import choice_of, instruction

ROOT = Path(__file__).parents[2]
OPERANDS = {"vbin": 3, "vmad": 4, "vun": 2, "vred": 2, "vsmx": 3, "vtopk": 2, "vrng": 1}
FUNCTIONS = {"vbin": VBIN, "vmad": VMAD, "vun": VUN, "vred": VRED}
FUSED = re.compile(r"\bvf(n?m(add|sub)|maddsub|msubadd)\w*|llvm\.fma|\bfma")


def kernels(mnemonic: str) -> Iterator[Choice]:
    """Of f32 and the last function; and the staged one, which has all functions."""
    function = FUNCTIONS.get(mnemonic, (None,))[-1]
    extents = {"ta": (1, 1, 1, 1)} if mnemonic == "vred" else {"tc": (4, 1, 1, 1)} if mnemonic == "vsmx" else {}
    for dtype in (Dtype.F32, Dtype.U8):
        operands: dict[str, Descriptor] = {}
        for name in TD_OPERANDS[: OPERANDS[mnemonic]]:
            shape = extents.get(name, (64, 1, 1, 1))
            kind = Dtype.F32 if name in ("ta", "tc") else dtype
            operands[name] = Descriptor(0, Region.SRAM, kind, shape, dense_strides(kind, shape))
        yield choice_of(instruction(mnemonic, function), operands)


@pytest.mark.parametrize("mnemonic", OPERANDS)
def test_no_product_is_added_without_rounding(mnemonic: str) -> None:
    choices = {choice.name: choice for choice in kernels(mnemonic)}
    assert mnemonic == "vrng" or f"staged.{mnemonic}" in choices
    for name, choice in choices.items():
        fused = FUSED.search(store.assembly_text(choice))
        assert fused is None, f"{name}: {fused}"


CHECK = """
from random import Random
from simulator.fast.kernels.conversion import HAS_HALF
from tests.property.test_kernels_elementwise import check
from tests.property.test_kernels_rows import CHECKS
from tests.property.test_kernels_transcendental import test_dense_sample
for seed in range(50):
    check(seed, False)
for checked, _ in CHECKS.values():
    for seed in range(20):
        checked(Random(seed), False)
for name in ("exp", "log", "erf"):
    test_dense_sample(name)
print(HAS_HALF)
"""


@pytest.mark.parametrize(
    ("processor", "features", "has_half"),
    [
        ("x86-64", "+sse2", False),
        pytest.param("haswell", "+avx2,+f16c,+fma", True, marks=pytest.mark.long),
    ],
)
def test_older_processors_give_the_same_bits(processor: str, features: str, has_half: bool, tmp_path: Path) -> None:
    settings = {"NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": features, "NUMBA_CACHE_DIR": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", CHECK], cwd=ROOT, env=os.environ | settings, capture_output=True, text=True, timeout=600
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.strip() == str(has_half)

"""Kernels of vbin, vmad and vun against the reference: every function, dtypes, layouts, values."""

from __future__ import annotations

from random import Random

import pytest

from isa.spec import VBIN, VMAD, VUN
from tests.property.kernel_judge import instruction, judge
from tests.property.kernel_operands import SEEDS, SPECIAL, contents, elementwise

FUNCTIONS = {"vbin": VBIN, "vmad": VMAD, "vun": VUN}
SOURCES = {"vbin": 2, "vmad": 3, "vun": 1}


def check(seed: int, is_large: bool) -> str:
    """Returns the name of the kernel."""
    rng = Random(seed)
    mnemonic = rng.choice(sorted(FUNCTIONS))
    function = rng.choice(FUNCTIONS[mnemonic])
    scalar = rng.choice((None, None, int(rng.choice(SPECIAL)), rng.getrandbits(32)))
    operands = elementwise(rng, SOURCES[mnemonic], is_large)
    if scalar is not None:
        operands.pop("tb" if mnemonic == "vun" else "tc")
    memory = contents(rng.randrange(SEEDS))
    return judge(instruction(mnemonic, function, scalar), operands, memory, parts=rng.randint(1, 3)).name


def test_any_operands() -> None:
    kernels = {check(seed, is_large=False) for seed in range(1200)}
    assert {"staged.vbin", "staged.vmad", "staged.vun", "copy.runs", "fill"} <= kernels
    assert len(kernels) > 60, sorted(kernels)


def test_large_operands_in_parts() -> None:
    for seed in range(5000, 5150):
        check(seed, is_large=True)


@pytest.mark.long
def test_many_operands() -> None:
    for seed in range(10_000, 60_000):
        check(seed, is_large=seed % 10 == 0)

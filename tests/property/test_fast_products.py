"""Kernels of mm and mmg against the reference: operands of any layout between guarded pages, every byte of memory compared."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys

import pytest

from isa.spec import Dtype
from simulator.fast.compiled import INTERPRETED
from simulator.fast.kernels import store
from simulator.fast.kernels.choice import chosen
from tests.property.matrix_cases import MM_PAIRS, MMG_PAIRS, check, instruction, random_case, scratch_memory

pytestmark = pytest.mark.skipif(INTERPRETED, reason="there are no kernels")
SCRATCH = scratch_memory()
SEEDS_OF_THE_HASH = range(1000, 1008)


def run(seed: int) -> tuple[str, bytes]:
    """A random product in one, two or three parts: the name of its kernel and the memory after it."""
    rng = random.Random(seed)
    mnemonic = rng.choice(("mm", "mmg"))
    operands = random_case(rng, mnemonic, rng.choice(MM_PAIRS if mnemonic == "mm" else MMG_PAIRS))
    accumulate, parts = rng.random() < 0.5, rng.choice((1, 2, 3))
    choice = chosen(instruction(mnemonic, accumulate), operands)
    assert choice is not None
    return choice.name, check(mnemonic, accumulate, operands, seed, SCRATCH, parts)


def digest() -> str:
    return hashlib.sha256(b"".join(run(seed)[1] for seed in SEEDS_OF_THE_HASH)).hexdigest()


@pytest.mark.parametrize("seed", range(24))
def test_kernels_give_the_bits_of_the_reference(seed: int) -> None:
    run(seed)


@pytest.mark.long
def test_many_kernels_give_the_bits_of_the_reference() -> None:
    names = {run(seed)[0] for seed in range(100, 4000)}
    assert len(names) > 100


PARTED = [
    ("mm", (Dtype.I8, Dtype.I8)), ("mmg", (Dtype.I8, Dtype.I4)), ("mm", (Dtype.BF16, Dtype.BF16)),
    ("mmg", (Dtype.F16, Dtype.E2M1)),
]  # fmt: skip


@pytest.mark.parametrize(("mnemonic", "pair"), PARTED)
def test_parts_do_what_the_whole_does(mnemonic: str, pair: tuple[Dtype, Dtype]) -> None:
    rng = random.Random(5)
    for _ in range(2):
        operands, accumulate = random_case(rng, mnemonic, pair), rng.random() < 0.5
        whole, *parted = (check(mnemonic, accumulate, operands, 1, SCRATCH, parts) for parts in (1, 2, 5))
        assert all(other == whole for other in parted)


@pytest.mark.parametrize("features", ["+sse4.2", "+avx2,+f16c"])
def test_other_processors_compute_the_same(features: str) -> None:
    """Code for processors without AVX-512, in a process that compiles for them."""
    code = "from tests.property.test_fast_products import digest; print(digest())"
    environment = {**os.environ, "NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": features}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == digest()


def test_no_multiply_add_is_fused() -> None:
    names: set[str] = set()
    for seed in range(6):
        rng = random.Random(seed)
        mnemonic, pair = PARTED[seed % len(PARTED)]
        choice = chosen(instruction(mnemonic, False), random_case(rng, mnemonic, pair))
        assert choice is not None
        text = store.assembly_text(choice)
        assert "mulps" in text or "pdpbusd" in text or "pmaddwd" in text
        assert "vfm" not in text and "vfnm" not in text
        names.add(choice.name)
    assert len(names) > 4

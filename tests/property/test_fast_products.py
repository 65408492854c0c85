"""Kernels of mm and mmg against the reference: operands of any layout between guarded pages, every byte of memory compared."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys

import pytest

from isa.spec import FMT_BLOCKED, MAX_MM_K, MM_DTYPES, PACKED_4BIT, Dtype
from simulator.fast.compiled import INTERPRETED
from simulator.fast.kernels import store
from simulator.fast.kernels.choice import chosen
from tests.property.matrix_cases import (
    MM_PAIRS,
    MMG_PAIRS,
    check,
    instruction,
    plain,
    random_case,
    scratch_memory,
    weights,
)

pytestmark = pytest.mark.skipif(INTERPRETED, reason="there are no kernels")
SCRATCH = scratch_memory()
SEEDS_OF_THE_HASH = range(1000, 1006)


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


SINGLE = [
    ("mm", (Dtype.I8, Dtype.I8), 0), ("mmg", (Dtype.I8, Dtype.I8), 5), ("mmg", (Dtype.I8, Dtype.I4), 5), ("mmg", (Dtype.I8, Dtype.I4), 7),
    ("mm", (Dtype.F32, Dtype.F32), 0), ("mm", (Dtype.F16, Dtype.F16), 0), ("mm", (Dtype.BF16, Dtype.BF16), 0),
    ("mm", (Dtype.BF16, Dtype.I8), 0), ("mmg", (Dtype.BF16, Dtype.I4), 5), ("mmg", (Dtype.F16, Dtype.E4M3), 6),
]  # fmt: skip


@pytest.mark.parametrize(("mnemonic", "pair", "glog2"), SINGLE)
def test_blocks_side_by_side_give_the_bits_of_the_reference(
    mnemonic: str, pair: tuple[Dtype, Dtype], glog2: int
) -> None:
    """A single row by as many blocks of weights that all widths of tiles occur, the last block not whole."""
    rng = random.Random(str((mnemonic, pair, glog2)))
    for k, n in ((640, 16 * 7), (1152, 16 * 4), (640, 16 * 7 - 3), (200 if mnemonic == "mm" else 256, 100)):
        operands = {
            "ta": plain(rng, MM_DTYPES[pair] if mnemonic == "mm" else Dtype.F32, (n, 1, 1, 1), distinct=True),
            "tb": plain(rng, pair[0], (k, 1, 1, 1)),
            "tc": weights(rng, pair[1], (k, n, 1, 1), glog2, FMT_BLOCKED),
        }
        if mnemonic == "mmg":
            scale = Dtype.E8M0 if pair[1] == Dtype.E4M3 else Dtype.F16
            operands["td"] = weights(rng, scale, (k >> glog2, n, 1, 1), 0, FMT_BLOCKED)
        for accumulate, parts in ((False, 1), (True, 2)):
            check(mnemonic, accumulate, operands, k + n, SCRATCH, parts)


@pytest.mark.parametrize("pair", [*MM_PAIRS, *MMG_PAIRS])
def test_the_longest_rows_fit_into_the_scratch_memory(pair: tuple[Dtype, Dtype]) -> None:
    """The chooser asserts it; with groups from one column to all."""
    rng = random.Random(str(pair))
    mnemonics = [name for name, pairs in (("mm", MM_PAIRS), ("mmg", MMG_PAIRS)) if pair in pairs]
    nibbles = pair[1] in PACKED_4BIT
    for mnemonic in mnemonics:
        for glog2 in (5, 10, 15) if nibbles else (0, 1, 2, 5, 10, 15):
            k = MAX_MM_K if mnemonic == "mmg" or nibbles else MAX_MM_K - 3
            for fmt in (0, FMT_BLOCKED):
                for m in (1, 4, 700):
                    operands = {
                        "ta": plain(
                            rng, MM_DTYPES[pair] if mnemonic == "mm" else Dtype.F32, (40, m, 1, 1), distinct=True
                        ),
                        "tb": plain(rng, pair[0], (k, m, 1, 1)),
                        "tc": weights(rng, pair[1], (k, 40, 1, 1), glog2, fmt),
                    }
                    if mnemonic == "mmg":
                        operands["td"] = weights(rng, Dtype.F16, (k >> glog2, 40, 1, 1), 0, fmt)
                    assert chosen(instruction(mnemonic, False), operands) is not None


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
        assert any(name in text for name in ("mulps", "pdpbusd", "pmaddwd", "tdpbssd"))
        assert "vfm" not in text and "vfnm" not in text
        names.add(choice.name)
    assert len(names) > 4

"""The kernels that use the tile registers of AMX against the reference, bit for bit, and against those that do without."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest

from isa.spec import FMT_BLOCKED, MM_DTYPES, MMG_SCALES, Dtype
from simulator.fast import target
from simulator.fast.compiled import INTERPRETED
from simulator.fast.kernels import matrix, store
from simulator.fast.kernels.choice import chosen
from simulator.fast.kernels.matrix_amx import LEAST_ROWS
from tests.property.matrix_cases import Bench, Operands, check, instruction, plain, scratch_memory, weights

pytestmark = pytest.mark.skipif(INTERPRETED or not target.has_tiles(), reason="this computer has no tile registers")
ROOT = Path(__file__).parents[2]
SCRATCH = scratch_memory()
INT8 = (Dtype.I8, Dtype.I8)
SEEDS_OF_THE_HASH = range(6)


def product(rng: random.Random, n: int, m: int, k: int, fmt: int, batch: int = 1, outer: int = 1) -> Operands:
    """Operands of an mm of int8, each batch with a B of its own or all with the same."""
    return {
        "ta": plain(rng, MM_DTYPES[INT8], (n, m, batch, outer), distinct=True),
        "tb": plain(rng, Dtype.I8, (k, m, batch, outer)),
        "tc": weights(rng, Dtype.I8, (k, n, rng.choice((1, batch)), 1), 0, fmt),
    }


def grouped(rng: random.Random, n: int, m: int, k: int, glog2: int, weight: Dtype, fmt: int) -> Operands:
    """Operands of an mmg with groups of 2^glog2 terms."""
    scale_fmt = rng.choice((0, FMT_BLOCKED))
    return {
        "ta": plain(rng, Dtype.F32, (n, m, 1, 1), distinct=True),
        "tb": plain(rng, Dtype.I8, (k, m, 1, 1)),
        "tc": weights(rng, weight, (k, n, 1, 1), glog2, fmt),
        "td": weights(rng, rng.choice(MMG_SCALES), (k >> glog2, n, 1, 1), 0, scale_fmt),
    }


def random_operands(seed: int) -> tuple[str, bool, Operands, int]:
    """Mnemonic, whether it accumulates, operands, parts."""
    rng = random.Random(seed)
    n, m, fmt = rng.randint(1, 70), rng.randint(LEAST_ROWS, 75), rng.choice((0, FMT_BLOCKED, FMT_BLOCKED))
    accumulate, parts = rng.random() < 0.5, rng.choice((1, 2, 3))
    if rng.random() < 0.5:
        batch, outer = rng.choice(((1, 1), (1, 1), (2, 1), (1, 3), (2, 2)))
        return "mm", accumulate, product(rng, n, m, rng.randint(1, 300), fmt, batch, outer), parts
    glog2 = rng.choice((5, 5, 5, 6, 7, 8))
    k = (1 << glog2) * rng.randint(1, rng.choice((2, 5, 11)))
    return "mmg", accumulate, grouped(rng, n, m, k, glog2, rng.choice((Dtype.I8, Dtype.I4)), fmt), parts


def run(seed: int) -> bytes:
    mnemonic, accumulate, operands, parts = random_operands(seed)
    return check(mnemonic, accumulate, operands, seed, SCRATCH, parts)


def digest() -> str:
    return hashlib.sha256(b"".join(run(seed) for seed in SEEDS_OF_THE_HASH)).hexdigest()


def name_of(mnemonic: str, operands: Operands) -> str:
    choice = chosen(instruction(mnemonic, False), operands)
    assert choice is not None
    return choice.name


@pytest.mark.parametrize("seed", range(40))
def test_tiles_give_the_bits_of_the_reference(seed: int) -> None:
    mnemonic, accumulate, operands, parts = random_operands(seed)
    assert "amx" in name_of(mnemonic, operands)
    check(mnemonic, accumulate, operands, seed, SCRATCH, parts)


@pytest.mark.long
def test_many_tiles_give_the_bits_of_the_reference() -> None:
    for seed in range(100, 1500):
        run(seed)


@pytest.mark.parametrize("rows", [8, 15, 16, 17, 31, 32, 33, 47, 48, 49, 52, 64, 65, 128, 513])
def test_any_number_of_rows(rows: int) -> None:
    rng = random.Random(rows)
    check("mm", False, product(rng, 33, rows, 64, FMT_BLOCKED), rows, SCRATCH)
    check("mmg", True, grouped(rng, 17, rows, 64, 5, Dtype.I4, FMT_BLOCKED), rows, SCRATCH)


@pytest.mark.parametrize("terms", [1, 3, 4, 5, 60, 63, 64, 65, 68, 127, 128, 130, 2048])
def test_any_number_of_terms(terms: int) -> None:
    rng = random.Random(terms)
    for fmt in (0, FMT_BLOCKED):
        check("mm", True, product(rng, 35, 20, terms, fmt), terms, SCRATCH)


@pytest.mark.parametrize("glog2", [5, 9, 10])
def test_nibbles_that_are_unpacked_piece_by_piece(glog2: int) -> None:
    rng = random.Random(glog2)
    for accumulate in (False, True):
        check("mmg", accumulate, grouped(rng, 40, 52, 3072, glog2, Dtype.I4, FMT_BLOCKED), glog2, SCRATCH)


def extreme(mnemonic: str, operands: Operands, a: int, b: int, scale: float) -> Bench:
    """Every byte of A is `a`, of B `b`; C is the largest number where it is read."""
    bench = Bench(mnemonic, True, operands, 0)
    values = {"ta": b"\xff\xff\xff\x7f", "tb": bytes([a]), "tc": bytes([b]), "td": np.float16(scale).tobytes()}
    if mnemonic == "mmg":
        values["ta"] = np.float32(3e38).tobytes()
    for name, d in bench.operands.items():
        low, high = d.interval()
        bench.sram[low:high] = np.frombuffer(values[name] * ((high - low) // len(values[name])), np.uint8)
    bench.before = bench.sram.copy()
    return bench


@pytest.mark.parametrize(("a", "b"), [(0x80, 0x80), (0x80, 0x7F), (0x7F, 0x80), (0x7F, 0x7F)])
@pytest.mark.parametrize("terms", [64, 65536])
def test_sums_of_the_largest_products_wrap_as_in_the_reference(a: int, b: int, terms: int) -> None:
    rng = random.Random(0)
    operands = product(rng, 16, 9, terms, FMT_BLOCKED)
    bench = extreme("mm", operands, a, b, 1.0)
    assert bench.kernel(SCRATCH) == bench.reference()


@pytest.mark.parametrize("nibbles", [0x00, 0x0F, 0xF0, 0xFF])
@pytest.mark.parametrize("scale", [1.0, -65504.0, 6e-8, float("inf")])
def test_extreme_groups(nibbles: int, scale: float) -> None:
    rng = random.Random(0)
    operands = grouped(rng, 20, 19, 1024, 6, Dtype.I4, FMT_BLOCKED)
    operands["td"] = weights(rng, Dtype.F16, (16, 20, 1, 1), 0, FMT_BLOCKED)
    bench = extreme("mmg", operands, 0x80, nibbles, scale)
    assert bench.kernel(SCRATCH) == bench.reference()


def test_the_other_kernels_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    with_tiles = [run(seed) for seed in range(12)]

    def never(operands: Operands) -> bool:
        return False

    monkeypatch.setattr(matrix, "can_use_tiles", never)
    for seed, expected in enumerate(with_tiles):
        mnemonic, _, operands, _ = random_operands(seed)
        assert "amx" not in name_of(mnemonic, operands)
        assert run(seed) == expected


def test_a_processor_without_tiles_computes_the_same() -> None:
    """Code for the features of this one without AMX, in a process that compiles for them."""
    features = llvm.get_host_cpu_features()
    kept = ",".join(
        f"{'+' if on and not name.startswith('amx') else '-'}{name}" for name, on in sorted(features.items())
    )
    code = (
        "from simulator.fast.target import has_tiles; assert not has_tiles();"
        "from tests.property.test_fast_tiles import digest; print(digest())"
    )
    environment = {**os.environ, "NUMBA_CPU_FEATURES": kept}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == digest()


def test_a_process_that_may_not_use_tiles_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied() -> bool:
        return False

    mnemonic, _, operands, _ = random_operands(0)
    assert "amx" in name_of(mnemonic, operands)
    monkeypatch.setattr(target, "_may_use_tiles", denied)
    target.has_tiles.cache_clear()
    try:
        assert "amx" not in name_of(mnemonic, operands)
    finally:
        target.has_tiles.cache_clear()


def test_few_rows_and_small_groups_do_without() -> None:
    rng = random.Random(1)
    assert "amx" not in name_of("mm", product(rng, 16, LEAST_ROWS - 1, 64, FMT_BLOCKED))
    assert "amx" not in name_of("mmg", grouped(rng, 16, 32, 64, 4, Dtype.I8, FMT_BLOCKED))


def test_the_tile_registers_are_released_and_nothing_is_fused() -> None:
    for seed in range(4):
        mnemonic, _, operands, _ = random_operands(seed)
        choice = chosen(instruction(mnemonic, False), operands)
        assert choice is not None
        text = store.assembly_text(choice)
        assert "tdpbssd" in text and "ldtilecfg" in text and "tilerelease" in text
        assert "vfm" not in text and "vfnm" not in text

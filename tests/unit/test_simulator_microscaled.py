"""e4m3 and e2m1 weights with e8m0 scales: every code, NaN, blocked storage, and what is refused. Values come from the OCP tables."""

from __future__ import annotations

import math
import random
import struct

import pytest

from isa.addressing import element_place
from isa.descriptor import Descriptor
from isa.spec import FMT_BLOCKED, FMT_SPARSE, Dtype, Region, Trap
from simulator.traps import TrapError
from tests.unit.simulator_support import CANONICAL, Core, e2m1, e4m3, f32, pack, same, store_bits, tensor

A_BASE, B_BASE, C_BASE, S_BASE = 0x1000, 0x4000, 0x10000, 0x20000
DECODE = {Dtype.E4M3: e4m3, Dtype.E2M1: e2m1}
CODES = {Dtype.E4M3: 256, Dtype.E2M1: 16}


def row_of(code: int, dtype: Dtype) -> bytes:
    """32 elements: the code, then zeroes."""
    return bytes([code, *bytes(15 if dtype == Dtype.E2M1 else 31)])


def picked(core: Core, b: Dtype, codes: list[int], scales: bytes, a: float = 1.0) -> list[int]:
    """Bits of mmg of the row (a, 0, 0, ..) with a row per code."""
    n = len(codes)
    core.write(Region.SRAM, A_BASE, pack([a, *[0.0] * 31], Dtype.BF16))
    core.write(Region.SRAM, B_BASE, b"".join(row_of(code, b) for code in codes))
    core.write(Region.SRAM, S_BASE, scales)
    core.td(1, tensor(C_BASE, Dtype.F32, n)), core.td(2, tensor(A_BASE, Dtype.BF16, 32))
    core.td(3, tensor(B_BASE, b, 32, n)), core.td(4, tensor(S_BASE, Dtype.E8M0, 1, n))
    core.run("mmg t1, t2, t3, t4")
    return list(struct.unpack(f"<{n}I", core.read(Region.SRAM, C_BASE, 4 * n)))


@pytest.mark.parametrize("b", DECODE, ids=lambda dtype: dtype.name)
def test_every_code_is_its_value(b: Dtype) -> None:
    codes = list(range(CODES[b]))
    for scale in (127, 100, 133):
        got = picked(Core(), b, codes, bytes([scale]) * len(codes))
        for code, bits in zip(codes, got, strict=True):
            want = DECODE[b](code) * 2.0 ** (scale - 127) + 0.0  # sums start at +0
            assert bits == store_bits(want, Dtype.F32), (code, want)


def test_tables_of_the_specification() -> None:
    """The judge itself: extremes as printed in the OCP documents."""
    finite = [e4m3(code) for code in range(256) if not math.isnan(e4m3(code))]
    assert (max(finite), min(v for v in finite if v > 0)) == (448.0, 2.0**-9)
    assert (e4m3(0x08), e4m3(0x07)) == (2.0**-6, 0.875 * 2.0**-6)
    assert [code for code in range(256) if math.isnan(e4m3(code))] == [0x7F, 0xFF]
    assert sorted({e2m1(code) for code in range(16)}) == [-6, -4, -3, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3, 4, 6]


def test_every_scale() -> None:
    scales = bytes(range(256))
    got = picked(Core(), Dtype.E2M1, [7] * 256, scales)  # 6
    for e, bits in enumerate(got):
        want = f32(6.0 * 2.0 ** (e - 127)) if e < 255 else math.nan
        assert bits == store_bits(want, Dtype.F32), e


@pytest.mark.parametrize("code", [0x7F, 0xFF])
def test_a_nan_code_reaches_its_row_and_no_other(code: int) -> None:
    """Also where the input is 0."""
    for a in (1.0, 0.0):
        assert picked(Core(), Dtype.E4M3, [0x38, code, 0x38], b"\x7f" * 3, a)[1] == CANONICAL[Dtype.F32]
        assert picked(Core(), Dtype.E4M3, [0x38, code, 0x38], b"\x7f" * 3, a)[::2] == [store_bits(a, Dtype.F32)] * 2


def blocked_copy(core: Core, plain: Descriptor, codes: list[list[int]], base: int) -> Descriptor:
    """The codes [n][k] in blocked rows at `base`, placed by the formulas of docs/isa.md."""
    k, n, _, _ = plain.extents
    one = Descriptor(base, Region.SRAM, plain.dtype, (k, n, 1, 1), (0, 0, 0, 0), plain.glog2, FMT_BLOCKED)
    d = Descriptor(base, Region.SRAM, plain.dtype, (k, n, 1, 1), (0, one.block_bytes(), 0, 0), plain.glog2, FMT_BLOCKED)
    for row, column in ((row, column) for row in range(n) for column in range(k)):
        place = element_place(d, (column, row, 0, 0))
        core.memory.arrays[Region.SRAM][place.address] |= codes[row][column] << place.low_bit
    return d


@pytest.mark.parametrize("b", DECODE, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize(("k", "n"), [(32, 16), (96, 21), (64, 1)])
def test_blocked_rows_give_the_values_of_plain_rows(b: Dtype, k: int, n: int) -> None:
    rng = random.Random(str((b, k, n)))
    core = Core()
    codes = [[rng.randrange(CODES[b] // 2 - 1) for _ in range(k)] for _ in range(n)]
    plain = core.td(3, tensor(B_BASE, b, k, n))
    for row, column in ((row, column) for row in range(n) for column in range(k)):
        place = element_place(plain, (column, row, 0, 0))
        core.memory.arrays[Region.SRAM][place.address] |= codes[row][column] << place.low_bit
    assert [[core.values(plain)[0, 0, r, c] for c in range(k)] for r in range(n)] == [
        [DECODE[b](code) for code in row] for row in codes
    ]
    core.td(5, blocked_copy(core, plain, codes, 0x18000))
    core.write(Region.SRAM, A_BASE, pack([rng.uniform(-2, 2) for _ in range(k)], Dtype.F16))
    core.write(Region.SRAM, S_BASE, bytes(rng.randint(120, 134) for _ in range(k // 32 * n)))
    core.td(2, tensor(A_BASE, Dtype.F16, k)), core.td(4, tensor(S_BASE, Dtype.E8M0, k // 32, n))
    core.td(1, tensor(C_BASE, Dtype.F32, n)), core.td(6, tensor(C_BASE + 4096, Dtype.F32, n))
    core.run("mmg t1, t2, t3, t4\n mmg t6, t2, t5, t4")
    got = core.read(Region.SRAM, C_BASE, 4 * n)
    assert got == core.read(Region.SRAM, C_BASE + 4096, 4 * n) and any(got)


def test_transfers_copy_the_bits() -> None:
    rng = random.Random(3)
    weights = rng.randbytes(4096)
    for dtype in DECODE:
        core = Core(weights)
        core.td(1, tensor(0x100, dtype, 64, 3, strides=(int(dtype == Dtype.E4M3), 80)))
        core.td(2, tensor(32, dtype, 64, 3, region=Region.WEIGHT))
        core.td(3, tensor(64, dtype, 64, 3, region=Region.KV))
        core.run("ld t1, t2\n st t3, t1")
        size = 3 * (64 if dtype == Dtype.E4M3 else 32)
        assert core.read(Region.KV, 64, size) == weights[32 : 32 + size]


B = {dtype: tensor(0x800, dtype, 64, 3) for dtype in DECODE}
A, C, S = tensor(0, Dtype.BF16, 64, 2), tensor(0x400, Dtype.F32, 3, 2), tensor(0xC00, Dtype.E8M0, 2, 3)
V = tensor(0, Dtype.F32, 64, 3)


@pytest.mark.parametrize("b", DECODE, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize(
    ("text", "change", "cause", "operand"),
    [
        ("mm t1, t2, t3", {}, Trap.ILLEGAL_DTYPE, "tb"),
        ("mmg t1, t2, t3, t4", {2: tensor(0, Dtype.I8, 64, 2)}, Trap.ILLEGAL_DTYPE, "tb"),
        ("mmg t1, t2, t3, t4", {4: tensor(0xC00, Dtype.U8, 2, 3)}, Trap.ILLEGAL_DTYPE, "td"),
        ("vun.mov t5, t3", {}, Trap.ILLEGAL_DTYPE, "tb"),
        ("vun.mov t3, t5", {}, Trap.ILLEGAL_DTYPE, "ta"),
    ],
)
def test_nothing_but_mmg_reads_them(
    b: Dtype, text: str, change: dict[int, Descriptor], cause: Trap, operand: str
) -> None:
    refused(text, {1: C, 2: A, 3: B[b], 4: S, 5: V} | change, cause, operand)


@pytest.mark.parametrize("b", DECODE, ids=lambda dtype: dtype.name)
def test_rows_are_not_sparse(b: Dtype) -> None:
    d = B[b]
    sparse = Descriptor(d.base, d.region, d.dtype, d.extents, d.strides, d.glog2, FMT_SPARSE)
    refused("mmg t1, t2, t3, t4", {1: C, 2: A, 3: sparse, 4: S}, Trap.TD_ILLEGAL, "tc")


def test_groups_of_nibbles() -> None:
    short = Descriptor(0x800, Region.SRAM, Dtype.E2M1, (64, 3, 1, 1), (0, 32, 0, 0), 4)
    refused("mmg t1, t2, t3, t4", {1: C, 2: A, 3: short, 4: S}, Trap.TD_ILLEGAL, "tc")
    longer = tensor(0, Dtype.E2M1, 64, 3, region=Region.WEIGHT, glog2=6)
    refused("ld t3, t1", {3: B[Dtype.E2M1], 1: longer}, Trap.SHAPE_MISMATCH, "tb")


def refused(text: str, tds: dict[int, Descriptor], cause: Trap, operand: str) -> None:
    core = Core()
    for register, d in tds.items():
        core.td(register, d)
    with pytest.raises(TrapError) as caught:
        core.run(text)
    assert (caught.value.cause, caught.value.operand) == (cause, operand)


def test_products_of_both_signs() -> None:
    """-6 * -0.5 * 2 is 6, in both float inputs."""
    for a in (Dtype.F16, Dtype.BF16):
        core = Core()
        core.write(Region.SRAM, A_BASE, pack([-0.5, *[0.0] * 31], a))
        core.write(Region.SRAM, B_BASE, row_of(15, Dtype.E2M1))
        core.write(Region.SRAM, S_BASE, bytes([128]))
        core.td(1, tensor(C_BASE, Dtype.F32, 1)), core.td(2, tensor(A_BASE, a, 32))
        core.td(3, tensor(B_BASE, Dtype.E2M1, 32)), core.td(4, tensor(S_BASE, Dtype.E8M0, 1))
        core.run("mmg t1, t2, t3, t4")
        assert same(struct.unpack("<f", core.read(Region.SRAM, C_BASE, 4))[0], 6.0)

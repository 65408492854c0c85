"""mm and mmg against scalar Python: every dtype pair, format, stride pattern and tail."""

from __future__ import annotations

import random
import struct
from fractions import Fraction
from itertools import product

import pytest

from isa.descriptor import Descriptor
from isa.spec import BLOCK_ROWS, ELEMENT_BITS, FMT_BLOCKED, FMT_SPARSE, Dtype, Region
from tests.unit.simulator_support import Core, add, f32, mul, pack, same, store_bits, sum_fp, tensor, value_of

A_BASE, B_BASE, C_BASE, S_BASE = 0x1000, 0x10000, 0x28000, 0x38000
FLOATS = (Dtype.F32, Dtype.F16, Dtype.BF16)
FLOAT_PAIRS = [
    (Dtype.F32, Dtype.F32), (Dtype.F16, Dtype.F16), (Dtype.BF16, Dtype.BF16), (Dtype.F16, Dtype.I8),
    (Dtype.BF16, Dtype.I8), (Dtype.F16, Dtype.I4), (Dtype.BF16, Dtype.I4),
]  # fmt: skip
MICROSCALED = [*product((Dtype.F16, Dtype.BF16), (Dtype.E4M3, Dtype.E2M1))]
"""Pairs of mmg alone."""


def fill(core: Core, rng: random.Random, base: int, size_bytes: int, dtype: Dtype) -> None:
    """Random elements; floats of mixed magnitude, so that the order of additions shows."""
    if dtype in FLOATS:
        count = size_bytes * 8 // ELEMENT_BITS[dtype]
        data = pack(
            [rng.choice((-1, 1)) * rng.uniform(0.5, 2) * 2.0 ** rng.randint(-6, 6) for _ in range(count)], dtype
        )
    elif dtype == Dtype.E4M3:  # without its two NaN
        data = bytes(rng.choice((0, 0x80)) | rng.randrange(0x7F) for _ in range(size_bytes))
    else:
        data = rng.randbytes(size_bytes)
    core.write(Region.SRAM, base, data)


def float_oracle(a: list[float], b: list[float], start: float) -> float:
    return sum_fp((mul(x, y) for x, y in zip(a, b, strict=True)), start)


def integer_oracle(a: list[float], b: list[float], start: float) -> int:
    total = sum(int(x) * int(y) for x, y in zip(a, b, strict=True)) + int(start)
    return (total + 2**31) % 2**32 - 2**31


def check_product(core: Core, a: Descriptor, b: Descriptor, c: Descriptor, acc: bool, oracle) -> None:
    core.td(1, c), core.td(2, a), core.td(3, b)
    left, right, before = core.values(a), core.values(b), core.values(c)
    core.run(f"mm{'.acc' if acc else ''} t1, t2, t3")
    after = core.values(c)
    k = a.extents[0]
    for place in after:
        i3, i2, i1, n = place
        row = [left[i3, i2, i1, i] for i in range(k)]
        column = [right[0, i2 if b.extents[2] > 1 else 0, n, i] for i in range(k)]
        want = oracle(row, column, before[place] if acc else 0.0)
        assert same(float(want), float(after[place])), (place, want, after[place])


@pytest.mark.parametrize("acc", [False, True])
@pytest.mark.parametrize("pair", FLOAT_PAIRS, ids=lambda p: f"{p[0].name}-{p[1].name}")
def test_float_products(pair: tuple[Dtype, Dtype], acc: bool) -> None:
    rng = random.Random(str(pair))
    shapes = (
        [(64, 1, 5, 1, 1), (96, 3, 2, 2, 2)]
        if pair[1] == Dtype.I4
        else [(1, 1, 1, 1, 1), (37, 2, 9, 1, 1), (70, 5, 3, 2, 2), (33, 1, 4, 3, 1)]
    )
    for k, m, n, batch, outer in shapes:
        core = Core()
        a = tensor(A_BASE, pair[0], k, m, batch, outer)
        b = tensor(B_BASE, pair[1], k, n, rng.choice((1, batch)))
        c = tensor(C_BASE, Dtype.F32, n, m, batch, outer)
        fill(core, rng, A_BASE, 16384, pair[0])
        fill(core, rng, B_BASE, 16384, pair[1])
        fill(core, rng, C_BASE, 4096, Dtype.F32)
        check_product(core, a, b, c, acc, float_oracle)


@pytest.mark.parametrize("acc", [False, True])
def test_integer_products(acc: bool) -> None:
    rng = random.Random(5)
    for k, m, n, batch, outer in [(1, 1, 1, 1, 1), (37, 3, 5, 2, 2), (1025, 1, 3, 1, 1), (2050, 2, 2, 1, 1)]:
        core = Core()
        for base, size_bytes in ((A_BASE, 32768), (B_BASE, 32768), (C_BASE, 4096)):
            fill(core, rng, base, size_bytes, Dtype.I8)
        a, b = tensor(A_BASE, Dtype.I8, k, m, batch, outer), tensor(B_BASE, Dtype.I8, k, n, batch)
        check_product(core, a, b, tensor(C_BASE, Dtype.I32, n, m, batch, outer), acc, integer_oracle)


def test_largest_integer_sum_is_exact_and_accumulation_wraps() -> None:
    core = Core()
    core.memory.arrays[Region.SRAM][: 1 << 17] = 0x80
    core.td(2, tensor(0, Dtype.I8, 65536))
    core.td(3, tensor(1 << 16, Dtype.I8, 65536))
    core.td(1, tensor(1 << 17, Dtype.I32, 1))
    core.run("mm t1, t2, t3")
    assert core.read(Region.SRAM, 1 << 17, 4) == struct.pack("<i", 1 << 30)
    core.run("mm.acc t1, t2, t3\n mm.acc t1, t2, t3")
    assert core.read(Region.SRAM, 1 << 17, 4) == struct.pack("<i", 3 * 2**30 - 2**32)


@pytest.mark.parametrize("pair", [(Dtype.F32, Dtype.F32), (Dtype.I8, Dtype.I8), (Dtype.BF16, Dtype.BF16)], ids=str)
def test_strides(pair: tuple[Dtype, Dtype]) -> None:
    """Transposed B (the V operand of attention), reversed A, A broadcast over rows, interleaved C."""
    rng = random.Random(7)
    core = Core()
    size = ELEMENT_BITS[pair[0]] // 8
    for base in (A_BASE, B_BASE, C_BASE):
        fill(core, rng, base, 16384, pair[0] if base != C_BASE else Dtype.F32)
    k, m, n = 35, 3, 6
    out = Dtype.I32 if pair[0] == Dtype.I8 else Dtype.F32
    oracle = integer_oracle if out == Dtype.I32 else float_oracle
    b = tensor(B_BASE, pair[1], k, n, strides=(n * size, size))
    reverse = tensor(A_BASE + 1024, pair[0], k, m, strides=(-size, 3 * k * size))
    check_product(core, reverse, b, tensor(C_BASE, out, n, m, strides=(8, 128)), True, oracle)
    broadcast = tensor(A_BASE, pair[0], k, m, strides=(size, 0))
    check_product(core, broadcast, b, tensor(C_BASE + 4096, out, n, m, strides=(-4, 256)), False, oracle)


def test_many_rows_and_many_columns_take_the_same_order() -> None:
    rng = random.Random(8)
    core = Core()
    fill(core, rng, A_BASE, 65536, Dtype.F32)
    fill(core, rng, C_BASE, 65536, Dtype.F32)
    for m, n, k in [(70, 3, 40), (3, 70, 40), (2, 2, 3000)]:
        a, b = tensor(A_BASE, Dtype.F32, k, m), tensor(B_BASE, Dtype.F32, k, n)
        check_product(core, a, b, tensor(C_BASE, Dtype.F32, n, m), True, float_oracle)


def test_one_million_columns_stay_in_bounded_memory() -> None:
    core = Core()
    core.write(Region.SRAM, 0, pack([3.0, 0.0], Dtype.F32))
    n = 30_000
    core.td(2, tensor(0, Dtype.F32, 1))
    core.td(3, tensor(0, Dtype.F32, 1, n, strides=(4, 0)))
    core.td(1, tensor(64, Dtype.F32, n))
    core.run("mm t1, t2, t3")
    assert core.read(Region.SRAM, 64, 4 * n) == pack([9.0], Dtype.F32) * n


def test_special_values() -> None:
    """0 * inf is NaN and canonical; the padding of a quantum is +0 and not 0 * b; -0 becomes +0 by the start of the sum."""
    inf = float("inf")
    cases = [
        ([0.0], [inf], 0x7FC00000),
        ([1.0], [-0.0], 0),
        ([inf, -inf], [1.0, 1.0], 0x7FC00000),
        ([inf], [2.0], 0x7F800000),
    ]
    for left, right, want in cases:
        core = Core()
        core.write(Region.SRAM, A_BASE, pack(left, Dtype.F32) + pack([inf] * 40, Dtype.F32))
        core.write(Region.SRAM, B_BASE, pack(right, Dtype.F32) + pack([inf] * 40, Dtype.F32))
        core.td(1, tensor(C_BASE, Dtype.F32, 1)), core.td(2, tensor(A_BASE, Dtype.F32, len(left)))
        core.td(3, tensor(B_BASE, Dtype.F32, len(right)))
        core.run("mm t1, t2, t3")
        assert struct.unpack("<I", core.read(Region.SRAM, C_BASE, 4))[0] == want


def test_split_of_k_at_quanta_keeps_the_bits() -> None:
    rng = random.Random(9)
    core = Core()
    fill(core, rng, A_BASE, 4096, Dtype.F32)
    fill(core, rng, B_BASE, 8192, Dtype.F32)
    k = 203
    core.td(1, tensor(C_BASE, Dtype.F32, 4, 2))
    core.td(2, tensor(A_BASE, Dtype.F32, k, 2))
    core.td(3, tensor(B_BASE, Dtype.F32, k, 4))
    core.run("mm t1, t2, t3")
    whole = core.read(Region.SRAM, C_BASE, 32)
    for cut in (32, 64, 192):
        for register, base, rows in ((2, A_BASE, 2), (3, B_BASE, 4)):
            core.td(register, tensor(base, Dtype.F32, cut, rows, strides=(4, 4 * k)))
            core.td(register + 2, tensor(base + 4 * cut, Dtype.F32, k - cut, rows, strides=(4, 4 * k)))
        core.run("mm t1, t2, t3\n mm.acc t1, t4, t5")
        assert core.read(Region.SRAM, C_BASE, 32) == whole


def scale_values(rng: random.Random, count: int, dtype: Dtype) -> bytes:
    if dtype == Dtype.E8M0:
        return bytes(rng.randint(120, 134) for _ in range(count))
    return pack([rng.uniform(-2, 2) for _ in range(count)], dtype)


@pytest.mark.parametrize("scale", [Dtype.F32, Dtype.F16, Dtype.E8M0], ids=str)
@pytest.mark.parametrize(
    "pair", [*product((Dtype.I8, Dtype.F16, Dtype.BF16), (Dtype.I8, Dtype.I4)), *MICROSCALED], ids=str
)
def test_group_scaled_products(pair: tuple[Dtype, Dtype], scale: Dtype) -> None:
    rng = random.Random(str((pair, scale)))
    for k, m, n, batch, glog2, acc in [(128, 1, 3, 1, 5, False), (128, 2, 3, 2, 6, True), (96, 3, 1, 2, 5, True)]:
        core = Core()
        fill(core, rng, A_BASE, 8192, pair[0])
        fill(core, rng, B_BASE, 8192, pair[1])
        fill(core, rng, C_BASE, 1024, Dtype.F32)
        group = 1 << glog2
        core.write(Region.SRAM, S_BASE, scale_values(rng, k // group * n, scale))
        a, b = (
            core.td(2, tensor(A_BASE, pair[0], k, m, batch)),
            core.td(3, tensor(B_BASE, pair[1], k, n, batch, glog2=glog2)),
        )
        c, s = core.td(1, tensor(C_BASE, Dtype.F32, n, m, batch)), core.td(4, tensor(S_BASE, scale, k // group, n))
        left, right, before, scales = core.values(a), core.values(b), core.values(c), core.values(s)
        core.run(f"mmg{'.acc' if acc else ''} t1, t2, t3, t4")
        for (i3, i2, i1, i), got in core.values(c).items():
            total = before[i3, i2, i1, i] if acc else 0.0
            for g in range(k // group):
                columns = range(g * group, (g + 1) * group)
                row = [left[0, i2, i1, j] for j in columns]
                column = [right[0, i2, i, j] for j in columns]
                part = f32(integer_oracle(row, column, 0)) if pair[0] == Dtype.I8 else float_oracle(row, column, 0.0)
                total = add(total, mul(part, scales[0, 0, i, g]))
            assert same(total, got)


def test_small_integer_groups() -> None:
    """int8 groups shorter than 32 and group sums beyond 2^24 round once to binary32."""
    rng = random.Random(11)
    core = Core()
    core.memory.arrays[Region.SRAM][A_BASE : B_BASE + 8192] = 0x7F
    core.write(Region.SRAM, A_BASE, rng.randbytes(64))
    core.td(1, tensor(C_BASE, Dtype.F32, 1)), core.td(2, tensor(A_BASE, Dtype.I8, 2048))
    core.td(3, tensor(B_BASE, Dtype.I8, 2048, glog2=11)), core.td(4, tensor(S_BASE, Dtype.F32, 1))
    core.write(Region.SRAM, S_BASE, pack([1.0], Dtype.F32))
    core.run("mmg t1, t2, t3, t4")
    exact = sum(value_of(core.read(Region.SRAM, A_BASE + i, 1), Dtype.I8) * 127 for i in range(2048))
    assert exact > 2**24 and core.values(core.state.descriptor(1))[0, 0, 0, 0] == f32(exact)


def blocked_bytes(values: dict[tuple[int, int], int], n: int, k: int, dtype: Dtype) -> bytes:
    """The blocked layout, written element by element from the formulas of the ISA; values are stored patterns."""
    size = ELEMENT_BITS[dtype] // 8
    columns = -(-k // 8) * 8
    blocks = -(-n // BLOCK_ROWS)
    block_bytes = columns * BLOCK_ROWS * ELEMENT_BITS[dtype] // 8
    data = bytearray(blocks * block_bytes)
    for (row, column), bits in values.items():
        start, lane = row // 16 * block_bytes, row % 16
        if dtype == Dtype.I8:
            data[start + column // 4 * 64 + lane * 4 + column % 4] = bits
        elif dtype == Dtype.I4:
            at = start + column // 8 * 64 + lane * 4 + column % 4
            data[at] |= bits << 4 if column % 8 >= 4 else bits
        else:
            at = start + (column * 16 + lane) * size
            data[at : at + size] = bits.to_bytes(size, "little")
    return bytes(data)


@pytest.mark.parametrize("pair", [*FLOAT_PAIRS, (Dtype.I8, Dtype.I8)], ids=lambda p: f"{p[0].name}-{p[1].name}")
def test_blocked_rows_give_the_values_of_plain_rows(pair: tuple[Dtype, Dtype]) -> None:
    rng = random.Random(12)
    core = Core()
    for k, n in [(64, 16), (64, 21)] if pair[1] == Dtype.I4 else [(40, 16), (27, 35), (5, 1)]:
        fill(core, rng, A_BASE, 1024, pair[0])
        fill(core, rng, B_BASE, 8192, pair[1])
        plain = core.td(3, tensor(B_BASE, pair[1], k, n))
        values = core.values(plain)
        if pair[1] == Dtype.I4:
            patterns = {(row, column): int(v) + 8 for (_, _, row, column), v in values.items()}
        else:
            patterns = {(row, column): store_bits(v, pair[1]) for (_, _, row, column), v in values.items()}
        data = blocked_bytes(patterns, n, k, pair[1])
        core.write(Region.SRAM, S_BASE, data)
        core.td(4, tensor(S_BASE, pair[1], k, n, strides=(0, len(data) // -(-n // 16)), fmt=FMT_BLOCKED))
        out = Dtype.I32 if pair[0] == Dtype.I8 else Dtype.F32
        (
            core.td(1, tensor(C_BASE, out, n)),
            core.td(5, tensor(C_BASE + 1024, out, n)),
            core.td(2, tensor(A_BASE, pair[0], k)),
        )
        core.run("mm t1, t2, t3\n mm t5, t2, t4")
        assert core.read(Region.SRAM, C_BASE, 4 * n) == core.read(Region.SRAM, C_BASE + 1024, 4 * n)


def test_blocked_scales() -> None:
    rng = random.Random(13)
    core = Core()
    n, groups = 19, 4
    fill(core, rng, A_BASE, 256, Dtype.I8)
    fill(core, rng, B_BASE, 8192, Dtype.I8)
    for scale in (Dtype.F16, Dtype.F32, Dtype.E8M0):
        core.write(Region.SRAM, S_BASE, scale_values(rng, n * groups, scale))
        plain = core.td(4, tensor(S_BASE, scale, groups, n))
        patterns = {(place[2], place[3]): bits for place, bits in core.bits(plain).items()}
        size = ELEMENT_BITS[scale] // 8
        data = bytearray(2 * groups * 16 * size)
        for (row, g), bits in patterns.items():
            at = (row // 16 * groups * 16 + g * 16 + row % 16) * size
            data[at : at + size] = bits.to_bytes(size, "little")
        core.write(Region.SRAM, S_BASE + 4096, bytes(data))
        core.td(5, tensor(S_BASE + 4096, scale, groups, n, strides=(0, groups * 16 * size), fmt=FMT_BLOCKED))
        core.td(1, tensor(C_BASE, Dtype.F32, n)), core.td(6, tensor(C_BASE + 1024, Dtype.F32, n))
        core.td(2, tensor(A_BASE, Dtype.I8, 128)), core.td(3, tensor(B_BASE, Dtype.I8, 128, n, glog2=5))
        core.run("mmg t1, t2, t3, t4\n mmg t6, t2, t3, t5")
        assert core.read(Region.SRAM, C_BASE, 4 * n) == core.read(Region.SRAM, C_BASE + 1024, 4 * n)


@pytest.mark.parametrize(
    "pair", [(Dtype.F32, Dtype.F32), (Dtype.BF16, Dtype.BF16), (Dtype.F16, Dtype.I8), (Dtype.I8, Dtype.I8)], ids=str
)
def test_sparse_rows(pair: tuple[Dtype, Dtype]) -> None:
    rng = random.Random(14)
    core = Core()
    k, n, m = 136, 3, 2
    size = ELEMENT_BITS[pair[1]] // 8
    fill(core, rng, A_BASE, 4096, pair[0])
    rows: list[list[tuple[int, float]]] = []
    for row in range(n):
        kept = [(4 * g + p) for g in range(k // 4) for p in sorted(rng.sample(range(4), 2))]
        fill(core, rng, B_BASE + row * k * size, k // 2 * size, pair[1])
        raw = core.read(Region.SRAM, B_BASE + row * k * size, k // 2 * size)
        rows.append([(column, value_of(raw[i * size : (i + 1) * size], pair[1])) for i, column in enumerate(kept)])
        codes = [sum((kept[4 * i + j] % 4) << 2 * j for j in range(4)) for i in range(k // 8)]
        core.write(Region.SRAM, B_BASE + row * k * size + k // 2 * size, bytes(codes))
    a = core.td(2, tensor(A_BASE, pair[0], k, m))
    core.td(3, tensor(B_BASE, pair[1], k, n, strides=(size, k * size), fmt=FMT_SPARSE))
    c = core.td(1, tensor(C_BASE, Dtype.I32 if pair[0] == Dtype.I8 else Dtype.F32, n, m))
    left = core.values(a)
    core.run("mm t1, t2, t3")
    for (_, _, i1, i), got in core.values(c).items():
        pairs = [(left[0, 0, i1, column], value) for column, value in rows[i]]
        oracle = integer_oracle if pair[0] == Dtype.I8 else float_oracle
        assert same(float(oracle([p[0] for p in pairs], [p[1] for p in pairs], 0.0)), float(got))


@pytest.mark.parametrize("grouped", [False, True])
def test_sparse_rows_of_nibbles(grouped: bool) -> None:
    """Byte i of a row holds kept values 2i and 2i + 1; a group of 32 columns has 16 of them."""
    rng = random.Random(16)
    core = Core()
    k, n, m, a_type = 96, 3, 2, Dtype.I8 if grouped else Dtype.BF16
    fill(core, rng, A_BASE, 4096, a_type)
    rows: list[list[tuple[int, int]]] = []
    row_bytes = k // 4 + k // 8
    for row in range(n):
        kept = [(4 * g + p) for g in range(k // 4) for p in sorted(rng.sample(range(4), 2))]
        values = [rng.randint(-8, 7) for _ in kept]
        nibbles = [(low + 8) | (high + 8) << 4 for low, high in zip(values[::2], values[1::2], strict=True)]
        codes = [sum((kept[4 * i + j] % 4) << 2 * j for j in range(4)) for i in range(k // 8)]
        core.write(Region.SRAM, B_BASE + row * row_bytes, bytes([*nibbles, *codes]))
        rows.append(list(zip(kept, values, strict=True)))
    a = core.td(2, tensor(A_BASE, a_type, k, m))
    core.td(3, tensor(B_BASE, Dtype.I4, k, n, strides=(0, row_bytes), glog2=5, fmt=FMT_SPARSE))
    c = core.td(1, tensor(C_BASE, Dtype.F32, n, m))
    core.td(4, tensor(C_BASE + 1024, Dtype.F32, k // 32, n))
    scales = [[f32(rng.uniform(0.1, 2)) for _ in range(k // 32)] for _ in range(n)]
    core.write(Region.SRAM, C_BASE + 1024, struct.pack(f"<{n * k // 32}f", *(s for row in scales for s in row)))
    left = core.values(a)
    core.run("mmg t1, t2, t3, t4" if grouped else "mm t1, t2, t3")
    for (_, _, i1, i), got in core.values(c).items():
        pairs = [(left[0, 0, i1, column], float(value), column) for column, value in rows[i]]
        expected = 0.0
        for g in range(k // 32) if grouped else ():
            part = [p for p in pairs if p[2] // 32 == g]
            exact = float(integer_oracle([p[0] for p in part], [p[1] for p in part], 0.0))
            expected = add(expected, mul(f32(exact), scales[i][g]))
        if not grouped:
            expected = float(float_oracle([p[0] for p in pairs], [p[1] for p in pairs], 0.0))
        assert same(expected, float(got))


def test_oracle_products_are_single_roundings() -> None:
    """The judge itself: binary64 holds products of binary32 exactly, and rounding twice does no harm to sums."""
    rng = random.Random(15)
    for _ in range(300):
        a, b = (f32(rng.uniform(-2, 2) * 2.0 ** rng.randint(-20, 20)) for _ in range(2))
        for exact, got in ((Fraction(a) * Fraction(b), mul(a, b)), (Fraction(a) + Fraction(b), add(a, b))):
            near = struct.unpack("<I", struct.pack("<f", got))[0]
            others = [struct.unpack("<f", struct.pack("<I", near + step))[0] for step in (-1, 1)]
            assert all(abs(Fraction(got) - exact) <= abs(Fraction(other) - exact) for other in others)

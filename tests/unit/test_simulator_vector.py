"""VPU instructions and conversions against scalar Python."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Callable

import numpy as np
import pytest

from isa.encoding import float_to_imm
from isa.spec import ELEMENT_BITS, Dtype, Region
from tests.unit.simulator_support import Core, add, f32, mul, pack, same, store_bits, sum_fp, tensor, value_of

INF = math.inf
SPECIAL = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    INF,
    -INF,
    math.nan,
    2.0**-149,
    -(2.0**-149),
    2.0**-126,
    3.4028234663852886e38,
    0.5,
    1.5,
    2.5,
    -2.5,
]


def ieee_max(a: float, b: float) -> float:
    if math.isnan(a) or math.isnan(b):
        return math.nan
    if a == b == 0:
        return -0.0 if math.copysign(1, a) == math.copysign(1, b) == -1 else 0.0
    return max(a, b)


def ieee_min(a: float, b: float) -> float:
    return -ieee_max(-a, -b)


def divide(a: float, b: float) -> float:
    if math.isnan(a) or math.isnan(b):
        return math.nan
    if b == 0:
        return math.nan if a == 0 else math.copysign(INF, a) * math.copysign(1, b)
    if math.isinf(a) and math.isinf(b):
        return math.nan
    return f32(a / b)


def guard(function: Callable[[float, float], float]) -> Callable[[float, float], float]:
    return lambda a, b: math.nan if math.isnan(a) or math.isnan(b) else function(a, b)


BINARY: dict[str, Callable[[float, float], float]] = {
    "add": guard(add),
    "sub": guard(lambda a, b: f32(a - b)),
    "mul": guard(mul),
    "div": divide,
    "min": ieee_min,
    "max": ieee_max,
    "lt": lambda a, b: 1.0 if a < b else 0.0,
}


@pytest.mark.parametrize("function", list(BINARY))
def test_vbin(function: str) -> None:
    rng = random.Random(function)
    values = SPECIAL + [f32(rng.uniform(-4, 4) * 2.0 ** rng.randint(-130, 120)) for _ in range(25)]
    n = len(values)
    core = Core()
    core.write(Region.SRAM, 0, pack(values, Dtype.F32))
    core.td(2, tensor(0, Dtype.F32, n, n, strides=(4, 0)))
    core.td(3, tensor(0, Dtype.F32, n, n, strides=(0, 4)))
    target = core.td(1, tensor(0x4000, Dtype.F32, n, n))
    core.run(f"vbin.{function} t1, t2, t3")
    for place, bits in core.bits(target).items():
        want = BINARY[function](values[place[3]], values[place[2]])
        assert bits == store_bits(want, Dtype.F32), (values[place[3]], values[place[2]])
    for value in (1.5, -0.0, math.nan):
        core.x[5] = float_to_imm(value) + (1 << 40)
        core.run(f"vbin.{function} t1, t2, x5")
        from_register = core.bits(target)
        core.run(f"vbin.{function} t1, t2, 0f{float_to_imm(value) & 0xFFFFFFFF:08x}")
        assert core.bits(target) == from_register
        for place, bits in from_register.items():
            assert bits == store_bits(BINARY[function](values[place[3]], value), Dtype.F32)


@pytest.mark.parametrize("function", ["mad", "msub", "nmsub"])
def test_vmad_rounds_twice(function: str) -> None:
    rng = random.Random(function)
    core = Core()
    a, b, c = ([f32(rng.uniform(-2, 2)) for _ in range(60)] for _ in range(3))
    c[:30] = [
        -mul(x, y) for x, y in zip(a[:30], b[:30], strict=True)
    ]  # a fused operation would leave the rounding error
    for register, values in ((2, a), (3, b), (4, c)):
        core.write(Region.SRAM, register * 0x1000, pack(values, Dtype.F32))
        core.td(register, tensor(register * 0x1000, Dtype.F32, 60))
    target = core.td(1, tensor(0, Dtype.F32, 60))
    core.run(f"vmad.{function} t1, t2, t3, t4")
    combine = {"mad": add, "msub": lambda p, z: f32(p - z), "nmsub": lambda p, z: f32(z - p)}[function]
    for place, got in core.values(target).items():
        i = place[3]
        assert same(got, combine(mul(a[i], b[i]), c[i]))
    core.run(f"vmad.{function} t1, t2, 0.3, t4")
    for place, got in core.values(target).items():
        assert same(got, combine(mul(a[place[3]], f32(0.3)), c[place[3]]))


def test_every_half_and_bfloat16_converts_exactly_and_back() -> None:
    for dtype in (Dtype.F16, Dtype.BF16):
        core = Core()
        core.write(Region.SRAM, 0, np.arange(1 << 15, dtype=np.uint16).tobytes())
        core.td(2, tensor(0, dtype, 1 << 15))
        wide = core.td(1, tensor(1 << 16, Dtype.F32, 1 << 15))
        back = core.td(3, tensor(0, dtype, 1 << 15))
        for high in (0, 0x8000):
            core.write(Region.SRAM, 0, (np.arange(1 << 15, dtype=np.uint16) | high).astype(np.uint16).tobytes())
            before = core.read(Region.SRAM, 0, 1 << 16)
            core.run("vun.mov t1, t2\n vun.mov t3, t1")
            after, bits = core.read(Region.SRAM, 0, 1 << 16), core.bits(wide)
            for i in range(0, 1 << 15, 7):
                want = value_of(before[2 * i : 2 * i + 2], dtype)
                assert bits[0, 0, 0, i] == store_bits(want, Dtype.F32)
                stored = struct.unpack_from("<H", after, 2 * i)[0]
                assert stored == store_bits(want, dtype)
        assert back.dtype == dtype


@pytest.mark.parametrize("dtype", [Dtype.F16, Dtype.BF16, Dtype.I8, Dtype.I32, Dtype.I4], ids=str)
def test_stores_round_to_nearest_even_and_saturate(dtype: Dtype) -> None:
    rng = random.Random(str(dtype))
    halves = [k + 0.5 for k in range(-12, 12)] + [
        127.5,
        126.5,
        -128.5,
        -127.5,
        2147483520.0,
        2147483648.0,
        -2147483648.0,
        -2147484160.0,
    ]
    ties = [struct.unpack("<f", struct.pack("<I", rng.getrandbits(31) & ~0xFFFF | 0x8000))[0] for _ in range(40)]
    halfway = [value_of(struct.pack("<H", h), Dtype.F16) + 2.0**-25 for h in range(0, 40)]
    edges = [65504.0, 65519.99, 65520.0, 3.4e38, 5.9e-8, 2.98e-8, 2.9802322387695312e-08, 1e-40]
    values = [f32(v) for v in SPECIAL + halves + ties + halfway + edges]
    values += [0.0] * (-len(values) % 32)
    core = Core()
    core.write(Region.SRAM, 0, pack(values, Dtype.F32))
    core.td(2, tensor(0, Dtype.F32, len(values)))
    target = core.td(1, tensor(0x8000, dtype, len(values)))
    core.run("vun.mov t1, t2")
    got = core.values(target)
    for i, value in enumerate(values):
        bits = store_bits(value, dtype)
        want = (
            struct.unpack("<b", bytes([bits]))[0]
            if dtype == Dtype.I4
            else value_of(bits.to_bytes(ELEMENT_BITS[dtype] // 8, "little"), dtype)
        )
        assert same(float(got[0, 0, 0, i]), float(want)), value


def test_integers_convert_to_f32_by_nearest_even() -> None:
    values = [2**24 + 1, 2**24 + 3, -(2**24) - 1, 2**31 - 1, -(2**31), 33554434, 33554438, 7]
    core = Core()
    core.write(Region.SRAM, 0, pack(values, Dtype.I32))
    core.write(Region.SRAM, 64, bytes([0, 1, 126, 127, 128, 254, 255]))
    core.td(2, tensor(0, Dtype.I32, len(values)))
    core.td(3, tensor(64, Dtype.E8M0, 7)), core.td(5, tensor(64, Dtype.U8, 7))
    wide, scales, bytes_ = (
        core.td(1, tensor(0x100, Dtype.F32, 8)),
        core.td(4, tensor(0x200, Dtype.F32, 7)),
        core.td(6, tensor(0x300, Dtype.F32, 7)),
    )
    core.run("vbin.mul t1, t2, 1.0\n vun.mov t4, t3\n vun.mov t6, t5")
    assert [core.values(wide)[0, 0, 0, i] for i in range(8)] == [f32(v) for v in values]
    assert [core.bits(scales)[0, 0, 0, i] for i in range(7)] == [
        1 << 22,
        1 << 23,
        126 << 23,
        127 << 23,
        128 << 23,
        254 << 23,
        0x7FC00000,
    ]
    assert [core.values(bytes_)[0, 0, 0, i] for i in range(7)] == [0, 1, 126, 127, 128, 254, 255]


def test_mov_of_equal_dtypes_keeps_nan_payloads() -> None:
    core = Core()
    words = struct.pack("<4I", 0x7F800001, 0xFFC12345, 0x80000000, 0x7FC00000)
    core.write(Region.SRAM, 0, words)
    for dtype in (Dtype.F32, Dtype.F16, Dtype.BF16, Dtype.I8):
        count = 16 * 8 // ELEMENT_BITS[dtype]
        core.td(1, tensor(64, dtype, count)), core.td(2, tensor(0, dtype, count))
        core.write(Region.SRAM, 64, bytes(16))
        core.run("vun.mov t1, t2")
        assert core.read(Region.SRAM, 64, 16) == words
    core.td(1, tensor(64, Dtype.F32, 4))
    core.run("vun.mov t1, 0f7f800001")
    assert core.read(Region.SRAM, 64, 16) == struct.pack("<I", 0x7F800001) * 4
    core.td(2, tensor(0, Dtype.F32, 4))
    core.run("vbin.add t1, t2, 0.0")
    assert struct.unpack("<4I", core.read(Region.SRAM, 64, 16)) == (0x7FC00000, 0x7FC00000, 0, 0x7FC00000)


def test_i4_storage_and_copy_between_group_sizes() -> None:
    rng = random.Random(3)
    core = Core()
    core.write(Region.SRAM, 0, rng.randbytes(256))
    small, large = (
        core.td(2, tensor(0, Dtype.I4, 128, 3, glog2=5)),
        core.td(1, tensor(0x400, Dtype.I4, 128, 3, glog2=6)),
    )
    wide = core.td(3, tensor(0x800, Dtype.F32, 128, 3))
    core.run("vun.mov t1, t2\n vun.mov t3, t2")
    values = core.values(small)
    assert core.values(large) == values and core.values(wide) == values
    core.td(1, small)
    before = core.read(Region.SRAM, 0, 192)
    core.run("vun.mov t1, t3")
    assert core.read(Region.SRAM, 0, 192) == before


def test_strided_transposed_and_smem_operands() -> None:
    rng = random.Random(4)
    core = Core()
    data = rng.randbytes(2048)
    core.write(Region.SRAM, 0, data), core.write(Region.SMEM, 1024, data)
    rotated = core.td(2, tensor(28, Dtype.I32, 5, 7, 3, strides=(140, -4, 500)))
    target = core.td(1, tensor(1024, Dtype.I32, 5, 7, 3, region=Region.SMEM, strides=(4, 84, 28)))
    before = core.bits(rotated)
    core.run("vun.mov t1, t2")
    assert core.bits(target) == before
    in_place = core.td(1, tensor(1024, Dtype.F32, 16, region=Region.SMEM, strides=(-4,)))
    old = core.values(in_place)
    core.run("vun.abs t1, t1")
    assert all(same(core.values(in_place)[p], abs(v)) for p, v in old.items())


@pytest.mark.parametrize("function", ["sum", "max", "amax"])
@pytest.mark.parametrize("length", [1, 31, 32, 33, 100, 259])
def test_vred(function: str, length: int) -> None:
    rng = random.Random(length)
    core = Core()
    rows = [[f32(rng.uniform(-2, 2) * 2.0 ** rng.randint(-8, 8)) for _ in range(length)] for _ in range(6)]
    rows[1][0], rows[2][-1] = math.nan, INF
    rows[3] = [rng.choice((0.0, -0.0)) for _ in range(length)]
    rows[4] = [-0.0] * length
    rows[5] = [-INF] * length
    core.write(Region.SRAM, 0, b"".join(pack(row, Dtype.F32) for row in rows))
    core.td(2, tensor(0, Dtype.F32, length, 3, 2))
    target = core.td(1, tensor(0x8000, Dtype.F32, 1, 3, 2))
    core.run(f"vred.{function} t1, t2")
    for place, bits in core.bits(target).items():
        row = rows[place[1] * 3 + place[2]]
        want = sum_fp(row) if function == "sum" else -INF if function == "max" else 0.0
        for value in row if function != "sum" else ():
            want = ieee_max(want, abs(value) if function == "amax" else value)
        assert bits == store_bits(want, Dtype.F32)


def test_vred_of_int8_rows_and_of_columns() -> None:
    rng = random.Random(6)
    core = Core()
    core.write(Region.SRAM, 0, rng.randbytes(400))
    data = core.td(2, tensor(0, Dtype.I8, 20, 10, strides=(10, 1)))
    target = core.td(1, tensor(0x400, Dtype.I32, 1, 10))
    core.run("vred.sum t1, t2")
    values = core.values(data)
    for (_, _, i1, _), got in core.values(target).items():
        assert got == sum(values[0, 0, i1, i] for i in range(20))


def test_sqrt_and_abs() -> None:
    rng = random.Random(7)
    values = SPECIAL + [f32(rng.uniform(0, 4) * 2.0 ** rng.randint(-140, 120)) for _ in range(200)]
    core = Core()
    core.write(Region.SRAM, 0, pack(values, Dtype.F32))
    core.td(2, tensor(0, Dtype.F32, len(values)))
    target = core.td(1, tensor(0x4000, Dtype.F32, len(values)))
    core.run("vun.sqrt t1, t2")
    for i, bits in enumerate(core.bits(target).values()):
        value = values[i]
        want = math.nan if math.isnan(value) or value < 0 else f32(math.sqrt(value))
        assert bits == store_bits(want, Dtype.F32)
    core.run("vun.abs t1, t2")
    assert [same(a, abs(b)) for a, b in zip(core.values(target).values(), values, strict=True)]


def test_transfers_of_any_strides_and_dtype() -> None:
    rng = random.Random(8)
    weights = rng.randbytes(4096)
    core = Core(weights=weights)
    for dtype in (Dtype.F32, Dtype.BF16, Dtype.I8, Dtype.U8, Dtype.E8M0, Dtype.I32):
        size = ELEMENT_BITS[dtype] // 8
        source = core.td(
            2, tensor(800, dtype, 3, 5, 2, 2, region=Region.WEIGHT, strides=(8 * size, -size, 100 * size, 0))
        )
        target = core.td(1, tensor(0x100, dtype, 3, 5, 2, 2, strides=(size, 3 * size, 30 * size, 15 * size)))
        out = core.td(
            3,
            tensor(
                2000, dtype, 3, 5, 2, 2, region=Region.IO, strides=(-20 * size, size, 10 * size, 5 * size + 60 * size)
            ),
        )
        core.run("ld t1, t2\n st t3, t1")
        assert core.bits(target) == core.bits(source) == core.bits(out)
    core.td(1, tensor(512, Dtype.I32, 8, region=Region.SMEM)), core.td(2, tensor(0, Dtype.I32, 8, region=Region.WEIGHT))
    core.run("ld t1, t2\n lds.4 x5, 516(x0)")
    assert core.x[5] == struct.unpack_from("<I", weights, 4)[0]
    (
        core.td(1, tensor(0, Dtype.I4, 64, 4)),
        core.td(2, tensor(0, Dtype.I4, 64, 4, region=Region.WEIGHT, strides=(0, 64))),
    )
    core.run("ld t1, t2")
    assert core.read(Region.SRAM, 0, 128) == b"".join(weights[64 * i : 64 * i + 32] for i in range(4))

"""Kernels of the slmq interpreter against slow scalar forms of docs/numerics.md: one np.float32 operation at a time."""

import math
import struct
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from compiler.formats import WeightFormat
from compiler.interpreters import slmq_formats
from compiler.interpreters import slmq_functions as functions
from compiler.interpreters import slmq_kernels as kernels

F = np.float32
EDGES = [0.0, -0.0, 1.0, -1.0, 2**-126, 2**-149, -(2**-149), 3.4028235e38, -3.4028235e38, math.inf, -math.inf, math.nan]


@pytest.fixture(autouse=True)
def quiet():
    with np.errstate(all="ignore"):
        yield


def bits(x):
    return np.ascontiguousarray(x, np.float32).view(np.uint32)


def assert_same_bits(found, expected):
    np.testing.assert_array_equal(bits(found), bits(expected))


def scalar_sum(terms, start=0.0):
    """Section 2, by the letter."""
    terms = [F(term) for term in terms] + [F(0)] * (-len(terms) % 32)
    total = F(start)
    for first in range(0, len(terms), 32):
        level = terms[first : first + 32]
        for half in (16, 8, 4, 2, 1):
            level = [level[i] + level[i + half] for i in range(half)]
        total = total + level[0]
    return total


def wide_values(rng, *shape):
    """Values whose sums depend on the order of additions."""
    return (rng.normal(size=shape) * 2.0 ** rng.integers(-12, 12, size=shape)).astype(np.float32)


@pytest.mark.parametrize("count", [1, 15, 31, 32, 33, 64, 100, 257])
def test_sum_fp(count):
    x = wide_values(np.random.default_rng(count), 3, 2, count)
    expected = [[[scalar_sum(row)] for row in rows] for rows in x]
    assert_same_bits(kernels.sum_fp(x), expected)


def test_sum_fp_of_negative_zeros_is_positive_zero():
    assert_same_bits(kernels.sum_fp(np.full((1, 32), -0.0, np.float32)), [[0.0]])


@pytest.mark.parametrize(("t", "n", "k"), [(1, 5, 32), (3, 7, 33), (9, 2, 70), (4, 4, 1)])
@pytest.mark.parametrize("continued", [False, True])
def test_matmul_fp(t, n, k, continued):
    rng = np.random.default_rng(t * n * k)
    a, b = wide_values(rng, k, t), wide_values(rng, k, n)
    start = wide_values(rng, t, n) if continued else None
    expected = [
        [scalar_sum([a[i, r] * b[i, c] for i in range(k)], start[r, c] if continued else 0) for c in range(n)]
        for r in range(t)
    ]
    assert_same_bits(kernels.matmul_fp(a, b, start), expected)


def test_matmul_fp_does_not_depend_on_its_blocks(monkeypatch):
    rng = np.random.default_rng(5)
    a, b = wide_values(rng, 96, 13), wide_values(rng, 96, 37)
    whole = kernels.matmul_fp(a, b)
    monkeypatch.setattr(kernels, "SCRATCH_ELEMENTS", 32 * 5)
    assert_same_bits(kernels.matmul_fp(a, b), whole)
    assert_same_bits(kernels.matmul_fp(b, a).T, whole)


@pytest.mark.parametrize("k", [1, 1023, 1024, 1025, 3000])
def test_matmul_i8_is_exact_at_the_extremes(k):
    rng = np.random.default_rng(k)
    a, w = rng.integers(-128, 128, (3, k)).astype(np.int8), rng.integers(-128, 128, (4, k)).astype(np.int8)
    a[0], w[0] = -128, -128
    a[1], w[1] = 127, -127
    expected = [[sum(int(x) * int(y) for x, y in zip(row, column, strict=True)) for column in w] for row in a]
    np.testing.assert_array_equal(kernels.matmul_i8(a, w), expected)


def scalar_to_i8(value, lowest):
    if math.isnan(value):
        return 0
    if math.isinf(value):
        return 127 if value > 0 else lowest
    return min(max(round(Fraction(float(value))), lowest), 127)


def scalar_quantize(row, weight):
    largest = F(0)
    for value in row:
        largest = F(math.nan) if math.isnan(value) or math.isnan(largest) else max(largest, abs(value))
    if weight:
        scale = largest * F(Fraction(1, 127)) or F(1)
        return [scalar_to_i8(value / scale, -127) for value in row], scale
    size = largest if math.isnan(largest) else max(largest, F(2.0**-119))
    inverse = F(127) / size
    return [scalar_to_i8(value * inverse, -128) for value in row], size * F(Fraction(1, 127))


QUANTIZED_ROWS = np.array(
    [
        np.linspace(-3, 3, 16),
        [0.0] * 16,
        [-0.0, 1e-45, -1e-45, *[0.0] * 13],  # the scale of a weight underflows to 0, quotients are infinite
        [1e-38, -3e-39, 1e-42, *[0.0] * 13],  # a subnormal scale, whose reciprocal would be infinite
        [1.4e-36, -1.6e-36, 2e-38, *[0.0] * 13],  # on both sides of the smallest scale
        [127, 63.5, 62.5, 0.5, 1.5, -0.5, -1.5, -127, *[0] * 8],  # ties go to even
        [math.inf, -math.inf, *[1.0] * 14],
        [math.nan, *[1.0] * 15],
        [3e38, -3e38, *[1.0] * 14],
    ],
    np.float32,
)


def test_quantize_rows():
    q, scale = kernels.quantize_rows(QUANTIZED_ROWS)
    for row, found, found_scale in zip(QUANTIZED_ROWS, q, scale, strict=True):
        expected, expected_scale = scalar_quantize(row, weight=False)
        assert found.tolist() == expected
        assert found_scale[0] == expected_scale or math.isnan(expected_scale)


def test_quantize_weight(monkeypatch):
    monkeypatch.setattr(slmq_formats, "CAST_ELEMENTS", 40)
    result = slmq_formats.quantize_weight(QUANTIZED_ROWS, WeightFormat("i8"))
    for row, found, scale in zip(QUANTIZED_ROWS, result.q, result.scales, strict=True):
        expected, expected_scale = scalar_quantize(row, weight=True)
        assert found.tolist() == expected
        assert scale == expected_scale or math.isnan(expected_scale)


@pytest.mark.parametrize(("d", "offset"), [(5, 0.0), (64, 1.0), (72, 1.0)])
def test_rms_norm(d, offset):
    rng = np.random.default_rng(d)
    x, weight = wide_values(rng, 3, d), wide_values(rng, d)
    found = kernels.rms_norm(x, weight, 1e-5, offset)
    for row, found_row in zip(x, found, strict=True):
        mean = scalar_sum([v * v for v in row]) * F(Fraction(1, d))
        root = np.sqrt(mean + F(1e-5))
        assert_same_bits(found_row, [(v * (F(1) / root)) * (w + F(offset)) for v, w in zip(row, weight, strict=True)])


def test_rope():
    rng = np.random.default_rng(7)
    x, c, s = wide_values(rng, 3, 2, 10), wide_values(rng, 3, 4), wide_values(rng, 3, 4)
    expected = x.copy()
    for t in range(3):
        for head in range(2):
            for j in range(4):
                x1, x2 = x[t, head, j], x[t, head, j + 4]
                expected[t, head, j] = (x1 * c[t, j]) - (x2 * s[t, j])
                expected[t, head, j + 4] = (x2 * c[t, j]) + (x1 * s[t, j])
    assert_same_bits(kernels.rope(x, c, s), expected)


def scalar_bf16(value):
    """The nearest bfloat16 of a float32 by exact comparison with its neighbours."""
    word = struct.unpack("<I", struct.pack("<f", value))[0]
    if math.isnan(value):
        return 0x7FC0
    low = word >> 16
    rest = word & 0xFFFF
    return low + (rest > 0x8000 or (rest == 0x8000 and low & 1))


def test_bf16_rounding():
    words = np.array(
        [0x3F808000, 0x3F818000, 0x3F808001, 0x3F807FFF, 0x7F7FFFFF, 0xFF7FFFFF, 1, 0x8000, 0x18000], np.uint32
    )
    x = np.concatenate(
        [words.view(np.float32), np.array(EDGES, np.float32), wide_values(np.random.default_rng(3), 500)]
    )
    x = np.append(x, np.array([0xFFC00001, 0x7F800001, 0x7FFFFFFF], np.uint32).view(np.float32))
    found = functions.bf16_bits(x)
    assert found.tolist() == [scalar_bf16(value) for value in x]
    assert_same_bits(functions.bf16_values(found), (found.astype(np.uint32) << 16).view(np.float32))
    every = np.arange(1 << 16, dtype=np.uint16)
    numbers = every[~np.isnan(functions.bf16_values(every))]
    np.testing.assert_array_equal(functions.bf16_bits(functions.bf16_values(numbers)), numbers)


def test_canonical_nan():
    x = np.array([0xFFC00001, 0x3F800000, 0x7F800000], np.uint32).view(np.float32)
    assert bits(functions.canonical(x)).tolist() == [0x7FC00000, 0x3F800000, 0x7F800000]


def test_maximum_orders_zeros_and_keeps_nan():
    a, b = (np.array(column, np.float32) for column in zip(*[(x, y) for x in EDGES for y in EDGES], strict=True))
    found = functions.maximum(a, b)
    for x, y, z in zip(a, b, found, strict=True):
        if math.isnan(x) or math.isnan(y):
            assert math.isnan(z)
        else:  # copysign makes +0 the larger zero
            assert_same_bits(z, max((x, y), key=lambda v: (v, math.copysign(1, v))))


@pytest.mark.parametrize(
    "exact",
    [
        Fraction(1, 127),
        Fraction(1, 3),
        1 + Fraction(1, 2**24),
        1 + Fraction(3, 2**24),
        Fraction(1, 2**150),
        Fraction(-5, 7),
    ]
    + [
        1 + Fraction(1, 2**24) + Fraction(1, 2**60),
        Fraction(3, 2**150),
        Fraction(2**128),
        Fraction(2**128 - 2**103 - 1),
    ],
)
def test_f32_constant_is_the_nearest_float32(exact):
    found = functions.f32_constant(exact)
    if exact >= 2**128 - 2**103:
        assert found == np.inf
        return
    here = abs(Fraction(float(found)) - exact)
    for neighbour in (np.nextafter(found, F(np.inf)), np.nextafter(found, F(-np.inf))):
        if np.isfinite(neighbour):
            there = abs(Fraction(float(neighbour)) - exact)
            assert here < there or (here == there and bits(found) % 2 == 0)


def exact_sigmoid(x):
    return 1 / (1 + mpmath.exp(-x))


FUNCTIONS = {"exp": mpmath.exp, "log": mpmath.log, "tanh": mpmath.tanh, "sigmoid": exact_sigmoid, "erf": mpmath.erf}


def sample_inputs(name, rng):
    """Random values, powers of two, and inputs whose result is nearly halfway between two float32 numbers."""
    x = rng.normal(size=300) * 2.0 ** rng.integers(-30, 7, size=300)
    x = np.concatenate([x, 2.0 ** np.arange(-149, 8), -(2.0 ** np.arange(-149, 8)), rng.uniform(-110, 100, 100)])
    x = np.concatenate([x, [88.722839, 88.72284, -103.97207, -103.97208, -104, 17.328679, -87.336544]])
    return np.abs(x).astype(np.float32) if name == "log" else x.astype(np.float32)


def is_nearest(found, exact):
    """Whether float32 `found` is the nearest to the mpmath value, compared at 600 bits with the midpoints."""
    if np.isinf(found):
        return abs(exact) >= mpmath.mpf(2) ** 128 - mpmath.mpf(2) ** 103
    up, down = (np.nextafter(found, F(s)) for s in (np.inf, -np.inf))
    values = [mpmath.mpf(float(v)) for v in (down, found, up)]
    if np.isinf(up):
        values[2] = mpmath.mpf(2) ** 128
    if np.isinf(down):
        values[0] = -(mpmath.mpf(2) ** 128)
    return (values[0] + values[1]) / 2 <= exact <= (values[1] + values[2]) / 2


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_correctly_rounded(name):
    x = sample_inputs(name, np.random.default_rng(11))
    found = getattr(functions, name)(x)
    with mpmath.workprec(600):
        for value, result in zip(x, found, strict=True):
            assert is_nearest(result, FUNCTIONS[name](mpmath.mpf(float(value)))), (name, value, result)


def test_doubtful_results_are_decided_exactly():
    # exp(2^-24) = 1 + 2^-24 + 2^-49 is just above the middle of 1 and its successor; 1 - 2^-25 is below a middle.
    x = np.array([2.0**-24, -(2.0**-25), 2.0**-25], np.float32)
    assert_same_bits(functions.exp(x), [1 + 2.0**-23, 1.0, 1.0])


@pytest.mark.parametrize(
    ("name", "expected"),  # for the values of EDGES
    [
        ("exp", [1, 1, 2.7182817, 0.36787945, 1, 1, 1, math.inf, 0, math.inf, 0, math.nan]),
        (
            "log",
            [
                -math.inf,
                -math.inf,
                0,
                math.nan,
                -87.33655,
                -103.27893,
                math.nan,
                88.72284,
                math.nan,
                math.inf,
                math.nan,
                math.nan,
            ],
        ),
        ("tanh", [0.0, -0.0, 0.7615942, -0.7615942, 2**-126, 2**-149, -(2**-149), 1, -1, 1, -1, math.nan]),
        ("sigmoid", [0.5, 0.5, 0.7310586, 0.26894143, 0.5, 0.5, 0.5, 1, 0, 1, 0, math.nan]),
        (
            "erf",
            [
                0.0,
                -0.0,
                0.8427008,
                -0.8427008,
                2**-126 * 1.1283791670955126,
                2**-149,
                -(2**-149),
                1,
                -1,
                1,
                -1,
                math.nan,
            ],
        ),
    ],
)
def test_functions_at_the_edges(name, expected):
    found = getattr(functions, name)(np.array(EDGES, np.float32))
    nan = np.isnan(np.array(expected))
    assert (bits(found)[nan] == 0x7FC00000).all()
    assert_same_bits(found[~nan], np.array(expected)[~nan])


def one(function, value):
    """A scalar through a function that has its own test."""
    return function(np.array([value], np.float32))[0]


def scalar_activation(kind, x):
    sigmoid, erf, tanh = functions.sigmoid, functions.erf, functions.tanh
    if kind == "silu":
        return x * one(sigmoid, x)
    if kind == "gelu":
        return (x * F(0.5)) * (one(erf, x * F(0.70710678118654752440)) + F(1))
    if kind == "gelu_tanh":
        cube = ((x * x) * x) * F(0.044715) + x
        return (x * F(0.5)) * (one(tanh, cube * F(0.79788456080286535588)) + F(1))
    if kind == "quick_gelu":
        return x * one(sigmoid, x * F(1.702))
    return x if x > 0 else F(math.nan) if math.isnan(x) else F(0)


@pytest.mark.parametrize("kind", ["silu", "gelu", "gelu_tanh", "quick_gelu", "relu"])
def test_activations(kind):
    x = np.concatenate([wide_values(np.random.default_rng(13), 60), np.array(EDGES, np.float32)])
    expected = np.array([scalar_activation(kind, value) for value in x], np.float32)
    found = functions.ACTIVATIONS[kind](x)
    assert_same_bits(functions.canonical(found), functions.canonical(expected))


def test_constants_are_rounded_once():
    with mpmath.workprec(300):
        exact = {
            functions.INVERSE_SQRT_2.item(): 1 / mpmath.sqrt(2),
            functions.SQRT_2_OVER_PI.item(): mpmath.sqrt(2 / mpmath.pi),
            functions.CUBE.item(): mpmath.mpf("0.044715"),
            functions.QUICK.item(): mpmath.mpf("1.702"),
            kernels.scale_of(np.ones(1, np.float32), 127)[0].item(): mpmath.mpf(1) / 127,
            kernels.scale_of(np.ones(1, np.float32), 7)[0].item(): mpmath.mpf(1) / 7,
        }
        for found, value in exact.items():
            assert is_nearest(F(found), value)

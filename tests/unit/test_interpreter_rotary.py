"""Rotary tables: frequencies as transformers 5.23.0 prints them for head_dim 16, theta 10000 (float32, 8 digits)."""

import math

import numpy as np
import pytest
from xdsl.dialects.builtin import (
    ArrayAttr,
    DenseArrayBase,
    DictionaryAttr,
    FloatAttr,
    IntAttr,
    IntegerAttr,
    StringAttr,
    f64,
    i64,
)

from compiler.dialects.slm import RotaryAttr
from compiler.interpreters.rotary import (
    longest_context,
    restart_lengths,
    rotary_frequencies,
    rotary_tables,
    table_lengths,
)

SHORT = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7]
LONG = [2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5]


def attribute(value):
    if isinstance(value, str):
        return StringAttr(value)
    if isinstance(value, list):
        return ArrayAttr([FloatAttr(item, f64) for item in value])
    return FloatAttr(value, f64)


def rotary(dim=16, theta=10000.0, longest=0, original=0, **scaling):
    record = DictionaryAttr({key: attribute(value) for key, value in scaling.items()})
    return RotaryAttr(IntAttr(dim), FloatAttr(theta, f64), IntAttr(longest), IntAttr(original), record)


DEFAULT = [1.0, 0.31622777, 0.1, 0.031622777, 0.01, 0.0031622777, 0.001, 0.00031622777]
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
YARN_OPTIONS = {"beta_fast": 8.0, "beta_slow": 2.0, "attention_factor": 1.5}
YARN = [1.0, 0.25693506, 0.0625, 0.013834965, 0.0025, 0.00079056947, 0.00025, 7.9056947e-05]
LONGROPE = {"rope_type": "longrope", "short_factor": SHORT, "long_factor": LONG}
CASES = {
    "default": (rotary(), 900, DEFAULT, 1.0),
    "linear": (
        rotary(rope_type="linear", factor=4.0),
        900,
        [0.25, 0.079056941, 0.025, 0.0079056947, 0.0025, 0.00079056947, 0.00025, 7.9056947e-05],
        1.0,
    ),
    "dynamic at its length": (rotary(rope_type="dynamic", factor=4.0, longest=512), 512, DEFAULT, 1.0),
    "dynamic beyond": (
        rotary(rope_type="dynamic", factor=4.0, longest=512),
        1000,
        [1.0, 0.25264952, 0.063831776, 0.016127067, 0.0040744958, 0.0010294194, 0.00026008231, 6.5709668e-05],
        1.0,
    ),
    "llama3": (
        rotary(original=256, **LLAMA3),
        900,
        [1.0, 0.31622776, 0.1, 0.0066131069, 0.00125, 0.00039528473, 0.000125, 3.9528473e-05],
        1.0,
    ),
    "yarn": (
        rotary(longest=2048, original=512, rope_type="yarn", factor=4.0),
        900,
        YARN,
        1.138629436111989,
    ),
    "yarn with options": (
        rotary(longest=2048, original=512, rope_type="yarn", factor=4.0, **YARN_OPTIONS),
        900,
        [1.0, 0.31622776, 0.1, 0.019764237, 0.0025, 0.00079056947, 0.00025, 7.9056947e-05],
        1.5,
    ),
    "yarn with both magnitudes": (
        rotary(longest=2048, original=512, rope_type="yarn", factor=4.0, mscale=1.4, mscale_all_dim=0.6),
        900,
        YARN,
        1.1023872193956545,
    ),
    "yarn with one magnitude": (
        rotary(longest=2048, original=512, rope_type="yarn", factor=4.0, mscale=1.4, mscale_all_dim=0.0),
        900,
        YARN,
        1.138629436111989,
    ),
    "yarn with a ramp between indices": (
        rotary(longest=2048, original=512, rope_type="yarn", factor=4.0, truncate=0.0),
        900,
        [1.0, 0.30140647, 0.070398636, 0.014383359, 0.0025, 0.00079056947, 0.00025, 7.9056947e-05],
        1.138629436111989,
    ),
    "longrope with a factor": (
        rotary(longest=1024, original=256, factor=8.0, **LONGROPE),
        300,
        [0.5, 0.12649111, 0.033333335, 0.0090350788, 0.0025, 0.0007027284, 0.0002, 5.7495956e-05],
        1.1726039399558574,
    ),
    "longrope at its length": (
        rotary(longest=1024, original=256, **LONGROPE),
        256,
        [1.0, 0.28747976, 0.083333336, 0.024325214, 0.0071428572, 0.0021081853, 0.000625, 0.00018601633],
        1.118033988749895,
    ),
    "longrope beyond": (
        rotary(longest=1024, original=256, **LONGROPE),
        257,
        [0.5, 0.12649111, 0.033333335, 0.0090350788, 0.0025, 0.0007027284, 0.0002, 5.7495956e-05],
        1.118033988749895,
    ),
    "divisors": (
        rotary(rope_type="divisors", divisors=[1.0, 1.0, 2.0, 2.0, 4.0, 4.0, 10.0, 10.0]),
        900,
        [1.0, 0.31622777, 0.05, 0.0158113885, 0.0025, 0.00079056943, 0.0001, 3.1622777e-05],
        1.0,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_frequencies_and_attention_factor(case):
    attr, total_length, expected, expected_factor = CASES[case]
    frequencies, factor = rotary_frequencies(attr, total_length)
    np.testing.assert_allclose(frequencies, expected, rtol=2e-7)
    assert factor == pytest.approx(expected_factor, rel=1e-12)


def test_tables_for_lengths_of_sequence():
    changing = rotary(longest=1024, original=256, **LONGROPE)
    assert table_lengths(changing, 1024) == (256, 1024)
    assert table_lengths(changing, 257) == (256, 257)
    assert table_lengths(changing, 256) == (256,)
    assert table_lengths(changing, 9) == (9,)
    steady = rotary(longest=2048, original=512, rope_type="yarn", factor=4.0)
    assert table_lengths(steady, 2048) == (2048,)
    other = rotary(longest=1024, original=64, **LONGROPE)
    assert restart_lengths([changing, steady, other, changing], 1024) == (64, 256)
    assert restart_lengths([changing, steady, other], 200) == (64,)
    assert restart_lengths([steady], 2048) == ()


def test_dynamic_tables_hold_up_to_the_longest_sequence():
    dynamic = rotary(longest=512, rope_type="dynamic", factor=4.0)
    assert longest_context(dynamic) == 512
    np.testing.assert_allclose(rotary_frequencies(dynamic, 512)[0], DEFAULT, rtol=1e-7)
    assert longest_context(rotary(longest=512)) is None


def test_yarn_with_an_empty_ramp_is_a_step():
    attr = rotary(original=512, rope_type="yarn", factor=4.0, beta_fast=97.8, beta_slow=97.8)
    np.testing.assert_allclose(rotary_frequencies(attr, 9)[0], np.array([1, *[0.25] * 7]) * DEFAULT, rtol=1e-7)


def test_tables_are_cos_and_sin_times_the_factor_rounded_once():
    attr = rotary(longest=2048, original=512, rope_type="yarn", factor=4.0, **YARN_OPTIONS)
    frequencies, _ = rotary_frequencies(attr, 300)
    cos, sin = rotary_tables(attr, 300, 300)
    assert cos.dtype == sin.dtype == np.float32
    assert cos.shape == sin.shape == (300, 8)
    for position in (0, 1, 255, 256, 299):
        for j in range(8):
            angle = position * float(frequencies[j])
            assert cos[position, j] == np.float32(math.cos(angle) * 1.5)
            assert sin[position, j] == np.float32(math.sin(angle) * 1.5)


def test_numbers_may_be_integers_and_dense_arrays():
    record = DictionaryAttr({"rope_type": StringAttr("linear"), "factor": IntegerAttr(4, i64)})
    attr = RotaryAttr(IntAttr(16), FloatAttr(10000.0, f64), IntAttr(0), IntAttr(0), record)
    np.testing.assert_allclose(rotary_frequencies(attr, 9)[0], np.array(DEFAULT) / 4, rtol=1e-7)
    dense = DenseArrayBase.from_list(f64, LONG)
    record = DictionaryAttr({"rope_type": StringAttr("divisors"), "divisors": dense})
    attr = RotaryAttr(IntAttr(16), FloatAttr(10000.0, f64), IntAttr(0), IntAttr(0), record)
    np.testing.assert_allclose(rotary_frequencies(attr, 9)[0], np.array(DEFAULT) / LONG, rtol=1e-7)


@pytest.mark.parametrize(
    ("attr", "message"),
    [
        (rotary(rope_type="spiral"), "spiral"),
        (rotary(rope_type="linear"), "factor"),
        (rotary(rope_type="divisors", divisors=[1.0]), "8 numbers"),
        (rotary(rope_type="divisors"), "divisors"),
        (rotary(rope_type="dynamic", factor=2.0), "length"),
        (rotary(**LLAMA3), "length"),
        (rotary(rope_type="yarn", factor=2.0), "length"),
        (rotary(**LONGROPE, longest=9, original=1), "length"),
    ],
)
def test_wrong_records_are_named(attr, message):
    with pytest.raises(ValueError, match=message):
        rotary_tables(attr, 4, 4)

"""Sampling against plain Python forms of docs/numerics.md sections 6, 7 and 10."""

import math
from fractions import Fraction

import numpy as np
import pytest

from compiler.interpreters.sampling import SamplerSettings, greedy, philox_words, sample_token, top_list, uniforms
from compiler.interpreters.slmq_functions import exp, log

F = np.float32


@pytest.fixture(autouse=True)
def quiet():
    with np.errstate(all="ignore"):
        yield


def philox(counter, key):
    """Philox4x32-10 on Python integers, from the paper's description."""
    c, (k0, k1) = list(counter), key
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k0, p1 % 2**32, (p0 >> 32) ^ c[3] ^ k1, p0 % 2**32]
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return c


@pytest.mark.parametrize(
    ("counter", "key", "expected"),  # Random123's kat_vectors
    [
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_the_plain_philox_gives_the_known_answers(counter, key, expected):
    assert philox(counter, key) == expected


@pytest.mark.parametrize(("position", "seed"), [(0, 0), (1, 5), (2**31, 2**64 - 1), (77, 0x123456789ABCDEF0)])
def test_philox_words(position, seed):
    expected = [philox([i, position, 0, 0], [seed % 2**32, seed >> 32])[0] for i in range(40)]
    assert philox_words(0, 40, position, seed).tolist() == expected


def scalar_uniform(i, position, seed):
    word = philox([i, position, 0, 0], [seed % 2**32, seed >> 32])[0]
    exact = (Fraction(word >> 9) + Fraction(1, 2)) / 2**23
    assert 0 < exact < 1
    assert Fraction(float(F(float(exact)))) == exact
    return F(float(exact))


def test_uniforms():
    assert uniforms(100, 9, 3).tolist() == [scalar_uniform(i, 9, 3) for i in range(100)]


@pytest.mark.parametrize(
    ("values", "entries", "indices"),
    [
        ([1, 3, 3, 2], 3, [1, 2, 3]),
        ([-0.0, 0.0, -1], 2, [0, 1]),
        ([math.nan, -math.inf, 5, math.inf], 4, [3, 2, -1, -1]),
        ([math.nan], 1, [-1]),
    ],
)
def test_top_list(values, entries, indices):
    x = np.array(values, np.float32)
    best, found = top_list(x, entries)
    assert found.tolist() == indices
    expected = [x[index] if index >= 0 else F(-math.inf) for index in indices]
    np.testing.assert_array_equal(best.view(np.uint32), np.array(expected, np.float32).view(np.uint32))
    assert greedy(x) == indices[0]


def one(function, value):
    return function(np.array([value], np.float32))[0]


def best_of(values):
    found = -1
    for index, value in enumerate(values):
        if not math.isnan(value) and value > -math.inf and (found < 0 or value > values[found]):
            found = index
    return found


def with_noise(values, position, seed):
    return [v - one(log, F(-1) * one(log, scalar_uniform(i, position + 1, seed))) for i, v in enumerate(values)]


def ordered_sum(terms):
    """sum_fp of at most 64 terms."""
    terms = [*terms, *[F(0)] * (-len(terms) % 32)]
    total = F(0)
    for first in range(0, len(terms), 32):
        level = terms[first : first + 32]
        for half in (16, 8, 4, 2, 1):
            level = [level[i] + level[i + half] for i in range(half)]
        total = total + level[0]
    return total


def scalar_sample(logits, temperature, k, p, seed, position):
    inverse = F(float(1 / Fraction(temperature)))
    if k == 0 and p == 1:
        return best_of(with_noise([v * inverse for v in logits], position, seed))
    order = sorted(range(len(logits)), key=lambda i: (-logits[i], i))[: k or 64]
    scaled = [logits[i] * inverse for i in order]
    weights = [one(exp, z - scaled[0]) for z in scaled]
    total = ordered_sum(weights)
    shares = [w / total for w in weights]
    marks = []
    for j in range(len(order)):
        before = ordered_sum([shares[i] * F(i < j) for i in range(len(order))])
        marks.append(one(log, shares[j] * F(before < F(p))))
    return order[best_of(with_noise(marks, position, seed))]


@pytest.mark.parametrize(
    ("temperature", "k", "p"),
    [(1.0, 0, 1.0), (0.7, 0, 1.0), (0.3, 5, 1.0), (1.3, 64, 0.9), (2.5, 40, 0.5), (1.0, 0, 0.7), (1.0, 1, 0.01)],
)
def test_sample_token(temperature, k, p):
    rng = np.random.default_rng(k)
    for seed in range(6):
        logits = (rng.normal(size=90) * 3).astype(np.float32)
        settings = SamplerSettings(temperature, k, p, seed * 2**40 + seed)
        expected = scalar_sample(list(logits), temperature, k, p, settings.seed, 17 + seed)
        assert sample_token(logits, settings, 17 + seed) == expected


def test_sampled_frequencies_follow_the_softmax():
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05], np.float32))
    counts = np.zeros(4)
    for position in range(2000):
        counts[sample_token(logits, SamplerSettings(temperature=1.0), position)] += 1
    np.testing.assert_allclose(counts / 2000, [0.5, 0.3, 0.15, 0.05], atol=0.035)
    nucleus = {sample_token(logits, SamplerSettings(1.0, top_p=0.7), position) for position in range(200)}
    assert nucleus == {0, 1}


def test_nothing_to_sample_gives_minus_one():
    nothing = np.full(5, math.nan, np.float32)
    for settings in (SamplerSettings(), SamplerSettings(1.0), SamplerSettings(1.0, 3)):
        assert sample_token(nothing, settings, 0) == -1


@pytest.mark.parametrize("wrong", [{"temperature": -1.0}, {"top_k": 65}, {"top_p": 0.0}, {"seed": 2**64}])
def test_wrong_settings_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SamplerSettings(**wrong)

"""Vectorised exp, log, sigmoid, tanh, erf: all 2^32 inputs (docs/transcendentals.md), and a dense sample of them."""

from __future__ import annotations

import hashlib
import json
import struct
from importlib import resources

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray

from isa.descriptor import Descriptor, dense_strides
from isa.spec import Dtype, Region
from simulator import transcendental
from simulator.fast.kernels import transcendental as kernels
from simulator.fast.kernels.functions import LONG
from simulator.memory import Memory
from tests.property.kernel_judge import choice_of, instruction, run_kernel

Patterns = NDArray[np.uint32]
CHUNK = 1 << 20
_memory = Memory({Region.SRAM: 8 * CHUNK}, {})


def by_kernel(name: str, patterns: Patterns) -> Patterns:
    """At most CHUNK of them. The result is valid until the next call."""
    count = len(patterns)
    words = _memory.arrays[Region.SRAM].view(np.uint32)
    words[CHUNK : CHUNK + count] = patterns
    extents = (count, 1, 1, 1)
    strides = dense_strides(Dtype.F32, extents)
    operands = {
        name: Descriptor(base, Region.SRAM, Dtype.F32, extents, strides)
        for name, base in (("ta", 0), ("tb", 4 * CHUNK))
    }
    d = instruction("vun", name)
    run_kernel(choice_of(d, operands), d, operands, _memory, (0, 0, 0), parts=1)
    return words[:count]


def near(patterns: Patterns) -> Patterns:
    """These and the next ones on both sides."""
    steps = np.arange(-2, 3, dtype=np.int64)
    return (patterns.astype(np.int64)[:, None] + steps).astype(np.uint32).reshape(-1)


@pytest.mark.parametrize("name", LONG)
def test_dense_sample(name: str) -> None:
    """Every 8191st pattern, those that the tables list, and edges of the ranges of the evaluation."""
    edges = np.array([0, 0.34657359, 0.17328680, 1, 4, 16.7, 20, 87.4, 88.73, 100, 103.98, 110, np.inf], np.float32)
    edges = np.concatenate([edges, -edges]).view(np.uint32)
    spread = np.arange(0, 1 << 32, 8191, dtype=np.uint64).astype(np.uint32)
    patterns = np.concatenate([spread, near(transcendental.tables().exceptions[name][0]), near(edges)])
    expected = getattr(transcendental, name)(patterns.view(np.float32)).view(np.uint32)
    different = np.flatnonzero(by_kernel(name, patterns) != expected)
    assert not len(different), f"{len(different)} differ, first at {patterns[different[0]]:#010x}"


def test_constants_of_the_short_evaluation() -> None:
    """The table is rounded 2^(j/8); the polynomial times r^2 is within 2^-56 of e^r - 1 - r."""
    for j, word in enumerate(kernels._TABLE):
        with mpmath.workprec(200):
            assert float.hex(float(mpmath.mpf(2) ** (mpmath.mpf(j) / 8))) == float.hex(
                struct.unpack("<d", struct.pack("<q", word + (j << 49)))[0]
            )
    for place in range(-200, 201):
        with mpmath.workprec(200):
            r = mpmath.log(2) / 16 * place / 200
            q = sum(mpmath.mpf(term) * r**power for power, term in enumerate(kernels._SHORT_TERMS))
            assert abs(mpmath.exp(r) - 1 - r - r * r * q) < mpmath.mpf(2) ** -56


@pytest.mark.long
@pytest.mark.parametrize("name", LONG)
def test_all_inputs(name: str) -> None:
    committed = json.loads(resources.files("simulator").joinpath("tables/transcendental.json").read_text())["sha256"]
    digest = hashlib.sha256()
    for first in range(0, 1 << 32, CHUNK):
        patterns = np.arange(first, first + CHUNK, dtype=np.uint64).astype(np.uint32)
        digest.update(by_kernel(name, patterns))
    assert digest.hexdigest() == committed[name]

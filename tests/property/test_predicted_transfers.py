"""The compiler's bounds of a DRAM transfer beside the simulator's timing model, with which they share no code."""

from __future__ import annotations

import random

import pytest

from compiler.analysis.predict_dram import DramForm
from isa.descriptor import Descriptor
from isa.machine import load_machine
from isa.spec import ELEMENT_BITS, Dtype, Region
from simulator.timing.dram import Dram

MACHINES = ("tiny", "edge", "server", "gddr")
DTYPES = (Dtype.I8, Dtype.F16, Dtype.F32)
SHARE, CYCLES = 0.02, 1
"""By which bounds may be above what happens: rounding, and runs that are not counted."""
EARLY_SHARE, EARLY_CYCLES = 0.2, 20
"""By which a transfer may be above its bounds: waits that overlap in part."""
EARLY_IN_ALL = 0.05


def strided(rng: random.Random) -> Descriptor:
    """Rows of up to three dimensions, on both sides of the most runs that are counted."""
    dtype = rng.choice(DTYPES)
    size = ELEMENT_BITS[dtype] // 8
    extents = rng.choice([16, 64, 256]), rng.choice([8, 60, 300, 1000]), rng.choice([1, 2, 5]), 1
    row = extents[0] * size * rng.choice([1, 2, 3, 16])
    return Descriptor(rng.randrange(0, 1 << 16, 32), Region.SCRATCH, dtype, extents, (size, row, row * extents[1], 0))


@pytest.mark.parametrize("name", MACHINES)
def test_bounds_of_strided_transfers(name: str) -> None:
    machine = load_machine(name)
    form, dram, rng = DramForm(machine), Dram(machine), random.Random(0)
    total = bounds = 0
    for _ in range(120):
        td, write = strided(rng), rng.random() < 0.3
        bound, cycles = form.moved(td, write=write).cycles, dram.transfer(td, write=write).cycles
        assert bound <= cycles * (1 + SHARE) + CYCLES, td
        assert bound >= cycles * (1 - EARLY_SHARE) - EARLY_CYCLES, td
        total, bounds = total + cycles, bounds + bound
    assert bounds >= total * (1 - EARLY_IN_ALL)

"""Parts of the compiled schedule, as plain Python, against those of the timing model: ties and corners that programs seldom reach."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import simulator.fast.compiled as compilation
import simulator.fast.schedule as fast_schedule
import simulator.fast.sharing as fast_sharing
import simulator.fast.turnaround as fast_turnaround
from isa.spec import Engine, Region
from simulator.fast.block import BLOCK_DTYPE
from simulator.fast.layout import ADDRESS_BITS, RINGS, Access, Core
from simulator.timing.interlock import Interlock
from simulator.timing.resource import WHOLE, SharedResource, place
from simulator.timing.turnaround import Turnaround

ENGINES = (Engine.DML, Engine.DMS, Engine.MXU, Engine.VPU)
RING_LENGTH = 64


def plain(module: ModuleType) -> ModuleType:
    """The module once more, with its functions left to Python."""
    spec = spec_from_file_location(f"plain_{module.__name__}", module.__file__)
    assert spec is not None and spec.loader is not None
    made = module_from_spec(spec)
    with patch.multiple(compilation, compiled=lambda function: function, inlined=lambda function: function):
        spec.loader.exec_module(made)
    return made


schedule, sharing, turnaround = plain(fast_schedule), plain(fast_sharing), plain(fast_turnaround)


def block() -> SimpleNamespace:
    """The fields these functions use, empty."""
    names = ("core", "ring_ends", "ring_peaks", "transfers", "transfer_count", "times", "loads", "steps")
    made = SimpleNamespace(**{name: np.zeros(BLOCK_DTYPE[name].shape, np.int64) for name in names})
    made.accesses = np.zeros((RINGS, RING_LENGTH, Access.LENGTH), np.int64)
    made.core[Core.RING_MASK] = RING_LENGTH - 1
    made.steps[:, sharing.END] = 1
    return made


access = st.tuples(
    st.sampled_from(ENGINES),
    st.sampled_from([Region.SRAM, Region.SMEM]),
    st.integers(0, 5),  # first granule
    st.integers(1, 4),  # granules
    st.booleans(),
    st.integers(0, 4),  # how much later than the access before it is over: often at once
)
query = st.tuples(
    st.sampled_from([Region.SRAM, Region.SMEM]), st.integers(0, 8), st.integers(1, 4), st.booleans(), st.integers(0, 30)
)


@settings(max_examples=400, deadline=None)
@given(st.lists(access, max_size=40), st.lists(query, min_size=1, max_size=6))
def test_who_holds_up_an_access_and_until_when(accesses: list[tuple[Any, ...]], queries: list[tuple[Any, ...]]) -> None:
    """Accesses that finish together, of several engines: the same cycle, and the same one of them is named."""
    interlock, s, finish = Interlock(), block(), 0
    for engine, region, first, granules, write, later in accesses:
        finish += later
        low, high = 64 * first, 64 * (first + granules)
        interlock.add(region, low, high, write, finish, int(engine), -1)
        ring = engine - schedule.FIRST_ENGINE + (0 if write else schedule.READS)
        schedule.add_access(s, ring, low | region << ADDRESS_BITS, high | region << ADDRESS_BITS, finish)
    for region, first, granules, write, start in queries:
        low, high = 64 * first, 64 * (first + granules)
        until, by = interlock.blocked(region, low, high, write)
        expected = (until, by) if until > start else (start, -1)
        bias = region << ADDRESS_BITS
        assert schedule.blocked(s, low | bias, high | bias, write, start, -1) == expected


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 20), st.integers(1, 9), st.booleans()), max_size=60),
    st.integers(0, 9),
    st.integers(0, 9),
)
def test_cycles_lost_by_turning_the_bus_around(
    transfers: list[tuple[int, int, int, bool]], read_to_write: int, write_to_read: int
) -> None:
    """Long lists, so that both sides forget transfers, by rules of their own."""
    refresh = (11, 14, 40)
    model, s, now = Turnaround(read_to_write, write_to_read, refresh), block(), 0
    s.core[Core.READ_TO_WRITE], s.core[Core.WRITE_TO_READ] = read_to_write, write_to_read
    s.core[Core.READ_REFRESH], s.core[Core.WRITE_REFRESH], s.core[Core.REFRESH_INTERVAL] = refresh
    for step, delay, cycles, write in transfers:
        now += step
        start = now + delay
        if s.transfer_count[turnaround.IN_USE] > turnaround.FEW:
            turnaround.drop_transfers(s, now)
        assert turnaround.extra_cycles(s, start, int(write)) == model.extra_cycles(start, write)
        model.add(start, start + cycles, write, now)
        turnaround.remember_transfer(s, start, start + cycles, int(write))


shares = st.one_of(st.just(0), st.integers(1, WHOLE), st.sampled_from([1, 7, WHOLE // 3, WHOLE // 2, WHOLE - 1, WHOLE]))
work = st.tuples(st.integers(0, 9), st.integers(0, 30), st.integers(1, 40), shares, shares)


@settings(max_examples=300, deadline=None)
@given(st.lists(work, max_size=25))
def test_steps_of_load_and_lists_of_promises_end_work_alike(pieces: list[tuple[int, int, int, int, int]]) -> None:
    """And what they have promised at each time is the same."""
    sram, dram, s, now = SharedResource(), SharedResource(), block(), 0
    for step, delay, cycles, sram_share, dram_share in pieces:
        now += step
        assert sharing.has_room(s, now)
        demands = [(resource, share) for resource, share in ((sram, sram_share), (dram, dram_share)) if share]
        expected = place(now + delay, cycles, demands, now)
        assert sharing.place(s, now + delay, cycles, sram_share, dram_share) == expected
        for number, resource in enumerate((sram, dram)):
            for time in (now, now + delay, expected - 1, expected):
                promised = sum(share for start, end, share in resource.segments if start <= time < end)
                assert s.loads[number, sharing.step_at(s, number, time)] == promised


def test_steps_that_are_over_are_moved_out_of_the_way() -> None:
    """Long after the first thousand borders the lists are still short."""
    s, resource = block(), SharedResource()
    for now in range(0, 20_000, 10):
        assert sharing.has_room(s, now)
        share = WHOLE // 3 + now % 1000
        assert sharing.place(s, now + now % 7, 13, share, 0) == place(now + now % 7, 13, [(resource, share)], now)
    assert s.steps[sharing.SRAM, sharing.END] < sharing.COMPACT_AT + 20

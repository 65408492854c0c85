"""Parts of the compiled schedule, as plain Python, against those of the timing model: ties and corners that programs seldom reach."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import simulator.fast.compiled as compilation
import simulator.fast.interlock as fast_interlock
import simulator.fast.sharing as fast_sharing
import simulator.fast.turnaround as fast_turnaround
from isa.spec import Engine, Region
from simulator.fast.block import BLOCK_DTYPE
from simulator.fast.compiled import INTERPRETED
from simulator.fast.layout import ADDRESS_BITS, Core, Form, Operand
from simulator.fast.slots import GROUPS
from simulator.timing.interlock import Interlock
from simulator.timing.resource import WHOLE, Demand, SharedResource, place
from simulator.timing.turnaround import Turnaround

ENGINES = (Engine.DML, Engine.DMS, Engine.MXU, Engine.VPU)
FORM = 0
LENGTH = 1 << 10


def plain(module: ModuleType) -> ModuleType:
    """The module once more, with its functions left to Python, and so those of other modules that it calls: a part of the loop that is
    compiled cannot be called from Python."""
    spec = spec_from_file_location(f"plain_{module.__name__}", module.__file__)
    assert spec is not None and spec.loader is not None
    made = module_from_spec(spec)
    with patch.multiple(compilation, compiled=lambda function: function, inlined=lambda function: function):
        spec.loader.exec_module(made)
    for name, part in list(vars(made).items()):
        if not INTERPRETED and hasattr(part, "py_func"):
            setattr(made, name, getattr(plain(sys.modules[part.py_func.__module__]), name))
    return made


interlock, sharing, turnaround = plain(fast_interlock), plain(fast_sharing), plain(fast_turnaround)


def block() -> SimpleNamespace:
    """The fields these functions use, empty; lists are shorter."""
    names = ("core", "lows", "highs", "access_use", "share_use", "transfers", "transfer_count")
    made = SimpleNamespace(**{name: np.zeros(BLOCK_DTYPE[name].shape, np.int64) for name in names})
    for name in (
        "access_stamps",
        "access_lows",
        "access_highs",
        "access_orders",
        "share_ends",
        "share_starts",
        "shares",
    ):
        setattr(made, name, np.zeros((2, LENGTH), np.int64))
    made.forms = np.zeros((1, Form.LENGTH), np.int64)
    return made


access = st.tuples(
    st.sampled_from(ENGINES),
    st.sampled_from([Region.SRAM, Region.SMEM]),
    st.integers(0, 5),  # first granule
    st.integers(1, 4),  # granules
    st.booleans(),
    st.integers(0, 4),  # how much later than the access before it is over: often at once
)
operand = st.tuples(st.sampled_from([Region.SRAM, Region.SMEM]), st.integers(0, 8), st.integers(1, 4), st.booleans())
query = st.tuples(st.lists(operand, min_size=1, max_size=4), st.integers(0, 30))


@settings(max_examples=400, deadline=None)
@given(st.lists(access, max_size=40), st.lists(query, min_size=1, max_size=6))
def test_who_holds_up_an_instruction_and_until_when(
    accesses: list[tuple[Any, ...]], queries: list[tuple[list[tuple[Any, ...]], int]]
) -> None:
    """Accesses that finish together, of several engines: the same cycle, and the same one of them is named."""
    model, s, finish = Interlock(), block(), 0
    for engine, region, first, granules, write, later in accesses:
        finish += later
        low, high, bias = 64 * first, 64 * (first + granules), region << ADDRESS_BITS
        model.add(region, low, high, write, finish, int(engine), -1)
        interlock.add_access(s, int(engine), low | bias, high | bias, int(write), finish, -1)
    for operands, start in queries:
        expected = (start, -1)
        s.lows[:], s.highs[:], s.forms[FORM, Form.OPERANDS] = 0, 0, len(operands)
        for number, (region, first, granules, write) in enumerate(operands):
            low, high, bias = 64 * first, 64 * (first + granules), region << ADDRESS_BITS
            s.lows[number], s.highs[number] = low | bias, high | bias
            s.forms[FORM, Form.OPERAND + number * Operand.LENGTH + Operand.WRITE] = write
            until, by = model.blocked(region, low, high, write)
            expected = (until, by) if until > expected[0] else expected
        found = interlock.conflict(s, FORM)
        assert (found if found[0] > start else (start, -1)) == expected


def test_accesses_that_are_over_leave_their_places() -> None:
    """Never more than a few are in flight, so the lists stay short."""
    s = block()
    for now in range(10_000):
        interlock.add_access(s, 1, 64 * now, 64 * now + 64, now % 2, now + 10, now)
    assert s.access_use[:, GROUPS].tolist() == [1, 1]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 20), st.integers(1, 9), st.booleans()), max_size=60),
    st.integers(0, 9),
    st.integers(0, 9),
)
def test_cycles_lost_by_turning_the_bus_around(
    transfers: list[tuple[int, int, int, bool]], read_to_write: int, write_to_read: int
) -> None:
    """Long lists, so that both sides forget transfers, by rules of their own. Those of one direction follow each other."""
    refresh = (11, 14, 40)
    model, s, now = Turnaround(read_to_write, write_to_read, refresh), block(), 0
    s.core[Core.READ_TO_WRITE], s.core[Core.WRITE_TO_READ] = read_to_write, write_to_read
    s.core[Core.READ_REFRESH], s.core[Core.WRITE_REFRESH], s.core[Core.REFRESH_INTERVAL] = refresh
    free = {False: 0, True: 0}
    for step, delay, cycles, write in transfers:
        now += step
        start = max(now + delay, free[write])
        free[write] = start + cycles
        assert turnaround.extra_cycles(s, start, int(write)) == model.extra_cycles(start, write)
        model.add(start, start + cycles, write, now)
        turnaround.remember_transfer(s, start, start + cycles, int(write))


shares = st.one_of(st.just(0), st.integers(1, WHOLE), st.sampled_from([1, 7, WHOLE // 3, WHOLE // 2, WHOLE - 1, WHOLE]))
work = st.tuples(st.integers(0, 9), st.integers(0, 30), st.integers(1, 40), shares, shares)


@settings(max_examples=300, deadline=None)
@given(st.lists(work, max_size=25), st.integers(0, 20))
def test_work_ends_alike(pieces: list[tuple[int, int, int, int, int]], in_flight: int) -> None:
    """And what they have promised at each time is the same."""
    sram, dram, s, now = SharedResource(), SharedResource(), block(), 0
    for step, delay, cycles, sram_share, dram_share in pieces:
        now += step
        wanted = (Demand(sram, sram_share), Demand(dram, dram_share, in_flight))
        demands = [demand for demand in wanted if demand.share]
        expected = place(now + delay, cycles, demands, now)
        assert sharing.place(s, now + delay, cycles, sram_share, dram_share, in_flight, now) == expected
        for number, resource in enumerate((sram, dram)):
            for time in (now, now + delay, expected - 1, expected):
                promised = sum(share for start, end, share in resource.segments if start <= time < end)
                begun, running = s.share_starts[number] <= time, s.share_ends[number] > time
                assert s.shares[number][begun & running].sum() == promised


def test_promises_that_are_over_leave_their_places() -> None:
    """Long after the first thousand promises the lists are still short."""
    s, resource = block(), SharedResource()
    for now in range(0, 20_000, 10):
        share = WHOLE // 3 + now % 1000
        expected = place(now + now % 7, 13, [Demand(resource, share)], now)
        assert sharing.place(s, now + now % 7, 13, share, 0, 0, now) == expected
    assert s.share_use[:, GROUPS].tolist() == [1, 0]

"""The schedule against the judge, which goes cycle by cycle, and the sharing of memories against their capacity."""

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isa.descriptor import Descriptor
from isa.machine import load_machine
from isa.spec import BY_MNEMONIC, Dtype, Engine, Region
from simulator.timing import TimingModel
from simulator.timing.costs import Cost, Span
from simulator.timing.interlock import Interlock
from simulator.timing.resource import WHOLE, Demand, SharedResource, place
from tests.timing_judge.core import Core, Fixed
from tests.timing_judge.program import Access, Scalar

EDGE = load_machine("edge")
ROW = BY_MNEMONIC["vun"]
ENGINES = (Engine.DML, Engine.DMS, Engine.MXU, Engine.VPU)

accesses = st.lists(
    st.tuples(st.integers(0, 12), st.integers(1, 3), st.booleans()), min_size=1, max_size=3
)  # granule, granules, write
engine_steps = st.tuples(st.just("engine"), st.sampled_from(ENGINES), st.integers(1, 30), st.integers(0, 12), accesses)
scalar_steps = st.tuples(st.just("scalar"))
smem_steps = st.tuples(st.just("smem"), st.integers(0, 12), st.booleans())
programs = st.lists(st.one_of(engine_steps, scalar_steps, smem_steps), max_size=40)
GRANULE = 8


class Dispatched:
    """An engine step for the judge."""

    def __init__(self, step):
        _, self.engine, self.cycles, self.latency, mine = step
        self.accesses = [smem(low, size, write) for low, size, write in mine]


def smem(low, size, write):
    return Access(Region.SMEM, low * GRANULE, (low + size) * GRANULE, write)


def cycle_by_cycle(program, depth):
    """Start cycle of each engine step and the cycle everything is over, of the judge, with engines of known speed. Accesses
    are all in SMEM, so that scalar and engine instructions can conflict.
    """
    steps = [
        Dispatched(step) if step[0] == "engine" else Scalar(smem(step[1], 1, step[2]) if step[0] == "smem" else None)
        for step in program
    ]
    outcome = Core(steps, depth, lambda index: Fixed(steps[index].cycles, steps[index].latency)).run()
    return {flight.index: flight.start for flight in outcome.flights}, outcome.cycles


def run(program):
    timing = TimingModel(EDGE)
    costs, starts = [], {}
    timing.costs = SimpleNamespace(cost=lambda *_: costs[-1])
    for index, step in enumerate(program):
        if step[0] == "scalar":
            timing.scalar(0, ROW)
        elif step[0] == "smem":
            timing.smem(0, ROW, step[1] * GRANULE, (step[1] + 1) * GRANULE, step[2])
        else:
            _, engine, cycles, latency, mine = step
            spans = tuple(
                Span(0, int(Region.SMEM), low * GRANULE, (low + size) * GRANULE, GRANULE, write)
                for low, size, write in mine
            )
            costs.append(Cost(int(engine), cycles, 0, 0, latency, 0, 0, False, spans, ()))
            td = Descriptor(0, Region.SMEM, Dtype.I8, (1, 1, 1, 1), (1, 0, 0, 0))
            timing.engine(0, ROW, 0, 0, (td, None, None, None))
            starts[index] = timing._free[engine] - cycles
    return timing, starts


@settings(max_examples=150, deadline=None)
@given(programs)
def test_every_start_is_that_of_the_cycle_model(program):
    timing, starts = run(program)
    expected, end = cycle_by_cycle(program, EDGE.core.seq.queue_depth.value)
    assert starts == expected
    assert timing.cycles == end


@settings(max_examples=100, deadline=None)
@given(programs)
def test_busy_and_idle_are_the_total_of_every_engine(program):
    timing, _ = run(program)
    for engine in ENGINES:
        profile = timing.engines[engine]
        assert profile.busy == sum(step[2] for step in program if step[0] == "engine" and step[1] == engine)
        assert profile.busy + sum(profile.interlock) <= timing.cycles
    assert timing.instructions == len(program)
    assert timing.instructions + timing.seq.stalled == timing.now <= timing.cycles


@pytest.mark.parametrize("ignored", ["raw", "war", "waw"])
def test_a_missing_comparison_would_be_noticed(ignored, monkeypatch):
    """The programs of the property above distinguish every comparison of the interlock: without one, starts differ."""
    complete = Interlock.blocked

    def incomplete(self, region, low, high, write):
        reads, writes = self._reads, self._writes
        if ignored == "raw" and not write:
            return 0, -1
        if write and ignored == "war":
            self._reads = [[] for _ in reads]
        if write and ignored == "waw":
            self._writes = [[] for _ in writes]
        try:
            return complete(self, region, low, high, write)
        finally:
            self._reads, self._writes = reads, writes

    older_write, younger_write = {"raw": (True, False), "war": (False, True), "waw": (True, True)}[ignored]
    program = [
        ("engine", Engine.MXU, 20, 5, [(0, 2, older_write)]),
        ("engine", Engine.VPU, 3, 2, [(1, 1, younger_write)]),
    ]
    expected, _ = cycle_by_cycle(program, 4)
    assert run(program)[1] == expected
    monkeypatch.setattr(Interlock, "blocked", incomplete)
    assert run(program)[1] != expected


shares = st.one_of(st.integers(1, WHOLE), st.sampled_from([1, WHOLE // 3, WHOLE // 2, WHOLE - 1, WHOLE]))
pieces = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 60), shares, shares), max_size=12)


@settings(max_examples=150, deadline=None)
@given(pieces)
def test_shares_never_exceed_a_resource_and_all_work_is_done(work):
    one, two = SharedResource(), SharedResource()
    for start, cycles, first, second in work:
        before = len(one.segments), len(two.segments)
        end = place(start, cycles, [Demand(one, first), Demand(two, second)], 0)
        assert end >= start + cycles
        for resource, share, known in ((one, first, before[0]), (two, second, before[1])):
            mine = resource.segments[known:]
            received = sum((b - a) * promised for a, b, promised in mine)
            # Nothing is missing; the last stretch ends with a cycle and rounds up in each cycle.
            assert cycles * share <= received <= cycles * share + share + (end - start)
            assert all(start <= a < b <= end and promised <= share for a, b, promised in mine)
    for resource in (one, two):
        borders = sorted({time for a, b, _ in resource.segments for time in (a, b)})
        for time in borders[:-1]:
            assert sum(share for a, b, share in resource.segments if a <= time < b) <= WHOLE


@settings(max_examples=100, deadline=None)
@given(pieces, st.integers(0, 30), st.integers(0, 20))
def test_forgetting_what_is_over_changes_nothing(work, step, in_flight):
    """Promises that ended before now are dropped; with all of them kept, everything ends at the same time."""
    kept, pruned = SharedResource(), SharedResource()
    for count, (delay, cycles, share, _) in enumerate(work * 3):
        now = count * step
        assert place(now + delay, cycles, [Demand(kept, share, in_flight)], 0) == place(
            now + delay, cycles, [Demand(pruned, share, in_flight)], now
        )


def test_a_younger_instruction_gets_what_an_older_one_leaves():
    """Half of the resource is taken for 10 cycles: work that wants all of it gets half, then all."""
    resource = SharedResource()
    assert place(0, 10, [Demand(resource, WHOLE // 2)], 0) == 10
    assert place(4, 10, [Demand(resource, WHOLE)], 0) == 10 + (10 - 3)
    assert resource.segments[1:] == [(4, 10, WHOLE // 2), (10, 17, WHOLE)]


def test_what_is_in_flight_when_an_older_promise_begins_is_served_before_it():
    """All of the resource is promised for 100 cycles from cycle 10 on. Work of 14 cycles has 4 to do then."""
    promised, owed = (10, 110, WHOLE), (110, 114, WHOLE)
    for in_flight, end, served in ((3, 114, []), (4, 14, [(10, 14, WHOLE)])):
        resource = SharedResource()
        assert place(10, 100, [Demand(resource, WHOLE)], 0) == 110
        assert place(0, 14, [Demand(resource, WHOLE, in_flight)], 0) == end
        assert sorted(resource.segments) == sorted([promised, (0, 10, WHOLE), owed, *served])

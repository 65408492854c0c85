"""Engines that run ahead of each other, held up by nothing but the address interlock, leave the bytes of sequential execution.

Random programs on small windows of memory: most operands overlap or touch others, by bytes or by granules.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isa.descriptor import Descriptor
from isa.encoding import decode_text, encode
from isa.spec import Dtype, Engine, Feature, Region
from simulator.memory import Memory
from simulator.reference.engine import Options, ReferenceEngine
from simulator.state import State
from simulator.timing.interlock import Interlock
from tests.property.chaos_programs import X_VALUES, Program
from tests.property.chaos_streams import filled_memory, random_program
from tests.property.chaos_support import (
    Divergence,
    Recorder,
    Replay,
    Rule,
    Step,
    check_equal,
    copy_of,
    inwards,
)
from tests.property.chaos_timing import execute_in, timed_order


@dataclass
class Recorded:
    """A program's stream, the memory before it and the memory after sequential execution."""

    steps: list[Step]
    before: Memory
    after: Memory


def recorded(program: Program) -> Recorded:
    """Sequential execution by the reference engine, watched."""
    memory = filled_memory()
    before = copy_of(memory)
    text = decode_text(program.text)
    state = State(memory, len(text))
    state.x[: len(X_VALUES)] = X_VALUES
    for register, d in enumerate(program.tds):
        state.set_descriptor(register, d)
    recorder = Recorder()
    recorder.watch(state, text)
    assert not list(ReferenceEngine(text, state, recorder, Options(features=Feature.SPARSE)).run(0))
    return Recorded(recorder.steps, before, memory)


def replayed(run: Recorded, rng: random.Random, rule: Rule | None = None) -> list[int]:
    """One random interleaving; raises Divergence if it can be told from the sequential run."""
    memory = copy_of(run.before)
    order = Replay(run.steps, memory, rng, rule or Rule()).run()
    check_equal(memory, run.after)
    return order


randoms = st.randoms(use_true_random=False)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(randoms, st.integers(2, 30), st.integers(0, 2**32))
def test_any_legal_interleaving_leaves_the_same_bytes(rng: random.Random, length: int, seed: int) -> None:
    run = recorded(random_program(rng, length))
    for attempt in range(3):
        replayed(run, random.Random(seed + attempt))


@cache
def fixed_run(seed: int) -> Recorded:
    return recorded(random_program(random.Random(seed), 30))


def fixed_runs(count: int) -> list[Recorded]:
    return [fixed_run(seed) for seed in range(count)]


def test_fixed_programs_are_reordered_and_leave_the_same_bytes() -> None:
    """Not vacuous: most replays run in another order than the program's."""
    reordered = 0
    for number, run in enumerate(fixed_runs(60)):
        orders = [replayed(run, random.Random(1000 * number + attempt)) for attempt in range(5)]
        reordered += sum(order != sorted(order) for order in orders)
    assert reordered > 200


@pytest.mark.long
def test_many_programs_leave_the_same_bytes() -> None:
    for seed in range(10_000, 11_500):
        run = recorded(random_program(random.Random(seed), 30))
        for attempt in range(8):
            replayed(run, random.Random(1000 * seed + attempt))


MUTATIONS = {
    "raw": Rule(raw=False),
    "war": Rule(war=False),
    "waw": Rule(waw=False),
    "scalars": Rule(scalars_wait=False),
    "rounding": Rule(rounded=inwards),
}


@pytest.mark.parametrize("mutation", sorted(MUTATIONS))
def test_a_compare_left_out_is_caught(mutation: str) -> None:
    """Each part of the rule is needed: without it some replay differs."""
    caught = 0
    for number, run in enumerate(fixed_runs(60)):
        for attempt in range(5):
            try:
                replayed(run, random.Random(1000 * number + attempt), MUTATIONS[mutation])
            except Divergence:
                caught += 1
    assert caught


def test_the_index_after_the_last_value_of_a_list_is_part_of_it() -> None:
    """A vtopk list ends four bytes after the interval of its descriptor, here in the next granule."""
    entry = Descriptor(60, Region.SRAM, Dtype.F32, (1, 1, 1, 1), (8, 0, 0, 0))
    row = Descriptor(1024, Region.SRAM, Dtype.F32, (8, 1, 1, 1), (4, 0, 0, 0))
    index = Descriptor(64, Region.SRAM, Dtype.I32, (1, 1, 1, 1), (4, 0, 0, 0))
    target = replace(index, base=0, region=Region.KV)
    words = [encode("vtopk", ta=0, tb=1, rs=0), encode("st", ta=2, tb=3)]
    run = recorded(Program(words, [entry, row, target, index]))
    for seed in range(20):
        replayed(run, random.Random(seed))


# The timing model itself as the source of interleavings.


def test_the_order_of_the_timing_model_leaves_the_same_bytes() -> None:
    """Every instruction takes effect at a random instant of the time the model gives it, under random durations."""
    reordered = 0
    for number, run in enumerate(fixed_runs(60)):
        for attempt in range(5):
            order = timed_order(run.steps, random.Random(1000 * number + attempt))
            execute_in(order, run.steps, run.before, run.after)
            reordered += order != sorted(order)
    assert reordered > 200


class WithoutRaw(Interlock):
    def blocked(self, region: int, low: int, high: int, write: bool) -> tuple[int, int]:
        return super().blocked(region, low, high, write) if write else (0, -1)


class WithoutWar(Interlock):
    def blocked(self, region: int, low: int, high: int, write: bool) -> tuple[int, int]:
        return super().blocked(region, low, high, False)


class WithoutWaw(Interlock):
    """Writes wait for reads only, which a second interlock keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = Interlock()

    def blocked(self, region: int, low: int, high: int, write: bool) -> tuple[int, int]:
        return self.reads.blocked(region, low, high, True) if write else super().blocked(region, low, high, False)

    def add(self, region: int, low: int, high: int, write: bool, finish: int, engine: int, now: int) -> None:
        super().add(region, low, high, write, finish, engine, now)
        if not write:
            self.reads.add(region, low, high, False, finish, engine, now)


@pytest.mark.parametrize("broken", [WithoutRaw, WithoutWar, WithoutWaw])
def test_a_broken_interlock_of_the_timing_model_is_caught(broken: type[Interlock]) -> None:
    caught = 0
    for number, run in enumerate(fixed_runs(40)):
        for attempt in range(3):
            try:
                order = timed_order(run.steps, random.Random(1000 * number + attempt), broken)
                execute_in(order, run.steps, run.before, run.after)
            except Divergence:
                caught += 1
    assert caught


def test_engines_are_all_there() -> None:
    """The random programs use every engine and scalar accesses."""
    engines = {step.engine for run in fixed_runs(20) for step in run.steps}
    assert engines == {Engine.SEQ, Engine.DML, Engine.DMS, Engine.MXU, Engine.VPU}

"""Compiled models under chaos: the engine instructions of a real run, in any order the interlock allows, leave the same bytes."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache

import pytest

from frontends import load_program
from simulator.memory import Memory
from simulator.session import Session
from tests.end_to_end.e2e_support import PUBLISHED, build, options
from tests.property.chaos_support import Divergence, Recorder, Replay, Rule, Step, check_equal, copy_of
from tests.property.chaos_timing import execute_in, timed_order

PROMPT = [1, 2, 3, 4, 5]
NEW_TOKENS = 2
CONTEXT = 64
MODELS = (("fp32", "tiny"), ("w8a8", "tiny"), ("w8a8-kv8", "tiny"), ("w8a8", "edge"))


@dataclass
class Generation:
    """The stream of a generation, the memory before and after."""

    steps: list[Step]
    before: Memory
    after: Memory


class First(Recorder):
    """Also keeps the memory as it was before the first instruction that can change it."""

    before: Memory | None = None

    def scalar(self, pc: int, row: object) -> None:
        self._keep()

    def smem(self, pc: int, row: object, low: int, high: int, write: bool) -> None:
        assert self.before or not write, "a program that begins with a store"
        self._keep()
        super().smem(pc, row, low, high, write)

    def mark(self, pc: int, label: int, value: int) -> None:
        self._keep()

    def engine(self, *arguments: object) -> None:
        assert self.before, "a program that begins with an engine instruction"
        super().engine(*arguments)

    def _keep(self) -> None:
        if self.before is None:
            self.before = copy_of(self._state.memory)


@cache
def generation(scheme: str, machine: str) -> Generation:
    executable = build(load_program(PUBLISHED / "gqa"), options(machine, scheme, CONTEXT))
    recorder = First()
    session = Session(executable, observer=recorder)
    recorder.watch(session.state, executable.text)
    tokens = list(session.generate(PROMPT, NEW_TOKENS))
    assert len(tokens) == NEW_TOKENS and recorder.tokens == tokens
    assert recorder.before is not None
    return Generation(recorder.steps, recorder.before, session.state.memory)


def replayed(run: Generation, rng: random.Random, rule: Rule | None = None) -> list[int]:
    memory = copy_of(run.before)
    order = Replay(run.steps, memory, rng, rule or Rule()).run()
    check_equal(memory, run.after)
    return order


@pytest.mark.parametrize(("scheme", "machine"), MODELS)
def test_a_generation_is_the_same_in_any_order(scheme: str, machine: str) -> None:
    run = generation(scheme, machine)
    for seed in range(3):
        order = replayed(run, random.Random(seed))
        assert order != sorted(order)


@pytest.mark.parametrize(("scheme", "machine"), MODELS)
def test_a_generation_is_the_same_in_the_order_of_the_timing_model(scheme: str, machine: str) -> None:
    """Long enough that the interlock forgets finished accesses many times."""
    run = generation(scheme, machine)
    for seed in range(3):
        order = timed_order(run.steps, random.Random(seed))
        assert order != sorted(order)
        execute_in(order, run.steps, run.before, run.after)


@pytest.mark.long
@pytest.mark.parametrize(("scheme", "machine"), MODELS)
def test_a_generation_is_the_same_in_many_orders(scheme: str, machine: str) -> None:
    for seed in range(100, 160):
        replayed(generation(scheme, machine), random.Random(seed))


MUTATIONS = {"raw": Rule(raw=False), "war": Rule(war=False), "scalars": Rule(scalars_wait=False)}


@pytest.mark.parametrize("mutation", sorted(MUTATIONS))
def test_a_compiled_program_needs_each_compare(mutation: str) -> None:
    """Double buffering without WAR overwrites operands still in use, without RAW it computes with old ones."""
    caught = 0
    for seed in range(4):
        try:
            replayed(generation("w8a8", "tiny"), random.Random(seed), MUTATIONS[mutation])
        except Divergence:
            caught += 1
    assert caught

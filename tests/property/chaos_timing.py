"""The timing model as a source of interleavings: each instruction takes effect within the time the model gives it."""

from __future__ import annotations

import random
import tomllib
from dataclasses import replace
from functools import cache
from importlib import resources

import numpy as np

from isa.machine import Machine
from isa.spec import Feature
from simulator.memory import Memory
from simulator.reference.operands import Context
from simulator.timing import TimingModel
from simulator.timing.costs import CostModel
from simulator.timing.interlock import Interlock
from tests.property.chaos_support import Step, access_smem, check_equal, copy_of, execute

LONG_CYCLES = 400


class RandomCosts:
    """The cost model with random durations: the order of completion becomes random, the interlock stays the real one."""

    def __init__(self, costs: CostModel, rng: random.Random) -> None:
        self.costs, self.rng, self.dram = costs, rng, costs.dram

    def cost(self, *arguments: object) -> object:
        cycles = self.rng.choice((1, 5, 30, LONG_CYCLES))
        latency = self.rng.choice((0, 3, 100))
        real = self.costs.cost(*arguments)
        return replace(real, cycles=cycles, latency=latency, sram_share=0, dram_share=0)


@cache
def deep_machine(queue_depth: int) -> Machine:
    data = tomllib.loads((resources.files("isa") / "machines" / "tiny.toml").read_text("utf-8"))
    data["cores"][0]["seq"]["queue_depth"]["value"] = queue_depth
    return Machine.from_canonical(data)


def timed_order(steps: list[Step], rng: random.Random, interlock: type[Interlock] = Interlock) -> list[int]:
    """Indices of the steps by a random instant between start and finish of each, as the timing model has them."""
    timing = TimingModel(deep_machine(rng.choice((1, 4, 16))))
    timing.costs = RandomCosts(timing.costs, rng)
    timing._interlock = interlock()
    instants = []
    for step in steps:
        if step.issue is None:
            access = step.accesses[0]
            timing.smem(step.pc, None, access.low, access.high, access.write)
            start, finish = timing.now - 1, timing.now
        else:
            before, timing.frontier = timing.frontier, 0
            issue = step.issue
            timing.engine(step.pc, issue.row, 0, issue.fl, step.captured)
            finish, timing.frontier = timing.frontier, max(before, timing.frontier)
            start = timing._starts[step.engine][-1]
        instants.append(start + rng.random() * (finish - start))
    return sorted(range(len(steps)), key=instants.__getitem__)


def execute_in(order: list[int], steps: list[Step], before: Memory, after: Memory) -> None:
    """Executes in this order on a copy of `before`. Raises Divergence if it can be told from the sequential run."""
    memory = copy_of(before)
    context = Context(memory, Feature.SPARSE)
    with np.errstate(all="ignore"):
        for index in order:
            step = steps[index]
            if step.issue is None:
                access_smem(memory, step)
            else:
                execute(context, step)
    check_equal(memory, after)

"""Random programs that are made like models: tokens of layers that find their weights, keys and values in tables, with marks before
each layer, and attention at a new length each token. Runs that pass over what they have seen are equal to those of the reference engine.
"""

from __future__ import annotations

import random
from collections import Counter
from unittest.mock import patch

import numpy as np
import pytest

from isa.assembler import assemble
from isa.descriptor import Descriptor, dense_strides
from isa.encoding import decode_text
from isa.machine import Machine
from isa.spec import Dtype, Feature, Region
from simulator.fast import tables
from simulator.fast.engine import FastEngine
from simulator.fast.layout import Core
from simulator.fast.timing import FastTiming
from simulator.fast.trace_layout import Trace
from simulator.memory import Memory
from simulator.reference.engine import Options, ReferenceEngine
from simulator.state import State
from simulator.timing import TimingModel
from tests.property.lockstep import TIMING_ABSENT, assert_same_records, random_machine, run_both

SIZES = {Region.SRAM: 1 << 16, Region.KV: 1 << 18, Region.IO: 1 << 12, Region.WEIGHT: 1 << 20, Region.SCRATCH: 1 << 12}
TABLE, ENTRY_BYTES = 4096, 24
"""In SMEM, of each layer: where its weights, its keys and its values begin."""
ROW_BYTES = 64
WEIGHT, TILE, OTHER, RESULT, ROW, STORED, BLOCK, KEYS, LISTED, SUM, HALF = range(11)
"""Descriptor registers."""

WORK = (
    "vbin.add t3, t1, t2",
    "vun.exp t3, t1",
    "vbin.mul t1, t3, t2",
    "vred.sum t9, t3",
    "vun.mov t4, t10",
)
NEXT_LAYER = """
        alu.add x2, x2, 1
        br.lt   x2, x3, layer
        alu.add x1, x1, 1
        br.lt   x1, x4, token
        halt
"""


def weights(rng: random.Random, name: str) -> str:
    """A loop over tiles of weights."""
    work = "\n".join(rng.choices(WORK, k=rng.randint(2, 5)))
    tiles = rng.randint(2, 6)
    return f"""
        alu.add x9, x0, 0
        alu.add x16, x0, {tiles}
{name}: alu.mul x10, x9, {rng.choice((256, 512, 320))}
        alu.add x10, x6, x10
        tdset   t0.base, x10
        ld      t1, t0
        {work}
        alu.add x9, x9, 1
        br.lt   x9, x16, {name}
"""


def attention(rng: random.Random) -> str:
    """Stores a row of keys and one of values at the position, and reads all so far, block by block."""
    block, work = rng.choice((4, 8)), "\n".join(rng.choices(WORK, k=2))
    return f"""
        alu.mul x11, x1, {ROW_BYTES}
        alu.add x12, x7, x11
        tdset   t5.base, x12
        st      t5, t4
        alu.add x12, x8, x11
        tdset   t5.base, x12
        st      t5, t4
        alu.add x9, x0, 0
blocks: alu.sub x13, x1, x9
        alu.add x13, x13, 1
        alu.min x13, x13, {block}
        tdset   t6.e1, x13
        tdset   t7.e1, x13
        alu.mul x14, x9, {ROW_BYTES}
        alu.add x15, x{rng.choice((7, 8))}, x14
        tdset   t7.base, x15
        ld      t6, t7
        {work}
        alu.add x9, x9, {block}
        br.ge   x1, x9, blocks
"""


def model(rng: random.Random) -> str:
    """The program; x1: position, x2: layer."""
    entry = [f"lds.8 x{6 + place}, {TABLE + 8 * place}(x5)" for place in range(3)]
    body = [weights(rng, "before"), attention(rng), weights(rng, "after")]
    body.insert(rng.randint(0, 3), rng.choice(("", "", "sts.8 x1, 8(x0)", "vtopk t8, t3, x0")))
    head = "token: alu.add x2, x0, 0\nlayer: mark x2, 0\n" + f"alu.mul x5, x2, {ENTRY_BYTES}\n"
    return head + "\n".join(entry + body) + NEXT_LAYER


def dense(base: int, region: Region, columns: int, rows: int = 1) -> Descriptor:
    extents = columns, rows, 1, 1
    return Descriptor(base, region, Dtype.F32, extents, dense_strides(Dtype.F32, extents))


DESCRIPTORS = {
    WEIGHT: dense(0, Region.WEIGHT, 32),
    TILE: dense(0, Region.SRAM, 32),
    OTHER: dense(4096, Region.SRAM, 32),
    RESULT: dense(8192, Region.SRAM, 32),
    ROW: dense(12288, Region.SRAM, 16),
    STORED: dense(0, Region.KV, 16),
    BLOCK: dense(16384, Region.SRAM, 16, 8),
    KEYS: dense(0, Region.KV, 16, 8),
    SUM: dense(24576, Region.SRAM, 1),
    HALF: dense(8192, Region.SRAM, 16),
    LISTED: Descriptor(1024, Region.SMEM, Dtype.F32, (4, 1, 1, 1), (8, 0, 0, 0)),
}


def state_of(rng: random.Random) -> State:
    """Keys and values of layers at even distances, mostly, and weights anywhere."""
    state = State(Memory(SIZES, {}, TIMING_ABSENT), 0)
    layers, distance, between = rng.randint(3, 7), rng.choice((8192, 8192, 4160, 4100)), rng.choice((65536, 2048))
    table = np.frombuffer(state.memory.smem, np.int64)[TABLE // 8 :]
    for layer in range(layers):
        jitter = 64 * rng.randint(0, 3) if rng.random() < 0.2 else 0
        table[3 * layer : 3 * layer + 3] = (
            layer * rng.choice((16384, 16384, 10240)),
            layer * distance + jitter,
            layer * distance + between,
        )
    state.x[1], state.x[3] = rng.choice((0, 5, 20)), layers
    state.x[4] = state.x[1] + rng.randint(4, 12)
    for register, descriptor in DESCRIPTORS.items():
        state.set_descriptor(register, descriptor)
    return state


def run_model(seed: int, counts: Counter[str]) -> None:
    """Compares; counts the runs in which traces of a kind were passed over."""
    rng = random.Random(seed)
    text, machine = assemble(model(rng)).text, random_machine(rng)
    place = rng.random()
    with patch.multiple(tables, HOT_VISITS=rng.choice((1, 2)), GROW_AT=rng.choice((1, 2))):
        run_both(text, machine, lambda: state_of(random.Random(place)), seed=seed)
        clock = passing(text, machine, state_of(random.Random(place)))
    traces = clock.block.traces[: clock.block.core[Core.TRACES]]
    passed = traces[traces[:, Trace.PASSES] > 0]
    counts["passed"] += len(passed) > 0
    counts["anchored"] += bool((passed[:, Trace.IS_ANCHORED] > 0).any())
    counts["loads"] += bool((passed[:, Trace.LOADS + 1] > 0).any())
    counts["to a mark"] += bool((passed[:, Trace.END] == 1).any())
    counts["grown"] += bool((passed[:, Trace.SHORTER] > 0).any())


def passing(text: bytes, machine: Machine, state: State) -> FastTiming:
    decoded = decode_text(text)
    state.instructions = len(decoded)
    clock = FastTiming(machine, decoded)
    list(FastEngine(state, clock, Options(Feature.SPARSE, timing_only=True)).run(0))
    return clock


def test_models_take_the_same_time_if_most_of_their_layers_are_passed_over() -> None:
    counts: Counter[str] = Counter()
    for seed in range(50):
        run_model(seed, counts)
    assert min(counts["passed"], counts["loads"], counts["grown"]) > 20, counts
    assert min(counts["anchored"], counts["to a mark"]) > 1, counts


@pytest.mark.long
def test_many_models_take_the_same_time() -> None:
    counts: Counter[str] = Counter()
    for seed in range(1000, 3000):
        run_model(seed, counts)


@pytest.mark.parametrize("seed", range(3))
def test_full_tables_are_emptied_in_the_middle_of_a_run(seed: int) -> None:
    """What was passed over by then stays counted."""
    rng = random.Random(seed)
    source = model(rng).replace("alu.add x1, x1, 1", "yield x1, 9\n alu.add x1, x1, 1")
    text, machine = decode_text(assemble(source).text), random_machine(rng)
    judge, options = TimingModel(machine), Options(timing_only=True)
    states = [state_of(random.Random(seed)) for _ in range(2)]
    for state in states:
        state.instructions = len(text)
    with patch.multiple(tables, HOT_VISITS=1, GROW_AT=1):
        clock = FastTiming(machine, text)
        for _ in FastEngine(states[1], clock, options).run(0):
            clock.block.core[Core.STALE] = 1
    assert [e.kind for e in ReferenceEngine(text, states[0], judge, options).run(0)][0] == 9
    assert_same_records(clock.records(), judge.records())

"""Runs that pass over what they have seen, beside runs that execute everything: equal in every byte, cycle and count."""

from __future__ import annotations

import contextlib
import random
from unittest.mock import patch

import pytest

from isa.encoding import decode, decode_text, encode
from isa.machine import Machine
from isa.spec import READ_ONLY_REGIONS, TD_OPERANDS, Feature, Flag, Region, used_fields
from simulator.fast import tables
from simulator.fast.engine import FastEngine
from simulator.fast.layout import Core
from simulator.fast.timing import FastTiming
from simulator.fast.trace_layout import Trace
from simulator.reference.engine import Options
from simulator.state import State
from simulator.traps import TrapError
from tests.property.chaos_programs import X_VALUES, Program
from tests.property.chaos_streams import filled_memory, random_program
from tests.property.lockstep import TIMING_ABSENT, random_machine, run_both

COUNT, POINTER, LIMIT, STEP = 9, 10, 11, 12  # x-registers
ITERATIONS = 40


def allowed(word: bytes, program: Program, rng: random.Random) -> bool:
    """Most of what a trace cannot have is left out, so that most loops have traces."""
    d = decode(word)
    used = used_fields(d.row, d.fl)
    regions = [program.tds[getattr(d, name)].region for name in TD_OPERANDS if name in used]
    return (d.row.mnemonic not in ("sts", "vtopk") and Region.SMEM not in regions) or rng.random() < 0.02


def loop(rng: random.Random, program: Program) -> bytes:
    """The stream again and again, reading weights from higher and higher addresses, with one instruction now and then."""
    words: list[bytes] = []
    for word in program.words:
        if not allowed(word, program, rng):
            continue
        d = decode(word)
        used = used_fields(d.row, d.fl)
        for name in TD_OPERANDS:
            if name in used and program.tds[getattr(d, name)].region in READ_ONLY_REGIONS and rng.random() < 0.7:
                words.append(encode("tdset", fn="base", fl=Flag(0), ta=getattr(d, name), rs=POINTER))
        words.append(word)
    if rng.random() < 0.5:  # not always the same way
        words.insert(0, encode("alu", fn="and", fl=Flag.I, rd=13, rs=COUNT, imm=rng.choice((1, 3, 7))))
        words.insert(1, encode("br", fn="ne", rs=13, rt=0, imm=3))
    words += [
        encode("alu", fn="add", fl=Flag(0), rd=POINTER, rs=POINTER, rt=STEP),
        encode("alu", fn="add", fl=Flag.I, rd=COUNT, rs=COUNT, imm=1),
        encode("br", fn="lt", rs=COUNT, rt=LIMIT, imm=0),
        encode("alu", fn="add", fl=Flag.I, rd=COUNT, rs=0, imm=0),
        encode("alu", fn="and", fl=Flag.I, rd=POINTER, rs=POINTER, imm=1023),
        encode("alu", fn="add", fl=Flag.I, rd=14, rs=14, imm=1),
        encode("br", fn="lt", rs=14, rt=15, imm=0),
        encode("halt"),
    ]
    return b"".join(words)


def run_loop(seed: int) -> tuple[int, int]:
    """Compares; returns how many instructions were passed over, and the most cuts of a trace that was passed over."""
    rng = random.Random(seed)
    program = random_program(rng, rng.randint(3, 14))
    text, machine, step = loop(rng, program), random_machine(rng), rng.choice((0, 0, 4, 64, 128))

    def state() -> State:
        memory = filled_memory()
        for region in TIMING_ABSENT:
            del memory.arrays[region]
        made = State(memory, 0)
        made.x[: len(X_VALUES)] = X_VALUES
        made.x[LIMIT], made.x[STEP], made.x[15] = ITERATIONS, step, 8
        for register, d in enumerate(program.tds):
            made.set_descriptor(register, d)
        return made

    with patch.multiple(tables, HOT_VISITS=1, GROW_AT=1):
        run_both(text, machine, state, seed=seed)
        return passed(text, machine, state())


def passed(text: bytes, machine: Machine, state: State) -> tuple[int, int]:
    decoded = decode_text(text)
    state.instructions = len(decoded)
    clock = FastTiming(machine, decoded)
    with contextlib.suppress(TrapError):
        list(FastEngine(state, clock, Options(Feature.SPARSE, timing_only=True)).run(0))
    traces = clock.block.traces
    return int(clock.block.core[Core.PASSED]), int(traces[traces[:, Trace.PASSES] > 0, Trace.CUTS].max(initial=0))


def test_loops_take_the_same_time_if_most_of_them_is_passed_over() -> None:
    """Some with traces of several turns."""
    results = [run_loop(seed) for seed in range(60)]
    assert sum(count > 0 for count, _ in results) > 30
    assert sum(cuts > 4 for _, cuts in results) > 5


@pytest.mark.long
def test_many_loops_take_the_same_time() -> None:
    for seed in range(1000, 4000):
        run_loop(seed)

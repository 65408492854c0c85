"""Random programs on both engines: equal events, traps, registers, memories, cycles and counts."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isa.descriptor import Descriptor
from isa.encoding import decode_text, encode
from isa.machine import load_machine
from isa.spec import BY_MNEMONIC, Flag, Region, used_fields
from simulator.fast.compiled import INTERPRETED
from simulator.fast.engine import FastEngine
from simulator.fast.kernels import elementwise, matrix_shape
from simulator.fast.layout import Core
from simulator.state import State
from tests.property import lockstep
from tests.property.chaos_programs import BY_NAME, MIX, X_VALUES, Draft, Layout, drafted
from tests.property.chaos_streams import SIZES as CHAOS_SIZES
from tests.property.chaos_streams import filled_memory, random_program
from tests.property.lockstep import TIMING_ABSENT, Outcome, random_machine, run_both
from tests.property.random_programs import instructions, prepared, registers, x_values

MACHINES = {name: load_machine(name) for name in ("edge", "tiny")}
STREAM_LENGTH = 60
CAMPAIGN_INSTRUCTIONS, CAMPAIGN_PARTS = 1_000_000, 50
QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]


EVERYTHING = frozenset[Region]()
KINDS = ((True, EVERYTHING), (True, TIMING_ABSENT), (False, EVERYTHING), (False, EVERYTHING))
"""Whether runs are timing-only, and regions without storage."""


def run_program(
    tds: list[Descriptor],
    values: list[int],
    program: list[bytes],
    seed: int,
    name: str,
    kind: tuple[bool, frozenset[Region]],
) -> Outcome:
    timing_only, absent = kind

    def state() -> State:
        core = prepared(tds, values, seed)
        for region in absent:
            del core.memory.arrays[region]
        return core.state

    text = b"".join(program)
    return run_both(text, MACHINES[name], state, seed=seed, watchdog=300, timing_only=timing_only)


programs = st.tuples(
    registers,
    x_values,
    st.lists(instructions(), max_size=12),
    st.integers(0, 2**64 - 1),
    st.sampled_from(sorted(MACHINES)),
    st.sampled_from(KINDS),
)


@settings(max_examples=200, deadline=None, suppress_health_check=QUIET)
@given(programs)
def test_any_program_ends_alike(program: tuple[object, ...]) -> None:
    run_program(*program)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=160).map(lambda data: data[: len(data) // 16 * 16]))
def test_arbitrary_bytes_trap_alike(text: bytes) -> None:
    run_both(text, MACHINES["edge"], lambda: prepared([], [0] * 7, 0).state, watchdog=300)


def run_stream(seed: int, threads: int = 1) -> Outcome:
    """Engine instructions that overlap, conflict and share memories, on a random machine; with threads three times the same, as
    the loop stops at shapes that it meets for the first time, and always with values.
    """
    rng = random.Random(seed)
    program = random_program(rng, STREAM_LENGTH)
    if threads > 1:
        program.words.append(encode("alu", fn="add", fl=Flag.I, rd=20, rs=20, imm=1))
        program.words.append(encode("br", fn="ne", rs=20, rt=X_VALUES.index(3), imm=0))
    timing_only, absent = rng.choice(KINDS) if threads == 1 else (False, EVERYTHING)

    def state() -> State:
        memory = filled_memory()
        for region in absent:
            del memory.arrays[region]
        made = State(memory, 0)
        made.x[: len(X_VALUES)] = X_VALUES
        for register, d in enumerate(program.tds):
            made.set_descriptor(register, d)
        return made

    return run_both(program.text, random_machine(rng), state, seed=seed, timing_only=timing_only, threads=threads)


def test_streams_of_conflicting_instructions_take_the_same_time() -> None:
    contended = blocked = waited = full = 0
    for seed in range(40):
        records = run_stream(seed).records
        contended += any(engine.contention for engine in records.engines.values())
        blocked += any(sum(engine.interlock) for engine in records.engines.values())
        waited += records.seq.smem_wait > 0
        full += sum(records.seq.queue_full) > 0
    assert min(contended, blocked, waited, full) > 10, "the streams exercise everything that takes time"


@pytest.mark.skipif(INTERPRETED, reason="there are no threads")
def test_kernels_that_run_beside_the_loop_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every product and every elementwise instruction is posted. The loop's own part of it is done when something waits for it: an
    instruction that does not wait, but ought to, finds other bytes.
    """
    monkeypatch.setattr(matrix_shape, "WORTH_DIVIDING_PRODUCTS", 1)
    monkeypatch.setattr(elementwise, "WORTH_DIVIDING", 1)
    engines: list[FastEngine] = []

    def made(*arguments: Any, **settings: Any) -> FastEngine:
        engines.append(FastEngine(*arguments, **settings))
        return engines[-1]

    monkeypatch.setattr(lockstep, "FastEngine", made)
    posted = 0
    for seed in range(60):
        run_stream(seed, 2 + seed % 2)
        posted += int(engines.pop().timing.block.core[Core.POSTED])
    assert posted > 300


def test_a_transfer_long_after_one_of_the_other_direction_takes_the_same_time() -> None:
    """Found by the test below: the older one was forgotten in one engine, and waited for a refresh in the other."""
    run_stream(1735)


@pytest.mark.long
@pytest.mark.parametrize("part", range(CAMPAIGN_PARTS))
def test_a_million_random_instructions_do_the_same(part: int) -> None:
    """Counted as executed, each by both engines."""
    seed, left = 1_000_000 * (1 + part), CAMPAIGN_INSTRUCTIONS // CAMPAIGN_PARTS
    while left > 0:
        left -= run_stream(seed).records.instructions
        seed += 1


@pytest.mark.long
@settings(max_examples=20_000, deadline=None, suppress_health_check=QUIET)
@given(programs)
def test_many_programs_end_alike(program: tuple[object, ...]) -> None:
    run_program(*program)


def moved_base(rng: random.Random, draft: Draft, name: str) -> int:
    """A base for an operand: at, before or behind another one, off its alignment, at an end of its region, or as it was."""
    own, other = draft.tds[name], draft.tds[rng.choice(sorted(draft.tds))]
    low, high = own.interval()
    near = rng.choice(other.interval()) - rng.choice((0, high - own.base, low - own.base))
    end = CHAOS_SIZES.get(own.region, 8192) - (high - own.base)
    base = rng.choice((own.base, near, other.base, own.base + 64, end, 0, own.base - low)) + rng.choice(
        (0, 0, 0, 1, -1, 4, -64)
    )
    return max(0, base)


def run_twice(seed: int) -> Outcome:
    """A legal instruction, then the same one with an operand somewhere else: what depends on bases is checked each time."""
    rng = random.Random(seed)
    draft = drafted(rng, rng.choice(BY_NAME[rng.choice(MIX)]), Layout(rng, 512, apart=True, first_smem=1024))
    draft.fields.pop("rs", None)
    registers = {name: place for place, name in enumerate(draft.tds)}
    if "rs" in used_fields(BY_MNEMONIC[draft.form.mnemonic], draft.form.fl):
        draft.fields["rs"] = 1
    name = rng.choice(sorted(draft.tds))
    words = [
        draft.text(registers),
        encode("tdset", fn="base", fl=Flag(0), ta=registers[name], rs=2),
        encode("br", fn="ne", rs=3, rt=0, imm=5),
        encode("alu", fn="add", fl=Flag.I, rd=3, rs=0, imm=1),
        encode("jal", rd=0, imm=0),
        encode("halt"),
    ]

    def state() -> State:
        made = State(filled_memory(), 0)
        made.x[1], made.x[2] = 40, base
        for place, d in enumerate(draft.tds.values()):
            made.set_descriptor(place, d)
        return made

    base = moved_base(rng, draft, name)
    return run_both(b"".join(words), MACHINES["tiny"], state, seed=seed, timing_only=rng.random() < 0.5)


def check_twice(seeds: range) -> Counter[str]:
    ends = Counter[str]()
    for seed in seeds:
        outcome = run_twice(seed)
        ends["passes" if not outcome.end else outcome.end[0][0].name] += outcome.records.per_pc.get(0) is not None
    return ends


def test_an_instruction_with_known_shapes_and_another_base_traps_alike() -> None:
    ends = check_twice(range(400))
    assert min(ends[name] for name in ("passes", "MISALIGNED", "OUT_OF_BOUNDS", "ILLEGAL_OVERLAP")) > 10, ends


@pytest.mark.long
def test_many_instructions_with_another_base_trap_alike() -> None:
    check_twice(range(1000, 9000))


EXTREMES = st.one_of(
    st.sampled_from([0, 1, -1, 2, -2, 63, 64, 65, -(2**63), 2**63 - 1, 2**31, -(2**31)]),
    st.integers(-(2**63), 2**63 - 1),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(EXTREMES, EXTREMES), min_size=1, max_size=8))
def test_scalars_compute_alike(pairs: list[tuple[int, int]]) -> None:
    """Every function and every branch on every pair, with registers and with immediates; divisions by 0 last."""
    pairs = sorted(pairs, key=lambda pair: pair[1] == 0)
    words: list[bytes] = []
    for place in range(len(pairs)):
        words.append(encode("lds", fn="8", rd=1, rs=0, imm=1024 + 16 * place))
        words.append(encode("lds", fn="8", rd=2, rs=0, imm=1032 + 16 * place))
        for function in (
            "add",
            "sub",
            "mul",
            "and",
            "or",
            "xor",
            "sll",
            "srl",
            "sra",
            "min",
            "max",
            "slt",
            "div",
            "rem",
        ):
            words.append(encode("alu", fn=function, fl=Flag(0), rd=3, rs=1, rt=2))
            words.append(encode("alu", fn=function, fl=Flag.I, rd=5, rs=1, imm=-7))
            words.append(encode("yield", rs=3, imm=place))
            words.append(encode("yield", rs=5, imm=place))
        for condition in ("eq", "ne", "lt", "ge"):
            words.append(encode("br", fn=condition, rs=1, rt=2, imm=len(words) + 2))
            words.append(encode("yield", rs=0, imm=99))
    text = b"".join([*words, encode("halt")])

    def state() -> State:
        core = prepared([], [0] * 7, 0)
        for place, (a, b) in enumerate(pairs):
            core.memory.smem[1024 + 16 * place : 1040 + 16 * place] = a.to_bytes(8, "little", signed=True) + b.to_bytes(
                8, "little", signed=True
            )
        return core.state

    assert len(decode_text(text)) == len(words) + 1
    run_both(text, MACHINES["edge"], state)

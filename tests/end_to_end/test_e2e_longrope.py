"""Sequences that grow past the original length of longrope: everything is processed again with the long factors.

The published implementation drops its cache there (`phi3_crossing` and `phi4_mini_crossing` are what it then computes); below that
the slmq interpreter is compared bit by bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp

from compiler.dialects.isa import ProgramOp
from compiler.driver import lower
from compiler.emit.text import encode_text
from compiler.interpreters.sampling import SamplerSettings
from compiler.interpreters.slm import interpret_slm
from compiler.interpreters.slmq import SlmqInterpreter
from compiler.lowering.generate import MARK_CHUNK
from compiler.program import Program
from compiler.verify_each import StageVerifier
from frontends import load_program
from isa.abi import RunFlag, Sampler
from isa.container import Executable
from isa.spec import INSTRUCTION_BYTES
from simulator.session import Session
from simulator.timing.model import TimingModel
from tests.end_to_end.e2e_support import (
    PUBLISHED,
    SCHEMES,
    assert_same_bits,
    build,
    check_bits,
    interpreter,
    machine,
    options,
    prompt_of,
    tiny_program,
)
from tests.end_to_end.test_e2e_recurrent import family
from tests.end_to_end.test_e2e_shapes import SETTINGS

CONFIGS = Path(__file__).parents[2] / "examples" / "configs"
TOLERANCE = 2e-4
VOCABULARY = 67
ORIGINAL = 20
CONTEXT = 80
CHUNK = 5  # so that a longer prompt stops over at the original length
CASES = [("edge", "w8a8"), ("tiny", "w8a8-kv8"), ("tiny", "bf16"), ("edge", "fp32")]


def longrope(original: int, half: int = 3) -> dict[str, Any]:
    return {
        "rope_type": "longrope",
        "short_factor": [1.0 + 0.1 * j for j in range(half)],
        "long_factor": [2.0 + 1.5 * j for j in range(half)],
        "original_max_position_embeddings": original,
    }


@cache
def program(original: int = ORIGINAL, window: int | None = None) -> Program:
    kind = {} if window is None else {"model_type": "mistral", "sliding_window": window}
    return tiny_program(8, num_hidden_layers=2, rope_scaling=longrope(original), **kind)


@cache
def executable(name: str, scheme: str, original: int = ORIGINAL, context: int = CONTEXT) -> Executable:
    return build(program(original), options(name, scheme, context, CHUNK))


def sampled(session: Session, prompt: Sequence[int], new: int, **how: Any) -> tuple[list[int], np.ndarray[Any, Any]]:
    """Tokens, and the rows that they were chosen from."""
    tokens = list(session.generate(prompt, new, dump=RunFlag.DUMP_SAMPLED, **how))
    return tokens, session.logits()


class Conversation:
    """Turns of the slmq interpreter; a token that was generated last has not been processed."""

    def __init__(self, reference: SlmqInterpreter):
        self.reference, self.pending = reference, list[int]()

    def turn(
        self, prompt: Sequence[int], new: int, settings: SamplerSettings | None = None
    ) -> tuple[list[int], np.ndarray[Any, Any]]:
        made = self.reference.generate([*self.pending, *prompt], new, settings, chunk=33)
        self.pending = made.tokens[-1:]
        return made.tokens, np.array(made.logits)


# The published implementation


@pytest.mark.parametrize("name", ["edge", "tiny"])
@pytest.mark.parametrize("variant", ["phi3_crossing", "phi4_mini_crossing"])
def test_binary_repeats_the_published_model(variant: str, name: str) -> None:
    model = load_program(PUBLISHED / variant)
    golden = np.load(PUBLISHED / variant / "golden.npz")
    prompt, greedy = golden["tokens"].tolist(), golden["greedy"].tolist()
    session = Session(build(model, options(name, "fp32", model.max_positions, CHUNK)), check_uninitialised=True)
    first = list(session.generate(prompt, 1, dump=RunFlag.DUMP_ALL))
    np.testing.assert_allclose(session.logits(), golden["logits"], rtol=0, atol=TOLERANCE)
    rest, rows = sampled(session, [], len(greedy) - 1)
    assert first + rest == greedy
    np.testing.assert_allclose(rows, golden["greedy_logits"][1:], rtol=0, atol=TOLERANCE)
    session.reset()
    tokens, rows = sampled(session, prompt, len(greedy))
    assert tokens == greedy
    np.testing.assert_allclose(rows, golden["greedy_logits"], rtol=0, atol=TOLERANCE)


def test_the_published_rows_show_the_crossing() -> None:
    """They are further than the tolerance from a model that keeps its short factors."""
    golden = np.load(PUBLISHED / "phi3_crossing" / "golden.npz")
    model = load_program(PUBLISHED / "phi3_crossing")
    chosen = options("edge", "fp32", 32)
    session = Session(build(model, chosen))
    prompt, greedy = golden["tokens"].tolist(), golden["greedy"].tolist()
    tokens, rows = sampled(session, prompt, 32 - len(prompt))
    assert tokens == greedy[: len(tokens)]
    np.testing.assert_allclose(rows, golden["greedy_logits"][: len(rows)], rtol=0, atol=TOLERANCE)
    long_rows = interpret_slm(model, prompt + greedy)[len(prompt) - 1 :]
    assert np.abs(long_rows[: len(rows)] - rows).max() > 100 * TOLERANCE


@pytest.mark.parametrize("window", [None, 7])
def test_every_step_is_that_of_the_whole_sequence(window: int | None) -> None:
    """The slm interpreter has no cache: it chooses the factors by the length of what it is given."""
    model = program(window=window)
    session = Session(build(model, options("edge", "fp32", CONTEXT)), check_uninitialised=True)
    prompt = prompt_of(ORIGINAL - 4, VOCABULARY)
    tokens, rows = sampled(session, prompt, 10)
    for step, row in enumerate(rows):
        expected = interpret_slm(model, [*prompt, *tokens[:step]])[-1]
        np.testing.assert_allclose(row, expected, rtol=0, atol=TOLERANCE)


# The slmq interpreter


@pytest.mark.parametrize(("name", "scheme"), CASES)
@pytest.mark.parametrize("length", [1, ORIGINAL - 1, ORIGINAL, ORIGINAL + 1, ORIGINAL + 30])
def test_bits_across_the_original_length(name: str, scheme: str, length: int) -> None:
    session = Session(executable(name, scheme), check_uninitialised=True)
    reference = Conversation(interpreter(program(), options(name, scheme, CONTEXT)))
    prompt, new = prompt_of(length, VOCABULARY), max(4, ORIGINAL + 4 - length)
    tokens, rows = sampled(session, prompt, new)
    expected, expected_rows = reference.turn(prompt, new)
    assert tokens == expected
    assert_same_bits(rows, expected_rows)


@pytest.mark.parametrize(("name", "scheme"), CASES)
def test_all_rows_are_those_of_the_last_pass(name: str, scheme: str) -> None:
    session = Session(executable(name, scheme), check_uninitialised=True)
    prompt = prompt_of(ORIGINAL - 3, VOCABULARY)
    tokens = list(session.generate(prompt, 8, dump=RunFlag.DUMP_ALL))
    reference = interpreter(program(), options(name, scheme, CONTEXT))
    assert_same_bits(session.logits(), reference.run([*prompt, *tokens[:-1]]))


# Turns as (prompt, new): sequences of 20 and 21 tokens end a turn or begin one.
TURNS = [
    [(10, 5), (3, 6)],
    [(15, 5), (1, 3), (4, 3)],
    [(15, 6), (0, 3)],
    [(17, 3), (0, 1), (0, 1), (0, 2)],
    [(5, 2), (40, 3), (2, 2)],
    [(19, 1), (1, 1), (1, 1)],
]


@pytest.mark.parametrize("turns", TURNS)
@pytest.mark.parametrize(("name", "scheme"), CASES[:2])
def test_conversations(name: str, scheme: str, turns: list[tuple[int, int]]) -> None:
    """Equal to the interpreter in every turn; and each turn equal to a fresh session that is told everything before."""
    session = Session(executable(name, scheme), check_uninitialised=True)
    reference = Conversation(interpreter(program(), options(name, scheme, CONTEXT)))
    fresh = Session(executable(name, scheme))
    for index, (length, new) in enumerate(turns):
        prompt = prompt_of(length, VOCABULARY, index)
        before = session.tokens()
        tokens, rows = sampled(session, prompt, new)
        expected, expected_rows = reference.turn(prompt, new)
        assert tokens == expected
        assert_same_bits(rows, expected_rows)
        fresh.reset()
        again, rows_again = sampled(fresh, [*before, *prompt], new)
        assert again == tokens
        assert_same_bits(rows_again, rows)


def test_a_caller_may_stop_at_the_crossing_and_go_on() -> None:
    prompt = prompt_of(ORIGINAL - 2, VOCABULARY)
    whole, rows = sampled(Session(executable("tiny", "bf16")), prompt, 8)
    for taken in range(1, 6):
        session = Session(executable("tiny", "bf16"), check_uninitialised=True)
        stream = session.generate(prompt, 8)
        parts = [next(stream) for _ in range(taken)]
        stream.close()  # type: ignore[attr-defined]
        rest, later_rows = sampled(session, [], 8 - taken)
        assert parts + rest == whole
        assert_same_bits(later_rows, rows[taken:])


SAMPLERS: list[tuple[dict[str, Any], SamplerSettings]] = [
    ({"sampler": Sampler.TEMPERATURE, "temperature": 2.0, "seed": 5}, SamplerSettings(2.0, seed=5)),
    (
        {"sampler": Sampler.TOP_K_TOP_P, "temperature": 1.5, "top_k": 9, "top_p": 0.8, "seed": 6},
        SamplerSettings(1.5, 9, 0.8, 6),
    ),
]


@pytest.mark.parametrize(("how", "settings"), SAMPLERS)
def test_random_numbers_go_on_as_before(how: dict[str, Any], settings: SamplerSettings) -> None:
    session = Session(executable("tiny", "w8a8-kv8"))
    reference = Conversation(interpreter(program(), options("tiny", "w8a8-kv8", CONTEXT)))
    prompt = prompt_of(ORIGINAL - 3, VOCABULARY)
    tokens, rows = sampled(session, prompt, 9, **how)
    expected, expected_rows = reference.turn(prompt, 9, settings)
    assert tokens == expected
    assert_same_bits(rows, expected_rows)


def test_a_stop_token_at_the_crossing() -> None:
    session = Session(executable("edge", "w8a8"))
    how: dict[str, Any] = {"sampler": Sampler.TEMPERATURE, "temperature": 3.0, "seed": 3}
    prompt = prompt_of(ORIGINAL - 2, VOCABULARY)
    free, rows = sampled(session, prompt, 9, **how)
    for stop in free[1:5]:
        session.reset()
        first = free.index(stop)
        made, _ = sampled(session, prompt, 9, stop_tokens=[stop], **how)
        assert made == free[: first + 1]
        rest, later_rows = sampled(session, [], 9 - first - 1, **how)
        assert rest == free[first + 1 :]
        assert_same_bits(later_rows, rows[first + 1 :])


@pytest.mark.parametrize("context", [ORIGINAL + 1, ORIGINAL + 2])
def test_a_context_that_ends_behind_the_crossing(context: int) -> None:
    session = Session(executable("tiny", "bf16", context=context), check_uninitialised=True)
    reference = Conversation(interpreter(program(), options("tiny", "bf16", context)))
    prompt = prompt_of(ORIGINAL - 2, VOCABULARY)
    new = context - len(prompt)
    tokens, rows = sampled(session, prompt, new)
    expected, expected_rows = reference.turn(prompt, new)
    assert tokens == expected and session.token_count == context
    assert_same_bits(rows, expected_rows)


def test_a_ring_that_has_wrapped_is_filled_again() -> None:
    """Window 100 keeps two blocks of 256: the first pass has wrapped at 512, and so has the second."""
    model = program(600, 100)
    chosen = options("edge", "w8a8-kv8", 700)
    session = Session(build(model, chosen), check_uninitialised=True)
    prompt = prompt_of(597, VOCABULARY)
    tokens, rows = sampled(session, prompt, 8)
    expected, expected_rows = Conversation(interpreter(model, chosen)).turn(prompt, 8)
    assert tokens == expected
    assert_same_bits(rows, expected_rows)


def gemma3(local: dict[str, Any], globally: dict[str, Any]) -> Program:
    """Two rotary embeddings in one model."""
    return tiny_program(
        5, model_type="gemma3_text", num_hidden_layers=3, rope_theta=None, hidden_act=None, sliding_window=6,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        rope_parameters={
            "sliding_attention": local | {"rope_theta": 10000.0}, "full_attention": globally | {"rope_theta": 1e6}
        },
    )  # fmt: skip


def test_two_embeddings_with_lengths_of_their_own() -> None:
    model = gemma3(longrope(12), longrope(17))
    chosen = options("edge", "fp32", CONTEXT, CHUNK)
    session = Session(build(model, chosen), check_uninitialised=True)
    reference = Conversation(interpreter(model, chosen))
    assert reference.reference.restarts == (12, 17)
    prompt = prompt_of(10, VOCABULARY)
    tokens, rows = sampled(session, prompt, 12)
    expected, expected_rows = reference.turn(prompt, 12)
    assert tokens == expected
    assert_same_bits(rows, expected_rows)
    for step, row in enumerate(rows):
        whole = interpret_slm(model, [*prompt, *tokens[:step]])[-1]
        np.testing.assert_allclose(row, whole, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("scheme", ["fp32", "w8a8-kv8"])
def test_states_of_convolutions_begin_anew(scheme: str) -> None:
    model = family("lfm2", rope_scaling=longrope(12, half=5), max_position_embeddings=64)
    chosen = options("edge", scheme, 40, CHUNK)
    session = Session(build(model, chosen), check_uninitialised=True)
    reference = Conversation(interpreter(model, chosen))
    assert reference.reference.restarts == (12,)
    for index, (length, new) in enumerate([(7, 2), (4, 9)]):
        prompt = prompt_of(length, session.vocabulary, index)
        tokens, rows = sampled(session, prompt, new)
        expected, expected_rows = reference.turn(prompt, new)
        assert tokens == expected
        assert_same_bits(rows, expected_rows)


@st.composite
def conversations(draw: st.DrawFn) -> list[tuple[int, int]]:
    return draw(st.lists(st.tuples(st.integers(1, 24), st.integers(1, 9)), min_size=1, max_size=4))


@hypothesis_settings(SETTINGS, max_examples=3)
@given(
    st.integers(2, 40), st.none() | st.integers(1, 30), st.sampled_from(SCHEMES), st.integers(1, 40), conversations()
)
def test_random_conversations(
    original: int, window: int | None, scheme: str, chunk: int, turns: list[tuple[int, int]]
) -> None:
    check_conversation(original, window, scheme, chunk, turns)


@pytest.mark.long
@hypothesis_settings(SETTINGS, max_examples=200)
@given(
    st.integers(2, 90), st.none() | st.integers(1, 99), st.sampled_from(SCHEMES), st.integers(1, 40), conversations()
)
def test_many_random_conversations(
    original: int, window: int | None, scheme: str, chunk: int, turns: list[tuple[int, int]]
) -> None:
    check_conversation(original, window, scheme, chunk, turns)


def check_conversation(
    original: int, window: int | None, scheme: str, chunk: int, turns: list[tuple[int, int]]
) -> None:
    chosen = options("edge", scheme, 140, chunk)
    session = Session(build(program(original, window), chosen), check_uninitialised=True)
    reference = Conversation(interpreter(program(original, window), chosen))
    for index, (length, new) in enumerate(turns):
        prompt = prompt_of(length, VOCABULARY, index)
        tokens, rows = sampled(session, prompt, new)
        expected, expected_rows = reference.turn(prompt, new)
        assert tokens == expected
        assert_same_bits(rows, expected_rows)


# What it costs


def test_a_context_within_the_original_length_has_one_table_and_no_other_code() -> None:
    plain = build(tiny_program(8, num_hidden_layers=2), options("tiny", "w8a8", ORIGINAL, CHUNK))
    short = executable("tiny", "w8a8", context=ORIGINAL)
    assert np.array_equal(short.text, plain.text)
    assert len(short.table) == len(plain.table)
    check_bits(program(), options("tiny", "w8a8", ORIGINAL), prompt_of(9, VOCABULARY), 8, short)


def test_a_longer_context_has_a_short_table_more() -> None:
    plain = build(tiny_program(8, num_hidden_layers=2), options("tiny", "w8a8", CONTEXT, CHUNK))
    both = executable("tiny", "w8a8")
    row_bytes = 3 * 2 * 4
    assert 0 <= len(both.table) - len(plain.table) - ORIGINAL * row_bytes < 64
    assert len(plain.text) < len(both.text) < len(plain.text) + 50


def test_text_does_not_grow_with_the_context() -> None:
    longer = executable("tiny", "w8a8", context=2000)
    assert len(longer.text) == len(executable("tiny", "w8a8").text)


@pytest.mark.long
@pytest.mark.parametrize("name", ["phi-3.5-mini", "phi-4-mini"])
def test_full_size_models_beyond_their_original_length(name: str) -> None:
    model = load_program(CONFIGS / f"{name}.json", random_seed=1)
    sizes = [len(program_of(lower(model, options("edge", "w8a8", context)))) for context in (4096, 8192, 131072)]
    assert sizes[0] < sizes[1] == sizes[2] < sizes[0] + 50 * INSTRUCTION_BYTES
    assert sizes[2] < 64 << 10


def program_of(module: ModuleOp) -> bytes:
    return encode_text(next(op for op in module.walk() if isinstance(op, ProgramOp)))


def test_timing_only_runs_take_the_same_time() -> None:
    found: list[tuple[int, int]] = []
    for timing_only in (False, True):
        timing = TimingModel(machine("tiny"))
        session = Session(executable("tiny", "w8a8"), observer=timing, timing_only=timing_only)
        assert len(list(session.generate(prompt_of(ORIGINAL - 2, VOCABULARY), 8))) == 8
        found.append((timing.cycles, timing.instructions))
    assert found[0] == found[1]


def test_nothing_is_processed_twice_without_need() -> None:
    """Positions processed, by the marks of the chunks: a sequence of 20 tokens stays with its tables, the next one does not."""
    timing = TimingModel(machine("tiny"))
    session = Session(executable("tiny", "w8a8"), observer=timing)
    processed: list[int] = []
    for length, new in ((12, 1), (ORIGINAL - 13, 1), (0, 1), (0, 2)):
        list(session.generate(prompt_of(length, VOCABULARY), new))
        rows = [
            (rows or 0) * part.visits
            for (label, rows), part in timing.records().sections.items()
            if label == MARK_CHUNK
        ]
        processed.append(sum(rows))
    assert processed == [12, ORIGINAL, ORIGINAL + ORIGINAL + 1, ORIGINAL + ORIGINAL + 3]


def test_passes_are_verified_across_the_original_length() -> None:
    """The verifier's prompt of 5 tokens becomes 7."""
    model = program(6)
    verifier = StageVerifier(model, CONTEXT, VOCABULARY)
    lower(model, options("tiny", "w8a8", CONTEXT, CHUNK), observe=verifier)
    assert {"double-buffer", "allocate-sram", "unroll-turns", "simplify-indices"} <= set(verifier.checked)

"""The generate loop: prefill and decode agree, conversations go on, samplers match the interpreter, ends and errors are as documented."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from compiler.interpreters.sampling import SamplerSettings
from compiler.program import Program
from isa.abi import RunFlag, Sampler
from isa.container import Executable
from simulator.session import Session, SessionError
from tests.end_to_end.e2e_support import (
    assert_same_bits,
    build,
    interpreter,
    options,
    prompt_of,
    simulate,
    tiny_program,
)

VOCABULARY = 67
TINY_CHUNK = 6  # given, because the search for the largest that fits takes longer than the run
CASES = [("edge", "w8a8"), ("tiny", "bf16"), ("tiny", "w8a8-kv8"), ("edge", "fp32")]


@cache
def program() -> Program:
    return tiny_program(8, num_hidden_layers=2)


@cache
def executable(machine: str, scheme: str, context: int = 512) -> Executable:
    return build(program(), options(machine, scheme, context, TINY_CHUNK if machine == "tiny" else 0))


def generated(session: Session, prompt: list[int], new: int, **how: Any) -> list[int]:
    return list(session.generate(prompt, new, **how))


@pytest.mark.parametrize(("machine", "scheme"), CASES)
@pytest.mark.parametrize("length", [1, 15, 127, 255])
def test_prefill_then_decode_equals_a_longer_prefill(machine: str, scheme: str, length: int) -> None:
    binary = executable(machine, scheme)
    prompt = prompt_of(length, VOCABULARY)
    decoded = simulate(binary, prompt, 4)
    for count in (1, 3):
        prefilled = simulate(binary, prompt + decoded.tokens[:count], 4 - count)
        assert prefilled.tokens == decoded.tokens[count:]
        assert_same_bits(prefilled.logits, decoded.logits)


@pytest.mark.parametrize(("machine", "scheme"), CASES)
def test_a_conversation_equals_one_long_prompt(machine: str, scheme: str) -> None:
    binary = executable(machine, scheme)
    session = Session(binary, check_uninitialised=True)
    first = generated(session, prompt_of(120, VOCABULARY), 6)
    second = generated(session, prompt_of(140, VOCABULARY, 1), 5, dump=RunFlag.DUMP_ALL)
    rows = session.logits()
    third = generated(session, [], 3)
    everything = [*prompt_of(120, VOCABULARY), *first, *prompt_of(140, VOCABULARY, 1)]
    whole = simulate(binary, everything, 8)
    assert whole.tokens == second + third
    assert session.tokens() == everything + whole.tokens
    processed = len(everything) + 5 - 1
    assert_same_bits(rows, whole.logits[processed - len(rows) : processed])
    assert len(rows) == 1 + 140 + 5 - 1  # the last token of the first answer had not been processed


def test_a_reset_session_repeats_itself() -> None:
    session = Session(executable("tiny", "w8a8-kv8"), check_uninitialised=True)
    first = generated(session, prompt_of(20, VOCABULARY), 6)
    session.reset()
    assert session.token_count == 0
    assert generated(session, prompt_of(20, VOCABULARY), 6) == first


def test_a_caller_may_stop_early_and_go_on() -> None:
    whole = generated(Session(executable("tiny", "bf16")), prompt_of(20, VOCABULARY), 6)
    session = Session(executable("tiny", "bf16"), check_uninitialised=True)
    stream = session.generate(prompt_of(20, VOCABULARY), 6)
    parts = [next(stream), next(stream)]
    stream.close()  # type: ignore[attr-defined]
    assert session.tokens() == prompt_of(20, VOCABULARY) + parts
    assert parts + generated(session, [], 4) == whole


# Sampling


SAMPLERS: list[tuple[dict[str, Any], SamplerSettings]] = [
    ({"sampler": Sampler.TEMPERATURE, "temperature": 1.0}, SamplerSettings(1.0)),
    ({"sampler": Sampler.TEMPERATURE, "temperature": 0.1}, SamplerSettings(0.1)),
    ({"sampler": Sampler.TOP_K_TOP_P, "temperature": 0.7, "top_k": 1}, SamplerSettings(0.7, 1)),
    ({"sampler": Sampler.TOP_K_TOP_P, "temperature": 0.1, "top_k": 5}, SamplerSettings(0.1, 5)),
    ({"sampler": Sampler.TOP_K_TOP_P, "temperature": 8.0, "top_k": 64}, SamplerSettings(8.0, 64)),
    ({"sampler": Sampler.TOP_K_TOP_P, "temperature": 1.3, "top_p": 0.9}, SamplerSettings(1.3, 0, 0.9)),
    ({"sampler": Sampler.TOP_K_TOP_P, "temperature": 1.0, "top_k": 9, "top_p": 0.4}, SamplerSettings(1.0, 9, 0.4)),
    ({"sampler": Sampler.TOP_K_TOP_P, "temperature": 1.0, "top_p": 1e-6}, SamplerSettings(1.0, 0, 1e-6)),
]


def check_samplers(model: Program, machine: str, scheme: str, seeds: list[int], new: int) -> None:
    """Token for token, each seed with each sampler."""
    chosen = options(machine, scheme, chunk=TINY_CHUNK)
    session = Session(build(model, chosen), check_uninitialised=True)
    reference = interpreter(model, chosen)
    prompt = prompt_of(5, session.vocabulary)
    for arguments, settings in SAMPLERS:
        for seed in seeds:
            session.reset()
            reference.reset()
            seeded = SamplerSettings(settings.temperature, settings.top_k, settings.top_p, seed)
            expected = reference.generate(prompt, new, seeded).tokens
            assert generated(session, prompt, new, seed=seed, **arguments) == expected, (seeded, machine, scheme)


SEEDS = [0, 1, 2**32 - 1, 2**32, 0x123456789ABCDEF0, 2**64 - 1]


def test_samplers_equal_the_interpreters() -> None:
    check_samplers(program(), "tiny", "w8a8", SEEDS[:3], 4)
    check_samplers(program(), "edge", "fp32", SEEDS[4:], 3)


def test_a_vocabulary_smaller_than_the_candidate_list() -> None:
    check_samplers(tiny_program(2, vocab_size=13), "tiny", "bf16", [5], 3)


@pytest.mark.long
@pytest.mark.parametrize(("machine", "scheme"), CASES)
def test_samplers_with_many_seeds(machine: str, scheme: str) -> None:
    model = tiny_program(2, vocab_size=601)
    check_samplers(model, machine, scheme, [*SEEDS, *range(100, 160)], 8)


def test_seeds_decide() -> None:
    session = Session(executable("edge", "w8a8"))
    found: list[list[int]] = []
    for seed in (7, 7, 8, 9):
        session.reset()
        found.append(
            generated(session, [1, 2, 3], 12, sampler=Sampler.TEMPERATURE, temperature=2.0, seed=seed),
        )
    assert found[0] == found[1]
    assert len({tuple(tokens) for tokens in found}) == 3


def test_a_conversation_keeps_its_random_numbers() -> None:
    """They depend on the position alone: two halves equal the whole."""
    how: dict[str, Any] = {"sampler": Sampler.TOP_K_TOP_P, "temperature": 2.0, "top_k": 20, "seed": 5}
    session = Session(executable("tiny", "bf16"))
    whole = generated(session, [1, 2, 3], 8, **how)
    session.reset()
    assert generated(session, [1, 2, 3], 3, **how) + generated(session, [], 5, **how) == whole


# Ends


def test_stop_tokens_end_the_generation() -> None:
    session = Session(executable("edge", "w8a8"))
    how: dict[str, Any] = {"sampler": Sampler.TEMPERATURE, "temperature": 3.0, "seed": 3}
    free = generated(session, [4, 5], 20, **how)
    stop = free[7]
    first = free.index(stop)
    for stops in ([stop], [stop, *sorted(set(range(VOCABULARY)) - set(free))[:7]]):
        session.reset()
        assert generated(session, [4, 5], 20, stop_tokens=stops, **how) == free[: first + 1]
        assert generated(session, [], 20 - first - 1, **how) == free[first + 1 :]


def test_one_new_token() -> None:
    session = Session(executable("tiny", "bf16"))
    whole = simulate(executable("tiny", "bf16"), [9], 5)
    assert [generated(session, prompt, 1)[0] for prompt in ([9], [], [], [], [])] == whole.tokens


@pytest.mark.parametrize(("machine", "context"), [("edge", 2), ("tiny", 40), ("edge", 256), ("tiny", 257)])
def test_a_full_context_is_no_trap(machine: str, context: int) -> None:
    chosen = options(machine, "w8a8-kv8", context)
    session = Session(executable(machine, "w8a8-kv8", context), check_uninitialised=True)
    prompt = prompt_of(max(1, context - 3), VOCABULARY)
    new = context - len(prompt)
    tokens = generated(session, prompt, new, dump=RunFlag.DUMP_ALL)
    assert len(tokens) == new
    assert session.token_count == context
    assert_same_bits(session.logits(), interpreter(program(), chosen).run([*prompt, *tokens[:-1]], 100))
    with pytest.raises(SessionError, match="max_new is 1, expected 1 to 0"):
        session.generate([], 1)
    with pytest.raises(SessionError, match="a prompt of 1 tokens does not fit: 0 of"):
        session.generate([1], 1)


def test_requests_that_make_no_sense() -> None:
    session = Session(executable("edge", "w8a8", 40))
    with pytest.raises(SessionError, match="the prompt is empty"):
        session.generate([], 1)
    with pytest.raises(SessionError, match="a prompt of 41 tokens does not fit: 40 of 40 are left"):
        session.generate([1] * 41, 1)
    with pytest.raises(SessionError, match=r"max_new is 1, expected 1 to 0 \(context of 40 tokens\)"):
        session.generate([1] * 40, 1)
    with pytest.raises(SessionError, match="max_new is 0, expected 1 to 39"):
        session.generate([1], 0)
    with pytest.raises(SessionError, match="prompt token 1 is 67, expected 0 to 66"):
        session.generate([1, 67], 1)


def test_dumping_does_not_change_the_tokens() -> None:
    session = Session(executable("tiny", "w8a8-kv8"))
    how: dict[str, Any] = {"sampler": Sampler.TEMPERATURE, "temperature": 1.0, "seed": 4}
    found: list[list[int]] = []
    rows: list[np.ndarray[Any, Any]] = []
    for dump in (RunFlag(0), RunFlag.DUMP_SAMPLED, RunFlag.DUMP_ALL):
        session.reset()
        found.append(generated(session, prompt_of(30, VOCABULARY), 5, dump=dump, **how))
        rows.append(session.logits())
    assert found[0] == found[1] == found[2]
    assert [len(part) for part in rows] == [0, 5, 34]
    assert_same_bits(rows[1], rows[2][29:])

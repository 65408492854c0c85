"""Mixtures end to end: the bits of the interpreter whatever the chunk, only the chosen experts' weights read, one text for any number."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from compiler.dialects import slmq
from compiler.dialects.isa import ProgramOp
from compiler.driver import Options, lower
from compiler.emit.executable import region_sizes
from compiler.emit.text import encode_text
from compiler.interpreters.slm import interpret_slm
from compiler.interpreters.slmq.operations import HANDLERS
from compiler.interpreters.slmq.run import Results, SlmqRun
from compiler.program import Program
from compiler.verify_each import StageVerifier
from frontends import load_program
from isa.abi import EVENT_TOKEN, RunFlag
from isa.container import Executable, Symbol
from isa.spec import ELEMENT_BITS, INSTRUCTION_BYTES, TD_OPERANDS, Instruction, Region
from simulator.observer import Captured
from simulator.report import build_report
from simulator.session import Session
from simulator.timing import TimingModel
from tests.end_to_end.e2e_support import (
    SCHEMES,
    assert_same_bits,
    build,
    check_bits,
    machine,
    options,
    prompt_of,
    simulate,
)
from tests.end_to_end.mixture_support import MODELS, VOCABULARY, architecture, mixtral, program_of

TOLERANCE = 2e-4
SETTINGS = settings(
    deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None, phases=[Phase.generate]
)
CONFIG = Path(__file__).parents[2] / "examples" / "configs" / "mixtral-8x7b.json"


@cache
def program() -> Program:
    return mixtral(3, num_local_experts=5, num_attention_heads=4, num_key_value_heads=2)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_bits_of_mixtral(scheme: str) -> None:
    """One token at a time on edge, chunks of 6 on tiny."""
    small = simulate(build(program(), options("tiny", scheme, chunk=6)), prompt_of(20, VOCABULARY), 1)
    same = check_bits(program(), options("edge", scheme, chunk=1), prompt_of(20, VOCABULARY), 1)
    assert small.tokens == same.tokens
    assert_same_bits(small.logits, same.logits)


def test_bits_across_chunks_and_a_kv_block() -> None:
    check_bits(program(), options("edge", "w8a8-kv8", chunk=64), prompt_of(258, VOCABULARY), 3)


@pytest.mark.long
@pytest.mark.parametrize("scheme", SCHEMES)
def test_chunks_and_machines_keep_the_bits(scheme: str) -> None:
    expected = check_bits(program(), options("edge", scheme), prompt_of(260, VOCABULARY), 8)
    for name, chunk in (("edge", 3), ("edge", 16), ("edge", 100), ("edge", 256), ("tiny", 0), ("tiny", 1), ("tiny", 5)):
        run = simulate(build(program(), options(name, scheme, chunk=chunk)), prompt_of(260, VOCABULARY), 8)
        assert run.tokens == expected.tokens
        assert_same_bits(run.logits, expected.logits)


@pytest.mark.parametrize("name", MODELS)
def test_mixtures_of_every_kind(name: str) -> None:
    """fp32: the bits of the interpreter, and the numbers of the float64 one."""
    made = program_of(architecture(name))
    prompt = prompt_of(11, VOCABULARY)
    run = check_bits(made, options("edge", "fp32", 64, chunk=4), prompt, 2)
    expected = interpret_slm(made, [*prompt, *run.tokens[:-1]])
    np.testing.assert_allclose(run.logits, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", ["outside of the layers", "chosen before the layers"])
def test_a_mixture_behind_the_layers_works_on_the_wanted_rows(name: str) -> None:
    """The last row of the prompt only, out of several chunks; what was chosen for it comes along."""
    executable = build(program_of(architecture(name)), options("edge", "w8a8", 64, chunk=4))
    prompt = prompt_of(11, VOCABULARY)
    everything = simulate(executable, prompt, 3)
    session = Session(executable, check_uninitialised=True)
    assert list(session.generate(prompt, 3, dump=RunFlag.DUMP_SAMPLED)) == everything.tokens
    assert_same_bits(session.logits(), everything.logits[len(prompt) - 1 :])


@pytest.mark.long
@pytest.mark.parametrize("scheme", SCHEMES[1:])
@pytest.mark.parametrize("name", MODELS)
def test_mixtures_of_every_kind_in_every_scheme(name: str, scheme: str) -> None:
    for where, chunk in (("edge", 0), ("tiny", 5)):
        check_bits(program_of(architecture(name, 7)), options(where, scheme, 64, chunk), prompt_of(30, VOCABULARY), 3)


def test_every_pass_keeps_the_bits() -> None:
    verifier = StageVerifier(program(), 64, VOCABULARY)
    lower(program(), options("edge", "w8a8", 64, chunk=4), observe=verifier)
    assert {"hoist-from-mixtures", "fuse-strips", "double-buffer", "allocate-sram"} <= set(verifier.checked)


# Who is read


class Reads:
    """Counts the bytes that each symbol of WEIGHT is read by, and by which expert of it; a new count after each token."""

    def __init__(self, executable: Executable, experts: int):
        self.symbols = [symbol for symbol in executable.symbols if symbol.region == "WEIGHT"]
        self.experts = experts
        self.tokens: list[Counter[tuple[str, int]]] = [Counter()]

    def scalar(self, *_: Any) -> None: ...

    def smem(self, *_: Any) -> None: ...

    def mark(self, *_: Any) -> None: ...

    def halt(self, *_: Any) -> None: ...

    def event(self, pc: int, kind: int, value: int) -> None:
        if kind == EVENT_TOKEN:
            self.tokens.append(Counter())

    def engine(self, pc: int, row: Instruction, fn: int, fl: int, tds: Captured) -> None:
        source = dict(zip(TD_OPERANDS, tds, strict=True))["tb"]
        if row.mnemonic != "ld" or source is None or source.region != Region.WEIGHT:
            return
        symbol = next(s for s in self.symbols if s.offset <= source.base < s.offset + s.size_bytes)
        expert = (source.base - symbol.offset) // (symbol.size_bytes // self.experts) if is_of_experts(symbol) else 0
        self.tokens[-1][symbol.name, expert] += source.elements * ELEMENT_BITS[source.dtype] // 8


def is_of_experts(symbol: Symbol) -> bool:
    return "*" in symbol.name


def choices(made: Program, chosen: Options, tokens: list[int]) -> list[list[list[int]]]:
    """[layer][token]: the chosen experts, by the interpreter."""
    found: list[list[list[int]]] = []

    def top_k(run: SlmqRun, op: slmq.TopKOp) -> Results:
        results = HANDLERS[slmq.TopKOp](run, op)
        found.append(results[1].tolist())
        return results

    module = lower(made, chosen, "slmq")
    SlmqRun(module, made.weights, chosen.context, {**HANDLERS, slmq.TopKOp: top_k}).run(tokens)
    return found


@pytest.mark.parametrize("scheme", ["fp32", "w8a8"])
def test_only_the_weights_of_chosen_experts_are_read(scheme: str) -> None:
    """Of each expert that some token of the chunk chose everything, once; of the others nothing."""
    compiled = options("edge", scheme, 64, chunk=16)
    executable = build(program(), compiled)
    reads = Reads(executable, 5)
    prompt = prompt_of(3, VOCABULARY)
    generated = list(Session(executable, observer=reads).generate(prompt, 5))
    chosen = choices(program(), compiled, [*prompt, *generated])
    member = {"gate": (20, 24), "up": (20, 24), "down": (24, 20)}
    size, scale = (4, 0) if scheme == "fp32" else (1, 4)
    for step, count in enumerate(reads.tokens[:-1]):
        rows = slice(0, 3) if step == 0 else slice(2 + step, 3 + step)
        expected: dict[tuple[str, int], int] = {}
        for layer in range(2):
            for expert in {e for row in chosen[layer][rows] for e in row}:
                for part, (n, k) in member.items():
                    padded = -(-n // 16) * 16  # rows lie in whole blocks of 16, their scales do not
                    expected[f"layers.{layer}.experts.*.{part}.weight", expert] = padded * k * size + n * scale
        assert {key: value for key, value in count.items() if "*" in key[0]} == expected
        assert {len(row) for layer in chosen for row in layer} == {2}
    decoded = [sum(count.values()) for count in reads.tokens[1:-1]]
    assert len(set(decoded)) == 1, "a token costs the same whichever experts it chooses"


def test_timing_only_runs_choose_experts_by_seed() -> None:
    """Two distinct experts for every token; the bytes of decoding are those of a run with values."""
    executable = build(program(), options("edge", "w8a8", 64, chunk=4))
    runs: list[list[Counter[tuple[str, int]]]] = []
    for seed in (1, 1, 2):
        reads = Reads(executable, 5)
        list(Session(executable, observer=reads, timing_only=True, seed=seed).generate(prompt_of(3, VOCABULARY), 6))
        runs.append(reads.tokens[:-1])
    assert runs[0] == runs[1] != runs[2]
    real = Reads(executable, 5)
    list(Session(executable, observer=real).generate(prompt_of(3, VOCABULARY), 6))
    for count in [*runs[0][1:], *runs[2][1:]]:
        for layer in range(2):
            touched = {expert for name, expert in count if name.startswith(f"layers.{layer}.experts")}
            assert len(touched) == 2
        assert sum(count.values()) == sum(real.tokens[1].values())
    assert len({frozenset(key for key in count if "*" in key[0]) for run in runs for count in run}) > 4


def test_the_report_counts_the_bytes_of_chosen_experts() -> None:
    """Decoding with one, two and three of five: each further expert adds what an expert has in every layer."""
    totals: list[int] = []
    for chosen in (1, 2, 3):
        executable = build(
            mixtral(3, num_local_experts=5, num_experts_per_tok=chosen), options("edge", "w8a8", 64, chunk=4)
        )
        timing = TimingModel(machine("edge"))
        session = Session(executable, observer=timing, timing_only=True)
        list(session.generate([1, 2], 1))
        before = build_report(timing, executable).bytes_by_region["WEIGHT"]["read"]
        list(session.generate([], 4))
        totals.append(build_report(timing, executable).bytes_by_region["WEIGHT"]["read"] - before)
    per_expert = 2 * (2 * (32 * 24 + 20 * 4) + 32 * 20 + 24 * 4)  # rows in whole blocks of 16, and their scales
    assert [b - a for a, b in zip(totals, totals[1:], strict=False)] == [4 * per_expert] * 2


def test_text_does_not_grow_with_experts_or_chosen() -> None:
    def size_of(experts: int, chosen: int) -> int:
        program = mixtral(num_local_experts=experts, num_experts_per_tok=chosen)
        return len(build(program, options("edge", "w8a8", chunk=8)).text)

    assert size_of(64, 2) == size_of(64, 9)
    assert size_of(64, 2) <= size_of(32, 2)  # one strip of the router each; constants differ


def test_full_size_mixtral_is_lowered_for_edge() -> None:
    """Its 47 GB are never made; the program is small."""
    module = lower(load_program(CONFIG, random_seed=1), options("edge", "w8a8", 1024, chunk=16))
    code = next(op for op in module.walk() if isinstance(op, ProgramOp))
    assert 0 < len(encode_text(code)) < 64 << 10
    assert len(encode_text(code)) % INSTRUCTION_BYTES == 0
    assert 46.7e9 < region_sizes(module)["weight"] < 47e9


@st.composite
def routings(draw: st.DrawFn) -> dict[str, Any]:
    experts = draw(st.one_of(st.integers(1, 9), st.sampled_from([16, 33, 64, 130])))
    return {
        "num_local_experts": experts,
        "num_experts_per_tok": draw(st.integers(1, min(experts, 10))),
        "hidden_size": draw(st.sampled_from([1, 16, 24, 33, 65])),
        "intermediate_size": draw(st.sampled_from([1, 15, 16, 33, 70])),
        "num_hidden_layers": draw(st.integers(1, 3)),
        "sliding_window": draw(st.sampled_from([None, 1, 7])),
        "hidden_act": draw(st.sampled_from(["silu", "gelu", "relu"])),
    }


def check_random(fields: dict[str, Any], scheme: str, name: str, chunk: int, length: int, seed: int) -> None:
    made = mixtral(seed, **fields)
    check_bits(made, options(name, scheme, length + 3, chunk), prompt_of(length, VOCABULARY, seed), 3)


@settings(SETTINGS, max_examples=3)
@given(routings(), st.sampled_from(SCHEMES), st.integers(1, 5), st.integers(1, 20), st.integers(0, 99))
def test_random_routings(fields: dict[str, Any], scheme: str, chunk: int, length: int, seed: int) -> None:
    check_random(fields, scheme, "edge", chunk, length, seed)


@pytest.mark.long
@settings(SETTINGS, max_examples=150)
@given(
    routings(), st.sampled_from(SCHEMES), st.sampled_from(["edge", "tiny"]), st.sampled_from([0, 0, 1, 2, 5]),
    st.one_of(st.integers(1, 40), st.sampled_from([127, 256, 258])), st.integers(0, 99),
)  # fmt: skip
def test_many_random_routings(
    fields: dict[str, Any], scheme: str, name: str, chunk: int, length: int, seed: int
) -> None:
    check_random(fields, scheme, name, chunk, length, seed)

"""The int4 KV cache: simulator bits = slmq bits, whatever the chunks, heads, windows, turns and passes; and the bytes it moves."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.analysis.model_costs import model_costs
from compiler.driver import lower
from compiler.program import Program
from compiler.schemes import find_scheme
from compiler.verify_each import StageVerifier
from frontends import load_program
from isa.abi import RunFlag
from isa.container import Executable
from isa.machine import Machine
from simulator.report import build_report
from simulator.session import Session
from simulator.timing import TimingModel
from tests.end_to_end import test_e2e_longrope as longrope
from tests.end_to_end import test_e2e_shapes as shapes
from tests.end_to_end.e2e_support import (
    assert_same_bits,
    build,
    check_bits,
    interpreter,
    options,
    prompt_of,
    simulate,
    tiny_program,
)
from tests.end_to_end.mixture_support import mixtral

SCHEME = "w8a8-kv4"
VOCABULARY = 67
OWN = """
architecture own for "own"
config {
  V = 67
  G = 2
  window = [1, 200, 300]
}
weights {
  embed: embedding(V, 20)
  layers[i < 4] {
    norm: rms_norm(20, 1e-5)
    q:    linear(20 -> [G, 5])
    k, v: linear(20 -> [G, 5])
    o:    linear([G, 5] -> 20)
  }
  head: linear(20 -> V)
}
def forward(tokens: [T]) {
  x = embed(tokens) * 3
  for i in layers {
    h = norm(x)
    x += o(attention(q(h), k(h), v(h), window=window[i] if i < 3 else null, softcap=2 if i == 1 else null))
  }
  return head(x)
}
"""


@cache
def program() -> Program:
    return tiny_program(3, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, attention_bias=True)


@cache
def executable(machine: str, context: int = 600, chunk: int = 0) -> Executable:
    return build(program(), options(machine, SCHEME, context, chunk))


# Bits


BORDERS = [("edge", (255, 257, 512)), ("tiny", (256, 513))]


@pytest.mark.parametrize(("machine", "lengths"), BORDERS)
def test_prompts_around_the_borders_of_blocks(machine: str, lengths: tuple[int, ...]) -> None:
    """A prompt that ends with a block is continued by the first step that sees it in int4."""
    for length in lengths:
        check_bits(program(), options(machine, SCHEME, 600), prompt_of(length, VOCABULARY), 2, executable(machine))


@pytest.mark.parametrize("machine", ["edge", "tiny"])
def test_generation_across_a_border(machine: str) -> None:
    check_bits(program(), options(machine, SCHEME, 600), prompt_of(508, VOCABULARY), 8, executable(machine))


def test_chunks_keep_the_bits() -> None:
    prompt = prompt_of(270, VOCABULARY)
    expected = simulate(executable("edge"), prompt, 2)
    for machine, chunk in (("edge", 7), ("edge", 100)):
        run = simulate(executable(machine, 600, chunk), prompt, 2)
        assert run.tokens == expected.tokens
        assert_same_bits(run.logits, expected.logits)


@pytest.mark.long
def test_many_chunk_sizes_keep_the_bits() -> None:
    prompt = prompt_of(600, VOCABULARY)
    expected = check_bits(program(), options("edge", SCHEME, 700), prompt, 8)
    for machine, chunk in product(("edge", "tiny"), (1, 2, 3, 5, 7)):
        run = simulate(executable(machine, 700, chunk), prompt, 8)
        assert_same_bits(run.logits, expected.logits)


def test_the_first_block_is_that_of_a_bf16_cache() -> None:
    """Up to 256 positions all keys are in the residual block; then the bits part."""
    prompt = prompt_of(300, VOCABULARY)
    found = simulate(executable("edge"), prompt, 1).logits
    plain = simulate(build(program(), options("edge", "w8a8", 600)), prompt, 1).logits
    assert_same_bits(found[:256], plain[:256])
    assert (found[256:] != plain[256:]).any(axis=1).all()
    assert np.abs(found - plain).max() < 0.3 * np.abs(plain).max()


@pytest.mark.parametrize("scheme", ["bf16-kv4", "w8a16-kv4"])
def test_other_schemes(scheme: str) -> None:
    check_bits(program(), options("edge", scheme, 400), prompt_of(258, VOCABULARY), 2)


HEADS = [  # and whether keys come in several tiles, and heads in several groups
    ("tiny", {"head_dim": 34, "num_attention_heads": 2, "num_key_value_heads": 2}, True, True),
    ("edge", {"head_dim": 2, "num_attention_heads": 4, "num_key_value_heads": 2}, False, False),
    ("edge", {"head_dim": 64, "num_attention_heads": 5, "num_key_value_heads": 5}, False, True),
    ("tiny", {"head_dim": 96, "num_attention_heads": 3, "num_key_value_heads": 1}, True, False),
]


@pytest.mark.parametrize(("machine", "changes", "tiles", "groups"), HEADS)
def test_sizes_of_heads(machine: str, changes: dict[str, Any], tiles: bool, groups: bool) -> None:
    model, chosen = tiny_program(4, **changes), options(machine, SCHEME, 300)
    built = build(model, chosen)
    plan = built.meta["plan"]
    assert (plan["key_tile"] < 256, plan["kv_heads"] < changes["num_key_value_heads"]) == (tiles, groups)
    check_bits(model, chosen, prompt_of(259, VOCABULARY), 2, built)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Program:
    path = tmp_path_factory.mktemp("own") / "own.slm"
    path.write_text(OWN, encoding="utf-8")
    return load_program(path, random_seed=3)


@pytest.mark.parametrize("machine", ["edge", pytest.param("tiny", marks=pytest.mark.long)])
def test_an_odd_head_without_positions_and_windows_of_all_kinds(own: Program, machine: str) -> None:
    """Heads of 5; layers that keep no full block, one, two, and all; a soft cap."""
    check_bits(own, options(machine, SCHEME, 800), prompt_of(770, VOCABULARY), 3)


@pytest.mark.parametrize(
    ("window", "machine"), [(2, "edge"), (256, "tiny"), (257, "edge"), (258, "tiny"), (300, "edge")]
)
def test_rings_that_wrap(window: int, machine: str) -> None:
    changes: dict[str, Any] = {"model_type": "mistral", "sliding_window": window, "num_attention_heads": 2}
    check_bits(tiny_program(5, **changes), options(machine, SCHEME, 1100), prompt_of(1030, VOCABULARY), 3)


@pytest.mark.parametrize("context", [1, 255, 256, 257, 512])
def test_a_context_that_ends_near_a_border(context: int) -> None:
    """Without a second block there is no int4 part; the last block may be quantised for nobody."""
    session = Session(executable("edge", context), check_uninitialised=True)
    prompt = prompt_of(max(1, context - 3), VOCABULARY)
    new = context - len(prompt)
    tokens = list(session.generate(prompt, new or 1, dump=RunFlag.DUMP_ALL))[:new] if new else []
    if new:
        reference = interpreter(program(), options("edge", SCHEME, context))
        assert_same_bits(session.logits(), reference.run([*prompt, *tokens[:-1]], 100))
    parts = [symbol for symbol in executable("edge", context).symbols if "int4" in symbol.name]
    assert bool(parts) == (context >= 256)


def test_mixtures_of_experts() -> None:
    model = mixtral(3, num_local_experts=5, num_attention_heads=4, num_key_value_heads=2)
    check_bits(model, options("edge", SCHEME, 400, chunk=64), prompt_of(258, VOCABULARY), 3)


# Turns


@pytest.mark.parametrize("machine", ["edge", "tiny"])
def test_conversations(machine: str) -> None:
    """Turns that end before, at and behind borders; a reset in the middle of a block and a new, shorter text."""
    session = Session(executable(machine), check_uninitialised=True)
    reference = longrope.Conversation(interpreter(program(), options(machine, SCHEME, 600)))
    for length, new in ((250, 5), (1, 1), (3, 4), (252, 6)):
        turn = prompt_of(length, VOCABULARY, new)
        tokens, rows = longrope.sampled(session, turn, new)
        expected_tokens, expected_rows = reference.turn(turn, new)
        assert tokens == expected_tokens
        assert_same_bits(rows, expected_rows)
    session.reset()
    again = list(session.generate(prompt_of(300, VOCABULARY), 3, dump=RunFlag.DUMP_ALL))
    fresh = simulate(executable(machine), prompt_of(300, VOCABULARY), 3)
    assert again == fresh.tokens
    assert_same_bits(session.logits(), fresh.logits)


@pytest.mark.parametrize(("original", "length"), [(20, 18), (258, 255), (270, 260), (512, 509)])
def test_longrope_begins_again(original: int, length: int) -> None:
    """All blocks are filled and quantised a second time, those of the first pass being in the cache still."""
    check_bits(longrope.program(original), options("edge", SCHEME, 560), prompt_of(length, VOCABULARY), 6)


def test_longrope_begins_again_in_a_ring() -> None:
    check_bits(longrope.program(600, 100), options("edge", SCHEME, 700), prompt_of(596, VOCABULARY), 12)


# Passes and engines


@pytest.mark.parametrize(("machine", "chunk"), [("edge", 128), pytest.param("tiny", 16, marks=pytest.mark.long)])
def test_every_pass_keeps_the_bits(machine: str, chunk: int) -> None:
    """A prompt that does not fill a block, and tokens that do and see it."""
    model = tiny_program(7, num_attention_heads=2)
    verifier = StageVerifier(model, 300, VOCABULARY)
    verifier.prompt, verifier.count = prompt_of(255, VOCABULARY), 3
    lower(model, options(machine, SCHEME, 300, chunk), observe=verifier)
    assert {"double-buffer", "allocate-sram", "unroll-turns", "simplify-indices"} <= set(verifier.checked)


def kv_bytes(built: Executable, turns: list[tuple[int, int]]) -> dict[str, int]:
    """The traffic of region KV of the last turn, (prompt length, tokens), with the engine's own clock."""
    session = Session(built, timing_only=True)
    seen = last = {"read": 0, "write": 0}
    for length, new in turns:
        list(session.generate([1] * length, new))
        assert session.clock is not None
        total = build_report(session.clock, built, length).to_json()["bytes_by_region"]["KV"]
        last = {way: total[way] - seen[way] for way in seen}
        seen = total
    return last


@pytest.mark.parametrize(("machine", "head_dim"), [("edge", 64), ("tiny", 128)])
def test_a_token_reads_four_bits_and_the_scales(machine: str, head_dim: int) -> None:
    """Behind 1,024 positions in int4 one token reads them, and its own block's keys and values in bf16."""
    model = tiny_program(6, head_dim=head_dim, num_key_value_heads=1, num_hidden_layers=2)
    built, plain = (build(model, options(machine, scheme, 1200)) for scheme in (SCHEME, "w8a8"))
    elements = 2 * 2 * head_dim
    read = {built: kv_bytes(built, [(1040, 1), (0, 1)])["read"], plain: kv_bytes(plain, [(1040, 1), (0, 1)])["read"]}
    assert read[plain] == 1041 * elements * 2
    full = read[built] - 17 * elements * 2
    bits = 8 * full / (1024 * elements)
    assert bits == 4 + (32 / 256 + 32 / head_dim) / 2
    assert read[built] == model_costs(model).cache_bytes_read(find_scheme(SCHEME), 1041)


def test_a_block_is_read_twice_and_written_once_when_it_fills() -> None:
    built, elements = build(tiny_program(6, head_dim=64), options("edge", SCHEME, 600)), 2 * 64
    filling, before = (kv_bytes(built, [(length, 1), (0, 1)]) for length in (255, 254))
    assert before["write"] == elements * 2
    assert filling["write"] - before["write"] == 256 * (64 // 2 + 64 // 2 + 4) + 64 * 4
    assert filling["read"] - before["read"] == elements * 2 + 256 * 64 * 2 * 3


def test_timing_only_engines_agree() -> None:
    built = build(program(), options("tiny", SCHEME, 600))
    reports: list[Any] = []
    for engine in ("fast", "reference"):
        observer = TimingModel(Machine.from_canonical(built.meta["machine"])) if engine == "reference" else None
        session = Session(built, observer=observer, engine=engine, timing_only=True)
        for length in (254, 3):
            list(session.generate([1] * length, 3))
        timed = observer or session.clock
        assert timed is not None
        reports.append(build_report(timed, built, 257).to_json())
    assert reports[0] == reports[1]


# Random models


@settings(shapes.SETTINGS, max_examples=2)
@given(shapes.configs(), shapes.machines(), st.integers(1, 600), st.integers(1, 4), st.integers(0, 99))
def test_random_models(changes: dict[str, Any], where: tuple[str, int], length: int, new: int, seed: int) -> None:
    shapes.check(changes, SCHEME, where, (length, new, length + new), seed)


@pytest.mark.long
@settings(shapes.SETTINGS, max_examples=150)
@given(
    shapes.configs(), shapes.machines(), st.integers(1, 600), st.integers(1, 12), st.integers(0, 300),
    st.one_of(st.none(), st.integers(1, 600)), st.integers(0, 99),
)  # fmt: skip
def test_many_random_models(
    changes: dict[str, Any], where: tuple[str, int], length: int, new: int, more: int, window: int | None, seed: int
) -> None:
    kind: dict[str, Any] = {} if window is None else {"model_type": "mistral", "sliding_window": window}
    for field in ("attention_bias", "mlp_bias") if kind else ():
        changes = {name: value for name, value in changes.items() if name != field}
    shapes.check(changes | kind, SCHEME, where, (length, new, length + new + more), seed)

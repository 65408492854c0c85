"""Random tiny models x schemes x machines: they compile and run with the bits of the slmq interpreter, and in the time that the
reference engine finds, or are refused with a reason."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.driver import Options
from compiler.errors import CompileError
from compiler.schemes import SHOWN, find_scheme
from isa.machine import Machine, load_machine
from tests.end_to_end.e2e_support import build, check_bits, prompt_of, tiny_program
from tests.end_to_end.test_e2e_shapes import SETTINGS
from tests.end_to_end.test_fast_models import check as check_engines
from tests.machine_strategies import machines

REASONS = re.compile(r"the smallest plan needs \d+ bytes of SRAM, the machine has \d+")
LARGEST_REFUSED_SRAM = 48 << 10
"""No machine with more refuses one of these models."""
TIMED = 5
"""Tokens of a prompt for the engines: the reference engine is slow."""


@st.composite
def models(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A scheme, and fields that replace those of TINY_MODEL; widths are such that the scheme's groups divide them."""
    scheme = draw(st.sampled_from(SHOWN))
    group = find_scheme(scheme).matrix.weights.group
    kv_heads, per_head = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    head_dim = group or draw(st.sampled_from([2, 6, 8, 16, 22, 64]))
    widths = st.integers(1, 4).map(lambda n: n * group) if group else st.integers(1, 300)
    return scheme, {
        "num_key_value_heads": kv_heads,
        "num_attention_heads": kv_heads * per_head,
        "head_dim": head_dim,
        "hidden_size": draw(widths),
        "intermediate_size": draw(st.one_of(widths, widths.map(lambda width: width * 4))),
        "vocab_size": draw(st.sampled_from([3, 67, 257, 601])),
        "num_hidden_layers": draw(st.integers(1, 2)),
        "attention_bias": draw(st.booleans()),
        "tie_word_embeddings": draw(st.booleans()),
    }


def check(machine: Machine, model: tuple[str, dict[str, Any]], length: int, seed: int) -> None:
    scheme, changes = model
    program, new = tiny_program(seed, **changes), 3
    chosen = Options(machine, scheme, length + new + 5, predict=False)
    try:
        executable = build(program, chosen)
    except CompileError as error:
        assert REASONS.fullmatch(error.message), error.message
        assert machine.sram_bytes < LARGEST_REFUSED_SRAM
        return
    prompt = prompt_of(length, changes["vocab_size"], seed)
    check_bits(program, chosen, prompt, new, executable)
    check_engines(executable, [prompt[:TIMED]], 1)


lengths = st.one_of(st.integers(1, 12), st.sampled_from([33, 70, 129]))


@settings(SETTINGS, max_examples=5)
@given(machines(), models(), lengths, st.integers(0, 99))
def test_random_machines(machine: Machine, model: tuple[str, dict[str, Any]], length: int, seed: int) -> None:
    check(machine, model, length, seed)


@pytest.mark.long
@settings(SETTINGS, max_examples=200)
@given(machines(), models(), lengths, st.integers(0, 99))
def test_many_random_machines(machine: Machine, model: tuple[str, dict[str, Any]], length: int, seed: int) -> None:
    check(machine, model, length, seed)


@pytest.mark.parametrize("name", ["micro", "phone", "gddr", "server"])
def test_builtin_machines(name: str) -> None:
    check(load_machine(name), ("w8a8", {"vocab_size": 601, "hidden_size": 130, "intermediate_size": 257}), 20, 1)

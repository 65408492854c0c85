"""Mixtures that take more tokens than are worked on at once: the bits are those of slmq, whatever the step, the chunk and the rows of an
expert."""

from __future__ import annotations

from collections.abc import Generator
from functools import cache
from typing import Any

import pytest

from compiler.analysis import tile_plans
from compiler.dialects import tile
from compiler.driver import Options, lower
from compiler.lowering.plan import TilePlan
from compiler.program import Program
from compiler.transforms.choose_tiling import ChooseTilingPass
from frontends import load_program
from isa.abi import RunFlag
from isa.container import Executable
from simulator.fast.lockstep import LockstepEngine
from simulator.session import Session
from tests.end_to_end.e2e_support import SCHEMES, assert_same_bits, build, check_bits, interpreter, options, prompt_of
from tests.end_to_end.mixture_support import VOCABULARY, architecture, mixtral, program_of
from tests.end_to_end.test_e2e_mixture import CONFIG

SRAM_BYTES = 128 << 10
WIDE: dict[str, Any] = {
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "intermediate_size": 160,
    "num_local_experts": 5,
}
ROUTED = [
    "sparse", "unnormalised", "softmax of the chosen", "norms in experts", "tensors", "heads", "same for all",
    "outside of the layers", "chosen before the layers",
]  # fmt: skip


def nothing(*_: object) -> None:
    return None


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """Steps of 512 tokens in chunks of 32, all values in DRAM that can be there, 48 rows of an expert at once."""
    monkeypatch.setattr(ChooseTilingPass, "first_fitting", nothing)
    monkeypatch.setattr(tile_plans, "STEP_TOKENS", (512,))
    monkeypatch.setattr(tile_plans, "STEP_CHUNKS", (32,))
    monkeypatch.setattr(tile_plans, "EXPERT_ROWS", (48,))
    monkeypatch.setattr(tile_plans, "STREAM_SHARES", ((64, 64, 16),))
    yield


def check(program: Program, chosen: Options, length: int) -> None:
    executable = build(program, chosen)
    plan = executable.meta["plan"]
    assert (plan["tokens"], plan["chunk"], plan["expert_rows"]) == (512, 32, 48)
    check_bits(program, chosen, prompt_of(length, VOCABULARY), 3, executable)


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize("scheme", ["bf16", "w4a8-g32"])
def test_bits(scheme: str) -> None:
    check(mixtral(3, **WIDE), options("tiny", scheme, 600, sram_bytes=SRAM_BYTES), 150)


@pytest.mark.long
@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize("scheme", [*SCHEMES, "w4a8-g32", "w8a8-s24", "w4a16-g32-zp", "mxfp4"])
@pytest.mark.parametrize("name", ["edge", "tiny"])
def test_bits_of_every_scheme(name: str, scheme: str) -> None:
    check(mixtral(3, **WIDE), options(name, scheme, 600, sram_bytes=2 * SRAM_BYTES), 300)


@cache
def small() -> tuple[Program, Options, Executable]:
    program, chosen = mixtral(4, **WIDE), options("tiny", "w8a8", 900, sram_bytes=SRAM_BYTES)
    return program, chosen, build(program, chosen)


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize("length", [1, 2, 31, 33, 255, 257, 511, 513, 540])
def test_tails(length: int) -> None:
    """The last step, chunk and part of an expert's rows may be of any length; all rows are dumped."""
    program, chosen, executable = small()
    assert executable.meta["plan"]["tokens"] == 512
    check_bits(program, chosen, prompt_of(length, VOCABULARY), 3, executable)


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize("first", [1, 40, 300])
def test_steps_begin_anywhere(first: int) -> None:
    """A step behind another turn ends at the next multiple of its tokens; its chunks end at multiples of theirs."""
    program, chosen, executable = small()
    session = Session(executable)
    given: list[int] = []
    for prompt in (prompt_of(first, VOCABULARY), prompt_of(330, VOCABULARY, 1)):
        given += [*prompt, *session.generate(prompt, 2, dump=RunFlag.DUMP_ALL)]
    logits = session.logits()
    expected = interpreter(program, chosen).run(given[:-1], 64)
    assert_same_bits(logits, expected[-len(logits) :])


@pytest.mark.usefixtures("steps")
def test_the_last_row_alone() -> None:
    """Without a dump only the last row of a prompt goes through the head."""
    program, chosen, executable = small()
    prompt = prompt_of(530, VOCABULARY)
    session = Session(executable)
    tokens = list(session.generate(prompt, 3, dump=RunFlag.DUMP_SAMPLED))
    expected = interpreter(program, chosen).run([*prompt, *tokens[:-1]], 64)
    assert_same_bits(session.logits(), expected[len(prompt) - 1 :])


@pytest.mark.usefixtures("steps")
def test_engines_do_not_diverge() -> None:
    session = Session(small()[2], check_every=1)
    assert len(list(session.generate(prompt_of(70, VOCABULARY), 2))) == 2
    assert isinstance(session.engine, LockstepEngine)
    assert session.engine.checked["mm"] > 50


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize("name", ["norms in experts", "tensors", "heads", "outside of the layers"])
def test_mixtures_of_some_kinds(name: str) -> None:
    check(program_of(architecture(name)), options("tiny", "w8a8", 600, sram_bytes=4 * SRAM_BYTES), 75)


@pytest.mark.long
@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ROUTED)
def test_mixtures_of_every_kind(name: str, scheme: str) -> None:
    check(program_of(architecture(name)), options("tiny", scheme, 600, sram_bytes=4 * SRAM_BYTES), 140)


@pytest.mark.usefixtures("steps")
def test_values_of_a_step_lie_in_dram_or_have_room_for_it() -> None:
    """The rows that experts take and give come one by one; lists and weights of a step are in the memories whole."""
    chosen = options("tiny", "w8a8", 600, sram_bytes=SRAM_BYTES)
    module = lower(mixtral(3, **WIDE), chosen, "tile")
    allocs = [op for op in module.walk() if isinstance(op, tile.AllocOp)]
    allocs.sort(key=lambda op: op.size_bytes.value.data)  # chunks of one token have buffers of their own
    sizes = {op.label.data: op.size_bytes.value.data for op in allocs}
    assert sizes["members"] == 512 * 4
    assert sizes["choices"] == 512 * 2 * 8
    assert sizes["tokens"] == 512 * 4
    assert "mixture_rows" in sizes


def test_plans_of_large_mixtures() -> None:
    """Mixtral, 512 tokens: a step takes them all, and an expert has room for more than its share, 128."""
    plan = TilePlan.of(lower(load_program(CONFIG, random_seed=1), options("edge", "w8a8", 1024), "tile"))
    assert plan.tokens == 512
    assert plan.chunk == 128
    assert 144 <= plan.expert_rows <= 192

"""Convolutions and scans: the same bits as slmq for every cut into chunks, and states that begin anew at position 0."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from compiler.dialects.isa import InstructionOp
from compiler.driver import lower
from compiler.interpreters.slm import interpret_slm
from compiler.program import Program
from compiler.verify_each import StageVerifier
from frontends import load_program
from isa.abi import Mailbox, RunFlag
from isa.spec import INSTRUCTION_BYTES
from simulator.session import Session
from tests.end_to_end.e2e_support import SCHEMES, assert_same_bits, build, check_bits, interpreter, options, prompt_of

CONFIGS = Path(__file__).parents[2] / "examples" / "configs"
CONTEXT, TOLERANCE = 600, 2e-4
LFM2: dict[str, Any] = {
    "model_type": "lfm2",
    "vocab_size": 61,
    "hidden_size": 20,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "full_attn_idxs": [1],
    "conv_L_cache": 5,
    "conv_bias": True,
    "block_ff_dim": 30,
    "block_multiple_of": 7,
}
MAMBA: dict[str, Any] = {
    "model_type": "mamba",
    "vocab_size": 59,
    "hidden_size": 21,
    "num_hidden_layers": 2,
    "state_size": 6,
    "conv_kernel": 4,
    "time_step_rank": 3,
    "use_bias": True,
}
FAMILIES = {"lfm2": LFM2, "mamba": MAMBA}
OWN_VOCABULARY = 41
OWN = f"""architecture own for "own"
config {{ V = .v ?? {OWN_VOCABULARY}; d = .d ?? 24; L = .l ?? 2; H = 4; hd = 6; N = .n ?? 3; K = .k ?? 2 }}
weights {{
  embed: embedding(V, d)
  first: causal_conv(d, kernel=3, bias=true)
  shared: tensor([d, N])
  layers[i < L] {{
    before, after: rms_norm(d, 1e-5)
    heads: linear(d -> [H, hd]); conv: causal_conv([H, hd], kernel=K) ; back: linear([H, hd] -> d)
    again: causal_conv(d, kernel=1, bias=true)
    dt: linear(d -> d, bias=true); B, C: linear(d -> N)
    A: tensor([d, N])
  }}
  norm: rms_norm(d, 1e-5)
  outer: linear(d -> N)
  head: linear(d -> V)
}}
def forward(tokens: [T]) {{
  x = first(embed(tokens) * 9)
  decay = shared * 2 - 0.5
  for i in layers {{
    h = before(x)
    u = again(back(conv(heads(h))))
    step = softplus(dt(h))
    y = selective_scan(u, step, A - 0.3 if i == 0 else A, B(h), C(h))
    x += after(y + selective_scan(silu(u), step, decay, C(h), B(h)))
  }}
  x = norm(x)
  return head(norm(selective_scan(x, sigmoid(x), decay, outer(x), outer(x))))
}}
"""


def family(name: str, **changes: Any) -> Program:
    """A family's tiny model with random weights."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_text(json.dumps(FAMILIES[name] | changes), encoding="utf-8")
        return load_program(path, random_seed=2)


def own(**numbers: int) -> Program:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "own.slm"
        path.write_text(OWN, encoding="utf-8")
        return load_program(path, random_seed=6, overrides={name: str(value) for name, value in numbers.items()})


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", FAMILIES)
def test_schemes(name: str, scheme: str) -> None:
    program, machine = family(name), "tiny" if scheme in ("fp32", "w8a8-kv8") else "edge"
    check_bits(program, options(machine, scheme, CONTEXT, 6), prompt_of(21, program.config["vocab_size"]), 3)


@pytest.mark.parametrize("name", FAMILIES)
def test_prompts_around_the_length_of_the_kernel(name: str) -> None:
    """Also cut into chunks shorter than the rows a convolution keeps."""
    program = family(name)
    for chunk in (2, 16):
        chosen = options("edge", "w8a8", 64, chunk)
        executable = build(program, chosen)
        for length in range(1, 8):
            check_bits(program, chosen, prompt_of(length, program.config["vocab_size"]), 2, executable)


@pytest.mark.parametrize("name", FAMILIES)
def test_chunk_borders_and_kv_blocks(name: str) -> None:
    program = family(name)
    for chunk, length in ((3, 31), (48, 258)):
        check_bits(program, options("edge", "bf16", CONTEXT, chunk), prompt_of(length, program.config["vocab_size"]), 2)


@pytest.mark.parametrize("name", FAMILIES)
def test_turns_of_a_conversation(name: str) -> None:
    """The state goes on from turn to turn; a reset begins anew."""
    program, chosen = family(name), options("edge", "fp32", CONTEXT, 8)
    session, golden = Session(build(program, chosen), check_uninitialised=True), interpreter(program, chosen)
    vocabulary = program.config["vocab_size"]
    for _ in range(2):
        sequence: list[int] = []
        for turn, length in enumerate((5, 1, 13)):
            known, prompt = len(sequence), prompt_of(length, vocabulary, turn)
            tokens = list(session.generate(prompt, 4, dump=RunFlag.DUMP_ALL))
            sequence += [*prompt, *tokens]
            golden.reset()
            expected = golden.run(sequence[:-1])
            assert_same_bits(session.logits(), expected[max(known - 1, 0) :])
        session.reset()


@pytest.mark.parametrize("name", FAMILIES)
def test_processing_again_from_position_0(name: str) -> None:
    """Whatever the memory holds of the first time is forgotten."""
    program, chosen = family(name), options("edge", "fp32", CONTEXT, 8)
    session, prompt = Session(build(program, chosen)), prompt_of(19, program.config["vocab_size"])
    tokens = list(session.generate(prompt, 5, dump=RunFlag.DUMP_ALL))
    first = session.logits()
    session.state.write_mailbox(Mailbox.POS, 0)
    list(session.generate([], 1, dump=RunFlag.DUMP_ALL))
    assert_same_bits(session.logits()[: len(first)], first)
    assert len(session.logits()) == len(prompt) + len(tokens)


@pytest.mark.parametrize("numbers", [{"n": 1, "k": 1}, {"n": 2, "k": 7}, {"n": 17}, {"n": 32}, {"n": 33}, {"n": 101}])
def test_states_of_every_size(numbers: dict[str, int]) -> None:
    """Also: several states in a layer and outside of layers, A computed or handed into layers, channels of heads."""
    program = own(**numbers)
    chosen, prompt = options("tiny", "fp32", CONTEXT, 5), prompt_of(12, OWN_VOCABULARY)
    run = check_bits(program, chosen, prompt, 3)
    expected = interpret_slm(program, [*prompt, *run.tokens[:-1]])
    np.testing.assert_allclose(run.logits, expected, rtol=0, atol=TOLERANCE)


SIGNS = """architecture signs for "signs"
config { V = .v ?? 37 }
weights { embed: embedding(V, V); A: tensor([V, 2]); b, c: linear(V -> 2); step: linear(V -> V); head: linear(V -> V) }
def forward(tokens: [T]) {
  x = embed(tokens)
  y = selective_scan(x, softplus(step(x)), A, b(x), c(x))
  return LOGITS
}
"""


@pytest.mark.parametrize("logits", ["head(x) * y", "y * x"])
def test_sums_of_negative_zeros_are_positive(logits: str, tmp_path: Path) -> None:
    """B = 0 makes every term of every sum a zero of either sign, and the logits show the sign of y."""
    text = SIGNS.replace("LOGITS", logits)
    (tmp_path / "signs.slm").write_text(
        text if "head(" in logits else text.replace("; head: linear(V -> V)", ""), "utf-8"
    )
    program = load_program(tmp_path / "signs.slm", random_seed=3)
    load = program.weights.load
    program.weights.load = lambda name: load(name) * np.float32(name != "b.weight")  # type: ignore[method-assign]
    run = check_bits(program, options("edge", "fp32", 64), prompt_of(30, 37), 2)
    assert not run.logits.any()
    assert 0 < np.signbit(run.logits).sum() < run.logits.size


def test_channels_in_tiles() -> None:
    """A small SRAM takes few channels at once; the last tile is smaller than the others."""
    for name, changes in (("mamba", {"hidden_size": 75}), ("lfm2", {"hidden_size": 148})):
        program = family(name, **changes)
        check_bits(program, options("tiny", "w8a8", 64, 4, 32 << 10), prompt_of(10, program.config["vocab_size"]), 2)


@pytest.mark.parametrize("name", FAMILIES)
def test_no_pass_changes_a_bit(name: str) -> None:
    program, chosen = family(name), options("tiny", "w8a8-kv8", 64, 3)
    verifier = StageVerifier(program, 64, program.config["vocab_size"])
    lower(program, chosen, observe=verifier)
    assert "fuse-strips" in verifier.checked and "allocate-sram" in verifier.checked


@pytest.mark.parametrize("name", ["mamba-130m", pytest.param("lfm2-1.2b", marks=pytest.mark.long)])
def test_published_sizes_have_small_programs(name: str) -> None:
    program = load_program(CONFIGS / f"{name}.json", random_seed=1)
    module = lower(program, options("edge", "w8a8", 1024))
    text_bytes = INSTRUCTION_BYTES * sum(isinstance(op, InstructionOp) for op in module.walk())
    assert 0 < text_bytes < 64 << 10


@pytest.mark.long
@pytest.mark.parametrize("machine", ["edge", "tiny"])
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", FAMILIES)
def test_families_with_every_scheme(name: str, scheme: str, machine: str) -> None:
    program = family(name)
    for length, chunk in ((1, 0), (40, 1), (254, 3), (513, 0)):
        check_bits(
            program, options(machine, scheme, CONTEXT, chunk), prompt_of(length, program.config["vocab_size"]), 6
        )

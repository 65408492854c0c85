"""For the end-to-end tests: tiny models made on the fly, machines of any SRAM size, and the two runs that must agree bit for bit."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from compiler.driver import Options, compile_program, lower
from compiler.interpreters.slmq import SlmqInterpreter
from compiler.program import Program
from frontends import load_program
from isa.abi import RunFlag
from isa.container import Executable
from isa.machine import Machine
from simulator.session import Session

PUBLISHED = Path(__file__).parents[1] / "golden" / "published"
SCHEMES = ("fp32", "bf16", "w8a8", "w8a8-kv8")
INTERPRETER_CHUNK = 100  # on purpose none that a plan would choose

TINY_MODEL: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 67,
    "hidden_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 3,
    "num_key_value_heads": 1,
    "head_dim": 6,
    "intermediate_size": 20,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "hidden_act": "silu",
    "tie_word_embeddings": True,
}


def some_quick(cases: Iterable[Any], *quick: Any) -> list[Any]:
    """Cases for parametrize; those that are not `quick` are behind test-long."""
    return [
        case if case in quick else pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.long)
        for case in cases
    ]


def tiny_program(seed: int = 1, **changes: Any) -> Program:
    """A model of TINY_MODEL's config with changes, and random weights. A change to None takes the field out."""
    config = {name: value for name, value in (TINY_MODEL | changes).items() if value is not None}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        return load_program(path, random_seed=seed)


@cache
def machine(name: str, sram_bytes: int = 0) -> Machine:
    """A built-in machine, with another SRAM size if one is given."""
    data = tomllib.loads((resources.files("isa") / "machines" / f"{name}.toml").read_text("utf-8"))
    if sram_bytes:
        data["cores"][0]["sram"]["size_bytes"]["value"] = sram_bytes
    return Machine.from_canonical(data)


def options(
    name: str = "edge", scheme: str = "fp32", context: int = 512, chunk: int = 0, sram_bytes: int = 0
) -> Options:
    """Without predictions, which few tests look at."""
    return Options(machine(name, sram_bytes), scheme, context, chunk, predict=False)


def build(program: Program, chosen: Options) -> Executable:
    """The executable, through its file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.slx"
        compile_program(program, chosen, path)
        return Executable.open(path)


REFERENCE_TOKENS = 40


@dataclass(frozen=True)
class Run:
    """Generated tokens and the logits of every position that was processed."""

    tokens: list[int]
    logits: NDArray[np.float32]


def simulate(executable: Executable, prompt: Sequence[int], new: int) -> Run:
    """Greedy generation from a fresh session on the fast engine. Short runs are made on the reference engine too, where
    reading memory that was never written traps; the bits must be the same.
    """
    run = _generated(Session(executable), prompt, new)
    if len(prompt) + new <= REFERENCE_TOKENS:
        strict = _generated(Session(executable, check_uninitialised=True), prompt, new)
        assert run.tokens == strict.tokens
        assert_same_bits(run.logits, strict.logits)
    return run


def _generated(session: Session, prompt: Sequence[int], new: int) -> Run:
    tokens = list(session.generate(prompt, new, dump=RunFlag.DUMP_ALL))
    return Run(tokens, session.logits())


def interpreter(program: Program, chosen: Options) -> SlmqInterpreter:
    """The interpreter of the module at the end of stage slmq."""
    return SlmqInterpreter(lower(program, chosen, "slmq"), program.weights, chosen.context)


def prompt_of(length: int, vocabulary: int, seed: int = 0) -> list[int]:
    """Random token ids."""
    return np.random.default_rng([seed, length]).integers(0, vocabulary, length).tolist()


def assert_same_bits(actual: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    """Equal shapes and equal bits, NaN payloads included."""
    assert actual.shape == expected.shape
    different = np.argwhere(actual.view(np.uint32) != expected.view(np.uint32))
    if len(different):
        row, column = different[0]
        raise AssertionError(
            f"{len(different)} of {actual.size} logits differ, first at position {row}, token {column}: "
            f"{actual[row, column]!r} instead of {expected[row, column]!r}"
        )


def check_bits(
    program: Program, chosen: Options, prompt: Sequence[int], new: int, executable: Executable | None = None
) -> Run:
    """Simulator and slmq interpreter agree on every logit, and the tokens are the greedy ones."""
    run = simulate(executable or build(program, chosen), prompt, new)
    reference = interpreter(program, chosen)
    expected = reference.run([*prompt, *run.tokens[:-1]], INTERPRETER_CHUNK)
    assert_same_bits(run.logits, expected)
    assert np.isfinite(expected).all()
    greedy = expected[len(prompt) - 1 :].argmax(axis=1).tolist()
    if reference.restarts:  # the rows of a second pass are not those that the first tokens were chosen from
        reference.reset()
        greedy = reference.generate(prompt, new).tokens
    assert run.tokens == greedy
    return run


def vocabulary_of(executable: Executable) -> int:
    return int(executable.meta["vocabulary"])


def with_weights(program: Program, weights: Any) -> Program:
    """The program with another weight store."""
    return replace(program, weights=weights)

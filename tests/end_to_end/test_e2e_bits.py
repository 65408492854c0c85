"""Simulator bits = slmq interpreter bits: all schemes, both machines, prompts and generation around chunk and KV-block borders."""

from __future__ import annotations

from functools import cache
from itertools import product

import pytest

from compiler.program import Program
from isa.container import Executable
from tests.end_to_end.e2e_support import (
    SCHEMES,
    assert_same_bits,
    build,
    check_bits,
    options,
    prompt_of,
    simulate,
    tiny_program,
)

MACHINES = ("edge", "tiny")
LENGTHS = (1, 2, 127, 128, 129, 255, 256, 257)
CHUNKS = (1, 3, 16, 128)
VOCABULARY = 67


@cache
def program() -> Program:
    """Two layers, two query heads per key-value head, sizes that are no multiple of anything."""
    return tiny_program(3, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, attention_bias=True)


@cache
def executable(machine: str, scheme: str) -> Executable:
    return build(program(), options(machine, scheme))


def check(machine: str, scheme: str, length: int, new: int) -> None:
    prompt = prompt_of(length, VOCABULARY)
    check_bits(program(), options(machine, scheme), prompt, new, executable(machine, scheme))


@pytest.mark.parametrize(("machine", "scheme"), list(product(MACHINES, SCHEMES)))
def test_prompt_lengths(machine: str, scheme: str) -> None:
    """A subset that meets every length on both machines and with all schemes."""
    rotation = MACHINES.index(machine) * 4 + SCHEMES.index(scheme) * 2
    chosen = {LENGTHS[(rotation + step) % len(LENGTHS)] for step in (0, 1, 4)}
    for length in sorted(chosen | {257}):
        check(machine, scheme, length, 2)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_generation_across_a_kv_block(machine: str, scheme: str) -> None:
    check(machine, scheme, 250, 12)


@pytest.mark.parametrize("machine", MACHINES)
def test_generation_across_chunks_of_the_prompt(machine: str) -> None:
    check(machine, "w8a8", 124, 8)


@pytest.mark.long
@pytest.mark.parametrize(("machine", "scheme", "length"), list(product(MACHINES, SCHEMES, LENGTHS)))
def test_every_prompt_length(machine: str, scheme: str, length: int) -> None:
    check(machine, scheme, length, 12)


@pytest.mark.parametrize("scheme", ["w8a8-kv8"])
def test_chunk_size_and_machine_keep_the_bits(scheme: str) -> None:
    check_chunks(scheme, CHUNKS, (("edge", 0), ("tiny", 0)))


@pytest.mark.long
@pytest.mark.parametrize("scheme", SCHEMES)
def test_many_chunk_sizes_and_machines_keep_the_bits(scheme: str) -> None:
    check_chunks(
        scheme, (1, 2, 3, 5, 7, 16, 31, 100, 128, 200, 256), (("edge", 0), ("tiny", 3 << 19), ("tiny", 1 << 22))
    )


def check_chunks(scheme: str, chunks: tuple[int, ...], machines: tuple[tuple[str, int], ...]) -> None:
    references = {
        length: check_bits(
            program(), options("edge", scheme), prompt_of(length, VOCABULARY), 4, executable("edge", scheme)
        )
        for length in (20, 260)
    }
    tried = 0
    for (machine, sram_bytes), chunk in product(machines, chunks):
        if machine == "tiny" and not sram_bytes and chunk > 8:
            continue  # does not fit 64 KiB
        chosen = options(machine, scheme, chunk=chunk, sram_bytes=sram_bytes)
        built = build(program(), chosen)
        assert built.meta["chunk"] == chunk
        length = 260 if chunk > 1 else 20
        run = simulate(built, prompt_of(length, VOCABULARY), 4)
        assert run.tokens == references[length].tokens
        assert_same_bits(run.logits, references[length].logits)
        tried += 1
    assert tried > len(chunks)

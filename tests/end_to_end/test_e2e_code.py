"""Properties of the code: no growth with layers, positions or prompts; deterministic; every instruction has a place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compiler.dialects.isa import InstructionOp
from compiler.driver import compile_program, lower
from compiler.locations import is_unknown, source_of
from compiler.program import Program
from isa.assembler import assemble
from isa.container import Executable
from isa.disassembler import disassemble_executable
from isa.spec import INSTRUCTION_BYTES
from simulator.session import Session
from tests.end_to_end.e2e_support import SCHEMES, build, options, tiny_program

LARGEST_TEXT_BYTES = 64 << 10
REAL_MODEL: dict[str, Any] = {
    "vocab_size": 2048, "hidden_size": 256, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 32,
    "intermediate_size": 640,
}  # fmt: skip


def text_bytes(program: Program, *arguments: Any, **keywords: Any) -> tuple[int, dict[str, Any]]:
    """(size of the text, the plan)."""
    executable = build(program, options(*arguments, **keywords))
    return len(executable.text) * INSTRUCTION_BYTES, executable.meta["plan"]


@pytest.mark.parametrize(("machine", "scheme"), [("edge", "w8a8-kv8"), ("tiny", "bf16")])
def test_text_does_not_grow_with_layers(machine: str, scheme: str) -> None:
    few, plan = text_bytes(tiny_program(num_hidden_layers=2), machine, scheme, chunk=8)
    many, same_plan = text_bytes(tiny_program(num_hidden_layers=20), machine, scheme, chunk=8)
    assert plan == same_plan
    assert many <= few  # how often layers run decides which descriptors have registers


@pytest.mark.parametrize("machine", ["edge", "tiny"])
def test_text_does_not_grow_with_the_context(machine: str) -> None:
    short, plan = text_bytes(tiny_program(), machine, "w8a8", 256, chunk=6)
    long, same_plan = text_bytes(tiny_program(), machine, "w8a8", 2048, chunk=6)
    assert plan | {"context": 0} == same_plan | {"context": 0}
    assert short == long


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("machine", ["edge", "tiny"])
def test_text_of_a_usual_model_is_small(machine: str, scheme: str) -> None:
    chunk = 0 if machine == "edge" else 4
    size, _ = text_bytes(tiny_program(**REAL_MODEL), machine, scheme, 2048, chunk)
    assert 0 < size < LARGEST_TEXT_BYTES


def test_the_same_instructions_serve_every_prompt_length() -> None:
    """One text per executable; a longer prompt runs more instructions of it, not other ones."""
    executable = build(tiny_program(), options("tiny", "w8a8", chunk=8))
    before = executable.text.tobytes()
    session = Session(executable)
    for length in (1, 7, 300):
        session.reset()
        list(session.generate([1] * length, 2))
    assert executable.text.tobytes() == before


@pytest.mark.parametrize(("machine", "scheme"), [("edge", "fp32"), ("tiny", "w8a8-kv8")])
def test_every_instruction_has_a_place(machine: str, scheme: str) -> None:
    module = lower(tiny_program(), options(machine, scheme, chunk=8))
    found = [op for op in module.walk() if isinstance(op, InstructionOp)]
    assert len(found) > 300
    assert not [op for op in found if is_unknown(op.location)]
    places = {source_of(op.location) for op in found}
    assert len(places) > 10
    assert {place.split(":")[0] for place in places if place} == {"llama.slm"}


@pytest.mark.parametrize("machine", ["edge", "tiny"])
def test_compiling_twice_gives_the_same_bytes(machine: str, tmp_path: Path) -> None:
    program = tiny_program()
    files: list[bytes] = []
    for name in ("first", "second"):
        compile_program(program, options(machine, "w8a8-kv8", chunk=8), tmp_path / name)
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1]
    assert Executable.open(tmp_path / "first").meta["scheme"] == "w8a8-kv8"


@pytest.mark.parametrize(("machine", "scheme"), [("edge", "fp32"), ("tiny", "w8a8-kv8")])
def test_disassembled_text_assembles_to_the_same_bytes(machine: str, scheme: str) -> None:
    executable = build(tiny_program(), options(machine, scheme, chunk=8))
    text = disassemble_executable(executable)
    again = assemble(text)
    assert again.text == executable.text.tobytes()
    assert again.smem == executable.smem_image
    assert "llama.slm:" in text

"""Experts in DRAM, META and symbols; which matrices decide a choice; when a row may be overwritten."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from compiler.conversion.routing import routers
from compiler.dialects import slm
from compiler.driver import compile_program, lower
from compiler.emit.executable import places_of
from compiler.emit.packing import pack
from compiler.emit.recipes import Recipe
from compiler.formats import WeightFormat
from compiler.program import Program, Rows
from isa.container import Executable
from tests.end_to_end.e2e_support import build, options, tiny_program
from tests.end_to_end.mixture_support import MODELS, architecture, mixtral, program_of


class Weights:
    """A weight store of given arrays."""

    def __init__(self, arrays: dict[str, NDArray[np.float32]]):
        self.arrays = arrays

    def integer_format(self, name: str) -> None:
        return None

    def quantized(self, name: str) -> None:
        return None

    def load(self, name: str) -> NDArray[np.float32]:
        return self.arrays[name]

    def rows_of(self, name: str) -> Rows:
        return self.arrays[name].__getitem__


def packed(recipe: Recipe, arrays: dict[str, NDArray[np.float32]], layer: int) -> bytes:
    return b"".join(part.tobytes() for make in pack(recipe, Weights(arrays), layer) for part in make())  # type: ignore[arg-type]


@pytest.mark.parametrize("rows", [16, 33])
def test_experts_lie_at_equal_distances(rows: int) -> None:
    """Each as it would lie alone, then zeros up to the granule."""
    random = np.random.default_rng(1)
    arrays = {f"layers.2.experts.{e}.w": random.normal(size=(rows, 20)).astype(np.float32) for e in range(3)}
    arrays |= {f"layers.2.experts.{e}.b": random.normal(size=rows).astype(np.float32) for e in range(3)}
    form = WeightFormat("i8")
    several = Recipe("matrix", "layers.{i}.experts.{e}.w", form, rows, 20, 0, "layers.{i}.experts.{e}.b", 0.0, 3)
    data = packed(several, arrays, 2)
    assert len(data) == several.size_bytes == 3 * several.stride_bytes
    assert several.stride_bytes % 64 == 0 and 0 <= several.stride_bytes - several.member_bytes < 64
    for expert in range(3):
        one = Recipe("matrix", f"layers.2.experts.{expert}.w", form, rows, 20, 0, f"layers.2.experts.{expert}.b", 0.0)
        start = expert * several.stride_bytes
        assert data[start : start + one.size_bytes] == packed(one, arrays, 0)
        assert not any(data[start + one.size_bytes : start + several.stride_bytes])


@cache
def mixture_executable() -> Executable:
    return build(mixtral(), options(chunk=4))


def test_one_symbol_names_all_experts() -> None:
    symbols = {symbol.name: symbol for symbol in mixture_executable().symbols}
    first, second = (symbols[f"layers.{layer}.experts.*.gate.weight"] for layer in (0, 1))
    assert first.size_bytes == second.size_bytes and first.size_bytes % 4 == 0
    assert first.offset + first.size_bytes <= second.offset
    assert not any("{" in name for name in symbols)


def test_meta_says_whether_the_program_routes() -> None:
    assert mixture_executable().meta["routed"] is True
    assert build(tiny_program(), options(chunk=4)).meta["routed"] is False
    assert build(program_of(architecture("dense")), options(chunk=4)).meta["routed"] is False


def router_keys(program: Program) -> set[str]:
    return {op.weight.key.data for op in routers(program.module) if isinstance(op, slm.LinearOp)}


@pytest.mark.parametrize("name", MODELS)
def test_matrices_that_decide_a_choice(name: str) -> None:
    """The routers of a top_k, no others."""
    layer, last = "layers.{i}.router.weight", "last.weight"
    expected = {
        "dense": set(), "unweighted": set(), "columns": set(), "values in place": set(), "tensors for all": set(),
        "outside of the layers": {layer, last}, "chosen before the layers": {last}, "no mixture": {"layers.{i}.q.weight"},
    }  # fmt: skip
    assert router_keys(program_of(architecture(name))) == expected.get(name, {layer})


@pytest.mark.parametrize("scheme", ["bf16", "w8a8", "w8a8-kv8"])
def test_routers_are_f32_in_every_scheme(scheme: str) -> None:
    places = places_of(lower(mixtral(), options("edge", scheme, chunk=4)))
    formats = {
        place.what.data["key"].data: place.what.data["format"].data for place in places if "format" in place.what.data
    }
    weights = "bf16" if scheme == "bf16" else "i8"
    assert formats["layers.{i}.router.weight"] == "f32"
    assert formats["layers.{i}.experts.{e}.gate.weight"] == formats["layers.{i}.q.weight"] == weights


def test_compiling_keeps_one_expert_in_memory(tmp_path: Path) -> None:
    """Weights are asked for one tensor at a time, expert by expert."""
    program = mixtral(num_hidden_layers=1)
    asked: list[str] = []

    class Watched:
        def __getattr__(self, name: str) -> object:
            return getattr(program.weights, name)

        def load(self, name: str) -> NDArray[np.float32]:
            asked.append(name)
            return program.weights.load(name)

        def rows_of(self, name: str) -> Rows:
            asked.append(name)
            return program.weights.rows_of(name)

    watched = Program(program.module, Watched(), program.architecture, program.config)  # type: ignore[arg-type]
    compile_program(watched, options(chunk=4), tmp_path / "x.slx")
    experts = [name for name in asked if ".experts." in name]
    assert experts == [f"layers.0.experts.{e}.{part}.weight" for part in ("gate", "up", "down") for e in range(4)]

"""Quantisation schemes: which number format each role of a value has. docs/numerics.md section 8 has the table."""

from __future__ import annotations

from dataclasses import dataclass

from compiler.errors import CompileError


@dataclass(frozen=True)
class Scheme:
    """weights: matrix weights and their inputs (f32, bf16 or i8); table: embedding rows; attention: q and probabilities;
    cache: keys and values in the KV cache; routing: weights and inputs of the matrices that decide a choice."""

    name: str
    weights: str
    table: str
    attention: str
    cache: str
    routing: str = "f32"


SCHEMES = {
    "fp32": Scheme("fp32", weights="f32", table="f32", attention="f32", cache="f32"),
    "bf16": Scheme("bf16", weights="bf16", table="bf16", attention="bf16", cache="bf16"),
    "w8a8": Scheme("w8a8", weights="i8", table="bf16", attention="bf16", cache="bf16"),
    "w8a8-kv8": Scheme("w8a8-kv8", weights="i8", table="bf16", attention="bf16", cache="i8"),
}


def find_scheme(name: str) -> Scheme:
    """The scheme of that name. Raises CompileError naming the known ones."""
    if name not in SCHEMES:
        raise CompileError(f'unknown scheme "{name}"', hint="known schemes: " + ", ".join(SCHEMES))
    return SCHEMES[name]

"""Quantisation schemes: which number format each role of a value has. docs/numerics.md section 8 has the table.

A name is a base and modifiers: `w4a8-g32-zp-kv8`. A mixed scheme has rules besides (compiler/scheme_files.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from compiler.errors import CompileError
from compiler.formats import WeightFormat

_BASES = {  # name -> weights, inputs of matrices, embedding rows, attention (q, keys, values, probabilities)
    "fp32": ("f32", "f32", "f32", "f32"),
    "fp16": ("f16", "f16", "f16", "f16"),
    "bf16": ("bf16", "bf16", "bf16", "bf16"),
    "w8a8": ("i8", "i8", "bf16", "bf16"),
    "w8a16": ("i8", "bf16", "bf16", "bf16"),
    "w4a8": ("i4", "i8", "bf16", "bf16"),
    "w4a16": ("i4", "bf16", "bf16", "bf16"),
}
BASES = tuple(_BASES)
SHOWN = ("fp32", "fp16", "bf16", "w8a16", "w8a8", "w8a8-kv8", "w4a16", "w4a8", "w4a8-kv8", "w4a8-kv4")
"""Schemes for tables of all."""
MODIFIERS = "-g32 -g64 -g128 (columns of a group), -zp (offsets), -s24 (2:4 sparsity), -kv8 -kv4 (KV cache)"
DEFAULT_GROUP = "64"
"""Of int4 weights."""
_NAME = re.compile(r"([a-z0-9]+)(?:-g(32|64|128))?(-zp)?(-s24)?(?:-kv([48]))?")


@dataclass(frozen=True)
class Matrix:
    """The formats of one product: its weight, and what its input is brought to (f32, f16, bf16, i8)."""

    weights: WeightFormat
    inputs: str


ROUTING = Matrix(WeightFormat("f32"), "f32")
"""Of the matrices that decide a choice, in every scheme."""


@dataclass(frozen=True)
class Rule:
    """Weights whose name the pattern fits (`layers.0.*`, `head.weight`; fnmatch) have this form."""

    pattern: str
    matrix: Matrix


@dataclass(frozen=True)
class Scheme:
    """matrix: of all weights that no rule names, the first rule that fits wins; table: embedding rows; attention: q and
    probabilities; cache: keys and values in the KV cache."""

    name: str
    matrix: Matrix
    table: str
    attention: str
    cache: str
    rules: tuple[Rule, ...] = ()

    def matrix_of(self, name: str) -> Matrix:
        """The form of the weight of that name, `layers.3.q.weight`."""
        return next((rule.matrix for rule in self.rules if fnmatchcase(name, rule.pattern)), self.matrix)


def find_scheme(name: str) -> Scheme:
    """The scheme of that name. Raises CompileError that says what a name is made of."""
    found = _NAME.fullmatch(name)
    base = _BASES.get(found[1]) if found else None
    if found is None or base is None:
        raise CompileError(f'unknown scheme "{name}"', hint=f"known are {', '.join(BASES)}, with {MODIFIERS}")
    _, group, offsets, sparse, cache = found.groups()
    element, inputs, table, attention = base
    group = group or (DEFAULT_GROUP if element == "i4" else "0")
    try:
        weights = WeightFormat(element, int(group), bool(offsets), bool(sparse))
    except ValueError as error:
        raise CompileError(f'scheme "{name}": {error}') from error
    if cache and attention != "bf16":
        raise CompileError(f'scheme "{name}": an int{cache} KV cache needs attention in bf16, and it is {attention}')
    return Scheme(name, Matrix(weights, inputs), table, attention, f"i{cache}" if cache else attention)

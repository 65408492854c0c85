"""Quantisation schemes: which number format each role of a value has. docs/numerics.md section 8 has the table.

A name is a base and modifiers: `w4a8-g32-zp-kv8`. A mixed scheme has rules besides: from a file (compiler/scheme_files.py), and behind
the name once it is known, `w4a8{head.weight=i8:i8}`, so that the name says everything. A scheme of stored formats gets its rules
from the weights.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from compiler.errors import CompileError
from compiler.formats import MICROSCALED, WeightFormat
from compiler.microscaling import BLOCK
from compiler.program import WeightStore
from compiler.scheme_files import read_scheme_file

_BASES = {  # name -> weights, inputs of matrices, embedding rows, attention (q, keys, values, probabilities)
    "fp32": ("f32", "f32", "f32", "f32"),
    "fp16": ("f16", "f16", "f16", "f16"),
    "bf16": ("bf16", "bf16", "bf16", "bf16"),
    "w8a8": ("i8", "i8", "bf16", "bf16"),
    "w8a16": ("i8", "bf16", "bf16", "bf16"),
    "w4a8": ("i4", "i8", "bf16", "bf16"),
    "w4a16": ("i4", "bf16", "bf16", "bf16"),
    "mxfp8": ("e4m3", "bf16", "bf16", "bf16"),
    "mxfp4": ("e2m1", "bf16", "bf16", "bf16"),
    "stored_a8": ("i8", "i8", "bf16", "bf16"),
    "stored_a16": ("i8", "bf16", "bf16", "bf16"),
}
BASES = tuple(_BASES)
STORED = ("stored_a8", "stored_a16")
"""Matrices stay in the quantised format that they are stored in, if the inputs go with it; the others are int8 by row."""
SHOWN = ("fp32", "fp16", "bf16", "w8a16", "w8a8", "w8a8-kv8", "w4a16", "w4a8", "w4a8-kv8", "w4a8-kv4", "mxfp8", "mxfp4")
"""Schemes for tables of all."""
MODIFIERS = "-g32 -g64 -g128 (columns of a group), -zp (offsets), -s24 (2:4 sparsity), -kv8 -kv4 (KV cache)"
FILE_SUFFIX = ".toml"
DEFAULT_GROUPS = {"i4": "64"} | dict.fromkeys(MICROSCALED, str(BLOCK))
"""By element; others have a scale per row."""
_NAME = re.compile(r"([a-z0-9_]+?)(?:-g(32|64|128))?(-zp)?(-s24)?(?:-kv([48]))?")
_RULE = re.compile(r"([^={},:]+)=([^={},:]+):(f32|f16|bf16|i8)")


@dataclass(frozen=True)
class Matrix:
    """The formats of one product: its weight, and what its input is brought to (f32, f16, bf16, i8)."""

    weights: WeightFormat
    inputs: str


ROUTING = Matrix(WeightFormat("f32"), "f32")
"""Of the matrices that decide a choice, in every scheme."""


@dataclass(frozen=True)
class Rule:
    """Weights whose name the pattern fits (`layers.0.*`, `head.weight`; fnmatch) have this form. Written `head.weight=i4-g64:i8`."""

    pattern: str
    matrix: Matrix

    def __str__(self) -> str:
        return f"{self.pattern}={self.matrix.weights}:{self.matrix.inputs}"

    @staticmethod
    def of(text: str) -> Rule:
        """Raises CompileError."""
        found = _RULE.fullmatch(text)
        if found is None:
            raise CompileError(f'"{text}" is no rule of a scheme', hint="head.weight=i4-g64:i8")
        try:
            weights = WeightFormat.of(found[2])
        except ValueError as error:
            raise CompileError(f'rule "{text}": {error}') from error
        if found[3] not in weights.inputs:
            raise CompileError(f'rule "{text}": weights in {weights} take inputs in {" or ".join(weights.inputs)}')
        return Rule(found[1], Matrix(weights, found[3]))


@dataclass(frozen=True)
class Scheme:
    """matrix: of all weights that no rule names, the first rule that fits wins; table: embedding rows; attention: q and
    probabilities; cache: keys and values in the KV cache. `base` is the name without rules."""

    name: str
    base: str
    matrix: Matrix
    table: str
    attention: str
    cache: str
    rules: tuple[Rule, ...] = ()

    def matrix_of(self, name: str) -> Matrix:
        """The form of the weight of that name, `layers.3.q.weight`."""
        return next((rule.matrix for rule in self.rules if fnmatchcase(name, rule.pattern)), self.matrix)

    def with_rules(self, rules: Sequence[str]) -> Scheme:
        """Raises CompileError for a text that is no rule."""
        name = f"{self.base}{{{','.join(rules)}}}" if rules else self.base
        return replace(self, name=name, rules=tuple(Rule.of(text) for text in rules))

    def for_weights(self, weights: WeightStore) -> Scheme:
        """Of a scheme of stored formats: with a rule for each matrix that has one."""
        if not self.base.startswith(STORED):
            return self
        formats = {name: weights.integer_format(name) for name in weights.names()}
        inputs = self.matrix.inputs
        kept = [Rule(name, Matrix(form, inputs)) for name, form in formats.items() if form and inputs in form.inputs]
        return replace(self, rules=(*self.rules, *kept))


def find_scheme(name: str) -> Scheme:
    """The scheme of that name, or of a `.toml` file. Raises CompileError that says what a name is made of, or where a file is wrong."""
    if name.endswith(FILE_SUFFIX):
        return mixed_scheme(Path(name))
    base, brace, rules = name.partition("{")
    if not brace:
        return named_scheme(name)
    if not rules.endswith("}"):
        raise CompileError(f'scheme "{base}": its rules have no end', hint="w4a8{head.weight=i8:i8,layers.0.*=i8:i8}")
    return named_scheme(base).with_rules(rules[:-1].split(","))


def mixed_scheme(path: Path) -> Scheme:
    """The scheme of a file: that of its base, with rules."""
    file = read_scheme_file(path)
    try:
        rules = tuple(Rule(entry.match, named_scheme(entry.scheme).matrix) for entry in file.rule)
        return named_scheme(file.base).with_rules([str(rule) for rule in rules])
    except CompileError as error:
        raise CompileError(error.message, str(path), error.hint) from error


def named_scheme(name: str) -> Scheme:
    """Raises CompileError that says what a name is made of."""
    found = _NAME.fullmatch(name)
    base = _BASES.get(found[1]) if found else None
    if found is None or base is None:
        raise CompileError(f'unknown scheme "{name}"', hint=f"known are {', '.join(BASES)}, with {MODIFIERS}")
    _, group, offsets, sparse, cache = found.groups()
    element, inputs, table, attention = base
    group = group or DEFAULT_GROUPS.get(element, "0")
    try:
        weights = WeightFormat(element, int(group), bool(offsets), bool(sparse))
    except ValueError as error:
        raise CompileError(f'scheme "{name}": {error}') from error
    if cache and attention != "bf16":
        raise CompileError(f'scheme "{name}": an int{cache} KV cache needs attention in bf16, and it is {attention}')
    return Scheme(name, name, Matrix(weights, inputs), table, attention, f"i{cache}" if cache else attention)

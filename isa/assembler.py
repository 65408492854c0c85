"""Assembly text to instruction bytes and an SMEM image. The syntax is in docs/isa.md.

    loop: alu.sub x5, x5, 1
          br.ne   x5, x0, loop
          halt

Two passes: the first parses lines, places them and collects names; the second resolves names, checks ranges and encodes.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from lark import Token, Tree

from isa.abi import SMEM_IMAGE_OFFSET
from isa.assembly_grammar import RENAME, is_definable, parse_line, spellings
from isa.container_format import MAX_TEXT_BYTES
from isa.descriptor import Descriptor, dense_strides, field_range
from isa.encoding import encode, legal_range
from isa.errors import AssemblyError, did_you_mean, show
from isa.fp32_text import parse_fp32
from isa.metadata import DebugMap, Symbol
from isa.spec import (
    BY_MNEMONIC,
    ELEMENT_BITS,
    INSTRUCTION_BYTES,
    SMEM_BYTES,
    TD_BYTES,
    TD_FIELDS,
    TD_FUNCTIONS,
    Dtype,
    Flag,
    Region,
)

MAX_SOURCE_CHARACTERS = 16 << 20
MAX_LINE_CHARACTERS = 4096
DATA_ALIGNMENT = {"td": 8, "word": 8, "float": 4, "byte": 1, "zero": 1}
Quad = tuple[int, int, int, int]
_TD_RANGES = {name: field_range(width, signed) for name, width, signed in TD_FIELDS}


@dataclass(eq=False)
class Assembly:
    """What a text assembles to. `smem` starts at SMEM_IMAGE_OFFSET; `lines` [instructions]: source line, from 1.

    `labels`: instruction indices. `addresses`: absolute SMEM byte addresses. `descriptors`: the names placed by `.td`.
    """

    file: str
    text: bytes
    smem: bytes
    labels: dict[str, int]
    addresses: dict[str, int]
    descriptors: list[str]
    lines: list[int]

    def symbols(self) -> list[Symbol]:
        """Labels and SMEM names for the SYM section."""
        symbols = [Symbol(name, "TEXT", pc * INSTRUCTION_BYTES, 0, "label") for name, pc in self.labels.items()]
        descriptors = set(self.descriptors)
        ends = sorted({*self.addresses.values(), SMEM_IMAGE_OFFSET + len(self.smem)})
        for name, address in self.addresses.items():
            is_descriptor = name in descriptors
            next_address = ends[min(bisect_right(ends, address), len(ends) - 1)]
            size_bytes = TD_BYTES if is_descriptor else next_address - address
            symbols.append(Symbol(name, "SMEM", address, size_bytes, "descriptor" if is_descriptor else "data"))
        return symbols

    def debug(self) -> DebugMap:
        """Source lines for the DBG section."""
        places = sorted(set(self.lines))
        index = {line: position for position, line in enumerate(places)}
        debug = DebugMap.empty(len(self.lines))
        debug.locations = [f"{self.file}:{line}" for line in places]
        debug.location_of_pc = np.array([index[line] for line in self.lines], np.int32)
        return debug


@dataclass(frozen=True, slots=True)
class _Statement:
    line: int
    tree: Tree[Token]
    address: int


def assemble(source: str, file: str = "<text>") -> Assembly:
    """Assembles a whole text. `file` names it in messages. Raises AssemblyError at the first mistake."""
    if len(source) > MAX_SOURCE_CHARACTERS:
        raise AssemblyError(f"{len(source)} characters, at most {MAX_SOURCE_CHARACTERS} are read", file)
    return _Assembler(source.split("\n"), file).run()


@dataclass(eq=False)
class _Assembler:
    source: list[str]
    file: str
    names: dict[str, int] = field(default_factory=dict[str, int])
    defined_at: dict[str, int] = field(default_factory=dict[str, int])
    labels: dict[str, int] = field(default_factory=dict[str, int])
    addresses: dict[str, int] = field(default_factory=dict[str, int])
    descriptors: list[str] = field(default_factory=list[str])
    pending: list[tuple[Token, int]] = field(default_factory=list[tuple[Token, int]])
    text: list[_Statement] = field(default_factory=list[_Statement])
    data: list[_Statement] = field(default_factory=list[_Statement])
    address: int = SMEM_IMAGE_OFFSET

    def run(self) -> Assembly:
        for line, text in enumerate(self.source, 1):
            if len(text) > MAX_LINE_CHARACTERS:
                raise AssemblyError(f"the line has more than {MAX_LINE_CHARACTERS} characters", self.file, line)
            self.place(parse_line(text, self.file, line), line)
        self.bind(self.labels, len(self.text))
        code = b"".join(self.instruction(statement) for statement in self.text)
        smem = bytearray(self.address - SMEM_IMAGE_OFFSET)
        for statement in self.data:
            content = self.content(statement)
            start = statement.address - SMEM_IMAGE_OFFSET
            smem[start : start + len(content)] = content
        lines = [statement.line for statement in self.text]
        return Assembly(self.file, code, bytes(smem), self.labels, self.addresses, self.descriptors, lines)

    def error(self, message: str, line: int, token: Token | None = None, hint: str | None = None) -> AssemblyError:
        column = token.column if token is not None else 1
        return AssemblyError(message, self.file, line, column, hint, self.source[line - 1])

    # First pass

    def place(self, tree: Tree[Token], line: int) -> None:
        for child in _trees(tree):
            if child.data == "label":
                self.pending.append((_token(child), line))
            elif child.data == "equ":
                name = cast(Token, child.children[0])
                self.define(name, line, self.value(_trees(child)[0], line, -(2**63), 2**64 - 1))
            elif child.data in DATA_ALIGNMENT:
                self.place_data(child, line)
            else:
                self.place_instruction(child, line)

    def place_instruction(self, tree: Tree[Token], line: int) -> None:
        if (len(self.text) + 1) * INSTRUCTION_BYTES > MAX_TEXT_BYTES:
            raise self.error(f"more than {MAX_TEXT_BYTES} bytes of instructions", line)
        self.bind(self.labels, len(self.text))
        self.text.append(_Statement(line, tree, len(self.text)))

    def place_data(self, tree: Tree[Token], line: int) -> None:
        alignment = DATA_ALIGNMENT[tree.data]
        address = -(-self.address // alignment) * alignment
        if tree.data == "td":
            name = cast(Token, tree.children[0])
            self.define(name, line, address)
            self.addresses[str(name)] = address
            self.descriptors.append(str(name))
        self.bind(self.addresses, address)
        self.data.append(_Statement(line, tree, address))
        self.address = address + self.data_bytes(tree, line)
        if self.address > SMEM_BYTES:
            raise self.error(f"data ends at {self.address}, SMEM has {SMEM_BYTES} bytes", line)

    def data_bytes(self, tree: Tree[Token], line: int) -> int:
        if tree.data == "td":
            return TD_BYTES
        if tree.data == "zero":
            return self.value(_trees(tree)[0], line, 0, SMEM_BYTES)
        return len(tree.children) * DATA_ALIGNMENT[tree.data]

    def bind(self, kind: dict[str, int], place: int) -> None:
        """Gives the labels before this statement their place."""
        for token, line in self.pending:
            self.define(token, line, place)
            kind[str(token)] = place
        self.pending.clear()

    def define(self, token: Token, line: int, value: int) -> None:
        name = str(token)
        if not is_definable(name):
            raise self.error(f"{show(name)} is reserved", line, token, RENAME)
        if name in self.names:
            raise self.error(f"{show(name)} is defined twice", line, token, f"first in line {self.defined_at[name]}")
        self.names[name] = value
        self.defined_at[name] = line

    # Second pass

    def instruction(self, statement: _Statement) -> bytes:
        tree, line = statement.tree, statement.line
        if tree.data == "raw":
            return bytes.fromhex(str(_token(tree)))
        row = BY_MNEMONIC[tree.data]
        fn, flags = spellings(row)[str(_token(tree))]
        slots = row.syntax.replace("imm(rs)", "imm rs").split()
        fields: dict[str, int] = {}
        for slot, operand in zip(slots, _trees(tree), strict=True):
            flags |= self.operand(slot, operand, line, fields)
        fn = fields.pop("fn", fn)
        return encode(row.mnemonic, fn=fn if row.functions else None, fl=flags, **fields)

    def operand(self, slot: str, tree: Tree[Token], line: int, fields: dict[str, int]) -> Flag:
        """Stores the fields of one operand; returns the flag that its form stands for."""
        choices = slot.split("|")
        if tree.data == "tdfield":
            register, _, name = str(_token(tree)).partition(".")
            fields["ta"] = self.register(register, "ta", line, _token(tree))
            fields["fn"] = self.td_function(name, line, _token(tree))
            return Flag(0)
        if tree.data in ("treg", "xreg"):
            scalar = tree.data == "xreg" and "f32" in choices
            name = choices[-1] if scalar else choices[0]
            fields[name] = self.register(str(_token(tree)), name, line, _token(tree))
            return Flag.X if scalar else Flag(0)
        if tree.data == "fp32":
            fields["imm"] = self.fp32(tree, line)
        else:
            fields["imm"] = self.value(tree, line, *legal_range("imm"))
        return Flag.I if len(choices) > 1 else Flag(0)

    def register(self, text: str, operand: str, line: int, token: Token) -> int:
        number, (_, last) = int(text[1:]), legal_range(operand)
        if number > last:
            raise self.error(f"register {text} does not exist", line, token, f"{text[0]}0 to {text[0]}{last}")
        return number

    def td_function(self, name: str, line: int, token: Token) -> int:
        if name not in TD_FUNCTIONS:
            hint = f"one of {' '.join(TD_FUNCTIONS)}"
            raise self.error(f"a descriptor has no field {show(name)} that can be set", line, token, hint)
        return TD_FUNCTIONS.index(name)

    def fp32(self, tree: Tree[Token], line: int) -> int:
        try:
            return parse_fp32(str(_token(tree)))
        except ValueError as error:
            raise self.error(f"{show(str(_token(tree)))}: {error}", line, _token(tree)) from error

    def value(self, tree: Tree[Token], line: int, low: int, high: int) -> int:
        """The number a `value` stands for: a literal, or a name with an offset."""
        token, *offset = cast(list[Token], tree.children)
        if token.type == "INT":
            value = int(token, 0) if "x" in token else int(token)
        elif str(token) in self.names:
            value = self.names[str(token)] + sum(int(part, 0) if "x" in part else int(part) for part in offset)
        elif not is_definable(str(token)):
            raise self.error(f"expected a number or a name, found {show(str(token))}", line, token)
        else:
            raise self.error(f"{show(str(token))} is not defined", line, token, did_you_mean(str(token), self.names))
        if not low <= value <= high:
            raise self.error(f"{_short(value)} is not in [{low}, {high}]", line, token)
        return value

    def content(self, statement: _Statement) -> bytes:
        """The bytes of a data directive."""
        tree, line = statement.tree, statement.line
        if tree.data == "td":
            return self.descriptor(tree, line).pack()
        if tree.data == "float":
            return b"".join(struct.pack("<i", self.fp32(child, line)) for child in _trees(tree))
        if tree.data == "word":
            values = [self.value(child, line, -(2**63), 2**64 - 1) for child in _trees(tree)]
            return b"".join(struct.pack("<Q", value % 2**64) for value in values)
        if tree.data == "byte":
            return bytes(self.value(child, line, -128, 255) % 256 for child in _trees(tree))
        return b""

    def descriptor(self, tree: Tree[Token], line: int) -> Descriptor:
        _, dtype_name, region_name, base, *rest = tree.children
        dtype = Dtype[self.word_of(dtype_name, [member.name for member in ELEMENT_BITS], "dtype", line)]
        region = Region[self.word_of(region_name, [member.name for member in Region], "region", line)]
        shape, *strided = [child for child in cast(list[Tree[Token]], rest) if child.data == "list"]
        extents = self.quad(shape, "e", 1, line)
        dense = dense_strides(dtype, extents[: len(shape.children)])
        strides = self.quad(strided[0], "s", 0, line) if strided else dense
        return Descriptor(
            base=self.value(cast(Tree[Token], base), line, *_TD_RANGES["base"]),
            region=region,
            dtype=dtype,
            extents=extents,
            strides=self.checked_strides(strides, tree, line),
            **self.options([child for child in cast(list[Tree[Token]], rest) if child.data == "option"], line),
        )

    def checked_strides(self, strides: Quad, tree: Tree[Token], line: int) -> Quad:
        """Dense strides are computed, so that they may be too large for the field."""
        low, high = _TD_RANGES["s0"]
        if not all(low <= stride <= high for stride in strides):
            raise self.error("the dense strides of these extents do not fit", line, cast(Token, tree.children[0]))
        return strides

    def quad(self, tree: Tree[Token], prefix: str, default: int, line: int) -> Quad:
        """Up to four values, dimension 0 first, the rest `default`."""
        items = _trees(tree)
        if len(items) > 4:
            raise self.error(f"{len(items)} dimensions, a descriptor has 4", line, _first_token(items[4]))
        values = [self.value(item, line, *_TD_RANGES[f"{prefix}{i}"]) for i, item in enumerate(items)]
        v0, v1, v2, v3 = values + [default] * (4 - len(values))
        return v0, v1, v2, v3

    def options(self, trees: list[Tree[Token]], line: int) -> dict[str, int]:
        values: dict[str, int] = {}
        for tree in trees:
            name, value = cast(tuple[Token, Tree[Token]], tuple(tree.children))
            if name not in ("glog2", "fmt") or name in values:
                raise self.error(f"unexpected {show(name)}", line, name, "glog2 or fmt, each at most once")
            values[str(name)] = self.value(value, line, *((0, 3) if name == "fmt" else _TD_RANGES["glog2"]))
        return values

    def word_of(self, child: Token | Tree[Token], known: list[str], what: str, line: int) -> str:
        token = cast(Token, child)
        if token.upper() not in known:
            hint = f"one of {' '.join(name.lower() for name in known)}"
            raise self.error(f"unknown {what} {show(str(token))}", line, token, hint)
        return token.upper()


def _trees(tree: Tree[Token]) -> list[Tree[Token]]:
    """The operands, without tokens."""
    return [child for child in tree.children if isinstance(child, Tree)]


def _token(tree: Tree[Token]) -> Token:
    """The token a leaf begins with."""
    return cast(Token, tree.children[0])


def _first_token(tree: Tree[Token]) -> Token:
    return next(tree.scan_values(lambda _: True))


def _short(value: int) -> str:
    return str(value) if abs(value) < 10**30 else "the number"

"""isa: one op is one instruction, generated from the table of isa/spec.py; registers are numbers, virtual ones before allocation.

    isa.alu "add" vx300, x0, 12          isa.tdset "e0" vt290, vx300          isa.br "lt" x5, x6, "loop3"
The text is that of the assembler with virtual registers written vx300, vt290 and labels in quotes. A program is a flat list of
instructions, labels and descriptor constants.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, cast

from xdsl.dialects.builtin import FloatAttr, IntegerAttr, StringAttr, f32, i64
from xdsl.ir import Attribute, Block, Dialect, Operation, Region
from xdsl.irdl import IRDLOperation, irdl_op_definition, opt_prop_def, prop_def, region_def, traits_def
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import NoTerminator
from xdsl.utils.exceptions import VerifyException

from compiler import attributes
from isa.spec import TABLE, TD_REGISTERS, X_FIELDS, X_REGISTERS, Flag, Instruction, used_fields

VIRTUAL = 256  # register numbers from here on are virtual


class InstructionOp(IRDLOperation):
    """Base of the generated ops. `ROW` is the table row, `USED` the fields that it uses by flags, as far as they were asked for;
    `constant` is the fp32 immediate, `target` the label of a branch."""

    ROW: ClassVar[Instruction]
    USED: ClassVar[dict[int, frozenset[str]]]

    def number(self, name: str) -> int:
        """A register number or immediate; 0 if absent."""
        attribute = self.properties.get(name)
        return attribute.value.data if isinstance(attribute, IntegerAttr) else 0

    @property
    def flags(self) -> Flag:
        return Flag(self.number("fl"))

    @property
    def function(self) -> str:
        attribute = self.properties.get("fn")
        return attribute.data if isinstance(attribute, StringAttr) else ""

    @property
    def label(self) -> str | None:
        attribute = self.properties.get("target")
        return attribute.data if isinstance(attribute, StringAttr) else None

    def used(self) -> frozenset[str]:
        flags = self.number("fl")
        if flags not in self.USED:
            self.USED[flags] = used_fields(self.ROW, flags)
        return self.USED[flags]

    def set_number(self, name: str, value: int) -> None:
        self.properties[name] = attributes.number(value)

    def verify_(self) -> None:
        if self.ROW.functions and self.function not in self.ROW.functions:
            raise VerifyException(f'{self.name} has no function "{self.function}"')
        if self.flags & ~self.ROW.flags:
            raise VerifyException(f"{self.name} does not allow flags {self.flags!r}")
        allowed = {*self.used(), "fn", "fl", "constant", "target"}
        for name in self.properties:
            if name not in allowed:
                raise VerifyException(f"{self.name} with flags {int(self.flags)} does not use {name}")

    def print(self, printer: Printer) -> None:
        parts: list[str] = []
        if self.ROW.functions:
            parts.append(f'"{self.function}"')
        if self.flags & Flag.ACC:
            parts.append("acc")
        operands = [self.operand_text(name) for name in operand_names(self.ROW, self.flags)]
        printer.print_string(" " + " ".join([*parts, ", ".join(operands)]) if parts or operands else "")

    def operand_text(self, name: str) -> str:
        if name in X_FIELDS:
            return register_text("x", self.number(name), X_REGISTERS)
        if name != "imm":
            return register_text("t", self.number(name), TD_REGISTERS)
        constant = self.properties.get("constant")
        if self.label is not None:
            return f'"{self.label}"'
        if isinstance(constant, FloatAttr):
            return f"f {constant}"
        return str(self.number("imm"))

    @classmethod
    def parse(cls, parser: Parser) -> InstructionOp:
        properties: dict[str, Attribute] = {}
        if cls.ROW.functions:
            properties["fn"] = StringAttr(parser.parse_str_literal())
        flags = Flag(0)
        if cls.ROW.flags & Flag.ACC and parser.parse_optional_keyword("acc") is not None:
            flags = Flag.ACC
        tokens = [parse_operand(parser)] if cls.ROW.syntax else []
        while parser.parse_optional_punctuation(",") is not None:
            tokens.append(parse_operand(parser))
        flags |= guess_flags(cls.ROW, tokens)
        names = operand_names(cls.ROW, flags)
        if len(names) != len(tokens):
            parser.raise_error(f"{cls.ROW.mnemonic} takes {len(names)} operands, found {len(tokens)}")
        for name, (kind, value) in zip(names, tokens, strict=True):
            properties[{"label": "target", "float": "constant"}.get(kind, name)] = value
        if flags:
            properties["fl"] = IntegerAttr(int(flags), i64)
        return cls(properties=properties)


def register_text(letter: str, number: int, physical: int) -> str:
    return f"{letter}{number}" if number < physical else f"v{letter}{number}"


def parse_operand(parser: Parser) -> tuple[str, Attribute]:
    """(`x`, `t`, `imm`, `float` or `label`, value)."""
    text = parser.parse_optional_str_literal()
    if text is not None:
        return "label", StringAttr(text)
    word = parser.parse_optional_identifier()
    if word is None:
        return "imm", IntegerAttr(parser.parse_integer(), i64)
    if word == "f":
        return "float", parser.parse_attribute()
    letters = word.rstrip("0123456789")
    if letters not in ("x", "t", "vx", "vt") or len(letters) == len(word):
        parser.raise_error(f"expected a register, found {word}")
    return letters[-1], IntegerAttr(int(word[len(letters) :]), i64)


def operand_names(row: Instruction, flags: Flag) -> list[str]:
    """The fields in assembly order."""
    names: list[str] = []
    for operand in row.syntax.split():
        if operand == "imm(rs)":
            names += ["rs", "imm"]
        elif operand == "ta.fn":
            names.append("ta")
        elif operand == "label":
            names.append("imm")
        elif "|" in operand:
            choices = operand.split("|")
            names.append("imm" if flags & Flag.I else choices[2] if flags & Flag.X else choices[0])
        else:
            names.append(operand)
    return names


def guess_flags(row: Instruction, tokens: Sequence[tuple[str, Attribute]]) -> Flag:
    """I or X, from what stands where a choice is."""
    for position, operand in enumerate(row.syntax.split()):
        if "|" in operand and position < len(tokens):
            kind, first = tokens[position][0], operand[0]
            if kind in ("imm", "float"):
                return Flag.I
            return Flag.X if kind == "x" and first == "t" else Flag(0)
    return Flag(0)


def op_class(row: Instruction) -> type[InstructionOp]:
    """The op of a table row."""
    choices = [Flag(0), *(flag for flag in (Flag.I, Flag.X) if flag & row.flags)]
    names = {name for flags in choices for name in used_fields(row, flags)} - {"op", "fn", "fl"}
    namespace: dict[str, object] = {
        "__module__": __name__, "__doc__": row.doc, "name": f"isa.{row.mnemonic}",
        "fl": opt_prop_def(IntegerAttr),
    }  # fmt: skip
    namespace |= {name: opt_prop_def(IntegerAttr) for name in names}
    if row.functions:
        namespace["fn"] = prop_def(StringAttr)
    if "label" in row.syntax:
        namespace["target"] = opt_prop_def(StringAttr)
    if "f32" in row.syntax:
        namespace["constant"] = opt_prop_def(FloatAttr)
    made = type(f"{row.mnemonic.capitalize()}Op", (InstructionOp,), namespace)
    op = cast(type[InstructionOp], irdl_op_definition(made))
    op.ROW, op.USED = row, {}
    return op


OPS: dict[str, type[InstructionOp]] = {row.mnemonic: op_class(row) for row in TABLE}


@irdl_op_definition
class LabelOp(IRDLOperation):
    """A place to branch to; not an instruction."""

    name = "isa.label"
    label = prop_def(StringAttr)
    assembly_format = "$label attr-dict"


@irdl_op_definition
class DescriptorOp(IRDLOperation):
    """A 32-byte descriptor constant of the SMEM image; `content` is its hexadecimal bytes."""

    name = "isa.descriptor"
    address = prop_def(IntegerAttr[i64])
    label = prop_def(StringAttr)
    content = prop_def(StringAttr)
    assembly_format = "$label `at` $address $content attr-dict"

    def verify_(self) -> None:
        if len(self.content.data) != 64:
            raise VerifyException("a descriptor has 32 bytes")


@irdl_op_definition
class ProgramOp(IRDLOperation):
    """The instructions of one core, in order."""

    name = "isa.program"
    sym_name = prop_def(StringAttr)
    body = region_def("single_block")
    traits = traits_def(NoTerminator())
    assembly_format = "$sym_name $body attr-dict"

    def __init__(self, name: str, ops: Sequence[Operation]):
        super().__init__(properties={"sym_name": StringAttr(name)}, regions=[Region(Block(ops))])


def instruction(mnemonic: str, function: str = "", flags: int = 0, **fields: int | str | float) -> InstructionOp:
    """An instruction op: registers and immediates are ints, a branch target is a str, an fp32 immediate a float."""
    properties: dict[str, Attribute] = {}
    if function:
        properties["fn"] = attributes.text(function)
    if flags:
        properties["fl"] = attributes.number(int(flags))
    for name, value in fields.items():
        if isinstance(value, str):
            properties["target"] = attributes.text(value)
        elif isinstance(value, float):
            properties["constant"] = FloatAttr(value, f32)
        else:
            properties[name] = attributes.number(value)
    return OPS[mnemonic].create(properties=properties)


ISA_OPS: list[type[Operation]] = [*OPS.values(), LabelOp, DescriptorOp, ProgramOp]
Isa = Dialect("isa", ISA_OPS, [])

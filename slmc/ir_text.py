"""Modules as text and back; the text keeps locations, so that a dumped stage can go on where it stopped."""

from __future__ import annotations

import re
from io import StringIO

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.scf import WhileOp
from xdsl.ir import Operation
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.utils.exceptions import ParseError, VerifyException

from compiler.driver import make_context
from slmc.errors import CommandError, text_place

MAX_CHARACTERS = 16 << 20
_COMMENT_OR_QUOTE = re.compile(r'//[^\n]*|"')
_STRING = re.compile(r'"(?:[^"\\\n\v\f]++|\\(?:["nt\\]|[0-9A-Fa-f]{2}))*+"')


class LocationPrinter(Printer):
    """Prints locations. xDSL's custom format of scf.while would print its location between type and region."""

    def __init__(self, stream: StringIO, generic: bool) -> None:
        super().__init__(stream, print_generic_format=generic, print_debuginfo=True)

    def print_operation_type(self, op: Operation) -> None:
        if isinstance(op, WhileOp) and not self.print_generic_format:
            self.print_function_type(op.operand_types, op.result_types)
        else:
            super().print_operation_type(op)


def module_text(module: ModuleOp, generic: bool = False, locations: bool = True) -> str:
    """The text of a module. `generic`: MLIR's generic format instead of the short one of each operation."""
    stream = StringIO()
    printer = LocationPrinter(stream, generic) if locations else Printer(stream, print_generic_format=generic)
    printer.print_op(module)
    return stream.getvalue() + "\n"


class PlaceParser(Parser):
    """Remembers where each operation begins, for messages about operations that do not verify.

    It also reads the floats that xDSL prints as bits (infinities), which xDSL's parser does not where the type is known.
    """

    def __init__(self, text: str, name: str) -> None:
        super().__init__(make_context(), text, name)
        self.text = text
        self.offsets: dict[Operation, int] = {}

    def parse_float(self, *, allow_negative: bool = True) -> float:
        if not self.text.startswith("0x", self.pos):
            return super().parse_float(allow_negative=allow_negative)
        bits = self.parse_integer(allow_boolean=False, allow_negative=False)
        if bits >= 1 << 64:
            self.raise_error("expected at most 64 bits")
        return float(np.uint32(bits).view(np.float32) if bits < 1 << 32 else np.uint64(bits).view(np.float64))

    def parse_optional_operation(self) -> Operation | None:
        start = self.pos
        op = super().parse_optional_operation()
        if op is not None:
            self.offsets[op] = start
        return op


def parse_module(text: str, name: str) -> ModuleOp:
    """The verified module of a text; `name` names it in messages. Raises CommandError or ParseError."""
    if len(text) > MAX_CHARACTERS:
        raise CommandError(f"the text has {len(text)} characters, at most {MAX_CHARACTERS} are read", place=name)
    _check_strings(text, name)
    parser = PlaceParser(text, name)
    try:
        module = parser.parse_module()
        for op in module.walk(reverse=True, region_first=True):
            if op not in parser.offsets and (parent := op.parent_op()) is not None:
                op.location = parent.location  # a terminator the short format leaves out
            _verify(op, text_place(text, name, parser.offsets.get(op, 0)))
        module.verify()
    except RecursionError:
        raise CommandError("the text is nested too deeply", place=name) from None
    except (CommandError, ParseError):
        raise
    except Exception as error:  # xDSL does not wrap what constructors of attributes and operations raise
        what = str(error) if isinstance(error, VerifyException) else f"{type(error).__name__}: {error}"
        raise CommandError(what, place=text_place(text, name, parser.pos)) from error
    return module


def _check_strings(text: str, name: str) -> None:
    """Finds a string that is not closed, on which xDSL's lexer would need exponential time."""
    position = 0
    while (found := _COMMENT_OR_QUOTE.search(text, position)) is not None:
        position = found.end()
        if found[0] == '"':
            string = _STRING.match(text, found.start())
            if string is None:
                place = text_place(text, name, found.start())
                raise CommandError("this string is not closed, or has an unknown escape", place=place)
            position = string.end()


def _verify(op: Operation, place: str) -> None:
    try:
        op.verify(verify_nested_ops=False)
    except Exception as error:
        raise CommandError(f"{op.name}: {error}", place=place) from error

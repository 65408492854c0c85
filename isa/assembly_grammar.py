"""The grammar of assembly text: one lark rule per row of the table, LALR, one line at a time.

A line is `[name:]... [instruction or directive] [; comment]`. Errors of lark are turned into AssemblyErrors here.
"""

from __future__ import annotations

import re
from functools import cache

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from isa.encoding import has_suffix
from isa.errors import AssemblyError, did_you_mean, show
from isa.spec import BY_MNEMONIC, TABLE, Flag, Instruction

DIRECTIVES = (".td", ".word", ".byte", ".float", ".zero", ".equ", ".raw")
NAME_PATTERN = r"[A-Za-z_][A-Za-z0-9_.]*"
ACC_SUFFIX = "acc"
RENAME = "registers and mnemonics cannot be names"

_OPERANDS = {
    "rd": "xreg", "rs": "xreg", "rt": "xreg", "ta": "treg", "tb": "treg", "tc": "treg", "td": "treg",
    "imm": "value", "label": "value", "imm(rs)": 'value "(" xreg ")"', "ta.fn": "tdfield",
    "rt|imm": "(xreg | value)", "rs|imm": "(xreg | value)",
    "tc|f32|rs": "(treg | fp32 | xreg)", "tb|f32|rs": "(treg | fp32 | xreg)",
}  # fmt: skip

_GRAMMAR = r"""
line: label* (instruction | directive)?
label: NAME ":"
?instruction: {rows}
{rules}
?directive: ".td" NAME NAME NAME value list list? option* -> td
    | ".word" value ("," value)* -> word
    | ".byte" value ("," value)* -> byte
    | ".float" fp32 ("," fp32)* -> float
    | ".zero" value -> zero
    | ".equ" NAME value -> equ
    | ".raw" RAW -> raw
list: "[" value ("," value)* "]"
option: NAME value
xreg: XREG
treg: TREG
tdfield: TDFIELD
value: INT | NAME OFFSET?
fp32: FLOAT | HEXFLOAT | SPECIAL | INT
{terminals}
XREG.3: /x[0-9]{{1,9}}(?![A-Za-z0-9_.])/
TREG.3: /t[0-9]{{1,9}}(?![A-Za-z0-9_.])/
TDFIELD.3: /t[0-9]{{1,9}}\.[a-z0-9]+(?![A-Za-z0-9_.])/
SPECIAL.2: /-?inf(?![A-Za-z0-9_.])|nan(?![A-Za-z0-9_.])/
RAW.5: /[0-9a-f]{{32}}(?![A-Za-z0-9_.])/
HEXFLOAT.4: /0f[0-9a-f]{{8}}(?![A-Za-z0-9_.])/
FLOAT.3: /-?[0-9]+(\.[0-9]*([eE][-+]?[0-9]{{1,6}})?|[eE][-+]?[0-9]{{1,6}})(?![A-Za-z0-9_.])/
INT.2: /-?(0x[0-9a-fA-F]+|[0-9]+)(?![A-Za-z0-9_.])/
OFFSET.2: /[-+](0x[0-9a-fA-F]+|[0-9]+)(?![A-Za-z0-9_.])/
NAME: /{name}/
%ignore /[ \t\r]+/
%ignore /;.*/
"""

_EXPECTED = {
    "XREG": "an x-register (x0..x31)", "TREG": "a descriptor (t0..t127)", "TDFIELD": "a descriptor field (t0.base)",
    "INT": "a number", "NAME": "a name", "FLOAT": "a number", "HEXFLOAT": "a number", "SPECIAL": "a number",
    "RAW": "32 hex digits", "OFFSET": "'+' or '-' and a number", "COMMA": "','", "LPAR": "'('", "RPAR": "')'",
    "LSQB": "'['", "RSQB": "']'", "COLON": "':'", "$END": "the end of the line",
}  # fmt: skip

_DEFINABLE = re.compile(rf"(?![xt][0-9]+(?:\.|$)){NAME_PATTERN}")
_FIRST_WORD = re.compile(rf"(?P<labels>\s*(?:{NAME_PATTERN}\s*:\s*)*)(?P<word>\.?{NAME_PATTERN})?")


def spellings(row: Instruction) -> dict[str, tuple[int, Flag]]:
    """Every way to write the row's mnemonic, with the fn code and the flag it stands for."""
    names = {f"{row.mnemonic}.{name}": (code, Flag(0)) for code, name in enumerate(row.functions)}
    if not has_suffix(row):
        names = {row.mnemonic: (0, Flag(0))}
    if row.flags & Flag.ACC:
        names[f"{row.mnemonic}.{ACC_SUFFIX}"] = (0, Flag.ACC)
    return names


def grammar() -> str:
    """The whole lark grammar, from the table."""
    rules: list[str] = []
    terminals: list[str] = []
    for row in TABLE:
        operands = ' "," '.join(_OPERANDS[operand] for operand in row.syntax.split())
        rules.append(f"{row.mnemonic}: M_{row.mnemonic.upper()} {operands}".rstrip())
        words = "|".join(re.escape(name) for name in sorted(spellings(row), key=len, reverse=True))
        terminals.append(f"M_{row.mnemonic.upper()}.5: /(?:{words})(?![A-Za-z0-9_.])/")
    return _GRAMMAR.format(
        rows=" | ".join(row.mnemonic for row in TABLE),
        rules="\n".join(rules),
        terminals="\n".join(terminals),
        name=NAME_PATTERN,
    )


@cache
def _parser() -> Lark:
    return Lark(grammar(), parser="lalr", start="line", keep_all_tokens=False)


@cache
def _words() -> tuple[str, ...]:
    return (*DIRECTIVES, *(name for row in TABLE for name in spellings(row)))


def is_definable(name: str) -> bool:
    """Whether a text may define the name: not a register, a descriptor field or a mnemonic."""
    return _DEFINABLE.fullmatch(name) is not None and name not in _words()


def parse_line(text: str, file: str, line: int) -> Tree[Token]:
    """The tree of one line. Raises AssemblyError with the place, what was expected and what was found."""
    first = _FIRST_WORD.match(text)
    assert first is not None, "every part of the pattern is optional"
    for label in re.finditer(NAME_PATTERN, first["labels"]):
        if not is_definable(label[0]):
            raise AssemblyError(f"{show(label[0])} is reserved", file, line, label.start() + 1, RENAME, text)
    word = first["word"]
    if word and word not in _words():
        kind = "directive" if word.startswith(".") else "instruction"
        column = first.start("word") + 1
        exact = word in BY_MNEMONIC
        hint = (None if exact else did_you_mean(word, _words())) or _function_hint(word)
        raise AssemblyError(f"unknown {kind} {show(word)}", file, line, column, hint, text)
    try:
        return _parser().parse(text)
    except UnexpectedInput as error:
        raise _translate(error, text, file, line) from None


def _function_hint(word: str) -> str | None:
    names = [name for name in _words() if name.split(".")[0] == word.split(".")[0]]
    return f"one of {' '.join(names)}" if names else None


def _translate(error: UnexpectedInput, text: str, file: str, line: int) -> AssemblyError:
    if isinstance(error, UnexpectedCharacters):
        message = f"unexpected character {show(error.char)}"
        return AssemblyError(message, file, line, error.column, source_line=text)
    expected: set[str] = set()
    found, column = "the end of the line", len(text.partition(";")[0].rstrip()) + 1
    if isinstance(error, UnexpectedToken):
        expected = error.accepts or error.expected
        if error.token.type != "$END":
            found, column = show(str(error.token)), error.column
    wanted = sorted({_EXPECTED.get(name, "an instruction") for name in expected})
    return AssemblyError(f"expected {' or '.join(wanted)}, found {found}", file, line, column, source_line=text)

"""`.slm` text -> ArchitectureFile. The grammar is grammar.lark; here are the limits and the error texts."""

from __future__ import annotations

from functools import cache
from importlib import resources

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from frontends.errors import show
from frontends.language import syntax
from frontends.language.builder import TreeBuilder
from frontends.language.lexer import LINE_END, LineEndFilter
from frontends.language.source import Place, SourceText

MAX_SOURCE_CHARACTERS = 1 << 20
MAX_DEPTH = 100
"""Nesting of expressions and blocks, so that every later phase may be recursive."""

_TOKEN_TEXTS = {
    LINE_END: "end of line", "NAME": "a name", "STRING": "a string", "NUMBER": "a number", "FIELD": "a .field",
    "LBRACE": '"{"', "RBRACE": '"}"', "LPAR": '"("', "RPAR": '")"', "LSQB": '"["', "RSQB": '"]"', "COMMA": '","',
    "COLON": '":"', "EQUAL": '"="', "UPDATE": '"+="', "OPTIONAL": '"?"', "LESS": '"<"', "MINUS": '"-"',
    "_ARROW": '"->"', "_DOTS": '".."', "$END": "end of file",
}  # fmt: skip
_EXPRESSION_START = {"NAME", "STRING", "NUMBER", "FIELD", "LPAR", "LSQB"}
_EXPRESSION_REST = {"LBRACE", "TRUE", "FALSE", "NULL", "NOT", "MINUS"}
_OPERATORS = {"PLUS", "MULTIPLY", "POWER", "MINUS"}
_OPERATOR_REST = {"COMPARE", "LESS", "IN", "NOT_IN", "AND", "OR", "COALESCE", "IF", "OPTIONAL", "LPAR", "LSQB"}


@cache
def _parser() -> Lark:
    grammar = resources.files("frontends.language").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(
        grammar,
        parser="lalr",
        lexer="basic",
        postlex=LineEndFilter(),
        propagate_positions=True,
        maybe_placeholders=True,
    )


def parse(source: SourceText) -> syntax.ArchitectureFile:
    """Raises FrontendError for text that is too long, too deeply nested or not in the grammar."""
    if len(source.text) > MAX_SOURCE_CHARACTERS:
        raise source.error(Place(1, 1), f"the file is longer than {MAX_SOURCE_CHARACTERS} characters")
    tree = _parse_tree(source)
    _check_tree_depth(source, tree)
    file = TreeBuilder(source).file(tree)
    _check_syntax_depth(file)
    return file


def _parse_tree(source: SourceText) -> Tree[Token]:
    try:
        return _parser().parse(source.text)
    except UnexpectedCharacters as error:
        found = source.text[error.pos_in_stream or 0]
        message = "this string does not end in its line" if found == '"' else f"unexpected character {show(found)}"
        raise source.error(Place(error.line, error.column), message) from error
    except UnexpectedToken as error:
        token = error.token
        at_end = token.type == "$END"
        place = _end_of(source) if at_end else Place(token.line or 1, token.column or 1)
        found = {LINE_END: "end of line", "$END": "end of file"}.get(token.type, show(str(token)))
        raise source.error(
            place, f"expected {_expected(set(error.accepts or error.expected))}, found {found}"
        ) from error


def _end_of(source: SourceText) -> Place:
    return Place(len(source.lines), len(source.lines[-1]) + 1)


def _expected(tokens: set[str]) -> str:
    """The expected tokens in the words of the language; the many that start or continue an expression as one."""
    texts: list[str] = []
    if tokens >= _EXPRESSION_START:
        tokens -= _EXPRESSION_START | _EXPRESSION_REST
        texts.append("an expression")
    if tokens >= _OPERATORS:
        tokens -= _OPERATORS | _OPERATOR_REST
        texts.append("an operator")
    texts += sorted(_TOKEN_TEXTS.get(token, f'"{token.lower()}"') for token in tokens)
    return " or ".join(texts)


def _check_tree_depth(source: SourceText, tree: Tree[Token]) -> None:
    pending: list[tuple[Tree[Token], int]] = [(tree, 1)]
    while pending:
        node, depth = pending.pop()
        if depth > MAX_DEPTH:
            raise source.error(Place(node.meta.line, node.meta.column), f"nested more than {MAX_DEPTH} levels deep")
        pending.extend((child, depth + 1) for child in node.children if isinstance(child, Tree))


def _check_syntax_depth(file: syntax.ArchitectureFile) -> None:
    """A chain `a + b + ...` is flat in the parse tree and deep in the syntax tree."""
    dialect_lines = (line for lines in file.dialects.values() for line in lines)
    roots = (*file.config, *file.weights, *file.functions.values(), *file.tables.values(), *dialect_lines)
    for node, depth in syntax.walk(*roots):
        if depth > MAX_DEPTH:
            raise file.source.error(node.place, f"nested more than {MAX_DEPTH} levels deep")

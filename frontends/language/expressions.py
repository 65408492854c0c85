"""Parse tree -> syntax tree for expressions."""

from __future__ import annotations

from lark import Token, Tree

from frontends.errors import show
from frontends.language import syntax
from frontends.language.source import Place, SourceText
from frontends.language.syntax import Argument, Expression

MAX_DIGITS = 18
CONSTANTS = {"true": True, "false": False, "null": None}
CHAINS = {"coalesce": "??", "or_expr": "or", "and_expr": "and"}


def place_of(item: Token | Tree[Token]) -> Place:
    if isinstance(item, Token):
        return Place(item.line or 1, item.column or 1)
    return Place(item.meta.line, item.meta.column)


def token_at(tree: Tree[Token], index: int) -> Token:
    """The child that the grammar says is a token."""
    child = tree.children[index]
    assert isinstance(child, Token)
    return child


def tree_at(tree: Tree[Token], index: int) -> Tree[Token]:
    """The child that the grammar says is a tree."""
    child = tree.children[index]
    assert isinstance(child, Tree)
    return child


class ExpressionBuilder:
    def __init__(self, source: SourceText):
        self.source = source

    def expression_at(self, tree: Tree[Token], index: int) -> Expression:
        return self.expression(tree_at(tree, index))

    def optional_expression(self, child: Token | Tree[Token] | None) -> Expression | None:
        return self.expression(child) if isinstance(child, Tree) else None

    def unquoted(self, token: Token) -> str:
        return str(token)[1:-1]

    def field(self, token: Token) -> syntax.Field:
        return syntax.Field(place_of(token), tuple(str(token)[1:].split(".")))

    def expression(self, tree: Tree[Token]) -> Expression:
        place = place_of(tree)
        match str(tree.data):
            case "number" | "string" | "field" | "name":
                return self._leaf(token_at(tree, 0), str(tree.data))
            case "true" | "false" | "null":
                return syntax.Constant(place, CONSTANTS[str(tree.data)])
            case "negation":
                return syntax.Unary(place, "not", self.expression_at(tree, 0))
            case "minus":
                return syntax.Unary(place, "-", self.expression_at(tree, 1))
            case "ternary":
                value, condition, otherwise = (self.expression_at(tree, index) for index in range(3))
                return syntax.Conditional(place, value, condition, otherwise)
            case "call" | "call_optional":
                return self._call(tree)
            case "index":
                return syntax.Index(place, self.expression_at(tree, 0), self.expression_at(tree, 1))
            case "reduce":
                return self._reduce(tree)
            case "list" | "comprehension" | "record":
                return self._collection(tree)
            case _:
                return self._chain(tree)

    def _leaf(self, token: Token, kind: str) -> Expression:
        place = place_of(token)
        if kind == "string":
            return syntax.Text(place, self.unquoted(token))
        if kind == "field":
            return self.field(token)
        if kind == "name":
            return syntax.Name(place, str(token))
        text = str(token)
        if len(text) > MAX_DIGITS:
            raise self.source.error(place, f"a number has at most {MAX_DIGITS} characters, found {show(text)}")
        value = int(text) if text.isdigit() else float(text)
        if value == float("inf"):
            raise self.source.error(place, f"the number {text} is too large")
        return syntax.Number(place, value)

    def _chain(self, tree: Tree[Token]) -> Expression:
        """`a + b - c` and its kin: a flat list of operands, with the operators between them as tokens."""
        operands = [self.expression(child) for child in tree.children if isinstance(child, Tree)]
        operators = [str(child) for child in tree.children if isinstance(child, Token)]
        if str(tree.data) in CHAINS:
            operators = [CHAINS[str(tree.data)]] * (len(operands) - 1)
        place = place_of(tree)
        result = operands[0]
        for operator, operand in zip(operators, operands[1:], strict=True):
            result = syntax.Binary(place, "not in" if operator.startswith("not") else operator, result, operand)
        return result

    def _call(self, tree: Tree[Token]) -> Expression:
        arguments = tuple(self.argument(child) for child in tree.children[1:] if isinstance(child, Tree))
        return syntax.Call(place_of(tree), self.expression_at(tree, 0), arguments, tree.data == "call_optional")

    def argument(self, tree: Tree[Token]) -> Argument:
        place = place_of(tree)
        if tree.data == "keyword":
            return Argument(place, str(token_at(tree, 0)), self.expression_at(tree, 1))
        if tree.data == "arrow":
            return Argument(place, None, syntax.Arrow(place, self.expression_at(tree, 0), self.expression_at(tree, 1)))
        return Argument(place, None, self.expression_at(tree, 0))

    def _reduce(self, tree: Tree[Token]) -> Expression:
        group = token_at(tree, 3)
        return syntax.Reduce(
            place_of(tree),
            self.expression_at(tree, 0),
            self.expression_at(tree, 1),
            str(token_at(tree, 2)),
            syntax.Name(place_of(group), str(group)),
        )

    def _collection(self, tree: Tree[Token]) -> Expression:
        place = place_of(tree)
        if tree.data == "list":
            return syntax.ListOf(
                place, tuple(self.expression(child) for child in tree.children if isinstance(child, Tree))
            )
        if tree.data == "record":
            keys = tuple(str(child) for child in tree.children if isinstance(child, Token))
            values = tuple(self.expression(child) for child in tree.children if isinstance(child, Tree))
            return syntax.Record(place, keys, values)
        ends = tree_at(tree, 2)
        start = self.expression_at(ends, 0)
        stop = self.expression_at(ends, 1) if len(ends.children) == 2 else None
        return syntax.Comprehension(place, self.expression_at(tree, 0), str(token_at(tree, 1)), start, stop)

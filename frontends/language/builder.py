"""Parse tree -> syntax tree, section by section, and the rules about sections: none twice, known parts present."""

from __future__ import annotations

from lark import Token, Tree

from frontends.language import syntax
from frontends.language.expressions import ExpressionBuilder, place_of, token_at, tree_at
from frontends.language.source import SourceText
from frontends.language.syntax import Identifier


class TreeBuilder(ExpressionBuilder):
    """Builds the nodes of one file."""

    def __init__(self, source: SourceText):
        super().__init__(source)
        self._architecture: syntax.Architecture | None = None
        self._config: tuple[syntax.ConfigLine, ...] | None = None
        self._weights: tuple[syntax.Declaration, ...] | None = None
        self._functions: dict[str, syntax.Function] = {}
        self._tables: dict[str, syntax.Table] = {}
        self._dialects: dict[str, tuple[syntax.FieldLet, ...]] = {}

    def file(self, tree: Tree[Token]) -> syntax.ArchitectureFile:
        for section in tree.children:
            if isinstance(section, Tree):
                self._section(section)
        return syntax.ArchitectureFile(
            self.source,
            self._architecture,
            self._config or (),
            self._weights or (),
            self._functions,
            self._tables,
            self._dialects,
        )

    def _section(self, tree: Tree[Token]) -> None:
        match tree.data:
            case "architecture":
                self._once(tree, self._architecture is not None, "architecture line")
                self._architecture = self._architecture_line(tree)
            case "config":
                self._once(tree, self._config is not None, "config section")
                self._config = tuple(self._config_line(line) for line in _trees(tree))
            case "weights":
                self._once(tree, self._weights is not None, "weights section")
                self._weights = self._declarations(tree_at(tree, 0))
            case "function":
                name = str(token_at(tree, 0))
                self._once(tree, name in self._functions, f'def "{name}"')
                self._functions[name] = self._function(tree)
            case "checkpoint":
                name = str(token_at(tree, 0))
                self._once(tree, name in self._tables, f'checkpoint table "{name}"')
                self._tables[name] = syntax.Table(place_of(tree), name, self._rows(tree_at(tree, 1)))
            case _:
                name = str(token_at(tree, 0))
                self._once(tree, name in self._dialects, f'dialect "{name}"')
                self._dialects[name] = tuple(self._field_let(line) for line in _trees(tree))

    def _once(self, tree: Tree[Token], seen: bool, what: str) -> None:
        if seen:
            raise self.source.error(place_of(tree), f"second {what}")

    def _architecture_line(self, tree: Tree[Token]) -> syntax.Architecture:
        name, *types = [child for child in tree.children if isinstance(child, Token)]
        return syntax.Architecture(place_of(tree), str(name), tuple(self.unquoted(token) for token in types))

    def _config_line(self, tree: Tree[Token]) -> syntax.ConfigLine:
        if tree.data == "let":
            return syntax.Let(place_of(tree), str(token_at(tree, 0)), self.expression_at(tree, 1))
        if tree.data == "require":
            what = self.unquoted(token_at(tree, 1))
            return syntax.Require(place_of(tree), self.expression_at(tree, 0), what)
        fields = tuple(self.field(child) for child in tree.children if isinstance(child, Token))
        return syntax.IgnoreFields(place_of(tree), fields)

    def _field_let(self, tree: Tree[Token]) -> syntax.FieldLet:
        return syntax.FieldLet(place_of(tree), self.field(token_at(tree, 0)), self.expression_at(tree, 1))

    def _declarations(self, tree: Tree[Token]) -> tuple[syntax.Declaration, ...]:
        return tuple(self._declaration(child) for child in _trees(tree))

    def _declaration(self, tree: Tree[Token]) -> syntax.Declaration:
        place = place_of(tree)
        if tree.data == "weight":
            arguments = tuple(self.argument(child) for child in tree.children[2:-1] if isinstance(child, Tree))
            condition = self.optional_expression(tree.children[-1])
            return syntax.WeightDeclaration(
                place, self._names(tree_at(tree, 0)), _identifier(token_at(tree, 1)), arguments, condition
            )
        if tree.data == "group":
            name, variable = _identifier(token_at(tree, 0)), _identifier(token_at(tree, 1))
            body = self._declarations(tree_at(tree, 3))
            return syntax.GroupDeclaration(place, name, variable, self.expression_at(tree, 2), body)
        other = tree.children[2]
        otherwise = self._declarations(other) if isinstance(other, Tree) else ()
        then = self._declarations(tree_at(tree, 1))
        return syntax.ConditionalDeclaration(place, self.expression_at(tree, 0), then, otherwise)

    def _rows(self, tree: Tree[Token]) -> tuple[syntax.TableRow, ...]:
        return tuple(self._row(child) for child in _trees(tree))

    def _row(self, tree: Tree[Token]) -> syntax.TableRow:
        place = place_of(tree)
        if tree.data == "stored":
            return syntax.Row(place, self._names(tree_at(tree, 0)), self.expression_at(tree, 1))
        if tree.data == "stored_group":
            name, variable = _identifier(token_at(tree, 0)), _identifier(token_at(tree, 1))
            prefix = self.optional_expression(tree.children[2])
            return syntax.GroupRow(place, name, variable, prefix, self._rows(tree_at(tree, 3)))
        patterns = (self.unquoted(child) for child in tree.children if isinstance(child, Token))
        return syntax.IgnoreTensors(place, tuple(patterns))

    def _function(self, tree: Tree[Token]) -> syntax.Function:
        parameters = tuple(self._parameter(child) for child in tree.children[1:-1] if isinstance(child, Tree))
        name = str(token_at(tree, 0))
        return syntax.Function(place_of(tree), name, parameters, self._block(tree_at(tree, -1)))

    def _parameter(self, tree: Tree[Token]) -> syntax.Parameter:
        optional = isinstance(tree.children[1], Token)
        shape = self.optional_expression(tree.children[2])
        return syntax.Parameter(place_of(tree), str(token_at(tree, 0)), optional, shape)

    def _block(self, tree: Tree[Token]) -> tuple[syntax.Statement, ...]:
        return tuple(self._statement(child) for child in _trees(tree))

    def _statement(self, tree: Tree[Token]) -> syntax.Statement:
        place = place_of(tree)
        match tree.data:
            case "assign":
                return syntax.Assign(place, _identifier(token_at(tree, 0)), self.expression_at(tree, 1))
            case "update":
                operator = str(token_at(tree, 1))[0]
                return syntax.Update(place, _identifier(token_at(tree, 0)), operator, self.expression_at(tree, 2))
            case "for_loop":
                variable, group = _identifier(token_at(tree, 0)), _identifier(token_at(tree, 1))
                return syntax.For(place, variable, group, self._block(tree_at(tree, 2)))
            case "if_else":
                other = tree.children[2]
                otherwise = self._block(other) if isinstance(other, Tree) else ()
                return syntax.If(place, self.expression_at(tree, 0), self._block(tree_at(tree, 1)), otherwise)
            case _:
                return syntax.Return(place, self.expression_at(tree, 0))

    @staticmethod
    def _names(tree: Tree[Token]) -> tuple[Identifier, ...]:
        return tuple(_identifier(child) for child in tree.children if isinstance(child, Token))


def _trees(tree: Tree[Token]) -> list[Tree[Token]]:
    return [child for child in tree.children if isinstance(child, Tree)]


def _identifier(token: Token) -> Identifier:
    return Identifier(place_of(token), str(token))

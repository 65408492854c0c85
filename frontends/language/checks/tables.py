"""Static checks of checkpoint tables: one row for each weight, known names and functions, complete tensor names."""

from __future__ import annotations

import re

from frontends.errors import did_you_mean
from frontends.language import syntax
from frontends.language.catalogue import ROW_FORMATS, SOURCE_FUNCTIONS, bind_arguments
from frontends.language.checks.abstract import Abstract, AbstractScope, GroupValue, Names, Scalar, WeightValue
from frontends.language.checks.config import ConfigChecker
from frontends.language.source import Place
from frontends.language.syntax import Expression, Table

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class TableChecker:
    def __init__(self, config: ConfigChecker, scope: AbstractScope):
        self._config = config
        self._scope = scope

    def table(self, table: Table) -> None:
        if table.format not in ROW_FORMATS:
            hint = did_you_mean(table.format, ROW_FORMATS) or f"known: {', '.join(ROW_FORMATS)}"
            raise self._config.error(table.place, f'unknown checkpoint format "{table.format}"', hint)
        self._rows(table.rows, self._scope, dict(self._config.names), table.place)

    def _rows(
        self, rows: tuple[syntax.TableRow, ...], scope: AbstractScope, names: dict[str, Abstract], place: Place
    ) -> None:
        names = {**names, **scope}
        bound: set[str] = set()
        for row in rows:
            if isinstance(row, syntax.IgnoreTensors):
                continue
            targets = row.names if isinstance(row, syntax.Row) else (row.name,)
            for target in targets:
                self._target(target, scope, isinstance(row, syntax.GroupRow), bound)
                bound.add(target.name)
            if isinstance(row, syntax.Row):
                self._source(row.source, names, own_name=True)
                self._check_distinct(row)
            else:
                self._group_row(row, scope, names)
        missing = next((name for name in scope if name not in bound), None)
        if missing is not None:
            raise self._config.error(place, f'this table does not say where "{missing}" is stored')

    def _target(self, target: syntax.Identifier, scope: AbstractScope, is_group: bool, bound: set[str]) -> None:
        if target.name not in scope:
            hint = did_you_mean(target.name, scope)
            raise self._config.error(target.place, f'"{target.name}" is not declared in weights here', hint)
        if isinstance(scope[target.name], GroupValue) != is_group:
            what = "is not a group" if is_group else "is a group"
            raise self._config.error(target.place, f'"{target.name}" {what}')
        if target.name in bound:
            raise self._config.error(target.place, f'"{target.name}" has two rows')

    def _group_row(self, row: syntax.GroupRow, scope: AbstractScope, names: dict[str, Abstract]) -> None:
        group = scope[row.name.name]
        assert isinstance(group, GroupValue)
        if row.variable.name in names:
            raise self._config.error(row.variable.place, f'"{row.variable.name}" is already defined')
        inner: dict[str, Abstract] = {**names, row.variable.name: Scalar()}
        if row.prefix is not None:
            self._prefix(row.prefix, inner)
        self._rows(row.rows, group.scope, inner, row.place)

    def _prefix(self, expression: Expression, names: dict[str, Abstract]) -> None:
        match expression:
            case syntax.Text():
                self._text(expression, names, own_name=False)
            case syntax.Binary(operator="??"):
                self._prefix(expression.left, names)
                self._prefix(expression.right, names)
            case syntax.Conditional():
                self._config.value(expression.condition, _config_names(names))
                self._prefix(expression.value, names)
                self._prefix(expression.otherwise, names)
            case _:
                raise self._config.error(expression.place, "a prefix is a string, or several with ??")

    def _source(self, expression: Expression, names: dict[str, Abstract], own_name: bool) -> None:
        match expression:
            case syntax.Text():
                self._text(expression, names, own_name)
            case syntax.Name():
                self._name(expression, names)
            case syntax.Number():
                return
            case syntax.Unary(operator="-"):
                self._source(expression.operand, names, own_name)
            case syntax.Binary(operator="??" | "+" | "-" | "*" | "/"):
                self._source(expression.left, names, own_name)
                self._source(expression.right, names, own_name)
            case syntax.Conditional():
                self._config.value(expression.condition, _config_names(names))
                self._source(expression.value, names, own_name)
                self._source(expression.otherwise, names, own_name)
            case syntax.Index():
                self._source(expression.value, names, own_name)
                self._config.number(expression.index, _config_names(names), "an index")
            case syntax.Comprehension():
                for end in (expression.start, expression.stop):
                    if end is not None:
                        self._config.value(end, _config_names(names))
                if expression.variable in names:
                    raise self._config.error(expression.place, f'"{expression.variable}" is already defined')
                self._source(expression.element, {**names, expression.variable: Scalar()}, own_name)
            case syntax.Call():
                self._call(expression, names, own_name)
            case _:
                raise self._config.error(expression.place, "this cannot say where a weight is stored")

    def _name(self, expression: syntax.Name, names: dict[str, Abstract]) -> None:
        value = names.get(expression.name)
        if value is None:
            hint = did_you_mean(expression.name, names)
            raise self._config.error(expression.place, f'unknown name "{expression.name}"', hint)
        self._config.used.add(expression.name)
        if not isinstance(value, WeightValue | Scalar):
            raise self._config.error(expression.place, f'"{expression.name}" is not a weight')

    def _call(self, expression: syntax.Call, names: dict[str, Abstract], own_name: bool) -> None:
        function = expression.function
        name = function.name if isinstance(function, syntax.Name) else ""
        if name not in SOURCE_FUNCTIONS or expression.optional:
            hint = did_you_mean(name, SOURCE_FUNCTIONS) or f"known: {', '.join(SOURCE_FUNCTIONS)}"
            raise self._config.error(function.place, f'unknown function "{name}"', hint)
        signature = SOURCE_FUNCTIONS[name]
        bound = bind_arguments(self._config.file.source, name, signature, expression.arguments, expression.place)
        for key, value in bound.items():
            if key == "source":
                self._source(value, names, own_name)
            else:
                self._config.dimension(value, _config_names(names))

    def _text(self, text: syntax.Text, names: dict[str, Abstract], own_name: bool) -> None:
        rest = PLACEHOLDER.sub("", text.value)
        if "{" in rest or "}" in rest:
            raise self._config.error(text.place, "braces in a name are written in pairs, {} or {i}")
        for name in PLACEHOLDER.findall(text.value):
            if name == "" and not own_name:
                raise self._config.error(text.place, "{} stands for the name of a row, a prefix has none")
            if name and not isinstance(names.get(name), Scalar):
                indices = [key for key, value in names.items() if isinstance(value, Scalar)]
                hint = did_you_mean(name, indices)
                raise self._config.error(text.place, f'unknown name "{name}" in the tensor name', hint)

    def _check_distinct(self, row: syntax.Row) -> None:
        """Several weights in one row need different tensors, or a split."""
        if len(row.names) == 1:
            return
        nodes = [node for node, _ in syntax.walk(row.source)]
        splits = any(
            isinstance(node, syntax.Call) and isinstance(node.function, syntax.Name) and node.function.name == "split"
            for node in nodes
        )
        fixed = any(isinstance(node, syntax.Text) and "{}" not in node.value for node in nodes)
        if fixed and not splits:
            names = " and ".join(f'"{name.name}"' for name in row.names[:2])
            message = f"{names} would be stored in the same tensor"
            raise self._config.error(row.place, message, "write {} for the row's own name, or split(...)")


def _config_names(names: dict[str, Abstract]) -> Names:
    return {key: value for key, value in names.items() if not isinstance(value, WeightValue | GroupValue)}

"""Names that a file defines and nothing uses."""

from __future__ import annotations

from collections.abc import Iterator

from frontends.language import syntax
from frontends.language.checks.statements import StatementChecker
from frontends.language.checks.weights import all_weights
from frontends.language.syntax import ArchitectureFile, Function, Identifier, Node


def check_unused(file: ArchitectureFile, checker: StatementChecker, config_lines: dict[str, syntax.Let]) -> None:
    """Raises FrontendError for the first unused variable, def, weight or config value."""
    for function in file.functions.values():
        if function.name not in checker.called:
            raise checker.error(function.place, f'def "{function.name}" is never called')
        _check_variables(checker, function)
    for weight in all_weights(checker.scope):
        if weight not in checker.used_weights:
            raise checker.error(weight.place, f'weight "{weight.name}" is declared but never used')
    for name, line in config_lines.items():
        if name not in checker.used:
            raise checker.error(line.place, f'config value "{name}" is never used')


def _check_variables(checker: StatementChecker, function: Function) -> None:
    read = {node.name for node, _ in syntax.walk(function) if isinstance(node, syntax.Name)}
    for parameter in function.parameters:
        if parameter.name not in read:
            raise checker.error(parameter.place, f'"{parameter.name}" is never used')
    for name in _assigned(function):
        if name.name not in read:
            raise checker.error(name.place, f'"{name.name}" is assigned but never used')


def _assigned(function: Node) -> Iterator[Identifier]:
    return (node.name for node, _ in syntax.walk(function) if isinstance(node, syntax.Assign | syntax.Update))

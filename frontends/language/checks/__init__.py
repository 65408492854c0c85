"""All static checks of one file: what can be known to be wrong without a config."""

from __future__ import annotations

from frontends.language import syntax
from frontends.language.checks.config import ConfigChecker
from frontends.language.checks.names import check_unused
from frontends.language.checks.statements import StatementChecker
from frontends.language.checks.tables import TableChecker
from frontends.language.checks.weights import WeightsChecker
from frontends.language.source import START
from frontends.language.syntax import ArchitectureFile


def check(file: ArchitectureFile) -> None:
    """Raises FrontendError for the first mistake of an architecture file."""
    _check_sections(file)
    config = ConfigChecker(file)
    config.section()
    scope = WeightsChecker(config).section()
    tables = TableChecker(config, scope)
    for table in file.tables.values():
        tables.table(table)
    checker = StatementChecker(file, config, scope)
    checker.forward()
    lines = {line.name: line for line in file.config if isinstance(line, syntax.Let)}
    check_unused(file, checker, lines)


def _check_sections(file: ArchitectureFile) -> None:
    if file.architecture is None:
        hint = 'start with: architecture NAME for "model_type"'
        raise file.source.error(START, "the file has no architecture line", hint)
    if "forward" not in file.functions:
        raise file.source.error(START, "the file has no def forward(tokens: [T])")
    if not file.weights:
        raise file.source.error(START, "the file has no weights section")
    for lines in file.dialects.values():
        if lines:
            raise file.source.error(lines[0].place, "dialect tables belong in common.slm")

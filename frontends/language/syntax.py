"""The syntax tree of a `.slm` file. Every node has its place; nothing is evaluated here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import TypeGuard

from frontends.language.source import Place, SourceText


@dataclass(frozen=True, slots=True)
class Node:
    place: Place = field(compare=False)


# Expressions. Comparison ignores places, so equal expressions compare equal.


@dataclass(frozen=True, slots=True)
class Number(Node):
    value: int | float


@dataclass(frozen=True, slots=True)
class Text(Node):
    value: str


@dataclass(frozen=True, slots=True)
class Constant(Node):
    """true, false or null."""

    value: bool | None


@dataclass(frozen=True, slots=True)
class Field(Node):
    """A config field, `.rope_scaling.factor`."""

    path: tuple[str, ...]

    @property
    def text(self) -> str:
        return "." + ".".join(self.path)


@dataclass(frozen=True, slots=True)
class Name(Node):
    name: str


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """`-` or `not`."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """Arithmetic, comparison, `and`, `or`, `??`."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    """`value if condition else otherwise`."""

    value: Expression
    condition: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Arrow(Node):
    """`inputs -> outputs`, only as the argument of linear."""

    inputs: Expression
    outputs: Expression


@dataclass(frozen=True, slots=True)
class Argument(Node):
    """`name` is None for a positional argument."""

    name: str | None
    value: Expression


@dataclass(frozen=True, slots=True)
class Call(Node):
    """`function(arguments)`; `optional` for `function?(arguments)`."""

    function: Expression
    arguments: tuple[Argument, ...]
    optional: bool


@dataclass(frozen=True, slots=True)
class Index(Node):
    value: Expression
    index: Expression


@dataclass(frozen=True, slots=True)
class ListOf(Node):
    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Comprehension(Node):
    """`[element for variable in start..stop]`; with `stop` None, `start` is a list."""

    element: Expression
    variable: str
    start: Expression
    stop: Expression | None


@dataclass(frozen=True, slots=True)
class Reduce(Node):
    """`function(element for variable in group)`."""

    function: Expression
    element: Expression
    variable: str
    group: Name


@dataclass(frozen=True, slots=True)
class Record(Node):
    """`{key: value}`."""

    keys: tuple[str, ...]
    values: tuple[Expression, ...]


Expression = (
    Number | Text | Constant | Field | Name | Unary | Binary | Conditional | Arrow | Call | Index | ListOf
    | Comprehension | Reduce | Record
)  # fmt: skip


# Sections.


@dataclass(frozen=True, slots=True)
class Identifier(Node):
    """A name where it is defined."""

    name: str


@dataclass(frozen=True, slots=True)
class Architecture(Node):
    name: str
    model_types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Let(Node):
    name: str
    value: Expression


@dataclass(frozen=True, slots=True)
class Require(Node):
    condition: Expression
    what: str


@dataclass(frozen=True, slots=True)
class IgnoreFields(Node):
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class FieldLet(Node):
    target: Field
    value: Expression


ConfigLine = Let | Require | IgnoreFields


@dataclass(frozen=True, slots=True)
class WeightDeclaration(Node):
    """`names: kind(arguments) if condition`."""

    names: tuple[Identifier, ...]
    kind: Identifier
    arguments: tuple[Argument, ...]
    condition: Expression | None


@dataclass(frozen=True, slots=True)
class GroupDeclaration(Node):
    """`name[variable < count] { body }`."""

    name: Identifier
    variable: Identifier
    count: Expression
    body: tuple[Declaration, ...]


@dataclass(frozen=True, slots=True)
class ConditionalDeclaration(Node):
    condition: Expression
    then: tuple[Declaration, ...]
    otherwise: tuple[Declaration, ...]


Declaration = WeightDeclaration | GroupDeclaration | ConditionalDeclaration


@dataclass(frozen=True, slots=True)
class Row(Node):
    """`names = source` of a checkpoint table."""

    names: tuple[Identifier, ...]
    source: Expression


@dataclass(frozen=True, slots=True)
class GroupRow(Node):
    """`name[variable] = prefix { rows }`."""

    name: Identifier
    variable: Identifier
    prefix: Expression | None
    rows: tuple[TableRow, ...]


@dataclass(frozen=True, slots=True)
class IgnoreTensors(Node):
    patterns: tuple[str, ...]


TableRow = Row | GroupRow | IgnoreTensors


@dataclass(frozen=True, slots=True)
class Table(Node):
    """A `checkpoint FORMAT { }` section."""

    format: str
    rows: tuple[TableRow, ...]


@dataclass(frozen=True, slots=True)
class Parameter(Node):
    name: str
    optional: bool
    shape: Expression | None


@dataclass(frozen=True, slots=True)
class Assign(Node):
    name: Identifier
    value: Expression


@dataclass(frozen=True, slots=True)
class Update(Node):
    """`name += value` or `name *= value`; `operator` is `+` or `*`."""

    name: Identifier
    operator: str
    value: Expression


@dataclass(frozen=True, slots=True)
class For(Node):
    variable: Identifier
    group: Identifier
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class If(Node):
    condition: Expression
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Return(Node):
    value: Expression


Statement = Assign | Update | For | If | Return


@dataclass(frozen=True, slots=True)
class Function(Node):
    name: str
    parameters: tuple[Parameter, ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class ArchitectureFile:
    """A whole file. Tables and dialects are keyed by format, functions by name."""

    source: SourceText
    architecture: Architecture | None
    config: tuple[ConfigLine, ...]
    weights: tuple[Declaration, ...]
    functions: dict[str, Function]
    tables: dict[str, Table]
    dialects: dict[str, tuple[FieldLet, ...]]


def _is_node(value: object) -> TypeGuard[Node]:
    return isinstance(value, Node)


def children(node: Node) -> Iterator[Node]:
    """The nodes directly below a node, in source order."""
    for slot in fields(node):
        value: object = getattr(node, slot.name)
        if _is_node(value):
            yield value
        elif isinstance(value, tuple):
            yield from (item for item in value if _is_node(item))


def walk(*roots: Node) -> Iterator[tuple[Node, int]]:
    """Every node below the roots with its depth, without recursion."""
    pending: list[tuple[Node, int]] = [(root, 1) for root in reversed(roots)]
    while pending:
        node, depth = pending.pop()
        yield node, depth
        pending.extend((child, depth + 1) for child in reversed(list(children(node))))

"""What an architecture file can do, read off its syntax: no family is described anywhere else."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from frontends.architectures import known_architectures, read_architecture
from frontends.language import syntax
from frontends.language.catalogue import ACTIVATION_ALIASES, ACTIVATIONS, POSITIONS
from frontends.language.syntax import ArchitectureFile, Expression, Node

MIXERS = {"attention": "attention", "causal_conv": "short convolution", "selective_scan": "state space"}
"""What mixes tokens: operations and kinds of weights."""
NORMS = {"rms_norm": "rms", "layer_norm": "layer"}


@dataclass(frozen=True)
class Features:
    """One architecture file; words in the order in which the tables show them. `inputs`: beside the tokens.

    `attention` GQA: fewer key-value heads than heads are possible. `norms`: kinds, how many of the model's width a layer has, and
    the names of others in it. `biases`: names of the linear weights with one.
    """

    name: str
    model_types: tuple[str, ...]
    formats: tuple[str, ...]
    mixers: tuple[str, ...]
    attention: tuple[str, ...]
    positions: tuple[str, ...]
    norms: tuple[str, ...]
    mlp: tuple[str, ...]
    biases: tuple[str, ...]
    head: tuple[str, ...]
    inputs: tuple[str, ...]


def known_features() -> list[Features]:
    """Those of the files that come with the package, in alphabetical order."""
    return [features_of(read_architecture(name)) for name in known_architectures()]


def features_of(file: ArchitectureFile) -> Features:
    """The features of a file that `check` accepts."""
    architecture = file.architecture
    assert architecture is not None
    return Features(
        name=architecture.name,
        model_types=architecture.model_types,
        formats=tuple(sorted(file.tables, key=lambda name: (name != "hf", name))),
        mixers=_mixers(file),
        attention=_attention(file),
        positions=_positions(file),
        norms=_norms(file),
        mlp=_mlp(file),
        biases=_biases(file),
        head=_head(file),
        inputs=tuple(parameter.name for parameter in file.functions["forward"].parameters[1:]),
    )


def _nodes(file: ArchitectureFile) -> list[Node]:
    """Everything in the functions of a file."""
    return [node for function in file.functions.values() for node in _below(*function.body)]


def _calls(nodes: Iterable[Node], name: str) -> list[syntax.Call]:
    """Calls of an operation or weight by its name."""
    return [
        node
        for node in nodes
        if isinstance(node, syntax.Call) and isinstance(node.function, syntax.Name) and node.function.name == name
    ]


def _option(call: syntax.Call, name: str) -> Expression | None:
    """The value of an option that is given and not plainly null."""
    value = next((argument.value for argument in call.arguments if argument.name == name), None)
    return None if isinstance(value, syntax.Constant) and value.value is None else value


def _lets(file: ArchitectureFile) -> dict[str, Expression]:
    return {line.name: line.value for line in file.config if isinstance(line, syntax.Let)}


def _declarations(
    body: tuple[syntax.Declaration, ...], depth: int = 0
) -> Iterator[tuple[syntax.WeightDeclaration, int]]:
    """Every weight with the number of groups around it."""
    for item in body:
        match item:
            case syntax.WeightDeclaration():
                yield item, depth
            case syntax.GroupDeclaration():
                yield from _declarations(item.body, depth + 1)
            case syntax.ConditionalDeclaration():
                yield from _declarations(item.then, depth)
                yield from _declarations(item.otherwise, depth)


def _mixers(file: ArchitectureFile) -> tuple[str, ...]:
    nodes = _nodes(file)
    kinds = {declaration.kind.name for declaration, _ in _declarations(file.weights)}
    return tuple(text for name, text in MIXERS.items() if name in kinds or _calls(nodes, name))


def _attention(file: ArchitectureFile) -> tuple[str, ...]:
    calls = _calls(_nodes(file), "attention")
    fields = {node.path[-1] for node in _below(*file.config) if isinstance(node, syntax.Field)}
    words = ["GQA"] if calls and "num_key_value_heads" in fields else []
    windows = [value for call in calls if (value := _option(call, "window")) is not None]
    if windows:
        by_layer = any(isinstance(value, syntax.Conditional) for value in windows)
        words.append("window by layer" if by_layer else "window")
    for option, word in (("softcap", "softcap"), ("scale", "own scale"), ("causal", "not causal")):
        words += [word] if any(_option(call, option) for call in calls) else []
    return tuple(words)


def _positions(file: ArchitectureFile) -> tuple[str, ...]:
    """Rotary embeddings as the config section makes them; learned and fixed positions as the functions use them."""
    nodes = _nodes(file)
    rotaries = {name: call for name, value in _lets(file).items() for call in _calls(_below(value), "rotary")}
    words = [] if not rotaries else ["rope"] if len(rotaries) == 1 else [f"{len(rotaries)} ropes"]
    head_sizes = _head_sizes(file)
    words += ["partial"] if any(call.arguments[0].value not in head_sizes for call in rotaries.values()) else []
    words += ["scaling"] if any(_option(call, "scaling") for call in rotaries.values()) else []
    words += ["NoPE layers"] if _may_be_absent(nodes, rotaries.keys()) else []
    tables = {name for item, _ in _declarations(file.weights) if item.kind.name == "embedding" for name in _names(item)}
    words += ["learned"] if any(_mentions(call, POSITIONS) for name in tables for call in _calls(nodes, name)) else []
    words += ["sinusoid"] if _calls(nodes, "sinusoid") else []
    return tuple(words)


def _norms(file: ArchitectureFile) -> tuple[str, ...]:
    """The kind, how many there are in a layer, and the names of those over something else than the width of the model."""
    norms = [(item, depth) for item, depth in _declarations(file.weights) if item.kind.name in NORMS]
    widths = [item.arguments[1].value for item, _ in _declarations(file.weights) if item.kind.name == "embedding"]
    if not norms:
        return ()
    words = [NORMS[kind] for kind in dict.fromkeys(item.kind.name for item, _ in norms)]
    words += ["1 + w"] if any(argument.name == "offset" for item, _ in norms for argument in item.arguments) else []
    usual = [item for item, depth in norms if depth and item.arguments[0].value in widths]
    words.append(f"{sum(len(item.names) for item in usual)} per layer")
    inner = [name for item, depth in norms if depth and item not in usual for name in _names(item)]
    return (*words, *inner)


def _mlp(file: ArchitectureFile) -> tuple[str, ...]:
    """Activation functions, their defaults if the config names them; whether one gates a product; experts."""
    nodes, lets = _nodes(file), _lets(file)
    chosen = {name: call for name, value in lets.items() for call in _calls(_below(value), "activation")}
    defaults = [name for call in chosen.values() for name in _texts(call.arguments[0].value)]
    called = [name for name in ACTIVATIONS if _calls(nodes, name)]
    words = list(dict.fromkeys(ACTIVATION_ALIASES.get(word, word) for word in [*defaults, *called])) or (
        ["by config"] if chosen else []
    )
    functions = {*chosen, *ACTIVATIONS}
    words += ["gated"] if any(_is_gate(node, functions) for node in nodes) else []
    words += ["experts"] if any(isinstance(node, syntax.Reduce) for node in nodes) else []
    words += ["top-k"] if _calls(nodes, "top_k") else []
    return tuple(words)


def _texts(expression: Expression) -> list[str]:
    """The strings that an expression may give."""
    match expression:
        case syntax.Text():
            return [expression.value]
        case syntax.Binary(operator="??"):
            return _texts(expression.left) + _texts(expression.right)
        case syntax.Conditional():
            return _texts(expression.value) + _texts(expression.otherwise)
        case _:
            return []


def _is_gate(node: Node, functions: set[str]) -> bool:
    """A product with an activation of another value."""
    if not isinstance(node, syntax.Binary) or node.operator != "*":
        return False
    return any(
        isinstance(side, syntax.Call) and isinstance(side.function, syntax.Name) and side.function.name in functions
        for side in (node.left, node.right)
    )


def _biases(file: ArchitectureFile) -> tuple[str, ...]:
    """The linear weights with a bias: `q k v`, or `q k v by config`."""
    linears = [item for item, _ in _declarations(file.weights) if item.kind.name == "linear"]
    words: list[str] = []
    for fixed, suffix in ((True, ""), (False, " by config")):
        names = [name for item in linears if _has_bias(item, fixed) for name in _names(item)]
        if names:
            words.append(" ".join(dict.fromkeys(names)) + suffix)
    return tuple(words)


def _has_bias(item: syntax.WeightDeclaration, fixed: bool) -> bool:
    """Whether a bias is always there, or if the config says so."""
    value = next((argument.value for argument in item.arguments if argument.name == "bias"), None)
    if value is None or isinstance(value, syntax.Constant) and value.value is False:
        return False
    return isinstance(value, syntax.Constant) == fixed


def _head(file: ArchitectureFile) -> tuple[str, ...]:
    """Whether the head shares the table of the tokens, and what is done to the logits."""
    sources = [row.source for table in file.tables.values() for row in table.rows if isinstance(row, syntax.Row)]
    by_config = any(isinstance(source, syntax.Conditional) for source in sources)
    words = ["tied"] if any(isinstance(source, syntax.Name) for source in sources) else []
    words = ["tied by config"] if by_config else words or ["untied"]
    words += ["softcap"] if _calls(_nodes(file), "softcap") else []
    return tuple(words)


def _names(item: syntax.WeightDeclaration) -> list[str]:
    return [identifier.name for identifier in item.names]


def _below(*roots: Node) -> list[Node]:
    return [node for node, _ in syntax.walk(*roots)]


def _mentions(node: Node, name: str) -> bool:
    return any(isinstance(inner, syntax.Name) and inner.name == name for inner in _below(node))


def _head_sizes(file: ArchitectureFile) -> list[Expression]:
    """The sizes of heads that linear weights return."""
    arrows = [node for node in _below(*file.weights) if isinstance(node, syntax.Arrow)]
    return [arrow.outputs.items[-1] for arrow in arrows if isinstance(arrow.outputs, syntax.ListOf)]


def _may_be_absent(nodes: list[Node], names: Collection[str]) -> bool:
    """Whether a choice gives one of these names or null."""
    for node in nodes:
        if isinstance(node, syntax.Conditional):
            branches = (node.value, node.otherwise)
            null = any(isinstance(branch, syntax.Constant) and branch.value is None for branch in branches)
            if null and any(isinstance(branch, syntax.Name) and branch.name in names for branch in branches):
                return True
    return False

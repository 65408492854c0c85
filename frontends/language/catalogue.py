"""The names the language knows: kinds of weights, functions, operations, activations, with their parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from frontends.errors import did_you_mean, plural
from frontends.language.source import Place, SourceText
from frontends.language.syntax import Argument, Expression


@dataclass(frozen=True)
class Signature:
    """`required` parameters come by position or name, `options` by name only; `repeated` takes one or more values."""

    required: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    repeated: bool = False


KINDS: Mapping[str, Signature] = {
    "linear": Signature(("shape",), ("bias",)),
    "embedding": Signature(("rows", "columns")),
    "rms_norm": Signature(("shape", "eps"), ("offset", "per")),
    "layer_norm": Signature(("shape", "eps"), ("bias", "per")),
    "causal_conv": Signature(("channels", "kernel"), ("bias",)),
    "tensor": Signature(("shape",)),
}

CONFIG_FUNCTIONS: Mapping[str, Signature] = {
    "sqrt": Signature(("value",)),
    "log": Signature(("value",)),
    "ceil": Signature(("value",)),
    "int": Signature(("value",)),
    "min": Signature(repeated=True),
    "max": Signature(repeated=True),
    "len": Signature(("list",)),
    "round_up": Signature(("value", "multiple")),
    "has": Signature(("field",)),
    "activation": Signature(("name",)),
    "rotary": Signature(("dim", "theta"), ("scaling", "max_positions", "original_positions")),
}

DIALECT_FUNCTIONS: Mapping[str, Signature] = {
    "has_tensor": Signature(("name",)),
    "rows": Signature(("name",)),
    "tensor": Signature(("name",)),
}

SOURCE_FUNCTIONS: Mapping[str, Signature] = {
    "transpose": Signature(("source",)),
    "split": Signature(("source",), ("per",)),
    "pairs_to_halves": Signature(("source", "heads"), ("dim",)),
    "exp": Signature(("source",)),
}

ACTIVATIONS = ("silu", "gelu", "gelu_tanh", "quick_gelu", "relu", "sigmoid", "tanh", "softplus")
ACTIVATION_ALIASES = {
    "swish": "silu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
}

OPERATIONS: Mapping[str, Signature] = {
    "attention": Signature(("q", "k", "v"), ("causal", "window", "scale", "softcap")),
    "softmax": Signature(("x",)),
    "sum": Signature(("x",)),
    "l2_normalize": Signature(("x",)),
    "top_k": Signature(("p", "count")),
    "softcap": Signature(("x", "cap")),
    "sinusoid": Signature(("positions", "dim")),
    "selective_scan": Signature(("u", "dt", "A", "B", "C")),
    "patches": Signature(("image", "patch")),
    "concat": Signature(("a", "b")),
    "replace": Signature(("x", "mask", "rows")),
    "sqrt": Signature(("value",)),
    **{name: Signature(("x",)) for name in ACTIVATIONS},
}

TOKEN_COUNT = "T"
POSITIONS = "positions"
RESERVED_NAMES = (TOKEN_COUNT, POSITIONS)

ROW_FORMATS = ("hf", "gguf")


def bind_arguments(
    source: SourceText, name: str, signature: Signature, arguments: tuple[Argument, ...], place: Place
) -> dict[str, Expression]:
    """The arguments of a call by parameter name; values of a `repeated` function are keyed "0", "1", ..."""
    bound: dict[str, Expression] = {}
    positional = [argument for argument in arguments if argument.name is None]
    if signature.repeated:
        signature = Signature(tuple(str(index) for index in range(max(1, len(positional)))))
    if len(positional) > len(signature.required):
        raise source.error(
            place,
            f"{name} takes {plural(len(signature.required), 'value')}, found {len(positional)}",
            _usage(name, signature),
        )
    bound.update((key, argument.value) for key, argument in zip(signature.required, positional, strict=False))
    for argument in arguments:
        if argument.name is None:
            continue
        if argument.name not in signature.required + signature.options:
            hint = did_you_mean(argument.name, signature.options) or _usage(name, signature)
            raise source.error(argument.place, f'{name} has no option "{argument.name}"', hint)
        if argument.name in bound:
            raise source.error(argument.place, f'{name}: "{argument.name}" is given twice')
        bound[argument.name] = argument.value
    missing = [key for key in signature.required if key not in bound]
    if missing:
        raise source.error(place, f"{name} needs {' and '.join(missing)}", _usage(name, signature))
    return bound


def _usage(name: str, signature: Signature) -> str:
    shown = [*signature.required, *(f"{option}=" for option in signature.options)]
    return f"{name}({', '.join(shown)})"

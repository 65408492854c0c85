"""What a path to a model gives, whatever its format: a config, tensors, and the files about text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from compiler.program import WeightStore
from frontends.configuration.declared import Scope
from frontends.configuration.resolve import Document
from frontends.language.syntax import ArchitectureFile
from frontends.weights.checkpoint import TensorSource


@dataclass(frozen=True)
class TextFiles:
    """`special_tokens`: texts by name, `bos_token`, for the chat template. `notes`: what could not be taken over."""

    tokenizer_json: bytes | None = None
    chat_template: str | None = None
    special_tokens: Mapping[str, str] = field(default_factory=dict[str, str])
    stop_tokens: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelFiles:
    """`format` names the tables of `.slm` files that apply; `own_file` is a .slm file beside or instead of the config.

    `tensors`, `text` and `quantized` open their files when they are called; `tensors` is None if there are no tensors in that
    format. quantized: the weights of a directory of `slmc quantize`, given what the architecture declares; scheme: the one it was made for.
    """

    format: str
    document: Document
    text: Callable[[], TextFiles]
    own_file: ArchitectureFile | None = None
    tensors: Callable[[], TensorSource] | None = None
    quantized: Callable[[Scope], WeightStore] | None = None
    scheme: str | None = None

"""A Program: what a frontend hands to the compiler. The module says what is computed, the WeightStore the numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp

from compiler.formats import Quantized, WeightFormat
from isa.abi import ENCODE_ENTRY

ENCODER = ENCODE_ENTRY
"""The function of a module that makes rows of an image; the module of a model without images has none."""


Rows = Callable[[slice], NDArray[Any]]
"""Some rows of a matrix, [.., in]: f32, f16, or the bits of bf16 as uint16 (compiler.formats.to_float32). Several threads may ask."""


class WeightStore(Protocol):
    """Named weight tensors, read one at a time; nothing holds the whole model."""

    def names(self) -> list[str]:
        """All weight names of the architecture, `layers.3.q.weight`, tied ones included."""
        ...

    def shape(self, name: str) -> tuple[int, ...]:
        """The declared shape, [out, in] flattened to two dimensions for matrices."""
        ...

    def storage_dtype(self, name: str) -> str:
        """`f32`, `f16` or `bf16`: what holds the tensor's values exactly."""
        ...

    def stored_type(self, name: str) -> str:
        """The type as the file names it, for people: `BF16`, or quantised blocks such as `Q4_K`, which load as f32."""
        ...

    def alias_of(self, name: str) -> str | None:
        """The weight whose storage this one shares (tied embeddings), if any."""
        ...

    def load(self, name: str) -> NDArray[np.float32]:
        """The tensor as float32, in its declared shape (a view of the mapped file where no conversion is needed)."""
        ...

    def rows_of(self, name: str) -> Rows:
        """The rows of a matrix as they are stored, in the shape of `load`; others are not read where the file allows it."""
        ...

    def integer_format(self, name: str) -> WeightFormat | None:
        """The format of `quantized`, without reading the matrix."""
        ...

    def quantized(self, name: str) -> Quantized | None:
        """The matrix as it is stored, [out, in], if that is a quantised format of the hardware; `load` gives its values then."""
        ...


@dataclass(frozen=True)
class Program:
    """module: `func.func @forward(%tokens: tensor<?xi32>) -> tensor<?xVxf32>` in the slm dialect.

    `chat_template` is a Jinja template, `special_tokens` the texts it may use, by name (`bos_token`).
    virtual_weights: the store knows names and shapes only, `load` fails; what is compiled can be timed, not run.
    A model that takes an image has `func.func @encode_image(%pixels: tensor<CxSxSxf32>) -> tensor<nxdxf32>`, and @forward two
    more inputs: %places: tensor<?xi32>, the number of the image row at each position or -1, and %rows, what encode_image gave.
    scheme: of a quantised checkpoint: the one that it was made for.
    image_processing: the record of frontends/image_processing.py, if the checkpoint has one.
    """

    module: ModuleOp
    weights: WeightStore
    architecture: str
    config: dict[str, Any]
    tokenizer_json: bytes | None = None
    chat_template: str | None = None
    special_tokens: Mapping[str, str] = field(default_factory=dict[str, str])
    stop_tokens: tuple[int, ...] = ()
    max_positions: int = 0
    source: str = ""
    image_processing: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list[str])
    virtual_weights: bool = False
    scheme: str | None = None

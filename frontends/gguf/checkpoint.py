"""The tensors of a GGUF file as weights: mapped, and dequantised row by row when they are asked for."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from gguf.constants import GGMLQuantizationType
from gguf.quants import dequantize
from numpy.typing import NDArray

from compiler.formats import Quantized, WeightFormat, to_float32
from frontends.errors import FrontendError, show
from frontends.gguf.header import GgufHeader
from frontends.gguf.integers import FORMATS, integers_of_blocks
from frontends.weights.safetensors import WEIGHT_TYPES

BLOCK_TYPES = (
    "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K",
    "IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_NL", "IQ4_XS", "TQ1_0", "TQ2_0", "MXFP4",
)  # fmt: skip
"""What the gguf package turns into float32. Not NVFP4: its tensors need scales that are stored apart."""
CHUNK_ELEMENTS = 1 << 20
"""Dequantised at a time, so that only the result is as large as the tensor."""


class GgufCheckpoint:
    """A TensorSource. Every failure of a conversion is a FrontendError that names the tensor."""

    weight_types = (*WEIGHT_TYPES, *BLOCK_TYPES)

    def __init__(self, header: GgufHeader):
        self.name = str(header.path)
        self._header = header

    def tensor_names(self) -> list[str]:
        return list(self._header.tensors)

    def __contains__(self, name: str) -> bool:
        return name in self._header.tensors

    def tensor_shape(self, name: str) -> tuple[int, ...]:
        return self._header.tensors[name].shape

    def tensor_type(self, name: str) -> str:
        return self._header.tensors[name].type

    def load_tensor(self, name: str) -> NDArray[np.float32]:
        tensor = self._header.tensors[name]
        return self._load(name, 0, tensor.rows).reshape(tensor.shape)

    def load_rows(self, name: str, start: int, stop: int) -> NDArray[np.float32]:
        shape = self.tensor_shape(name)
        if len(shape) == 1:
            return self.load_tensor(name)[start:stop]
        rows = prod(shape[1:-1])
        return self._load(name, start * rows, stop * rows).reshape(stop - start, *shape[1:])

    def stored_rows(self, name: str, start: int, stop: int) -> NDArray[Any]:
        shape, kind = self.tensor_shape(name), self.tensor_type(name)
        if kind not in WEIGHT_TYPES or len(shape) != 2:
            return self.load_rows(name, start, stop)
        return self._stored_rows(name, start, stop).view(WEIGHT_TYPES[kind])

    def integer_format(self, name: str) -> WeightFormat | None:
        return FORMATS.get(self.tensor_type(name)) if len(self.tensor_shape(name)) > 1 else None

    def load_integers(self, name: str, start: int, stop: int) -> Quantized:
        rows = prod(self.tensor_shape(name)[1:-1])
        return integers_of_blocks(self._stored_rows(name, start * rows, stop * rows), self.tensor_type(name))

    def _stored_rows(self, name: str, start: int, stop: int) -> NDArray[np.uint8]:
        """Rows of the last dimension as the file has them: uint8 [stop - start, bytes of a row], whole blocks."""
        tensor = self._header.tensors[name]
        first = tensor.start + start * tensor.row_bytes
        stored = self._header.data[first : first + (stop - start) * tensor.row_bytes]
        return stored.reshape(stop - start, tensor.row_bytes)

    def _load(self, name: str, start: int, stop: int) -> NDArray[np.float32]:
        """Rows [start, stop) of the last dimension, float32 [rows, elements]."""
        kind, columns = self.tensor_type(name), self.tensor_shape(name)[-1]
        if kind in WEIGHT_TYPES:
            return to_float32(self._stored_rows(name, start, stop).view(WEIGHT_TYPES[kind]))
        if kind not in BLOCK_TYPES:
            known = ", ".join(self.weight_types)
            raise FrontendError(f"tensor {show(name)} has the type {kind}, weights have {known}", self.name)
        quantization = GGMLQuantizationType[kind]
        result = np.empty((stop - start, columns), np.float32)
        step = max(1, CHUNK_ELEMENTS // columns)
        for row in range(start, stop, step):
            last = min(row + step, stop)
            try:
                with np.errstate(all="ignore"):  # scales of a hostile file may be infinite or no numbers
                    result[row - start : last - start] = dequantize(self._stored_rows(name, row, last), quantization)
            except (ValueError, IndexError, TypeError, ArithmeticError) as error:
                raise FrontendError(f"tensor {show(name)} of {kind} cannot be read: {error}", self.name) from error
        return result

"""The WeightStore of a directory that `slmc quantize` wrote."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.formats import Quantized, WeightFormat
from compiler.nibbles import KEPT, SPARSE_COLUMNS, unpack_elements
from compiler.program import Rows
from frontends.configuration.declared import Scope, all_weights
from frontends.errors import FrontendError, did_you_mean, shape_text, show
from frontends.weights.checkpoint import SafetensorsCheckpoint
from frontends.weights.quantized_record import (
    ELEMENTS,
    NIBBLES,
    OFFSETS,
    RECORD_FILE,
    SCALES,
    STORED_TYPES,
    QuantizationRecord,
    integer_parts,
)

BLOCK_ELEMENTS = 1 << 20
"""Values made at once."""
STORAGE_DTYPES = {stored: dtype for dtype, stored in STORED_TYPES.items()}

Shape = tuple[int, ...]


class QuantizedWeights:
    """Weights under their own names: float tensors, and matrices in quantised formats. All of it is checked when it is made,
    the numbers when they are loaded. Raises FrontendError."""

    def __init__(self, scope: Scope, record: QuantizationRecord, source: SafetensorsCheckpoint):
        self._source = source
        self._place = f"{source.name}/{RECORD_FILE}"
        self._shapes = {
            weight.stored_name(part): shape for weight in all_weights(scope) for part, shape in weight.parts().items()
        }
        self._formats = {name: self._format(name, text) for name, text in record.formats.items()}
        self._aliases = dict(record.aliases)
        for name, target in self._aliases.items():
            self._check_alias(name, target)
        self._check_tensors()

    def names(self) -> list[str]:
        return list(self._shapes)

    def shape(self, name: str) -> Shape:
        return self._shapes[name]

    def storage_dtype(self, name: str) -> str:
        stored = self._aliases.get(name, name)
        return "f32" if stored in self._formats else STORAGE_DTYPES[self._source.tensor_type(stored)]

    def stored_type(self, name: str) -> str:
        stored = self._aliases.get(name, name)
        form = self._formats.get(stored)
        return self._source.tensor_type(stored) if form is None else str(form)

    def alias_of(self, name: str) -> str | None:
        return self._aliases.get(name)

    def load(self, name: str) -> NDArray[np.float32]:
        """Integer formats are brought to float32 by blocks of rows, so that nothing but the result has its size."""
        stored = self._aliases.get(name, name)
        if stored not in self._formats:
            return self._source.load_tensor(stored).reshape(self._shapes[name])
        rows, columns = self._shapes[stored]
        values = np.empty((rows, columns), np.float32)
        step = max(1, BLOCK_ELEMENTS // columns)
        for first in range(0, rows, step):
            values[first : first + step] = self._rows(stored, first, first + step).values()
        return values.reshape(self._shapes[name])

    def rows_of(self, name: str) -> Rows:
        return self.load(name).__getitem__

    def integer_format(self, name: str) -> WeightFormat | None:
        return self._formats.get(self._aliases.get(name, name))

    def quantized(self, name: str) -> Quantized | None:
        if self.integer_format(name) is None:
            return None
        stored = self._aliases.get(name, name)
        return self._rows(stored, 0, self._shapes[stored][0])

    def _rows(self, name: str, first: int, stop: int) -> Quantized:
        form = self._formats[name]
        stored = self._source.stored_tensor(name + ELEMENTS)[first:stop]
        q: NDArray[Any] = unpack_elements(stored, form.element, NIBBLES)
        scales = self._finite(name + SCALES, first, stop)
        offsets = self._finite(name + OFFSETS, first, stop) if form.offsets else None
        if form.sparse and (np.count_nonzero(q.reshape(len(q), -1, SPARSE_COLUMNS), axis=2) > KEPT).any():
            message = f"is not sparse as its format {form} says: more than two of four consecutive weights are not 0"
            raise self._error(f"tensor {show(name + ELEMENTS)} {message}")
        rows = Quantized(form, q, scales, offsets)
        if form.is_microscaled and not rows.is_finite():
            raise self._error(f"the blocks of weight {show(name)} hold NaN")
        return rows

    def _finite(self, tensor: str, first: int, stop: int) -> NDArray[Any]:
        values = self._source.stored_tensor(tensor)[first:stop]
        if not np.isfinite(values).all():
            raise self._error(f"tensor {show(tensor)} holds NaN or infinity")
        return values

    def _format(self, name: str, text: str) -> WeightFormat:
        shape = self._declared(name)
        try:
            form = WeightFormat.of(text)
        except ValueError as error:
            raise FrontendError(f"weight {show(name)}: {show(str(error))[1:-1]}", self._place) from error
        if not form.is_quantized:
            raise FrontendError(f"weight {show(name)}: expected a quantised format, found {form}", self._place)
        if len(shape) != 2:
            message = f"weight {show(name)} of shape {shape_text(shape)} is no matrix and has no format {form}"
            raise FrontendError(message, self._place)
        problem = form.problem(shape[1])
        if problem is not None:
            raise FrontendError(f"weight {show(name)}: {problem}", self._place)
        return form

    def _declared(self, name: str) -> Shape:
        if name not in self._shapes:
            hint = did_you_mean(name, self._shapes)
            raise FrontendError(f"the model has no weight {show(name)}", self._place, hint=hint)
        return self._shapes[name]

    def _check_alias(self, name: str, target: str) -> None:
        found, shared = self._declared(name), self._declared(target)
        if prod(found) != prod(shared):
            message = f"weight {show(name)} is {shape_text(found)}, and shares {show(target)}: {shape_text(shared)}"
            raise FrontendError(message, self._place)
        if target in self._aliases or name in self._formats:
            what = f"{show(target)}, which shares another" if target in self._aliases else "another, and has a format"
            raise FrontendError(f"weight {show(name)} shares {what}", self._place)

    def _check_tensors(self) -> None:
        expected: dict[str, tuple[tuple[str, ...], Shape]] = {}
        for name, shape in self._shapes.items():
            if name in self._formats:
                parts = integer_parts(shape, self._formats[name])
                expected |= {name + suffix: ((stored,), size) for suffix, (stored, size) in parts.items()}
            elif name not in self._aliases:
                expected[name] = (tuple(STORAGE_DTYPES), shape)
        for tensor, (types, shape) in expected.items():
            self._check_tensor(tensor, types, shape)
        surplus = [tensor for tensor in self._source.tensor_names() if tensor not in expected]
        if surplus:
            raise self._error(f"tensor {show(surplus[0])} belongs to no weight of the model")

    def _check_tensor(self, tensor: str, types: tuple[str, ...], shape: Shape) -> None:
        wanted = f"{' or '.join(types)} {shape_text(shape)}"
        if tensor not in self._source:
            raise self._error(f"tensor {show(tensor)} is missing, expected {wanted}")
        found_type, found = self._source.tensor_type(tensor), self._source.tensor_shape(tensor)
        if found_type not in types or found != shape:
            raise self._error(f"tensor {show(tensor)}: expected {wanted}, found {found_type} {shape_text(found)}")

    def _error(self, message: str) -> FrontendError:
        return FrontendError(message, self._source.name)

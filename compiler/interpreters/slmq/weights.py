"""Weights in their number format, kept while there is room."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from compiler.formats import WeightFormat
from compiler.interpreters import slmq_kernels as kernels
from compiler.interpreters.slmq_formats import QuantizedWeight, quantize_weight
from compiler.interpreters.slmq_functions import F32, rounded_to
from compiler.program import WeightStore

CACHE_BYTES = 256 << 20


class PreparedWeights:
    """Weights in their number format, the last used ones kept up to CACHE_BYTES."""

    def __init__(self, weights: WeightStore):
        self.weights = weights
        self.kept: OrderedDict[tuple[str, str], tuple[NDArray[Any], ...]] = OrderedDict()
        self.kept_bytes = 0

    def prepared(
        self, name: str, use: str, prepare: Callable[[F32], tuple[NDArray[Any], ...]]
    ) -> tuple[NDArray[Any], ...]:
        """prepare(the weight), or what it gave before for the same storage and use."""
        return self.cached(name, use, lambda: prepare(self.weights.load(name)))

    def cached(self, name: str, use: str, make: Callable[[], tuple[NDArray[Any], ...]]) -> tuple[NDArray[Any], ...]:
        """make(), or what it gave before for the same storage and use."""
        key = (self.weights.alias_of(name) or name, use)
        if key in self.kept:
            self.kept.move_to_end(key)
            return self.kept[key]
        arrays = make()
        size_bytes = sum(array.nbytes for array in arrays)
        if size_bytes <= CACHE_BYTES:
            self.kept[key] = arrays
            self.kept_bytes += size_bytes
        while self.kept_bytes > CACHE_BYTES:
            _, dropped = self.kept.popitem(last=False)
            self.kept_bytes -= sum(array.nbytes for array in dropped)
        return arrays

    def table(self, name: str, element: str) -> F32:
        """Embedding rows [V, ...] in their storage format, as float32."""
        return self.prepared(name, f"table {element}", lambda w: (rounded_to(element, w),))[0]

    def columns(self, name: str, rows: int, element: str) -> F32:
        """A float matrix as float32 [K, rows]."""
        return self.prepared(
            name, f"columns {element} {rows}", lambda w: (kernels.columns_first(w.reshape(rows, -1), element),)
        )[0]

    def quantized(self, name: str, rows: int, form: WeightFormat) -> QuantizedWeight:
        """A quantised matrix [rows, K]: as it is stored, if that is the format, else rounded."""

        def make() -> tuple[NDArray[Any], ...]:
            made = self._integers(name, rows, form)
            return made.q, made.scales, made.offsets, made.kept

        return QuantizedWeight(*self.cached(name, f"{form} {rows}", make))

    def _integers(self, name: str, rows: int, form: WeightFormat) -> QuantizedWeight:
        stored = self.weights.quantized(name) if self.weights.integer_format(name) == form else None
        if stored is not None:
            return QuantizedWeight.of(stored)
        return quantize_weight(self.weights.load(name).reshape(rows, -1), form)

    def vector(self, name: str) -> F32:
        return self.weights.load(name).reshape(-1)

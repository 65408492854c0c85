"""Weights with changes that are made when they are loaded: how a method changes weights without holding them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from compiler.formats import Quantized, WeightFormat
from compiler.program import Rows, WeightStore

F32 = NDArray[np.float32]
Edit = Callable[[F32], F32]
"""A tensor in its declared shape -> another of that shape; the argument is not changed."""


class FoldedWeights:
    """A WeightStore over another. Changed weights are float32 and share no storage."""

    def __init__(self, base: WeightStore):
        self._base = base
        self._edits: dict[str, list[Edit]] = {}

    def edit(self, name: str, edit: Edit) -> None:
        """Changes a weight, after the changes it already has."""
        self._edits.setdefault(name, []).append(edit)

    def names(self) -> list[str]:
        return self._base.names()

    def shape(self, name: str) -> tuple[int, ...]:
        return self._base.shape(name)

    def storage_dtype(self, name: str) -> str:
        return "f32" if name in self._edits else self._base.storage_dtype(name)

    def stored_type(self, name: str) -> str:
        return "F32" if name in self._edits else self._base.stored_type(name)

    def alias_of(self, name: str) -> str | None:
        target = self._base.alias_of(name)
        return None if name in self._edits or target in self._edits else target

    def load(self, name: str) -> F32:
        values = self._base.load(name)
        for edit in self._edits.get(name, ()):
            values = edit(values)
        return values

    def rows_of(self, name: str) -> Rows:
        return self.load(name).__getitem__ if name in self._edits else self._base.rows_of(name)

    def integer_format(self, name: str) -> WeightFormat | None:
        return None if name in self._edits else self._base.integer_format(name)

    def quantized(self, name: str) -> Quantized | None:
        return None if name in self._edits else self._base.quantized(name)


def scale_rows(scales: F32) -> Edit:
    """Row n times scales[n]; of a vector (a bias) element n."""
    return lambda values: values * scales.reshape(-1, *[1] * (values.ndim - 1))


def scale_columns(scales: F32) -> Edit:
    """Column k times scales[k]."""
    return lambda values: values * scales


def scale_norm(scales: F32, offset: float) -> Edit:
    """The weight w of a norm that multiplies by w + offset, so that its result is multiplied by `scales`, one for each element."""
    shift = np.float32(offset)
    return lambda values: (values + shift) * scales.reshape(values.shape) - shift

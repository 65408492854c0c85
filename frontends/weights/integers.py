"""Matrices that a checkpoint stores as numbers the hardware multiplies: the recipe of a weight, applied to elements and scales."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from compiler.formats import Quantized, WeightFormat
from frontends.weights.checkpoint import TensorSource
from frontends.weights.recipes import PairsToHalves, Recipe, Reshape, SameAs, Slice, SplitRows, Stored

Array = NDArray[Any]


@dataclass(frozen=True)
class Plane:
    """One number of each group (or element) of a stored tensor, as a recipe's source. What moves rows moves those of a plane."""

    array: Array
    tensors: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    def load(self) -> Array:
        return self.array


def integer_format(recipe: Recipe, source: TensorSource) -> WeightFormat | None:
    """The format of the one tensor that a recipe only moves rows of, if it is stored in one."""
    inner = recipe
    while not isinstance(inner, Stored):
        if not isinstance(inner, SameAs | SplitRows | PairsToHalves | Slice | Reshape):
            return None
        inner = inner.recipe
    moves_rows = recipe.shape[-1] == inner.shape[-1]
    return source.integer_format(inner.name) if moves_rows else None


def integers_of(recipe: Recipe, source: TensorSource) -> Quantized | None:
    """The weight [out, in] as it is stored."""
    if integer_format(recipe, source) is None:
        return None
    stored = _stored(recipe, source)
    q, scales = (_moved(recipe, plane) for plane in (stored.q, stored.scales))
    offsets = None if stored.offsets is None else _moved(recipe, stored.offsets)
    return Quantized(stored.format, q, scales, offsets)


def _stored(recipe: Recipe, source: TensorSource) -> Quantized:
    """The stored tensor, or only the item of its first dimension that the recipe reads."""
    inner: Any = recipe
    while not isinstance(inner, Stored):
        if isinstance(inner, Slice) and isinstance(inner.recipe, Stored):
            return source.load_integers(inner.recipe.name, inner.index, inner.index + 1)
        inner = inner.recipe
    return source.load_integers(inner.name, 0, inner.shape[0])


def _moved(recipe: Any, plane: Array) -> Array:
    """The rows [out, width] of a plane in the order of the weight."""
    if isinstance(recipe, Stored):
        return plane.reshape(*recipe.shape[:-1], -1)
    if isinstance(recipe, Slice) and isinstance(recipe.recipe, Stored):
        return plane.reshape(-1, plane.shape[-1])
    moved = _moved(recipe.recipe, plane)
    if isinstance(recipe, SameAs):
        return moved
    if isinstance(recipe, Reshape):
        return moved.reshape(-1, moved.shape[-1])
    return replace(recipe, recipe=Plane(moved)).load()

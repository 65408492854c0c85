"""Lazy recipes: how a weight is made from stored tensors. Shapes are known at once, numbers are read by `load`."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from compiler.program import Rows
from frontends.weights.checkpoint import TensorSource

Array = NDArray[np.float32]


class Recipe(Protocol):
    """`tensors` are the names of the stored tensors that it reads."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def tensors(self) -> tuple[str, ...]: ...

    def load(self) -> Array: ...


@dataclass(frozen=True)
class Stored:
    """A tensor of the checkpoint."""

    source: TensorSource
    name: str

    @property
    def shape(self) -> tuple[int, ...]:
        return self.source.tensor_shape(self.name)

    @property
    def tensors(self) -> tuple[str, ...]:
        return (self.name,)

    def load(self) -> Array:
        return self.source.load_tensor(self.name)


@dataclass(frozen=True)
class SameAs:
    """The storage of another weight (tied embeddings)."""

    weight: str
    recipe: Recipe
    """Of that weight, in its stored shape."""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.recipe.shape

    @property
    def tensors(self) -> tuple[str, ...]:
        return self.recipe.tensors

    def load(self) -> Array:
        return self.recipe.load()


@dataclass(frozen=True)
class _Derived:
    recipe: Recipe

    @property
    def tensors(self) -> tuple[str, ...]:
        return self.recipe.tensors


def _items(recipe: Recipe, start: int, stop: int) -> Array:
    """Items [start, stop) of the first dimension; of a stored tensor the others are not read, or dequantised."""
    if isinstance(recipe, Stored):
        return recipe.source.load_rows(recipe.name, start, stop)
    return recipe.load()[start:stop]


def rows_of(recipe: Recipe) -> Rows:
    """The rows of a matrix, as the file has them where nothing is computed."""
    if isinstance(recipe, SameAs):
        return rows_of(recipe.recipe)
    if isinstance(recipe, SplitRows) and recipe.blocks == 1:
        inner, first = rows_of(recipe.recipe), recipe.start
        return lambda rows: inner(slice(first + rows.start, first + min(rows.stop, recipe.rows)))
    if isinstance(recipe, Stored) and len(recipe.shape) == 2:
        return lambda rows: recipe.source.stored_rows(recipe.name, rows.start, min(rows.stop, recipe.shape[0]))
    return recipe.load().__getitem__


@dataclass(frozen=True)
class Transpose(_Derived):
    """Stored [in, out]."""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.recipe.shape[::-1]

    def load(self) -> Array:
        return self.recipe.load().T


@dataclass(frozen=True)
class SplitRows(_Derived):
    """Rows [start, start + rows) of each of `blocks` equal blocks, joined."""

    blocks: int
    start: int
    rows: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.blocks * self.rows, *self.recipe.shape[1:])

    def load(self) -> Array:
        if self.blocks == 1:
            return _items(self.recipe, self.start, self.start + self.rows)
        whole = self.recipe.load()
        blocks = whole.reshape(self.blocks, whole.shape[0] // self.blocks, *whole.shape[1:])
        return blocks[:, self.start : self.start + self.rows].reshape(self.shape)


@dataclass(frozen=True)
class PairsToHalves(_Derived):
    """Rows of `heads` heads whose first `dim` are stored for adjacent-pair rotation, brought to half-split order.

    Stored row 2j + s of a head becomes row s * dim / 2 + j.
    """

    heads: int
    dim: int

    @property
    def shape(self) -> tuple[int, ...]:
        return self.recipe.shape

    def load(self) -> Array:
        heads = self.recipe.load().reshape(self.heads, self.shape[0] // self.heads, *self.shape[1:])
        result = np.array(heads)
        result[:, : self.dim // 2] = heads[:, 0 : self.dim : 2]
        result[:, self.dim // 2 : self.dim] = heads[:, 1 : self.dim : 2]
        return result.reshape(self.shape)


@dataclass(frozen=True)
class Slice(_Derived):
    """Item `index` of the first dimension: of a stored tensor with all experts, one expert is read."""

    index: int

    @property
    def shape(self) -> tuple[int, ...]:
        return self.recipe.shape[1:]

    def load(self) -> Array:
        return _items(self.recipe, self.index, self.index + 1)[0]


@dataclass(frozen=True)
class Stack:
    """Equal shapes joined on a new first dimension."""

    recipes: tuple[Recipe, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.recipes), *self.recipes[0].shape)

    @property
    def tensors(self) -> tuple[str, ...]:
        return tuple(name for recipe in self.recipes for name in recipe.tensors)

    def load(self) -> Array:
        result = np.empty(self.shape, np.float32)
        for index, recipe in enumerate(self.recipes):
            result[index] = recipe.load()
        return result


@dataclass(frozen=True)
class Affine(_Derived):
    """scale * x + offset, elementwise in float32."""

    scale: float
    offset: float

    @property
    def shape(self) -> tuple[int, ...]:
        return self.recipe.shape

    def load(self) -> Array:
        return self.recipe.load() * np.float32(self.scale) + np.float32(self.offset)


@dataclass(frozen=True)
class Exponential(_Derived):
    """exp(x), elementwise in float32."""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.recipe.shape

    def load(self) -> Array:
        return np.exp(self.recipe.load())


@dataclass(frozen=True)
class Reshape(_Derived):
    """The same elements in the declared shape."""

    shape: tuple[int, ...]

    def load(self) -> Array:
        return self.recipe.load().reshape(self.shape)


def fits(stored: tuple[int, ...], declared: tuple[int, ...]) -> bool:
    """Whether a stored shape is the declared one up to flattening of outputs and of inputs.

    `declared` is [out, in], [out] or a tensor's own shape; its first dimension must end where a stored one does.
    """
    if prod(stored) != prod(declared):
        return False
    return any(prod(stored[:count]) == declared[0] for count in range(len(stored) + 1))

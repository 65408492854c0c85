"""The WeightStores: tensors of a checkpoint, random numbers of a seed, and names and shapes alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import prod
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from compiler.formats import Quantized, WeightFormat
from compiler.program import Rows
from frontends.configuration.declared import Scope, all_weights
from frontends.errors import FrontendError
from frontends.weights.checkpoint import TensorSource
from frontends.weights.formulas import Formula
from frontends.weights.integers import integer_format, integers_of
from frontends.weights.recipes import Affine, Exponential, Recipe, Reshape, SameAs, rows_of

BLOCK_ELEMENTS = 1 << 18
"""Random numbers are made in blocks that stay in the cache."""
QUANTILES = 1 << 16
NORM_NOISE, EMBEDDING_STD, BIAS_STD = 0.02, 0.02, 0.02


STORAGE_DTYPES = {"F32": "f32", "F16": "f16", "BF16": "bf16"}


class CheckpointWeights:
    """Weights read from a checkpoint through recipes, one tensor at a time."""

    def __init__(self, recipes: Mapping[str, Recipe], source: TensorSource):
        self._recipes = recipes
        self._source = source

    def names(self) -> list[str]:
        return list(self._recipes)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._recipes[name].shape

    def storage_dtype(self, name: str) -> str:
        """The type of the stored tensor; computed or mixed ones count as f32, and so do quantised blocks."""
        recipe = self._recipes[name]
        types = {self._source.tensor_type(tensor) for tensor in recipe.tensors}
        return STORAGE_DTYPES.get(types.pop(), "f32") if len(types) == 1 and not _is_computed(recipe) else "f32"

    def stored_type(self, name: str) -> str:
        return " ".join(dict.fromkeys(self._source.tensor_type(tensor) for tensor in self._recipes[name].tensors))

    def alias_of(self, name: str) -> str | None:
        recipe = _unshaped(self._recipes[name])
        target = None
        while isinstance(recipe, SameAs):
            target = recipe.weight
            recipe = _unshaped(recipe.recipe)
        return target

    def load(self, name: str) -> NDArray[np.float32]:
        return self._recipes[name].load()

    def rows_of(self, name: str) -> Rows:
        return rows_of(self._recipes[name])

    def integer_format(self, name: str) -> WeightFormat | None:
        return integer_format(self._recipes[name], self._source)

    def quantized(self, name: str) -> Quantized | None:
        return integers_of(self._recipes[name], self._source)


def _unshaped(recipe: Recipe) -> Recipe:
    return recipe.recipe if isinstance(recipe, Reshape) else recipe


def _is_computed(recipe: Recipe) -> bool:
    inner: object = recipe
    while inner is not None:
        if isinstance(inner, Affine | Exponential):
            return True
        inner = getattr(inner, "recipe", None)
    return False


@dataclass(frozen=True)
class RandomWeight:
    """Normal numbers of this mean and standard deviation."""

    shape: tuple[int, ...]
    mean: float
    std: float


class DeclaredWeights:
    """Names, shapes and ties as the architecture declares them."""

    def __init__(self, scope: Scope, aliases: Mapping[str, str]):
        """`aliases`: weight path -> path of the weight whose storage it shares."""
        self._weights: dict[str, RandomWeight] = {}
        self._aliases: dict[str, str] = {}
        for weight in all_weights(scope):
            for part, shape in weight.parts().items():
                name = weight.stored_name(part)
                mean, std = _distribution(weight.kind, part, shape, weight.offset)
                self._weights[name] = RandomWeight(shape, mean, std)
                if weight.path in aliases:
                    self._aliases[name] = f"{aliases[weight.path]}.{part}" if part else aliases[weight.path]

    def names(self) -> list[str]:
        return list(self._weights)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._weights[name].shape

    def storage_dtype(self, name: str) -> str:
        return "bf16"

    def stored_type(self, name: str) -> str:
        return "BF16"

    def alias_of(self, name: str) -> str | None:
        return self._aliases.get(name)

    def integer_format(self, name: str) -> WeightFormat | None:
        return None

    def quantized(self, name: str) -> Quantized | None:
        return None


class VirtualWeights(DeclaredWeights):
    """Weights without values, for programs that are timed."""

    def load(self, name: str) -> NDArray[np.float32]:
        hint = "give a checkpoint, or a seed for random weights (--random-weights SEED)"
        raise FrontendError(f'weight "{name}" is virtual: it has a shape, but no values', hint=hint)

    def rows_of(self, name: str) -> Rows:
        return self.load(name).__getitem__


class RandomWeights(DeclaredWeights):
    """Seeded random weights, exactly representable in bf16. A weight depends on the seed and its name alone."""

    def __init__(
        self, scope: Scope, aliases: Mapping[str, str], seed: int, formulas: Mapping[str, Formula] | None = None
    ):
        """`formulas`: weight path -> what is computed from the random numbers."""
        super().__init__(scope, aliases)
        self._seed = seed
        self._formulas = formulas or {}

    def load(self, name: str) -> NDArray[np.float32]:
        stored = self._aliases.get(name, name)
        weight = self._weights[stored]
        values = _random_normal(self._seed, stored, prod(weight.shape), weight.mean, weight.std)
        if stored in self._formulas:
            values = round_to_bfloat16(self._formulas[stored](values))
        return values.reshape(self._weights[name].shape)

    def rows_of(self, name: str) -> Rows:
        return self.load(name).__getitem__


def _distribution(kind: str, part: str, shape: tuple[int, ...], offset: float) -> tuple[float, float]:
    """Mean and standard deviation that keep activations of usual size through many layers."""
    if part == "bias":
        return 0.0, BIAS_STD
    if kind in ("rms_norm", "layer_norm"):
        return 1.0 - offset, NORM_NOISE
    if kind in ("linear", "causal_conv"):
        return 0.0, float(shape[-1]) ** -0.5
    return 0.0, EMBEDDING_STD


@cache
def _normal_quantiles() -> NDArray[np.float64]:
    """The normal distribution in 2^16 equally likely values."""
    normal = NormalDist()
    return np.array([normal.inv_cdf((index + 0.5) / QUANTILES) for index in range(QUANTILES)])


def _random_normal(seed: int, name: str, count: int, mean: float, std: float) -> NDArray[np.float32]:
    """Each number is one of 2^16 quantiles, picked by 16 random bits: quick, and the rounding is done in the table."""
    words = np.frombuffer(hashlib.sha256(name.encode()).digest(), "<u4")
    bits = np.random.SFC64(np.random.SeedSequence([seed, *words.tolist()]))
    table = round_to_bfloat16((mean + std * _normal_quantiles()).astype(np.float32))
    result = np.empty(count, np.float32)
    for start in range(0, count, BLOCK_ELEMENTS):
        block = result[start : start + BLOCK_ELEMENTS]
        picks = bits.random_raw(-(-block.size // 4)).astype("<u8", copy=False).view("<u2")
        np.take(table, picks[: block.size], out=block, mode="clip")
    return result


def round_to_bfloat16(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Finite numbers rounded to the nearest bf16, ties to even."""
    bits = values.view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    return ((bits + odd + np.uint32(0x7FFF)) & np.uint32(0xFFFF0000)).view(np.float32)

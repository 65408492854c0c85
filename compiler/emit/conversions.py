"""What became of matrices that a checkpoint stores in quantised blocks: a line for each pair of formats, for the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from compiler.dialects.slm import stored_name
from compiler.emit.recipes import Recipe
from compiler.program import WeightStore

FLOAT_TYPES = ("F32", "F16", "BF16")


def conversions_of(recipes: Iterable[tuple[Recipe, int]], weights: WeightStore) -> list[str]:
    """Of recipes with their layers; empty if everything is stored in floats."""
    found: Counter[tuple[str, str, bool]] = Counter()
    for recipe, layer in recipes:
        if recipe.kind not in ("matrix", "rows"):
            continue
        for expert in range(max(1, recipe.experts)):
            name = stored_name(recipe.key, layer, expert)
            stored = weights.stored_type(name)
            if stored not in FLOAT_TYPES:
                kept = recipe.kind == "matrix" and weights.integer_format(name) == recipe.format
                found[stored, str(recipe.format), kept] += 1
    return [
        f"weights: {count} in {stored} " + (f"run as they are stored ({form})" if kept else f"converted to {form}")
        for (stored, form, kept), count in sorted(found.items())
    ]

"""Closed forms that give back the tools' numbers: a gap counts as explained when its formula returns what the tool printed.

`tests/unit/test_comparison.py` compares them with every committed number.
"""

from __future__ import annotations

from math import ceil

from crosscheck.cases import Product

ARRAY = 128
"""Rows and columns of the array."""
DRAM_BYTES_PER_CYCLE = 64
SKEW = ARRAY + ARRAY - 2
"""Cycles for which a wavefront fills an array and leaves it again."""


def tiles(size: int) -> int:
    return ceil(size / ARRAY)


def scalesim_cycles(product: Product, dataflow: str) -> int:
    """Compute cycles of one of the products: folds one after the other, each with its own fill and drain.

    Output-stationary ("os"): a fold is 128 x 128 results, streams `inner` and then empties the array.
    Weight-stationary ("ws"): a fold loads 128 rows of weights first, then streams `rows`.
    """
    if dataflow == "os":
        return tiles(product.rows) * tiles(product.columns) * (product.inner + SKEW)
    return tiles(product.inner) * tiles(product.columns) * (ARRAY + product.rows + SKEW)


def pipelined_cycles(product: Product) -> int:
    """The same array when tiles follow each other without a gap and weights are loaded behind the work (ISA: docs/timing.md)."""
    return tiles(product.inner) * tiles(product.columns) * product.rows


def dram_cycles(size_bytes: int) -> float:
    return size_bytes / DRAM_BYTES_PER_CYCLE

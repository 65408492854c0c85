"""zigzag-dse: the best mapping of every product alone, from DRAM to DRAM."""

from __future__ import annotations

from typing import Any

from crosscheck.cases import Case
from crosscheck.environments import ZIGZAG, Runner

PARTS = ("ideal", "temporal", "stalls", "onloading", "offloading", "total")


def study(cases: tuple[Case, ...], run: Runner) -> dict[str, dict[str, float]]:
    """Shape of a product -> parts of its latency in cycles; the rest of the answer is the mapping found."""
    shapes = {product.shape: product for case in cases for product in case.products}
    return {
        shape: parse(run(ZIGZAG, shape, {"rows": product.rows, "inner": product.inner, "columns": product.columns}))
        for shape, product in shapes.items()
    }


def parse(answer: dict[str, Any]) -> dict[str, float]:
    parts = {name: float(answer[name]) for name in PARTS}
    if sum(parts[name] for name in ("temporal", "stalls", "onloading", "offloading")) != parts["total"]:
        raise ValueError(f"zigzag: the parts of the latency do not add up to {parts['total']}")
    return parts

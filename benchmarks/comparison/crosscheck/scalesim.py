"""scalesim: every product alone, output- and weight-stationary."""

from __future__ import annotations

from typing import Any

from crosscheck.cases import Case, Product
from crosscheck.environments import SCALESIM, Runner
from crosscheck.formulas import scalesim_cycles

DATAFLOWS = ("os", "ws")
LONGEST_RUN_CYCLES = 120_000
"""scalesim looks up every operand of every cycle in Python sets: about a millisecond a cycle. Longer products are not simulated but
computed with the closed form, which gives the cycles of each one that is."""


def requests(cases: tuple[Case, ...]) -> list[tuple[str, dict[str, Any], int]]:
    """(name of the run, request, cycles), shortest first, without the products that are too long."""
    found: dict[str, tuple[dict[str, Any], int]] = {}
    for case in cases:
        for product in case.products:
            for dataflow in DATAFLOWS:
                cycles = scalesim_cycles(product, dataflow)
                if cycles <= LONGEST_RUN_CYCLES or case.name in ("gemm", "gemv"):
                    found[f"{dataflow}-{product.shape}"] = (_request(product, dataflow), cycles)
    return sorted(((name, *rest) for name, rest in found.items()), key=lambda run: run[2])


def _request(product: Product, dataflow: str) -> dict[str, Any]:
    return {"dataflow": dataflow, "rows": product.rows, "inner": product.inner, "columns": product.columns}


def study(cases: tuple[Case, ...], run: Runner) -> dict[str, dict[str, float]]:
    """Run name -> the cycles and words that the page uses."""
    return {name: parse(run(SCALESIM, name, request)) for name, request, _ in requests(cases)}


def parse(reports: dict[str, dict[str, float]]) -> dict[str, float]:
    """Total counts from cycle 0 to the last result, with the stalls, both as scalesim prints them: the last index, not the number."""
    compute, detail = reports["COMPUTE_REPORT"], reports["DETAILED_ACCESS_REPORT"]
    return {
        "total": compute["Total Cycles"] + 1,
        "stalls": compute["Stall Cycles"],
        "compute": compute["Total Cycles"] + 1 - compute["Stall Cycles"],
        "with_prefetch": compute["Total Cycles (incl. prefetch)"],
        "prefetch": -min(detail["DRAM IFMAP Start Cycle"], detail["DRAM Filter Start Cycle"]),
        "dram_reads": detail["DRAM IFMAP Reads"] + detail["DRAM Filter Reads"],
        "dram_writes": detail["DRAM OFMAP Writes"],
    }

"""The numbers of the page, worked out from results.json."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crosscheck import formulas
from crosscheck.cases import CONTEXT, Case, Product, all_cases
from isa.machine import Machine

Results = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One tool in one case. `formula`: cycles of the closed form, where there is one."""

    tool: str
    counts: str
    cycles: float
    ratio: float
    formula: float | None = None

    @property
    def is_explained(self) -> bool:
        """The closed form gives the tool's number, to the cycle."""
        return self.formula is not None and abs(self.formula - self.cycles) < 0.5


@dataclass(frozen=True, slots=True)
class Load:
    """What a tool counts as work: cycles of the DRAM at 64 B/cycle without refresh, and of the array at its
    full rate, which is half for bf16."""

    dram: float
    macs: float

    @property
    def bound(self) -> float:
        return max(self.dram, self.macs)


@dataclass(frozen=True, slots=True)
class Bridge:
    """From our cycles to a tool's, each step in cycles; they add up exactly."""

    tool: str
    ours: float
    schedule: float
    refresh: float
    work: float
    above: float
    load: Load

    @property
    def cycles(self) -> float:
        return self.ours + self.schedule + self.refresh + self.work + self.above


@dataclass(frozen=True, slots=True)
class CaseView:
    case: Case
    ours: dict[str, Any]
    load: Load
    memory: list[Row]
    compute: list[Row]
    bridges: list[Bridge]
    simulated: int
    """Products that scalesim simulated, of 2 for each product."""

    @property
    def row_of(self) -> dict[str, Row]:
        return {row.tool: row for row in self.memory}

    @property
    def compute_of(self) -> dict[str, Row]:
        return {row.tool: row for row in self.compute}

    @property
    def bridge_of(self) -> dict[str, Bridge]:
        return {bridge.tool: bridge for bridge in self.bridges}


def refresh_factor(machine: Machine) -> float:
    return machine.memory.peak_bytes_per_second / machine.memory.refreshed_bytes_per_second


def views(results: Results, machine: Machine) -> dict[str, CaseView]:
    return {case.name: view(case, results, refresh_factor(machine)) for case in all_cases()}


def view(case: Case, results: Results, refresh: float) -> CaseView:
    ours = results["slmc"][case.name]
    load = Load(formulas.dram_cycles(ours["dram_bytes"]), ours["mxu_floor"])
    memory = _memory_rows(case, results, ours["cycles"])
    loads = {"zigzag-dse": _zigzag_load(case), "genz-llm": _genz_load(case)}
    bridges = [
        _bridge(row, ours["cycles"], load, loads.get(row.tool, _zigzag_load(case)), refresh)
        for row in memory
        if row.tool != "slmc"
    ]
    simulated = sum(
        f"{dataflow}-{product.shape}" in results["scalesim"] for product in case.products for dataflow in ("os", "ws")
    )
    return CaseView(case, ours, load, memory, _compute_rows(case, results, ours["mxu"]), bridges, simulated)


def _bridge(row: Row, ours: float, load: Load, theirs: Load, refresh: float) -> Bridge:
    refreshed = max(load.dram * refresh, load.macs)
    return Bridge(
        tool=row.tool,
        ours=ours,
        schedule=refreshed - ours,
        refresh=load.bound - refreshed,
        work=theirs.bound - load.bound,
        above=row.cycles - theirs.bound,
        load=theirs,
    )


def _zigzag_load(case: Case) -> Load:
    return Load(formulas.dram_cycles(formulas.zigzag_bytes(case)), case.macs / formulas.MACS_PER_CYCLE)


def _genz_load(case: Case) -> Load:
    operations = formulas.genz_operations(case)
    return Load(
        sum(formulas.genz_memory_cycles(*operation) for operation in operations),
        sum(product.macs for product, _ in operations) / formulas.MACS_PER_CYCLE,
    )


def _memory_rows(case: Case, results: Results, ours: float) -> list[Row]:
    rows = [Row("slmc", "compiled program, DRAM, refresh, all operations", ours, 1.0)]
    products, runs = case.products, results["scalesim"]

    def add(tool: str, counts: str, cycles: float, formula: float | None = None) -> None:
        rows.append(Row(tool, counts, cycles, cycles / ours, formula))

    if all(product.rows <= formulas.ARRAY for product in products):
        for dataflow, formula in formulas.SCALESIM_WITH_PREFETCH.items():
            total = sum(_scalesim(runs, product, dataflow, "with_prefetch") for product in products)
            add(f"scalesim {dataflow}", "with prefetch", total, sum(formula(product) for product in products))
    zigzag = results["zigzag"]
    add("zigzag-dse", "products from DRAM to DRAM", sum(p.count * zigzag[p.shape]["total"] for p in products))
    genz = sum(formulas.genz_cycles(*operation) for operation in formulas.genz_operations(case))
    add("genz-llm", "the longer of MACs and bytes", results["genz"][case.name]["total"], genz)
    return rows


def _compute_rows(case: Case, results: Results, ours: float) -> list[Row]:
    rows = [Row("slmc", "MXU busy", ours, 1.0)]
    for dataflow in ("os", "ws"):
        cycles = sum(_scalesim(results["scalesim"], product, dataflow, "compute") for product in case.products)
        formula = sum(formulas.scalesim_cycles(product, dataflow) for product in case.products)
        rows.append(Row(f"scalesim {dataflow}", "cycles without stalls", cycles, cycles / ours, formula))
    temporal = sum(product.count * results["zigzag"][product.shape]["temporal"] for product in case.products)
    formula = sum(formulas.pipelined_cycles(product) for product in case.products)
    rows.append(Row("zigzag-dse", "temporal loops", temporal, temporal / ours, formula))
    compute = sum(line["count"] * line["compute"] for line in results["genz"][case.name]["lines"])
    rows.append(Row("genz-llm", "MACs / rate", compute, compute / ours, _genz_load(case).macs))
    return rows


def _scalesim(runs: Results, product: Product, dataflow: str, part: str) -> float:
    """What scalesim printed, all counts together; of products that are too long to simulate, the closed form."""
    run = runs.get(f"{dataflow}-{product.shape}")
    if run is not None:
        return product.count * run[part]
    if part == "compute":
        return formulas.scalesim_cycles(product, dataflow)
    return formulas.SCALESIM_WITH_PREFETCH[dataflow](product)


def causal_share() -> float:
    """Of the pairs of a prompt's positions, those that a causal mask leaves."""
    return (CONTEXT + 1) / (2 * CONTEXT)

"""docs/comparison.md from results.json, anchors.json and the templates."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import jinja2

from crosscheck import formulas, markdown, scalesim, tables, zigzag
from crosscheck.cases import HERE, MACHINE, Case
from crosscheck.environments import TOOLS
from isa.machine import load_machine

RESULTS = HERE / "results.json"
ANCHORS = HERE / "anchors.json"
SAME_MODEL, SAME_FORMAT = "TinyLlama-1.1B", "w8a8"


def render(results: dict[str, Any], anchors: dict[str, Any]) -> str:
    """The text of the page."""
    machine = load_machine(str(MACHINE))
    views = tables.views(results, machine)
    factor = tables.refresh_factor(machine)
    measured = [with_fraction(measurement) for measurement in anchors["measurements"]]
    same = next(m for m in measured if (m["model"], m["format"]) == (SAME_MODEL, SAME_FORMAT))
    genz = {line["name"]: line for line in results["genz"]["prefill"]["lines"]}
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"count": markdown.count, "percent": markdown.percent, "ratio": markdown.ratio}
    return environment.get_template("page.md.jinja").render(
        views=views,
        summary=markdown.summary,
        tool_rows=markdown.tool_rows,
        bridges=markdown.bridges,
        published=published_table(measured, views["decode"]),
        machine=machine,
        refresh_factor=factor,
        refresh=1 - 1 / factor,
        versions={tool.name: tool.version for tool in TOOLS},
        scalesim=results["scalesim"],
        zigzag=results["zigzag"],
        runs=len(results["scalesim"]),
        limit=scalesim.LONGEST_RUN_CYCLES,
        weight_tiles=sum(formulas.weight_tiles(product) for product in views["decode"].case.products),
        zigzag_parts=zigzag_parts(views["prefill"].case, results),
        os_parts=os_parts(views["decode"].case),
        genz_extra=genz["embeddings"]["cycles"] + genz["classifier"]["cycles"],
        causal=tables.causal_share(),
        anchors=anchors,
        best=max(m["fraction"] for m in measured),
        same=same["fraction"],
        same_hardware=same["hardware"],
    )


def os_parts(case: Case) -> Counter[str]:
    """Where the cycles of output-stationary scalesim go."""
    return sum((Counter(formulas.scalesim_os_parts(product)) for product in case.products), Counter[str]())


def zigzag_parts(case: Case, results: dict[str, Any]) -> dict[str, float]:
    """The parts of zigzag's latency, all products together."""
    parts = results["zigzag"]
    return {name: sum(p.count * parts[p.shape][name] for p in case.products) for name in zigzag.PARTS}


def with_fraction(measurement: dict[str, Any]) -> dict[str, Any]:
    """Adds the GB/s of weights that a published speed needs, and their part of the peak."""
    achieved = measurement["tokens_per_s"] * measurement["weight_gb"]
    return measurement | {"gb_per_s": achieved, "fraction": achieved / measurement["peak_gb_per_s"]}


def published_table(measured: list[dict[str, Any]], decode: tables.CaseView) -> str:
    """The measurements, best first, and our decode below them."""
    header = ("hardware", "runtime", "model", "GB of weights", "tokens/s", "GB/s of peak", "fraction", "source")
    rows = [
        [
            m["hardware"],
            m["runtime"],
            f"{m['model']} {m['format']}",
            f"{m['weight_gb']}: {m['weight_basis']}",
            f"{m['tokens_per_s']} ({m['confidence']})",
            f"{m['gb_per_s']:.1f} of {m['peak_gb_per_s']} ({m['peak_confidence']})",
            f"{m['fraction']:.2f}",
            "; ".join(text for text in (m["source"], m["note"]) if text),
        ]
        for m in sorted(measured, key=lambda m: m["fraction"], reverse=True)
    ]
    gigabytes, cycles = decode.ours["dram_bytes"] / 1e9, decode.ours["cycles"]
    speed = f"{1e9 / cycles:.1f}"
    rate = f"{1e9 * gigabytes / cycles:.1f} of {formulas.DRAM_BYTES_PER_CYCLE}"
    name = f"{SAME_MODEL} {SAME_FORMAT}"
    ours = ["slmc", "simulated", name, f"{gigabytes:.3f}: all bytes on the bus", speed, rate]
    return markdown.table(header, [*rows, [*ours, f"{decode.load.dram / cycles:.2f}", "this page"]])


def load() -> tuple[dict[str, Any], dict[str, Any]]:
    """The committed results and anchors."""
    return json.loads(RESULTS.read_text()), json.loads(ANCHORS.read_text())

"""Numbers and tables as the page writes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crosscheck.tables import CaseView, Row

LARGE_GAP = 0.10
TOOLS = ("scalesim os", "scalesim ws", "zigzag-dse", "genz-llm")
NONE = "-"


def count(number: float) -> str:
    return f"{number:,.0f}"


def step(number: float) -> str:
    return f"{number:+,.0f}"


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def ratio(number: float) -> str:
    """Bold if more than LARGE_GAP apart from 1."""
    text = f"{number:.2f}"
    return f"**{text}**" if max(number, 1 / number) > 1 + LARGE_GAP else text


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def summary(views: Sequence[CaseView]) -> str:
    """All cases: our cycles, and how many times as many each tool has."""
    rows = [["slmc, cycles", *(count(view.ours["cycles"]) for view in views)]]
    for tool in TOOLS:
        found = [view.row_of.get(tool) for view in views]
        rows.append([f"{tool}, x ours", *(NONE if row is None else ratio(row.ratio) for row in found)])
    return table(["", *(view.case.title for view in views)], rows)


def tool_rows(rows: Sequence[Row]) -> str:
    """One case: a tool a line."""
    header = ("tool", "counts", "cycles", "x ours", "closed form")
    return table(header, [[r.tool, r.counts, count(r.cycles), ratio(r.ratio), _formula(r)] for r in rows])


def _formula(row: Row) -> str:
    if row.formula is None:
        return NONE
    return "the same" if row.is_explained else count(row.formula)


def bridges(view: CaseView) -> str:
    """From our cycles to those of the tools, a step a line; below it what the tool counts as work."""
    found = view.bridges
    rows = [
        ["slmc", *(count(bridge.ours) for bridge in found)],
        ["what our schedule does not hide", *(step(bridge.schedule) for bridge in found)],
        ["refresh", *(step(bridge.refresh) for bridge in found)],
        ["other bytes, other MACs", *(step(bridge.work) for bridge in found)],
        ["what the tool does not hide", *(step(bridge.above) for bridge in found)],
        ["= the tool", *(count(bridge.cycles) for bridge in found)],
        ["its bytes / 64", *(count(bridge.load.dram) for bridge in found)],
        ["its MACs / 16,384", *(count(bridge.load.macs) for bridge in found)],
    ]
    return table(["cycles", *(bridge.tool for bridge in found)], rows)

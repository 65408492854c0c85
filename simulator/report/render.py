"""The report for people: compact tables on a rich console."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from simulator.energy import COMPONENTS, DYNAMIC, GROUPS
from simulator.report.model import EngineReport, PhaseReport, Report, SectionReport
from simulator.report.power import evenly, sparkline

MAX_ROWS = 12
SPARKS, NARROW_SPARKS = 64, 32
SMALLEST_SHARE = 0.01
"""Of the mean power: components below it have no line of their own over time."""
LABELS = {0: "layer", 1: "phase", 2: "image layer"}  # what the compiler marks; others are shown by number
_SI = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"), (1e-12, "p"))
BAR_WIDTH = 12
NARROW = 110
"""Below this many columns, counts are shortened and the columns that matter least are left out."""


def render(report: Report, console: Console) -> None:
    """Prints headline, phases, engines, memory, energy, operators and sections; empty tables are left out."""
    narrow = console.width < NARROW
    _headline(report, console)
    console.print(_phases(report, narrow))
    if report.predictions:
        console.print(_predictions(report, narrow))
    console.print(_engines(report, narrow))
    console.print(_memory(report))
    console.print(_energy(report, narrow))
    if report.power:
        console.print(_power(report, narrow))
    if report.operators:
        console.print(_operators(report, narrow))
    for label in sorted({section.label for section in report.sections}):
        console.print(_sections(label, [section for section in report.sections if section.label == label], narrow))


def quantity(value: float | None, unit: str) -> str:
    """A number with three digits and an SI prefix: 51.2 GB/s. None is a dash."""
    if value is None:
        return "-"
    if value == 0:
        return f"0 {unit}".rstrip()
    size, prefix = next(((s, p) for s, p in _SI if abs(value) >= s * 0.9995), _SI[-1])
    return f"{value / size:.3g} {prefix}{unit}".rstrip()


def _headline(report: Report, console: Console) -> None:
    machine, decode = report.machine, report.decode
    name = escape(str(report.program.get("model", "program")))
    scheme = escape(str(report.program.get("scheme", "")))
    console.print(f"[bold]{name}[/] {scheme} on [bold]{escape(machine['name'])}[/] ({machine['clock_hz'] / 1e9:g} GHz)")
    if decode.tokens:
        console.print(
            f"[bold green]{decode.tokens_per_second or 0:,.1f} tokens/s[/] decoding, "
            f"{quantity(decode.joules_per_token, 'J/token')}, {quantity(decode.watts, 'W')}; {decode.bound}-bound, "
            f"{decode.ratio_to_floor or 0:.2f} x the floor"
        )
    if report.time_to_first_token_seconds is not None:
        prompt = f" for {report.prompt_tokens} prompt tokens" if report.prompt_tokens else ""
        console.print(f"first token after {quantity(report.time_to_first_token_seconds, 's')}{prompt}")
    for note in report.notes:
        console.print(f"note: {escape(note)}")


def _table(title: str, first: str, *numbers: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, title_style="bold")
    table.add_column(first, no_wrap=True, overflow="ellipsis", max_width=36)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _bar(part: float) -> str:
    filled = round(min(1.0, max(0.0, part)) * BAR_WIDTH)
    return f"[green]{'█' * filled}[/][dim]{'░' * (BAR_WIDTH - filled)}[/] {100 * part:5.1f} %"


def _count(number: int | float | None, narrow: bool) -> str:
    if number is None:
        return "-"
    return quantity(number, "") if narrow else f"{number:,.0f}"


def _phases(report: Report, narrow: bool) -> Table:
    per_token, floor = ("per token", ()) if narrow else ("cycles/token", ("floor",))
    table = _table("Time", "phase", "tokens", "cycles", per_token, "J/token", "W", *floor, "x floor", "bound")
    for phase in (report.encode, report.prefill, report.decode, report.rest, report.total):
        if phase.cycles:
            table.add_row(*_phase_row(phase, narrow), style="bold" if phase is report.total else "")
    return table


def _phase_row(phase: PhaseReport, narrow: bool) -> tuple[str, ...]:
    ratio = f"{phase.ratio_to_floor:.2f}" if phase.ratio_to_floor else "-"
    return (
        phase.name,
        str(phase.tokens),
        _count(phase.cycles, narrow),
        _count(phase.cycles_per_token, narrow),
        quantity(phase.joules_per_token, "J"),
        quantity(phase.watts, "W"),
        *(() if narrow else (_count(phase.floor.cycles, narrow),)),
        ratio,
        phase.bound,
    )


def _predictions(report: Report, narrow: bool) -> Table:
    table = _table("Prediction of the compiler", "phase", "predicted", "simulated", "error")
    for one in report.predictions:
        predicted, simulated = (_count(cycles, narrow) for cycles in (one.predicted_cycles, one.simulated_cycles))
        table.add_row(one.phase, predicted, simulated, f"{100 * one.error:+.2f} %")
    return table


def _engines(report: Report, narrow: bool) -> Table:
    if narrow:
        table = _table("Engines", "engine", "busy cycles", "busy", "largest wait")
    else:
        table = _table("Engines", "engine", "instructions", "busy cycles", "busy", "contention", "largest wait")
    for engine in report.engines:
        table.add_row(
            engine.name,
            *(() if narrow else (f"{engine.instructions:,}",)),
            _count(engine.busy_cycles, narrow),
            _bar(engine.utilisation),
            *(() if narrow else (f"{engine.contention_cycles:,}",)),
            _largest_wait(engine, narrow),
        )
    return table


def _largest_wait(engine: EngineReport, narrow: bool) -> str:
    if not any(engine.waits.values()):
        return "-"
    name = max(engine.waits, key=lambda key: engine.waits[key])
    return f"{name} {_count(engine.waits[name], narrow)}"


def _memory(report: Report) -> Table:
    hits = 100 * report.dram["row_hit_rate"]
    table = _table("DRAM", "region", "read", "written", "row hits", "activates")
    for region, moved in report.bytes_by_region.items():
        if any(moved.values()):
            table.add_row(region, quantity(moved["read"], "B"), quantity(moved["write"], "B"))
    read, written = report.dram["read_bytes"], report.dram["write_bytes"]
    table.add_row(
        "bus",
        quantity(read, "B"),
        quantity(written, "B"),
        f"{hits:.1f} %",
        f"{report.dram['activates']:,}",
        style="bold",
    )
    return table


def _energy(report: Report, narrow: bool) -> Table:
    """Components and groups, with the band of each: all rows of the machine's table at one end at once (docs/energy.md)."""
    table = _table("Energy", "component", "joules", "least", "most", *(() if narrow else ("part",)))
    bands, joules = report.total.energy_bands, report.total.joules
    names = [name for name in sorted(COMPONENTS, key=lambda name: -bands[name].joules) if bands[name].joules]
    for name in (*names, *GROUPS):
        numbers = [quantity(number, "J") for number in (bands[name].joules, bands[name].low, bands[name].high)]
        part = () if narrow else (_bar(bands[name].joules / joules if joules else 0.0),)
        table.add_row(name, *numbers, *part, style="bold" if name in GROUPS else "")
    return table


def _power(report: Report, narrow: bool) -> Table:
    """Watts over time, each line from 0 to its peak; components that matter."""
    table = _table("Power over time", "component", "over the run", "mean", "peak")
    columns = NARROW_SPARKS if narrow else SPARKS
    lines = {"total": [one.total_watts for one in report.power]}
    lines |= {name: [one.watts[name] for one in report.power] for name in DYNAMIC}
    mean = report.total.watts or 0.0
    for name, watts in lines.items():
        line = evenly(report.power, watts, columns)
        average = sum(line) / len(line)
        if average >= SMALLEST_SHARE * mean:
            peak = max(watts)
            numbers = quantity(average, "W"), quantity(peak, "W")
            table.add_row(name, sparkline(line, peak), *numbers, style="bold" if name == "total" else "")
    return table


def _operators(report: Report, narrow: bool) -> Table:
    engines = ("DML", "MXU", "VPU") if narrow else ("SEQ", "DML", "DMS", "MXU", "VPU")
    table = _table("Operators", "operator", *engines, "MACs", "DRAM", "dynamic")
    for operator in report.operators[:MAX_ROWS]:
        table.add_row(
            escape(operator.name),
            *(_count(operator.busy_cycles[name], narrow) for name in engines),
            quantity(operator.macs, ""),
            quantity(operator.dram_bytes, "B"),
            quantity(operator.joules, "J"),
        )
    _more(table, len(report.operators))
    return table


def _section_name(section: SectionReport) -> str:
    if section.value is None:
        return "before"
    return "outside" if section.value < 0 else str(section.value)


def _sections(label: int, sections: list[SectionReport], narrow: bool) -> Table:
    name = LABELS.get(label, f"mark {label}")
    table = _table(f"By {name}", name, "visits", "cycles", "DML", "MXU", "VPU", "DRAM", "energy")
    for section in sections[:MAX_ROWS]:
        table.add_row(
            _section_name(section),
            f"{section.visits:,}",
            _count(section.cycles, narrow),
            *(_count(section.busy_cycles[engine], narrow) for engine in ("DML", "MXU", "VPU")),
            quantity(section.dram_bytes, "B"),
            quantity(section.joules, "J"),
        )
    _more(table, len(sections))
    return table


def _more(table: Table, rows: int) -> None:
    if rows > MAX_ROWS:
        table.add_row(f"... {rows - MAX_ROWS} more", style="dim")

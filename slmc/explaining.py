"""The text of `slmc compile --explain`."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.table import Table

from compiler.analysis.explain import (
    OperatorShape,
    Tried,
    busiest,
    costs_of,
    explained_steps,
    runner_up,
    shapes_of,
    tried_plans,
)
from compiler.analysis.predict import StepCost
from compiler.analysis.tile_plans import CHUNKS
from compiler.driver import Options, lower, lower_planned
from compiler.emit.executable import is_routed
from compiler.errors import CompileError
from compiler.lowering.plan import TilePlan
from compiler.program import Program
from compiler.transforms.choose_single import TRIED_SINGLE_ATTRIBUTE
from slmc.tables import table_of

WIDTH = 150
PLAN_COLUMNS = ("chunk#", "strip#", "heads#", "keys#", "buffers#", "spill#", "SRAM#", "verdict")
SINGLE_COLUMNS = ("strip#", "span#", "heads#", "keys#", "ahead", "waits#", "SRAM#", "verdict")


def explanation(program: Program, options: Options) -> Iterator[str]:
    """The pages: plan, shapes, predicted cost of a chunk and of a token, the runner-up."""
    module = lower(program, options, "tile")
    plan, tried = TilePlan.of(module), tried_plans(module)
    yield rendered(plans_table(plan, tried, options))
    yield rendered(singles_table(TilePlan.of_single(module), tried_plans(module, TRIED_SINGLE_ATTRIBUTE), options))
    yield rendered(shapes_table(shapes_of(module)))
    if is_routed(program):
        yield "cycles are not predicted: which experts a token needs depends on values"
        return
    steps = explained_steps(module, options.machine)
    for phase, cost in steps.items():
        yield rendered(costs_table(phase, cost))
        yield summary(phase, cost)
    yield from compared(program, options, plan, tried, steps)


def rendered(table: Table) -> str:
    """The same text whatever the terminal."""
    out = io.StringIO()
    Console(file=out, width=WIDTH, force_terminal=False, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().splitlines())


def verdict(one: Tried, chosen: TilePlan | None, sram_bytes: int) -> str:
    """What became of a plan."""
    if one.plan == chosen:
        return "chosen"
    if one.sram_bytes > sram_bytes:
        return f"needs {one.sram_bytes - sram_bytes:,} bytes more than there are"
    return "fits"


def plans_table(chosen: TilePlan, tried: list[Tried], options: Options) -> Table:
    """What choose-tiling has lowered. Plans between these were left out: a larger need of theirs follows from these."""
    sram_bytes = options.machine.sram_bytes
    rows = [
        (p.chunk, p.strip_bytes, p.kv_heads, p.key_tile, p.buffers, p.spill_bytes, one.sram_bytes,
         verdict(one, chosen, sram_bytes))
        for one in tried
        for p in (one.plan,)
    ]  # fmt: skip
    return table_of(f"Plans that were tried, largest chunk first; {sram_bytes:,} bytes of SRAM", PLAN_COLUMNS, rows)


def singles_table(chosen: TilePlan | None, tried: list[Tried], options: Options) -> Table:
    """The same of choose-single, for chunks of one token."""
    sram_bytes = options.machine.sram_bytes
    rows = [
        (p.token_strip_bytes, p.span_bytes, p.kv_heads, p.key_tile, "yes" if p.ahead else "no", one.waits, one.sram_bytes,
         verdict(one, chosen, sram_bytes))
        for one in tried
        for p in (one.plan,)
    ]  # fmt: skip
    return table_of("Plans for one token, those first under which DRAM waits least", SINGLE_COLUMNS, rows)


def shapes_table(shapes: Mapping[str, OperatorShape]) -> Table:
    """Tiles, loops and buffers of each operator."""
    rows = [
        (
            name,
            " x ".join(shape.product) if shape.product else "-",
            " > ".join(shape.loops) or "-",
            ", ".join(f"{label} {size:,}" for label, size in shape.buffers.items()) or "-",
        )
        for name, shape in shapes.items()
    ]
    columns = ("operator", "tokens x rows x k", "loops", "buffers in SRAM, bytes with all their turns")
    return table_of("Tiles (T: tokens of the chunk, for attention also keys; ?: known when it runs)", columns, rows)


def costs_table(phase: str, cost: StepCost) -> Table:
    """Predicted cycles of each operator, and what bounds it."""
    rows = [
        (o.name, o.weight_bytes, o.state_bytes, o.other_bytes, o.cycles, o.floor, gap(o.cycles, o.floor), o.bound)
        for o in costs_of(cost)
    ]
    step = cost.step
    title = f"Predicted {phase}: {step.tokens} tokens at position {step.position}"
    columns = ("operator", "weights B#", "KV B#", "other B#", "cycles#", "floor#", "gap", "bound by")
    return table_of(title, columns, rows)


def gap(cycles: int, floor: int) -> str:
    """How far from the busiest engine's cycles; less than nothing where others' work overlaps."""
    return f"{100 * (cycles / floor - 1):+.1f} %" if floor else "-"


def summary(phase: str, cost: StepCost) -> str:
    """The whole step against its lower bound."""
    engine, cycles = busiest(cost)
    whole = f"{phase}: {cost.cycles:,} cycles, {cost.dram_bytes:,} DRAM bytes"
    return f"{whole}; {engine} is busy for {cycles:,}, gap {gap(cost.cycles, cycles)}"


def compared(
    program: Program, options: Options, plan: TilePlan, tried: list[Tried], steps: Mapping[str, StepCost]
) -> Iterator[str]:
    """The chosen plan's cost per token against that of the runner-up."""
    other = runner_up(tried, plan, options.machine.sram_bytes, CHUNKS)
    if other is None:
        yield "no runner-up: there is no smaller chunk"
        return
    try:
        found = explained_steps(lower_planned(program, options, other), options.machine)
    except CompileError as error:
        yield f"runner-up, chunk {other.chunk}: {error}"
        return
    for name, one, costs in (("chosen", plan, steps), ("runner-up", other, found)):
        prefill = costs["prefill"].cycles / costs["prefill"].step.tokens
        where = f", values above {one.spill_bytes:,} bytes in DRAM" if one.spills else ""
        yield (
            f"{name}: chunk {one.chunk}, strips of {one.strip_bytes:,} bytes{where}: "
            f"{prefill:,.0f} cycles per token of a prompt, {costs['decode'].cycles:,} per token decoded"
        )

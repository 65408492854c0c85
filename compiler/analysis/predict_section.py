"""What goes into the executable's section PRED: steps at a few positions, and the operators of one step of each phase."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import ModuleOp

from compiler.analysis.predict import Predictor, Step, StepCost
from compiler.analysis.predict_engines import ENGINE_NAMES
from compiler.analysis.predict_timeline import Tally
from compiler.lowering.plan import TilePlan
from isa.machine import Machine
from isa.prediction import PredictedOperator, PredictedStep, Prediction
from isa.spec import KV_BLOCK

FIRST_BORDER = 512  # positions between which cycles are taken to be linear, each so many times the one before
BORDER_FACTOR = 4
BOUND_PART = 0.5
"""An operator is bound by an engine that is busy for this part of its time; otherwise by latencies."""


def positions(plan: TilePlan, tokens: int) -> list[int]:
    """Where steps of so many tokens are predicted: the first and the last place where one can begin, and some between; none if there
    is no room. No chunk crosses a KV block, so that chunks begin anew in each.
    """
    starts: Sequence[int] = range(plan.context)
    if tokens > 1:
        in_block = [at for at in range(0, KV_BLOCK, plan.chunk) if min(plan.chunk, KV_BLOCK - at) == tokens]
        places = [block + at for block in range(0, plan.context, KV_BLOCK) for at in in_block]
        starts = [place for place in places if place + tokens <= plan.context]
    found, border = {*starts[:1], *starts[-1:]}, FIRST_BORDER
    while border < plan.context:
        found.update(next(([place] for place in starts if place >= border), []))
        border *= BORDER_FACTOR
    return sorted(found)


def steps_of(plan: TilePlan) -> list[Step]:
    """Single tokens, and whole chunks and the rest of a KV block: within a prompt at these positions, at its end at the last one."""
    sizes = {size for size in (plan.chunk, KV_BLOCK % plan.chunk) if 0 < size <= plan.context}
    found = [Step(1, position, True) for position in positions(plan, 1)]
    for size in sorted(sizes):
        places = positions(plan, size)
        found += [Step(size, position, False) for position in places]
        found += [Step(size, position, True) for position in places[-1:]]
    return list(dict.fromkeys(found))


def ends_of(steps: Sequence[PredictedStep]) -> list[PredictedStep]:
    """Steps at the end of a prompt at the other positions: what comes on top, head and sampling, is the same everywhere."""
    known = {(s.tokens, s.position, s.is_last): s for s in steps}
    found: list[PredictedStep] = []
    for end in [s for s in steps if s.is_last and s.tokens > 1]:
        same = known[end.tokens, end.position, False]
        cycles, size = end.cycles - same.cycles, end.dram_bytes - same.dram_bytes
        found += [
            PredictedStep(s.tokens, s.position, True, s.cycles + cycles, s.dram_bytes + size)
            for s in steps
            if s.tokens == end.tokens and not s.is_last and s.position != end.position
        ]
    return found


def bound_of(tally: Tally) -> str:
    """The engine that is busy longest, if it is for half of the time."""
    engine = max(range(len(ENGINE_NAMES)), key=lambda index: tally.busy[index])
    return ENGINE_NAMES[engine] if tally.busy[engine] >= BOUND_PART * tally.cycles else "latency"


def operators_of(cost: StepCost) -> tuple[PredictedOperator, ...]:
    return tuple(
        PredictedOperator(
            name,
            round(tally.cycles),
            {engine: round(busy) for engine, busy in zip(ENGINE_NAMES, tally.busy, strict=True)},
            round(sum(tally.dram_bytes)),
            bound_of(tally),
        )
        for name, tally in cost.operators.items()
    )


def predict(module: ModuleOp, machine: Machine) -> Prediction:
    """The prediction of a module behind allocate-sram."""
    predictor, plan = Predictor(module, machine), TilePlan.of(module)
    costs = [predictor.step(step) for step in steps_of(plan)]
    steps = tuple(PredictedStep(c.step.tokens, c.step.position, c.step.is_last, c.cycles, c.dram_bytes) for c in costs)
    decode = next(cost for cost in reversed(costs) if cost.step.tokens == 1 and cost.step.is_last)
    prefill = next((cost for cost in costs if cost.step.tokens == plan.chunk > 1 and not cost.step.is_last), None)
    operators = {"decode": operators_of(decode)}
    if prefill is not None:
        operators["prefill"] = operators_of(prefill)
    return Prediction((*steps, *ends_of(steps)), operators)

"""What `slmc compile --explain` says: per operator tile shapes, loops, buffers, bytes and predicted cycles; the plans tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from xdsl.dialects import scf
from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, IntegerAttr, ModuleOp
from xdsl.ir import Operation, SSAValue

from compiler.analysis.predict import Predictor, Step, StepCost
from compiler.analysis.predict_engines import ENGINE_NAMES
from compiler.analysis.predict_operations import OPERANDS, views_of
from compiler.analysis.predict_section import bound_of
from compiler.analysis.predict_timeline import Tally
from compiler.dialects import tile
from compiler.locations import operator_of, source_of
from compiler.lowering.plan import TilePlan
from compiler.scalars import trips_of
from compiler.transforms.choose_tiling import TRIED_ATTRIBUTE
from compiler.transforms.unroll_turns import TRIPS_ATTRIBUTE
from isa.machine import Machine
from isa.spec import Region

WEIGHT_REGIONS, STATE_REGIONS = (Region.WEIGHT,), (Region.KV,)


@dataclass
class OperatorShape:
    """Of one operator: its largest product as rows of A x rows of B x k, the loops around it, and what buffers it uses."""

    product: tuple[str, str, str] | None = None
    loops: tuple[str, ...] = ()
    buffers: dict[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True)
class OperatorCost:
    """Of one operator in one step. `floor`: busy cycles of its busiest engine. Bytes on the DRAM bus; the rest are activations."""

    name: str
    cycles: int
    floor: int
    bound: str
    weight_bytes: int
    state_bytes: int
    other_bytes: int


@dataclass(frozen=True)
class Tried:
    """A plan that was lowered, the bytes it needs, and, of one for a token, the cycles that DRAM is expected to wait."""

    plan: TilePlan
    sram_bytes: int
    smem_bytes: int
    waits: int = 0


def explained_name(op: Operation) -> str:
    """As predictions name an operator."""
    source = source_of(op.location)
    return operator_of(op.location) + (f" {source}" if source else "")


def shapes_of(module: ModuleOp) -> dict[str, OperatorShape]:
    """By operator, in program order; only what is in SRAM counts as a buffer."""
    found: dict[str, OperatorShape] = {}
    for op in module.walk():
        if type(op) not in OPERANDS:
            continue
        shape = found.setdefault(explained_name(op), OperatorShape())
        for _, value in views_of(op):
            view = value.owner
            owner = view.buffer.owner if isinstance(view, tile.ViewOp) and view.buffer is not None else None
            if isinstance(owner, tile.AllocOp) and owner.space.data == "sram":
                shape.buffers[owner.label.data] = max(
                    shape.buffers.get(owner.label.data, 0), owner.size_bytes.value.data
                )
        loops = loops_around(op)
        is_product = isinstance(op, tile.MmOp | tile.MmgOp)
        if is_product and (shape.product is None or len(loops) > len(shape.loops)):
            shape.product, shape.loops = product_of(op.a, op.b), loops
        elif shape.product is None and len(loops) > len(shape.loops):
            shape.loops = loops
    return found


def product_of(a: SSAValue, b: SSAValue) -> tuple[str, str, str] | None:
    """Rows of A, rows of B and k; T: as many as there are tokens."""
    if not isinstance(a.owner, tile.ViewOp) or not isinstance(b.owner, tile.ViewOp):
        return None
    of_a, of_b = a.owner.full_extents(), b.owner.full_extents()
    rows, columns, k = of_a[1], of_b[1], of_b[0]
    return show(rows), show(columns), show(k)


def show(value: int | SSAValue) -> str:
    return str(value) if isinstance(value, int) else "T"


def loops_around(op: Operation) -> tuple[str, ...]:
    """Trip counts as they were before turns were unrolled, outermost first; ?: not known before the program runs."""
    found: list[str] = []
    parent = op.parent_op()
    while parent is not None:
        if isinstance(parent, scf.ForOp):
            rolled, trips = parent.attributes.get(TRIPS_ATTRIBUTE), trips_of(parent)
            if isinstance(rolled, IntegerAttr):
                trips = rolled.value.data
            found.insert(0, "?" if trips is None else str(trips))
        parent = parent.parent_op()
    return tuple(found)


def costs_of(cost: StepCost) -> list[OperatorCost]:
    """Those operators of a step that take time or move bytes."""
    return [cost_of(name, tally) for name, tally in cost.operators.items() if tally.cycles or any(tally.dram_bytes)]


def cost_of(name: str, tally: Tally) -> OperatorCost:
    weight, state = (
        round(sum(tally.dram_bytes[region] for region in regions)) for regions in (WEIGHT_REGIONS, STATE_REGIONS)
    )
    other = round(sum(tally.dram_bytes)) - weight - state
    return OperatorCost(name, round(tally.cycles), round(max(tally.busy)), bound_of(tally), weight, state, other)


def busiest(cost: StepCost) -> tuple[str, int]:
    """The engine that is busy longest in a step, which no order of the same work undercuts, and its cycles."""
    totals = [sum(tally.busy[engine] for tally in cost.operators.values()) for engine in range(len(ENGINE_NAMES))]
    longest = max(range(len(totals)), key=totals.__getitem__)
    return ENGINE_NAMES[longest], round(totals[longest])


def tried_plans(module: ModuleOp, attribute: str = TRIED_ATTRIBUTE) -> list[Tried]:
    """What choose-tiling has recorded, or choose-single."""
    entries = module.attributes.get(attribute)
    found: list[Tried] = []
    for entry in entries if isinstance(entries, ArrayAttr) else ():
        if isinstance(entry, DictionaryAttr):
            numbers = {k: v.value.data for k, v in entry.data.items() if isinstance(v, IntegerAttr)}
            sram, smem, waits = numbers.pop("needs_sram"), numbers.pop("needs_smem"), numbers.pop("waits", 0)
            found.append(Tried(TilePlan(**numbers), sram, smem, waits))
    return list(dict.fromkeys(found))


def explained_steps(module: ModuleOp, machine: Machine) -> dict[str, StepCost]:
    """A chunk at the beginning of a prompt, and a token in the middle of the context."""
    plan, predictor = TilePlan.of(module), Predictor(module, machine)
    chunk = min(plan.chunk, plan.context)
    found = {"prefill": predictor.step(Step(chunk, 0, False))}
    return {**found, "decode": predictor.step(Step(1, plan.context // 2, True))}


def runner_up(tried: Sequence[Tried], chosen: TilePlan, sram_bytes: int, chunks: Sequence[int]) -> TilePlan | None:
    """Another plan that fits: of the other kind (values in DRAM or not) if one was tried, else the chosen one with the next smaller
    chunk.
    """
    fitting = [t.plan for t in tried if t.plan.spills != chosen.spills and t.sram_bytes <= sram_bytes]
    if fitting:
        return fitting[-1]
    smaller = next((chunk for chunk in chunks if chunk < chosen.chunk), None)
    return None if smaller is None else TilePlan(**{**vars(chosen), "chunk": smaller})

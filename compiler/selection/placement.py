"""Where each descriptor is loaded and its fields are set, so that it costs little and the descriptor registers suffice.

A descriptor may be loaded for one instruction, for a stretch of a block, or in front of a loop for all of its iterations: wherever
its load stands, it has a register from there to its last use in that block. Fields are set there too, or deeper, where their value
is known. Inner blocks choose first: what saves most there gets a register for the block as long as there are any; then the block
around it moves descriptors out of its inner blocks, and so on. The number of descriptors live at once is counted exactly.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from xdsl.dialects import scf
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, SSAValue

from compiler.selection.nest import Nest
from compiler.selection.speculation import Speculation
from compiler.selection.views import Field, Form, forms_of, views_in
from isa.spec import TD_REGISTERS


@dataclass(frozen=True, eq=False)
class Placement:
    """A descriptor in a register from the first to the last of the ops `first` to `last` of a block, for the instructions `uses`."""

    form: Form
    block: Block
    first: int
    last: int
    uses: tuple[Operation, ...]


@dataclass(frozen=True)
class Setting:
    """An instruction that makes a descriptor: the load, or one field. `adds`: a sum is worked out for it first."""

    placement: Placement
    field: Field | None = None
    adds: bool = False

    @property
    def instructions(self) -> int:
        return 1 + self.adds


@dataclass(frozen=True)
class Spot:
    """In front of an op. `guarded`: of a loop, behind the test whether it runs at all."""

    op: Operation
    guarded: bool = False


@dataclass
class DescriptorPlan:
    """`before`: what goes in front of each op, `entering`: in front of each loop that runs. `placements`: by instruction and form."""

    forms: dict[SSAValue, Form]
    before: dict[Operation, list[Setting]] = field(default_factory=dict[Operation, list[Setting]])
    entering: dict[Operation, list[Setting]] = field(default_factory=dict[Operation, list[Setting]])
    placements: dict[tuple[Operation, Form], Placement] = field(default_factory=dict[tuple[Operation, Form], Placement])


class Pressure:
    """How many descriptors are live at each op of each block, with those within it. `peaks`: at the busiest op, where that is known."""

    def __init__(self, nest: Nest):
        self.live = {block: [0] * sum(1 for _ in block.ops) for block in nest.order}
        self.peaks: dict[Block, int] = {}
        self.within: dict[Operation, int] = {}
        self.around: dict[Block, tuple[Operation, Block, int]] = {}
        for op, position in nest.position.items():
            for region in op.regions:
                self.around.update((inner, (op, nest.home_of(op), position)) for inner in region.blocks)

    def change(self, placement: Placement, by: int) -> None:
        live = self.live[placement.block]
        for position in range(placement.first, placement.last + 1):
            live[position] += by
        self.peaks.pop(placement.block, None)

    def most(self, block: Block) -> int:
        """At the busiest op of a block."""
        found = self.peaks.get(block)
        if found is None:
            found = self.peaks[block] = max(self.live[block], default=0)
        return found

    def update(self, blocks: Iterable[Block], top: Block) -> None:
        """Counts again what lies around some blocks, up to `top`, as far as it changes."""
        for block in blocks:
            while block is not top and block in self.around:
                op, outer, position = self.around[block]
                more = max(self.most(inner) for region in op.regions for inner in region.blocks) - self.within.get(
                    op, 0
                )
                if more == 0:
                    break
                self.live[outer][position] += more
                self.within[op] = self.within.get(op, 0) + more
                self.peaks.pop(outer, None)
                block = outer


class Placer:
    """Chooses the placements of one function; see the module docstring."""

    def __init__(self, function: FuncOp):
        self.nest = Nest(function)
        self.forms = forms_of(function)
        self.speculation = Speculation(function, self.nest, self.forms)
        self.pressure = Pressure(self.nest)
        self.costs: dict[Placement, float] = {}
        self.outermost: dict[tuple[int, int, int], int] = {}
        self.chosen: dict[Form, list[Placement]] = {}
        self.users: dict[Block, dict[Form, None]] = {block: {} for block in self.nest.order}
        for op in self.nest.position:
            for value in views_in(op):
                self.start(self.forms[value], op)

    def start(self, form: Form, op: Operation) -> None:
        """At first a descriptor is loaded for each instruction."""
        block, position = op.parent_block(), self.nest.position[op]
        placements = self.chosen.setdefault(form, [])
        if block is None or (placements and placements[-1].uses[0] is op):
            return
        placements.append(Placement(form, block, position, position, (op,)))
        self.pressure.change(placements[-1], 1)
        for around, _ in self.nest.out(op):
            self.users[around][form] = None

    def choose(self) -> None:
        """Moves descriptors outwards, block by block from inside."""
        for block in self.nest.order:
            self.pressure.update([inner for op in block.ops for region in op.regions for inner in region.blocks], block)
            gains: list[tuple[float, int, Placement, list[Placement]]] = []
            for form in self.users[block]:
                inside = [each for each in self.chosen[form] if self.lies_in(each, block)]
                together = self.joined(form, block, inside)
                gain = sum(self.cost(each) for each in inside) - self.cost(together)
                if gain > 0:
                    gains.append((gain, together.last - together.first, together, inside))
            for _, _, together, inside in sorted(gains, key=lambda each: (-each[0], each[1])):
                self.attempt(together, inside)

    def lies_in(self, placement: Placement, block: Block) -> bool:
        around = self.nest.out(placement.uses[0])
        further = self.nest.depth[around[0][0]] - self.nest.depth[block]
        return further >= 0 and around[further][0] is block

    def joined(self, form: Form, block: Block, inside: list[Placement]) -> Placement:
        """One placement in `block` for the uses of some that lie in it."""
        uses = tuple(use for each in inside for use in each.uses)
        places = [self.nest.position[self.nest.holder(use, block)] for use in uses]
        return Placement(form, block, min(places), max(places), uses)

    def attempt(self, together: Placement, inside: list[Placement]) -> None:
        """One placement instead of some within it, if the registers suffice."""
        self.replace(inside, [together], together.block)
        if self.pressure.most(together.block) > TD_REGISTERS:
            self.replace([together], inside, together.block)

    def replace(self, old: list[Placement], new: list[Placement], top: Block) -> None:
        form = new[0].form
        self.chosen[form] = [each for each in self.chosen[form] if each not in old] + new
        for each in old:
            self.pressure.change(each, -1)
        for each in new:
            self.pressure.change(each, 1)
        self.pressure.update([each.block for each in (*old, *new)], top)

    def cost(self, placement: Placement) -> float:
        """Instructions for each run of the generate loop."""
        total = self.costs.get(placement)
        if total is None:
            total = self.nest.frequency[placement.block]
            for each in placement.form.fields:
                for spot in self.spots(placement, each):
                    total += self.nest.frequency[self.block_of(spot)] * (1 + (each.plus != 0))
            self.costs[placement] = total
        return total

    def block_of(self, spot: Spot) -> Block:
        return spot.op.parent_block() or self.nest.root

    def spots(self, placement: Placement, each: Field) -> list[Spot]:
        """Where a field is set: with the load if its value is known there, else where it becomes known; if it may not be set there,
        as far outside as it may. In the block of a use it always may."""
        home = self.nest.home(each.value)
        limit = home if self.nest.depth[home] > self.nest.depth[placement.block] else placement.block
        first: dict[Block, Operation] = {}
        for use in placement.uses:
            around = self.nest.out(use)
            block, op = around[self.outermost_safe(each, around, limit)]
            first[block] = min(op, first.get(block, op), key=self.nest.position.__getitem__)
        return [self.entered(block, op, limit) for block, op in first.items()]

    def outermost_safe(self, each: Field, around: list[tuple[Block, Operation]], limit: Block) -> int:
        """Which of the blocks around a use, up to `limit`, is the outermost one where a field may be set."""
        key = id(each), id(around[0][0]), id(limit)
        found = self.outermost.get(key)
        if found is None:
            found = self.nest.depth[around[0][0]] - self.nest.depth[limit]
            while not self.speculation.is_safe(each, around[found][0]):
                found -= 1
            self.outermost[key] = found
        return found

    def entered(self, block: Block, op: Operation, limit: Block) -> Spot:
        """What stands in front of the first op of an iteration may stand in front of the first iteration."""
        loop = block.parent_op()
        return Spot(loop, guarded=True) if block is not limit and isinstance(loop, scf.ForOp) else Spot(op)

    def plan(self) -> DescriptorPlan:
        """The settings in the order of the program."""
        self.choose()
        plan = DescriptorPlan(self.forms)
        at: dict[Spot, list[tuple[Placement, Field | None]]] = {}
        for form, placements in self.chosen.items():
            for placement in placements:
                plan.placements.update({(use, form): placement for use in placement.uses})
                ops = [self.nest.holder(use, placement.block) for use in placement.uses]
                at.setdefault(Spot(min(ops, key=lambda op: self.nest.position[op])), []).append((placement, None))
                for each in form.fields:
                    for spot in self.spots(placement, each):
                        at.setdefault(spot, []).append((placement, each))
        for block in self.nest.order:
            self.settle(plan, block, at)
        return plan

    def settle(self, plan: DescriptorPlan, block: Block, at: dict[Spot, list[tuple[Placement, Field | None]]]) -> None:
        """The settings within a block; a sum is worked out once in a stretch without loops and branches."""
        known: set[tuple[SSAValue, int]] = set()
        for op in block.ops:
            for spot, into in ((Spot(op), plan.before), (Spot(op, guarded=True), plan.entering)):
                for placement, each in at.get(spot, ()):
                    adds = each is not None and each.plus != 0 and (each.value, each.plus) not in known
                    if each is not None and adds:
                        known.add((each.value, each.plus))
                    into.setdefault(op, []).append(Setting(placement, each, adds))
            if op.regions:
                known.clear()

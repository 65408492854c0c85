"""The nest of blocks of a function: which block lies in which, where in it, and how often it runs."""

from __future__ import annotations

from collections.abc import Generator

from xdsl.dialects import scf
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, SSAValue

from compiler.scalars import trips_of

STEPS = 64
"""Runs of the generate loop that are assumed for one of the program."""
TRIPS = 2
"""Runs of a loop that ends who knows when; while one token is made, most have one or two."""


class Nest:
    """Blocks by how deep they lie. `order`: inner blocks before those around them."""

    def __init__(self, function: FuncOp):
        self.root = function.body.block
        self.position: dict[Operation, int] = {}
        self.frequency: dict[Block, float] = {self.root: 1 / STEPS}
        self.depth: dict[Block, int] = {self.root: 0}
        self.order: list[Block] = []
        self.enter(self.root)

    def enter(self, block: Block) -> None:
        for position, op in enumerate(block.ops):
            self.position[op] = position
            for region in op.regions:
                for inner in region.blocks:
                    self.frequency[inner] = self.frequency[block] * runs_of(op)
                    self.depth[inner] = self.depth[block] + 1
                    self.enter(inner)
        self.order.append(block)

    def out(self, op: Operation) -> Generator[tuple[Block, Operation]]:
        """The blocks around an op from the innermost one on, each with its op that holds the first."""
        block = op.parent_block()
        while block is not None and block in self.depth:
            yield block, op
            outer = block.parent_op()
            if outer is None:
                return
            op, block = outer, outer.parent_block()

    def holder(self, op: Operation, block: Block) -> Operation:
        """The op of `block` that is or holds `op`."""
        return next(current for around, current in self.out(op) if around is block)

    def home(self, value: SSAValue) -> Block:
        """The block where a value is defined."""
        owner = value.owner
        block = owner if isinstance(owner, Block) else owner.parent_block()
        return block if block is not None else self.root


def runs_of(op: Operation) -> float:
    """How often the blocks of an op run for each time it does."""
    if isinstance(op, scf.WhileOp):
        return STEPS
    if not isinstance(op, scf.ForOp):
        return 1
    trips = trips_of(op)
    return TRIPS if trips is None else trips

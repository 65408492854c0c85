"""The nest of blocks of a function: which block lies in which, where in it, and how often it runs."""

from __future__ import annotations

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
        self.paths: dict[Operation, list[tuple[Block, Operation]]] = {}
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

    def out(self, op: Operation, last: Block | None = None) -> list[tuple[Block, Operation]]:
        """The blocks around an op from the innermost one on, each with its op that holds the first; no further than `last`."""
        path = self.paths.get(op)
        if path is None:
            block, outer = op.parent_block(), op.parent_op()
            path = [(block, op)] if block is not None else []
            if block is not self.root and outer is not None:
                path += [*self.out(outer)]
            self.paths[op] = path
        if last is None:
            return path
        return path[: self.depth[path[0][0]] - self.depth[last] + 1]

    def holder(self, op: Operation, block: Block) -> Operation:
        """The op of `block` that is or holds `op`."""
        return self.out(op, block)[-1][1]

    def home(self, value: SSAValue) -> Block:
        """The block where a value is defined."""
        owner = value.owner
        return owner if isinstance(owner, Block) else self.home_of(owner)

    def home_of(self, op: Operation) -> Block:
        """The block of an op."""
        return op.parent_block() or self.root


def runs_of(op: Operation) -> float:
    """How often the blocks of an op run for each time it does."""
    if isinstance(op, scf.WhileOp):
        return STEPS
    if not isinstance(op, scf.ForOp):
        return 1
    trips = trips_of(op)
    return TRIPS if trips is None else trips

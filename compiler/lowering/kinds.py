"""Kinds of layers of a rolled stack: each has a body of its own."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from xdsl.dialects.builtin import IndexType, ModuleOp
from xdsl.ir import Block, SSAValue

from compiler.dialects import slm, tile
from compiler.lowering.values import Lowering
from compiler.walking import ops_of


def layers_of(op: slm.LayersOp, kind: int) -> tuple[int, ...]:
    """The layers of a kind."""
    return tuple(layer for layer, its_kind in enumerate(op.layer_kinds) if its_kind == kind)


def layer_bodies(module: ModuleOp) -> list[Block]:
    """Of all kinds of layers of all stacks."""
    return [region.block for op in ops_of(slm.LayersOp, module) for region in op.kinds]


@contextmanager
def in_layer(low: Lowering, layer: SSAValue | None, layers: tuple[int, ...]) -> Generator[None]:
    """What is placed meanwhile is of another layer, and of the layers of its kind."""
    outer = low.layer, low.layers
    low.layer, low.layers = layer, layers
    yield
    low.layer, low.layers = outer


def kind_chain(low: Lowering, op: slm.LayersOp, layer: SSAValue, body: Callable[[int], None]) -> None:
    """Runs the body of the layer's kind: a chain of comparisons; the last kind needs none."""
    b = low.builder
    if len(op.kinds) == 1:
        body(0)
        return
    what = {"group": op.group, "kinds": op.order}
    value = b.insert(tile.KindOp(operands=[layer], properties=what, result_types=[IndexType()])).results[0]

    def choose(kind: int) -> None:
        if kind == len(op.kinds) - 1:
            body(kind)
        else:
            b.when(b.compare("eq", value, kind), lambda: body(kind), lambda: choose(kind + 1))

    choose(0)

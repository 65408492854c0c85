"""split-layers: layers of one kind whose weights a mixed scheme gives different formats become kinds of their own.

    slm.layers "layers" [0, 0, 0] (%x) { .. }     ->     slm.layers "layers" [0, 1, 1] (%x) { .. } { .. }
Behind it all layers of a kind have the same formats, so the conversion may ask for those of any of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Region
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from compiler.conversion.matrix import matrix_of
from compiler.dialects import slm
from compiler.schemes import Matrix, Scheme, named_scheme


def forms_of(body: Block, scheme: Scheme, layer: int) -> tuple[Matrix, ...]:
    """The forms of a layer's products, in program order. Raises CompileError if experts differ."""
    return tuple(matrix_of(op, scheme, layer) for op in body.walk() if isinstance(op, slm.LinearOp))


def split(op: slm.LayersOp, scheme: Scheme) -> None:
    """Gives each kind a region for each of the sets of formats that its layers have."""
    found: dict[tuple[int, tuple[Matrix, ...]], int] = {}
    order: list[int] = []
    for layer, kind in enumerate(op.layer_kinds):
        key = (kind, forms_of(op.body(kind), scheme, layer))
        order.append(found.setdefault(key, len(found)))
    if len(found) == len(op.kinds):
        return
    kinds: list[Region] = [op.kinds[kind].clone() for kind, _ in found]
    new = slm.LayersOp(op.group.data, order, op.values, kinds)
    new.location = op.location
    Rewriter.replace_op(op, new)


@dataclass(frozen=True)
class SplitLayersPass(ModulePass):
    """See the module docstring. Options: scheme, a name of compiler.schemes; rules, of a mixed one."""

    name = "split-layers"
    scheme: str = "w8a8"
    rules: tuple[str, ...] = ()

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        scheme = named_scheme(self.scheme).with_rules(self.rules)
        if not scheme.rules:
            return
        for layers in [inner for inner in op.walk() if isinstance(inner, slm.LayersOp)]:
            split(layers, scheme)

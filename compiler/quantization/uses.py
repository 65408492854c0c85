"""Which operations use which weight: the rolled layers and mixtures of a module, unrolled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation

from compiler.conversion.routing import routers
from compiler.dialects import slm
from compiler.errors import CompileError
from compiler.formats import WeightFormat
from compiler.program import Program
from compiler.schemes import Scheme


@dataclass(frozen=True)
class Use:
    """One operation in one layer of its stack and one expert of its mixture, None outside of those."""

    op: Operation
    layer: int | None
    expert: int | None

    def is_matrix(self, name: str) -> bool:
        """Whether the weight of that name is the matrix of a linear here."""
        return isinstance(self.op, slm.LinearOp) and self.op.weight.at(self.layer, self.expert) == name


def weights_of(op: Operation) -> list[slm.WeightAttr]:
    """The weights that an operation reads."""
    return [value for value in op.properties.values() if isinstance(value, slm.WeightAttr)]


def uses_of(module: ModuleOp) -> dict[str, list[Use]]:
    """Weight name -> its uses, in the order in which the model comes to them."""
    uses: dict[str, list[Use]] = {}
    for function in module.ops:
        if not isinstance(function, FuncOp):
            continue
        for use in _uses_in(function.body.block, None, None):
            for weight in weights_of(use.op):
                uses.setdefault(weight.at(use.layer, use.expert), []).append(use)
    return uses


def _uses_in(block: Block, layer: int | None, expert: int | None) -> Iterator[Use]:
    for op in block.ops:
        if isinstance(op, slm.LayersOp):
            for index, kind in enumerate(op.layer_kinds):
                yield from _uses_in(op.body(kind), index, expert)
        elif isinstance(op, slm.MixtureOp):
            for index in range(op.count):
                yield from _uses_in(op.block, layer, index)
        else:
            yield Use(op, layer, expert)


def integer_formats(program: Program, scheme: Scheme, uses: dict[str, list[Use]]) -> dict[str, WeightFormat]:
    """Weight name -> its format in the scheme, of those in quantised formats. The matrices that decide a choice have none.

    Raises CompileError, naming the weight, if a format does not take its shape.
    """
    deciding = routers(program.module)
    formats: dict[str, WeightFormat] = {}
    for name, places in uses.items():
        if not all(use.is_matrix(name) and use.op not in deciding for use in places):
            continue
        form = scheme.matrix_of(name).weights
        if not form.is_quantized:
            continue
        shape = program.weights.shape(name)
        problem = form.problem(shape[1]) if len(shape) == 2 else f"{slm.Shape(shape)} is no matrix"
        if problem is not None:
            raise CompileError(f'weight "{name}": {problem}')
        formats[name] = form
    return formats


def columns_of(op: slm.LinearOp) -> int:
    """The numbers that a row of its input has."""
    return prod(slm.row_shape(op.x))

"""The residual of a model: the values that share one basis, and the weights that write to it and read from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Block, BlockArgument, Operation, SSAValue

from compiler.dialects import slm
from compiler.dialects.slm.norms import NormBase
from compiler.errors import CompileError
from compiler.interpreters.slm.run import forward_function
from compiler.locations import source_of
from compiler.quantization.structure import linear_readers

BINARY = (slm.AddOp, slm.SubOp, slm.MulOp, slm.DivOp)


@dataclass
class Residual:
    """size: of a row. tables: embeddings that write it; writers: linears; readers: linears that read it without a norm between;
    norms: rms norms of it, each with the linears that read its result."""

    size: int
    tables: list[slm.EmbeddingOp] = field(default_factory=list[slm.EmbeddingOp])
    writers: list[slm.LinearOp] = field(default_factory=list[slm.LinearOp])
    readers: list[slm.LinearOp] = field(default_factory=list[slm.LinearOp])
    norms: list[tuple[slm.RmsNormOp, tuple[slm.LinearOp, ...]]] = field(
        default_factory=list[tuple[slm.RmsNormOp, tuple[slm.LinearOp, ...]]]
    )


def find_residual(module: ModuleOp) -> Residual:
    """Follows the rows of the token embedding through the model. Raises CompileError, with the place, at an operation that
    would not give the same in another basis."""
    tables = [op for op in forward_function(module).ops if isinstance(op, slm.EmbeddingOp)]
    if not tables:
        raise CompileError("the model has no embedding whose rows could be rotated")
    found = Residual(slm.shape_of(tables[0].result)[-1])
    pending: list[SSAValue] = [tables[0].result]
    seen: set[SSAValue] = set()
    while pending:
        value = pending.pop()
        if value in seen:
            continue
        if tuple(slm.row_shape(value)) != (found.size,):
            raise CompileError(
                f"the residual has rows of {found.size} numbers and of {slm.row_shape(value)}, and cannot be rotated"
            )
        seen.add(value)
        pending += _origin(found, value)
        for use in value.uses:
            pending += _use(found, value, use.operation, use.index)
    return found


def _origin(found: Residual, value: SSAValue) -> list[SSAValue]:
    """Takes down what gives the value; the values that must have the basis too."""
    if isinstance(value, BlockArgument):
        return _outer(value)
    op = value.owner
    assert isinstance(op, Operation)
    match op:
        case slm.EmbeddingOp():
            found.tables.append(op)
            return []
        case slm.LinearOp():
            found.writers.append(op)
            return []
        case slm.LayersOp():
            index = op.outs.index(value)
            return [op.values[index], *(_yielded(op.body(kind))[index] for kind in range(len(op.kinds)))]
        case slm.MixtureOp():
            return [op.yielded]
        case _:
            return _sides(op)


def _use(found: Residual, value: SSAValue, op: Operation, index: int) -> list[SSAValue]:
    """Takes down what reads the value; the values that have the basis too."""
    match op:
        case slm.LinearOp():
            found.readers.append(op)
            return []
        case slm.RmsNormOp():
            found.norms.append((op, _norm_readers(found, op)))
            return []
        case slm.LayersOp():
            return [op.outs[index], *(op.body(kind).args[index] for kind in range(len(op.kinds)))]
        case slm.MixtureOp() if index < len(op.values):
            return [op.block.args[index]]
        case slm.YieldOp():
            outer = op.parent_op()
            return [outer.results[index]] if isinstance(outer, slm.LayersOp | slm.MixtureOp) else []
        case _ if isinstance(op, BINARY):
            sides = _sides(op)
            return [op.results[0], *sides]
        case _:
            raise _refused(op, value)


def _norm_readers(found: Residual, op: slm.RmsNormOp) -> tuple[slm.LinearOp, ...]:
    readers = linear_readers(op.result)
    if op.axes.value.data != 1 or op.owners or not readers or prod(op.weight.shape) != found.size:
        raise CompileError(
            "the weights of this norm of the residual do not go into matrices behind it, so the residual cannot be rotated",
            source_of(op.location),
        )
    return readers


def _sides(op: Operation) -> list[SSAValue]:
    """The operands of an elementwise operation that have the basis of its result."""
    if not isinstance(op, BINARY):
        raise _refused(op, op.results[0])
    scalar = [prod(slm.row_shape(side)) == 1 for side in op.operands]
    if isinstance(op, slm.AddOp | slm.SubOp) and not any(scalar):
        return list(op.operands)
    if isinstance(op, slm.MulOp) and any(scalar):
        return [op.operands[0 if scalar[1] else 1]]
    if isinstance(op, slm.DivOp) and scalar[1]:
        return [op.operands[0]]
    raise _refused(op, op.results[0])


def _outer(value: BlockArgument) -> list[SSAValue]:
    outer = value.block.parent_op()
    if isinstance(outer, slm.LayersOp):
        return [outer.values[value.index], outer.outs[value.index]]
    if isinstance(outer, slm.MixtureOp):
        return [outer.values[value.index]]
    return []


def _yielded(block: Block) -> tuple[SSAValue, ...]:
    last = block.last_op
    return () if last is None else tuple(last.operands)


def _refused(op: Operation, value: SSAValue) -> CompileError:
    if isinstance(op, slm.LayerNormOp):
        why = "a layer norm subtracts the mean of the residual"
    elif isinstance(op, NormBase):
        why = "a norm with weights lies between a matrix and the residual"
    elif isinstance(op, ReturnOp):
        why = "the model returns the residual"
    else:
        why = f"{op.name} works on the single numbers of the residual"
    place = source_of(op.location)
    return CompileError(f"{why}, so the residual cannot be rotated", place, "use a method without rotate")

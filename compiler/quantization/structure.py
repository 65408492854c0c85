"""Where factors can be moved between weights: found in the operations of @forward, whatever the model is called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue

from compiler.dialects import slm
from compiler.dialects.slm.norms import NormBase
from compiler.interpreters.slm.run import forward_function
from compiler.quantization.folding import scale_columns, scale_norm, scale_rows
from compiler.quantization.job import Job
from compiler.quantization.uses import columns_of

F32 = NDArray[np.float32]
Producer = NormBase | slm.LinearOp


@dataclass(frozen=True)
class Channels:
    """A value whose channels may be divided by factors, if the columns of all matrices that read it are multiplied.

    kind: `norm` (its weight takes the factors), `value` (rows of the value projection; a head of values is read by
    `shared` query heads), `product` (rows of one side of an elementwise product), `relu`. value: [.., K], what the
    consumers read, K = heads * shared * width; there are heads * width factors.
    """

    kind: str
    value: SSAValue
    producer: Producer
    consumers: tuple[slm.LinearOp, ...]
    heads: int = 1
    shared: int = 1

    @property
    def op(self) -> Operation:
        """The operation that gives the value."""
        owner = self.value.owner
        assert isinstance(owner, Operation)
        return owner

    def spread(self, factors: F32) -> F32:
        """A factor for each column of the consumers."""
        return np.repeat(factors.reshape(self.heads, 1, -1), self.shared, axis=1).ravel()

    def by_factor(self, columns: F32) -> F32:
        """A statistic of the columns, [K] -> [shared, factors]: each factor has `shared` columns."""
        return columns.reshape(self.heads, self.shared, -1).swapaxes(0, 1).reshape(self.shared, -1)

    def consumer_names(self, layer: int | None, expert: int | None) -> list[str]:
        """The weights of the consumers; those in a mixture behind the value are the weights of all its experts."""
        names: list[str] = []
        for op in self.consumers:
            mixture = mixture_around(op)
            inner = mixture is not None and mixture_around(self.op) is None
            experts = range(mixture.count) if mixture is not None and inner else (expert,)
            names += [op.weight.at(layer, each) for each in experts]
        return names

    def producer_names(self, layer: int | None, expert: int | None) -> tuple[str, str | None]:
        """Weight and bias."""
        bias = getattr(self.producer, "bias", None)
        return self.producer.weight.at(layer, expert), None if bias is None else bias.at(layer, expert)

    def foldable(self, job: Job, layer: int | None, expert: int | None) -> bool:
        """Whether no other operation uses a weight that would change."""
        weight, bias = self.producer_names(layer, expert)
        names = [weight, *([] if bias is None else [bias]), *self.consumer_names(layer, expert)]
        return all(job.used_once(name) for name in names)

    def fold(self, job: Job, factors: F32, layer: int | None, expert: int | None) -> None:
        """Divides the value's channels by the factors and multiplies the columns that read them."""
        weight, bias = self.producer_names(layer, expert)
        inverse = (1 / factors).astype(np.float32)
        if isinstance(self.producer, slm.LinearOp):
            job.weights.edit(weight, scale_rows(inverse))
        else:
            offset = self.producer.offset.value.data if isinstance(self.producer, slm.RmsNormOp) else 0.0
            job.weights.edit(weight, scale_norm(inverse, float(offset)))
        if bias is not None:
            job.weights.edit(bias, scale_rows(inverse))
        columns = self.spread(factors)
        for name in self.consumer_names(layer, expert):
            job.weights.edit(name, scale_columns(columns))


def mixture_around(op: Operation) -> slm.MixtureOp | None:
    current = op.parent_op()
    while current is not None and not isinstance(current, slm.MixtureOp):
        current = current.parent_op()
    return current


def linear_readers(value: SSAValue) -> tuple[slm.LinearOp, ...] | None:
    """The linears that read the value, also in mixtures it goes into; None if anything else reads it."""
    readers: list[slm.LinearOp] = []
    for use in value.uses:
        op = use.operation
        if isinstance(op, slm.LinearOp):
            readers.append(op)
        elif isinstance(op, slm.MixtureOp) and use.index < len(op.values):
            inner = linear_readers(op.block.args[use.index])
            if inner is None:
                return None
            readers += inner
        else:
            return None
    return tuple(readers)


def find_channels(module: ModuleOp) -> list[Channels]:
    """All places of @forward, in the order of its operations."""
    return list(_channels(forward_function(module).walk()))


def _channels(ops: Iterable[Operation]) -> Iterator[Channels]:
    for op in ops:
        match op:
            case NormBase():
                yield from _with_readers("norm", op.result, op)
            case slm.AttentionOp():
                yield from _of_attention(op)
            case slm.MulOp():
                yield from _of_product(op)
            case slm.ActivationOp() if op.kind.data == "relu":
                if isinstance(op.x.owner, slm.LinearOp) and _read_once(op.x):
                    yield from _with_readers("relu", op.result, op.x.owner)
            case _:
                pass


def _with_readers(
    kind: str, value: SSAValue, producer: Producer, heads: int = 1, shared: int = 1
) -> Iterator[Channels]:
    """Nothing unless linears alone read all elements of the value, and the producer has a weight for each factor."""
    readers = linear_readers(value)
    elements = prod(slm.row_shape(value))
    factors = prod(producer.weight.shape) if isinstance(producer, NormBase) else prod(slm.row_shape(producer.result))
    if readers and factors * shared == elements and all(columns_of(reader) == elements for reader in readers):
        yield Channels(kind, value, producer, readers, heads, shared)


def _of_attention(op: slm.AttentionOp) -> Iterator[Channels]:
    values = op.v.owner
    if isinstance(values, slm.LinearOp) and _read_once(op.v):
        heads, groups = slm.shape_of(op.q)[1], slm.shape_of(op.v)[1]
        yield from _with_readers("value", op.result, values, groups, heads // groups)


def _of_product(op: slm.MulOp) -> Iterator[Channels]:
    for side in (op.rhs, op.lhs):
        if isinstance(side.owner, slm.LinearOp) and side.type == op.result.type and _read_once(side):
            yield from _with_readers("product", op.result, side.owner)
            return


def _read_once(value: SSAValue) -> bool:
    return value.has_one_use()

"""Where the values of the slmq level live: row-major tensors in SRAM, and the state a lowering carries along."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from math import prod
from typing import TYPE_CHECKING, Protocol

from xdsl.dialects.builtin import DenseArrayBase, DictionaryAttr, IntegerAttr, i64
from xdsl.ir import Attribute, Block, Operation, SSAValue

from compiler.dialects import slm, slmq
from compiler.dialects.slm import EXPERT, LAYER, RotaryAttr, WeightAttr, has_tokens, row_shape
from compiler.emit.recipes import Recipe
from compiler.lowering.builder import Index, Place, TileBuilder, element_bytes
from compiler.lowering.plan import TilePlan

if TYPE_CHECKING:
    from compiler.lowering.ahead import Ahead
    from compiler.lowering.early_strips import EarlyStrips
    from compiler.lowering.late_rows import LateRows
    from compiler.lowering.next_rows import NextRows
    from compiler.lowering.row_strips import RowStreams
    from compiler.lowering.rows_beside import RowsBeside
    from compiler.lowering.strip_streams import StripStreams
    from compiler.lowering.wide_streams import WideStreams

VectorKey = tuple[WeightAttr, float]
"""A weight, and the constant that is added to it."""


class Upcoming(Protocol):
    """Loads of what comes behind an op, which can be issued before that op is done."""

    @property
    def waits(self) -> bool:
        """Whether it works with buffers of the last strips but one."""
        ...

    def load(self) -> None: ...


@dataclass(frozen=True)
class Tensor:
    """Rows of `shape` elements at `place`, `row_bytes` apart; `rows` of them are valid.

    `shared`: there is one row, and every token reads it. `block`: a tensor in SCRATCH lies in blocks of so many columns, with room for
    `most` rows, see compiler/lowering/spilling.py.
    """

    place: Place
    dtype: str
    shape: tuple[int, ...]
    rows: Index
    shared: bool = False
    block: int = 0
    most: int = 0

    @property
    def columns(self) -> int:
        return prod(self.shape)

    @property
    def row_bytes(self) -> int:
        return self.columns * element_bytes(self.dtype)

    @property
    def row_stride(self) -> int:
        """Bytes from the row of a token to that of the next one."""
        return 0 if self.shared else self.row_bytes


@dataclass(frozen=True)
class Sampler:
    """The candidate list in SMEM, and the mailbox words the sampler needs, read once per chunk."""

    candidates: SSAValue
    mode: SSAValue
    top_k: SSAValue
    flags: SSAValue


@dataclass
class Lowering:
    """What is known while the ops of a function are lowered one after the other.

    rows: how many tokens are worked on, the first of them at `position`, `first_row` rows into the chunk, which begins `skipped` tokens
    into the step. most_rows: what buffers have room for. spilled: the values that lie in DRAM, and the columns of their blocks.
    targets: where results are wanted.
    appended: keys and values that are in the cache already.
    vectors: weights of norms that are in SRAM already. names: numbers that make names of places differ.
    upcoming: what can be loaded before the op that is lowered is done. vectors_ahead: of the norm that needs them first, and streams:
    groups whose first weights are on their way already. begun: loads of which the first ones have been issued, the others come while the
    next attention ends. early: groups whose first strips are multiplied already. copies: of rows in DRAM, which a
    region has for itself. late: rows that are quantised beside the product that reads them. beside: what a group of products works on
    beside them. next_rows: what the last region of a layer does for the next one. squares: of the centred rows of a norm, whose sums are
    there. means: of rows that a norm reads first.
    between: loads that an attention issues between its first groups of heads.
    """

    builder: TileBuilder
    plan: TilePlan
    position: Index
    rows: Index
    chunk_rows: Index
    available: SSAValue
    token_ids: SSAValue
    sampler: Sampler
    layer: SSAValue | None = None
    layers: tuple[int, ...] = ()
    expert: Index = 0
    experts: int = 0
    values: dict[SSAValue, Tensor] = field(default_factory=dict[SSAValue, Tensor])
    rotary_tables: dict[RotaryAttr, SSAValue] = field(default_factory=dict[RotaryAttr, SSAValue])
    first_row: Index = 0
    skipped: Index = 0
    most_rows: int = 0
    spilled: Mapping[SSAValue, int] = field(default_factory=dict[SSAValue, int])
    appended: set[SSAValue] = field(default_factory=set[SSAValue])
    targets: Mapping[SSAValue, Tensor] = field(default_factory=dict[SSAValue, Tensor])
    vectors: Mapping[VectorKey, Place] = field(default_factory=dict[VectorKey, Place])
    names: Iterator[int] = field(default_factory=count)
    upcoming: Upcoming | None = None
    vectors_ahead: dict[VectorKey, Place] = field(default_factory=dict[VectorKey, Place])
    begun: Ahead | None = None
    streams: dict[slmq.StripsOp, RowStreams | StripStreams | WideStreams] = field(
        default_factory=dict[slmq.StripsOp, "RowStreams | StripStreams | WideStreams"]
    )
    early: dict[slmq.StripsOp, EarlyStrips] = field(default_factory=dict[slmq.StripsOp, "EarlyStrips"])
    copies: set[SSAValue] = field(default_factory=set[SSAValue])
    beside: dict[slmq.StripsOp, RowsBeside] = field(default_factory=dict[slmq.StripsOp, "RowsBeside"])
    next_rows: NextRows | None = None
    late: dict[SSAValue, LateRows] = field(default_factory=dict[SSAValue, "LateRows"])
    squares: dict[Operation, Tensor] = field(default_factory=dict[Operation, Tensor])
    means: dict[SSAValue, Tensor] = field(default_factory=dict[SSAValue, Tensor])
    between: Ahead | None = None

    def __post_init__(self) -> None:
        self.most_rows = self.most_rows or self.plan.most_tokens

    def look_ahead(self) -> None:
        """Issues the loads of what comes next, where the engines have been given what they need for long enough."""
        upcoming, self.upcoming = self.upcoming, None
        if upcoming is not None:
            upcoming.load()

    def some_rows(self, first: Index, count: Index, most: int) -> Lowering:
        """For some of these rows, at most `most`; it knows the same values."""
        position, first_row = self.builder.add(self.position, first), self.builder.add(self.first_row, first)
        return replace(
            self,
            rows=count,
            position=position,
            first_row=first_row,
            most_rows=most,
            targets={},
            vectors={},
            copies=set(),
        )

    @staticmethod
    def without_tokens(builder: TileBuilder, plan: TilePlan) -> Lowering:
        """For a function that works on no tokens: it has no position and no sampler, and no op of it asks for them."""
        none = builder.value(0)
        most = plan.image_chunk or plan.chunk
        return Lowering(builder, plan, 0, 0, 0, none, none, Sampler(none, none, none, none), most_rows=most)

    def place(self, kind: type[Operation], what: Mapping[str, Attribute], name: str) -> SSAValue:
        """The DRAM offset of a weight, state or table; where its name has their indices in it, of the current layer and expert."""
        if EXPERT in name:
            return self.of_expert(kind, {**what, "experts": IntegerAttr(self.experts, i64)}, name)
        if LAYER not in name:
            return self.builder.place(kind, what, None)
        layers = DenseArrayBase.from_list(i64, self.layers)
        return self.builder.place(kind, {**what, "layers": layers}, self.layer)

    def of_expert(self, kind: type[Operation], what: Mapping[str, Attribute], name: str) -> SSAValue:
        """The experts of a layer lie at equal distances."""
        b, first = self.builder, self.place(kind, what, name.replace(EXPERT, ""))
        stride_bytes = Recipe.of(DictionaryAttr(dict(what))).stride_bytes
        return b.value(b.add(first, b.mul(self.expert, stride_bytes)))

    def new(self, label: str, dtype: str, shape: tuple[int, ...], rows: Index) -> Tensor:
        """A fresh buffer for at most most_rows rows."""
        size = self.most_rows * prod(shape) * element_bytes(dtype)
        return Tensor(Place("sram", self.builder.alloc(label, size)), dtype, shape, rows)

    def result(self, value: SSAValue, label: str) -> Tensor:
        """A buffer of a value's shape and element type: where it is wanted, or a fresh one."""
        return self.targets[value] if value in self.targets else self.fresh(value, label)

    def fresh(self, value: SSAValue, label: str) -> Tensor:
        """A buffer of a value's shape and element type of its own."""
        dtype, shape = slmq.element_of(value.type), row_shape(value)
        if has_tokens(value):
            return self.new(label, dtype, shape, self.rows)
        buffer = self.builder.alloc(label, prod(shape) * element_bytes(dtype))
        return Tensor(Place("sram", buffer), dtype, shape, 1, shared=True)

    def filled(self, like: Tensor, number: float, label: str = "inverse") -> Tensor:
        """A buffer of the shape of another one, with the same f32 number everywhere."""
        result = replace(self.new(label, "f32", like.shape, like.rows), shared=like.shared)
        self.builder.vun("mov", self.view(result), number)
        return result

    def divide(self, numerators: Tensor, divisors: Tensor) -> Tensor:
        """In place, one for each row: rows are multiplied by it, which takes a quarter of the time of dividing them.

        Fill the numerators ahead of what the divisors need: a load that follows waits for all but the last four vector instructions.
        """
        n = self.view(numerators)
        self.builder.vbin("div", n, n, self.view(divisors))
        return numerators

    def view(self, tensor: Tensor, shape: tuple[int, ...] | None = None, dtype: str | None = None) -> SSAValue:
        """All valid rows, as [inner.., rows]; `shape` regroups a row, `dtype` reinterprets elements of the same size."""
        dims = tensor.shape if shape is None else shape
        size = element_bytes(tensor.dtype)
        strides = [size]
        for dim in reversed(dims[1:]):
            strides.append(strides[-1] * dim)
        extents: list[Index] = [*reversed(dims), tensor.rows]
        return self.builder.view(tensor.place, dtype or tensor.dtype, extents, [*strides, tensor.row_stride])

    def stretched(self, tensor: Tensor, shape: tuple[int, ...], rows: Index | None = None) -> SSAValue:
        """The rows broadcast to `shape`: dimensions of size 1 get stride 0. `rows`: for how many tokens a shared row is read."""
        own = ((1,) * len(shape) + tensor.shape)[len(tensor.shape) :]
        stride = element_bytes(tensor.dtype)
        strides: list[int] = []
        for size, wanted in zip(reversed(own), reversed(shape), strict=True):
            strides.append(stride if size == wanted else 0)
            stride *= size
        extents: list[Index] = [*reversed(shape), tensor.rows if rows is None else rows]
        return self.builder.view(tensor.place, tensor.dtype, extents, [*strides, tensor.row_stride])


def ancestor_in(block: Block, op: Operation) -> Operation | None:
    """The op of `block` that holds `op`, or `op` itself."""
    current: Operation | None = op
    while current is not None and current.parent is not block:
        current = current.parent_op()
    return current


def is_shared(value: SSAValue) -> bool:
    """Whether all experts of a mixture read the same rows: those of a mixture without choices, and what has no tokens."""
    mixture = value.owner.parent_op() if isinstance(value.owner, Block) else None
    return isinstance(mixture, slm.MixtureOp) and (mixture.chosen is None or not has_tokens(value))


def has_row_operands(region: slmq.RowsOp) -> bool:
    """Whether the arguments of a region are rows of the operands themselves; an encoder's are copies."""
    return has_tokens(region.operands_read[0]) if region.operands_read else True


def dies_at(value: SSAValue, op: Operation) -> bool:
    """Whether nothing reads the value after `op`, which reads it once. Values from outside a loop never die in it."""
    block = value.owner if isinstance(value.owner, Block) else value.owner.parent
    if is_shared(value):
        return False
    region = value.owner.parent_op() if isinstance(value.owner, Block) else None
    if isinstance(region, slmq.RowsOp) and has_row_operands(region):
        outer = region.operands_read[region.body.block.args.index(value)]
        if not dies_at(outer, region):
            return False
    home = op.parent_op() if isinstance(op.parent_op(), slmq.StripsOp) else op
    if block is None or home is None or (home.parent is not block and op.parent is not block):
        return False
    here = ancestor_in(block, op)
    if here is None or sum(use.operation is op for use in value.uses) != 1:
        return False
    for use in value.uses:
        if use.operation is op:
            continue
        other = ancestor_in(block, use.operation)
        if other is None or other is here or not other.is_before_in_block(here):
            return False
    return True


def rows_of(low: Lowering, tensor: Tensor, first: Index, count: Index) -> Tensor:
    """Some rows of a tensor in SRAM."""
    b = low.builder
    offset = b.add(tensor.place.offset, b.mul(first, tensor.row_bytes))
    return replace(tensor, place=replace(tensor.place, offset=offset), rows=count)

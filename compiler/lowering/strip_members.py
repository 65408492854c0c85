"""The ops of a fusion group on one strip of columns, and where its results go: SRAM, SCRATCH, or the cache of attention."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from xdsl.ir import Operation, SSAValue

from compiler.dialects import slm, slmq
from compiler.lowering.attention_blocks import CacheRows
from compiler.lowering.builder import Index, Place, element_bytes, place_of
from compiler.lowering.elementwise import apply
from compiler.lowering.norms import Vectors, lower_head_norm
from compiler.lowering.rows import rotate
from compiler.lowering.sampling import sample_strip
from compiler.lowering.spilling import blocks_view, staged_view
from compiler.lowering.strip_buffers import Strip
from compiler.lowering.tensors import columns_on_chip
from compiler.lowering.values import Lowering, Tensor, VectorKey, dies_at

if TYPE_CHECKING:
    from compiler.lowering.late_rows import LateRows
    from compiler.lowering.strip_means import StripMeans


@dataclass(frozen=True)
class Results:
    """Where the values that leave a group go."""

    low: Lowering
    places: dict[SSAValue, Tensor | CacheRows]
    late: dict[SSAValue, LateRows] = field(default_factory=dict[SSAValue, "LateRows"])
    """Values that are quantised late."""
    vectors: Vectors = field(default_factory=dict[VectorKey, Place])
    """Weights of norms of heads, in SRAM."""
    means: dict[SSAValue, StripMeans] = field(default_factory=dict[SSAValue, "StripMeans"])
    """Values whose rows are summed up."""

    def view(self, value: SSAValue, strip: Strip) -> SSAValue | None:
        """The strip's columns of a result that is in SRAM whole."""
        place = self.places.get(value)
        return column_view(self.low, place, strip) if isinstance(place, Tensor) and not place.block else None

    def store(self, value: SSAValue, columns: SSAValue, strip: Strip) -> None:
        """Columns in a buffer of the strip to their place in DRAM, if the value goes there."""
        place = self.places.get(value)
        if value in self.late:
            self.late[value].store(columns, strip)
        elif isinstance(place, CacheRows):
            store_heads(self.low, place, columns, strip)
        elif place is not None and place.block and place.place.space == "scratch":
            outside, inside = blocks_of(self.low, place, strip)
            self.low.builder.store(outside, inside(place_of(self.low.builder, columns)))
        if value in self.means:
            self.means[value].add(columns, strip)


class StripMembers:
    """One turn of a loop over strips, behind the products. `loaded`: the strip's columns of values in DRAM that are there already."""

    def __init__(
        self,
        low: Lowering,
        results: Results,
        strip: Strip,
        finished: Callable[[slmq.MatmulOp, Strip], SSAValue],
        loaded: Mapping[SSAValue, Place] | None = None,
    ):
        self.low, self.b, self.results, self.strip, self.finished = low, low.builder, results, strip, finished
        self.local: dict[SSAValue, SSAValue] = {}
        self.loaded: Mapping[SSAValue, Place] = loaded or {}

    def run(self, members: list[Operation]) -> None:
        for member in members:
            if isinstance(member, slmq.SampleOp):
                strip, logits = self.strip, self.local[member.logits]
                sample_strip(self.low, logits, strip.rows, strip.first, strip.count, slm.shape_of(member.logits)[1])
                continue
            self.local[member.results[0]] = self.lower(member)
            for result in member.results:
                self.results.store(result, self.local[result], self.strip)

    def lower(self, member: Operation) -> SSAValue:
        """The view of the strip's columns of the result."""
        if isinstance(member, slmq.MatmulOp):
            return self.finished(member, self.strip)
        result = member.results[0]
        whole = self.results.view(result, self.strip)
        if isinstance(member, slmq.RmsNormOp):
            return self.normed(member, whole)
        if isinstance(member, slmq.RopeOp):
            return self.rotated(member, whole)
        if isinstance(member, slmq.RoundOp):
            target = whole if whole is not None else self.scratch(slmq.element_of(result.type))
            self.b.vun("mov", target, self.source(member.x))
            return target
        reused = [value for value in member.operands if self.is_free(value, member)]
        target = whole or (self.local[reused[0]] if reused else self.scratch())
        apply(self.low, member, target, [self.source(v) for v in member.operands], self.scratch)
        return target

    def is_free(self, value: SSAValue, reader: Operation) -> bool:
        """Whether the buffer of a value is free behind `reader`."""
        return value in self.local and dies_at(value, reader) and value not in self.results.places

    def scratch(self, dtype: str = "f32") -> SSAValue:
        low, strip, size = self.low, self.strip, element_bytes(dtype)
        place = Place("sram", self.b.alloc("strip", low.most_rows * strip.rows * size))
        return self.b.view(place, dtype, [strip.count, low.rows], [size, strip.rows * size])

    def source(self, value: SSAValue) -> SSAValue:
        if value in self.loaded:
            return loaded_view(self.low, self.loaded[value], self.strip)
        return self.local[value] if value in self.local else column_view(self.low, self.low.values[value], self.strip)

    def own(self, value: SSAValue, reader: Operation) -> SSAValue:
        """A buffer of the strip with a value, which may be written over."""
        x = self.local[value]
        if self.is_free(value, reader):
            return x
        copy = self.scratch()
        self.b.vun("mov", copy, x)
        return copy

    def normed(self, op: slmq.RmsNormOp, whole: SSAValue | None) -> SSAValue:
        """A norm of each of the strip's heads, in the buffer of the strip."""
        strip, head_dim = self.strip, slm.shape_of(op.x)[-1]
        x, squares = self.own(op.x, op), self.scratch()
        target = x if whole is None else whole
        heads, weight = self.b.div(strip.count, head_dim), self.results.vectors[op.weight, op.offset.value.data]
        lower_head_norm(self.low, op, weight, heads, (x, squares, target), strip.rows // head_dim)
        return target

    def rotated(self, op: slmq.RopeOp, whole: SSAValue | None) -> SSAValue:
        """Rotary embedding of the strip's heads, in the buffer of the strip."""
        b, low, strip = self.b, self.low, self.strip
        x = self.own(op.x, op)
        head_dim = slm.shape_of(op.x)[-1]
        heads = b.div(strip.count, head_dim)
        temps = [self.scratch_heads(strip.rows // head_dim, heads, op.rotary.dim.data // 2) for _ in range(2)]
        rotate(low, op.rotary, place_of(b, x), heads, (head_dim * 4, strip.rows * 4), temps)
        if whole is None:
            return x
        b.vun("mov", whole, x)
        return whole

    def scratch_heads(self, most: int, heads: Index, columns: int) -> SSAValue:
        place = Place("sram", self.b.alloc("rotary_temp", self.low.most_rows * most * columns * 4))
        return self.b.view(place, "f32", [columns, heads, self.low.rows], [4, columns * 4, most * columns * 4])


def blocks_of(low: Lowering, tensor: Tensor, strip: Strip) -> tuple[SSAValue, Callable[[Place], SSAValue]]:
    """The strip's columns of a tensor in SCRATCH, and the view of the same elements in a buffer of the strip."""
    b, block, row_bytes = low.builder, tensor.block, strip.rows * element_bytes(tensor.dtype)
    first, count = b.div(strip.first, block), b.div(strip.count, block)
    outside = blocks_view(low, tensor, (0, low.rows), first, count)
    return outside, lambda place: staged_view(low, place, tensor, row_bytes, low.rows, count)


def place_for_columns(low: Lowering, strip_rows: int) -> Place:
    """A buffer for a strip's columns of a tensor in SCRATCH."""
    return Place("sram", low.builder.alloc("loaded_columns", low.most_rows * strip_rows * 4))


def load_columns(low: Lowering, tensor: Tensor, strip: Strip, place: Place) -> None:
    """The strip's columns of a tensor in SCRATCH."""
    outside, inside = blocks_of(low, tensor, strip)
    low.builder.load(inside(place), outside)


def loaded_view(low: Lowering, place: Place, strip: Strip) -> SSAValue:
    """Columns that have been loaded."""
    return low.builder.view(place, "f32", [strip.count, low.rows], [4, strip.rows * 4])


def columns_in_dram(low: Lowering, members: Sequence[Operation]) -> list[SSAValue]:
    """What comes into the columns of a group from DRAM."""
    values = [value for op in members if not isinstance(op, slmq.MatmulOp) for value in op.operands]
    return [value for value in dict.fromkeys(values) if value in low.values and low.values[value].block]


def store_heads(low: Lowering, cache: CacheRows, columns: SSAValue, strip: Strip) -> None:
    """The strip's heads to the cache of attention: the rows of a head follow each other there."""
    b, s, size = low.builder, cache.shape, element_bytes(cache.shape.cache_dtype)
    first, heads = b.div(strip.first, s.head_dim), b.div(strip.count, s.head_dim)
    head_bytes = s.capacity * s.entry_bytes
    extents: list[Index] = [s.head_dim, low.rows, heads]
    place = Place("kv", offset=b.add(cache.offset, b.mul(first, head_bytes)))
    target = b.view(place, s.cache_dtype, extents, [size, s.entry_bytes, head_bytes])
    source = b.view(place_of(b, columns), s.cache_dtype, extents, [size, strip.rows * size, s.head_dim * size])
    b.store(target, source)


def column_view(low: Lowering, tensor: Tensor, strip: Strip) -> SSAValue:
    """The strip's columns of a whole tensor; one in SCRATCH is loaded."""
    if tensor.block:
        place = place_for_columns(low, strip.rows)
        load_columns(low, tensor, strip, place)
        return loaded_view(low, place, strip)
    place, offset = columns_on_chip(low, tensor, strip.first, strip.count, strip.rows)
    size = element_bytes(tensor.dtype)
    return low.builder.view(place, tensor.dtype, [strip.count, low.rows], [size, tensor.row_stride], offset)

"""Work by tiles of channels: what one iteration of the loop holds in SRAM, and the views of it.

Channels are innermost everywhere, so that the vector unit and the transfers see long runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from xdsl.dialects.builtin import IntegerAttr, StringAttr, i64
from xdsl.ir import SSAValue

from compiler.dialects import tile
from compiler.dialects.slm import WeightAttr
from compiler.lowering.builder import Index, Place, TileBuilder
from compiler.lowering.plan import TilePlan
from compiler.lowering.values import Lowering, Tensor
from compiler.sizes import padded

CHANNEL_UNIT = 16  # f32 channels of a DRAM granule
F32_BYTES = 4


@dataclass(frozen=True)
class Channels:
    """The channels [first, first + count) of `total`, at most `most`. Its buffers have rows of `most` f32 channels."""

    builder: TileBuilder
    total: int
    most: int
    first: SSAValue
    count: Index

    def alloc(self, label: str, rows: int) -> Place:
        """A buffer that is filled anew for each tile."""
        return Place("sram", self.builder.alloc(label, rows * self.most * F32_BYTES, stream=True))

    def rows(self, buffer: Place, rows: Index, first_row: Index = 0) -> SSAValue:
        """Rows of a buffer."""
        row_bytes = self.most * F32_BYTES
        offset = self.builder.mul(first_row, row_bytes)
        return self.builder.view(buffer, "f32", [self.count, rows], [F32_BYTES, row_bytes], offset)

    def repeated(self, buffer: Place, rows: Index, row: Index = 0) -> SSAValue:
        """One row of a buffer, read for each of `rows` rows."""
        offset = self.builder.mul(row, self.most * F32_BYTES)
        return self.builder.view(buffer, "f32", [self.count, rows], [F32_BYTES, 0], offset)

    def in_dram(self, place: Place, rows: Index) -> SSAValue:
        """The tile's part of something [rows, total] in DRAM."""
        strides: list[Index] = [F32_BYTES, self.total * F32_BYTES]
        return self.builder.view(place, "f32", [self.count, rows], strides, self.offset)

    def of_tokens(self, tensor: Tensor) -> SSAValue:
        """The tile's part of a value, for all tokens."""
        strides: list[Index] = [F32_BYTES, tensor.row_bytes]
        return self.builder.view(tensor.place, "f32", [self.count, tensor.rows], strides, self.offset)

    def of_token(self, tensor: Tensor, token: Index, repeats: int = 1) -> SSAValue:
        """The tile's part of a value for one token, read for each of `repeats` rows."""
        offset = self.builder.add(self.builder.mul(token, tensor.row_bytes), self.offset)
        return self.builder.view(tensor.place, "f32", [self.count, repeats], [F32_BYTES, 0], offset)

    @property
    def offset(self) -> Index:
        """Bytes in front of the first channel."""
        return self.builder.mul(self.first, F32_BYTES)


def channels_at_once(plan: TilePlan, channels: int, bytes_per_channel: int) -> int:
    """The size of tiles of equal size whose buffers, each taken once, stay within the plan's strip_bytes."""
    fitting = max(plan.strip_bytes // bytes_per_channel // CHANNEL_UNIT, 1) * CHANNEL_UNIT
    tiles = -(-channels // fitting)
    return min(padded(-(-channels // tiles), CHANNEL_UNIT), channels)


def by_channels(low: Lowering, channels: int, most: int, body: Callable[[Channels], None]) -> None:
    """Runs the body for each tile."""
    b = low.builder

    def step(first: SSAValue, _: list[SSAValue]) -> list[Index]:
        count = most if channels % most == 0 else b.least(b.sub(channels, first), most)
        body(Channels(b, channels, most, first, count))
        return []

    b.loop(0, channels, most, step)


def transposed_place(low: Lowering, weight: WeightAttr) -> Place:
    """Where a matrix [channels, n] lies in DRAM as f32 [n, channels]."""
    rows, columns = weight.shape
    what = {
        "kind": StringAttr("transposed"),
        "key": weight.key,
        "rows": IntegerAttr(rows, i64),
        "columns": IntegerAttr(columns, i64),
    }
    return Place("weight", offset=low.place(tile.WeightOp, what, weight.key.data))


def state_place(low: Lowering, state: StringAttr, part: str, rows: int, channels: int) -> Place:
    """Where an op keeps f32 [rows, channels] between chunks."""
    size = IntegerAttr(rows * channels * F32_BYTES, i64)
    what = {"name": state, "part": StringAttr(part), "size_bytes": size}
    return Place("kv", offset=low.place(tile.StateOp, what, state.data))


def load_state(low: Lowering, part: Channels, buffer: Place, state: Place, rows: int) -> None:
    """The first rows of a buffer = the state before the chunk. At position 0 that is zeros, whatever is stored."""
    b, target = low.builder, part.rows(buffer, rows)
    starts = b.compare("eq", low.position, 0)
    b.when(starts, lambda: b.vun("mov", target, 0.0), lambda: b.load(target, part.in_dram(state, rows)))

"""Tensors in SCRATCH: rows of a chunk that are too large for SRAM, as [columns / block][row][columns of a block].

A strip of columns of all rows is then a few long runs, and so are all columns of a few rows. Blocks are a channel's interleave
further apart than they are long: else all runs of a row would lie in one channel.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

from xdsl.dialects.builtin import IntegerAttr, StringAttr, i64
from xdsl.ir import Operation, SSAValue

from compiler.dialects import slmq, tile
from compiler.dialects.slm import row_shape
from compiler.lowering.builder import Index, Place, element_bytes
from compiler.lowering.values import Lowering, Tensor

PAD_BYTES = 256


def block_stride(tensor: Tensor) -> int:
    """Bytes from one block of columns to the next."""
    pad_bytes = PAD_BYTES if tensor.place.space == "scratch" else 0
    return tensor.most * tensor.block * element_bytes(tensor.dtype) + pad_bytes


def new_spilled(low: Lowering, value: SSAValue) -> Tensor:
    """A tensor in SCRATCH for a value that lies there: where it is wanted, or a new one."""
    if value in low.targets:
        return low.targets[value]
    dtype, block = slmq.element_of(value.type), low.spilled[value]
    tensor = Tensor(Place("scratch"), dtype, row_shape(value), low.rows, block=block, most=low.plan.most_tokens)
    size_bytes = prod(tensor.shape) // tensor.block * block_stride(tensor)
    name = StringAttr(f"{value_name(value, 'rows', 'carried')}.{next(low.names)}")
    what = {"name": name, "size_bytes": IntegerAttr(size_bytes, i64)}
    return replace(tensor, place=Place("scratch", offset=low.builder.place(tile.ScratchOp, what, None)))


def value_name(value: SSAValue, of: str, otherwise: str) -> str:
    """A name for people: what the value is a part of, and the operation it comes from, `otherwise` if there is none."""
    return f"{of}.{value.owner.name.split('.')[-1] if isinstance(value.owner, Operation) else otherwise}"


def blocks_view(
    low: Lowering, tensor: Tensor, rows: tuple[Index, Index], first_block: Index, blocks: Index
) -> SSAValue:
    """[columns of a block, rows, blocks] of a tensor in blocks; `rows`: the first of them and how many."""
    size = element_bytes(tensor.dtype)
    b, row_bytes, stride = low.builder, tensor.block * size, block_stride(tensor)
    offset = b.add(b.mul(rows[0], row_bytes), b.mul(first_block, stride))
    return b.view(tensor.place, tensor.dtype, [tensor.block, rows[1], blocks], [size, row_bytes, stride], offset)


def staged_view(low: Lowering, place: Place, of: Tensor, row_bytes: int, rows: Index, blocks: Index) -> SSAValue:
    """The same elements in SRAM, where a row is contiguous."""
    size = element_bytes(of.dtype)
    return low.builder.view(place, of.dtype, [of.block, rows, blocks], [size, row_bytes, of.block * size])


def rows_in_blocks(low: Lowering, tensor: Tensor, first: Index, count: Index) -> Tensor:
    """Some rows where they are."""
    b, row_bytes = low.builder, tensor.block * element_bytes(tensor.dtype)
    place = replace(tensor.place, offset=b.add(tensor.place.offset, b.mul(first, row_bytes)))
    return replace(tensor, place=place, rows=count)


def staging(low: Lowering, tensor: Tensor, rows: Index, most: int, label: str) -> Tensor:
    """A buffer for at most `most` rows of a tensor in SCRATCH, filled anew in each turn of a loop."""
    place = Place("sram", low.builder.alloc(label, most * tensor.row_bytes, stream=True))
    return replace(tensor, place=place, rows=rows, block=0)


def load_rows(low: Lowering, tensor: Tensor, first: Index, count: Index, most: int) -> Tensor:
    """Some rows brought to SRAM."""
    staged = staging(low, tensor, count, most, "loaded_rows")
    fill_rows(low, tensor, first, staged)
    return staged


def fill_rows(low: Lowering, tensor: Tensor, first: Index, staged: Tensor) -> None:
    """Rows from their places to SRAM, or there from sums in blocks to a place where rows are contiguous."""
    blocks = tensor.columns // tensor.block
    target = staged_view(low, staged.place, tensor, tensor.row_bytes, staged.rows, blocks)
    source = blocks_view(low, tensor, (first, staged.rows), 0, blocks)
    if tensor.place.space == "sram":
        low.builder.vun("mov", target, source)
    else:
        low.builder.load(target, source)


def store_rows(low: Lowering, tensor: Tensor, first: Index, staged: Tensor) -> None:
    """Rows in SRAM to their places."""
    blocks = tensor.columns // tensor.block
    source = staged_view(low, staged.place, tensor, tensor.row_bytes, staged.rows, blocks)
    low.builder.store(blocks_view(low, tensor, (first, staged.rows), 0, blocks), source)


def copy_spilled(low: Lowering, source: Tensor, target: Tensor) -> None:
    """All rows from one place in SCRATCH to another."""
    if source.place == target.place:
        return
    b, most = low.builder, low.plan.row_tile(source.row_bytes)

    def some(first: SSAValue, _: list[SSAValue]) -> list[Index]:
        staged = load_rows(low, source, first, b.least(b.sub(low.rows, first), most), most)
        store_rows(low, target, first, staged)
        return []

    b.loop(0, low.rows, most, some)

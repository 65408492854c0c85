"""How the products of a group are cut under a plan: strips of columns, k-tiles, tiles of an input that is quantised beside its product."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd, lcm, prod

from xdsl.ir import SSAValue

from compiler.dialects import slm
from compiler.dialects.slm import row_shape
from compiler.dialects.slmq import MatmulOp, QuantizeOp, RowsOp, StripsOp, element_of
from compiler.lowering.builder import element_bytes
from compiler.lowering.plan import (
    INPUT_TILE_SHARE,
    K_TILE_UNIT,
    STRIP_ROWS_UNIT,
    WORD_BYTES,
    StripShape,
    TilePlan,
    heads_of,
    k_tile_of,
    streamed_bytes,
    strip_shape,
)
from compiler.sizes import ceil_div, padded

MOST_OF_A_STRIP = 1.5
"""By how much a strip of a token may be larger than the plan's if it has as few rows as possible."""
LATE_BLOCK = 32
"""Columns of a block in DRAM of rows that are quantised late, at most: parts of a tile are some of them."""


@dataclass(frozen=True)
class WideShape:
    """Of a product whose input is quantised late. `strip`: columns of the result that are multiplied at once. Of the `columns` of the input
    the last ones, `tail` of them, are in SRAM; those before come as `tiles` tiles of `tile` columns, of which `part` are made beside one
    strip. In DRAM they lie in blocks of `block` columns."""

    strip: int
    columns: int
    tile: int
    part: int
    block: int

    @property
    def tiles(self) -> int:
        return (self.columns - 1) // self.tile

    @property
    def tail(self) -> int:
        return self.columns - self.tail_start

    @property
    def tail_start(self) -> int:
        return self.tiles * self.tile


def late_input(product: MatmulOp) -> SSAValue | None:
    """The rows that are quantised for a product and nothing else: to int8 with one scale per row, whose sums are exact in any order.
    A group of products of a layer makes them. None if the product reads something else."""
    region, group, form = product.x.owner, product.parent_op(), product.weight_format
    if not form.per_row or form.element != "i8" or form.sparse:
        return None
    if not isinstance(region, RowsOp) or not isinstance(group, StripsOp) or region.parent is not group.parent:
        return None
    if not isinstance(region.parent_op(), slm.LayersOp) or len(region.outs) != 2 or len(region.operands_read) != 1:
        return None
    ops, source = list(region.body.block.ops), region.operands_read[0]
    if len(ops) != 2 or not isinstance(ops[0], QuantizeOp) or product.scale is not region.outs[1]:
        return None
    if not isinstance(source.owner, StripsOp) or source.owner.parent is not region.parent or len(row_shape(source)) > 1:
        return None
    return source if all(len(list(value.uses)) == 1 for value in (source, *region.outs)) else None


def late_reader(plan: TilePlan, value: SSAValue) -> MatmulOp | None:
    """The product for which a value is quantised late, if one is."""
    region = next((use.operation for use in value.uses), None)
    if not plan.wide_tile or not isinstance(region, RowsOp):
        return None
    reader = next((use.operation for use in region.outs[0].uses), None)
    group = reader.parent_op() if reader is not None else None
    if not isinstance(reader, MatmulOp) or not isinstance(group, StripsOp) or late_input(reader) is not value:
        return None
    return reader if wide_product(plan, group) is reader else None


def is_late(plan: TilePlan, region: RowsOp) -> bool:
    """Whether a region's work is done beside the product that reads its results."""
    return bool(region.operands_read) and late_reader(plan, region.operands_read[0]) is not None


def wide_product(plan: TilePlan, group: StripsOp) -> MatmulOp | None:
    """The product of a group whose input is quantised late under a plan, if there is one."""
    if not plan.wide_tile:
        return None
    products = [member for member in group.body.block.ops if isinstance(member, MatmulOp)]
    late = [m for m in products if m.columns > plan.wide_tile and late_input(m) is not None]
    if len(late) != 1 or late[0].columns % STRIP_ROWS_UNIT:
        return None
    shape = wide_shape_of(plan, late[0])
    is_possible = shape.tiles > 0 and late[0].rows % shape.strip == 0 and late[0].rows > shape.strip
    return late[0] if is_possible else None


def can_stay_in_sums(plan: TilePlan, value: SSAValue, out: SSAValue) -> bool:
    """Whether a value that leaves a group as `out` is a product whose input is quantised late, and only regions of rows read it."""
    product = value.owner
    group = product.parent_op() if isinstance(product, MatmulOp) else None
    if not isinstance(group, StripsOp) or wide_product(plan, group) is not product or len(list(value.uses)) != 1:
        return False
    return all(isinstance(use.operation, RowsOp) for use in out.uses)


def wide_shape_of(plan: TilePlan, product: MatmulOp) -> WideShape:
    """Each strip that makes the input is in the tail, or is not."""
    source = late_input(product)
    assert source is not None and isinstance(source.owner, StripsOp)
    made_rows = max(shape.rows for shape in strip_shapes(plan, source.owner).values())
    strip, columns = padded(plan.array_rows, STRIP_ROWS_UNIT), product.columns
    block = gcd(LATE_BLOCK, made_rows, columns)
    tile = padded(plan.wide_tile, lcm(strip, made_rows))
    return WideShape(strip, columns, tile, padded(ceil_div(tile * strip, product.rows), block), block)


def is_streamed(plan: TilePlan, x: SSAValue) -> bool:
    """Whether the input of a product comes from DRAM in k-tiles, again for each strip: it is too large to stay in SRAM. Regions of rows
    may read it, too."""
    if not plan.stream_bytes or not isinstance(x.owner, RowsOp | StripsOp):
        return False
    columns = prod(row_shape(x))
    if plan.chunk * columns * element_bytes(element_of(x.type)) <= plan.stream_bytes or columns % STRIP_ROWS_UNIT:
        return False
    if isinstance(x.owner, RowsOp) and is_late(plan, x.owner):
        return False
    readers = [use.operation for use in x.uses if not isinstance(use.operation, RowsOp)]
    return len(readers) > 0 and all(
        isinstance(op, MatmulOp) and op.x is x and columns >= 2 * max(K_TILE_UNIT, op.weight_format.group)
        for op in readers
    )


def streamed_tile(plan: TilePlan, op: MatmulOp, budget: int) -> int:
    """Columns of a k-tile whose input is streamed, too: of that it is a quarter of what may stay in SRAM, at most."""
    columns = k_tile_of(budget, op.columns, op.weight_format)
    row_bytes = plan.stream_bytes // plan.chunk // INPUT_TILE_SHARE
    if columns * element_bytes(element_of(op.x.type)) <= row_bytes:
        return columns
    fitting = row_bytes // element_bytes(element_of(op.x.type))
    k_unit = max(K_TILE_UNIT, op.weight_format.group)
    return k_tile_of(max(fitting // k_unit, 1) * streamed_bytes(op.weight_format, k_unit), op.columns, op.weight_format)


def strip_shapes(plan: TilePlan, op: StripsOp) -> dict[MatmulOp, StripShape]:
    """The strips of the products of a group: as many rows in all of them."""
    products = [member for member in op.body.block.ops if isinstance(member, MatmulOp)]
    heads, rows, count = heads_of(op), op.columns.value.data, len(products)
    wide = wide_product(plan, op)
    if wide is not None:
        sizes = wide_shape_of(plan, wide)
        return {m: StripShape(sizes.strip, sizes.tile if m is wide else m.columns) for m in products}
    if any(is_streamed(plan, m.x) for m in products):
        unit = lcm(padded(plan.array_rows, STRIP_ROWS_UNIT), heads)
        unit = unit if unit * count <= plan.stream_rows else lcm(STRIP_ROWS_UNIT, heads)
        strip = min(max(plan.stream_rows // count // unit, 1) * unit, padded(rows, STRIP_ROWS_UNIT))
        budget = plan.strip_bytes // count // strip
        return {m: StripShape(strip, streamed_tile(plan, m, budget)) for m in products}
    shapes = [strip_shape(plan, rows, m.columns, m.weight_format, count, heads) for m in products]
    rows = min(shape.rows for shape in shapes)
    return {m: StripShape(rows, shape.k_tile) for m, shape in zip(products, shapes, strict=True)}


@dataclass(frozen=True)
class RowShape:
    """How one token is multiplied by the weights of a group, one product after the other: strips of each, and the columns of the
    result, a multiple of the strips' rows or all, that are finished at once."""

    strips: dict[MatmulOp, StripShape]
    span: int


def row_shape_of(plan: TilePlan, op: StripsOp) -> RowShape:
    """The sizes of a group for one token. All of its columns are finished at once if they fit the plan's span, else whole heads, of which
    a strip may be a part."""
    stored, columns = strip_shapes(plan, op), op.columns.value.data
    shapes = {m: token_strip(plan, m, shape.k_tile) for m, shape in stored.items()}
    if columns * WORD_BYTES <= plan.span_bytes:
        return RowShape(shapes, columns)
    rows, head = min(shape.rows for shape in shapes.values()), lcm(STRIP_ROWS_UNIT, heads_of(op))
    rows = rows // head * head or largest_part(head, rows)
    least = max(rows, head)
    count = max(plan.span_bytes // WORD_BYTES // least, 1)
    span = least * (count - count % 2 if count > 1 else 1)
    return RowShape({m: StripShape(rows, shape.k_tile) for m, shape in shapes.items()}, span)


def largest_part(size: int, most: int) -> int:
    """The most rows of a size that divide it into equal parts of whole blocks."""
    return next(rows for rows in range(most - most % STRIP_ROWS_UNIT, 0, -STRIP_ROWS_UNIT) if size % rows == 0)


def token_strip(plan: TilePlan, op: MatmulOp, stored_tile: int) -> StripShape:
    """Strips of about equal size of one weight for one token. One row of inputs keeps the matrix unit busy with few rows of weights: their
    port decides. `stored_tile`: of sparse rows in DRAM. Rows a little too large for a strip are not cut in k-tiles, whose products wait
    for each other."""
    unit, form = STRIP_ROWS_UNIT, op.weight_format
    k_tile = stored_tile if form.sparse else op.columns
    row_bytes = streamed_bytes(form, k_tile)
    fitting = plan.token_strip_bytes // row_bytes // unit * unit
    if row_bytes * unit <= plan.token_strip_bytes * MOST_OF_A_STRIP:
        fitting = max(fitting, unit)
    if fitting >= unit:
        strips = -(-op.rows // min(fitting, padded(op.rows, unit)))
        return StripShape(padded(-(-op.rows // strips), unit), k_tile)
    if form.sparse:
        return StripShape(unit, k_tile)
    return StripShape(unit, k_tile_of(plan.token_strip_bytes // unit, op.columns, form, is_even=True))

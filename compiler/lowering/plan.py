"""The sizes a lowering works with. choose-tiling finds them; every choice gives the same bits."""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm

from xdsl.dialects.builtin import DictionaryAttr, IntegerAttr, ModuleOp, i64

from compiler.dialects.slm import shape_of
from compiler.dialects.slmq import MatmulOp, RopeOp, StripsOp
from compiler.errors import CompileError
from compiler.formats import WeightFormat
from compiler.sizes import padded
from isa.spec import SUM_QUANTUM

PLAN_ATTRIBUTE = "tile.plan"
STRIP_ROWS_UNIT = 16  # rows of a weight strip come in blocks of the blocked storage format
MOST_STRIP_ROWS = 512
SPARSITY = 2
"""Columns of a 2:4 sparse row for each of its terms."""
K_TILE_UNIT = 64  # a multiple of the sum quantum, and of the lanes of the larger arrays


@dataclass(frozen=True)
class TilePlan:
    """context: positions of the KV cache; chunk: most tokens processed at once; strip_bytes: weights in flight per strip, one
    buffer, or the buffers of one tile of channels; kv_heads: key-value heads attended at once; key_tile: keys loaded at once, a
    multiple of 32 or a whole KV block; array_rows: output rows the matrix unit computes at once; buffers: how many take turns in a
    stream, 1 or 2.

    spill_bytes: values of a chunk that take more than this lie in DRAM where they can; 0: none do. Then row_tile rows of them are
    worked on at once between products, and query_tile tokens in attention.
    """

    context: int
    chunk: int
    strip_bytes: int
    kv_heads: int
    key_tile: int
    array_rows: int = 64
    buffers: int = 2
    spill_bytes: int = 0
    row_tile: int = 16
    query_tile: int = 16

    @property
    def spills(self) -> bool:
        return self.spill_bytes > 0

    def to_attribute(self) -> DictionaryAttr:
        return DictionaryAttr({name: IntegerAttr(value, i64) for name, value in vars(self).items()})

    @staticmethod
    def of(module: ModuleOp) -> TilePlan:
        """The plan recorded on a module. Raises CompileError if choose-tiling has not run."""
        attribute = module.attributes.get(PLAN_ATTRIBUTE)
        if not isinstance(attribute, DictionaryAttr):
            raise CompileError(f"the module has no {PLAN_ATTRIBUTE}", hint="run choose-tiling first")
        numbers = {name: value.value.data for name, value in attribute.data.items() if isinstance(value, IntegerAttr)}
        return TilePlan(**numbers)


@dataclass(frozen=True)
class StripShape:
    """A matmul's weights in DRAM: strips of `rows` output rows, each a header and k-tiles of `k_tile` columns."""

    rows: int
    k_tile: int


def strip_shape(
    plan: TilePlan, rows: int, columns: int, form: WeightFormat, matmuls: int, multiple: int = 1
) -> StripShape:
    """The strip of one of `matmuls` weights [rows, columns] that share a loop; its rows are a multiple of `multiple`, or all.

    It fills the array: whole rows if the array's number of them fits, else k-tiles of equal size; 16 rows where even that is too much.
    """
    budget = plan.strip_bytes // matmuls
    most = padded(rows, STRIP_ROWS_UNIT)
    least_rows = min(lcm(STRIP_ROWS_UNIT, multiple), most)
    unit = min(lcm(padded(plan.array_rows, STRIP_ROWS_UNIT), multiple), most)
    if unit > MOST_STRIP_ROWS:
        unit = least_rows
    k_unit = max(K_TILE_UNIT, form.group)
    fitting = budget // streamed_bytes(form, columns)
    if fitting >= unit:
        return StripShape(min(min(fitting, max(unit, MOST_STRIP_ROWS)) // unit * unit, most), columns)
    if budget // unit < streamed_bytes(form, k_unit):
        unit = least_rows
    if fitting >= unit:
        return StripShape(unit, columns)
    least = form.group or SUM_QUANTUM * (SPARSITY if form.sparse else 1)
    longest = max(least, budget // unit // streamed_bytes(form, k_unit) * k_unit)
    tiles = -(-columns // longest)
    tiles += tiles % 2  # the buffers take turns: an even number ends with the other one
    equal = padded(-(-columns // tiles), min(longest, k_unit))
    return StripShape(unit, min(equal, columns))


def streamed_bytes(form: WeightFormat, columns: int) -> int:
    """A row of a strip, with what grows with its columns."""
    return form.row_bytes(columns) + (form.scale_bytes(columns) if form.group else 0)


def strip_shapes(plan: TilePlan, op: StripsOp) -> dict[MatmulOp, StripShape]:
    """The strips of the products of a group: as many rows in all of them."""
    products = [member for member in op.body.block.ops if isinstance(member, MatmulOp)]
    heads = [shape_of(member.x)[-1] for member in op.body.block.ops if isinstance(member, RopeOp)]
    rows, count = op.columns.value.data, len(products)
    shapes = [strip_shape(plan, rows, m.columns, m.weight_format, count, max(heads, default=1)) for m in products]
    rows = min(shape.rows for shape in shapes)
    return {m: StripShape(rows, shape.k_tile) for m, shape in zip(products, shapes, strict=True)}

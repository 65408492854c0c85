"""allocate-dram: gives every weight, state and table its place in DRAM, in the order of access, and replaces the places by numbers.

    %o = tile.weight {key = "layers.{i}.q.weight", ..} layer %l
    ->  %o = tile.lds 8 of %layer_table at %record + 24          (a column of the layer table in SMEM)
Places without a layer become constants. The module records the regions' sizes, the layer table and what lies where.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from xdsl.context import Context
from xdsl.dialects.arith import ConstantOp, MuliOp
from xdsl.dialects.builtin import (
    ArrayAttr,
    DenseArrayBase,
    DictionaryAttr,
    IndexType,
    IntegerAttr,
    ModuleOp,
    StringAttr,
    i64,
)
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from compiler.dialects import tile
from compiler.emit.packing import packed_bytes
from compiler.emit.tables import table_bytes
from compiler.lowering.plan import TilePlan
from compiler.sizes import to_granules
from isa.abi import TOKEN_BUFFER_OFFSET

REGIONS_ATTRIBUTE = "tile.regions"
LAYER_TABLE_ATTRIBUTE = "tile.layer_table"
PLACES_ATTRIBUTE = "tile.places"
LOGITS_ATTRIBUTE = "tile.logits_offset"
PLACE_OPS = (tile.WeightOp, tile.StateOp, tile.TableOp)
REGION_OF: dict[type[Operation], str] = {tile.WeightOp: "weight", tile.StateOp: "kv", tile.TableOp: "table"}


@dataclass
class Item:
    """One thing in DRAM: one offset per layer it exists in, or a single one."""

    region: str
    what: DictionaryAttr
    layers: tuple[int, ...]
    size_bytes: int
    offsets: dict[int, int] = field(default_factory=dict[int, int])


def item_of(op: Operation) -> Item:
    what = op.properties["what"]
    if not isinstance(what, DictionaryAttr):
        raise TypeError(f"{op.name} without a description")
    layers = what.data.get("layers")
    indices = tuple(int(i) for i in layers.get_values()) if isinstance(layers, DenseArrayBase) else ()
    sizes: dict[type[Operation], Callable[[DictionaryAttr], int]] = {
        tile.WeightOp: packed_bytes,
        tile.TableOp: table_bytes,
        tile.StateOp: state_bytes,
    }
    return Item(REGION_OF[type(op)], what, indices, sizes[type(op)](what))


def state_bytes(what: DictionaryAttr) -> int:
    size = what.data["size_bytes"]
    return size.value.data if isinstance(size, IntegerAttr) else 0


def assign(items: list[Item]) -> dict[str, int]:
    """Offsets in access order: what comes before the layers, the layers one after the other, what comes after. Sizes by region."""
    tops: dict[str, int] = {"weight": 0, "kv": 0, "table": 0}
    first = next((n for n, item in enumerate(items) if item.layers), len(items))
    last = max((n for n, item in enumerate(items) if item.layers), default=-1)
    most = max((max(item.layers) + 1 for item in items if item.layers), default=0)
    order = [(item, -1) for item in items[:first]]
    for layer in range(most):
        order += [(item, layer) for item in items[first : last + 1] if layer in item.layers]
    order += [(item, -1) for item in items[first:] if not item.layers]
    for item, layer in order:
        item.offsets[layer] = tops[item.region]
        tops[item.region] += to_granules(item.size_bytes)
    return tops


@dataclass
class LayerTable:
    """The rows are layers, the columns 8-byte words; `buffer` is its place in SMEM."""

    buffer: SSAValue
    columns: list[dict[int, int]] = field(default_factory=list[dict[int, int]])

    def column(self, values: dict[int, int]) -> int:
        """The index of the column with these values by layer."""
        if values not in self.columns:
            self.columns.append(values)
        return self.columns.index(values)

    def words(self) -> list[int]:
        rows = max((layer + 1 for column in self.columns for layer in column), default=0)
        return [column.get(layer, 0) for layer in range(rows) for column in self.columns]


def replace_places(ops: list[tuple[Operation, dict[int, int]]], table: LayerTable) -> None:
    """Constants, or reads of the layer table."""
    columns = [-1 if -1 in offsets else table.column(offsets) for _, offsets in ops]
    record_bytes = 8 * len(table.columns)
    for (op, offsets), column in zip(ops, columns, strict=True):
        if column < 0:
            new: list[Operation] = [ConstantOp(IntegerAttr(offsets[-1], IndexType()))]
        else:
            size = ConstantOp(IntegerAttr(record_bytes, IndexType()))
            record = MuliOp(op.operands[0], size.result)
            properties: dict[str, Attribute] = {
                "width": IntegerAttr(8, i64),
                "displacement": IntegerAttr(8 * column, i64),
            }
            read = tile.LdsOp(operands=[table.buffer, record.result], properties=properties, result_types=[IndexType()])
            new = [size, record, read]
        for inserted in new:
            inserted.location = op.location
        Rewriter.replace_op(op, new)


def kind_values(op: tile.KindOp) -> dict[int, int]:
    return {layer: int(kind) for layer, kind in enumerate(op.kinds.get_values())}


@dataclass(frozen=True)
class AllocateDramPass(ModulePass):
    """See the module docstring."""

    name = "allocate-dram"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for function in [f for f in op.walk() if isinstance(f, FuncOp)]:
            self.allocate(op, function)

    def allocate(self, module: ModuleOp, function: FuncOp) -> None:
        ops = [inner for inner in function.walk() if isinstance(inner, PLACE_OPS)]
        items: dict[DictionaryAttr, Item] = {}
        for op in ops:
            item = item_of(op)
            items.setdefault(item.what, item)
        tops = assign(list(items.values()))
        placed: list[tuple[Operation, dict[int, int]]] = [(op, items[item_of(op).what].offsets) for op in ops]
        placed += [(inner, kind_values(inner)) for inner in function.walk() if isinstance(inner, tile.KindOp)]
        buffer = self.table_buffer(function)
        table = LayerTable(buffer.result)
        replace_places(placed, table)
        words = table.words()
        buffer.properties["size_bytes"] = IntegerAttr(max(8 * len(words), 8), i64)
        self.record(module, list(items.values()), tops, words)

    def table_buffer(self, function: FuncOp) -> tile.AllocOp:
        op = tile.AllocOp(
            properties={
                "label": StringAttr("layer_table"),
                "space": StringAttr("smem"),
                "size_bytes": IntegerAttr(8, i64),
            },
            result_types=[tile.BufferType()],
        )
        op.location = function.location
        Rewriter.insert_op(op, InsertPoint.at_start(function.body.block))
        return op

    def record(self, module: ModuleOp, items: list[Item], tops: dict[str, int], words: list[int]) -> None:
        context = TilePlan.of(module).context
        logits_offset = to_granules(TOKEN_BUFFER_OFFSET + 4 * context)
        sizes = {**tops, "io": logits_offset, "scratch": 0}
        module.attributes[REGIONS_ATTRIBUTE] = DictionaryAttr({k: IntegerAttr(v, i64) for k, v in sizes.items()})
        module.attributes[LAYER_TABLE_ATTRIBUTE] = DenseArrayBase.from_list(i64, words)
        module.attributes[LOGITS_ATTRIBUTE] = IntegerAttr(logits_offset, i64)
        places: list[Attribute] = [
            DictionaryAttr(
                {
                    "region": StringAttr(item.region),
                    "what": item.what,
                    "size_bytes": IntegerAttr(item.size_bytes, i64),
                    "offsets": DenseArrayBase.from_list(i64, list(item.offsets.values())),
                }
            )
            for item in items
        ]
        module.attributes[PLACES_ATTRIBUTE] = ArrayAttr(places)

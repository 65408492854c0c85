"""allocate-dram: gives every weight, state and table its place in DRAM, in the order of access, and replaces the places by numbers.

    %o = tile.weight {key = "layers.{i}.q.weight", ..} layer %l
    ->  %o = tile.lds 8 of %layer_table at %record + 24          (a column of the layer table in SMEM)
Places without a layer become constants. The module records the regions' sizes, the layer table and what lies where.

Weights whose strips take turns are some banks apart: a strip that begins in the bank in which the one before ends finds another row open
there, and DRAM waits until that is closed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from xdsl.context import Context
from xdsl.dialects.arith import MuliOp
from xdsl.dialects.builtin import (
    ArrayAttr,
    DenseArrayBase,
    DictionaryAttr,
    IntegerAttr,
    ModuleOp,
    StringAttr,
    i64,
)
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from compiler.attributes import INDEX
from compiler.dialects import tile
from compiler.emit.recipes import packed_bytes
from compiler.emit.tables import table_bytes
from compiler.lowering.plan import TilePlan
from compiler.scalars import constant
from compiler.sizes import to_granules
from compiler.walking import ops_in, ops_of
from isa.abi import TOKEN_BUFFER_OFFSET

REGIONS_ATTRIBUTE = "tile.regions"
LAYER_TABLE_ATTRIBUTE = "tile.layer_table"
PLACES_ATTRIBUTE = "tile.places"
LOGITS_ATTRIBUTE = "tile.logits_offset"
REGION_OF: dict[type[Operation], str] = {
    tile.WeightOp: "weight",
    tile.StateOp: "kv",
    tile.TableOp: "table",
    tile.ScratchOp: "scratch",
    tile.InputOp: "io",
}


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
    }
    return Item(REGION_OF[type(op)], what, indices, sizes.get(type(op), stated_bytes)(what))


def stated_bytes(what: DictionaryAttr) -> int:
    size = what.data["size_bytes"]
    return size.value.data if isinstance(size, IntegerAttr) else 0


@dataclass(frozen=True)
class Spacing:
    """Strips of `strip_bytes`; the DRAM uses the same banks again after `bank_bytes`, 0: it is not known when."""

    bank_bytes: int
    strip_bytes: int

    def gap(self, top: int, beside: int) -> int:
        """Bytes to leave at `top` so that a strip of the weight that begins behind them has no bank in common with the strips before and
        behind it of the weight that begins at `beside`. 0 if strips have most of the banks."""
        first, last = 2 * self.strip_bytes, self.bank_bytes - self.strip_bytes
        if first > last:
            return 0
        distance = (top - beside) % self.bank_bytes
        return 0 if first <= distance <= last else (first - distance) % self.bank_bytes


def assign(items: list[Item], tops: dict[str, int], spacing: Spacing) -> None:
    """Offsets in access order: what comes before the layers, the layers one after the other, what comes after.

    `tops` has the end of each region so far, and grows.
    """
    matrices = {item.what.data["key"]: item for item in items if item.what.data.get("kind") == StringAttr("matrix")}
    first = next((n for n, item in enumerate(items) if item.layers), len(items))
    last = max((n for n, item in enumerate(items) if item.layers), default=-1)
    most = max((max(item.layers) + 1 for item in items if item.layers), default=0)
    order = [(item, -1) for item in items[:first]]
    for layer in range(most):
        order += [(item, layer) for item in items[first : last + 1] if layer in item.layers]
    order += [(item, -1) for item in items[first:] if not item.layers]
    for item, layer in order:
        beside = matrices.get(item.what.data["beside"]) if "beside" in item.what.data else None
        if beside is not None and layer in beside.offsets:
            tops[item.region] += to_granules(spacing.gap(tops[item.region], beside.offsets[layer]))
        item.offsets[layer] = tops[item.region]
        tops[item.region] += to_granules(item.size_bytes)


@dataclass
class LayerTable:
    """The rows are layers, the columns 8-byte words; all functions share it."""

    columns: list[dict[int, int]] = field(default_factory=list[dict[int, int]])

    def column(self, values: dict[int, int]) -> int:
        """The index of the column with these values by layer."""
        if values not in self.columns:
            self.columns.append(values)
        return self.columns.index(values)

    def words(self) -> list[int]:
        rows = max((layer + 1 for column in self.columns for layer in column), default=0)
        return [column.get(layer, 0) for layer in range(rows) for column in self.columns]


@dataclass(frozen=True)
class Placed:
    """A place and its offsets by layer, -1 being no layer; `table` is the layer table's buffer in its function."""

    op: Operation
    offsets: dict[int, int]
    table: SSAValue


def replace_places(places: list[Placed], table: LayerTable) -> None:
    """Constants, or reads of the layer table."""
    columns = [-1 if -1 in place.offsets else table.column(place.offsets) for place in places]
    record_bytes = 8 * len(table.columns)
    for place, column in zip(places, columns, strict=True):
        op = place.op
        if column < 0:
            new: list[Operation] = [constant(place.offsets[-1])]
        else:
            size = constant(record_bytes)
            record = MuliOp(op.operands[0], size.result)
            properties: dict[str, Attribute] = {
                "width": IntegerAttr(8, i64),
                "displacement": IntegerAttr(8 * column, i64),
            }
            read = tile.LdsOp(operands=[place.table, record.result], properties=properties, result_types=[INDEX])
            new = [size, record, read]
        for inserted in new:
            inserted.location = op.location
        Rewriter.replace_op(op, new)


def kind_values(op: tile.KindOp) -> dict[int, int]:
    return {layer: int(kind) for layer, kind in enumerate(op.kinds.get_values())}


@dataclass(frozen=True)
class AllocateDramPass(ModulePass):
    """See the module docstring. Options: bank_bytes, after which the machine's DRAM uses the same banks again; 0: not known."""

    name = "allocate-dram"
    bank_bytes: int = 0

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        functions = ops_of(FuncOp, op)
        if not functions:
            return
        plan = TilePlan.of(op)
        spacing = Spacing(self.bank_bytes, plan.strip_bytes // 2)
        io_bytes = to_granules(TOKEN_BUFFER_OFFSET + 4 * plan.context)
        tops = {"weight": 0, "kv": 0, "table": 0, "io": io_bytes, "scratch": 0}
        items: dict[DictionaryAttr, Item] = {}
        places: list[Placed] = []
        buffers = [self.table_buffer(function) for function in functions]
        for function, buffer in zip(functions, buffers, strict=True):
            places += self.placed(function, buffer.result, items, tops, spacing)
        table = LayerTable()
        replace_places(places, table)
        words = table.words()
        for buffer in buffers:
            buffer.properties["size_bytes"] = IntegerAttr(max(8 * len(words), 8), i64)
        self.record(op, list(items.values()), tops, words)

    def placed(
        self,
        function: FuncOp,
        table: SSAValue,
        items: dict[DictionaryAttr, Item],
        tops: dict[str, int],
        spacing: Spacing,
    ) -> list[Placed]:
        """The places of one function; what an earlier function has too is shared."""
        ops = [inner for inner in ops_in(function) if type(inner) in tile.PLACE_OPS]
        found = [item_of(inner) for inner in ops]
        new: dict[DictionaryAttr, Item] = {}
        for item in found:
            if item.what not in items:
                new.setdefault(item.what, item)
        assign(list(new.values()), tops, spacing)
        items |= new
        kinds = ops_of(tile.KindOp, function)
        offsets = [items[item.what].offsets for item in found] + [kind_values(kind) for kind in kinds]
        return [Placed(op, values, table) for op, values in zip([*ops, *kinds], offsets, strict=True)]

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
        module.attributes[REGIONS_ATTRIBUTE] = DictionaryAttr({k: IntegerAttr(v, i64) for k, v in tops.items()})
        module.attributes[LAYER_TABLE_ATTRIBUTE] = DenseArrayBase.from_list(i64, words)
        module.attributes[LOGITS_ATTRIBUTE] = IntegerAttr(tops["io"], i64)
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

"""The sizes a lowering works with. choose-tiling finds them; every choice gives the same bits."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.builtin import DictionaryAttr, IntegerAttr, ModuleOp, i64

PLAN_ATTRIBUTE = "tile.plan"
STRIP_ROWS_UNIT = 16  # rows of a weight strip come in blocks of the blocked storage format


@dataclass(frozen=True)
class TilePlan:
    """context: positions of the KV cache; chunk: most tokens processed at once; strip_bytes: weights in flight per strip, one
    buffer; kv_heads: key-value heads attended at once; key_tile: keys loaded at once, a multiple of 32 or a whole KV block.
    """

    context: int
    chunk: int
    strip_bytes: int
    kv_heads: int
    key_tile: int

    def to_attribute(self) -> DictionaryAttr:
        return DictionaryAttr({name: IntegerAttr(value, i64) for name, value in vars(self).items()})

    @staticmethod
    def of(module: ModuleOp) -> TilePlan:
        """The plan recorded on a module. Raises KeyError if choose-tiling has not run."""
        attribute = module.attributes[PLAN_ATTRIBUTE]
        if not isinstance(attribute, DictionaryAttr):
            raise KeyError(PLAN_ATTRIBUTE)
        numbers = {name: value.value.data for name, value in attribute.data.items() if isinstance(value, IntegerAttr)}
        return TilePlan(**numbers)


@dataclass(frozen=True)
class StripShape:
    """A matmul's weights in DRAM: strips of `rows` output rows, each a header and k-tiles of `k_tile` columns."""

    rows: int
    k_tile: int


def strip_shape(plan: TilePlan, rows: int, columns: int, element_bytes: int, matmuls: int) -> StripShape:
    """The strip of one of `matmuls` weights [rows, columns] that share a loop: whole rows if 16 of them fit, else k-tiles."""
    budget = plan.strip_bytes // matmuls
    unit = STRIP_ROWS_UNIT
    fitting = budget // (columns * element_bytes) // unit * unit
    most = -(-rows // unit) * unit
    if fitting >= unit:
        return StripShape(min(fitting, most, 512), columns)
    k_tile = max(32, budget // (unit * element_bytes) // 32 * 32)
    return StripShape(min(unit, most), min(k_tile, columns))

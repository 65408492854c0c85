"""Places in DRAM: an op is an offset that allocate-dram knows."""

from __future__ import annotations

from xdsl.dialects.builtin import (
    DenseArrayBase,
    DictionaryAttr,
    IndexType,
    StringAttr,
    i64,
)
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    prop_def,
    result_def,
    traits_def,
)
from xdsl.traits import Pure


class _Place(IRDLOperation):
    """An offset in a DRAM region, chosen by allocate-dram; `layer` selects the layer where the name holds `{i}`."""

    traits = traits_def(Pure())
    assembly_format = "$what (`layer` $layer^)? attr-dict `:` type($result)"


@irdl_op_definition
class WeightOp(_Place):
    """Offset in WEIGHT of a packed weight. `what`: the recipe, see compiler/emit/packing.py."""

    name = "tile.weight"
    layer = opt_operand_def(IndexType)
    what = prop_def(DictionaryAttr)
    result = result_def(IndexType)


@irdl_op_definition
class StateOp(_Place):
    """Offset in KV of a layer's state. `what`: name, part, size_bytes."""

    name = "tile.state"
    layer = opt_operand_def(IndexType)
    what = prop_def(DictionaryAttr)
    result = result_def(IndexType)


@irdl_op_definition
class TableOp(_Place):
    """Offset in TABLE of a constant table. `what`: the recipe, see compiler/emit/tables.py."""

    name = "tile.table"
    layer = opt_operand_def(IndexType)
    what = prop_def(DictionaryAttr)
    result = result_def(IndexType)


@irdl_op_definition
class ScratchOp(_Place):
    """Offset in SCRATCH of a tensor that does not outlive the run. `what`: name, size_bytes."""

    name = "tile.scratch"
    layer = opt_operand_def(IndexType)
    what = prop_def(DictionaryAttr)
    result = result_def(IndexType)


@irdl_op_definition
class InputOp(_Place):
    """Offset in IO of what the host writes besides the tokens. `what`: name, size_bytes."""

    name = "tile.input"
    layer = opt_operand_def(IndexType)
    what = prop_def(DictionaryAttr)
    result = result_def(IndexType)


PLACE_OPS = (WeightOp, StateOp, TableOp, ScratchOp, InputOp)


@irdl_op_definition
class KindOp(IRDLOperation):
    """A number that each layer has of its own: its kind, which is the region of a slm.layers it runs, or the bits of a constant.

    `group` says of what.
    """

    name = "tile.kind"
    group = prop_def(StringAttr)
    kinds = prop_def(DenseArrayBase[i64])
    layer = operand_def(IndexType)
    result = result_def(IndexType)
    traits = traits_def(Pure())
    assembly_format = "$group $kinds $layer attr-dict `:` type($result)"

"""Recipes: the `what` of tile.weight says how a weight lies in DRAM."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.builtin import DictionaryAttr, FloatAttr, IntegerAttr, StringAttr

from compiler.emit.weight_layout import WeightLayout
from compiler.formats import WeightFormat
from compiler.sizes import to_granules


@dataclass(frozen=True)
class Recipe:
    """A recipe, read from its attribute. `rows` and `columns` are 0 where the weight's own shape decides; `experts` is 0 for a
    weight that is not one of several experts."""

    kind: str
    key: str
    format: WeightFormat
    rows: int
    columns: int
    k_tile: int
    bias: str | None
    offset: float
    experts: int = 0

    @staticmethod
    def of(what: DictionaryAttr) -> Recipe:
        def text(name: str) -> str | None:
            value = what.data.get(name)
            return value.data if isinstance(value, StringAttr) else None

        def number(name: str) -> int:
            value = what.data.get(name)
            return value.value.data if isinstance(value, IntegerAttr) else 0

        offset = what.data.get("offset")
        return Recipe(
            kind=text("kind") or "",
            key=text("key") or "",
            format=WeightFormat.of(text("format") or "f32"),
            rows=number("rows"),
            columns=number("columns"),
            k_tile=number("k_tile"),
            bias=text("bias"),
            offset=float(offset.value.data) if isinstance(offset, FloatAttr) else 0.0,
            experts=number("experts"),
        )

    @property
    def layout(self) -> WeightLayout:
        """Of kind `matrix`."""
        return WeightLayout(self.format, self.rows, self.columns, self.bias is not None, self.k_tile)

    @property
    def size_bytes(self) -> int:
        """Bytes in DRAM."""
        return self.experts * self.stride_bytes if self.experts else self.member_bytes

    @property
    def stride_bytes(self) -> int:
        """Bytes from one expert to the next."""
        return to_granules(self.member_bytes)

    @property
    def member_bytes(self) -> int:
        """Bytes of one expert, or of the only tensor."""
        if self.kind == "matrix":
            return self.layout.size_bytes
        return self.rows * self.format.row_bytes(self.columns)


def packed_bytes(what: DictionaryAttr) -> int:
    """Bytes that a weight takes in DRAM."""
    return Recipe.of(what).size_bytes

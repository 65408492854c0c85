"""Number formats of matrices: what each element is, which columns share a scale, and the values of a quantised matrix.

Written `i8`, `i4-g64`, `i4-g32-zp`, `i8-g128-s24`, `e2m1-g32`, `bf16`: element, columns of a group, offsets, 2:4 sparsity.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.microscaling import BLOCK, MINIFLOATS, NAN_SCALE, Codes, scale_values
from isa.spec import ELEMENT_BITS, PACKED_4BIT, Dtype

Bits = NDArray[np.unsignedinteger[Any]]
"""Floats as the integers of their bits."""
FLOATS = ("f32", "f16", "bf16")
INTEGERS = ("i8", "i4")
MICROSCALED = tuple(MINIFLOATS)
"""Blocks of 32 with an e8m0 scale: MXFP4 and MXFP8."""
GROUPS = (32, 64, 128)
LARGEST = {"i8": 127, "i4": 7}
"""Of the symmetric formats; stored blocks may use the number below the negative of it too."""
OFFSET_LEVELS = 15
"""An i4 with offsets stands for 0 .. 15; it is stored as that minus 8."""
_TEXT = re.compile(r"(f32|f16|bf16|i8|i4|e2m1|e4m3)(?:-g(32|64|128))?(-zp)?(-s24)?")


@dataclass(frozen=True)
class WeightFormat:
    """group: columns that share a scale, f16, or e8m0 of the microscaled elements; 0: no scale (floats), or one f32 scale for a row (i8).

    offsets: each group also has an f16 offset m: a weight is s * (q + 8) + m. sparse: of four consecutive columns at most two
    are not zero. Raises ValueError for a combination that the hardware does not have.
    """

    element: str
    group: int = 0
    offsets: bool = False
    sparse: bool = False

    def __post_init__(self) -> None:
        if self.element not in (*FLOATS, *INTEGERS, *MICROSCALED) or self.group not in (0, *GROUPS):
            raise ValueError(f'there is no weight format "{self}"')
        if self.element in FLOATS and (self.group or self.offsets or self.sparse):
            raise ValueError(f"weights in {self.element} have no groups, offsets or sparsity")
        if self.element in MICROSCALED and self.group != BLOCK:
            raise ValueError(f"weights in {self.element} have groups of {BLOCK}")
        if self.element == "i4" and not self.group:
            raise ValueError("int4 weights have groups of " + ", ".join(map(str, GROUPS)))
        if self.offsets and self.element != "i4":
            raise ValueError("only int4 weights have offsets")
        if self.sparse and self.element in MICROSCALED:
            raise ValueError(f"weights in {self.element} are not sparse")
        if self.offsets and self.sparse:
            raise ValueError("a weight of 2:4 sparsity has no offsets: they would make its zeros something else")

    @staticmethod
    def of(text: str) -> WeightFormat:
        """The format written so. Raises ValueError."""
        found = _TEXT.fullmatch(text)
        if found is None:
            raise ValueError(f'there is no weight format "{text}"')
        element, group, offsets, sparse = found.groups()
        return WeightFormat(element, int(group or 0), bool(offsets), bool(sparse))

    def __str__(self) -> str:
        group = f"-g{self.group}" if self.group else ""
        return f"{self.element}{group}{'-zp' * self.offsets}{'-s24' * self.sparse}"

    @property
    def dtype(self) -> Dtype:
        """Of the elements."""
        return Dtype[self.element.upper()]

    @property
    def is_quantized(self) -> bool:
        """Whether elements stand for values by a scale."""
        return self.element not in FLOATS

    @property
    def is_microscaled(self) -> bool:
        return self.element in MICROSCALED

    @property
    def is_packed(self) -> bool:
        """Whether two elements share a byte."""
        return self.dtype in PACKED_4BIT

    @property
    def inputs(self) -> tuple[str, ...]:
        """What inputs of a product with such a weight may be."""
        if self.is_microscaled:
            return ("bf16", "f16")
        return ("i8", "bf16", "f16") if self.is_quantized else (self.element,)

    @property
    def per_row(self) -> bool:
        """Whether each row has one f32 scale."""
        return self.is_quantized and not self.group

    @property
    def scale_element(self) -> str:
        """What a scale is stored as."""
        if self.is_microscaled:
            return "e8m0"
        return "f32" if self.per_row else "f16"

    @property
    def scale_size_bytes(self) -> int:
        """Of one scale, and of one offset."""
        return ELEMENT_BITS[Dtype[self.scale_element.upper()]] // 8

    def problem(self, columns: int) -> str | None:
        """Why a matrix of so many columns cannot have the format."""
        if self.group and columns % self.group:
            fitting = [str(group) for group in GROUPS if columns % group == 0]
            others = f"groups of {' or '.join(fitting)} would" if fitting else "no group does"
            return f"groups of {self.group} do not divide its {columns} columns; {others}"
        if self.sparse and columns % 8:
            return f"2:4 sparsity takes columns by eights, and it has {columns}"
        return None

    def row_bytes(self, columns: int) -> int:
        """The elements of a row, with the positions of kept ones."""
        bits = columns * ELEMENT_BITS[self.dtype]
        return bits // 16 + columns // 8 if self.sparse else bits // 8

    def scale_bytes(self, columns: int) -> int:
        """Scales and offsets of a row."""
        if self.per_row:
            return 4
        numbers = 2 if self.offsets else 1
        return columns // self.group * numbers * self.scale_size_bytes if self.group else 0


Elements = NDArray[np.int8 | np.uint8]
"""Integers, or codes."""


@dataclass(frozen=True)
class Quantized:
    """A matrix in a quantised format.

    q int8 [N, K]: for `i4` within -8 .. 7; 2:4 sparse ones hold their zeros; of microscaled elements the codes, as uint8.
    scales: float32 [N], float16 [N, K / group], or e8m0 codes as uint8 [N, K / 32]; offsets: float16 [N, K / group] if the
    format has them.
    """

    format: WeightFormat
    q: Elements
    scales: NDArray[np.float32] | NDArray[np.float16] | Codes
    offsets: NDArray[np.float16] | None = None

    def values(self) -> NDArray[np.float32]:
        """The matrix that it stands for, [N, K], each operation rounded to f32; scales of a hostile file may overflow."""
        if not self.format.group:
            return self.q * self.scales.astype(np.float32)[:, None]
        rows, columns = self.q.shape
        q = self.elements().reshape(rows, -1, self.format.group)
        scales = self.scale_values()[..., None]
        if self.offsets is None:
            with np.errstate(over="ignore"):
                return (q * scales).reshape(rows, columns)
        return ((q + np.float32(8)) * scales + self.offsets.astype(np.float32)[..., None]).reshape(rows, columns)

    def elements(self) -> NDArray[np.float32]:
        """What the elements are before they are scaled, [N, K]."""
        return (
            MINIFLOATS[self.format.element].values[self.q] if self.format.is_microscaled else self.q.astype(np.float32)
        )

    def scale_values(self) -> NDArray[np.float32]:
        return (
            scale_values(self.scales.view(np.uint8)) if self.format.is_microscaled else self.scales.astype(np.float32)
        )

    def is_finite(self) -> bool:
        """Whether no scale, offset or element is infinite or NaN."""
        if self.format.is_microscaled:
            has_nan = np.isnan(MINIFLOATS[self.format.element].values)
            return not (has_nan[self.q].any() or (self.scales == NAN_SCALE).any())
        offsets = self.offsets is None or bool(np.isfinite(self.offsets).all())
        return offsets and bool(np.isfinite(self.scales).all())


def to_float32(stored: NDArray[Any]) -> NDArray[np.float32]:
    """f32 as it is, f16 and the bits of bf16 (uint16) converted. A bf16 number is the upper half of a float32."""
    if stored.dtype != np.uint16:
        return stored.astype(np.float32, copy=False)
    wide = stored.astype(np.uint32)
    wide <<= np.uint32(16)
    return wide.view(np.float32)

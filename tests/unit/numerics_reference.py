"""Products with quantised weights from the formulas of docs/numerics.md sections 1, 2, 3 and 8 alone.

One number at a time, and nothing is shared with the compiler or the simulator. Numbers are np.float32 scalars, so that every operation is
one of IEEE binary32; whole numbers are Python's; roundings go by exact fractions.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

F = np.float32
Row = list[Any]
ZERO = F(0)
BITS = {"i8": 127, "i4": 7}
MICROSCALED = {"e2m1": (2, 1, 1, 2), "e4m3": (4, 3, 7, 8)}
"""Bits of E, bits of M, bias, emax."""


@dataclass(frozen=True)
class Form:
    """element i8, i4, e2m1 or e4m3; group: columns of a group, 0 for a scale per row."""

    element: str
    group: int = 0
    offsets: bool = False
    sparse: bool = False


@dataclass(frozen=True)
class Stored:
    """q [N][K], codes of e2m1 and e4m3; scales [N][groups], a scale per row being one group; offsets the same, empty without."""

    form: Form
    q: list[list[int]]
    scales: list[Row]
    offsets: list[Row]


class TooLarge(Exception):
    """A scale or an offset does not fit f16."""


# Section 1


def nearest(exact: Fraction) -> np.float32:
    """f32 of an exact number, by the neighbours of binary64's rounding."""
    guess = F(float(exact))
    found = min(
        (guess, np.nextafter(guess, F(math.inf)), np.nextafter(guess, F(-math.inf))),
        key=lambda v: (abs(Fraction(float(v)) - exact), int(np.array(v).view(np.uint32)) & 1),
    )
    return F(found)


def f16(x: Any) -> np.float32:
    """The value of x as binary16. Raises TooLarge where that is infinite."""
    try:
        return F(struct.unpack("<e", struct.pack("<e", float(x)))[0])
    except OverflowError as error:
        raise TooLarge(float(x)) from error


def bf16(x: Any) -> np.float32:
    """The value of a finite x as bf16: of its two neighbours the nearer, of equals the even one."""
    (bits,) = struct.unpack("<I", struct.pack("<f", x))
    up = bits & 0xFFFF, bits >> 16 & 1
    word = (bits >> 16) + (up[0] > 0x8000 or up == (0x8000, 1))
    return F(struct.unpack("<f", struct.pack("<I", word << 16))[0])


def integer(x: Any, lowest: int, highest: int) -> int:
    """To the nearest whole number, ties to even, then saturated; NaN gives 0."""
    if math.isnan(x):
        return 0
    if math.isinf(x):
        return highest if x > 0 else lowest
    return min(max(round(Fraction(float(x))), lowest), highest)


def element(code: int, kind: str) -> Fraction | None:
    """The number of an e2m1 or e4m3 code, None for NaN. -0 is 0."""
    bits_e, bits_m, bias, _ = MICROSCALED[kind]
    sign, e, m = code >> bits_e + bits_m, code >> bits_m & 2**bits_e - 1, code & 2**bits_m - 1
    if kind == "e4m3" and (e, m) == (15, 7):
        return None
    size = (
        (1 + Fraction(m, 2**bits_m)) * Fraction(2) ** (e - bias)
        if e
        else Fraction(m, 2**bits_m) * Fraction(2) ** (1 - bias)
    )
    return -size if sign else size


def nearest_code(v: Fraction, negative: bool, kind: str) -> int:
    """Of all codes with this sign that of the nearest number; of two the one with an even mantissa."""
    bits_e, bits_m, _, _ = MICROSCALED[kind]
    sign = negative << bits_e + bits_m
    numbers = [(code, element(code, kind)) for code in range(sign, sign + 2 ** (bits_e + bits_m))]
    return min((abs(number - v), code & 1, code) for code, number in numbers if number is not None)[2]


# Section 2


def sum_fp(terms: Sequence[Any], start: Any = ZERO) -> Any:
    total = F(start)
    padded = [*terms, *[ZERO] * (-len(terms) % 32)]
    for first in range(0, len(padded), 32):
        level = padded[first : first + 32]
        for half in (16, 8, 4, 2, 1):
            level = [F(level[i] + level[i + half]) for i in range(half)]
        total = F(total + level[0])
    return total


# Section 8, weights from values


def amax(values: Sequence[Any]) -> Any:
    return max(abs(F(value)) for value in values)


def pruned(row: Sequence[Any]) -> Row:
    """Of each four columns the two largest stay, of equal ones the lower."""
    result: Row = []
    for first in range(0, len(row), 4):
        four = row[first : first + 4]
        kept = sorted(range(len(four)), key=lambda column: (-abs(float(four[column])), column))[:2]
        result += [four[column] if column in kept else ZERO for column in range(len(four))]
    return result


def quantize_group(values: Sequence[Any], form: Form) -> tuple[list[int], Any, Any]:
    """(q, scale, offset) of the columns that share a scale."""
    if form.offsets:
        offset = f16(min(values))
        span = max(F(max(values) - offset), ZERO)
        scale = f16(span * nearest(Fraction(1, 15))) or F(1)
        return [integer((F(w) - offset) / scale, 0, 15) - 8 for w in values], scale, offset
    if form.element in MICROSCALED:
        exponent = shared_exponent(amax(values), MICROSCALED[form.element][3])
        codes = [
            nearest_code(Fraction(float(w)) / Fraction(2) ** exponent, math.copysign(1, w) < 0, form.element)
            for w in values
        ]
        return codes, F(2.0**exponent), None
    bound = BITS[form.element]
    raw = amax(values) * nearest(Fraction(1, bound))
    scale = (f16(raw) if form.group else raw) or F(1)
    return [integer(F(w) / scale, -bound, bound) for w in values], scale, None


def shared_exponent(a: Any, emax: int) -> int:
    """The largest X with 2^X <= a, less emax; at least -127, and 0 for a block of zeros."""
    exact, exponent = Fraction(float(a)), 200
    if not exact:
        return 0
    while Fraction(2) ** exponent > exact:
        exponent -= 1
    return max(exponent - emax, -127)


def quantize_weight(matrix: Sequence[Sequence[Any]], form: Form) -> Stored:
    """Raises TooLarge."""
    with np.errstate(all="ignore"):
        q: list[list[int]] = []
        scales: list[Row] = []
        offsets: list[Row] = []
        for row in matrix:
            row = pruned(row) if form.sparse else list(row)
            width = form.group or len(row)
            groups = [quantize_group(row[first : first + width], form) for first in range(0, len(row), width)]
            q.append([number for group in groups for number in group[0]])
            scales.append([group[1] for group in groups])
            offsets.append([group[2] for group in groups] if form.offsets else [])
        return Stored(form, q, scales, offsets)


def quantize_input(row: Sequence[Any]) -> tuple[list[int], Any]:
    """The rule of `quantize(x)` for one token."""
    largest = amax(row)
    if not math.isnan(largest):
        largest = max(largest, F(2.0**-119))
    inverse = F(127) / largest
    return [integer(F(x) * inverse, -128, 127) for x in row], largest * nearest(Fraction(1, 127))


# Sections 3 and 8, products


def terms_of(q: Sequence[int], sparse: bool) -> list[int]:
    """The columns that are terms, ascending: of each four those that are not 0, then the lowest others, two in all."""
    if not sparse:
        return list(range(len(q)))
    columns: list[int] = []
    for first in range(0, len(q), 4):
        four = range(first, first + 4)
        used = [k for k in four if q[k] != 0]
        assert len(used) <= 2
        columns += sorted([*used, *[k for k in four if q[k] == 0]][:2])
    return columns


def partial(x: Sequence[Any], q: Sequence[Any], sparse: bool) -> Any:
    """f32(p) of some columns: exact for int8 inputs, else sum_fp."""
    columns = terms_of(q, sparse)
    if isinstance(x[0], int):
        return nearest(Fraction(sum(x[k] * q[k] for k in columns)))
    return sum_fp([F(x[k] * F(q[k])) for k in columns])


def numbers_of(weight: Stored, n: int) -> list[Any]:
    """Row n of what is multiplied: whole numbers, or those of codes."""
    kind = weight.form.element
    if kind not in MICROSCALED:
        return list(weight.q[n])
    last = sum(MICROSCALED[kind][:2])
    numbers = [(code >> last, element(code, kind)) for code in weight.q[n]]
    return [
        F(math.nan) if number is None else F(math.copysign(float(number), -1 if sign else 1))
        for sign, number in numbers
    ]


def group_sums(x: Sequence[Any], group: int) -> Row:
    parts = [x[first : first + group] for first in range(0, len(x), group)]
    return [F(sum(part)) if isinstance(x[0], int) else sum_fp(part) for part in parts]


def product(x: Sequence[Any], weight: Stored, n: int, scale: Any = None, bias: Any = None) -> Any:
    """Output n of the row x: whole numbers with their scale, or float values that are those of bf16 or f16."""
    form, q = weight.form, numbers_of(weight, n)
    with np.errstate(all="ignore"):
        if not form.group:
            y = F(partial(x, q, form.sparse) * weight.scales[n][0])
        else:
            y = ZERO
            for j, s in enumerate(weight.scales[n]):
                part = slice(j * form.group, (j + 1) * form.group)
                y = F(y + F(partial(x[part], q[part], form.sparse) * s))
        if form.offsets:
            z = [F(F(s * F(8)) + m) for s, m in zip(weight.scales[n], weight.offsets[n], strict=True)]
            sums = group_sums(x, form.group)
            y = sum_fp([F(a * b) for a, b in zip(sums, z, strict=True)], y)
        if scale is not None:
            y = F(y * scale)
        return y if bias is None else F(y + bias)


def product_matrix(
    inputs: Sequence[Sequence[Any]], kind: str, weight: Stored, bias: Sequence[Any] | None = None
) -> Any:
    """y [T, N] of f32 rows that are first brought to `i8`, `bf16` or `f16`."""
    rows: list[Row] = []
    with np.errstate(all="ignore"):
        for row in inputs:
            scale = None
            if kind == "i8":
                x, scale = quantize_input(row)
            else:
                x = [bf16(value) if kind == "bf16" else f16(value) for value in row]
            biases = bias if bias is not None else [None] * len(weight.q)
            rows.append([product(x, weight, n, scale, biases[n]) for n in range(len(weight.q))])
    return np.array(rows, np.float32)

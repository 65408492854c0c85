"""fp32 immediates as text: the shortest decimal with the same bits, `inf`, `-inf`, or `0f` and eight hex digits."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from isa.encoding import imm_to_float

CANONICAL_NAN = 0x7FC00000
OVERFLOW = Fraction(2**128 - 2**103)
"""Halfway between the largest finite fp32 and 2^128: from here on a decimal does not round to a finite number."""

MAX_TEXT = 200
MAX_EXPONENT = 10000


def format_fp32(imm: int) -> str:
    """The text of the fp32 bits in a signed imm. NaN is written in hex, to keep its payload."""
    value = imm_to_float(imm)
    if math.isnan(value):
        return f"0f{imm & 0xFFFFFFFF:08x}"
    return str(np.float32(value))


def parse_fp32(text: str) -> int:
    """The signed imm of a text: a decimal rounded once (RNE), `inf`, `-inf`, `nan` (canonical) or `0f3f800000`.

    Raises ValueError for other texts and for decimals beyond the largest finite number.
    """
    if text.startswith("0f"):
        return _signed(int(text[2:], 16))
    if text == "nan":
        return CANONICAL_NAN
    if text in ("inf", "-inf"):
        return _signed(_bits(float(text)))
    return _signed(_bits(_round(text)))


def _round(text: str) -> float:
    exponent = text.lower().partition("e")[2]
    if len(text) > MAX_TEXT or abs(int(exponent or "0")) > MAX_EXPONENT:
        raise ValueError("the number is too long")
    exact = Fraction(text)
    if abs(exact) >= OVERFLOW:
        raise ValueError("the number is too large for fp32 (write inf)")
    near = np.float32(max(-3.4028234663852886e38, min(3.4028234663852886e38, float(exact))))
    # Two roundings (to binary64, then to binary32) may be one step off; the exact distances decide.
    with np.errstate(over="ignore"):
        steps = (np.nextafter(near, np.float32(-np.inf)), near, np.nextafter(near, np.float32(np.inf)))
    finite = [float(step) for step in steps if np.isfinite(step)]
    best = min(finite, key=lambda step: (abs(Fraction(step) - exact), _bits(step) & 1))
    return -0.0 if best == 0 and text.startswith("-") else best


def _bits(value: float) -> int:
    return int(np.float32(value).view(np.uint32))


def _signed(bits: int) -> int:
    return bits - (1 << 32) if bits >> 31 else bits

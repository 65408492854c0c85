"""Constant tables of the TABLE region: rotary cosines and sines, and the triangle that makes prefix sums of a product."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import DictionaryAttr, IntegerAttr, StringAttr

from compiler.dialects.slm import RotaryAttr
from compiler.interpreters.rotary import rotary_tables
from isa.spec import MAX_TOPK


def table_bytes(what: DictionaryAttr) -> int:
    """Bytes that a table takes in DRAM."""
    rotary, positions = what.data.get("rotary"), what.data.get("positions")
    if isinstance(rotary, RotaryAttr) and isinstance(positions, IntegerAttr):
        return positions.value.data * rotary.dim.data * 4
    return MAX_TOPK * MAX_TOPK * 4


def table_content(what: DictionaryAttr) -> NDArray[np.uint8]:
    """rotary: cos [positions, dim/2], then sin; triangle: [j, i] is 1 where i < j, as the weights of a prefix sum."""
    kind, rotary, positions = (what.data.get(name) for name in ("kind", "rotary", "positions"))
    if isinstance(rotary, RotaryAttr) and isinstance(positions, IntegerAttr):
        cos, sin = rotary_tables(rotary, positions.value.data, positions.value.data)
        return np.concatenate([cos.reshape(-1), sin.reshape(-1)]).astype(np.float32).view(np.uint8)
    if not isinstance(kind, StringAttr) or kind.data != "triangle":
        raise ValueError(f"unknown table {what}")
    return np.tril(np.ones((MAX_TOPK, MAX_TOPK), np.float32), -1).reshape(-1).view(np.uint8)

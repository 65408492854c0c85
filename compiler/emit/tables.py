"""Constant tables of the TABLE region: rotary cosines and sines, sinusoids, and the triangle that makes prefix sums of a product."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import DictionaryAttr, IntegerAttr, StringAttr

from compiler.dialects.slm import RotaryAttr
from compiler.interpreters.rotary import rotary_tables
from compiler.interpreters.sinusoid import sinusoid
from isa.spec import MAX_TOPK


def number(what: DictionaryAttr, name: str) -> int:
    """A number of a table's description. Raises ValueError if it is not there."""
    value = what.data.get(name)
    if not isinstance(value, IntegerAttr):
        raise ValueError(f'a table without the number "{name}": {what}')
    return value.value.data


def rotary_of(what: DictionaryAttr) -> RotaryAttr:
    value = what.data.get("rotary")
    if not isinstance(value, RotaryAttr):
        raise ValueError(f"a rotary table without its record: {what}")
    return value


def kind_of(what: DictionaryAttr) -> str:
    kind = what.data.get("kind")
    return kind.data if isinstance(kind, StringAttr) else ""


def table_bytes(what: DictionaryAttr) -> int:
    """Bytes that a table takes in DRAM. Raises ValueError for a description that is none."""
    match kind_of(what):
        case "rotary":
            return number(what, "positions") * rotary_of(what).dim.data * 4
        case "sinusoid":
            return number(what, "positions") * number(what, "columns") * 4
        case "triangle":
            return MAX_TOPK * MAX_TOPK * 4
        case _:
            raise ValueError(f"unknown table {what}")


def table_content(what: DictionaryAttr) -> NDArray[np.uint8]:
    """The bytes of a table, all f32. Raises ValueError for a description that is none.

    rotary: cos [positions, dim/2], then sin; sinusoid: [positions, columns], row 0 being that of position `first`;
    triangle: [j, i] is 1 where i < j, as the weights of a prefix sum.
    """
    match kind_of(what):
        case "rotary":
            positions = number(what, "positions")
            cos, sin = rotary_tables(rotary_of(what), positions, positions)
            values = np.concatenate([cos.reshape(-1), sin.reshape(-1)])
        case "sinusoid":
            first = number(what, "first")
            positions = np.arange(first, first + number(what, "positions"))
            values = sinusoid(positions, number(what, "columns"))
        case "triangle":
            values = np.tril(np.ones((MAX_TOPK, MAX_TOPK)), -1)
        case _:
            raise ValueError(f"unknown table {what}")
    return values.astype(np.float32).reshape(-1).view(np.uint8)

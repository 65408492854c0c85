"""The tile registers of AMX: eight matrices of up to 16 rows of up to 64 bytes, and products of int8 summed in int32, modulo 2^32.

A kernel sets their shapes first and releases them at its end: what a thread did before or does next needs to know nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from simulator.fast.kernels.emit import Code
from simulator.fast.kernels.instructions import call
from simulator.fast.kernels.lanes import Kind, Value

TILE_ROWS = 16
ROW_BYTES = 64
TILE_BYTES = TILE_ROWS * ROW_BYTES
TILES = 8
PALETTE = 1
_BYTE, _LINE = Kind("i8"), Kind("i8", ROW_BYTES)
_ROW_BYTES_AT, _ROWS_AT = 16, 48
Shape = tuple[Value | int, int]
"""Rows and bytes of a row of a tile register. Neither may be 0."""


def write_shapes(code: Code, at: Value, shapes: Sequence[Shape]) -> None:
    """Writes what `set_shapes` reads, 64 bytes: the shapes of the eight tile registers."""
    assert len(shapes) == TILES
    known = [0] * ROW_BYTES
    known[0] = PALETTE
    for tile, (rows, row_bytes) in enumerate(shapes):
        known[_ROW_BYTES_AT + 2 * tile] = row_bytes
        known[_ROWS_AT + tile] = rows if isinstance(rows, int) else 0
    code.store(at, Value(code.builder, ir.Constant(_LINE.llvm, known), _LINE))
    for tile, (rows, _) in enumerate(shapes):
        if isinstance(rows, Value):
            code.store(at + (_ROWS_AT + tile), rows.cast("trunc", _BYTE.element))


def set_shapes(code: Code, at: Value) -> None:
    """All tile registers are zero then."""
    _call(code, "ldtilecfg", [_pointer(code, at)])


def release(code: Code) -> None:
    """The processor need not keep them any more."""
    _call(code, "tilerelease", [])


def clear_tile(code: Code, tile: int) -> None:
    _call(code, "tilezero", [_number(tile)])


def load_tile(code: Code, tile: int, address: Value, step: Value | int) -> None:
    """`step`: bytes from one row to the next."""
    _call(code, "tileloadd64", [_number(tile), _pointer(code, address), _word(code, step)])


def store_tile(code: Code, tile: int, address: Value, step: Value | int) -> None:
    _call(code, "tilestored64", [_number(tile), _pointer(code, address), _word(code, step)])


def add_products(code: Code, total: int, a: int, b: int) -> None:
    """total[m, n] += sum over k of a[m, k] b[n, k]. a has rows of k bytes, b rows of quads: 4 k of each of 16 n."""
    _call(code, "tdpbssd", [_number(tile) for tile in (total, a, b)])


def _call(code: Code, name: str, arguments: list[ir.Value]) -> None:
    call(code.builder, f"llvm.x86.{name}", ir.VoidType(), arguments)


def _number(tile: int) -> ir.Constant:
    return ir.Constant(ir.IntType(8), tile)


def _pointer(code: Code, address: Value) -> ir.Value:
    return code.builder.inttoptr(address.llvm, ir.IntType(8).as_pointer())


def _word(code: Code, number: Value | int) -> ir.Value:
    return (number if isinstance(number, Value) else code.word(number)).llvm

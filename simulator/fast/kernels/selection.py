"""vtopk: merges a row into a sorted list of (value, index), value descending, then index ascending (docs/numerics.md, section 6).

The list is kept sorted; elements are taken in turn and go behind their equals, so ties come out as of a stable sort. A vector of
elements none of which reaches the last value of a full list is passed over.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from isa.descriptor import Descriptor
from isa.encoding import Decoded
from isa.spec import Dtype
from simulator.fast.kernels.abi import Arg, Choice
from simulator.fast.kernels.conversion import size_bytes
from simulator.fast.kernels.emit import Code, emitted
from simulator.fast.kernels.lanes import F32, LANES, WORD, Kind, Value, Variable
from simulator.fast.kernels.staging import CHUNK, CHUNK_BYTES, Staged, fields

ENTRY_BYTES = 8
ENTRIES, ELEMENTS, ROW = 0, 1, 2
"""Places in the parameters; those of the row are its fields, for the staged kernel."""
VECTORS = 4
"""Vectors of elements that are passed over at once."""
EMPTY = 0xFF800000 - (1 << 32)
"""The entry (-inf, -1)."""
_VALUE = Kind("f32")


class List(NamedTuple):
    """A sorted list in memory that is being made."""

    at: Value
    limit: Value
    length: Variable
    least: Variable
    """What a value must reach: that of the last entry, -inf if the list is not full."""


def value_of(entry: Value) -> Value:
    return entry.cast("trunc", "i32").cast("bitcast", "f32")


def index_of(entry: Value) -> Value:
    """Signed, 64 bits."""
    return entry.shifted_signed(32)


def is_better(a: Value, b: Value) -> Value:
    """Whether entry a comes before entry b."""
    value, other = value_of(a), value_of(b)
    return (value > other) | (value.equals(other) & (index_of(a) < index_of(b)))


def insert(code: Code, entries: List, entry: Value) -> None:
    """Behind the entries that are better or equal. Empty ones are left out, and those no better than the last one of a full list."""
    count, last = entries.length.get(), entries.limit - 1
    is_full = count.equals(entries.limit)
    is_last_better = ~is_better(entry, code.load(WORD, entries.at + last * ENTRY_BYTES))
    with code.when((value_of(entry) > -math.inf) & ~(is_full & is_last_better)):
        place = code.variable(count.smaller(last))
        with code.repeat() as search:
            search.leave_unless(place.get() > 0)
            at = entries.at + place.get() * ENTRY_BYTES
            before = code.load(WORD, at - ENTRY_BYTES)
            search.leave_unless(is_better(entry, before))
            code.store(at, before)
            place.set(place.get() - 1)
        code.store(entries.at + place.get() * ENTRY_BYTES, entry)
        entries.length.set((count + 1).smaller(entries.limit))
        with code.when(entries.length.get().equals(entries.limit)):
            entries.least.set(code.load(_VALUE, entries.at + last * ENTRY_BYTES))


def sort_list(code: Code, scratch: Value) -> List:
    """The list that is there, which may be in any order and have empty entries."""
    at, limit, zero = code.argument(Arg.TA), code.parameter(ENTRIES), code.word(0)
    least = code.variable(code.constant(_VALUE, -math.inf))
    entries = List(at, limit, code.variable(zero), least)
    with code.loop(zero, limit * ENTRY_BYTES, ENTRY_BYTES) as offset:
        code.store(scratch + offset, code.load(WORD, at + offset))
    with code.loop(zero, limit * ENTRY_BYTES, ENTRY_BYTES) as offset:
        insert(code, entries, code.load(WORD, scratch + offset))
    return entries


def scan(code: Code, entries: List, row: Value, count: Value, first: Value) -> None:
    """Elements of binary32 that follow each other; `first`: the index of the first one."""
    step = VECTORS * LANES
    whole = count // step * step
    with code.loop(code.word(0), whole, step) as k:
        vectors = [code.load(F32, row + (k + LANES * place) * 4) for place in range(VECTORS)]
        least = entries.least.get().spread()
        reached = vectors[0] >= least
        for vector in vectors[1:]:
            reached = reached | (vector >= least)
        with code.when(reached.any(), likely=False):
            _insert_all(code, entries, row, k, k + step, first)
    _insert_all(code, entries, row, whole, count, first)


def _insert_all(code: Code, entries: List, row: Value, start: Value, end: Value, first: Value) -> None:
    with code.loop(start, end) as k:
        value = code.load(_VALUE, row + k * 4)
        with code.when(value >= entries.least.get()):
            bits = value.cast("bitcast", "i32").cast("zext", "i64")
            insert(code, entries, bits | (first + k) << 32)


def write_selection(code: Code, is_staged: bool) -> None:
    scratch, row, first = code.argument(Arg.SCRATCH), code.argument(Arg.TB), code.argument(Arg.RS)
    elements, zero = code.parameter(ELEMENTS), code.word(0)
    entries = sort_list(code, scratch + CHUNK_BYTES)
    if is_staged:
        staged = Staged(code, ROW)
        with code.loop(zero, elements, CHUNK) as chunk:
            count = (elements - chunk).smaller(code.word(CHUNK))
            staged.load(row, chunk, count, scratch)
            scan(code, entries, scratch, count, first + chunk)
    else:
        scan(code, entries, row, elements, first)
    with code.loop(entries.length.get(), entries.limit) as place:
        code.store(entries.at + place * ENTRY_BYTES, code.word(EMPTY))


def choose_selection(instruction: Decoded, operands: dict[str, Descriptor]) -> Choice:
    """Every part would need the whole list: it is not divisible."""
    row = operands["tb"]
    step = row.strides[0]
    is_staged = row.dtype != Dtype.F32 or (step != size_bytes(row.dtype) and row.extents[0] > 1)
    parameters = (operands["ta"].extents[0], row.extents[0], *fields(row, step))
    name = "staged.vtopk" if is_staged else "topk.F32"
    return Choice(name, emitted(lambda code: write_selection(code, is_staged)), parameters)

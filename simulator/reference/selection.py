"""vtopk: merges a row into a sorted list of (f32 value, i32 index) entries (docs/numerics.md, section 6). L = ta, row = tb."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from isa.descriptor import Descriptor
from isa.spec import MAX_TOPK, Dtype, Trap
from simulator.memory import Array
from simulator.reference.elements import F32, load
from simulator.reference.operands import Context, Issue, destination, has_dtype, has_extents, require, source
from simulator.reference.philox import philox4x32
from simulator.reference.vector import check_operands

ENTRY_BYTES = 8
ENTRY_DTYPE = np.dtype([("value", "<f4"), ("index", "<i4")])


def check_vtopk(context: Context, issue: Issue) -> None:
    """The list is one dimension of f32 with s0 = 8: each entry is a value and the index after it."""
    check_operands(context, issue)
    entries, row = issue["ta"], issue["tb"]
    has_dtype("ta", entries, (Dtype.F32,))
    count = entries.extents[0]
    require(count <= MAX_TOPK, Trap.SHAPE_MISMATCH, "ta", f"{count} entries, at most {MAX_TOPK}")
    has_extents("ta", entries, (count, 1, 1, 1))
    has_extents("tb", row, (row.extents[0], 1, 1, 1))
    step = entries.strides[0]
    require(step == ENTRY_BYTES, Trap.TD_ILLEGAL, "ta", f"s0 = {step}, entries have {ENTRY_BYTES} bytes")
    source(context, "tb", row)
    destination(context, "ta", list_words(entries), (row,), aligned=False)


def list_words(entries: Descriptor) -> Descriptor:
    """The list as a dense tensor of 32-bit words, so that its interval covers the last index."""
    return Descriptor(entries.base, entries.region, Dtype.F32, (2 * entries.extents[0], 1, 1, 1), (4, 0, 0, 0))


def entry_view(context: Context, entries: Descriptor) -> Array:
    """The list as [entries] of ENTRY_DTYPE; writable."""
    array = context.memory.arrays[entries.region]
    return np.ndarray((entries.extents[0],), ENTRY_DTYPE, array, entries.base)


def empty_entries(count: int) -> Array:
    """Entries (-inf, -1), [count] of ENTRY_DTYPE."""
    return np.array([(-np.inf, -1)] * count, ENTRY_DTYPE)


def wrap_i32(value: int) -> int:
    """The low 32 bits as a signed number."""
    return (value + 2**31) % 2**32 - 2**31


def _candidates(row: F32, count: int) -> NDArray[np.intp]:
    """Positions that can be among the `count` best: everything not below the count-th largest value, empty ones left out."""
    usable = np.flatnonzero(row > -np.inf)  # false for NaN
    if len(usable) <= count:
        return usable
    values = row[usable]
    threshold = np.partition(values, len(values) - count)[len(values) - count]
    return usable[values >= threshold]


def vtopk(context: Context, issue: Issue) -> None:
    """Keeps the best entries of list and row: value descending, then index ascending."""
    entries = entry_view(context, issue["ta"])
    row = load(context.memory, issue["tb"]).reshape(-1)
    places = _candidates(row, len(entries))
    kept = entries[entries["value"] > -np.inf]
    values = np.concatenate([kept["value"], row[places]])
    first = wrap_i32(issue.rs)
    positions = (places + first + 2**31) % 2**32 - 2**31
    indices = np.concatenate([kept["index"], positions.astype(np.int32)])
    order = np.lexsort((indices, -values))[: len(entries)]
    result = empty_entries(len(entries))
    result["value"][: len(order)] = values[order]
    result["index"][: len(order)] = indices[order]
    entries[...] = result


def invented_entries(context: Context, issue: Issue, seed: int, number: int) -> None:
    """Timing-only runs: distinct random indices among the positions up to the row's end, values descending.

    `number`: how many lists were invented before this one. docs/timing.md, section 10.
    """
    entries = entry_view(context, issue["ta"])
    limit = max(1, min(issue.rs + issue["tb"].extents[0], 2**31 - 1))
    count = min(len(entries), limit)
    entries[...] = empty_entries(len(entries))
    entries["value"][:count] = np.arange(count, 0, -1, dtype=np.float32)
    entries["index"][:count] = _shuffled(_words(count, seed, number), limit)


def _words(count: int, seed: int, number: int) -> list[int]:
    """Random words of 32 bits: Philox4x32-10 with key `seed` and counter (i, number, 0, 0), the first word of each."""
    zero = np.zeros(count, np.uint64)
    counter = (np.arange(count, dtype=np.uint64), zero + np.uint64(number & 0xFFFFFFFF), zero, zero)
    return philox4x32(counter, (seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF))[0].tolist()


def _shuffled(words: list[int], limit: int) -> list[int]:
    """The first places of a Fisher-Yates shuffle of 0..limit-1: step i swaps place i with place i + words[i] * (limit - i) / 2^32."""
    moved: dict[int, int] = {}
    chosen: list[int] = []
    for i, word in enumerate(words):
        j = i + (word * (limit - i) >> 32)
        chosen.append(moved.get(j, j))
        moved[j] = moved.get(i, i)
    return chosen

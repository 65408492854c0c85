"""mm, mmg (docs/numerics.md, section 3): C[i3,i2,i1,n] (+)= sum_k A[i3,i2,i1,k] * B[i2,n,k], C = ta, A = tb, B = tc, scales = td."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from isa.descriptor import Descriptor
from isa.spec import (
    FMT_BLOCKED,
    FMT_SPARSE,
    MAX_MM_K,
    MM_DTYPES,
    MMG_DTYPES,
    MMG_SCALES,
    SUM_QUANTUM,
    Dtype,
    Flag,
    Region,
    Trap,
)
from simulator.memory import Array
from simulator.reference.elements import F32, canonical, load, read, read_sparse, to_f32
from simulator.reference.operands import (
    Context,
    Issue,
    destination,
    has_dtype,
    has_extents,
    in_regions,
    legal,
    require,
    source,
)
from simulator.reference.sums import quantum_sums, sum_fp

I32 = NDArray[np.int32]
EXACT_CHUNK = 1024  # 1024 products of two int8 stay below 2^24: binary32 adds them exactly in any order
MAX_WORK = 1 << 37  # multiplications of one instruction; beyond it the watchdog traps
BLOCK_TERMS = 1 << 16  # products computed at a time


def check_mm(context: Context, issue: Issue) -> None:
    c, a, b = issue["ta"], issue["tb"], issue["tc"]
    _check_legal(context, issue)
    result = MM_DTYPES.get((a.dtype, b.dtype))
    require(result is not None, Trap.ILLEGAL_DTYPE, "tb", f"{a.dtype.name} x {b.dtype.name}")
    require(c.dtype == result, Trap.ILLEGAL_DTYPE, "ta", f"dtype {c.dtype.name}")
    _check_shapes(issue)
    source(context, "tb", a)
    source(context, "tc", b)
    destination(context, "ta", c, (a, b), aligned=False)


def check_mmg(context: Context, issue: Issue) -> None:
    c, a, b, s = issue["ta"], issue["tb"], issue["tc"], issue["td"]
    _check_legal(context, issue)
    legal(context, "td", s, FMT_BLOCKED)
    in_regions("td", s, (Region.SRAM,))
    require((a.dtype, b.dtype) in MMG_DTYPES, Trap.ILLEGAL_DTYPE, "tb", f"{a.dtype.name} x {b.dtype.name}")
    has_dtype("td", s, MMG_SCALES)
    has_dtype("ta", c, (Dtype.F32,))
    _check_shapes(issue)
    group = 1 << b.glog2
    require(b.extents[0] % group == 0, Trap.SHAPE_MISMATCH, "tc", f"e0 = {b.extents[0]} is not a multiple of {group}")
    groups = b.extents[0] // group
    batch = s.extents[2] if s.extents[2] == 1 else b.extents[2]
    has_extents("td", s, (groups, b.extents[1], batch, 1))
    source(context, "tb", a)
    source(context, "tc", b)
    source(context, "td", s)
    destination(context, "ta", c, (a, b, s), aligned=False)


def _check_legal(context: Context, issue: Issue) -> None:
    for operand in ("ta", "tb", "tc"):
        legal(context, operand, issue[operand], FMT_BLOCKED | FMT_SPARSE if operand == "tc" else 0)
        in_regions(operand, issue[operand], (Region.SRAM,))


def _check_shapes(issue: Issue) -> None:
    c, a, b = issue["ta"], issue["tb"], issue["tc"]
    k, m, batch, outer = a.extents
    has_extents("tc", b, (k, b.extents[1], 1 if b.extents[2] == 1 else batch, 1))
    has_extents("ta", c, (b.extents[1], m, batch, outer))
    require(k <= MAX_MM_K, Trap.K_TOO_LONG, "tb", f"K = {k}")
    work = k * c.elements
    require(
        work <= MAX_WORK,
        Trap.WATCHDOG,
        "ta",
        f"{work} multiplications, at most {MAX_WORK} are simulated in one instruction",
    )


def mm(context: Context, issue: Issue) -> None:
    """Matrix product; float by sum_fp, int8 exactly in int32."""
    a, b = issue["tb"], issue["tc"]
    if a.dtype == Dtype.I8:
        product = _sparse_integers if b.fmt & FMT_SPARSE else integer_product
        _for_batches(context, issue, lambda rows, weights, start, _: start + product(rows, weights))
    else:
        product = _sparse_floats if b.fmt & FMT_SPARSE else float_product
        _for_batches(context, issue, lambda rows, weights, start, _: product(rows, weights, start))


def mmg(context: Context, issue: Issue) -> None:
    """Matrix product with a scale per group of k: acc = acc + f32(p_g) * s_g."""
    group = 1 << issue["tc"].glog2

    def product(rows: Array, weights: Weights, start: Array, scales: F32) -> Array:
        total = start
        for g in range(scales.shape[-1]):
            total = total + _group_sum(rows, weights, slice(g * group, (g + 1) * group)) * scales[:, g]
        return total

    _for_batches(context, issue, product)


Weights = Array | tuple[F32, NDArray[np.intp]]
"""Dense values [n, k], or sparse (values, columns), both [n, k / 2]."""

Product = Callable[[Array, Weights, Array, F32], Array]


def _group_sum(rows: Array, weights: Weights, columns: slice) -> F32:
    """f32(p_g) [m, n] of one group of k."""
    zero = np.zeros((1, 1), np.float32)
    if isinstance(weights, tuple):
        kept = slice(columns.start // 2, columns.stop // 2)
        part = (weights[0][:, kept], weights[1][:, kept])
        if rows.dtype == np.int8:
            return _sparse_integers(rows, part).astype(np.float32)
        return _sparse_floats(rows, part, zero)
    if rows.dtype == np.int8:
        return integer_product(rows[:, columns], weights[:, columns]).astype(np.float32)
    return float_product(rows[:, columns], weights[:, columns], zero)


def _for_batches(context: Context, issue: Issue, product: Product) -> None:
    """Calls product(A rows [m, k], B, start [m, n], scales [n, groups]) for each part with its own B and stores C."""
    memory = context.memory
    c, a, b = issue["ta"], issue["tb"], issue["tc"]
    integer = a.dtype == Dtype.I8
    rows = read(memory, a) if integer else load(memory, a)
    weights = _read_weights(context, b, integer)
    scales = load(memory, issue["td"])[0] if "td" in issue.operands else np.zeros((1, 1, 1), np.float32)
    target = memory.view(c)
    parts = b.extents[2]
    width = a.extents[2] // parts
    for part in range(parts):
        batch = slice(part * width, (part + 1) * width)
        out = target[:, batch]
        start = np.zeros((1, 1), out.dtype)
        if issue.fl & Flag.ACC:
            start = out.reshape(-1, out.shape[-1])
        flat = rows[:, batch].reshape(-1, rows.shape[-1])
        values = product(flat, weights[part], start, scales[part % len(scales)])
        out[...] = (values if integer and c.dtype == Dtype.I32 else canonical(values)).reshape(out.shape)


def _read_weights(context: Context, b: Descriptor, integer: bool) -> list[Weights]:
    if b.fmt & FMT_SPARSE:
        values, columns = read_sparse(context.memory, b)
        return list(zip(values, columns, strict=True))
    stored = read(context.memory, b)[0]
    return list(stored if integer else to_f32(stored, b.dtype))


def integer_product(rows: Array, weights: Weights) -> I32:
    """Exact [m, n] of int8 rows [m, k] and weights [n, k], in binary32 chunks that cannot round."""
    assert not isinstance(weights, tuple)
    total = np.zeros((rows.shape[0], weights.shape[0]), np.int32)
    for first in range(0, rows.shape[1], EXACT_CHUNK):
        columns = slice(first, first + EXACT_CHUNK)
        part = rows[:, columns].astype(np.float32) @ weights[:, columns].astype(np.float32).T
        total += part.astype(np.int32)
    return total


def float_product(rows: Array, weights: Weights, start: Array) -> F32:
    """sum_fp of the products of rows [m, k] and weights [n, k], continuing from start (broadcast to [m, n])."""
    assert not isinstance(weights, tuple)
    if rows.shape[0] > weights.shape[0]:  # the longer side becomes the inner loop; products commute
        return float_product(weights, rows, np.broadcast_to(start, (rows.shape[0], weights.shape[0])).T).T
    count, inner = rows.shape[0], weights.shape[0]
    total = np.array(np.broadcast_to(start, (count, inner)), np.float32)
    for first in range(0, inner, BLOCK_TERMS // SUM_QUANTUM):
        columns = slice(first, first + BLOCK_TERMS // SUM_QUANTUM)
        _accumulate(rows, weights[columns], total[:, columns])
    return total


def _accumulate(rows: F32, weights: F32, total: F32) -> None:
    """Adds the quanta of rows [m, k] times weights [n, k] to total [m, n] in ascending order, in bounded blocks."""
    length = rows.shape[1]
    quanta = -(-length // SUM_QUANTUM)
    left = np.zeros((rows.shape[0], quanta * SUM_QUANTUM), np.float32)
    left[:, :length] = rows
    right = np.zeros((quanta * SUM_QUANTUM, weights.shape[0]), np.float32)
    right[:length] = weights.T
    left = left.reshape(-1, quanta, SUM_QUANTUM, 1)
    right = right.reshape(quanta, SUM_QUANTUM, -1)
    terms_per_quantum = SUM_QUANTUM * weights.shape[0]
    quanta_step = max(1, BLOCK_TERMS // terms_per_quantum)
    rows_step = max(1, BLOCK_TERMS // (terms_per_quantum * min(quanta, quanta_step)))
    for row in range(0, len(left), rows_step):
        some = slice(row, row + rows_step)
        for first in range(0, quanta, quanta_step):
            part = slice(first, first + quanta_step)
            values = quantum_sums(left[some, part] * right[part])
            for quantum in range(values.shape[1]):
                total[some] += values[:, quantum]


def _sparse_floats(rows: Array, weights: Weights, start: Array) -> F32:
    """sum_fp over the kept terms, numbered in ascending k."""
    assert isinstance(weights, tuple)
    values, columns = weights
    total = np.array(np.broadcast_to(start, (rows.shape[0], values.shape[0])), np.float32)
    for n in range(values.shape[0]):
        terms = rows[:, columns[n]] * values[n]
        total[:, n] = _continue(terms, total[:, n])
    return total


def _continue(terms: F32, start: F32) -> F32:
    """sum_fp over the last dimension that starts at `start` instead of +0."""
    total = start
    for first in range(0, terms.shape[-1], SUM_QUANTUM):
        total = total + sum_fp(terms[..., first : first + SUM_QUANTUM])
    return total


def _sparse_integers(rows: Array, weights: Weights) -> I32:
    assert isinstance(weights, tuple)
    values, columns = weights
    total = np.zeros((rows.shape[0], values.shape[0]), np.int32)
    for n in range(values.shape[0]):
        terms = rows[:, columns[n]].astype(np.int64) * values[n].astype(np.int64)
        total[:, n] = terms.sum(axis=-1)
    return total

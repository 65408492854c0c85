"""vbin, vmad, vun, vred (docs/numerics.md, section 4). Sources are read as binary32, results are rounded when stored."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from isa.spec import VPU_RESULTS, VPU_SOURCES, Dtype
from simulator import transcendental
from simulator.reference.elements import F32, load, store
from simulator.reference.operands import (
    ON_CHIP,
    Context,
    Issue,
    destination,
    has_dtype,
    has_extents,
    in_regions,
    legal,
    source,
)
from simulator.reference.sums import sum_fp


def check_elementwise(context: Context, issue: Issue) -> None:
    """vbin, vmad, vun: equal extents of all operands."""
    check_operands(context, issue)
    target = issue["ta"]
    others = tuple(d for name, d in issue.operands.items() if name != "ta")
    for name, d in issue.operands.items():
        if name != "ta":
            has_extents(name, d, target.extents)
            source(context, name, d)
    destination(context, "ta", target, others)


def check_operands(context: Context, issue: Issue) -> None:
    """Legality, region and dtype of every operand of a VPU instruction; ta is the destination."""
    for name, d in issue.operands.items():
        legal(context, name, d)
    for name, d in issue.operands.items():
        in_regions(name, d, ON_CHIP)
    for name, d in issue.operands.items():
        has_dtype(name, d, VPU_RESULTS if name == "ta" else VPU_SOURCES)


def check_vred(context: Context, issue: Issue) -> None:
    check_operands(context, issue)
    target, data = issue["ta"], issue["tb"]
    has_extents("ta", target, (1, *data.extents[1:]))
    source(context, "tb", data)
    destination(context, "ta", target, (data,))


def maximum(a: F32, b: F32) -> F32:
    """IEEE 754-2019 maximum: NaN if either is NaN, +0 > -0."""
    a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
    equal = (a.view(np.uint32) & b.view(np.uint32)).view(np.float32)
    return np.where(a == b, equal, np.maximum(a, b))


def minimum(a: F32, b: F32) -> F32:
    """IEEE 754-2019 minimum: NaN if either is NaN, -0 < +0."""
    a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
    equal = (a.view(np.uint32) | b.view(np.uint32)).view(np.float32)
    return np.where(a == b, equal, np.minimum(a, b))


def row_maximum(values: F32) -> F32:
    """The IEEE maximum of the last dimension, which stays with extent 1, starting at -inf."""
    best = np.maximum(values.max(axis=-1, keepdims=True), np.float32(-np.inf))
    has_positive_zero = ((values == 0) & ~np.signbit(values)).any(axis=-1, keepdims=True)
    zero = np.where(has_positive_zero, np.float32(0.0), np.float32(-0.0))
    return np.where(best == 0, zero, best)


BINARY: dict[str, Callable[[F32, F32], F32]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "min": minimum,
    "max": maximum,
    "lt": lambda a, b: (a < b).astype(np.float32),
}
TERNARY: dict[str, Callable[[F32, F32, F32], F32]] = {
    "mad": lambda a, b, c: a * b + c,
    "msub": lambda a, b, c: a * b - c,
    "nmsub": lambda a, b, c: c - a * b,
}
UNARY: dict[str, Callable[[F32], F32]] = {
    "mov": lambda a: a,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "exp": transcendental.exp,
    "log": transcendental.log,
    "sigmoid": transcendental.sigmoid,
    "tanh": transcendental.tanh,
    "erf": transcendental.erf,
}
REDUCTIONS: dict[str, Callable[[F32], F32]] = {
    "sum": lambda a: sum_fp(a)[..., None],
    "max": row_maximum,
    "amax": lambda a: row_maximum(np.abs(a)),
}


def _second(context: Context, issue: Issue, operand: str) -> F32:
    """The operand that flags I and X replace by a scalar (shape [])."""
    if issue.scalar is not None:
        return np.asarray(issue.scalar, np.float32)
    return load(context.memory, issue[operand])


def vbin(context: Context, issue: Issue) -> None:
    """ta = tb f (tc or scalar)."""
    a = load(context.memory, issue["tb"])
    store(context.memory, issue["ta"], BINARY[issue.function](a, _second(context, issue, "tc")))


def vmad(context: Context, issue: Issue) -> None:
    """a * b + c and its relatives: a = tb, b = tc or scalar, c = td; the product is rounded first."""
    a = load(context.memory, issue["tb"])
    b = _second(context, issue, "tc")
    c = load(context.memory, issue["td"])
    store(context.memory, issue["ta"], TERNARY[issue.function](a, b, c))


def vun(context: Context, issue: Issue) -> None:
    """ta = f(tb or scalar)."""
    if issue.function == "mov" and _copies_bits(issue):
        _move_bits(context, issue)
        return
    a = _second(context, issue, "tb")
    store(context.memory, issue["ta"], UNARY[issue.function](a))


def _copies_bits(issue: Issue) -> bool:
    target = issue["ta"]
    if issue.scalar is not None:
        return target.dtype == Dtype.F32
    data = issue["tb"]
    return target.dtype == data.dtype and (target.dtype != Dtype.I4 or target.glog2 == data.glog2)


def _move_bits(context: Context, issue: Issue) -> None:
    bits = context.memory.bits(issue["ta"])
    if issue.scalar is None:
        bits[...] = context.memory.bits(issue["tb"])
    else:
        bits[...] = issue.scalar.view(np.uint32)


def vred(context: Context, issue: Issue) -> None:
    """Reduces dimension 0."""
    store(context.memory, issue["ta"], REDUCTIONS[issue.function](load(context.memory, issue["tb"])))

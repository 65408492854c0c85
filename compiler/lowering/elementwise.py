"""Elementwise ops on views: the formulas of docs/numerics.md section 8 as vector instructions."""

from __future__ import annotations

from collections.abc import Callable
from math import pi, prod, sqrt

import numpy as np
from xdsl.dialects.builtin import DenseArrayBase, IndexType, StringAttr, i64
from xdsl.ir import Operation, SSAValue

from compiler.dialects import slmq, tile
from compiler.lowering.builder import TileBuilder
from compiler.lowering.tensors import on_chip
from compiler.lowering.values import Lowering, dies_at

View = Callable[[], SSAValue]
SMALLEST_RANGE = 2.0**-119


def activation(b: TileBuilder, kind: str, out: SSAValue, x: SSAValue, temp: View) -> None:
    """out = f(x); out and x may be the same view. `temp` makes a scratch view of the same extents."""
    if kind in ("sigmoid", "tanh"):
        b.vun(kind, out, x)
    elif kind == "relu":
        b.vbin("max", out, x, 0.0)
    elif kind in ("silu", "quick_gelu"):
        t = temp()
        if kind == "silu":
            b.vun("sigmoid", t, x)
        else:
            b.vbin("mul", t, x, 1.702)
            b.vun("sigmoid", t, t)
        b.vbin("mul", out, x, t)
    elif kind == "softplus":
        softplus(b, out, x, temp(), temp())
    else:
        gelu(b, kind, out, x, temp())


def gelu(b: TileBuilder, kind: str, out: SSAValue, x: SSAValue, t: SSAValue) -> None:
    """(x * 0.5) * (g + 1) with g the erf or tanh form."""
    if kind == "gelu":
        b.vbin("mul", t, x, 1 / sqrt(2))
        b.vun("erf", t, t)
    else:
        b.vbin("mul", t, x, x)
        b.vbin("mul", t, t, x)
        b.vmad("mad", t, t, 0.044715, x)
        b.vbin("mul", t, t, sqrt(2 / pi))
        b.vun("tanh", t, t)
    b.vbin("add", t, t, 1.0)
    b.vbin("mul", out, x, 0.5)
    b.vbin("mul", out, out, t)


def softplus(b: TileBuilder, out: SSAValue, x: SSAValue, e: SSAValue, v: SSAValue) -> None:
    """max(x, +0) + (log(v + 1) + (e - v)) with e = exp(-|x|), v = (e + 1) - 1."""
    b.vun("abs", e, x)
    b.vbin("mul", e, e, -1.0)
    b.vun("exp", e, e)
    b.vbin("add", v, e, 1.0)
    b.vbin("add", v, v, -1.0)
    b.vbin("sub", e, e, v)
    b.vbin("add", v, v, 1.0)
    b.vun("log", v, v)
    b.vbin("add", v, v, e)
    b.vbin("max", out, x, 0.0)
    b.vbin("add", out, out, v)


def lower_elementwise(low: Lowering, op: Operation) -> None:
    """An elementwise op on whole rows; works in place when an operand of the same shape dies here."""
    result = op.results[0]
    operands = {v: on_chip(low, v) for v in op.operands}
    reused = [v for v in op.operands if v.type == result.type and result not in low.targets and dies_at(v, op)]
    out = operands[reused[0]] if reused else low.result(result, op.name.split(".")[1])
    low.values[result] = out
    target = low.view(out)
    sources = [low.stretched(operands[v], out.shape, out.rows) for v in op.operands]
    apply(low, op, target, sources, lambda: low.view(low.fresh(result, "temp")))


def apply(low: Lowering, op: Operation, target: SSAValue, sources: list[SSAValue], temp: View) -> None:
    """The instruction(s) of one elementwise op."""
    b = low.builder
    if isinstance(op, slmq.ScaleOp):
        scale(low, op, target, sources[0])
    elif isinstance(op, slmq.OffsetOp):
        b.vbin("add", target, sources[0], op.constant.value.data)
    elif isinstance(op, slmq.ActivationOp):
        activation(b, op.kind.data, target, sources[0], temp)
    else:
        b.vbin(slmq.BINARY_FUNCTIONS[type(op)], target, sources[0], sources[1])


def scale(low: Lowering, op: slmq.ScaleOp, target: SSAValue, x: SSAValue) -> None:
    """Times a constant, or times the layer's own, whose bits come from the layer table."""
    b = low.builder
    if op.layer_factors is None or low.layer is None:
        b.vbin("mul", target, x, op.factor.value.data)
        return
    bits = np.array(op.layer_factors.get_values(), np.float32).view(np.uint32)
    what = {"group": StringAttr("factors"), "kinds": DenseArrayBase.from_list(i64, bits.tolist())}
    factor = b.insert(tile.KindOp(operands=[low.layer], properties=what, result_types=[IndexType()])).results[0]
    b.scale_by_bits(target, x, factor)


def lower_round(low: Lowering, op: slmq.RoundOp) -> None:
    out = low.result(op.result, "rounded")
    low.values[op.result] = out
    low.builder.vun("mov", low.view(out), low.view(low.values[op.x]))


def lower_group_sums(low: Lowering, op: slmq.GroupSumsOp) -> None:
    """Sums of consecutive elements."""
    out, x = low.result(op.result, "group_sums"), low.values[op.x]
    low.values[op.result] = out
    groups = (out.columns, op.group.value.data)
    low.builder.vred("sum", low.view(out, (out.columns, 1)), low.view(x, groups))


def lower_quantize(low: Lowering, op: slmq.QuantizeOp) -> None:
    """a = max(amax(x), 2^-119); q = i8(x * (127 / a)); s = a * f32(1/127), which nothing here waits for."""
    b, axes = low.builder, op.axes.value.data
    x = low.values[op.x]
    outer, inner = x.shape[: len(x.shape) - axes], x.shape[len(x.shape) - axes :]
    rows = (*outer, prod(inner))
    q, scale = low.result(op.q, "quantized"), low.result(op.scale, "row_scale")
    low.values[op.q], low.values[op.scale] = q, scale
    numerators = low.filled(scale, 127.0)
    b.vred("amax", low.view(scale), low.view(x, rows))
    b.vbin("max", low.view(scale), low.view(scale), SMALLEST_RANGE)
    b.vbin("mul", low.view(q, rows), low.view(x, rows), low.stretched(low.divide(numerators, scale), rows))
    b.vbin("mul", low.view(scale), low.view(scale), 1 / 127)

"""Convolution and scan: docs/numerics.md section 12.

Between chunks KV holds the last K - 1 rows [K - 1, channels] of a convolution, and h of a scan as [N, channels].
"""

from __future__ import annotations

from xdsl.ir import SSAValue

from compiler.dialects import slmq
from compiler.dialects.slm import shape_of
from compiler.lowering.builder import Index, Place
from compiler.lowering.channels import (
    F32_BYTES,
    Channels,
    by_channels,
    channels_at_once,
    load_state,
    state_place,
    transposed_place,
)
from compiler.lowering.tensors import on_chip, vector_place
from compiler.lowering.values import Lowering, Tensor, dies_at
from isa.spec import SUM_QUANTUM


def lower_causal_conv(low: Lowering, op: slmq.CausalConvOp) -> None:
    """The chunk's rows behind the last K - 1 before it; each tap is a view of these rows, moved by one."""
    b, x, kept = low.builder, low.values[op.x], op.taps - 1
    out = x if dies_at(op.x, op) else low.result(op.result, "convolved")
    low.values[op.result] = out
    weights = transposed_place(low, op.weight)
    bias = None if op.bias is None else vector_place(low, op.bias)
    state = state_place(low, op.state, "rows", kept, x.columns) if kept else None
    most = channels_at_once(low.plan, x.columns, (kept + low.plan.chunk + op.taps + 1) * F32_BYTES)

    def convolve(part: Channels) -> None:
        window = part.alloc("conv_rows", kept + low.plan.chunk)
        if state is not None:
            load_state(low, part, window, state, kept)
        b.vun("mov", part.rows(window, low.rows, kept), part.of_tokens(x))
        taps = part.alloc("conv_taps", op.taps)
        b.load(part.rows(taps, op.taps), part.in_dram(weights, op.taps))
        y = part.of_tokens(out)
        b.vbin("mul", y, part.rows(window, low.rows), part.repeated(taps, low.rows))

        def tap(index: SSAValue, _: list[SSAValue]) -> list[Index]:
            b.vmad("mad", y, part.rows(window, low.rows, index), part.repeated(taps, low.rows, index), y)
            return []

        b.loop(1, op.taps, 1, tap)
        if bias is not None:
            added = part.alloc("conv_bias", 1)
            b.load(part.rows(added, 1), part.in_dram(bias, 1))
            b.vbin("add", y, y, part.repeated(added, low.rows))
        if state is not None:
            b.store(part.in_dram(state, kept), part.rows(window, kept, low.rows))

    by_channels(low, x.columns, most, convolve)


def lower_selective_scan(low: Lowering, op: slmq.SelectiveScanOp) -> None:
    """dt * u for the whole chunk, then token after token on a tile of h."""
    b = low.builder
    u, dt = low.values[op.u], low.values[op.dt]
    channels, entries = shape_of(op.a)
    out = u if dies_at(op.u, op) else low.result(op.result, "scanned")
    low.values[op.result] = out
    b.vbin("mul", low.view(out), low.view(dt), low.view(u))
    most = channels_at_once(low.plan, channels, (3 * entries + halves(entries)) * F32_BYTES)
    state = state_place(low, op.state, "h", entries, channels)
    decay, products = (
        Place("sram", b.alloc(label, rows * most * F32_BYTES))
        for label, rows in (("decay", entries), ("products", halves(entries)))
    )
    source = scan_matrix(low, op.a)

    def scan(part: Channels) -> None:
        a, h = part.alloc("scan_matrix", entries), part.alloc("scan_state", entries)
        load_matrix(low, part, a, source, entries)
        load_state(low, part, h, state, entries)
        step = ScanStep(low, part, (a, h, decay, products), (dt, out, low.values[op.b], low.values[op.c]), entries)
        b.loop(0, low.rows, 1, step.run)
        b.store(part.in_dram(state, entries), part.rows(h, entries))

    by_channels(low, channels, most, scan)


def halves(terms: int) -> int:
    """Rows that the first step of a sum over `terms` leaves: of a quantum, the largest power of two below their number."""
    quantum = min(terms, SUM_QUANTUM)
    return 1 << max((quantum - 1).bit_length() - 1, 0)


def scan_matrix(low: Lowering, a: SSAValue) -> Place | Tensor:
    """A in DRAM as [N, channels] if it is a weight, else the value in SRAM."""
    producer = a.owner
    return transposed_place(low, producer.weight) if isinstance(producer, slmq.TensorOp) else on_chip(low, a)


def load_matrix(low: Lowering, part: Channels, target: Place, source: Place | Tensor, entries: int) -> None:
    """The tile's part of A, as [N, channels]."""
    b = low.builder
    if isinstance(source, Place):
        b.load(part.rows(target, entries), part.in_dram(source, entries))
        return
    strides: list[Index] = [entries * F32_BYTES, F32_BYTES]
    offset = b.mul(part.first, entries * F32_BYTES)
    b.vun("mov", part.rows(target, entries), b.view(source.place, "f32", [part.count, entries], strides, offset))


class ScanStep:
    """One token of a scan on one tile of channels."""

    def __init__(
        self,
        low: Lowering,
        part: Channels,
        buffers: tuple[Place, Place, Place, Place],
        values: tuple[Tensor, Tensor, Tensor, Tensor],
        entries: int,
    ):
        """buffers: A, h, exp(dt A), products; values: dt, the output (which holds dt * u), B, C."""
        self.b, self.part, self.entries = low.builder, part, entries
        self.a, self.h, self.decay, self.products = buffers
        self.dt, self.out, self.b_in, self.c_in = values

    def run(self, token: SSAValue, _: list[SSAValue]) -> list[Index]:
        b, part, entries = self.b, self.part, self.entries
        decay, h = part.rows(self.decay, entries), part.rows(self.h, entries)
        b.vbin("mul", decay, part.rows(self.a, entries), part.of_token(self.dt, token, entries))
        b.vun("exp", decay, decay)
        b.vbin("mul", h, h, decay)
        b.vmad("mad", h, part.of_token(self.out, token, entries), self.factors(self.b_in, token, 0, entries), h)
        self.sum(token)
        return []

    def factors(self, tensor: Tensor, token: Index, first: Index, count: int) -> SSAValue:
        """Entries of B or C of one token, each read for all channels."""
        offset = self.b.add(self.b.mul(token, tensor.row_bytes), self.b.mul(first, F32_BYTES))
        return self.b.view(tensor.place, "f32", [self.part.count, count], [0, F32_BYTES], offset)

    def sum(self, token: SSAValue) -> None:
        """y = sum_fp over the entries of h * C. Terms that are missing in a quantum, +0, change nothing before the last addition."""
        b, entries = self.b, self.entries
        y, total = self.part.of_token(self.out, token), self.part.rows(self.products, 1)
        self.quantum(token, 0, min(entries, SUM_QUANTUM))
        b.vbin("add", y, total, 0.0)

        def more(first: SSAValue, _: list[SSAValue]) -> list[Index]:
            self.quantum(token, first, SUM_QUANTUM)
            b.vbin("add", y, y, total)
            return []

        whole = entries // SUM_QUANTUM * SUM_QUANTUM
        if whole > SUM_QUANTUM:
            b.loop(SUM_QUANTUM, whole, SUM_QUANTUM, more)
        if SUM_QUANTUM <= whole < entries:
            self.quantum(token, whole, entries - whole)
            b.vbin("add", y, y, total)

    def quantum(self, token: SSAValue, first: Index, count: int) -> None:
        """The first row of `products` = the sum of one quantum: halves are added to each other."""
        b, part, half = self.b, self.part, halves(count)
        low, c = part.rows(self.products, half), self.factors(self.c_in, token, first, half)
        b.vbin("mul", low, part.rows(self.h, half, first), c)
        if count > half:
            rest, behind = count - half, b.add(first, half)
            target = part.rows(self.products, rest)
            b.vmad("mad", target, part.rows(self.h, rest, behind), self.factors(self.c_in, token, behind, rest), target)
        while half > 1:
            half //= 2
            b.vbin(
                "add",
                part.rows(self.products, half),
                part.rows(self.products, half),
                part.rows(self.products, half, half),
            )

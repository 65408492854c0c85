"""Attention of a chunk of rows over all rows: keys and values are whole tensors in DRAM, [rows][kv head][head_dim]."""

from __future__ import annotations

from xdsl.ir import SSAValue

from compiler.dialects import slm, slmq
from compiler.lowering.attention import softcap_of
from compiler.lowering.attention_blocks import UNLIMITED, Cache, HeadRows, QueryRows, Shape
from compiler.lowering.attention_loops import Attend
from compiler.lowering.builder import Index, Place, element_bytes
from compiler.lowering.query_tiles import for_heads
from compiler.lowering.values import Lowering, Tensor
from isa.spec import KV_BLOCK


class AttendAll(Attend):
    """Every query sees every key: the keys of all blocks lie before the first query, as vsmx counts."""

    def reach(self) -> tuple[Index, Index]:
        return 0, self.shape.capacity

    def visibility(self, start: SSAValue) -> tuple[Index, Index]:
        return KV_BLOCK, UNLIMITED

    def entries(self, base: SSAValue, first: Index, extents: list[Index]) -> SSAValue:
        b, s = self.b, self.shape
        offset = b.add(b.add(base, b.mul(first, s.row_bytes)), b.mul(self.head, s.entry_bytes))
        strides = [element_bytes(s.cache_dtype), s.row_bytes, s.entry_bytes]
        return b.view(Place("scratch", offset=offset), s.cache_dtype, extents, strides)


def lower_full_attention(low: Lowering, op: slmq.FullAttentionOp, k: Tensor, v: Tensor) -> None:
    """k and v are whole tensors in SCRATCH; the other values are those of the chunk."""
    b = low.builder
    keys, kv_heads, head_dim = slm.shape_of(op.k)
    heads, dtype = slm.shape_of(op.q)[1], slmq.element_of(op.q.type)
    group = max(size for size in range(1, kv_heads + 1) if kv_heads % size == 0 and size <= low.plan.kv_heads)
    shape = Shape(heads, kv_heads, head_dim, keys, None, dtype, dtype, group, low.plan.key_tile)
    cache = Cache(b.value(k.place.offset), b.value(v.place.offset), None, None)
    out = low.result(op.result, "attended")
    low.values[op.result] = out

    def attend(head: Index) -> None:
        rows = QueryRows(low, shape, HeadRows(low.values[op.q], head), HeadRows(out, head), head)
        AttendAll(low, shape, cache, rows, softcap_of(op)).run()

    for_heads(low, shape, attend)

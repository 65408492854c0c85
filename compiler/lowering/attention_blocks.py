"""What attention works on: its sizes, the cache, and the query rows of a group of key-value heads with their scores and sums."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace

from xdsl.ir import SSAValue

from compiler.lowering.builder import Index, Place, TileBuilder, element_bytes
from compiler.lowering.values import Lowering, Tensor
from isa.spec import KV_BLOCK

SCORE_BUFFERS = (
    "scores", "probabilities", "running", "inverses", "folded", "channel_scales", "channel_inverses", "tile_scales", "tile_inverses",
)  # fmt: skip
"""Labels of the buffers whose size depends on the key-value heads of a plan."""
RUNNING_BYTES = 16
LOWEST = -3.4028234663852886e38
UNLIMITED = (1 << 31) - 1


@dataclass(frozen=True)
class Shape:
    """Sizes of one attention op; `capacity` positions are kept per head, in a ring or all; `group` heads are attended at once."""

    heads: int
    kv_heads: int
    head_dim: int
    capacity: int
    window: int | None
    cache_dtype: str
    dtype: str
    group: int
    key_tile: int
    is_ring: bool = False

    @property
    def queries(self) -> int:
        """Query heads per key-value head."""
        return self.heads // self.kv_heads

    @property
    def entry_bytes(self) -> int:
        """One head's key or value of one position."""
        return self.head_dim * element_bytes(self.cache_dtype)

    @property
    def row_bytes(self) -> int:
        """All heads' keys or values of one position."""
        return self.kv_heads * self.entry_bytes

    @property
    def tile_keys(self) -> int:
        """Keys loaded at once."""
        return min(self.key_tile, KV_BLOCK)

    def slot(self, b: TileBuilder, position: Index) -> Index:
        """Where a position lies among those kept."""
        return b.rem(position, self.capacity) if self.is_ring else position


@dataclass(frozen=True)
class Cache:
    """Offsets in KV of one layer's parts."""

    k: SSAValue
    v: SSAValue
    k_scale: SSAValue | None
    v_scale: SSAValue | None


@dataclass(frozen=True)
class CacheRows:
    """The rows of a chunk in the cache: the first head's first row lies at `offset` in KV."""

    offset: Index
    shape: Shape


def append_rows(b: TileBuilder, cache: CacheRows, first: Index, rows: Tensor) -> None:
    """Rows in SRAM to their slots, those of the chunk from `first` on. A head's rows follow each other in DRAM: all of them, then those of
    the next head."""
    s, size = cache.shape, element_bytes(cache.shape.cache_dtype)
    extents: list[Index] = [s.head_dim, rows.rows, s.kv_heads]
    place = Place("kv", offset=b.add(cache.offset, b.mul(first, s.entry_bytes)))
    source = b.view(rows.place, rows.dtype, extents, [size, rows.row_bytes, s.head_dim * size])
    b.store(b.view(place, s.cache_dtype, extents, [size, s.entry_bytes, s.capacity * s.entry_bytes]), source)


@dataclass(frozen=True)
class HeadRows:
    """Rows of query heads; `first`: which key-value head of the tensor the attention begins with. `by_part`: a buffer of the
    attention's own, in which the rows of a part follow each other."""

    tensor: Tensor
    first: Index
    by_part: bool = False


@dataclass(frozen=True)
class Part:
    """Some of a group's query rows: those of `heads` key-value heads from `first_head` on, `queries` from `first_query` on."""

    first_head: int
    heads: int
    first_query: int
    queries: int

    def halves(self) -> list[Part]:
        """Two parts, of heads if there are two, else of the queries of a head; itself if it has one row."""
        h, q = self.heads // 2, self.queries // 2
        if h:
            return [replace(self, heads=h), replace(self, first_head=self.first_head + h, heads=self.heads - h)]
        if q:
            return [replace(self, queries=q), replace(self, first_query=self.first_query + q, queries=self.queries - q)]
        return [self]


class QueryRows:
    """The query rows of the key-value heads from `head` on: q, scores, (m, l, alpha, -) and weighted values, or a part of them.

    `sums`: a buffer for the weighted values until they are done, where those in `out` would make the parts wait for each other.
    """

    def __init__(
        self, low: Lowering, shape: Shape, q: HeadRows, out: HeadRows, head: Index, sums: HeadRows | None = None
    ):
        self.low, self.b, self.shape, self.head = low, low.builder, shape, head
        self.query_rows, self.out_rows, self.sums = q, out, sums
        self.part = Part(0, shape.group, 0, shape.queries)
        rows = low.most_rows * shape.group * shape.queries
        size = element_bytes(shape.dtype)
        self.scores = Place("sram", self.b.alloc("scores", rows * KV_BLOCK * 4))
        same = shape.dtype == "f32"
        self.probabilities = (
            self.scores if same else Place("sram", self.b.alloc("probabilities", rows * KV_BLOCK * size))
        )
        self.running = Place("sram", self.b.alloc("running", rows * RUNNING_BYTES))
        self.inverses = Place("sram", self.b.alloc("inverses", rows * 4))

    def at(self, head: Index) -> QueryRows:
        """Those of other heads, in the same buffers."""
        rows = copy(self)
        rows.head = head
        rows.query_rows, rows.out_rows = replace(self.query_rows, first=head), replace(self.out_rows, first=head)
        return rows

    def of(self, part: Part) -> QueryRows:
        """Views of a part, in the same buffers."""
        rows = copy(self)
        rows.part = part
        return rows

    @property
    def outer(self) -> list[Index]:
        """The dimensions of a row: query heads of a group, key-value heads, tokens."""
        return [self.part.queries, self.part.heads, self.low.rows]

    def head_view(self, rows: HeadRows, dtype: str) -> SSAValue:
        """[head_dim, ..] of rows that hold entries of all heads."""
        s, size = self.shape, element_bytes(dtype)
        entry, head = s.head_dim * size, s.queries * s.head_dim * size
        own = self.part.first_head * head + self.part.first_query * entry
        offset = self.b.add(self.b.mul(rows.first, head), own)
        strides = [size, entry, head, rows.tensor.row_bytes]
        return self.b.view(rows.tensor.place, dtype, [s.head_dim, *self.outer], strides, offset)

    @property
    def q(self) -> SSAValue:
        return self.head_view(self.query_rows, self.shape.dtype)

    @property
    def acc(self) -> SSAValue:
        return self.values_view(self.sums or self.out_rows)

    def values_view(self, rows: HeadRows) -> SSAValue:
        if rows.by_part:
            head_bytes = self.shape.head_dim * 4
            return self.row_view(rows.tensor.place, "f32", self.shape.head_dim, 4, head_bytes, 0)
        return self.head_view(rows, "f32")

    def first_query_head(self) -> Index:
        """The first of the part's query heads, of all."""
        own = self.part.first_head * self.shape.queries + self.part.first_query
        return self.b.add(self.b.mul(self.head, self.shape.queries), own)

    def row_view(self, place: Place, dtype: str, extent: Index, stride: int, row_bytes: int, offset: Index) -> SSAValue:
        """[extent, ..] of a buffer with `row_bytes` for each row. A part's rows follow each other: parts do not wait for each other
        where they only lie side by side."""
        part = self.part
        strides: list[Index] = [stride, row_bytes, part.queries * row_bytes, part.heads * part.queries * row_bytes]
        before = part.first_head * self.shape.queries + part.first_query * part.heads
        own = before * self.low.most_rows * row_bytes
        return self.b.view(place, dtype, [extent, *self.outer], strides, self.b.add(offset, own))

    def running_view(self, word: int, size: int, repeat: bool = False) -> SSAValue:
        """Words of (m, l, alpha, -) per row; `repeat` broadcasts one word over `size` elements."""
        return self.row_view(self.running, "f32", size, 0 if repeat else 4, RUNNING_BYTES, word * 4)

    def score_view(self, place: Place, dtype: str, keys: Index, offset: Index = 0) -> SSAValue:
        size = element_bytes(dtype)
        return self.row_view(place, dtype, keys, size, KV_BLOCK * size, offset)

    def start(self) -> None:
        self.b.vun("mov", self.running_view(0, 1), LOWEST)
        self.b.vun("mov", self.running_view(1, 3), 0.0)
        self.b.vun("mov", self.acc, 0.0)

    def rescale(self) -> None:
        """acc = acc * alpha."""
        self.b.vbin("mul", self.acc, self.acc, self.running_view(2, self.shape.head_dim, repeat=True))

    def finish(self) -> None:
        """out = acc * (1 / l)."""
        self.b.invert(self.row_view(self.inverses, "f32", 1, 4, 4, 0), self.running_view(1, 1))
        inverse = self.row_view(self.inverses, "f32", self.shape.head_dim, 0, 4, 0)
        self.b.vbin("mul", self.values_view(self.out_rows), self.acc, inverse)

"""The sizes a lowering works with. choose-tiling finds them; every choice gives the same bits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import lcm

from xdsl.dialects.builtin import DictionaryAttr, IntegerAttr, ModuleOp, i64

from compiler.dialects.slm import shape_of
from compiler.dialects.slmq import AttentionOp, RmsNormOp, RopeOp, StripsOp
from compiler.errors import CompileError
from compiler.formats import WeightFormat
from compiler.sizes import padded
from isa.spec import SUM_QUANTUM

PLAN_ATTRIBUTE = "tile.plan"
SINGLE_ATTRIBUTE = "tile.single"
ROW_TILES = (16, 8, 4, 2, 1)
"""More rows take longer to come before the first of them is worked on; fewer take longer in the latencies of the vector unit."""
KEY_TILES = (256, 128, 64, 32)
STRIP_ROWS_UNIT = 16  # rows of a weight strip come in blocks of the blocked storage format
MOST_STRIP_ROWS = 512
SPARSITY = 2
"""Columns of a 2:4 sparse row for each of its terms."""
WORD_BYTES = 4
INPUT_TILE_SHARE = 4
K_TILE_UNIT = 64  # a multiple of the sum quantum, and of the lanes of the larger arrays

(
    EARLY_KEYS,
    EARLY_NARROW,
    EARLY_ATTENTION,
    EARLY_LAYERS,
    EARLY_WIDE,
    EARLY_BESIDE,
    EARLY_GROUPS,
    EARLY_REGIONS,
    EARLY_ROWS,
) = (1 << bit for bit in range(9))
"""What comes early: the first keys of a group of heads; the first strips behind rows that are worked on in tiles of the largest size,
behind attention, of the next layer, and behind wider rows; rows in front of attention, beside products (rows_beside.py); the first strips
behind another group of products; those that do not come earlier, in front of the region of rows that makes their input; with those of
the next layer, the rows that they read (next_rows.py)."""


@dataclass(frozen=True)
class TilePlan:
    """context: positions of the KV cache; chunk: most tokens processed at once; strip_bytes: weights in flight per strip, one
    buffer, or the buffers of one tile of channels; kv_heads: key-value heads attended at once; key_tile: keys loaded at once, a
    multiple of 32 or a whole KV block; array_rows: output rows the matrix unit computes at once; buffers: how many take turns in a
    stream, 1 or 2.

    spill_bytes: values of a chunk that take more than this lie in DRAM where they can; 0: none do. Then rows of them that take
    row_bytes are worked on at once between products, and query_tile tokens in attention.

    stream_bytes: inputs of products that take more than this come from DRAM again for each strip, which has stream_rows rows then;
    0: none do. image_chunk: rows of an image that its encoder works on at once; 0: as many as tokens.

    ahead: 1 if first weights are loaded while what comes before them is finished (compiler/lowering/ahead.py), else 0. early: what
    of a chunk of tokens comes before its time, a sum of EARLY_KEYS..; first strips are multiplied while their input is made
    (compiler/lowering/early_strips.py).

    wide_tile: columns, at most, of the tiles of an input that is quantised beside its product (compiler/lowering/wide_products.py), if
    it has more of them; 0: none is. staying: 1 if results of such products stay where their sums are, as far as only regions of rows
    read them.

    kept: a bit for each value that stays in SRAM although it is larger than spill_bytes, in the order of compiler/analysis/spills.py.

    token_strip_bytes: weights in flight per strip, one buffer, of a chunk of one token whose products are made one after the other
    (compiler/lowering/row_strips.py), and span_bytes: a row of products that is finished at once; 0: such a chunk is worked on like
    others.

    tokens: those that go through a layer together where mixtures have the weights of their experts streamed once for all of them, a
    multiple of chunk, which is what everything else works on at once (compiler/lowering/parts.py); 0: as many as a chunk.
    expert_rows: rows that an expert is given at once; 0: as many as a chunk. expert_stream_rows: stream_rows for these.
    """

    context: int
    chunk: int
    strip_bytes: int
    kv_heads: int
    key_tile: int
    array_rows: int = 64
    buffers: int = 2
    spill_bytes: int = 0
    row_bytes: int = 1 << 18
    query_tile: int = 16
    stream_bytes: int = 0
    stream_rows: int = 0
    image_chunk: int = 0
    ahead: int = 0
    token_strip_bytes: int = 0
    span_bytes: int = 0
    early: int = 0
    kept: int = 0
    wide_tile: int = 0
    tokens: int = 0
    expert_rows: int = 0
    expert_stream_rows: int = 0
    staying: int = 0

    @property
    def most_tokens(self) -> int:
        """Of a step."""
        return self.tokens or self.chunk

    @property
    def looks_ahead(self) -> bool:
        return self.ahead > 0 or self.early & ~(EARLY_KEYS | EARLY_BESIDE | EARLY_REGIONS) > 0

    @property
    def looks_beyond_layers(self) -> bool:
        return self.ahead > 0 or self.early & EARLY_LAYERS > 0

    @property
    def passes_rows_on(self) -> bool:
        return self.early & EARLY_LAYERS > 0 and self.early & EARLY_ROWS > 0

    @property
    def spills(self) -> bool:
        return self.spill_bytes > 0

    def row_tile(self, widest_bytes: int) -> int:
        """Rows worked on at once where the widest value takes so many bytes for a token."""
        return max(
            (rows for rows in ROW_TILES if rows * widest_bytes <= self.row_bytes and rows <= self.chunk), default=1
        )

    def to_attribute(self) -> DictionaryAttr:
        return DictionaryAttr({name: IntegerAttr(value, i64) for name, value in vars(self).items()})

    def for_one_token(
        self,
        kv_heads: int,
        key_tile: int,
        ahead: int,
        token_strip_bytes: int = 0,
        span_bytes: int = 0,
        buffers: int = 2,
    ) -> TilePlan:
        """For chunks of one token: its values are all in SRAM. What the other plan's strips are made of stays, since sparse rows lie in
        DRAM in its k-tiles."""
        return replace(
            self, chunk=1, kv_heads=kv_heads, key_tile=key_tile, buffers=buffers, ahead=ahead,
            early=0, kept=0, wide_tile=0, staying=0, spill_bytes=0, stream_bytes=self.stream_bytes // self.chunk,
            token_strip_bytes=token_strip_bytes, span_bytes=span_bytes, tokens=0, expert_rows=0,
        )  # fmt: skip

    def for_part(self) -> TilePlan:
        """For a chunk of the tokens that go through a layer together."""
        return replace(self, tokens=0)

    def for_experts(self) -> TilePlan:
        """For the rows of an expert. A row may be as long as one of a chunk to stay in SRAM."""
        rows = self.expert_rows or self.chunk
        return replace(
            self, chunk=rows, tokens=0, expert_rows=0, expert_stream_rows=0,
            stream_bytes=self.stream_bytes * rows // self.chunk, stream_rows=self.expert_stream_rows or self.stream_rows,
        )  # fmt: skip

    @staticmethod
    def of(module: ModuleOp) -> TilePlan:
        """The plan recorded on a module. Raises CompileError if choose-tiling has not run."""
        plan = plan_in(module, PLAN_ATTRIBUTE)
        if plan is None:
            raise CompileError(f"the module has no {PLAN_ATTRIBUTE}", hint="run choose-tiling first")
        return plan

    @staticmethod
    def of_single(module: ModuleOp) -> TilePlan | None:
        """The plan for chunks of one token, if these have instructions of their own: choose-single has found one."""
        return plan_in(module, SINGLE_ATTRIBUTE)


def plan_in(module: ModuleOp, name: str) -> TilePlan | None:
    """The plan in an attribute of a module, if it has one."""
    attribute = module.attributes.get(name)
    if not isinstance(attribute, DictionaryAttr):
        return None
    return TilePlan(
        **{key: value.value.data for key, value in attribute.data.items() if isinstance(value, IntegerAttr)}
    )


@dataclass(frozen=True)
class StripShape:
    """A part of a matmul's weights that is multiplied at once: `rows` output rows, in k-tiles of `k_tile` columns."""

    rows: int
    k_tile: int


def strip_shape(
    plan: TilePlan, rows: int, columns: int, form: WeightFormat, matmuls: int, multiple: int = 1
) -> StripShape:
    """The strip of one of `matmuls` weights [rows, columns] that share a loop; its rows are a multiple of `multiple`, or all.

    It fills the array: whole rows if the array's number of them fits, else k-tiles of equal size; 16 rows where even that is too much.
    """
    budget = plan.strip_bytes // matmuls
    most = padded(rows, STRIP_ROWS_UNIT)
    least_rows = min(lcm(STRIP_ROWS_UNIT, multiple), most)
    unit = min(lcm(padded(plan.array_rows, STRIP_ROWS_UNIT), multiple), most)
    if unit > MOST_STRIP_ROWS:
        unit = least_rows
    k_unit = max(K_TILE_UNIT, form.group)
    fitting = budget // streamed_bytes(form, columns)
    if fitting >= unit:
        return StripShape(min(min(fitting, max(unit, MOST_STRIP_ROWS)) // unit * unit, most), columns)
    if budget // unit < streamed_bytes(form, k_unit):
        unit = least_rows
    if fitting >= unit:
        return StripShape(unit, columns)
    return StripShape(unit, k_tile_of(budget // unit, columns, form))


def k_tile_of(budget: int, columns: int, form: WeightFormat, is_even: bool = False) -> int:
    """Columns of a k-tile such that a row of it stays within the budget: tiles of about equal size. `is_even`: an even number of them is
    worth more than tiles that fill the array, as for one row of inputs."""
    k_unit = max(K_TILE_UNIT, form.group)
    least = form.group or SUM_QUANTUM * (SPARSITY if form.sparse else 1)
    longest = max(least, budget // streamed_bytes(form, k_unit) * k_unit)
    tiles = -(-columns // longest)
    tiles += tiles % 2  # the buffers take turns: an even number ends with the other one
    equal = padded(-(-columns // tiles), min(longest, k_unit))
    if is_even and -(-columns // equal) % 2:
        equal = padded(-(-columns // tiles), least)
    return min(equal, columns)


def streamed_bytes(form: WeightFormat, columns: int) -> int:
    """A row of a strip, with what grows with its columns."""
    return form.row_bytes(columns) + (form.scale_bytes(columns) if form.group else 0)


def heads_of(op: StripsOp) -> int:
    """The size of the heads that a strip of a group has whole: norms, rotary embedding and attention work head by head. 1: of none."""
    rotated = [member.x for member in op.body.block.ops if isinstance(member, RopeOp | RmsNormOp)]
    attended = [out for out in op.outs if any(isinstance(use.operation, AttentionOp) for use in out.uses)]
    return max((shape_of(value)[-1] for value in (*rotated, *attended)), default=1)

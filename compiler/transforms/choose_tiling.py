"""choose-tiling: picks the sizes that fit the machine's SRAM (and SMEM): tokens per chunk, weight strips, key-value heads and key tiles.

It tries plans from the largest chunk down: each is lowered and its buffers are placed, so that what is chosen fits. Chunks whose rows
or scores alone are too large are left out. If weights would be streamed for fewer tokens than the matrix unit needs to keep busy, it
also tries plans whose large values lie in DRAM (docs/tiling.md), and takes the one that costs less (compiler/analysis/plan_costs.py).
Every plan gives the same bits. The plan is recorded on the module.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, IntegerAttr, ModuleOp, i64
from xdsl.dialects.func import FuncOp
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from compiler.analysis.buffer_lifetimes import Lifetime, buffer_lifetimes
from compiler.analysis.plan_costs import ChunkCost, chunk_cost, token_bytes
from compiler.analysis.sram_solver import most_at_once, solve
from compiler.analysis.tile_plans import (
    CHUNKS,
    SPILL_SHARES,
    STREAM_SHARES,
    candidates,
    has_choices,
    has_long_softmax,
    input_bytes,
    kept_first,
    longer_runs,
    mixing_plans,
    spilling_plan,
    staying_bytes,
    streaming_plan,
    wide_tiles,
)
from compiler.dialects import tile
from compiler.errors import CompileError
from compiler.images import encoder_of
from compiler.lowering.attention_blocks import SCORE_BUFFERS
from compiler.lowering.early_strips import has_groups_in_a_row
from compiler.lowering.next_rows import has_next_rows
from compiler.lowering.plan import (
    EARLY_ATTENTION,
    EARLY_BESIDE,
    EARLY_GROUPS,
    EARLY_KEYS,
    EARLY_LAYERS,
    EARLY_NARROW,
    EARLY_REGIONS,
    EARLY_ROWS,
    EARLY_WIDE,
    PLAN_ATTRIBUTE,
    TilePlan,
)
from compiler.lowering.rows_beside import has_rows_beside
from compiler.transforms.convert_slmq_to_tile import lower_program
from compiler.transforms.cse import CsePass
from compiler.transforms.double_buffer import DoubleBufferPass
from compiler.walking import ops_of
from isa.spec import SMEM_BYTES

WORTHWHILE = 1.05
"""The closed form counts what rows move as if nothing ran beside it: plans with values in DRAM were 6 to 20 % better than it says."""
STARVED = 5 / 4
"""Weights that come in 4/5 of the time of their products still make the matrix unit wait."""
TRIED_ATTRIBUTE = "tile.tried"
"""Of a module: the plans that were lowered, in order, each with the SRAM and SMEM it needs. For `slmc compile --explain`."""
# Buffers of strips: as large for small chunks, or streamed, or smaller for smaller strips.
STRIP_BUFFERS = ("weights", "strip_header", "products", "strip", "loaded_columns", "group_offsets", "rotary_temp")
MOST_MIXED = 12
"""Plans with more tokens in a step than in a chunk that are lowered."""
EARLIER = (EARLY_KEYS, EARLY_NARROW, EARLY_BESIDE, EARLY_GROUPS, EARLY_WIDE)
"""What comes early where there is room for it: what gains most first. These have their buffers where few others are in use, and are
mostly possible all together."""
EARLIER_IN_ROOM = (EARLY_ATTENTION, EARLY_LAYERS, EARLY_ROWS, EARLY_REGIONS)
"""These have them beside the others. What is tried last must leave a part of the SRAM free, or take nothing of it: what is written to
memory that is still in use waits, which costs more than is gained."""
ROOM_SHARE = 16
SMEM_BUFFER_BYTES = SMEM_BYTES // 2  # the rest is for the mailbox, the layer table, descriptors and spilled scalars


@dataclass(frozen=True)
class Need:
    """SRAM and SMEM that a plan takes. At the busiest moment `row_bytes` of the SRAM are rows of
    the chunk, `score_bytes` with the scores of attention.

    Rows and scores shrink at most in proportion to the chunk, and scores grow with the heads attended at once: they tell which
    other plans cannot fit either.
    """

    plan: TilePlan
    size_bytes: int
    smem_bytes: int
    row_bytes: int | None = None
    score_bytes: int | None = None
    """None: not asked for."""

    def to_attribute(self) -> DictionaryAttr:
        """The plan with what it needs."""
        needs = {"needs_sram": self.size_bytes, "needs_smem": self.smem_bytes}
        return DictionaryAttr({**self.plan.to_attribute().data, **{k: IntegerAttr(v, i64) for k, v in needs.items()}})

    def excludes(self, plan: TilePlan, sram_bytes: int) -> bool:
        """Whether a plan of a chunk that is not larger is sure not to fit. Raises ValueError if it was not asked what are rows."""
        if self.row_bytes is None or self.score_bytes is None:
            raise ValueError("what a plan needs for rows and scores is not known")
        known = self.score_bytes if plan.kv_heads >= self.plan.kv_heads else self.row_bytes
        return known * plan.chunk > sram_bytes * self.plan.chunk


def lasting(function: FuncOp) -> list[Lifetime]:
    """Of buffers that are not streamed; double-buffer forgets which ones are."""
    pairs = zip(*buffer_lifetimes(function, "sram"), strict=True)
    return [life for alloc, life in pairs if alloc.stream is None and life.label not in STRIP_BUFFERS]


def busiest_bytes(lifetimes: Iterable[Lifetime]) -> int:
    """The most that buffers take at one time."""
    return most_at_once((*span, life.size_bytes) for life in lifetimes for span in life.spans)


def smem_bytes_of(function: FuncOp) -> int:
    """Buffers of SMEM have places of their own."""
    return sum(op.size_bytes.value.data for op in ops_of(tile.AllocOp, function) if op.space.data == "smem")


def need_of(
    ctx: Context, module: ModuleOp, plan: TilePlan, room_bytes: int, *, clean: bool = False, rows: bool = False
) -> Need:
    """What a plan needs, found by lowering the functions. `clean`: as the passes behind leave it, which merge views and with them change
    how long buffers are in use; refinements fill the SRAM, and would else not fit in the end. `rows`: what of it are rows and scores is
    wanted, too. `room_bytes`: of the SRAM."""
    sources = ops_of(FuncOp, module)
    if not sources:
        raise CompileError("the module has no function to choose a plan for")
    functions = [lower_program(function, plan) for function in sources]
    trial = ModuleOp(functions, {PLAN_ATTRIBUTE: plan.to_attribute()})
    row_bytes = score_bytes = None
    if rows:
        buffers = [lasting(function) for function in functions]
        row_bytes = max(busiest_bytes(life for life in each if life.label not in SCORE_BUFFERS) for each in buffers)
        score_bytes = max(map(busiest_bytes, buffers))
    DoubleBufferPass().apply(ctx, trial)
    if clean:
        CsePass().apply(ctx, trial)
    size_bytes = max(solve(buffer_lifetimes(function, "sram")[1], room_bytes).size_bytes for function in functions)
    smem_bytes = max(map(smem_bytes_of, functions))
    return Need(plan, size_bytes, smem_bytes, row_bytes, score_bytes)


def without_encoder(module: ModuleOp) -> ModuleOp:
    """What is done to tokens."""
    if encoder_of(module) is None:
        return module
    copy = module.clone()
    encoder = encoder_of(copy)
    assert encoder is not None
    Rewriter.erase_op(encoder)
    return copy


@dataclass(frozen=True)
class ChooseTilingPass(ModulePass):
    """See the module docstring. Options: sram_bytes and array_rows of the machine, context, chunk (0: the compiler chooses),
    balance: int8 multiply-accumulates of the matrix unit in the time in which DRAM moves a byte.
    """

    name = "choose-tiling"
    sram_bytes: int = 1 << 21
    array_rows: int = 64
    context: int = 512
    chunk: int = 0
    balance: int = 86

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        chunks = (self.chunk,) if self.chunk else tuple(c for c in CHUNKS if c <= max(self.context, 1))
        tried: list[Need] = []
        spilling: list[Need] = []
        plan = self.first_fitting(ctx, op, candidates(op, self, chunks), tried)
        cost = chunk_cost(op)
        mixed = None
        if not self.chunk and has_choices(op) and (plan is None or self.is_starved(cost, plan)):
            mixed = self.mixing(ctx, op, spilling)
            plan = self.cheaper(op, plan, None if mixed is None else self.refined(ctx, op, mixed, spilling))
        if plan is None or (mixed is None and self.is_starved(cost, plan)):
            larger = tuple(c for c in chunks if plan is None or c > plan.chunk)
            other = self.spilling(ctx, op, larger, spilling)
            larger = tuple(c for c in larger if other is None or c > other.chunk)
            other = self.streaming(ctx, op, larger, other, spilling)
            plan = self.cheaper(op, plan, None if other is None else self.refined(ctx, op, other, spilling))
        if plan is None:
            raise self.nothing_fits(min(n.size_bytes for n in tried), min(n.smem_bytes for n in tried))
        op.attributes[PLAN_ATTRIBUTE] = plan.to_attribute()
        op.attributes[TRIED_ATTRIBUTE] = ArrayAttr([need.to_attribute() for need in (*tried, *spilling)])

    def first_fitting(
        self, ctx: Context, module: ModuleOp, plans: Iterator[TilePlan], tried: list[Need]
    ) -> TilePlan | None:
        """The first plan that fits, if one does; `tried` gets the needs of those that were lowered."""
        for plan in plans:
            if plan.chunk > 1 and any(need.excludes(plan, self.sram_bytes) for need in tried):
                continue
            tried.append(need_of(ctx, module, plan, self.sram_bytes, rows=True))
            if self.fits(tried[-1]):
                return plan
        return None

    def fits(self, need: Need) -> bool:
        return need.size_bytes <= self.sram_bytes and need.smem_bytes <= SMEM_BUFFER_BYTES

    def spilling(self, ctx: Context, module: ModuleOp, chunks: tuple[int, ...], tried: list[Need]) -> TilePlan | None:
        """The largest chunk that fits with values in DRAM, with as few there as fit; `tried` as of first_fitting."""

        def plans(chunk: int, every_share: Sequence[tuple[int, int, int]]) -> list[TilePlan]:
            return [spilling_plan(module, self, chunk, shares) for shares in every_share]

        possible = [chunk for chunk in chunks if chunk * input_bytes(module) < self.sram_bytes]
        least: TilePlan | None = None
        first, end = 0, len(possible)  # the chunk is among these, or none fits
        while first < end:
            middle = (first + end) // 2
            plan = self.any_fitting(ctx, module, plans(possible[middle], SPILL_SHARES[-1:]), tried)
            first, end, least = (first, middle, plan) if plan is not None else (middle + 1, end, least)
        if least is None:
            return None
        better = plans(least.chunk, SPILL_SHARES[:-1])
        if has_long_softmax(module):  # keys by whole blocks first: then it runs beside the products of another block
            better.sort(key=lambda plan: -plan.key_tile)
        return self.any_fitting(ctx, module, better, tried) or least

    def mixing(self, ctx: Context, module: ModuleOp, tried: list[Need]) -> TilePlan | None:
        """The cheapest of some plans that fits with more tokens in a step than in a chunk; `tried` as of first_fitting. Lists of choices
        are as long as a step: where they do not fit, those of more tokens do not either."""
        plans = self.mixing_by_cost(module)
        most = max((plan.tokens for plan in plans), default=0)
        for _ in range(MOST_MIXED):
            plan = next((plan for plan in plans if plan.tokens <= most), None)
            if plan is None or self.any_fitting(ctx, module, [plan], tried) is not None:
                return plan
            plans.remove(plan)
            if tried[-1].smem_bytes > SMEM_BUFFER_BYTES:
                most = plan.tokens - 1
        return None

    def mixing_by_cost(self, module: ModuleOp) -> list[TilePlan]:
        """Of plans that differ in the rows of an expert only, the cheapest one, of equal ones that of the fewest rows, and the cheapest
        of those with at most half as many."""
        found: list[tuple[float, TilePlan]] = []
        for plans in mixing_plans(module, self):
            costs = [(self.cost(module, plan), plan) for plan in plans]
            best = min(costs, key=lambda pair: (pair[0], pair[1].expert_rows))
            fewer = [pair for pair in costs if 2 * pair[1].expert_rows <= best[1].expert_rows]
            found += [best, *sorted(fewer, key=lambda pair: pair[0])[:1]]
        return [plan for _, plan in sorted(found, key=lambda pair: pair[0])]

    def streaming(
        self, ctx: Context, module: ModuleOp, chunks: tuple[int, ...], plan: TilePlan | None, tried: list[Need]
    ) -> TilePlan | None:
        """The cheapest chunk with the largest inputs of products in DRAM, if one is cheaper than `plan`; `tried` as of first_fitting."""
        least = {chunk: streaming_plan(module, self, chunk, STREAM_SHARES[-1]) for chunk in chunks}
        costs = {chunk: self.cost(module, other) for chunk, other in least.items()}
        for chunk in sorted(chunks, key=lambda chunk: costs[chunk]):
            if plan is not None and costs[chunk] >= self.cost(module, plan):
                break
            if self.any_fitting(ctx, module, [least[chunk]], tried) is not None:
                others = [streaming_plan(module, self, chunk, shares) for shares in STREAM_SHARES[:-1]]
                return self.any_fitting(ctx, module, others, tried) or least[chunk]
        return plan

    def refined(self, ctx: Context, module: ModuleOp, plan: TilePlan, tried: list[Need]) -> TilePlan:
        """A plan with values in DRAM, such that less is moved, and the matrix unit has work while rows are normalised, as far as there is
        room: values that need not lie in DRAM stay in SRAM, first strips come early, and wide rows are worked on by four."""
        best = next(need for need in reversed(tried) if need.plan == plan)
        roomy_bytes = self.sram_bytes - self.sram_bytes // ROOM_SHARE
        module = without_encoder(module)

        def is_possible(
            *, kept: int = 0, early: int = 0, row_bytes: int = 0, wide_tile: int = 0, staying: int = 0
        ) -> bool:
            nonlocal best
            plan = replace(best.plan, kept=best.plan.kept | kept, early=best.plan.early | early)
            plan = replace(plan, wide_tile=wide_tile or plan.wide_tile, staying=staying or plan.staying)
            plan = replace(plan, row_bytes=row_bytes or plan.row_bytes)
            if any(need.plan == plan for need in tried):
                return False
            tried.append(need_of(ctx, module, plan, self.sram_bytes, clean=True))
            is_crowded = early == EARLY_REGIONS and tried[-1].size_bytes > max(best.size_bytes, roomy_bytes)
            best = tried[-1] if self.fits(tried[-1]) and not is_crowded else best
            return best is tried[-1]

        tiles = [] if plan.tokens else wide_tiles(module, plan, self.sram_bytes)
        beside_sums = staying_bytes(module, replace(plan, wide_tile=tiles[0])) if tiles else 0
        staying = [1, 0] if 0 < beside_sums <= self.sram_bytes else [0]
        for stays, columns in product(staying, tiles):
            if is_possible(wide_tile=columns, staying=stays):
                break
        for number in () if plan.tokens else kept_first(module, best.plan, self.sram_bytes):
            is_possible(kept=1 << number)
        idle = {EARLY_WIDE: best.plan.wide_tile > 0, EARLY_BESIDE: not has_rows_beside(module, best.plan)}
        idle[EARLY_GROUPS] = not has_groups_in_a_row(module)
        earlier = [early for early in EARLIER if not idle.get(early)]
        if not is_possible(early=sum(earlier)):
            for early in earlier:
                is_possible(early=early)
        for early in EARLIER_IN_ROOM[:1] if plan.tokens else EARLIER_IN_ROOM:  # then no layer follows a chunk
            if early == EARLY_ATTENTION and best.size_bytes > roomy_bytes:
                continue
            if early == EARLY_ROWS and not (best.plan.early & EARLY_LAYERS and has_next_rows(module)):
                continue
            is_possible(early=early)
        is_possible(row_bytes=longer_runs(module, best.plan))
        return best.plan

    def any_fitting(
        self, ctx: Context, module: ModuleOp, plans: Sequence[TilePlan], tried: list[Need]
    ) -> TilePlan | None:
        """The first of some plans that fits; `tried` as of first_fitting."""
        for plan in plans:
            tried.append(need_of(ctx, module, plan, self.sram_bytes))
            if self.fits(tried[-1]):
                return plan
        return None

    def is_starved(self, cost: ChunkCost, plan: TilePlan) -> bool:
        """Whether the weights of a chunk take longer to come than to be multiplied, or nearly so."""
        return cost.weight_bytes * self.balance * STARVED > plan.chunk * cost.work

    def cheaper(self, module: ModuleOp, plan: TilePlan | None, other: TilePlan | None) -> TilePlan | None:
        """The plan with values in DRAM, if there is none without or if it is faster."""
        if plan is None or other is None:
            return other or plan
        return other if self.cost(module, other) < WORTHWHILE * self.cost(module, plan) else plan

    def cost(self, module: ModuleOp, plan: TilePlan) -> float:
        return token_bytes(module, plan, self.balance)

    def nothing_fits(self, sram: int, smem: int) -> CompileError:
        """The error for the smallest needs of the plans tried."""
        if sram > self.sram_bytes:
            what = f"{sram} bytes of SRAM, the machine has {self.sram_bytes}"
            hint = "use a machine with more SRAM, or a smaller model"
        else:
            what = f"{smem} bytes of SMEM for the lists of top_k, there are {SMEM_BUFFER_BYTES}"
            hint = "choose fewer, or from fewer rows for each token"
        return CompileError(
            f"the smallest plan needs {what}", hint="leave the chunk to the compiler" if self.chunk else hint
        )

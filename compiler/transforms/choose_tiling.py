"""choose-tiling: picks the sizes that fit the machine's SRAM (and SMEM): tokens per chunk, weight strips, key-value heads and key tiles.

It tries plans from the largest chunk down: each is lowered and its buffers are placed, so that what is chosen fits. Chunks whose rows
or scores alone are too large are left out. If weights would be streamed for fewer tokens than the matrix unit needs to keep busy, it
also tries plans whose large values lie in DRAM (docs/tiling.md), with one buffer for what is streamed if none fits with two, and takes the
one that costs less (compiler/analysis/plan_costs.py). Every plan gives the same bits. The plan is recorded on the module.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, ModuleOp
from xdsl.passes import ModulePass

from compiler.analysis.plan_costs import ChunkCost, chunk_cost, token_bytes
from compiler.analysis.tile_plans import (
    CHUNKS,
    SPILL_SHARES,
    STREAM_SHARES,
    candidates,
    has_choices,
    has_long_softmax,
    input_bytes,
    mixing_plans,
    spilling_plan,
    streaming_plan,
)
from compiler.errors import CompileError
from compiler.lowering.plan import (
    PLAN_ATTRIBUTE,
    TilePlan,
)
from compiler.transforms.plan_needs import SMEM_BUFFER_BYTES, Need, need_of
from compiler.transforms.refine_plan import Refining

WORTHWHILE = 1.05
"""The closed form counts what rows move as if nothing ran beside it: plans with values in DRAM were 6 to 20 % better than it says."""
STARVED = 5 / 4
"""Weights that come in 4/5 of the time of their products still make the matrix unit wait."""
TRIED_ATTRIBUTE = "tile.tried"
"""Of a module: the plans that were lowered, in order, each with the SRAM and SMEM it needs. For `slmc compile --explain`."""
MOST_MIXED = 12
"""Plans with more tokens in a step than in a chunk that are lowered."""


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
            found = (self.in_dram(ctx, op, larger, buffers, spilling) for buffers in (2, 1))
            other = next((other for other in found if other is not None), None)
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
            if tried[-1].fits(self.sram_bytes):
                return plan
        return None

    def in_dram(
        self, ctx: Context, module: ModuleOp, chunks: tuple[int, ...], buffers: int, tried: list[Need]
    ) -> TilePlan | None:
        """A plan with values in DRAM, and inputs of products if that is cheaper, with so many buffers of a stream; `tried` as of
        first_fitting."""
        plan = self.spilling(ctx, module, chunks, buffers, tried)
        larger = tuple(chunk for chunk in chunks if plan is None or chunk > plan.chunk)
        return self.streaming(ctx, module, larger, plan, buffers, tried)

    def spilling(
        self, ctx: Context, module: ModuleOp, chunks: tuple[int, ...], buffers: int, tried: list[Need]
    ) -> TilePlan | None:
        """The largest chunk that fits with values in DRAM, with as few there as fit; `tried` as of first_fitting."""

        def plans(chunk: int, every_share: Sequence[tuple[int, int, int]]) -> list[TilePlan]:
            return [spilling_plan(module, self, chunk, shares, buffers) for shares in every_share]

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
        self,
        ctx: Context,
        module: ModuleOp,
        chunks: tuple[int, ...],
        plan: TilePlan | None,
        buffers: int,
        tried: list[Need],
    ) -> TilePlan | None:
        """The cheapest chunk with the largest inputs of products in DRAM, if one is cheaper than `plan`; `tried` as of first_fitting. Where
        the smallest chunk whose inputs are streamed does not fit, no larger one does."""
        least = {chunk: streaming_plan(module, self, chunk, STREAM_SHARES[-1], buffers) for chunk in chunks}
        costs = {chunk: self.cost(module, other) for chunk, other in least.items()}
        inputs = input_bytes(module)
        streamed = [chunk for chunk in chunks if chunk * inputs > least[chunk].stream_bytes]
        hopeless: list[int] = []
        for chunk in sorted(chunks, key=lambda chunk: costs[chunk]):
            if plan is not None and costs[chunk] >= self.cost(module, plan):
                break
            if chunk in hopeless:
                continue
            if self.any_fitting(ctx, module, [least[chunk]], tried) is not None:
                others = [streaming_plan(module, self, chunk, shares, buffers) for shares in STREAM_SHARES[:-1]]
                return self.any_fitting(ctx, module, others, tried) or least[chunk]
            if chunk in streamed:
                smallest = min(streamed)
                may_fit = chunk > smallest and self.any_fitting(ctx, module, [least[smallest]], tried) is not None
                hopeless, streamed = [] if may_fit else streamed, []
        return plan

    def refined(self, ctx: Context, module: ModuleOp, plan: TilePlan, tried: list[Need]) -> TilePlan:
        """See refine_plan.py; `tried` as of first_fitting."""
        need = next(need for need in reversed(tried) if need.plan == plan)
        return Refining(ctx, module, need, self.sram_bytes, tried).run()

    def any_fitting(
        self, ctx: Context, module: ModuleOp, plans: Sequence[TilePlan], tried: list[Need]
    ) -> TilePlan | None:
        """The first of some plans that fits; `tried` as of first_fitting."""
        for plan in plans:
            tried.append(need_of(ctx, module, plan, self.sram_bytes))
            if tried[-1].fits(self.sram_bytes):
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

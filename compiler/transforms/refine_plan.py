"""Refines a plan with values in DRAM, step by step, as far as there is room (docs/tiling.md).

Values that need not lie in DRAM stay in SRAM, inputs are quantised late, first strips come early, and wide rows are worked on by four. Each
step is lowered and placed; what does not fit is left out.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp

from compiler.analysis.tile_plans import (
    kept_first,
    longer_runs,
    staying_bytes,
    wide_tiles,
)
from compiler.images import without_encoder
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
    TilePlan,
)
from compiler.lowering.rows_beside import has_rows_beside
from compiler.transforms.plan_needs import Need, need_of

EARLIER = (EARLY_KEYS, EARLY_NARROW, EARLY_BESIDE, EARLY_GROUPS, EARLY_WIDE)
"""What comes early where there is room for it: what gains most first. These have their buffers where few others are in use, and are
mostly possible all together."""
EARLIER_IN_ROOM = (EARLY_ATTENTION, EARLY_LAYERS, EARLY_ROWS, EARLY_REGIONS)
"""These have them beside the others. What is tried last must leave a part of the SRAM free, or take nothing of it: what is written to
memory that is still in use waits, which costs more than is gained."""
ROOM_SHARE = 16


class Refining:
    """Of one plan, which is known to fit; `tried` gets the needs of all plans that are lowered."""

    def __init__(self, ctx: Context, module: ModuleOp, need: Need, sram_bytes: int, tried: list[Need]):
        self.ctx, self.module, self.best, self.sram_bytes, self.tried = (
            ctx,
            without_encoder(module),
            need,
            sram_bytes,
            tried,
        )
        self.roomy_bytes = sram_bytes - sram_bytes // ROOM_SHARE
        self.is_by_steps = need.plan.tokens > 0
        """Whether layers take more tokens than a chunk has."""

    def run(self) -> TilePlan:
        if not self.is_by_steps:
            self.quantise_late()
            self.keep()
        self.come_early()
        self.come_early_in_room()
        self.takes(row_bytes=longer_runs(self.module, self.best.plan))
        return self.best.plan

    def takes(
        self, *, kept: int = 0, early: int = 0, row_bytes: int = 0, wide_tile: int = 0, staying: int = 0, most: int = 0
    ) -> bool:
        """Whether the best plan so far fits with this, too; then that is the best one. `most`: bytes of SRAM that it may take, if it
        takes more than before."""
        plan = self.best.plan
        plan = replace(
            plan, kept=plan.kept | kept, early=plan.early | early, row_bytes=row_bytes or plan.row_bytes,
            wide_tile=wide_tile or plan.wide_tile, staying=staying or plan.staying,
        )  # fmt: skip
        if any(need.plan == plan for need in self.tried):
            return False
        need = need_of(self.ctx, self.module, plan, self.sram_bytes, clean=True)
        self.tried.append(need)
        if not need.fits(self.sram_bytes) or need.size_bytes > max(self.best.size_bytes, most or self.sram_bytes):
            return False
        self.best = need
        return True

    def quantise_late(self) -> None:
        """With the longest tiles that fit, results in their sums if there is room for rows beside them."""
        tiles = wide_tiles(self.module, self.best.plan, self.sram_bytes)
        beside_sums = staying_bytes(self.module, replace(self.best.plan, wide_tile=tiles[0])) if tiles else 0
        staying = [1, 0] if 0 < beside_sums <= self.sram_bytes else [0]
        for stays, columns in product(staying, tiles):
            if self.takes(wide_tile=columns, staying=stays):
                return

    def keep(self) -> None:
        for number in kept_first(self.module, self.best.plan, self.sram_bytes):
            self.takes(kept=1 << number)

    def come_early(self) -> None:
        """All together, or one after the other."""
        plan, module = self.best.plan, self.module
        idle = {
            EARLY_WIDE: plan.wide_tile > 0,
            EARLY_BESIDE: not has_rows_beside(module, plan),
            EARLY_GROUPS: not has_groups_in_a_row(module),
        }
        earlier = [early for early in EARLIER if not idle.get(early)]
        if not self.takes(early=sum(earlier)):
            for early in earlier:
                self.takes(early=early)

    def come_early_in_room(self) -> None:
        for early in EARLIER_IN_ROOM[:1] if self.is_by_steps else EARLIER_IN_ROOM:  # no layer follows a chunk of a step
            if early == EARLY_ATTENTION and self.best.size_bytes > self.roomy_bytes:
                continue
            if early == EARLY_ROWS and not (self.best.plan.early & EARLY_LAYERS and has_next_rows(self.module)):
                continue
            self.takes(early=early, most=self.roomy_bytes if early == EARLY_REGIONS else 0)

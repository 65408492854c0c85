"""Plans with values in DRAM for models so small that no machine would need them, and models whose layers are given as text."""

from __future__ import annotations

from typing import Any

import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp

from compiler.analysis import tile_plans
from compiler.dialects import tile
from compiler.driver import Options, lower
from compiler.lowering.plan import TilePlan
from compiler.program import Program
from compiler.transforms import refine_plan
from compiler.transforms.choose_tiling import ChooseTilingPass
from compiler.transforms.plan_needs import Need
from compiler.walking import ops_of
from tests.end_to_end.e2e_support import check_bits, prompt_of

SRAM_BYTES = 40 << 10
WIDE: dict[str, Any] = {
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "intermediate_size": 160,
    "num_hidden_layers": 2,
}
MANY_HEADS = WIDE | {"num_key_value_heads": 4}


def starve(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every plan counts as starved, and one with values in DRAM is taken where there is one."""

    def starved(*_: object) -> bool:
        return True

    def other_first(_: object, __: object, plan: Any, other: Any) -> Any:
        return other or plan

    monkeypatch.setattr(ChooseTilingPass, "is_starved", starved)
    monkeypatch.setattr(ChooseTilingPass, "cheaper", other_first)


def only_early(monkeypatch: pytest.MonkeyPatch, early: int) -> None:
    """Values lie in DRAM wherever they can, and this comes before its time."""
    starve(monkeypatch)
    monkeypatch.setattr(refine_plan, "EARLIER", (early,))
    monkeypatch.setattr(refine_plan, "EARLIER_IN_ROOM", ())
    monkeypatch.setattr(refine_plan, "kept_first", lambda *_: [])
    monkeypatch.setattr(ChooseTilingPass, "first_fitting", lambda *_: None)


def stream_to_one_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans with values in DRAM are what they are where two buffers do not fit."""
    in_dram = ChooseTilingPass.in_dram

    def of_one(
        self: ChooseTilingPass, ctx: Context, module: ModuleOp, chunks: tuple[int, ...], _: int, tried: list[Need]
    ) -> TilePlan | None:
        return in_dram(self, ctx, module, chunks, 1, tried)

    monkeypatch.setattr(ChooseTilingPass, "in_dram", of_one)


def stream_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every plan has values in DRAM, and all inputs of products that can be there."""

    def starved(*_: object) -> bool:
        return True

    def none(*_: object) -> None:
        return None

    def cost(_: object, __: object, plan: TilePlan) -> float:
        return 1 / plan.chunk if plan.stream_bytes else 1

    monkeypatch.setattr(ChooseTilingPass, "is_starved", starved)
    monkeypatch.setattr(ChooseTilingPass, "spilling", none)
    monkeypatch.setattr(ChooseTilingPass, "cost", cost)
    monkeypatch.setattr(tile_plans, "STREAMED_INPUTS", 1 << 12)


def labels_of(program: Program, chosen: Options) -> set[str]:
    """Of all buffers."""
    return {op.label.data for op in ops_of(tile.AllocOp, lower(program, chosen, "tile"))}


def plan_of(program: Program, chosen: Options) -> TilePlan:
    return TilePlan.of(lower(program, chosen, "tile"))


def check(program: Program, chosen: Options, length: int) -> TilePlan:
    check_bits(program, chosen, prompt_of(length, 67), 3)
    return plan_of(program, chosen)


def layered(weights: str, body: str, heads: int = 4, sizes: str = "") -> str:
    """A model whose layers have these weights and do this to x. `sizes`: further ones, which the weights use."""
    return f"""architecture rows for "rows"
config {{ V = .v ?? 67; d = .d ?? 64; L = .l ?? 2; H = .h ?? {heads}; hd = .hd ?? 16; {sizes}}}
weights {{
  embed: embedding(V, d)
  layers[i < L] {{ {weights} }}
  head: linear(d -> V)
}}
def forward(tokens: [T]) {{
  x = embed(tokens)
  for i in layers {{{body}}}
  return head(x)
}}
"""

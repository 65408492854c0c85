"""ld, st: copies of equal dtype and extents between DRAM and the on-chip memories."""

from __future__ import annotations

from isa.spec import DRAM_REGIONS, PACKED_4BIT, READ_ONLY_REGIONS, Region, Trap
from simulator.reference.operands import (
    ON_CHIP,
    Context,
    Issue,
    destination,
    has_dtype,
    has_extents,
    in_regions,
    legal,
    require,
    source,
)


def check_ld(context: Context, issue: Issue) -> None:
    _check(context, issue, to=ON_CHIP, origin=DRAM_REGIONS)


def check_st(context: Context, issue: Issue) -> None:
    _check(context, issue, to=DRAM_REGIONS, origin=ON_CHIP)


def _check(context: Context, issue: Issue, to: tuple[Region, ...], origin: tuple[Region, ...]) -> None:
    target, data = issue["ta"], issue["tb"]
    legal(context, "ta", target)
    legal(context, "tb", data)
    in_regions("ta", target, to)
    in_regions("tb", data, origin)
    require(target.region not in READ_ONLY_REGIONS, Trap.READ_ONLY, "ta", f"region {target.region.name}")
    has_dtype("tb", data, (target.dtype,))
    has_extents("tb", data, target.extents)
    same_groups = target.dtype not in PACKED_4BIT or target.glog2 == data.glog2
    require(same_groups, Trap.SHAPE_MISMATCH, "tb", f"groups of 2^{data.glog2}, expected 2^{target.glog2}")
    source(context, "tb", data)
    destination(context, "ta", target, ())


def copy(context: Context, issue: Issue) -> None:
    """Moves the bits."""
    context.memory.bits(issue["ta"])[...] = context.memory.bits(issue["tb"])

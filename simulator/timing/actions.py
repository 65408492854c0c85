"""The things that are counted while a program runs: bytes, multiply-accumulates, bursts. Energy is these counts times a table.

A vector of counts is a plain list indexed by ACTION_INDEX; adding to plain lists is the fastest thing Python offers.
"""

from __future__ import annotations

from isa.spec import DRAM_REGIONS, Dtype

SRAM_PORTS = ("mxu_a", "mxu_b", "mxu_c", "vpu", "dml", "dms")
VPU_CLASSES = ("simple", "transcendental", "softmax", "division")
MAC_PAIRS = (
    "i8_i8", "i8_i4", "f16_f16", "bf16_bf16", "f16_i8", "bf16_i8", "f16_i4", "bf16_i4", "f32_f32",
    "f16_e4m3", "bf16_e4m3", "f16_e2m1", "bf16_e2m1",
)  # fmt: skip
DIRECTIONS = ("read", "write")

ACTIONS = (
    *(f"mac.{pair}" for pair in MAC_PAIRS),  # multiply-accumulates
    *(f"vpu.{name}" for name in VPU_CLASSES),  # elements
    *(f"sram_read.{port}" for port in SRAM_PORTS),  # bytes of the banks accessed
    *(f"sram_write.{port}" for port in SRAM_PORTS),
    "accumulator",  # bytes
    "smem",  # bytes
    "dram.activate",  # rows opened
    "dram.burst",
    "dram.row_hit",  # bursts to a row already open
    "dram.read",  # bytes on the bus, whole bursts
    "dram.write",
    *(f"read.{region.name}" for region in DRAM_REGIONS),  # bytes the program asked for
    *(f"write.{region.name}" for region in DRAM_REGIONS),
)

ACTION_INDEX = {name: index for index, name in enumerate(ACTIONS)}


def mac_action(a: Dtype, b: Dtype) -> int:
    """The index of `mac.<A>_<B>`. Raises KeyError for a pair the ISA does not have."""
    return ACTION_INDEX[f"mac.{Dtype(a).name.lower()}_{Dtype(b).name.lower()}"]


def named(counts: list[int]) -> dict[str, int]:
    """Counts by action name, in table order."""
    return dict(zip(ACTIONS, counts, strict=True))

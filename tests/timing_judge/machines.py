"""Random machines for the campaign: every size that the timing depends on, and DRAM of several families."""

from __future__ import annotations

import json
import math
import random
from typing import Any

from isa.machine import Machine, load_machine

# burst, tCCD_L, tRCD, tRP, tRC, tRRD, tFAW, tWR, tWTR, tRTW, RL, WL, tREFI, tRFC in ns; burst bytes, row bytes, banks.
# Round numbers in the range of each family: what is compared is two models, not a device.
FAMILIES: dict[str, tuple[float, ...]] = {
    "LPDDR4": (3.75, 3.75, 18, 18, 60, 10, 40, 18, 10, 3.75, 20, 10, 3904, 280, 32, 2048, 8),
    "LPDDR5": (2.5, 5, 18.75, 18.75, 61.25, 5, 20, 35, 12.5, 2.5, 21.25, 13.75, 3906, 280, 32, 2048, 16),
    "DDR5": (3.33, 5, 16, 16, 48, 2.5, 13.3, 30, 10, 2.5, 16.5, 15, 3900, 295, 64, 8192, 32),
    "GDDR6": (1, 2, 14, 14, 42, 5, 20, 15, 5, 2, 12, 4, 1900, 120, 32, 2048, 16),
    "HBM3": (1.25, 2.5, 14, 14, 42, 2.5, 10, 16, 6, 2, 14, 6, 3900, 260, 32, 1024, 16),
}
INTERVALS = (
    "burst", "tCCD_L", "tRCD", "tRP", "tRC", "tRRD", "tFAW", "tWR", "tWTR", "tRTW", "RL", "WL", "tREFI", "tRFC",
)  # fmt: skip

CORE_CHOICES: dict[str, tuple[int, ...]] = {
    "clock_hz": (500_000_000, 1_000_000_000, 1_400_000_000),
    "seq.queue_depth": (1, 2, 4, 8),
    "dml.port_bytes": (64, 128, 256),
    "dms.port_bytes": (64, 128, 256),
    "mxu.rows": (8, 16, 32, 64, 128),
    "mxu.columns": (16, 32, 64, 128),
    "mxu.accumulator_rows": (32, 128),
    "mxu.a_port_bytes": (32, 64, 128),
    "mxu.b_port_bytes": (32, 64, 128),
    "mxu.c_port_bytes": (64, 256),
    "mxu.latency": (0, 24),
    "vpu.lanes": (8, 16, 64),
    "vpu.port_bytes": (64, 256),
    "sram.banks": (16, 32, 64),
    "sram.size_bytes": (1 << 18, 1 << 19, 1 << 21),
}


def random_machine(rng: random.Random, *, refreshes: bool = True) -> Machine:
    """Without refresh, its interval is as long as a description allows. With few channels as few bytes are in flight as a description
    may have, with more also a piece for each channel."""
    data: Any = json.loads(load_machine("edge").canonical_json())
    core, memory = data["cores"][0], data["memories"][0]
    for key, choices in CORE_CHOICES.items():
        table, *path = (core, *key.split("."))
        for part in path:
            table = table[part]
        table["value"] = rng.choice(choices)
    *intervals, burst_bytes, row_bytes, banks = FAMILIES[rng.choice(list(FAMILIES))]
    for name, value in zip(INTERVALS, intervals, strict=True):
        memory["timing"][name]["value"] = value
    memory["burst_bytes"]["value"], memory["row_bytes"]["value"] = int(burst_bytes), int(row_bytes)
    memory["banks"]["value"], memory["channels"]["value"] = int(banks), rng.choice((1, 2, 4, 8, 16))
    memory["address_map"]["channel_interleave_bytes"]["value"] = rng.choice((256, 512))
    if not refreshes:
        memory["timing"]["tREFI"]["value"] = 1e6
    in_flight = (fewest_bytes if memory["channels"]["value"] < 4 else enough_bytes)(memory)
    for engine in ("dml", "dms"):
        core[engine]["outstanding_bytes"]["value"] = in_flight
    return Machine.from_canonical(data)


def fewest_bytes(memory: Any) -> int:
    """The first power of two that a description may have: what all channels move during a response."""
    return max(256, 1 << (math.ceil(_moved_bytes(memory)) - 1).bit_length())


def enough_bytes(memory: Any) -> int:
    """The next power of two above that and one interleaved piece for each channel."""
    pieces = memory["channels"]["value"] * memory["address_map"]["channel_interleave_bytes"]["value"]
    return 1 << int(_moved_bytes(memory) + pieces).bit_length()


def _moved_bytes(memory: Any) -> float:
    """What all channels move during a response."""
    timing = {name: table["value"] for name, table in memory["timing"].items()}
    respond_ns = timing["controller"] + timing["tRCD"] + timing["RL"] + timing["burst"]
    return respond_ns / timing["burst"] * memory["burst_bytes"]["value"] * memory["channels"]["value"]

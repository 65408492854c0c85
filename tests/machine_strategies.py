"""Random machine descriptions: 8 x 8 to 256 x 256 MACs, 32 KiB to 16 MiB of SRAM, any DRAM that a built-in machine has."""

from __future__ import annotations

import tomllib
from copy import deepcopy
from functools import cache
from importlib import resources
from typing import Any

from hypothesis import strategies as st

from isa.machine import Machine
from tests.timing_judge.machines import fewest_bytes

MEMORIES = ("micro", "edge", "phone", "laptop", "gddr", "server")
"""Whose DRAM: LPDDR4X, LPDDR5, LPDDR5X, DDR5, GDDR6, HBM3."""
CLOCKS_HZ = (100_000_000, 333_333_333, 500_000_000, 800_000_000, 1_000_000_000, 1_700_000_000, 3_000_000_000)


@cache
def _described(name: str) -> dict[str, Any]:
    return tomllib.loads((resources.files("isa") / "machines" / f"{name}.toml").read_text("utf-8"))


def powers_of_two(least: int, most: int) -> st.SearchStrategy[int]:
    """Both limits are powers of two, and among them."""
    return st.integers(least.bit_length() - 1, most.bit_length() - 1).map(lambda power: 1 << power)


sides = st.one_of(powers_of_two(8, 256), st.integers(8, 256))


@st.composite
def srams(draw: st.DrawFn) -> dict[str, int]:
    """32 KiB to 16 MiB, in banks that divide it; half of them of no power of two."""
    banks, bank_bytes = draw(powers_of_two(1, 128)), draw(powers_of_two(4, 128))
    size_bytes = draw(powers_of_two(32 << 10, 16 << 20))
    if size_bytes < 16 << 20:
        size_bytes += draw(st.one_of(st.just(0), st.integers(0, size_bytes)))
    return {
        "banks": banks,
        "bank_bytes": bank_bytes,
        "size_bytes": size_bytes // (banks * bank_bytes) * banks * bank_bytes,
    }


@st.composite
def cores(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    """Tables of a core, and what is drawn of their numbers."""
    beats, latency = draw(st.integers(1, 2)), st.integers(0, 60)
    dma = st.fixed_dictionaries({"port_bytes": powers_of_two(4, 1024)})
    return {
        "seq": {"queue_depth": draw(st.integers(1, 16)), "smem_port_bytes": draw(powers_of_two(4, 32))},
        "dml": draw(dma),
        "dms": draw(dma),
        "mxu": {
            "rows": draw(sides),
            "columns": draw(sides),
            "accumulator_rows": draw(st.one_of(st.sampled_from([64, 128, 256]), st.integers(1, 300))),
            "a_port_bytes": draw(powers_of_two(4, 512)),
            "b_port_bytes": draw(powers_of_two(4, 1024)),
            "c_port_bytes": draw(powers_of_two(4, 1024)),
            "latency": draw(latency),
            "beats_per_row": {"i8": beats, "f16": beats * draw(st.integers(1, 2)), "f32": beats * 4},
        },
        "vpu": {
            "lanes": draw(st.one_of(powers_of_two(4, 256), st.integers(1, 256))),
            "port_bytes": draw(powers_of_two(4, 1024)),
            "latency": draw(latency),
            "reduction_latency": draw(latency),
        },
        "sram": draw(srams()),
    }  # fmt: skip


@st.composite
def memories(draw: st.DrawFn) -> dict[str, Any]:
    """1 to 16 channels of a built-in machine's DRAM."""
    memory = deepcopy(_described(draw(st.sampled_from(MEMORIES)))["memories"][0])
    mapping, least = memory["address_map"], memory["burst_bytes"]["value"]
    memory["channels"]["value"] = draw(powers_of_two(1, 16))
    mapping["channel_interleave_bytes"]["value"] = draw(powers_of_two(least, 4096))
    mapping["bank_group_interleave"]["value"] = draw(powers_of_two(1, 4))
    return memory


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    """Energies are those of `edge`: they change no cycle and no bit."""
    described = deepcopy(_described("edge"))
    described["name"], described["memories"] = "random", [draw(memories())]
    core = described["cores"][0]
    core["clock_hz"]["value"] = draw(st.sampled_from(CLOCKS_HZ))
    for name, numbers in draw(cores()).items():
        _set(core[name], numbers)
    fewest = fewest_bytes(described["memories"][0])
    for engine in ("dml", "dms"):
        core[engine]["outstanding_bytes"]["value"] = draw(powers_of_two(fewest, 64 * fewest))
    return Machine.from_canonical(described)


def _set(table: dict[str, Any], numbers: dict[str, Any]) -> None:
    for name, value in numbers.items():
        if isinstance(value, dict):
            _set(table[name], value)
        else:
            table[name]["value"] = value

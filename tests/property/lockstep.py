"""The fast engine beside the reference engine: the same program from the same state, and everything compared that either leaves."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields
from importlib import resources
from typing import Any

from isa.descriptor import Descriptor
from isa.encoding import decode_text
from isa.machine import Machine
from isa.spec import TD_REGISTERS, X_REGISTERS, Feature, Region
from simulator.fast.engine import FastEngine
from simulator.fast.timing import FastTiming
from simulator.reference.engine import Options, ReferenceEngine
from simulator.state import State
from simulator.timing import TimingModel
from simulator.timing.records import Records
from simulator.traps import TrapError
from tests.timing_judge.machines import fewest_bytes

TIMING_ABSENT = frozenset({Region.SRAM, Region.KV, Region.WEIGHT})
"""Regions without storage in the timing-only runs of a session."""


@dataclass
class Outcome:
    """What a run left. `end`: its events, or the trap in every detail."""

    end: list[Any]
    pc: int
    x: list[int]
    tds: list[Descriptor]
    memories: dict[Region, bytes]
    records: Records


def run_both(
    text: bytes,
    machine: Machine,
    state_of: Callable[[], State],
    *,
    seed: int = 0,
    watchdog: int = 1 << 20,
    timing_only: bool = True,
    threads: int = 1,
) -> Outcome:
    """Runs a text from two equal states. Raises AssertionError if anything differs; returns the outcome.

    Without `timing_only` all regions must be there, and tensors have values.
    """
    decoded = decode_text(text)
    options = Options(Feature.SPARSE, timing_only=timing_only, watchdog=watchdog, seed=seed)
    model, clock = TimingModel(machine), FastTiming(machine, decoded)
    slow, quick = state_of(), state_of()
    slow.instructions = quick.instructions = len(decoded)
    expected = _outcome(slow, ReferenceEngine(decoded, slow, model, options), model)
    assert_equal(_outcome(quick, FastEngine(quick, clock, options, threads=threads), clock), expected)
    return expected


def _outcome(state: State, engine: ReferenceEngine | FastEngine, timed: TimingModel | FastTiming) -> Outcome:
    end: list[Any] = []
    try:
        for event in engine.run(0):
            end.append(tuple(event))
    except TrapError as trap:
        end.append((trap.cause, trap.pc, trap.operand, trap.operand_word, trap.detail, trap.instruction, trap.location))
    return Outcome(
        end=end,
        pc=state.pc,
        x=state.x[:X_REGISTERS],
        tds=[state.descriptor(register) for register in range(TD_REGISTERS)],
        memories={region: array.tobytes() for region, array in state.memory.arrays.items()},
        records=timed.records(),
    )


def assert_equal(actual: Outcome, expected: Outcome) -> None:
    """Says where they differ first."""
    for field in fields(Outcome):
        one, two = getattr(actual, field.name), getattr(expected, field.name)
        if field.name == "records":
            assert_same_records(one, two)
        elif field.name == "memories":
            assert_same_memories(one, two)
            continue
        assert one == two, f"{field.name}: {one} instead of {two}"


def assert_same_memories(actual: dict[Region, bytes], expected: dict[Region, bytes]) -> None:
    assert actual.keys() == expected.keys()
    for region, content in expected.items():
        if actual[region] != content:
            place = next(i for i, (one, two) in enumerate(zip(actual[region], content, strict=True)) if one != two)
            raise AssertionError(f"memory {region.name}, from byte {place:#x} on")


def assert_same_records(actual: Records, expected: Records) -> None:
    for field in fields(Records):
        one, two = getattr(actual, field.name), getattr(expected, field.name)
        assert one == two, f"{field.name}: {one} instead of {two}"


CHOICES: dict[str, tuple[float, ...]] = {
    "seq.queue_depth": (1, 2, 4, 7, 64),
    "seq.smem_port_bytes": (1, 8, 64),
    "dml.port_bytes": (1, 16, 256),
    "dms.port_bytes": (1, 16, 256),
    "mxu.rows": (1, 3, 16, 64),
    "mxu.columns": (1, 3, 16, 64),
    "mxu.accumulator_rows": (1, 7, 128),
    "mxu.a_port_bytes": (1, 16, 64),
    "mxu.b_port_bytes": (1, 16, 64),
    "mxu.c_port_bytes": (1, 16, 64),
    "mxu.latency": (0, 1, 24, 1000, 100_000),
    "vpu.lanes": (1, 3, 64),
    "vpu.port_bytes": (4, 64),
    "vpu.latency": (0, 12, 500),
    "vpu.reduction_latency": (0, 24, 700),
    "sram.banks": (1, 4, 32),
    "sram.bank_bytes": (4, 32),
    "channels": (1, 2, 8),
    "banks": (4, 16),
    "row_bytes": (256, 2048),
    "burst_bytes": (32, 64),
    "address_map.channel_interleave_bytes": (64, 256, 8192),
    "address_map.bank_group_interleave": (1, 2, 4),
    "timing.burst": (0.3, 2.5, 10),
} | dict.fromkeys(
    (f"timing.{name}" for name in ("tCCD_L", "tRCD", "tRP", "tRC", "tRRD", "tFAW", "tWR", "tWTR", "tRTW", "RL", "WL")),
    (0, 1, 5, 20.5, 61.25, 300),
)


def random_machine(rng: random.Random) -> Machine:
    """A machine that is slow, fast, narrow or wide in random places."""
    name = rng.choice(("edge", "tiny"))
    data = tomllib.loads((resources.files("isa") / "machines" / f"{name}.toml").read_text("utf-8"))
    for key, choices in CHOICES.items():
        table, *path = (data["cores"][0], *key.split("."))
        if path[0] not in table:
            table = data["memories"][0]
        for part in path:
            table = table[part]
        table["value"] = rng.choice(choices)
    for engine in ("dml", "dms"):
        data["cores"][0][engine]["outstanding_bytes"]["value"] = rng.choice((1, 2, 8)) * fewest_bytes(
            data["memories"][0]
        )
    return Machine.from_canonical(data)

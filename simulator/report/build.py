"""From the records of a run and the executable's debug map to a Report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from isa.abi import EVENT_TOKEN
from isa.machine import Machine
from isa.prediction import Prediction
from isa.spec import DRAM_REGIONS, Engine
from simulator.energy import EnergyModel
from simulator.report.floor import bound_of, floor_of
from simulator.report.model import EngineReport, OperatorReport, PhaseReport, Report, SectionReport
from simulator.report.power import power_over_time
from simulator.report.predictions import compared
from simulator.timing.actions import ACTION_INDEX, DIRECTIONS, MAC_PAIRS, SRAM_PORTS, VPU_CLASSES, named
from simulator.timing.parts import Section, SectionKey
from simulator.timing.profile import ENGINES
from simulator.timing.records import Records, Timed

NO_OPERATOR = "(runtime)"
_MAC_INDICES = tuple(ACTION_INDEX[f"mac.{pair}"] for pair in MAC_PAIRS)
REPORTED_META = ("model", "scheme", "context", "chunk", "vocabulary")


class Debug(Protocol):
    """The part of an executable's debug map the report needs: operator_of_pc int32 [instructions], -1 for none."""

    operators: list[str]
    operator_of_pc: NDArray[np.int32]


class Program(Protocol):
    """The part of an executable the report needs."""

    @property
    def meta(self) -> dict[str, Any]: ...

    @property
    def debug(self) -> Debug: ...

    @property
    def text(self) -> NDArray[np.void]: ...


def build_report(
    timed: Timed,
    executable: Program | None,
    prompt_tokens: int | None = None,
    notes: Sequence[str] = (),
    prediction: Prediction | None = None,
    position: int = 0,
) -> Report:
    """The report of what was recorded so far. Without an executable there are no operators.

    `prediction`: that of the executable, to be compared; `position`: where the prompt began.
    """
    timing = timed.records()
    machine = timing.machine
    energy = EnergyModel(machine)
    phases = {name: phase_report(machine, energy, name, part) for name, part in _phases(timing).items()}
    actions = named(timing.actions)
    tokens = [event.cycle for event in timing.events if event.kind == EVENT_TOKEN]
    clock = machine.clock_hz
    return Report(
        machine={"name": machine.name, "hash": machine.hash.hex(), "clock_hz": clock},
        program=_program(executable),
        prompt_tokens=prompt_tokens,
        generated_tokens=phases["total"].tokens,
        time_to_first_token_cycles=tokens[0] if tokens else None,
        time_to_first_token_seconds=tokens[0] / clock if tokens else None,
        total=phases["total"],
        prefill=phases["prefill"],
        decode=phases["decode"],
        rest=phases["rest"],
        encode=phases["encode"],
        engines=[_seq_report(timing), *(_engine_report(timing, engine) for engine in ENGINES)],
        bytes_by_region={
            region.name: {direction: actions[f"{direction}.{region.name}"] for direction in DIRECTIONS}
            for region in DRAM_REGIONS
        },
        dram=_dram(actions),
        macs_by_dtype={pair: actions[f"mac.{pair}"] for pair in MAC_PAIRS},
        vpu_elements_by_class={name: actions[f"vpu.{name}"] for name in VPU_CLASSES},
        sram_bytes_by_port={
            port: {direction: actions[f"sram_{direction}.{port}"] for direction in DIRECTIONS} for port in SRAM_PORTS
        },
        sections=_sections(timing, energy),
        operators=_operators(timing, energy, executable),
        token_cycles=tokens,
        power=power_over_time(energy, timing.intervals, clock),
        notes=list(notes),
        predictions=compared(
            prediction, _chunk(executable), position, prompt_tokens, phases["prefill"], phases["decode"]
        ),
    )


def phase_report(machine: Machine, energy: EnergyModel, name: str, part: Section) -> PhaseReport:
    """One part of a run; `part.visits` are its tokens."""
    breakdown = energy.breakdown(part.actions, part.instructions, part.cycles)
    floor = floor_of(machine, part.actions)
    seconds, tokens = part.cycles / machine.clock_hz, part.visits
    return PhaseReport(
        name=name,
        tokens=tokens,
        cycles=part.cycles,
        seconds=seconds,
        instructions=part.instructions,
        macs=_macs(part.actions),
        dram_bytes=_dram_bytes(part.actions),
        floor=floor,
        bound=bound_of(floor, part.cycles),
        ratio_to_floor=part.cycles / floor.cycles if floor.cycles else None,
        cycles_per_token=part.cycles / tokens if tokens else None,
        tokens_per_second=tokens / seconds if tokens and seconds else None,
        energy=breakdown.joules,
        energy_bands=energy.bands(part.actions, part.instructions, part.cycles),
        joules=breakdown.total,
        joules_per_token=breakdown.total / tokens if tokens else None,
        watts=breakdown.total / seconds if seconds else None,
        utilisation={
            key: value / part.cycles if part.cycles else 0.0
            for key, value in (("dram", floor.dram), ("mxu", floor.mxu), ("vpu", floor.vpu))
        },
    )


def _phases(timing: Records) -> dict[str, Section]:
    """The phases and their sum. Only token events count as tokens."""
    found = timing.phases
    parts = {name: found.get(name, Section()) for name in ("encode", "prefill", "decode", "rest")}
    parts["encode"].visits = parts["rest"].visits = 0
    total = Section()
    for part in parts.values():
        total.visits += part.visits
        total.cycles += part.cycles
        total.instructions += part.instructions
        total.busy = [a + b for a, b in zip(total.busy, part.busy, strict=True)]
        total.actions = [a + b for a, b in zip(total.actions, part.actions, strict=True)]
    return {"total": total, **parts}


def _seq_report(timing: Records) -> EngineReport:
    seq, total = timing.seq, timing.cycles
    waits = {f"queue of {Engine(i).name}": cycles for i, cycles in enumerate(seq.queue_full) if cycles}
    drain = total - timing.now
    waits |= {"smem": seq.smem_wait, "halt": seq.halt_wait + drain}
    busy = timing.instructions
    return EngineReport("SEQ", busy, busy, total - busy, 0, busy / total if total else 0.0, waits)


def _engine_report(timing: Records, engine: Engine) -> EngineReport:
    profile, total = timing.engines[engine], timing.cycles
    waits = {f"interlock with {Engine(i).name}": cycles for i, cycles in enumerate(profile.interlock) if cycles}
    idle = total - profile.busy
    waits["starved"] = idle - sum(profile.interlock)
    utilisation = profile.busy / total if total else 0.0
    return EngineReport(engine.name, profile.instructions, profile.busy, idle, profile.contention, utilisation, waits)


def _program(executable: Program | None) -> dict[str, Any]:
    if executable is None:
        return {}
    known = {key: executable.meta[key] for key in REPORTED_META if key in executable.meta}
    return {**known, "instructions": len(executable.text)}


def _chunk(executable: Program | None) -> int:
    """Most tokens of a step."""
    return int(executable.meta.get("chunk", 1)) if executable is not None else 1


def _dram(actions: dict[str, int]) -> dict[str, float]:
    bursts = actions["dram.burst"]
    return {
        "bursts": bursts,
        "row_hits": actions["dram.row_hit"],
        "activates": actions["dram.activate"],
        "row_hit_rate": actions["dram.row_hit"] / bursts if bursts else 0.0,
        "read_bytes": actions["dram.read"],
        "write_bytes": actions["dram.write"],
    }


def _sections(timing: Records, energy: EnergyModel) -> list[SectionReport]:
    def order(item: tuple[SectionKey, Section]) -> tuple[int, int]:
        (label, value), _ = item
        return label, -1 if value is None else value

    return [
        SectionReport(
            label=label,
            value=value,
            visits=part.visits,
            cycles=part.cycles,
            busy_cycles={engine.name: part.busy[engine] for engine in ENGINES},
            macs=_macs(part.actions),
            dram_bytes=_dram_bytes(part.actions),
            joules=energy.breakdown(part.actions, part.instructions, part.cycles).total,
        )
        for (label, value), part in sorted(timing.sections.items(), key=order)
    ]


def _operators(timing: Records, energy: EnergyModel, executable: Program | None) -> list[OperatorReport]:
    """Sums over the instructions of each operator, the largest DRAM and engine users first."""
    if executable is None:
        return []
    parts: dict[str, Section] = {}
    for pc, count in timing.scalar_counts.items():
        part = parts.setdefault(_operator(executable.debug, pc), Section())
        part.instructions += count
        part.busy[Engine.SEQ] += count
        part.actions[ACTION_INDEX["smem"]] += timing.smem_bytes.get(pc, 0)
    for pc, profile in timing.per_pc.items():
        part = parts.setdefault(_operator(executable.debug, pc), Section())
        part.instructions += profile.executions
        part.busy[Engine.SEQ] += profile.executions
        part.busy[profile.engine] += profile.busy
        part.actions = [a + b for a, b in zip(part.actions, profile.actions, strict=True)]
    reports = [
        OperatorReport(
            name=name,
            executions=part.instructions,
            busy_cycles={engine.name: part.busy[engine] for engine in (Engine.SEQ, *ENGINES)},
            macs=_macs(part.actions),
            vpu_elements=sum(part.actions[ACTION_INDEX[f"vpu.{name}"]] for name in VPU_CLASSES),
            dram_bytes=_dram_bytes(part.actions),
            joules=energy.breakdown(part.actions, part.instructions, 0).total,
        )
        for name, part in parts.items()
    ]
    return sorted(reports, key=lambda operator: (-sum(operator.busy_cycles.values()), operator.name))


def _operator(debug: Debug, pc: int) -> str:
    index = int(debug.operator_of_pc[pc]) if 0 <= pc < len(debug.operator_of_pc) else -1
    return debug.operators[index] if index >= 0 else NO_OPERATOR


def _macs(actions: Sequence[int]) -> int:
    return sum(actions[index] for index in _MAC_INDICES)


def _dram_bytes(actions: Sequence[int]) -> int:
    return actions[ACTION_INDEX["dram.read"]] + actions[ACTION_INDEX["dram.write"]]

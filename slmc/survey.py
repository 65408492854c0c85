"""What many models cost on one machine: each is compiled with virtual weights and timed, prefill and decode."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

from compiler.analysis.mac_floor import mac_floor_cycles
from compiler.analysis.model_costs import model_costs
from compiler.program import Program
from compiler.schemes import find_scheme
from frontends import Virtual
from isa.container import Executable
from isa.machine import Machine, load_machine
from isa.spec import INSTRUCTION_BYTES
from simulator.report.model import PhaseReport, Report
from slmc.bottlenecks import reason_of
from slmc.building import DEFAULT_MACHINE, DEFAULT_SCHEME, Checkpoint, Target, build
from slmc.errors import CommandError, headline_of
from slmc.session import Session

DEFAULT_SURVEY_CONTEXT, DEFAULT_PROMPT, DEFAULT_DECODED = 1024, 512, 4
WATCHDOG = 1 << 36
"""Instructions without a token: on a small machine the prompt of a large model takes billions."""


@dataclass(frozen=True)
class Study:
    """What every model is asked: `decoded` tokens behind a prompt of `prompt` tokens, the first of which prefill gives.

    The program has room for `context` positions, or for what the model has if that is less.
    """

    machine: str = DEFAULT_MACHINE
    scheme: str = DEFAULT_SCHEME
    context: int = DEFAULT_SURVEY_CONTEXT
    prompt: int = DEFAULT_PROMPT
    decoded: int = DEFAULT_DECODED


@dataclass(frozen=True, slots=True)
class Phase:
    """Prefill of the whole prompt, or decoding per token. Times of the simulated machine."""

    milliseconds: float
    tokens_per_second: float
    joules_per_token: float
    ratio_to_floor: float
    bound: str
    cycles: float
    prediction_error: float | None = None
    """Of the compiler's prediction: predicted / simulated - 1."""
    reason: str | None = None
    """Why it is far from its floor (slmc/bottlenecks.py)."""


@dataclass(frozen=True, slots=True)
class Row:
    """One model; `error` says why the rest is missing. Seconds are those of this computer, bytes those of the program."""

    name: str
    family: str | None = None
    parameters: int | None = None
    active_parameters: int | None = None
    context: int | None = None
    chunk: int | None = None
    weight_bytes: int | None = None
    dram_bytes: int | None = None
    fits: bool | None = None
    text_bytes: int | None = None
    compile_seconds: float | None = None
    simulation_seconds: float | None = None
    prefill: Phase | None = None
    decode: Phase | None = None
    mac_floor_share: float | None = None
    """The least cycles for the multiply-accumulates of the prompt (compiler/analysis/mac_floor.py) by those of prefill."""
    notes: tuple[str, ...] = ()
    error: str | None = None


def configs_of(paths: Sequence[Path]) -> list[Path]:
    """The paths, a folder without a config.json of its own standing for the *.json and *.slm files in it. Raises CommandError."""
    found: list[Path] = []
    for path in paths:
        if not path.is_dir() or (path / "config.json").exists():
            found.append(path)
            continue
        inside = sorted(file for file in path.iterdir() if file.suffix in (".json", ".slm"))
        if not inside:
            raise CommandError("there is no .json or .slm file in this folder", place=str(path))
        found += inside
    return found


def survey(paths: Sequence[Path], study: Study) -> Iterator[Row]:
    """One row for each model, as it is done. What fails is a row with an error, whatever the reason. Raises MachineError."""
    load_machine(study.machine)
    for path in paths:
        name = path.name if path.is_dir() else path.stem
        try:
            yield measure(name, path, study)
        except Exception as error:  # the other models are still of interest
            yield Row(name, error=headline_of(error))


def measure(name: str, path: Path, study: Study) -> Row:
    """Compiles and times one model. Raises what loading, compiling and running raise."""
    started = perf_counter()
    program = Checkpoint(path, virtual=Virtual.ALWAYS).load()
    context = min(study.context, program.max_positions or study.context)
    options = Target(study.machine, study.scheme, context, allow_oversize=True).options(program)
    with tempfile.TemporaryDirectory(prefix="slmc-") as directory:
        file = Path(directory) / "model.slx"
        build(program, options, file)
        compiled = perf_counter()
        executable = Executable.open(file)
        session = Session(executable, timing_only=True, watchdog=WATCHDOG)
        tokens = session.generate([0] * study.prompt, study.decoded + 1)
        next(tokens)
        prefilled = session.report()
        for _ in tokens:
            pass
        timed = perf_counter()
    seconds = (compiled - started, timed - compiled)
    return row_of(name, program, executable, prefilled, session.report(), study, seconds)


def row_of(
    name: str,
    program: Program,
    executable: Executable,
    prefilled: Report,
    report: Report,
    study: Study,
    seconds: tuple[float, float],
) -> Row:
    """The numbers of one run; `prefilled` at its first token, `seconds` that compilation and simulation took."""
    costs, machine = model_costs(program), Machine.from_canonical(executable.meta["machine"])
    scheme = find_scheme(study.scheme).for_weights(program.weights)
    return Row(
        name=name,
        family=program.architecture,
        parameters=costs.parameters,
        active_parameters=costs.active_parameters,
        context=executable.meta["context"],
        chunk=executable.meta["chunk"],
        weight_bytes=executable.weights_bytes,
        dram_bytes=executable.dram_bytes,
        fits=executable.dram_bytes <= machine.dram_capacity_bytes,
        text_bytes=len(executable.text) * INSTRUCTION_BYTES,
        compile_seconds=round(seconds[0], 2),
        simulation_seconds=round(seconds[1], 2),
        prefill=phase_of(report, "prefill", study.prompt, reason_of(report.prefill, [], prefilled.engines)),
        decode=phase_of(report, "decode", study.decoded, reason_of(report.decode, prefilled.engines, report.engines)),
        mac_floor_share=mac_floor_cycles(costs, scheme, machine, study.prompt) / report.prefill.cycles,
        notes=tuple(report.notes),
    )


def phase_of(report: Report, name: Literal["prefill", "decode"], tokens: int, reason: str | None = None) -> Phase:
    """A phase in which `tokens` were processed, and the reason if it is far from its floor."""
    phase: PhaseReport = getattr(report, name)
    times = tokens if name == "decode" else 1
    return Phase(
        milliseconds=1000 * phase.seconds / times,
        tokens_per_second=tokens / phase.seconds,
        joules_per_token=phase.joules / tokens,
        ratio_to_floor=phase.ratio_to_floor or 0.0,
        bound=phase.bound,
        cycles=phase.cycles / times,
        prediction_error=next((one.error for one in report.predictions if one.phase == name), None),
        reason=reason,
    )


def document_of(rows: Sequence[Row], study: Study) -> dict[str, Any]:
    """The survey as JSON: docs/stats.md."""
    return {"schema": 1, **asdict(study), "models": [asdict(row) for row in rows]}

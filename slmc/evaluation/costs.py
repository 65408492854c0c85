"""What a scheme costs on a machine: bytes of weights, and a timing-only run by the fast engine."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from compiler.driver import Options
from compiler.program import Program
from frontends import Virtual
from isa.container import Executable
from isa.machine import Machine
from slmc.building import Checkpoint, build
from slmc.errors import CommandError
from slmc.session import Session
from slmc.survey import DEFAULT_DECODED, DEFAULT_PROMPT, DEFAULT_SURVEY_CONTEXT, Phase, phase_of

REFERENCE_SCHEME = "fp32"


@dataclass(frozen=True)
class Timed:
    """What is timed: `decoded` tokens behind a prompt of `prompt`; None: as `slmc survey` does, as far as the context reaches."""

    prompt: int | None = None
    decoded: int | None = None

    def within(self, context: int) -> tuple[int, int]:
        """Tokens of the prompt, and decoded ones. Raises CommandError for more than a context holds."""
        decoded = min(DEFAULT_DECODED, max(1, context - 2)) if self.decoded is None else self.decoded
        prompt = max(1, min(DEFAULT_PROMPT, context - decoded - 1)) if self.prompt is None else self.prompt
        if prompt + decoded + 1 > context:
            raise CommandError(
                f"a prompt of {prompt} tokens and {decoded + 1} generated ones do not fit the context of {context}",
                "give a smaller --prompt-length or -n",
            )
        return prompt, decoded


@dataclass(frozen=True, slots=True)
class Cost:
    """weight_bytes: of the program. Phases are of the simulated machine; fits: whether its DRAM holds the program."""

    weight_bytes: int
    fits: bool
    context: int
    prompt: int
    decoded: int
    prefill: Phase
    decode: Phase


def cost_of(program: Program, machine: Machine, scheme: str, timed: Timed, context: int | None = None) -> Cost:
    """Compiles to a temporary file and times it. Raises what compiling and running raise.

    context None: as `slmc survey`, 1024 positions or what the model has if that is less.
    """
    if context is None:
        context = min(DEFAULT_SURVEY_CONTEXT, program.max_positions or DEFAULT_SURVEY_CONTEXT)
    timed.within(context)
    options = Options(machine, scheme, context, allow_oversize=True)
    with tempfile.TemporaryDirectory(prefix="slmc-") as directory:
        file = Path(directory) / "model.slx"
        build(program, options, file)
        return cost_of_executable(Executable.open(file, verify=False), timed)


def cost_of_reference(source: Checkpoint, machine: Machine, timed: Timed, context: int | None = None) -> Cost:
    """The same model in fp32: timed without weights, since its program may be several times the others'."""
    virtual = replace(source, random_seed=None, virtual=Virtual.ALWAYS).load()
    return cost_of(virtual, machine, REFERENCE_SCHEME, timed, context)


def cost_of_executable(executable: Executable, timed: Timed) -> Cost:
    """Times an executable. Raises CommandError, SessionError, TrapError."""
    context = executable.meta["context"]
    prompt, decoded = timed.within(context)
    session = Session(executable, timing_only=True)
    for _ in session.generate([0] * prompt, decoded + 1):
        pass
    report, machine = session.report(), Machine.from_canonical(executable.meta["machine"])
    return Cost(
        weight_bytes=executable.weights_bytes,
        fits=executable.dram_bytes <= machine.dram_capacity_bytes,
        context=context,
        prompt=prompt,
        decoded=decoded,
        prefill=phase_of(report, "prefill", prompt),
        decode=phase_of(report, "decode", decoded),
    )

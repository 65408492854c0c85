"""Schemes of one model on one text: how accurate each is, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from compiler.emit.executable import vocabulary_of
from compiler.program import Program
from compiler.schemes import find_scheme
from isa.machine import Machine, load_machine
from slmc.building import DEFAULT_CONTEXT, DEFAULT_MACHINE, Checkpoint, scheme_of
from slmc.errors import CommandError
from slmc.evaluation.costs import Timed, cost_of, cost_of_executable, cost_of_reference
from slmc.evaluation.measuring import Measuring, Tell
from slmc.evaluation.rows import Evaluation
from slmc.evaluation.runs import Quantised, Reference, Simulated
from slmc.evaluation.windows import tokens_of, window_size, windows_of
from slmc.executables import Wanted, is_executable, opened
from slmc.progress import tell_notes
from slmc.texts import Texts

NO_REFERENCE = (
    "there is no fp32 model to compare with, so the increase of perplexity, the KL divergence and the agreement are blank; "
    "give the checkpoint that the executable was made from (--reference)"
)
NO_LAYERS = "the simulator does not hand out the residual stream, so there are no layer errors"


@dataclass(frozen=True)
class Asked:
    """What is to be evaluated. reference None: the checkpoint itself, nothing for an executable.

    schemes, machine: None or empty stand for the default, or for what an executable was compiled for. tokens: at most so
    many of the text; window: tokens of a window, by default 512 or the positions there are if those are less.
    """

    schemes: tuple[str, ...] = ()
    machine: str | None = None
    reference: Path | None = None
    tokens: int | None = None
    window: int | None = None
    timed: Timed = Timed()


def evaluate_rows(source: Checkpoint, text: str | Path, asked: Asked, tell: Tell | None = None) -> Evaluation:
    """Evaluates; `tell` gets each row as it is done. What fails for one scheme is an error in its row.

    Raises FrontendError, CommandError, MachineError, and CompileError for an unknown scheme: what concerns all rows.
    """
    if is_executable(source.path):
        return _evaluate_executable(source, text, asked, tell)
    for scheme in asked.schemes:
        find_scheme(scheme)
    machine = load_machine(asked.machine or DEFAULT_MACHINE)
    tokens = tokens_of(text, Texts.of_path(source.path), asked.tokens)
    program = source.load()
    tell_notes(program)
    origin, original = source, program
    if asked.reference is not None:
        origin = Checkpoint(asked.reference)
        original = _original(origin, vocabulary_of(program), tokens, text, asked.tokens)
    longest = min((limit for limit in (program.max_positions, original.max_positions) if limit), default=0)
    size = window_size(asked.window, min(DEFAULT_CONTEXT, longest or DEFAULT_CONTEXT), longest, "the model")
    windows = windows_of(tokens, size)
    rows = Measuring(Reference(original), windows, tell)
    rows.measure_reference(lambda: cost_of_reference(origin, machine, asked.timed))
    for scheme in asked.schemes or (scheme_of(program, None),):
        rows.measure(
            scheme,
            lambda scheme=scheme: Quantised(program, scheme, windows.size),
            lambda scheme=scheme: cost_of(program, machine, scheme, asked.timed),
        )
    return Evaluation(
        source=str(source.path),
        reference=str(asked.reference or source.path),
        machine=machine.name,
        text=_name(text),
        tokens=len(tokens),
        window=windows.size,
        windows=len(windows.parts),
        rows=tuple(rows.rows),
    )


def _evaluate_executable(source: Checkpoint, text: str | Path, asked: Asked, tell: Tell | None) -> Evaluation:
    """One executable, by the simulator."""
    if len(asked.schemes) > 1:
        raise CommandError("an executable has one scheme", "give the checkpoint to compare several")
    with opened(source, Wanted(asked.machine, asked.schemes[0] if asked.schemes else None)) as executable:
        tokens = tokens_of(text, Texts.of_executable(executable), asked.tokens)
        context, origin, original = executable.meta["context"], None, None
        if asked.reference is not None:
            origin = Checkpoint(asked.reference)
            original = _original(origin, executable.meta["vocabulary"], tokens, text, asked.tokens)
        longest = min(context, original.max_positions or context) if original else context
        size = window_size(asked.window, min(DEFAULT_CONTEXT, longest), longest, "the executable or its reference")
        windows, machine = windows_of(tokens, size), Machine.from_canonical(executable.meta["machine"])
        rows = Measuring(None if original is None else Reference(original), windows, tell)
        if origin is not None:
            rows.measure_reference(lambda: cost_of_reference(origin, machine, asked.timed, context))
        rows.measure(
            executable.meta["scheme"],
            lambda: Simulated(executable),
            lambda: cost_of_executable(executable, asked.timed),
        )
    return Evaluation(
        source=str(source.path),
        reference=None if asked.reference is None else str(asked.reference),
        machine=machine.name,
        text=_name(text),
        tokens=len(tokens),
        window=windows.size,
        windows=len(windows.parts),
        rows=tuple(rows.rows),
        notes=(NO_REFERENCE, NO_LAYERS) if original is None else (NO_LAYERS,),
    )


def _original(origin: Checkpoint, vocabulary: int, tokens: list[int], text: str | Path, most: int | None) -> Program:
    """The reference's program. Raises CommandError if it is not a model of the same tokens."""
    path = origin.path
    if is_executable(path):
        raise CommandError("the reference must be a checkpoint, since its fp32 numbers are needed", place=str(path))
    texts, original = Texts.of_path(path), origin.load()
    if vocabulary_of(original) != vocabulary:
        message = f"the reference has a vocabulary of {vocabulary_of(original)}, the model one of {vocabulary}"
        raise CommandError(message, place=str(path))
    if texts.tokenizer is not None and tokens_of(text, texts, most) != tokens:
        raise CommandError("the tokenizer of the reference makes other tokens of the text", place=str(path))
    return original


def _name(text: str | Path) -> str:
    return "a text" if isinstance(text, str) else str(text)

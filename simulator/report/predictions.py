"""The compiler's prediction against the simulation, for the phases that can be compared."""

from __future__ import annotations

from isa.prediction import Prediction
from simulator.report.model import PhaseReport, PredictionReport


def compared(
    prediction: Prediction | None,
    chunk: int,
    position: int,
    prompt_tokens: int | None,
    prefill: PhaseReport,
    decode: PhaseReport,
) -> list[PredictionReport]:
    """Of one prompt that starts at a position, if that is 0, and the tokens behind it, as far as their steps are predicted.

    Nothing of sequences that were continued: where their prompts began is not known here.
    """
    if prediction is None or prompt_tokens is None or prefill.tokens != 1:
        return []
    found = [
        (prefill, None if position else prediction.prefill_cycles(prompt_tokens, chunk)),
        (decode, prediction.decode_cycles(position + prompt_tokens, decode.tokens)),
    ]
    return [
        PredictionReport(phase.name, round(cycles), phase.cycles, cycles / phase.cycles - 1)
        for phase, cycles in found
        if cycles is not None and phase.cycles
    ]

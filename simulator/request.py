"""What a caller asks of a session, checked, and how the mailbox says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from isa.abi import ABI_VERSION, MAILBOX_MAGIC, Mailbox, RunFlag, Sampler
from isa.spec import MAX_TOPK
from simulator.image_port import Picture
from simulator.session_error import SessionError

LARGEST_FP32 = float(np.finfo(np.float32).max)
NO_FLAGS = RunFlag(0)


@dataclass(frozen=True, slots=True)
class Request:
    """The validated arguments of one `generate`."""

    prompt: tuple[int, ...]
    max_new: int
    sampler: Sampler
    temperature: float
    top_k: int
    top_p: float
    seed: int
    stop_tokens: tuple[int, ...]
    dump: RunFlag
    image: Picture | None


def check_tokens(what: str, tokens: Sequence[int], vocabulary: int) -> None:
    """Raises SessionError for a token that the vocabulary has not."""
    for place, token in enumerate(tokens):
        if not 0 <= token < vocabulary:
            raise SessionError(f"{what} token {place} is {token}, expected 0 to {vocabulary - 1}")


def check_sampling(request: Request) -> None:
    """Raises SessionError for numbers that no sampler takes."""
    if not 0 < request.temperature < float("inf"):
        raise SessionError(
            f"the temperature is {request.temperature}, expected a number above 0 (greedy sampling needs none)"
        )
    if 1.0 / request.temperature > LARGEST_FP32:
        raise SessionError(f"the temperature {request.temperature} is too small: its inverse is not a finite fp32")
    if not 0 <= request.top_k <= MAX_TOPK:
        raise SessionError(f"top_k is {request.top_k}, expected 1 to {MAX_TOPK}, or 0 for {MAX_TOPK}")
    if not 0 < np.float32(request.top_p) <= 1:
        raise SessionError(f"top_p is {request.top_p}, expected a number above 0 and up to 1")
    if not 0 <= request.seed < 1 << 64:
        raise SessionError(f"the seed is {request.seed}, expected 0 to 2^64 - 1")


def _fp32_bits(value: float) -> int:
    return int(np.float32(value).view(np.uint32))


def _inverse_bits(temperature: float) -> int:
    """The fp32 nearest to the exact 1 / temperature."""
    exact = 1 / Fraction(temperature)
    near = np.float32(1.0 / temperature)
    steps = (np.nextafter(near, np.float32(0)), near, np.nextafter(near, np.float32(np.inf)))
    finite = [step for step in steps if np.isfinite(step)]
    best = min(finite, key=lambda step: (abs(Fraction(float(step)) - exact), int(step.view(np.uint32)) & 1))
    return _fp32_bits(float(best))


def mailbox_words(request: Request, entry: int, tokens: int, logits_offset: int) -> dict[int, int]:
    """What the mailbox says of a request: `tokens` are those of the conversation, the prompt included."""
    words: dict[int, int] = {
        Mailbox.MAGIC_ABI: MAILBOX_MAGIC | ABI_VERSION << 32,
        Mailbox.ENTRY: entry,
        Mailbox.N_TOKENS: tokens,
        Mailbox.MAX_NEW: request.max_new,
        Mailbox.N_OUT: 0,
        Mailbox.FLAGS: int(request.dump),
        Mailbox.SAMPLER: int(request.sampler),
        Mailbox.INVERSE_TEMPERATURE: _inverse_bits(request.temperature),
        Mailbox.TOP_K: request.top_k or MAX_TOPK,
        Mailbox.TOP_P: _fp32_bits(request.top_p),
        Mailbox.SEED: request.seed,
        Mailbox.N_STOP: len(request.stop_tokens),
        Mailbox.CORE: 0,
        Mailbox.CORES: 1,
        Mailbox.LOGITS_OFFSET: logits_offset,
        Mailbox.SEQUENCES: 1,
        Mailbox.ABORT: 0,
        Mailbox.INPUT_KIND: 0,
        Mailbox.TRAP_CAUSE: 0,
        Mailbox.TRAP_PC: 0,
        Mailbox.TRAP_OPERAND: 0,
    }
    for place, token in enumerate(request.stop_tokens):
        words[Mailbox.STOP_0 + place] = token
    return words

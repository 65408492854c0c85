"""Runs a session and prints tokens as they arrive, then the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from rich.console import Console

from simulator.report import render, write_json
from slmc.errors import CommandError
from slmc.files import write_npz
from slmc.session import Session, Token
from slmc.tables import table_of
from slmc.warming import announced
from slmc.wrapping import WordWrapper

DEFAULT_NEW_TOKENS = 128
PLAIN_WIDTH = 120


@dataclass(frozen=True)
class Request:
    """What to generate; `prompt` is a text or token ids. max_new None: up to 128, as far as the context reaches.

    temperature None: greedy, or 1 if `top_k` or `top_p` cut the choice. `chat`: a text prompt is a message in the model's
    chat template, after the message `system` to the model if there is one. image_at: where the rows of its image begin in it.
    """

    prompt: str | list[int]
    max_new: int | None = None
    temperature: float | None = None
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    image: Path | None = None
    image_at: int | None = None
    chat: bool = False
    system: str | None = None

    @property
    def effective_temperature(self) -> float:
        if self.temperature is not None:
            return self.temperature
        return 1.0 if self.top_k or self.top_p != 1.0 else 0.0


def stream(session: Session, request: Request, keep_logits: bool = False, width: int | None = None) -> list[int]:
    """Generates and prints: text after a text prompt, ids after ids, of a chat the answer alone. Returns the ids.

    `width`: break lines at words to this width, and set off the prompt.
    """
    is_text = isinstance(request.prompt, str)
    prompt, image_at = _prompt_tokens(session, request)
    tokens = session.generate(
        prompt,
        _max_new(request, session.executable.meta["context"], len(prompt)),
        temperature=request.effective_temperature,
        top_k=request.top_k,
        top_p=request.top_p,
        seed=request.seed,
        stops=is_text,
        keep_logits=keep_logits,
        image=request.image,
        image_at=image_at,
    )
    wrapper = WordWrapper(width) if width else None
    if isinstance(request.prompt, str) and not request.chat:
        click.secho(request.prompt if wrapper is None else wrapper.whole(request.prompt), nl=False, bold=bool(wrapper))
    generated: list[int] = []
    for token in announced(tokens):
        text = _shown(token, is_text, first=not generated)
        click.echo(text if wrapper is None else wrapper.push(text), nl=False)
        generated.append(int(token))
    click.echo("" if wrapper is None else wrapper.finish())
    return generated


def _prompt_tokens(session: Session, request: Request) -> tuple[list[int], int | None]:
    """The ids of the prompt, and where the rows of its image begin."""
    if isinstance(request.prompt, str) and request.chat:
        return session.encode_chat(request.prompt, request.system), None
    return session.tokens_of(request.prompt, request.image, request.image_at)


def _max_new(request: Request, context: int, prompt_tokens: int) -> int:
    left = context - prompt_tokens
    if left < 1:
        message = f"the prompt has {prompt_tokens} tokens, which leaves nothing of the context of {context}"
        raise CommandError(message, "give a shorter prompt, or compile with a larger --context")
    if request.max_new is None:
        return min(DEFAULT_NEW_TOKENS, left)
    if request.max_new > left:
        message = f"-n is {request.max_new}, but {left} positions are left: the prompt has {prompt_tokens} tokens, the context {context}"
        raise CommandError(message, "give a smaller -n, or compile with a larger --context")
    return request.max_new


def _shown(token: Token, is_text: bool, first: bool) -> str:
    if is_text:
        return token.text
    return f"{token}" if first else f" {token}"


def console_of() -> Console:
    """Standard output; tables are not squeezed where there is no terminal whose width would matter."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


def check_folders(*outputs: Path | None) -> None:
    """Raises CommandError before a long run, not after it, if there is no folder for an output."""
    for path in outputs:
        if path is not None and not path.parent.is_dir():
            raise CommandError("there is no such folder to write to", place=str(path))


def write_results(session: Session, generated: Sequence[int], logits: Path | None, stats: Path | None) -> None:
    """The files of --logits and --stats."""
    if logits is not None:
        write_npz(logits, {"tokens": np.array(generated, np.int32), "logits": session.logits()})
    if stats is not None:
        try:
            write_json(session.report(), stats)
        except OSError as error:
            raise OSError(error.errno, f"cannot write: {error.strerror}", str(stats)) from error


def print_report(session: Session) -> None:
    """The report for people, on stdout."""
    render(session.report(), console_of())


def print_host_profile(session: Session) -> None:
    """Where the time of this computer went: kernels by instruction class, the rest of the loop, the host."""
    clock = session.device.clock
    rows = [] if clock is None else clock.host_rows()
    total = sum(row.seconds for row in rows) or 1.0
    cells = (
        (
            row.name,
            row.executions or "",
            f"{1e3 * row.seconds:,.1f}",
            f"{row.seconds / total:.1%}",
            f"{1e6 * row.seconds / row.executions:,.2f}" if row.executions else "",
        )
        for row in rows
    )
    title = f"Time of this computer: {total:,.2f} s"
    console_of().print(table_of(title, ("work", "executions#", "ms#", "share#", "us each#"), cells))

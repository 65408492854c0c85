"""The Python API: compile a checkpoint, generate tokens with the executable, read the report."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import simulator.session
from frontends import Virtual
from frontends.tokenizer import TextTokenizer
from isa.abi import RunFlag, Sampler
from isa.container import Executable
from isa.machine import Machine
from simulator.report import Report, build_report, notes_of
from simulator.session import NO_FLAGS
from simulator.timing import TimingModel
from slmc.building import Checkpoint, Target, build
from slmc.errors import CommandError


def compile(
    path: str | Path,
    machine: str = "edge",
    scheme: str = "w8a8",
    context: int | None = None,
    output: str | Path | None = None,
    random_seed: int | None = None,
    virtual_weights: bool = False,
    allow_oversize: bool = False,
) -> Executable:
    """Compiles a checkpoint: a Hugging Face directory, or a `.slm` file or bare config.json with `random_seed`.

    `machine`: a built-in name or the path of a TOML file. `scheme`: fp32, bf16, w8a8 or w8a8-kv8. `context`: positions
    of a conversation, by default 512 or what the model has if that is less. Without `output` the executable lives in a
    temporary file, which goes when the result does. For a Session with `timing_only` weights may be `virtual_weights`,
    shapes without values, and `allow_oversize` accepts a program that needs more DRAM than the machine has. Raises
    FrontendError, CompileError, MachineError, ContainerError.
    """
    virtual = Virtual.ALWAYS if virtual_weights else Virtual.NEVER
    program = Checkpoint(Path(path), random_seed, virtual=virtual).load()
    options = Target(machine, scheme, context, allow_oversize).options(program)
    if output is not None:
        build(program, options, Path(output))
        return Executable.open(output)
    handle, name = tempfile.mkstemp(suffix=".slx", prefix="slmc-")
    os.close(handle)
    try:
        build(program, options, Path(name))
        executable = Executable.open(name)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    weakref.finalize(executable, Path(name).unlink, missing_ok=True)
    return executable


class Token(int):
    """A generated token: its id, and in `text` what it adds to the text (empty without a tokenizer)."""

    text: str

    def __new__(cls, token: int, text: str = "") -> Token:
        made = super().__new__(cls, token)
        made.text = text
        return made


class Session:
    """One conversation with an executable on the simulated machine, with time and energy.

        for token in slmc.Session(executable).generate("Once upon a time", 64):
            print(token.text, end="")

    A second `generate` continues the conversation. `timing_only`: control flow without tensor values; the tokens mean
    nothing then. Raises SessionError for an executable that cannot be run.
    """

    def __init__(self, executable: Executable | str | Path, *, timing_only: bool = False, seed: int = 0) -> None:
        self.timing_only, self.seed = timing_only, seed
        self.executable = executable if isinstance(executable, Executable) else Executable.open(executable)
        self.timing = TimingModel(Machine.from_canonical(self.executable.meta["machine"]))
        self.device = simulator.session.Session(
            self.executable, observer=self.timing, timing_only=timing_only, seed=seed
        )
        content: str | None = self.executable.meta["tokenizer"]
        self.tokenizer = None if content is None else TextTokenizer(content.encode("utf-8"))
        self._prompt_tokens = 0

    def encode(self, text: str) -> list[int]:
        """The token ids of a prompt. Raises CommandError if the executable has no tokenizer."""
        if self.tokenizer is None:
            raise CommandError("the executable has no tokenizer, so a prompt is a list of token ids", "give --tokens")
        return self.tokenizer.encode(text)

    def generate(
        self,
        prompt: str | Sequence[int],
        max_new: int,
        *,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
        keep_logits: bool = False,
    ) -> Iterator[Token]:
        """Appends the prompt and yields up to `max_new` tokens as the machine posts them.

        A text ends at the model's stop tokens, a list of ids does not. `temperature` 0 takes the most probable token;
        `top_k` (up to 64) and `top_p` cut the choice. Raises SessionError for arguments out of range, and TrapError
        if the program fails.
        """
        tokens = self.encode(prompt) if isinstance(prompt, str) else list(prompt)
        stop_tokens: list[int] = self.executable.meta["stop_tokens"] if isinstance(prompt, str) else []
        cut = top_k != 0 or top_p != 1.0
        sampler = Sampler.GREEDY if temperature == 0 else Sampler.TOP_K_TOP_P if cut else Sampler.TEMPERATURE
        posted = self.device.generate(
            tokens,
            max_new,
            sampler=sampler,
            temperature=temperature if sampler else 1.0,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            stop_tokens=stop_tokens,
            dump=RunFlag.DUMP_SAMPLED if keep_logits else NO_FLAGS,
        )
        self._prompt_tokens += len(tokens)
        return self._with_text(posted, max_new, stop_tokens)

    def logits(self) -> NDArray[np.float32]:
        """The rows that the tokens of the last `generate(..., keep_logits=True)` were chosen from, [tokens, vocabulary]."""
        return self.device.logits()

    def report(self) -> Report:
        """Time, energy and what bounds them, for everything generated so far."""
        notes = notes_of(self.executable, timing_only=self.timing_only, seed=self.seed)
        return build_report(self.timing, self.executable, self._prompt_tokens, notes)

    def _with_text(self, posted: Iterator[int], max_new: int, stop_tokens: Sequence[int]) -> Iterator[Token]:
        """Pairs tokens with text; the last one also has what was held back, a stop token none of its own."""
        stream = None if self.tokenizer is None else self.tokenizer.stream()
        for count, token in enumerate(posted, 1):
            stopped = token in stop_tokens
            text = ""
            if stream is not None:
                text += "" if stopped else stream.push(token)
                text += stream.finish() if stopped or count == max_new else ""
            yield Token(token, text)

"""The Python API: compile a checkpoint, generate tokens with the executable, read the report."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np
from numpy.typing import NDArray

import simulator.session
from frontends import Virtual
from frontends.tokenizer import TextTokenizer
from isa.abi import RunFlag, Sampler
from isa.container import Executable
from isa.machine import Machine
from simulator.commit_log import CommitLog
from simulator.observer import Observer
from simulator.observers import Observers
from simulator.reference.engine import DEFAULT_WATCHDOG
from simulator.report import Report, build_report, notes_of
from simulator.request import NO_FLAGS
from simulator.session import EngineName, Picture
from simulator.session_error import SessionError
from simulator.timing import TimingModel
from simulator.timing.records import Timed
from simulator.timing.trace import TracedTiming
from slmc.building import Checkpoint, Target, build
from slmc.errors import CommandError
from slmc.pictures import PictureInput
from slmc.progress import steps
from slmc.texts import Texts

if TYPE_CHECKING:
    from simulator.fast.timing import FastTiming


def compile(
    path: str | Path,
    machine: str = "edge",
    scheme: str | None = None,
    context: int | None = None,
    output: str | Path | None = None,
    random_seed: int | None = None,
    virtual_weights: bool = False,
    allow_oversize: bool = False,
) -> Executable:
    """Compiles a checkpoint: a Hugging Face directory, a GGUF file, or a `.slm` file or bare config.json with `random_seed`.

    `machine`: a built-in name or the path of a TOML file. `scheme`: a name such as w4a8-g32 or a TOML file, by default
    that of a quantised checkpoint, else w8a8. `context`: positions
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
    nothing then, and the run may begin at a `position` as if so many tokens had been processed. `engine`: "fast", the
    default, or "reference"; they agree in every bit and number.
    `extrapolate`: with `timing_only`, what was executed before in the same circumstances is not executed again.
    `threads`: of the fast engine, 0: one per core; results do not depend on it. `watchdog`: a run traps after so many
    instructions without a token. `check_every`: the reference checks one in about so
    many instructions of the fast engine. `trace`, `commit_log`: where the reference engine writes when it works on what, and
    what each instruction changed; `close` ends a trace. `profile_host`: the fast engine measures where the time of this
    computer goes, for `device.clock.host_rows`. Raises SessionError for an executable that cannot be run.
    """

    def __init__(
        self,
        executable: Executable | str | Path,
        *,
        timing_only: bool = False,
        position: int = 0,
        seed: int = 0,
        engine: EngineName | None = None,
        watchdog: int = DEFAULT_WATCHDOG,
        threads: int = 0,
        check_every: int = 0,
        trace: TextIO | None = None,
        commit_log: TextIO | None = None,
        extrapolate: bool = True,
        profile_host: bool = False,
    ) -> None:
        if position and not timing_only:
            raise SessionError("only a timing-only run can begin at a position: the KV cache before it has no values")
        self.timing_only, self.seed = timing_only, seed
        self.executable = executable if isinstance(executable, Executable) else Executable.open(executable)
        watched = trace is not None or commit_log is not None
        model = self._timing_model(trace) if watched or engine == "reference" else None
        self.device = simulator.session.Session(
            self.executable,
            observer=self._observer(model, commit_log),
            engine=engine,
            check_every=check_every,
            threads=threads,
            timing_only=timing_only,
            position=position,
            seed=seed,
            watchdog=watchdog,
            extrapolate=extrapolate,
            profile_host=profile_host,
        )
        self.timing = _ready(self.device.clock) if model is None else model
        self.texts = Texts.of_executable(self.executable)
        self._prompt_tokens = 0

    def _timing_model(self, trace: TextIO | None) -> TimingModel:
        machine = Machine.from_canonical(self.executable.meta["machine"])
        return TimingModel(machine) if trace is None else TracedTiming(machine, self.executable.debug, trace)

    def _observer(self, model: TimingModel | None, commit_log: TextIO | None) -> Observer | None:
        """What watches the reference engine; None for the fast engine."""
        if model is None or commit_log is None:
            return model
        return Observers(model, CommitLog(self.executable.text, lambda: self.device.state, commit_log))

    @property
    def tokenizer(self) -> TextTokenizer | None:
        return self.texts.tokenizer

    def encode(self, text: str) -> list[int]:
        """The token ids of a prompt. Raises CommandError if the executable has no tokenizer."""
        return self.texts.encode(text)

    def encode_chat(self, message: str, system: str | None = None) -> list[int]:
        """The token ids of a message of the user in the model's chat template, up to where the answer begins.

        `system`: a message to the model before it. Raises CommandError if the executable has no template or no
        tokenizer, FrontendError with the line of the template if that fails.
        """
        return self.texts.encode_chat(message, system)

    def tokens_of(
        self, prompt: str | Sequence[int], image: str | Path | None = None, image_at: int | None = None
    ) -> tuple[list[int], int | None]:
        """The ids of a prompt, and where in it the rows of its image begin, None without one. Raises CommandError."""
        if isinstance(prompt, str) and image is not None:
            return PictureInput.of_executable(self.executable).prompt(self.texts.known_tokenizer(), prompt)
        if image is not None and image_at is None:
            raise CommandError("where the image stands among the token ids is not known", "give --image-at")
        return self.encode(prompt) if isinstance(prompt, str) else list(prompt), image_at

    def generate(
        self,
        prompt: str | Sequence[int],
        max_new: int,
        *,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
        stops: bool | None = None,
        keep_logits: bool = False,
        image: str | Path | None = None,
        image_at: int | None = None,
    ) -> Iterator[Token]:
        """Appends the prompt and yields up to `max_new` tokens as the machine posts them.

        `stops`: whether the model's stop tokens end it; None: those of a text do, those of a list of ids do not.
        `temperature` 0 takes the most probable token; `top_k` (up to 64) and `top_p` cut the choice. `image`: a picture
        file that stands before the text; in a list of ids the caller leaves room for its rows from position `image_at` of
        the list on (a timing-only run needs no file). Raises SessionError for arguments out of range, FrontendError for
        a picture that cannot be read, and TrapError if the program fails.
        """
        tokens, first = self.tokens_of(prompt, image, image_at)
        pixels = None if image is None else PictureInput.of_executable(self.executable).pixels(Path(image))
        if stops is None:
            stops = isinstance(prompt, str)
        stop_tokens: list[int] = self.executable.meta["stop_tokens"] if stops else []
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
            image=None if first is None else Picture(pixels, first),
        )
        self._prompt_tokens += len(tokens)
        return self._with_text(posted, max_new, stop_tokens)

    def chat(
        self,
        message: str,
        max_new: int,
        *,
        system: str | None = None,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> Iterator[Token]:
        """The answer to a message that begins the conversation: `encode_chat`, then `generate` up to a stop token."""
        if self.device.token_count:
            raise CommandError("the conversation has begun, and a chat template writes one from its beginning")
        prompt = self.encode_chat(message, system)
        return self.generate(prompt, max_new, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed, stops=True)

    def logits(self) -> NDArray[np.float32]:
        """The rows that the tokens of the last `generate(..., keep_logits=True)` were chosen from, [tokens, vocabulary]."""
        return self.device.logits()

    def close(self) -> int:
        """Completes the trace, if there is one. Returns how many events it has no room for."""
        if not isinstance(self.timing, TracedTiming):
            return 0
        self.timing.close()
        return self.timing.left_out

    def report(self) -> Report:
        """Time, energy and what bounds them, for everything generated so far."""
        position = self.device.position
        notes = notes_of(self.executable, timing_only=self.timing_only, seed=self.seed, position=position)
        return build_report(
            self.timing, self.executable, self._prompt_tokens, notes, self.executable.prediction, position
        )

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


def _ready(clock: FastTiming | None) -> Timed:
    """The clock of the fast engine, when the engine is compiled."""
    assert clock is not None, "the fast engine has a clock"
    if not clock.is_ready:
        with steps() as progress:
            progress.say("compile the fast engine, once on this computer")
            clock.prepare()
    return clock

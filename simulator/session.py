"""The host side: fills the mailbox, writes the prompt, runs the program and hands out tokens as it posts them.

    session = Session(Executable.open("model.slx"))
    for token in session.generate([1, 2, 3], 16): ...

A second `generate` continues the conversation: the KV cache stays, POS tells how far it is valid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from isa.abi import (
    ABI_VERSION,
    EVENT_IMAGE,
    EVENT_TOKEN,
    MAILBOX_MAGIC,
    MAX_STOP_TOKENS,
    SMEM_IMAGE_OFFSET,
    TOKEN_BUFFER_OFFSET,
    Mailbox,
    RunFlag,
    Sampler,
)
from isa.container import Executable
from isa.machine import Machine
from isa.spec import Region
from simulator.executable_facts import LOGIT_BYTES, entry_of, logits_offset_of, sizes_of
from simulator.image_port import ImagePort, Picture, image_port
from simulator.memory import Bytes, Memory, RegionTooLarge
from simulator.observer import Observer
from simulator.reference.engine import DEFAULT_WATCHDOG, Event, Options, ReferenceEngine
from simulator.request import NO_FLAGS, Request, check_sampling, check_tokens, mailbox_words
from simulator.session_error import SessionError
from simulator.state import State

if TYPE_CHECKING:
    from simulator.fast.timing import FastTiming

EngineName = Literal["fast", "reference"]

__all__ = ["Picture", "Request", "Session", "SessionError"]
MAX_DUMP_BYTES = 4 << 30
MAX_THREADS = 64
MOST_ENCODER_EVENTS = 4
VIRTUAL_WEIGHTS = (
    "the executable has virtual weights, a size without values: only its time can be simulated (--timing-only); "
    "compile a checkpoint, or with --random-weights SEED, to run it"
)
_ABSENT_WHEN_TIMING = frozenset({Region.WEIGHT, Region.KV, Region.SCRATCH, Region.SRAM})


class Engine(Protocol):
    """Executes a program."""

    def run(self, entry: int) -> Iterator[Event]:
        """Runs from an instruction until halt; yields events. Raises TrapError, LimitError."""
        ...


class Session:
    """One conversation with one executable. `timing_only`: control flow without tensor values (weights are never read).

    `engine`: "fast" keeps time in `clock`; it is the default unless an observer watches or bytes never written are looked for.
    `check_every`: the reference checks one in about so many instructions of the fast engine, DivergenceError if they differ; 0: none.
    `threads`: of the fast engine, 0: one per core; results do not depend on it.
    `extrapolate`: its timing-only runs need not execute what they have seen before; everything comes out the same.
    `position`: a run begins as if so many tokens had been processed; there is nothing to know of them but their number, and what
    the KV cache holds of them is what `state.memory` has: zeros, unless the caller puts something there.
    `profile_host`: the fast engine measures where the time of this computer goes (`clock.host_rows`).
    `seed`: what timing-only runs choose. `check_uninitialised`: reading SRAM, KV or SCRATCH bytes never written traps.
    Raises SessionError if the executable lacks what a session needs or is larger than its machine.
    """

    def __init__(
        self,
        executable: Executable,
        *,
        observer: Observer | None = None,
        engine: EngineName | None = None,
        check_every: int = 0,
        threads: int = 1,
        timing_only: bool = False,
        check_uninitialised: bool = False,
        position: int = 0,
        seed: int = 0,
        watchdog: int = DEFAULT_WATCHDOG,
        extrapolate: bool = True,
        profile_host: bool = False,
    ) -> None:
        self.executable = executable
        self.observer = observer
        self.options = Options(
            executable.features, timing_only, check_uninitialised, watchdog, seed, extrapolate, profile_host
        )
        meta = executable.meta
        self.context: int = meta["context"]
        self.position = _first_position(position, self.context)
        self.vocabulary: int = meta["vocabulary"]
        self.entry = entry_of(meta)
        self.logits_offset = logits_offset_of(meta, self.context)
        self.sizes = sizes_of(executable, timing_only)
        self.image = image_port(meta)
        self.check_every, self.threads = check_every, threads
        self.clock = self._clock(engine)
        self.reset()

    def reset(self) -> None:
        """Forgets the conversation: new, zeroed memory."""
        if self.options.timing_only:
            absent = _ABSENT_WHEN_TIMING
            mapped: dict[Region, Bytes] = {Region.TABLE: self.executable.table}
        else:
            absent = frozenset[Region]()
            weights = self.executable.weights
            if weights is None:
                raise SessionError(VIRTUAL_WEIGHTS)
            mapped = {Region.TABLE: self.executable.table, Region.WEIGHT: weights}
        try:
            memory = Memory(self.sizes, {region: np.asarray(array) for region, array in mapped.items()}, absent)
        except RegionTooLarge as error:
            raise SessionError(str(error)) from None
        image = self.executable.smem_image
        memory.smem[SMEM_IMAGE_OFFSET : SMEM_IMAGE_OFFSET + len(image)] = image
        self.state = State(memory, len(self.executable.text))
        self.engine = self._engine()
        self._tokens = self.position
        self.state.write_mailbox(Mailbox.POS, self.position)
        self._logit_rows = (0, 0)
        if self.image is not None:
            self.image.clear(memory.arrays[Region.IO])

    def _clock(self, engine: EngineName | None) -> FastTiming | None:
        """The clock of the fast engine; None for the reference engine."""
        if engine is None:
            engine = "reference" if self.observer or self.options.check_uninitialised else "fast"
        if engine == "reference":
            return None
        if self.observer or self.options.check_uninitialised:
            raise SessionError("only the reference engine can be watched, or check what was never written")
        from simulator.fast.timing import FastTiming  # numba takes a moment, which other runs need not wait for

        return FastTiming(Machine.from_canonical(self.executable.meta["machine"]), self.executable.text)

    def _engine(self) -> Engine:
        debug = self.executable.debug
        if self.clock is None:
            return ReferenceEngine(self.executable.text, self.state, self.observer, self.options, debug)
        from simulator.fast.engine import FastEngine
        from simulator.fast.lockstep import LockstepEngine

        if self.check_every:
            return LockstepEngine(self.state, self.clock, self.options, debug, self.threads, self.check_every)
        return FastEngine(self.state, self.clock, self.options, debug, self.threads)

    @property
    def token_count(self) -> int:
        """Tokens of the conversation so far, prompts included."""
        return self._tokens

    def tokens(self) -> list[int]:
        """The conversation so far."""
        return self._token_buffer()[: self._tokens].tolist()

    def generate(
        self,
        prompt_ids: Sequence[int],
        max_new: int,
        *,
        sampler: Sampler = Sampler.GREEDY,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
        stop_tokens: Sequence[int] = (),
        dump: RunFlag = NO_FLAGS,
        image: Picture | None = None,
    ) -> Iterator[int]:
        """Appends the prompt, encodes its image, and yields up to max_new tokens as the program posts them.

        Arguments are checked at once (SessionError); the program runs as the result is iterated (TrapError).
        """
        request = Request(
            tuple(prompt_ids), max_new, sampler, temperature, top_k, top_p, seed, tuple(stop_tokens), dump, image
        )
        self._check(request)
        return self._run(request)

    def logits(self, count: int | None = None) -> NDArray[np.float32]:
        """Rows dumped by the last `generate`, [rows, vocabulary].

        DUMP_SAMPLED: one row per generated token. DUMP_ALL: one row per position the program has processed,
        the last one where it has processed a position again.
        """
        first, last = self._logit_rows
        rows = last - first if count is None else min(count, last - first)
        buffer = self.state.memory.arrays[Region.IO]
        offset = self.logits_offset + first * self.vocabulary * LOGIT_BYTES
        values = np.frombuffer(buffer, "<f4", rows * self.vocabulary, offset)
        return values.reshape(rows, self.vocabulary).copy()

    def _check(self, request: Request) -> None:
        available = self.context - self._tokens
        if not request.prompt and not self._tokens:
            raise SessionError("the prompt is empty")
        if len(request.prompt) > available:
            raise SessionError(
                f"a prompt of {len(request.prompt)} tokens does not fit: {available} of {self.context} are left"
            )
        if not 1 <= request.max_new <= available - len(request.prompt):
            left = available - len(request.prompt)
            raise SessionError(f"max_new is {request.max_new}, expected 1 to {left} (context of {self.context} tokens)")
        check_tokens("prompt", request.prompt, self.vocabulary)
        check_tokens("stop", request.stop_tokens, self.vocabulary)
        if len(request.stop_tokens) > MAX_STOP_TOKENS:
            raise SessionError(f"{len(request.stop_tokens)} stop tokens, at most {MAX_STOP_TOKENS}")
        check_sampling(request)
        self._check_dump(request)
        if request.image is not None:
            self._check_image(request.image, len(request.prompt))

    def _check_image(self, image: Picture, prompt_tokens: int) -> None:
        if self.image is None:
            raise SessionError("the program takes no image")
        self.image.check(image, prompt_tokens)
        if image.pixels is None and not self.options.timing_only:
            raise SessionError("only a timing-only run can do without pixels")

    def _encode(self, image: Picture, port: ImagePort) -> None:
        """Runs the encoder on an image of the prompt that comes next."""
        port.write(self.state.memory.arrays[Region.IO], image, self._tokens)
        self.state.write_mailbox(Mailbox.MAGIC_ABI, MAILBOX_MAGIC | ABI_VERSION << 32)
        self.state.write_mailbox(Mailbox.ENTRY, port.entry)
        events = [(event.kind, event.value) for event in islice(self.engine.run(port.entry), MOST_ENCODER_EVENTS)]
        if events != [(EVENT_IMAGE, port.rows)]:
            raise SessionError(f"the encoder posted {events}, expected ({EVENT_IMAGE}, {port.rows}) once")

    def _check_dump(self, request: Request) -> None:
        if (
            request.dump & ~(RunFlag.DUMP_SAMPLED | RunFlag.DUMP_ALL)
            or request.dump == RunFlag.DUMP_SAMPLED | RunFlag.DUMP_ALL
        ):
            raise SessionError(f"dump is {int(request.dump)}, expected DUMP_SAMPLED, DUMP_ALL or neither")
        if request.dump and self.options.timing_only:
            raise SessionError("a timing-only run has no logits to dump")
        size_bytes = self._dump_rows(request) * self.vocabulary * LOGIT_BYTES
        if size_bytes > MAX_DUMP_BYTES:
            raise SessionError(f"the logits take {size_bytes} bytes, at most {MAX_DUMP_BYTES} can be kept")

    def _dump_rows(self, request: Request) -> int:
        if request.dump & RunFlag.DUMP_ALL:
            return self._tokens + len(request.prompt) + request.max_new
        return request.max_new if request.dump else 0

    def _run(self, request: Request) -> Iterator[int]:
        if request.image is not None and self.image is not None:
            self._encode(request.image, self.image)
        self._prepare(request)
        first_row = self.state.read_mailbox(Mailbox.POS) if request.dump & RunFlag.DUMP_ALL else 0
        generated = 0
        try:
            for event in self.engine.run(self.entry):
                generated += 1
                self._take(event, generated, request)
                if request.dump:
                    last_row = self._tokens - 1 if request.dump & RunFlag.DUMP_ALL else generated
                    self._logit_rows = (first_row, last_row)
                yield event.value
        except GeneratorExit:
            self.state.write_mailbox(
                Mailbox.STATE, 0
            )  # the caller stopped early; the next run starts at the entry again
            return
        self._tokens = self._device_tokens()

    def _take(self, event: Event, generated: int, request: Request) -> None:
        """Checks a posted token and notes it; the program may be hostile."""
        if event.kind != EVENT_TOKEN:
            raise SessionError(f"the program posted an event of unknown kind {event.kind} at pc {event.pc}")
        if generated > request.max_new:
            raise SessionError(f"the program posted more than max_new = {request.max_new} tokens")
        if event.value == -1:
            raise SessionError("no token can be chosen: every logit is NaN or -inf")
        if not 0 <= event.value < self.vocabulary:
            raise SessionError(f"the program posted token {event.value}, expected 0 to {self.vocabulary - 1}")
        self._token_buffer()[self._tokens] = event.value
        self._tokens += 1

    def _token_buffer(self) -> NDArray[np.int32]:
        return np.ndarray((self.context,), "<i4", self.state.memory.arrays[Region.IO], TOKEN_BUFFER_OFFSET)

    def _device_tokens(self) -> int:
        count = self.state.read_mailbox(Mailbox.N_TOKENS)
        if not 0 <= count <= self.context:
            raise SessionError(f"the program left N_TOKENS = {count}, expected 0 to {self.context}")
        return count

    def _prepare(self, request: Request) -> None:
        rows = self._dump_rows(request)
        self._logit_rows = (0, 0)
        if rows:
            self._grow_dump(self.logits_offset + rows * self.vocabulary * LOGIT_BYTES)
        self._token_buffer()[self._tokens : self._tokens + len(request.prompt)] = request.prompt
        self._tokens += len(request.prompt)
        for word, value in mailbox_words(request, self.entry, self._tokens, self.logits_offset).items():
            self.state.write_mailbox(word, value)

    def _grow_dump(self, size_bytes: int) -> None:
        try:
            self.state.memory.grow(Region.IO, size_bytes)
        except RegionTooLarge as error:
            raise SessionError(str(error)) from None


def _first_position(position: int, context: int) -> int:
    if not 0 <= position < context:
        raise SessionError(f"a run cannot begin at position {position}: expected 0 to {context - 1}")
    return position

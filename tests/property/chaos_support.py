"""The chaos executor: what a program did, recorded once, is executed again in any order the address interlock allows.

The recording comes from a sequential run through the Observer. A replay keeps the instructions in program order per engine and lets
engines run ahead of each other at random; an instruction may start only if no older unfinished one has a conflicting access. The
compares and the rounding to granules are written here once more, so that a test can leave one out and see what happens.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from isa.encoding import Decoded, decode
from isa.machine import load_machine
from isa.spec import TD_OPERANDS, Engine, Feature, Flag, Instruction, Region
from simulator.memory import Memory
from simulator.observer import Captured
from simulator.reference.kernels import KERNELS
from simulator.reference.operands import Context, Issue
from simulator.state import State
from simulator.timing.costs import CostModel

SMEM_GRANULE_BYTES = 8
WEIGHTS_OF_SPEED = (0.02, 0.3, 1.0, 4.0)
MAILBOX_BYTES = 256
COMPARED = (Region.SRAM, Region.SMEM, Region.KV, Region.IO, Region.SCRATCH)
COSTS = CostModel(load_machine("tiny"))


@dataclass(frozen=True)
class Access:
    """Bytes [low, high) of a region, before rounding."""

    region: int
    low: int
    high: int
    granule: int
    write: bool


@dataclass(frozen=True)
class Step:
    """One instruction of the stream: of an engine (`issue`), or lds, sts, tdld with the bytes it read or wrote."""

    pc: int
    accesses: tuple[Access, ...]
    engine: int = int(Engine.SEQ)
    issue: Issue | None = None
    captured: Captured = (None, None, None, None)
    data: bytes = b""


class Recorder:
    """An observer that keeps every engine instruction and every scalar SMEM access with its captured values."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.tokens: list[int] = []
        self._decoded: dict[int, Decoded] = {}

    def watch(self, state: State, text: np.ndarray) -> None:
        """The state and text of the run; call it before the run."""
        self._state, self._text = state, text

    def smem(self, pc: int, row: Instruction, low: int, high: int, write: bool) -> None:
        access = Access(Region.SMEM, low, high, SMEM_GRANULE_BYTES, write)
        self.steps.append(Step(pc, (access,), data=bytes(self._state.memory.smem[low:high])))

    def engine(self, pc: int, row: Instruction, fn: int, fl: int, tds: Captured) -> None:
        x, d = self._state.x, self._decode(pc)
        operands = {name: td for name, td in zip(TD_OPERANDS, tds, strict=True) if td is not None}
        issue = Issue(row, d.function, fl, operands, x[d.rd], x[d.rs], x[d.rt], _scalar(d, x))
        self.steps.append(Step(pc, accesses_of(row, fn, fl, tds), int(row.engine), issue, tds))

    def event(self, pc: int, kind: int, value: int) -> None:
        self.tokens.append(value)

    def scalar(self, pc: int, row: Instruction) -> None: ...

    def mark(self, pc: int, label: int, value: int) -> None: ...

    def halt(self, pc: int) -> None: ...

    def _decode(self, pc: int) -> Decoded:
        if pc not in self._decoded:
            self._decoded[pc] = decode(self._text[pc], pc)
        return self._decoded[pc]


def _scalar(d: Decoded, x: list[int]) -> np.float32 | None:
    bits = d.imm if d.fl & Flag.I else x[d.rs] if d.fl & Flag.X else None
    return None if bits is None else np.uint32(bits & 0xFFFFFFFF).view(np.float32)


def accesses_of(row: Instruction, fn: int, fl: int, tds: Captured) -> tuple[Access, ...]:
    """What the timing model takes the instruction to access: the claim under test."""
    spans = COSTS.cost(row, fn, fl, tds).spans
    bases = [0 if td is None else td.base for td in tds]
    return tuple(
        Access(s.region, bases[s.operand] + s.low, bases[s.operand] + s.high, s.granule, s.write) for s in spans
    )


def outwards(access: Access) -> tuple[int, int]:
    """The smallest interval of whole granules around the access."""
    return access.low // access.granule * access.granule, -(-access.high // access.granule) * access.granule


def inwards(access: Access) -> tuple[int, int]:
    """The largest interval of whole granules inside the access; a wrong direction, on purpose."""
    return -(-access.low // access.granule) * access.granule, access.high // access.granule * access.granule


@dataclass(frozen=True)
class Rule:
    """The interlock. Every default is the real one; the others are mutations."""

    raw: bool = True
    war: bool = True
    waw: bool = True
    scalars_wait: bool = True
    rounded: Callable[[Access], tuple[int, int]] = outwards

    def holds_up(self, younger: Step, older: Step) -> bool:
        """Whether the younger instruction must wait for the older one."""
        if younger.issue is None and not self.scalars_wait:
            return False
        return any(self._conflict(a, b) for a in younger.accesses for b in older.accesses)

    def _conflict(self, younger: Access, older: Access) -> bool:
        if younger.region != older.region or not (younger.write or older.write):
            return False
        compared = self.waw if younger.write and older.write else self.war if younger.write else self.raw
        low, high = self.rounded(younger)
        other_low, other_high = self.rounded(older)
        return compared and low < other_high and other_low < high


class Divergence(AssertionError):
    """A replay read or left other bytes than the sequential run."""


@dataclass
class Replay:
    """One random legal interleaving of a recorded stream on a memory."""

    steps: list[Step]
    memory: Memory
    rng: random.Random
    rule: Rule = field(default_factory=Rule)

    def __post_init__(self) -> None:
        self.order: list[int] = []  # indices of `steps` as executed
        self.context = Context(self.memory, Feature.SPARSE)
        engines = sorted({step.engine for step in self.steps if step.issue is not None})
        self.depths = {engine: self.rng.randint(1, 16) for engine in engines}
        self.speeds = {engine: self.rng.choice(WEIGHTS_OF_SPEED) for engine in (int(Engine.SEQ), *engines)}
        self.queues: dict[int, deque[int]] = {engine: deque() for engine in engines}
        self.unfinished: list[int] = []  # ascending

    def run(self) -> list[int]:
        """Executes everything; the order. Raises Divergence if a scalar access reads other bytes than it did."""
        dispatched = 0
        with np.errstate(all="ignore"):
            while dispatched < len(self.steps) or self.unfinished:
                able = [engine for engine, queue in self.queues.items() if queue and self._free_to_go(queue[0])]
                if dispatched < len(self.steps) and self._dispatchable(dispatched):
                    able.append(int(Engine.SEQ))
                assert able, "deadlock: nothing can go on"
                chosen = self.rng.choices(able, [self.speeds[engine] for engine in able])[0]
                if chosen == Engine.SEQ:
                    self._dispatch(dispatched)
                    dispatched += 1
                else:
                    self._execute(self.queues[chosen].popleft())
        return self.order

    def _free_to_go(self, index: int) -> bool:
        step = self.steps[index]
        return not any(self.rule.holds_up(step, self.steps[older]) for older in self.unfinished if older < index)

    def _dispatchable(self, index: int) -> bool:
        step = self.steps[index]
        if step.issue is not None:
            return len(self.queues[step.engine]) < self.depths[step.engine]
        return self._free_to_go(index)

    def _dispatch(self, index: int) -> None:
        step = self.steps[index]
        if step.issue is None:
            self.order.append(index)
            access_smem(self.memory, step)
        else:
            self.queues[step.engine].append(index)
            self.unfinished.append(index)

    def _execute(self, index: int) -> None:
        execute(self.context, self.steps[index])
        self.unfinished.remove(index)
        self.order.append(index)


def execute(context: Context, step: Step) -> None:
    """One engine instruction, by the reference engine's kernel."""
    assert step.issue is not None
    KERNELS[step.issue.row.mnemonic].execute(context, step.issue)


def access_smem(memory: Memory, step: Step) -> None:
    """sts writes what it wrote; lds and tdld must find what they found."""
    access = step.accesses[0]
    if access.write:
        memory.smem[access.low : access.high] = step.data
    elif memory.smem[access.low : access.high] != step.data:
        raise Divergence(f"pc {step.pc} reads other bytes at {access.low:#x} than in the sequential run")


def copy_of(memory: Memory) -> Memory:
    """Own copies of what can be written; read-only regions are shared."""
    mapped = {region: memory.arrays[region] for region in (Region.WEIGHT, Region.TABLE)}
    copy = Memory(memory.sizes, mapped)
    for region in COMPARED:
        copy.arrays[region][...] = memory.arrays[region]
    return copy


def check_equal(memory: Memory, expected: Memory) -> None:
    """Every writable byte but the mailbox, which the host shares. Raises Divergence at the first difference."""
    for region in COMPARED:
        first = MAILBOX_BYTES if region == Region.SMEM else 0
        different = np.flatnonzero(memory.arrays[region][first:] != expected.arrays[region][first:])
        if len(different):
            raise Divergence(f"{len(different)} bytes of {region.name} differ, the first at {different[0] + first:#x}")

"""DML and DMS: a transfer is bursts at the DRAM and beats at the scratchpad, with a limited number of bytes in between."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from isa.descriptor import Descriptor
from isa.machine import Machine
from isa.spec import Engine
from tests.timing_judge.core import NEVER
from tests.timing_judge.dram import Memory, Request
from tests.timing_judge.program import Work
from tests.timing_judge.sram import Banks, Port, beats_of, pieces_of


@dataclass
class Engines:
    """What the transfers of one engine share: bursts in flight by channel, how many there may be, and the cycle in which
    its scratchpad port was last used.
    """

    limit: int
    in_flight: list[int]
    port_cycle: int = -1


@dataclass
class Burst:
    """A burst of a transfer: bytes of the operand in it and up to its end, and the request once it is sent."""

    address: int
    size_bytes: int
    end_bytes: int
    request: Request | None = None


def bursts_of(td: Descriptor, burst_bytes: int) -> Iterator[Burst]:
    """Every run rounded outwards to bursts, in order."""
    done = 0
    for piece in pieces_of(td):
        end_address = piece.address + piece.size_bytes
        first, end = piece.address // burst_bytes, (end_address - 1) // burst_bytes + 1
        for number in range(first, end):
            low, high = max(number * burst_bytes, piece.address), min((number + 1) * burst_bytes, end_address)
            yield Burst(number * burst_bytes, high - low, done + high - piece.address)
        done += piece.size_bytes


class CopyTask:
    """One ld or st."""

    def __init__(self, machine: Machine, banks: Banks, memory: Memory, engine: Engines, work: Work, age: int) -> None:
        self.released = self.visible = NEVER
        self._memory, self._engine, self._age = memory, engine, age
        self._write = work.engine == Engine.DMS
        (target,), (source,) = work.operands(("ta",)), work.operands(("tb",))
        outside, inside = (target, source) if self._write else (source, target)
        core = machine.core
        port_bytes = (core.dms if self._write else core.dml).port_bytes.value
        self._port = Port(banks, beats_of(inside, banks, port_bytes, core.seq.smem_port_bytes.value))
        self._unsent = deque(bursts_of(outside, memory.burst_bytes))
        self._sent: deque[Burst] = deque()
        self._arrived: deque[tuple[int, int]] = deque()  # bytes that had come with a burst of a load, and its channel
        self._size_bytes = self._unsent[-1].end_bytes
        self._at_memory = 0  # bytes that have come from the DRAM, or are written there

    def step(self, cycle: int) -> None:
        self._complete(cycle)
        if self._write:
            self._step_port(cycle, NEVER)
            self._send(cycle, self._port.size_bytes)
        else:
            self._step_port(cycle, self._at_memory)
            self._free()
            self._send(cycle, NEVER)
        if not self._unsent and self.released == NEVER:
            self.released = cycle + 1
        if self._port.is_done and self._at_memory == self._size_bytes:
            self.visible = cycle + 1

    def _complete(self, cycle: int) -> None:
        """Bursts whose data have come, in whatever order. A load writes its operand as they come."""
        now = self._memory.start_of(cycle)
        waiting: deque[Burst] = deque()
        for burst in self._sent:
            assert burst.request is not None
            if burst.request.done_ps is None or burst.request.done_ps > now:
                waiting.append(burst)
                continue
            self._at_memory += burst.size_bytes
            channel = self._memory.channel_of(burst.address)
            if self._write:
                self._engine.in_flight[channel] -= 1
            else:
                self._arrived.append((self._at_memory, channel))
        self._sent = waiting

    def _free(self) -> None:
        """What a load has got is in flight until it is in the scratchpad."""
        while self._arrived and self._arrived[0][0] <= self._port.size_bytes:
            self._engine.in_flight[self._arrived.popleft()[1]] -= 1

    def _step_port(self, cycle: int, available_bytes: int) -> None:
        beat = self._port.beat
        if (
            beat is None
            or self._engine.port_cycle == cycle
            or self._port.size_bytes + beat.size_bytes > available_bytes
        ):
            return
        self._engine.port_cycle = cycle
        self._port.step()

    def _send(self, cycle: int, available_bytes: int) -> None:
        """Requests in order, as long as they may be in flight."""
        engine = self._engine
        while self._unsent and self._unsent[0].end_bytes <= available_bytes:
            channel = self._memory.channel_of(self._unsent[0].address)
            if engine.in_flight[channel] >= engine.limit:
                return
            engine.in_flight[channel] += 1
            burst = self._unsent.popleft()
            burst.request = self._memory.request(burst.address, self._age, self._write, cycle)
            self._sent.append(burst)

"""When the tiles of a product have streamed and are written: docs/timing.md, section 4, in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

from compiler.sizes import ceil_div


@dataclass(frozen=True)
class Alike:
    """Tiles that are alike, and what each takes: cycles to load its first weights, between the begins of its first and its last pass,
    of the last pass, of the port for C in all and for a row; bank accesses without C and for a row of C."""

    count: int
    load: int
    body: int
    stream: int
    writes: int
    row: int
    accesses: int
    row_accesses: int


@dataclass
class Tiles:
    """Tiles of C so far, in cycles from the start: until the last one has streamed, its last pass for `stream`; until it is written, and
    the one before; until the first one has streamed. And cycles of the port for C, and bank accesses.
    """

    lead: int
    stream: int = 0
    streamed: int = 0
    written: int = 0
    earlier: int = 0
    first: int = 0
    writes: int = 0
    accesses: int = 0

    @property
    def issued(self) -> int:
        return self.streamed - min(self.stream, self.lead)

    def add(self, t: Alike, banks: int) -> None:
        """A tile begins when its weights are there and the tile before the last one is written; all of them no faster than the banks."""
        first = max(self.streamed + max(0, t.load - self.stream), self.earlier) + t.body + t.stream
        behind = max(t.writes - t.stream, t.row - 1)  # until it is written
        written = max(self.written + t.writes, first + behind)
        last = first
        if t.count > 1:
            one = t.body + max(t.stream, t.load)
            second = max(first + max(0, t.load - t.stream), self.written) + t.body + t.stream
            waited = written + (t.count - 3) * t.writes + t.body + t.stream if t.count > 2 else 0
            last = max(second + (t.count - 2) * one, waited)
        self.accesses += t.count * (t.accesses + t.writes // t.row * t.row_accesses)
        unwritten = max(written + (t.count - 1) * t.writes - last, t.writes - t.stream, 0)
        served = (self.accesses - unwritten * t.row_accesses // t.row) / banks
        late = max(0, ceil(served) + min(t.stream, self.lead) - last)
        first, last = first + ceil_div(late, t.count), last + late
        written, before = max(self.written + t.writes, first + behind), self.written
        if t.count > 1:
            earlier = last - ceil_div(last - first, t.count - 1)
            before = max(written + (t.count - 2) * t.writes, earlier + behind)
        self.earlier, self.written = before, max(written + (t.count - 1) * t.writes, last + behind)
        self.first = self.first or first
        self.stream, self.streamed = t.stream, last
        self.writes += t.count * t.writes

    def add_batches(self, batch: Sequence[Alike], times: int, banks: int) -> None:
        """The same products one by one: tiles of one kind count together, others go on as from the first to the second."""
        if len(batch) == 1:
            batch, times = [replace(batch[0], count=batch[0].count * times)], 1
        for tiles_alike in batch:
            self.add(tiles_alike, banks)
        if times == 1:
            return
        streamed, written, writes, accesses = self.streamed, self.written, self.writes, self.accesses
        for tiles_alike in batch:
            self.add(tiles_alike, banks)
        more = (times - 2) * max(self.streamed - streamed, self.written - written)
        self.streamed, self.written, self.earlier = self.streamed + more, self.written + more, self.earlier + more
        self.writes, self.accesses = times * writes, times * accesses

"""What is timed: the instructions of a run in dispatch order, made by hand or recorded by the observer below."""

from __future__ import annotations

from dataclasses import dataclass

from isa.descriptor import Descriptor
from isa.spec import READ_ONLY_REGIONS, TD_OPERANDS, Engine, Instruction, Region

Captured = tuple[Descriptor | None, Descriptor | None, Descriptor | None, Descriptor | None]
GRANULE_BYTES = {Region.SMEM: 8}
OTHER_GRANULE_BYTES = 64
INDEX_BYTES = 4


@dataclass(frozen=True)
class Access:
    """Bytes [low, high) of a region, whole granules."""

    region: Region
    low: int
    high: int
    write: bool

    def conflicts(self, other: Access) -> bool:
        """Whether the two may not change places."""
        together = self.region == other.region and self.low < other.high and other.low < self.high
        return together and (self.write or other.write)


@dataclass(frozen=True)
class Scalar:
    """One cycle of SEQ; with an access of SMEM it waits for conflicting older instructions."""

    access: Access | None = None


@dataclass(frozen=True)
class Halt:
    """Waits until everything is visible."""


@dataclass(frozen=True)
class Work:
    """An engine instruction with its descriptors (ta, tb, tc, td) as captured at dispatch."""

    row: Instruction
    function: int
    flags: int
    tds: Captured

    @property
    def engine(self) -> Engine:
        return Engine(self.row.engine)

    def operands(self, names: tuple[str, ...]) -> list[Descriptor]:
        """Those of these operands that it has."""
        named = zip(TD_OPERANDS, self.tds, strict=True)
        by_name: dict[str, Descriptor | None] = {name: td for name, td in named}
        return [td for name in names if (td := by_name[name]) is not None]

    @property
    def accesses(self) -> list[Access]:
        """What the interlock compares: bounding intervals of operands in regions that can be written."""
        found: list[Access] = []
        for name, td in zip(TD_OPERANDS, self.tds, strict=True):
            used = name in self.row.writes or name in self.row.reads
            if td is None or not used or td.region in READ_ONLY_REGIONS:
                continue
            write = name in self.row.writes
            low, high = td.interval()
            if self.row.mnemonic == "vtopk" and write:
                high += INDEX_BYTES
            found.append(rounded(td.region, low, high, write))
        return found


Step = Scalar | Halt | Work


def rounded(region: Region, low: int, high: int, write: bool) -> Access:
    """Rounds outwards to granules."""
    granule = GRANULE_BYTES.get(region, OTHER_GRANULE_BYTES)
    return Access(region, low // granule * granule, (high + granule - 1) // granule * granule, write)


class Recorder:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def scalar(self, pc: int, row: Instruction) -> None:
        self.steps.append(Scalar())

    def smem(self, pc: int, row: Instruction, low: int, high: int, write: bool) -> None:
        self.steps.append(Scalar(rounded(Region.SMEM, low, high, write)))

    def engine(self, pc: int, row: Instruction, fn: int, fl: int, tds: Captured) -> None:
        self.steps.append(Work(row, fn, fl, tds))

    def mark(self, pc: int, label: int, value: int) -> None:
        self.steps.append(Scalar())

    def event(self, pc: int, kind: int, value: int) -> None:
        self.steps.append(Scalar())

    def halt(self, pc: int) -> None:
        self.steps.append(Halt())

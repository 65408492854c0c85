"""The timing model against the judge in tests/timing_judge: per core cycle, bank and DRAM command. docs/timing.md, section 9,
says what may differ and why.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from isa.machine import Machine, load_machine
from isa.spec import Dtype, Engine, Region
from simulator.timing.sram import access, runs_of
from tests.timing_judge import compare
from tests.timing_judge.compare import Times, model_of, times
from tests.timing_judge.judge import Judge
from tests.timing_judge.machines import random_machine
from tests.timing_judge.program import Step, Work
from tests.timing_judge.programs import Programs, tensor, work
from tests.timing_judge.sram import Banks, pieces_of

Allowance = Callable[[Machine, Sequence[Step]], float]


def nothing(machine: Machine, program: Sequence[Step]) -> float:
    return 0


def few_cycles(machine: Machine, program: Sequence[Step]) -> float:
    """Two for each instruction, whose units fill and drain in whole cycles."""
    return 2 * len(program)


def row_cycle(machine: Machine, program: Sequence[Step]) -> float:
    """For each transfer: a row of an older one may be open in its bank."""
    return compare.row_cycle(machine) * len(compare.transfers(program))


def rows_and_refresh(machine: Machine, program: Sequence[Step]) -> float:
    return row_cycle(machine, program) + compare.refresh(machine)


def idle_bus(machine: Machine, program: Sequence[Step]) -> float:
    """For each transfer: what it leaves of the data bus, where another one can run."""
    return sum(compare.idle_bus(machine, work) for work in compare.transfers(program))


def idle_and_refresh(machine: Machine, program: Sequence[Step]) -> float:
    return idle_bus(machine, program) + compare.refresh(machine)


@dataclass(frozen=True)
class Family:
    """Programs of these kinds and this length, how much the model may be early or late beyond 2 %, and the seeds of the long
    campaign.
    """

    kinds: str
    length: int
    largest: int
    early: Allowance
    late: Allowance
    refreshes: bool = False
    seeds: range = range(8, 250)


FAMILIES = {
    "units": Family("mvx", 12, 14, few_cycles, few_cycles, seeds=range(8, 1300)),
    "one transfer": Family("ls", 1, 15, row_cycle, row_cycle, seeds=range(8, 1000)),
    "dense loads": Family("d", 12, 14, row_cycle, idle_bus, seeds=range(8, 450)),
    "dense loads and refresh": Family("d", 12, 15, rows_and_refresh, idle_and_refresh, refreshes=True),
    "everything": Family("lsmvx", 15, 13, row_cycle, idle_bus, seeds=range(8, 1000)),
    "everything and refresh": Family("ldsmvx", 15, 14, rows_and_refresh, idle_and_refresh, refreshes=True),
}


def check(family: Family, seed: int) -> Times:
    rng = random.Random(seed)
    machine = random_machine(rng, refreshes=family.refreshes)
    program = Programs(rng, machine).program(family.kinds, family.length, largest=family.largest)
    found = times(machine, program, rng.random() if family.refreshes else 1.0)
    early, late = family.early(machine, program), family.late(machine, program)
    assert not found.differ_by_more_than(early, late), (
        f"seed {seed}: {found}, allowed {-early:.0f} .. {late:.0f} cycles"
    )
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_model_and_judge_agree(name: str) -> None:
    for seed in range(8):
        check(FAMILIES[name], seed)


@pytest.mark.parametrize("seed", [224, 415, 448, 677, 712, 964, 1209, 1315, 1464, 1631, 2204, 2229, 2854])
def test_model_and_judge_agree_on_transfers_to_few_banks(seed: int) -> None:
    """Short runs that all fall on one channel and then all on another one, to one bank group, or to few banks."""
    check(FAMILIES["one transfer"], seed)


@pytest.mark.parametrize("seed", [1045, 1061, 1282])
def test_model_and_judge_agree_on_products_that_wait(seed: int) -> None:
    """Tiles that wait for accumulators, weights that are loaded while another kind of pass streams; vector units that read ahead."""
    check(FAMILIES["units"], seed)


def test_model_and_judge_agree_on_a_load_that_an_older_store_meets_at_its_end() -> None:
    """The store begins when the load has a few bursts to go."""
    check(FAMILIES["everything"], 539)


@pytest.mark.parametrize("seed", [965, 2199, 2272])
def test_model_and_judge_agree_on_loads_beside_stores_to_rows_of_one_bank(seed: int) -> None:
    """Stores wait for each other's rows, and older loads for them only if there is always something to move."""
    check(FAMILIES["everything"], seed)


@pytest.mark.long
@pytest.mark.parametrize("name", FAMILIES)
def test_model_and_judge_agree_on_many_programs(name: str) -> None:
    """And on average within 2 % without any allowance, so that nothing is always late or always early."""
    found = [check(FAMILIES[name], seed) for seed in FAMILIES[name].seeds]
    assert sum(one.model for one in found) == pytest.approx(sum(one.judge for one in found), rel=0.02)


def test_strided_operands_take_the_beats_and_accesses_of_the_judge() -> None:
    """Rows with a stride from a bank border on, in rows that begin anywhere in a bank: equal."""
    seen = 0
    for seed in range(300):
        rng = random.Random(seed)
        machine, port_bytes = random_machine(rng), rng.choice((32, 64, 128, 256))
        td = Programs(rng, machine).strided()
        banks = Banks(machine, by_address=False)
        beats = list(banks.beats(pieces_of(td), port_bytes))
        accesses = sum(mask.bit_count() for beat in beats for mask in beat.rounds)
        found = access(runs_of(td), port_bytes, machine.core.sram)
        assert (found.beats, found.bank_accesses) == (len(beats), accesses), (seed, td)
        seen += len(beats) > td.elements // td.extents[0]
    assert seen > 100, "rows take several beats"


def test_without_shared_memories_starts_are_equal() -> None:
    """Programs of one vector unit, whose operands use less than the banks: every start and the end."""
    for seed in range(60):
        rng = random.Random(seed)
        machine = random_machine(rng)
        program = [work for work in Programs(rng, machine).program("v", 12) if is_simple(machine, work)]
        flights = Judge(machine).run(program).flights
        starts: list[int] = []
        for length in range(1, len(program) + 1):
            timing = model_of(machine, program[:length])
            starts.append(timing._starts[Engine.VPU][-1])
        assert [flight.start for flight in flights] == starts, seed


def is_simple(machine: Machine, work: Step) -> bool:
    """Dense rows of whole steps of the lanes; all ports at once find free banks."""
    core, port_bytes = machine.core, machine.core.vpu.port_bytes.value
    if not isinstance(work, Work) or 4 * machine.vpu_lanes > port_bytes:
        return False
    tds = [td for td in work.tds if td is not None]
    in_step = all(td.strides[0] == 4 and td.extents[0] % machine.vpu_lanes == 0 for td in tds)
    return in_step and len(tds) * port_bytes <= core.sram.banks.value * core.sram.bank_bytes.value


def test_a_wrong_rate_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With activates that cost nothing, the campaign fails."""
    from simulator.timing.channel import Intervals

    complete = Intervals.of

    def hasty(memory, *, write):  # type: ignore[no-untyped-def]
        found = complete(memory, write=write)
        return Intervals(**{**{name: getattr(found, name) for name in found.__slots__}, "row_cycle": 0, "reopen": 0})

    monkeypatch.setattr(Intervals, "of", hasty)
    with pytest.raises(AssertionError, match="allowed"):
        for seed in range(40):
            check(FAMILIES["one transfer"], seed)


@pytest.mark.parametrize("name", ["edge", "tiny"])
@pytest.mark.parametrize("size_bytes", [4096, 8192, 16384])
def test_streams_that_alternate_are_not_early_over_all_distances(name: str, size_bytes: int) -> None:
    """Two streams of dense loads, one behind the other by any number of rows of a bank: what they lose where they meet in other rows of
    one bank is no more than what they gain elsewhere, as each can use the bus that the other leaves idle.
    """
    machine = load_machine(name)
    memory = machine.memory
    groups = memory.address_map.bank_group_interleave.value
    row_bytes = memory.channels.value * memory.row_bytes.value * groups
    found = [
        times(machine, alternating(size_bytes, (1 << 24) + distance * row_bytes))
        for distance in range(memory.banks.value // groups)
    ]
    model, judge = sum(one.model for one in found), sum(one.judge for one in found)
    idle = compare.idle_bus(machine, alternating(size_bytes, 0)[0]) * len(found) * len(alternating(size_bytes, 0))
    assert 0.98 * judge <= model <= 1.02 * judge + idle


def alternating(size_bytes: int, apart_bytes: int) -> list[Work]:
    """32 loads of this size, from one stream and from the other."""
    dense = (size_bytes,)
    return [
        work(
            "ld",
            tensor(number % 8 * size_bytes, Region.SRAM, Dtype.I8, dense),
            tensor(number // 2 * size_bytes + number % 2 * apart_bytes, Region.WEIGHT, Dtype.I8, dense),
        )
        for number in range(32)
    ]

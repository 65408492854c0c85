"""When instructions start: dispatch, queues, interlock, scalar waits, sharing, sections; every time worked out by hand."""

import pytest

from isa.abi import EVENT_TOKEN
from isa.descriptor import Descriptor, dense_strides
from isa.machine import load_machine
from isa.spec import BY_MNEMONIC, Dtype, Engine, Region
from simulator.timing import TimingModel
from simulator.timing.interlock import Interlock

EDGE = load_machine("edge")
ALU, LD, ST, MM, VBIN, VUN, LDS = (BY_MNEMONIC[name] for name in ("alu", "ld", "st", "mm", "vbin", "vun", "lds"))
S = Region.SRAM
EXP, MOV = 3, 0
LD_CYCLES, LD_LATENCY = 2787, 60  # 128 KiB from DRAM
FIRST_WAIT = 12  # a refresh may have begun before the first transfer: 318^2 / (2 x 3906)
ST_CYCLES, ST_WAIT = 2825, 17
VPU_LATENCY = 12


def tensor(base, region, dtype, *extents):
    extents = tuple(extents) + (1,) * (4 - len(extents))
    return Descriptor(base, region, dtype, extents, dense_strides(dtype, extents))


def vector(base, region=S, elements=64):
    return tensor(base, region, Dtype.F32, elements)


@pytest.fixture
def timing():
    return TimingModel(EDGE)


def mov(timing, to, source, pc=0, fn=MOV):
    """One VPU instruction; returns the cycle its result is visible."""
    timing.engine(pc, VUN, fn, 0, (to, source, None, None))
    return timing.frontier


def load(timing, to, pc=0):
    """128 KiB of weights."""
    size = 1 << 17
    source = tensor(0, Region.WEIGHT, Dtype.I8, size)
    timing.engine(pc, LD, 0, 0, (tensor(to, S, Dtype.I8, size), source, None, None))
    return timing.frontier


def test_scalars_take_a_cycle_each(timing):
    for pc in range(7):
        timing.scalar(pc % 2, ALU)
    assert timing.cycles == 7
    assert timing.records().instruction_counts(3).tolist() == [4, 3, 0]


def test_an_engine_works_in_order_and_in_the_background(timing):
    assert mov(timing, vector(0), vector(1024)) == 1 + VPU_LATENCY  # dispatched and started at 0
    assert mov(timing, vector(2048), vector(4096)) == 2 + VPU_LATENCY
    assert timing.now == 2


def test_a_full_queue_stalls_dispatch(timing):
    for slot in range(6):
        mov(timing, vector(slot * 8192, elements=640), vector(65536 + slot * 8192, elements=640))
    # Starts 0, 10, 20, .. 50. The sixth dispatch needs the slot of the second, which starts at 10.
    assert timing.seq.queue_full[Engine.VPU] == 10 - 5
    assert timing.now == 11
    assert timing.engines[Engine.VPU].busy == 60


class TestInterlock:
    """The older instruction is a load of 128 KiB to SRAM 0 .. 131072, visible at 12 + 2787 + 60."""

    visible = FIRST_WAIT + LD_CYCLES + LD_LATENCY

    def after_load(self, timing, to, source):
        load(timing, 0)
        timing.engine(1, VUN, MOV, 0, (to, source, None, None))
        return timing.frontier if timing.frontier > self.visible else None

    def test_read_after_write_waits(self, timing):
        assert self.after_load(timing, vector(1 << 18), vector(1 << 16)) == self.visible + 1 + VPU_LATENCY
        assert timing.engines[Engine.VPU].interlock[Engine.DML] == self.visible - 1

    def test_write_after_write_waits(self, timing):
        assert self.after_load(timing, vector(64), vector(1 << 18)) == self.visible + 1 + VPU_LATENCY

    def test_write_after_read_waits(self, timing):
        size = 1 << 17
        timing.engine(0, ST, 0, 0, (tensor(0, Region.KV, Dtype.I8, size), tensor(0, S, Dtype.I8, size), None, None))
        stored = timing.frontier
        assert mov(timing, vector(64), vector(1 << 18)) == stored + 1 + VPU_LATENCY

    def test_read_after_read_does_not_wait(self, timing):
        size = 1 << 17
        timing.engine(0, ST, 0, 0, (tensor(0, Region.KV, Dtype.I8, size), tensor(0, S, Dtype.I8, size), None, None))
        stored = timing.frontier
        assert mov(timing, vector(1 << 18), vector(64)) == stored
        assert sum(timing.engines[Engine.VPU].interlock) == 0

    def test_neighbours_in_one_granule_conflict(self, timing):
        mov(timing, vector(0, elements=4), vector(8192, elements=4), fn=EXP)
        assert mov(timing, vector(1 << 18, elements=4), vector(48, elements=4)) == 14 + 1 + VPU_LATENCY

    def test_neighbouring_granules_do_not(self, timing):
        assert self.after_load(timing, vector(1 << 18), vector(1 << 17)) is None

    def test_regions_are_apart(self, timing):
        load(timing, 0)
        mov(timing, vector(1 << 18, elements=64), vector(64, Region.SMEM))
        assert sum(timing.engines[Engine.VPU].interlock) == 0

    def test_the_same_engine_waits_for_visibility_too(self, timing):
        mov(timing, vector(0), vector(8192))
        assert mov(timing, vector(16384), vector(0)) == 1 + VPU_LATENCY + 1 + VPU_LATENCY
        assert timing.engines[Engine.VPU].interlock[Engine.VPU] == VPU_LATENCY

    @pytest.mark.parametrize(
        ("older", "younger", "conflict"), [(1, 0, True), (0, 1, True), (1, 1, True), (0, 0, False)]
    )
    def test_each_kind_of_hazard_is_a_comparison_of_its_own(self, older, younger, conflict):
        interlock = Interlock()
        interlock.add(S, 64, 128, bool(older), 100, Engine.MXU, 0)
        assert interlock.blocked(S, 64, 128, bool(younger)) == ((100, Engine.MXU) if conflict else (0, -1))
        assert interlock.blocked(S, 128, 192, bool(younger)) == (0, -1)
        assert interlock.blocked(S, 0, 64, bool(younger)) == (0, -1)
        assert interlock.blocked(Region.KV, 64, 128, bool(younger)) == (0, -1)


class TestScalarMemory:
    def test_a_scalar_read_waits_for_an_engine_that_writes(self, timing):
        mov(timing, vector(1024, Region.SMEM, 2), vector(0, elements=2))
        visible = timing.frontier
        timing.smem(1, LDS, 1024, 1032, False)
        assert timing.now == visible + 1
        assert timing.seq.smem_wait == visible - 1

    def test_other_words_do_not_wait(self, timing):
        mov(timing, vector(1024, Region.SMEM, 2), vector(0, elements=2))
        timing.smem(1, LDS, 1032, 1040, False)
        assert timing.now == 2

    def test_a_scalar_write_waits_for_readers(self, timing):
        mov(timing, vector(0, elements=2), vector(1024, Region.SMEM, 2))
        visible = timing.frontier
        timing.smem(1, BY_MNEMONIC["tdld"], 1024, 1056, False)
        assert timing.now == 2
        timing.smem(2, BY_MNEMONIC["sts"], 1028, 1032, True)
        assert timing.now == visible + 1


class TestSharing:
    def test_two_directions_share_the_dram_and_turn_it_around(self, timing):
        load(timing, 0)
        size = 1 << 17
        timing.engine(
            1, ST, 0, 0, (tensor(0, Region.KV, Dtype.I8, size), tensor(1 << 18, S, Dtype.I8, size), None, None)
        )
        # The store is younger: it gets the bus when the load is done, after the 3 cycles of turning it around.
        load_cycles = FIRST_WAIT + LD_CYCLES
        assert timing.engines[Engine.DML].busy == load_cycles
        assert timing.engines[Engine.DMS].busy == load_cycles - 1 + 3 + ST_CYCLES
        assert timing.engines[Engine.DMS].contention == load_cycles - 1 + 3

    def test_a_load_after_the_store_is_over_turns_back(self, timing):
        size = 1 << 17
        timing.engine(0, ST, 0, 0, (tensor(0, Region.KV, Dtype.I8, size), tensor(0, S, Dtype.I8, size), None, None))
        for pc in range(ST_WAIT + ST_CYCLES + 9):  # the bus is idle for 10 cycles
            timing.scalar(pc, ALU)
        load(timing, 1 << 18)
        assert timing.engines[Engine.DML].contention == 34 - 10  # and (318 x 10 - 10^2 / 2) / 3906 = 0 for a refresh

    def test_same_direction_has_no_turnaround(self, timing):
        load(timing, 0)
        load(timing, 1 << 18)
        assert timing.engines[Engine.DML].contention == FIRST_WAIT
        assert timing.frontier == FIRST_WAIT + 2 * LD_CYCLES + LD_LATENCY


def test_halt_waits_for_all_engines(timing):
    visible = load(timing, 0)
    timing.halt(1)
    assert timing.cycles == visible + 1
    assert timing.seq.halt_wait == visible - 1


def test_sections_add_up_and_know_their_work(timing):
    timing.scalar(0, ALU)
    timing.mark(1, 0, 5)
    load(timing, 0)
    timing.mark(2, 0, 6)
    timing.mark(3, 1, 0)
    timing.scalar(4, ALU)
    timing.halt(5)
    sections = timing.records().sections
    assert {key: part.visits for key, part in sections.items()} == {
        (0, 5): 1, (0, 6): 1, (0, None): 1, (1, 0): 1, (1, None): 1,
    }  # fmt: skip
    assert sections[0, 5].busy[Engine.DML] == FIRST_WAIT + LD_CYCLES
    assert sections[0, 6].busy[Engine.DML] == 0
    assert sections[0, None].cycles == 2
    for label in (0, 1):
        assert sum(part.cycles for key, part in sections.items() if key[0] == label) == timing.cycles
    assert timing.records().sections == sections


def test_phases_split_at_token_events(timing):
    load(timing, 0)
    timing.smem(1, LDS, 0, 8, False)
    timing.event(2, EVENT_TOKEN, 42)
    timing.scalar(3, ALU)
    timing.event(4, EVENT_TOKEN, 43)
    timing.event(5, 99, 1)
    timing.halt(6)
    phases = timing.records().phases
    assert [(event.cycle, event.kind, event.value) for event in timing.events] == [(3, 1, 42), (5, 1, 43), (6, 99, 1)]
    assert {name: (part.cycles, part.visits) for name, part in phases.items()} == {
        "prefill": (3, 1),
        "decode": (2, 1),
        "rest": (timing.cycles - 5, 1),
    }


def test_per_instruction_arrays(timing):
    load(timing, 0, pc=2)
    timing.scalar(0, ALU)
    assert timing.records().busy_cycles(4).tolist() == [1, 0, FIRST_WAIT + LD_CYCLES + 1, 0]
    assert timing.records().dram_bytes(4).tolist() == [0, 0, 1 << 17, 0]
    assert timing.records().instruction_counts(4).tolist() == [1, 0, 1, 0]

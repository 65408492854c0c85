"""What must hold for every program: no resource faster than physics, busy + idle = total, energy = sum of its parts."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isa.abi import EVENT_TOKEN
from isa.descriptor import Descriptor, dense_strides
from isa.machine import load_machine
from isa.spec import BY_MNEMONIC, DRAM_REGIONS, ELEMENT_BITS, Dtype, Engine, Flag, Region
from simulator.report import build_report
from simulator.timing import TimingModel

MACHINES = {name: load_machine(name) for name in ("edge", "tiny")}
CELLS = {"edge": 64 * 64, "tiny": 16 * 16}
BEATS = {Dtype.I8: 1, Dtype.BF16: 2, Dtype.F32: 4}
S = Region.SRAM


def tensor(base, region, dtype, extents, strides=None):
    extents = (*extents, *(1,) * (4 - len(extents)))
    return Descriptor(base, region, dtype, extents, strides or dense_strides(dtype, extents))


sram_bases = st.integers(0, 255).map(lambda slot: slot * 256)
small = st.integers(1, 40)


@st.composite
def copies(draw):
    mnemonic = draw(st.sampled_from(["ld", "st"]))
    region = draw(st.sampled_from([Region.KV, Region.IO, Region.SCRATCH] + [Region.WEIGHT] * (mnemonic == "ld")))
    dtype = draw(st.sampled_from([Dtype.I8, Dtype.F32]))
    extents = draw(st.tuples(st.integers(1, 700), st.integers(1, 8)))
    size = ELEMENT_BITS[dtype] // 8
    pitch = extents[0] * size + size * draw(st.sampled_from([0, 0, 3, 1000]))
    outside = tensor(draw(st.integers(0, 1 << 14)) * 4, region, dtype, extents, (size, pitch, 0, 0))
    inside = tensor(draw(sram_bases), S, dtype, extents)
    return mnemonic, 0, 0, (inside, outside) if mnemonic == "ld" else (outside, inside)


@st.composite
def products(draw):
    dtype = draw(st.sampled_from(list(BEATS)))
    k, n, m, batches = (
        draw(st.integers(1, 150)),
        draw(st.integers(1, 150)),
        draw(st.integers(1, 20)),
        draw(st.integers(1, 3)),
    )
    c_dtype = Dtype.I32 if dtype == Dtype.I8 else Dtype.F32
    b = tensor(draw(sram_bases), S, dtype, (k, n, draw(st.sampled_from([1, batches]))))
    a = tensor(draw(sram_bases), S, dtype, (k, m, batches))
    flags = draw(st.sampled_from([0, int(Flag.ACC)]))
    return "mm", 0, flags, (tensor(draw(sram_bases), S, c_dtype, (n, m, batches)), a, b)


@st.composite
def elementwise(draw):
    extents = draw(st.tuples(st.integers(1, 200), small))
    s0 = draw(st.sampled_from([4, 4, 8, 64, 1024]))
    source = tensor(draw(sram_bases), S, Dtype.F32, extents, (s0, s0 * extents[0], 0, 0))
    return "vun", draw(st.integers(0, 7)), 0, (tensor(draw(sram_bases), S, Dtype.F32, extents), source)


steps = st.one_of(copies(), products(), elementwise(), st.sampled_from(["scalar", "smem", "mark", "token"]))
runs = st.tuples(st.sampled_from(["edge", "tiny"]), st.lists(steps, max_size=25), st.booleans())


def executed(run):
    name, program, halts = run
    timing = TimingModel(MACHINES[name])
    for pc, step in enumerate(program):
        if step == "scalar":
            timing.scalar(pc, BY_MNEMONIC["alu"])
        elif step == "smem":
            timing.smem(pc, BY_MNEMONIC["lds"], 256, 264, False)
        elif step == "mark":
            timing.mark(pc, pc % 2, pc)
        elif step == "token":
            timing.event(pc, EVENT_TOKEN, pc)
        else:
            mnemonic, function, flags, tds = step
            timing.engine(pc, BY_MNEMONIC[mnemonic], function, flags, (*tds, *(None,) * (4 - len(tds))))
    if halts:
        timing.halt(len(program))
    return timing


@settings(max_examples=80, deadline=None)
@given(runs)
def test_time_is_at_least_bytes_over_bandwidth(run):
    timing = executed(run)
    moved = 0
    for step in run[1]:
        if isinstance(step, tuple) and step[0] in ("ld", "st"):
            outside = next(td for td in step[3] if td.region in DRAM_REGIONS)
            moved += outside.elements * ELEMENT_BITS[outside.dtype] // 8
    timing_of = timing.machine.memory.timing
    channels = timing.machine.memory.channels.value
    tax = Fraction(3906, 3906 - 280)
    assert (timing_of.tREFI.value, timing_of.tRFC.value) == (3906, 280)
    # 32 bytes in 2.5 ns per channel, one cycle per ns.
    assert timing.cycles >= Fraction(moved, 32) * Fraction(5, 2) / channels * tax


@settings(max_examples=80, deadline=None)
@given(runs)
def test_time_is_at_least_macs_over_rate(run):
    timing = executed(run)
    beats = 0
    for step in run[1]:
        if isinstance(step, tuple) and step[0] == "mm":
            c, a, _ = step[3]
            beats += c.elements * a.extents[0] * BEATS[a.dtype]
    assert timing.cycles >= Fraction(beats, CELLS[run[0]])
    assert build_report(timing, None).total.floor.mxu == pytest.approx(beats / CELLS[run[0]])


@settings(max_examples=80, deadline=None)
@given(runs)
def test_busy_and_idle_add_up_per_engine(run):
    timing = executed(run)
    report = build_report(timing, None)
    assert [engine.name for engine in report.engines] == ["SEQ", "DML", "DMS", "MXU", "VPU"]
    for engine in report.engines:
        assert engine.busy_cycles + engine.idle_cycles == timing.cycles
        assert sum(engine.waits.values()) == engine.idle_cycles
        assert all(cycles >= 0 for cycles in engine.waits.values())
        assert 0 <= engine.contention_cycles <= engine.busy_cycles
    assert report.engines[0].busy_cycles == len(run[1]) + run[2]


@settings(max_examples=80, deadline=None)
@given(runs)
def test_energy_is_the_sum_of_its_parts(run):
    report = build_report(executed(run), None)
    phases = (report.prefill, report.decode, report.rest)
    for phase in (report.total, *phases):
        assert phase.joules == pytest.approx(sum(phase.energy.values()))
        assert all(joules >= 0 for joules in phase.energy.values())
    for component, joules in report.total.energy.items():
        assert joules == pytest.approx(sum(phase.energy[component] for phase in phases))


@settings(max_examples=60, deadline=None)
@given(runs)
def test_parts_of_the_run_add_up_to_the_total(run):
    timing = executed(run)
    report = build_report(timing, None)
    phases = (report.prefill, report.decode, report.rest)
    for field in ("cycles", "instructions", "macs", "dram_bytes", "tokens"):
        assert getattr(report.total, field) == sum(getattr(phase, field) for phase in phases), field
    assert report.total.cycles == timing.cycles
    assert report.total.tokens == run[1].count("token") == len(report.token_cycles)
    for label in {section.label for section in report.sections}:
        parts = [section for section in report.sections if section.label == label]
        assert sum(part.cycles for part in parts) == timing.cycles
        assert sum(part.dram_bytes for part in parts) == report.total.dram_bytes
        assert sum(part.joules for part in parts) == pytest.approx(report.total.joules)
    seconds = [(one.end_cycle - one.begin_cycle) / timing.machine.clock_hz for one in report.power]
    assert sum(one.total_watts * each for one, each in zip(report.power, seconds, strict=True)) == pytest.approx(
        report.total.joules
    )
    pcs = len(run[1]) + 1
    assert timing.records().busy_cycles(pcs).sum() == sum(engine.busy_cycles for engine in report.engines)
    assert timing.records().dram_bytes(pcs).sum() == report.total.dram_bytes
    assert timing.records().instruction_counts(pcs).sum() == report.engines[0].instructions


@settings(max_examples=40, deadline=None)
@given(runs)
def test_the_same_program_takes_the_same_time_and_more_work_never_less(run):
    name, program, _ = run
    timing = executed(run)
    assert executed(run).cycles == timing.cycles
    assert executed((name, program[: len(program) // 2], False)).cycles <= timing.cycles


@settings(max_examples=60, deadline=None)
@given(runs)
def test_the_time_is_at_least_each_phase_floor(run):
    report = build_report(executed(run), None)
    assert report.total.cycles >= report.total.floor.cycles - 1e-6
    for engine in report.engines:
        if engine.name == Engine.MXU.name:
            assert engine.busy_cycles >= report.total.floor.mxu - 1e-6

"""What the report says about compiled programs: no resource is faster than physics, and every part adds up to the total."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import pytest

from frontends import load_program
from isa.container import Executable
from isa.spec import ELEMENT_BITS, TD_OPERANDS, Engine, Instruction, Region
from simulator.observer import Captured
from simulator.report import build_report
from simulator.report.model import Report
from simulator.session import Session
from simulator.timing import TimingModel
from tests.end_to_end.e2e_support import PUBLISHED, SCHEMES, build, machine, options

MACHINES = ("edge", "tiny")
CASES = [(scheme, name) for scheme in SCHEMES for name in MACHINES]
PROMPT = [5, 17, 3, 99, 42, 8, 120]
NEW_TOKENS = 3
CONTEXT = 64
CELLS = {"edge": 64 * 64, "tiny": 16 * 16}
LANES = {"edge": 64, "tiny": 16}
BYTES_PER_CYCLE = {"edge": Fraction(512, 10), "tiny": Fraction(128, 10)}
"""64 and 16 bits of LPDDR5-6400 at a core clock of 1 GHz."""
REFRESH = Fraction(3906) / (3906 - Fraction(635, 2))
"""tREFI / (tREFI - tRP - tRFC - tRCD) in nanoseconds: 18.75, 280 and 18.75."""


class Counter:
    """Counts work from the descriptors, apart from the timing model, and passes everything on to it."""

    def __init__(self, timing: TimingModel) -> None:
        self.timing = timing
        self.instructions = dict.fromkeys(Engine, 0)
        self.macs = 0
        self.beats = 0
        self.requested_bytes = 0
        self.results = 0
        self.halted = 0

    def scalar(self, pc: int, row: Instruction) -> None:
        self.instructions[Engine.SEQ] += 1
        self.timing.scalar(pc, row)

    def smem(self, pc: int, row: Instruction, low: int, high: int, write: bool) -> None:
        self.instructions[Engine.SEQ] += 1
        self.timing.smem(pc, row, low, high, write)

    def mark(self, pc: int, label: int, value: int) -> None:
        self.instructions[Engine.SEQ] += 1
        self.timing.mark(pc, label, value)

    def event(self, pc: int, kind: int, value: int) -> None:
        self.timing.event(pc, kind, value)

    def halt(self, pc: int) -> None:
        self.halted += 1
        self.timing.halt(pc)

    def engine(self, pc: int, row: Instruction, fn: int, fl: int, tds: Captured) -> None:
        self.instructions[Engine(row.engine)] += 1
        operands = {name: td for name, td in zip(TD_OPERANDS, tds, strict=True) if td is not None}
        if row.engine == Engine.MXU:
            macs = operands["ta"].elements * operands["tb"].extents[0]
            widest = max(ELEMENT_BITS[operands[name].dtype] for name in ("tb", "tc"))
            self.macs += macs
            self.beats += macs * {8: 1, 16: 2, 32: 4}[widest]
        elif row.engine in (Engine.DML, Engine.DMS):
            outside = next(td for td in operands.values() if td.region < Region.SRAM)
            self.requested_bytes += outside.elements * ELEMENT_BITS[outside.dtype] // 8
        else:
            self.results += operands["ta"].elements
        self.timing.engine(pc, row, fn, fl, tds)


@dataclass
class Timed:
    """A generation, watched."""

    tokens: list[int]
    counter: Counter
    timing: TimingModel
    report: Report


@cache
def executable(scheme: str, name: str) -> Executable:
    return build(load_program(PUBLISHED / "gqa"), options(name, scheme, CONTEXT))


def timed(scheme: str, name: str, *, timing_only: bool = False) -> Timed:
    program = executable(scheme, name)
    timing = TimingModel(machine(name))
    counter = Counter(timing)
    session = Session(program, observer=counter, timing_only=timing_only)
    tokens = list(session.generate(PROMPT, NEW_TOKENS))
    return Timed(tokens, counter, timing, build_report(timing, program, len(PROMPT)))


functional = cache(timed)


@pytest.mark.parametrize(("scheme", "name"), CASES)
def test_time_is_at_least_the_bytes_over_the_bandwidth(scheme: str, name: str) -> None:
    run = functional(scheme, name)
    assert run.report.total.dram_bytes >= run.counter.requested_bytes > 0
    floor = run.report.total.dram_bytes / BYTES_PER_CYCLE[name] * REFRESH
    assert run.report.total.cycles >= floor
    assert run.report.total.floor.dram == pytest.approx(float(floor))
    weights = executable(scheme, name).weights_bytes
    assert run.report.bytes_by_region["WEIGHT"]["read"] > weights / 2, "most of the weights are read at least once"


@pytest.mark.parametrize(("scheme", "name"), CASES)
def test_time_is_at_least_the_work_over_the_rate_of_each_engine(scheme: str, name: str) -> None:
    run = functional(scheme, name)
    engines = {engine.name: engine for engine in run.report.engines}
    assert engines["MXU"].busy_cycles * CELLS[name] >= run.counter.beats > 0
    assert engines["VPU"].busy_cycles * LANES[name] >= run.counter.results > 0
    copies = engines["DML"].busy_cycles + engines["DMS"].busy_cycles
    assert copies >= run.counter.requested_bytes / BYTES_PER_CYCLE[name] * REFRESH
    assert run.report.total.macs == run.counter.macs
    assert sum(run.report.macs_by_dtype.values()) == run.counter.macs
    assert run.report.total.cycles >= max(engine.busy_cycles for engine in engines.values())
    for engine in (Engine.DML, Engine.DMS, Engine.MXU, Engine.VPU):
        assert engines[engine.name].instructions == run.counter.instructions[engine]


@pytest.mark.parametrize(("scheme", "name"), CASES)
def test_busy_and_idle_add_up(scheme: str, name: str) -> None:
    run = functional(scheme, name)
    for engine in run.report.engines:
        assert engine.busy_cycles + engine.idle_cycles == run.report.total.cycles
        assert sum(engine.waits.values()) == engine.idle_cycles
        assert min(engine.waits.values(), default=0) >= 0
        assert 0 <= engine.contention_cycles <= engine.busy_cycles
    executed = sum(run.counter.instructions.values()) + NEW_TOKENS + run.counter.halted
    assert run.report.total.instructions == run.report.engines[0].busy_cycles == executed


@pytest.mark.parametrize(("scheme", "name"), CASES)
def test_energy_is_the_sum_of_its_parts(scheme: str, name: str) -> None:
    report = functional(scheme, name).report
    phases = (report.prefill, report.decode, report.rest)
    for phase in (report.total, *phases):
        assert phase.joules == pytest.approx(sum(phase.energy.values()), rel=1e-12)
        assert min(phase.energy.values()) >= 0
    for component, joules in report.total.energy.items():
        assert joules == pytest.approx(sum(phase.energy[component] for phase in phases), rel=1e-12)
    static = sum(joules for component, joules in report.total.energy.items() if component.startswith("static"))
    by_operator = sum(operator.joules for operator in report.operators)
    assert report.total.joules - static == pytest.approx(by_operator, rel=1e-9)
    for label in {section.label for section in report.sections}:
        parts = [section.joules for section in report.sections if section.label == label]
        assert sum(parts) == pytest.approx(report.total.joules, rel=1e-9)


@pytest.mark.parametrize(("scheme", "name"), CASES)
def test_phases_layers_and_operators_add_up_to_the_total(scheme: str, name: str) -> None:
    report = functional(scheme, name).report
    total = report.total
    for counted in ("cycles", "instructions", "macs", "dram_bytes", "tokens"):
        parts = (report.prefill, report.decode, report.rest)
        assert sum(getattr(part, counted) for part in parts) == getattr(total, counted)
    assert (report.prefill.tokens, report.decode.tokens) == (1, NEW_TOKENS - 1)
    labels = {section.label for section in report.sections}
    assert labels == {0, 1}
    for label in labels:
        parts = [section for section in report.sections if section.label == label]
        for counted in ("cycles", "macs", "dram_bytes"):
            assert sum(getattr(part, counted) for part in parts) == getattr(total, counted), (label, counted)
    assert sum(operator.macs for operator in report.operators) == total.macs
    assert sum(operator.dram_bytes for operator in report.operators) == total.dram_bytes
    assert sum(operator.executions for operator in report.operators) == total.instructions
    assert sum(operator.vpu_elements for operator in report.operators) == sum(report.vpu_elements_by_class.values())
    for engine in report.engines:
        busy = sum(operator.busy_cycles[engine.name] for operator in report.operators)
        assert busy == engine.busy_cycles
    region_bytes = sum(sum(directions.values()) for directions in report.bytes_by_region.values())
    assert region_bytes == functional(scheme, name).counter.requested_bytes <= total.dram_bytes
    assert report.dram["read_bytes"] + report.dram["write_bytes"] == total.dram_bytes


@pytest.mark.parametrize(("scheme", "name"), CASES)
def test_tokens_come_one_after_the_other(scheme: str, name: str) -> None:
    run = functional(scheme, name)
    cycles = run.report.token_cycles
    assert len(cycles) == NEW_TOKENS == len(run.tokens)
    assert all(earlier < later for earlier, later in zip(cycles, cycles[1:], strict=False))
    assert run.report.time_to_first_token_cycles == cycles[0] == run.report.prefill.cycles
    assert cycles[-1] <= run.report.total.cycles
    assert cycles[-1] - cycles[0] == run.report.decode.cycles


@pytest.mark.parametrize(("scheme", "name"), CASES)
def test_two_runs_have_equal_reports(scheme: str, name: str) -> None:
    assert timed(scheme, name).report.to_json() == functional(scheme, name).report.to_json()


@pytest.mark.parametrize(("scheme", "name"), CASES)
def test_a_run_without_values_takes_the_same_cycles(scheme: str, name: str) -> None:
    """Tolerance 0. Other tokens are chosen, so other rows of the embedding are read; with 64 channels a row is whole bursts of one channel
    at every place, and so costs the same.
    """
    whole, without = functional(scheme, name), timed(scheme, name, timing_only=True)
    assert without.tokens != whole.tokens
    assert without.report.to_json() == whole.report.to_json()

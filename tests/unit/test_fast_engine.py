"""The fast engine where random programs do not come by: long loops, full tables, made-up lists, early ends, limits."""

from __future__ import annotations

import tomllib
from importlib import resources

import numpy as np
import pytest

from isa.assembler import assemble
from isa.descriptor import Descriptor, dense_strides
from isa.encoding import decode_text
from isa.machine import Machine, load_machine
from isa.spec import Dtype, Region, Trap
from simulator.fast import tables
from simulator.fast.engine import FastEngine
from simulator.fast.layout import LOG_ROWS, MAX_ACCESSES, MAX_COST_CYCLES, Core
from simulator.fast.slots import GROUP, GROUPS
from simulator.fast.timing import FastTiming
from simulator.memory import Memory
from simulator.reference.engine import Options, ReferenceEngine
from simulator.state import State
from simulator.timing import TimingModel
from simulator.traps import LimitError, TrapError
from tests.property.lockstep import Outcome, assert_same_records, run_both

EDGE = load_machine("edge")
SIZES = {Region.SRAM: 1 << 20, Region.KV: 1 << 16, Region.IO: 1 << 12, Region.SCRATCH: 1 << 12}
TIMING_ONLY = Options(timing_only=True)


def vector(base: int, region: Region, count: int, dtype: Dtype = Dtype.F32) -> Descriptor:
    return Descriptor(base, region, dtype, (count, 1, 1, 1), dense_strides(dtype, (count, 1, 1, 1)))


def state_with(*descriptors: Descriptor) -> State:
    state = State(Memory(SIZES, {Region.WEIGHT: np.arange(1 << 16, dtype=np.uint8)}), 0)
    for register, descriptor in enumerate(descriptors):
        state.set_descriptor(register, descriptor)
    return state


def both(source: str, *descriptors: Descriptor, machine: Machine = EDGE, seed: int = 0) -> Outcome:
    return run_both(assemble(source).text, machine, lambda: state_with(*descriptors), seed=seed)


def changed_machine(**values: int) -> Machine:
    """`edge` with other values, by core_table__name."""
    data = tomllib.loads((resources.files("isa") / "machines" / "edge.toml").read_text("utf-8"))
    for key, value in values.items():
        table, name = key.split("__")
        data["cores"][0][table][name]["value"] = value
    return Machine.from_canonical(data)


def test_lists_of_accesses_grow_while_nothing_finishes() -> None:
    """Results are visible 100,000 cycles after they are computed: thousands of accesses are in flight."""
    machine = changed_machine(vpu__latency=100_000)
    source = """
            alu.add x5, x0, 2000
    loop:   vun.mov t0, t1
            tdadd   t0.base, 64
            alu.sub x5, x5, 1
            br.ne   x5, x0, loop
            tdadd   t0.base, -64
            vun.mov t2, t0
            lds.4   x6, 1024(x0)
            halt
    """
    descriptors = vector(0, Region.SRAM, 1), vector(1 << 19, Region.SRAM, 1), vector(1024, Region.SMEM, 1)
    outcome = both(source, *descriptors, machine=machine)
    assert outcome.records.cycles > 200_000


def test_a_full_log_of_marks_is_read_and_goes_on() -> None:
    source = f"""
            alu.add x5, x0, {3 * LOG_ROWS}
    loop:   mark    x5, 7
            vun.mov t0, t1
            mark    x0, 8
            alu.sub x5, x5, 1
            br.ne   x5, x0, loop
            halt
    """
    outcome = both(source, vector(0, Region.SRAM, 64), vector(1024, Region.SRAM, 64))
    assert len(outcome.records.sections) == 3 * LOG_ROWS + 3


def test_full_tables_are_emptied_and_filled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_FORMS", 5)
    source = """
            alu.add x5, x0, 3
    again:  alu.add x6, x0, 9
    loop:   tdset   t0.e0, x6
            tdset   t1.e0, x6
            vun.exp t0, t1
            tdset   t2.base, x6
            tdadd   t2.base, x6
            ld      t3, t2
            alu.sub x6, x6, 1
            br.ne   x6, x0, loop
            alu.sub x5, x5, 1
            br.ne   x5, x0, again
            halt
    """
    descriptors = (
        vector(0, Region.SRAM, 1),
        vector(1024, Region.SRAM, 1),
        vector(0, Region.WEIGHT, 8, Dtype.I8),
        vector(4096, Region.SRAM, 8, Dtype.I8),
    )
    records = both(source, *descriptors).records
    assert records.per_pc[4].executions == records.per_pc[7].executions == 27


@pytest.mark.long
def test_a_full_table_of_shapes() -> None:
    source = """
            alu.add x5, x0, 9000
            alu.add x6, x0, 4
    loop:   tdset   t0.s1, x6
            alu.add x6, x6, 4
            tdset   t1.s1, x6
            alu.add x6, x6, 4
            tdset   t2.s1, x6
            alu.add x6, x6, 4
            tdset   t3.s1, x6
            alu.add x6, x6, 4
            vmad.mad t0, t1, t2, t3
            alu.sub x5, x5, 1
            br.ne   x5, x0, loop
            halt
    """
    outcome = both(source, *(vector(1024 * place, Region.SRAM, 8) for place in range(4)))
    assert outcome.records.instructions == 2 + 9000 * 11 + 1


def philox_word(counter: int, number: int, seed: int) -> int:
    """Philox4x32-10 by the formulas of docs/numerics.md, section 7, on Python integers: the first word."""
    c, k = [counter, number & 0xFFFFFFFF, 0, 0], [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        high = [0xD2511F53 * c[0] >> 32, 0xCD9E8D57 * c[2] >> 32]
        low = [0xD2511F53 * c[0] & 0xFFFFFFFF, 0xCD9E8D57 * c[2] & 0xFFFFFFFF]
        c = [high[1] ^ c[1] ^ k[0], low[1], high[0] ^ c[3] ^ k[1], low[0]]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c[0]


def shuffled(limit: int, count: int, number: int, seed: int) -> list[int]:
    """docs/timing.md, section 10, with all places written out."""
    places = list(range(limit))
    for i in range(count):
        j = i + (philox_word(i, number, seed) * (limit - i) >> 32)
        places[i], places[j] = places[j], places[i]
    return places[:count]


@pytest.mark.parametrize(
    ("first", "row", "entries"), [(0, 8, 2), (0, 64, 64), (100, 1000, 10), (0, 3, 5), (-5, 3, 4), (-900, 8, 2)]
)
@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1, 0x123456789ABCDEF])
def test_lists_of_timing_only_runs_are_those_of_the_formula(first: int, row: int, entries: int, seed: int) -> None:
    """Both engines agree with a shuffle in plain Python; lists that are longer than the row end with empty entries."""
    source = f"alu.add x5, x0, {first}\n vtopk t0, t1, x5\n vtopk t2, t1, x5\n halt"
    lists = [Descriptor(base, Region.SMEM, Dtype.F32, (entries, 1, 1, 1), (8, 0, 0, 0)) for base in (1024, 2048)]
    outcome = both(source, lists[0], vector(0, Region.SRAM, row), lists[1], seed=seed)
    limit = max(1, first + row)
    count = min(entries, limit)
    for number, base in enumerate((1024, 2048)):
        found = np.frombuffer(outcome.memories[Region.SMEM], np.dtype("<f4,<i4"), entries, base)
        assert found["f1"].tolist() == shuffled(limit, count, number, seed) + [-1] * (entries - count)
        assert found["f0"].tolist() == [*range(count, 0, -1)] + [-np.inf] * (entries - count)


@pytest.mark.parametrize("dtype", [Dtype.F32, Dtype.F16, Dtype.I8])
def test_copies_to_and_from_smem_move_the_bytes(dtype: Dtype) -> None:
    """Strided both ways; loaded from a region without storage, they are zeroes."""
    size = {Dtype.F32: 4, Dtype.F16: 2, Dtype.I8: 1}[dtype]
    extents = (5, 3, 2, 2)
    weights = Descriptor(300 * size, Region.WEIGHT, dtype, extents, (-3 * size, 40 * size, -90 * size, 200 * size))
    smem = Descriptor(4096, Region.SMEM, dtype, extents, (2 * size, 10 * size, 30 * size, 64 * size))
    scratch = Descriptor(512, Region.SCRATCH, dtype, extents, (size, 5 * size, 15 * size, 30 * size))
    outcome = both("ld t0, t1\n st t2, t0\n halt", smem, weights, scratch)
    assert outcome.memories[Region.SCRATCH][512 : 512 + 60 * size] != bytes(60 * size)

    def without_weights() -> State:
        state = state_with(smem, weights, scratch)
        del state.memory.arrays[Region.WEIGHT]
        state.memory.smem[4096:8192] = bytes([7]) * 4096
        return state

    outcome = run_both(assemble("ld t0, t1\n st t2, t0\n halt").text, EDGE, without_weights)
    assert outcome.memories[Region.SCRATCH][512 : 512 + 60 * size] == bytes(60 * size)


def test_the_watchdog_counts_from_event_to_event() -> None:
    source = "alu.add x5, x0, 1\n yield x5, 9\n loop: alu.add x5, x5, 1\n jal x0, loop"
    text = assemble(source).text
    for steps in (1, 2, 3, 50):
        outcome = run_both(text, EDGE, state_with, watchdog=steps)
        assert outcome.end[-1][0] == Trap.WATCHDOG and outcome.end[-1][1] == (1 if steps == 1 else 2 + steps % 2)


@pytest.mark.parametrize("entry", [-1, 3, 1000])
def test_an_entry_outside_of_the_text_traps(entry: int) -> None:
    text = decode_text(assemble("halt\n halt\n halt").text)
    engine = FastEngine(state_with(), FastTiming(EDGE, text), TIMING_ONLY)
    with pytest.raises(TrapError, match="the text has 3 instructions") as raised:
        list(engine.run(entry))
    assert (raised.value.cause, raised.value.pc) == (Trap.PC_OUT_OF_RANGE, entry)


def test_a_run_that_is_left_early_keeps_its_registers_and_its_time() -> None:
    """As in the reference engine: the next run begins at its entry with what the registers hold."""
    text = decode_text(assemble("loop: alu.add x5, x5, 1\n tdadd t0.base, 4\n yield x5, 9\n jal x0, loop").text)
    model, clock = TimingModel(EDGE), FastTiming(EDGE, text)
    states = [state_with(), state_with()]
    for state in states:
        state.instructions = len(text)
    engines = [ReferenceEngine(text, states[0], model, TIMING_ONLY), FastEngine(states[1], clock, TIMING_ONLY)]
    for state, engine in zip(states, engines, strict=True):
        for runs in (3, 2):
            events = engine.run(0)
            values = [next(events).value for _ in range(runs)]
            events.close()
        assert values == [4, 5]
        assert (state.x[5], state.descriptor(0).base) == (5, 20)
    assert_same_records(clock.records(), model.records())


def test_time_goes_on_over_engines_on_one_clock() -> None:
    """A session that starts afresh has new registers and memories, and the same clock."""
    text = decode_text(assemble("alu.add x5, x5, 1\n vun.mov t0, t1\n yield x5, 1\n halt").text)
    model, clock = TimingModel(EDGE), FastTiming(EDGE, text)
    for _ in range(3):
        states = [state_with(vector(0, Region.SRAM, 64), vector(1024, Region.SRAM, 64)) for _ in range(2)]
        assert [e.value for e in ReferenceEngine(text, states[0], model, TIMING_ONLY).run(0)] == [1]
        assert [e.value for e in FastEngine(states[1], clock, TIMING_ONLY).run(0)] == [1]
    assert_same_records(clock.records(), model.records())
    assert clock.instructions == 12 and clock.cycles == model.cycles


def test_what_is_known_of_forms_stays_unless_other_memories_are_there() -> None:
    """Effects depend on which regions have storage."""
    text = decode_text(assemble("vun.mov t0, t1\n yield x5, 1\n halt").text)
    clock, forms = FastTiming(EDGE, text), []
    for absent in (frozenset[Region](), frozenset[Region](), frozenset({Region.KV})):
        state = State(Memory(SIZES, {}, absent), len(text))
        for register, base in enumerate((0, 1024)):
            state.set_descriptor(register, vector(base, Region.SRAM, 64))
        engine = FastEngine(state, clock, TIMING_ONLY)
        forms.append(int(clock.block.core[Core.FORMS]))
        list(engine.run(0))
    assert forms == [0, 1, 0]


def test_records_can_be_asked_for_at_any_time() -> None:
    text = decode_text(
        assemble("loop: mark x5, 0\n vun.mov t0, t1\n alu.add x5, x5, 1\n yield x5, 1\n jal x0, loop").text
    )
    model, clock = TimingModel(EDGE), FastTiming(EDGE, text)
    states = [state_with(vector(0, Region.SRAM, 64), vector(1024, Region.SRAM, 64)) for _ in range(2)]
    for state in states:
        state.instructions = len(text)
    slow = ReferenceEngine(text, states[0], model, TIMING_ONLY).run(0)
    quick = FastEngine(states[1], clock, TIMING_ONLY).run(0)
    for value in (1, 2, 3):
        assert next(slow).value == next(quick).value == value
        assert_same_records(clock.records(), model.records())


class TestLimits:
    """Numbers that no machine reaches end the run instead of wrapping."""

    def test_an_instruction_of_too_many_cycles(self) -> None:
        machine = changed_machine(mxu__rows=1, mxu__columns=1, mxu__a_port_bytes=1)
        data = machine.model_dump(mode="json", by_alias=True, exclude_none=True)
        data["cores"][0]["mxu"]["beats_per_row"]["i8"]["value"] = 64
        machine = Machine.from_canonical(data)
        k, m, n = 65536, 1 << 10, 1 << 10
        c = Descriptor(0, Region.SRAM, Dtype.I32, (n, m, 1, 1), (4, 4 * n, 0, 0))
        a = Descriptor(0, Region.SRAM, Dtype.I8, (k, m, 1, 1), (0, 0, 0, 0))
        b = Descriptor(0, Region.SRAM, Dtype.I8, (k, n, 1, 1), (0, 0, 0, 0))
        text = decode_text(assemble("mm t0, t1, t2\n halt").text)
        state = State(Memory({Region.SRAM: 1 << 24}, {}), len(text))
        for register, d in enumerate((c, Descriptor(1 << 23, *_rest(a)), Descriptor(1 << 23, *_rest(b)))):
            state.set_descriptor(register, d)
        with pytest.raises(LimitError, match=f"at most {MAX_COST_CYCLES} can be counted"):
            list(FastEngine(state, FastTiming(machine, text), TIMING_ONLY).run(0))

    @pytest.mark.parametrize("place", [Core.NOW, Core.FULL])
    def test_too_much_time_or_too_many_counts(self, place: Core) -> None:
        text = decode_text(assemble("vun.mov t0, t1\n halt").text)
        clock = FastTiming(EDGE, text)
        clock.block.core[place] = 1 << 62
        engine = FastEngine(state_with(vector(0, Region.SRAM, 64), vector(1024, Region.SRAM, 64)), clock, TIMING_ONLY)
        with pytest.raises(LimitError, match="at pc 0"):
            list(engine.run(0))

    def test_more_in_flight_than_the_lists_hold(self) -> None:
        text = decode_text(assemble("loop: vun.mov t0, t1\n tdadd t0.base, 64\n jal x0, loop").text)
        clock = FastTiming(changed_machine(vpu__latency=100_000), text)
        clock.block.access_use[:, GROUPS] = MAX_ACCESSES // GROUP - 2
        clock.block.access_stamps[:, : MAX_ACCESSES - 2 * GROUP] = 1 << 50  # they are not over
        state = state_with(vector(0, Region.SRAM, 1), vector(1 << 12, Region.SMEM, 1))
        with pytest.raises(LimitError):
            list(FastEngine(state, clock, TIMING_ONLY).run(0))


def _rest(d: Descriptor) -> tuple[Region, Dtype, tuple[int, int, int, int], tuple[int, int, int, int]]:
    return d.region, d.dtype, d.extents, d.strides

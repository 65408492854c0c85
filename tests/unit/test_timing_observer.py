"""The timing model as observer of the reference engine: a short program, timed by hand."""

import numpy as np

from isa.abi import EVENT_TOKEN
from isa.assembler import assemble
from isa.descriptor import Descriptor, dense_strides
from isa.encoding import decode_text
from isa.machine import load_machine
from isa.spec import Dtype, Engine, Region
from simulator.memory import Memory
from simulator.observer import Observer
from simulator.reference.engine import Options, ReferenceEngine
from simulator.report import build_report
from simulator.state import State
from simulator.timing import TimingModel

PROGRAM = """
        mark    x0, 0
        alu.add x5, x0, 3
loop:   ld      t0, t1
        vun.exp t2, t0
        vun.mov t3, t5
        lds.4   x6, 1024(x0)
        yield   x6, 1
        tdadd   t1.base, 256
        alu.sub x5, x5, 1
        br.ne   x5, x0, loop
        st      t4, t2
        halt
"""
SIZES = {Region.SRAM: 1 << 16, Region.KV: 1 << 16}


def vector(base, region, count):
    extents = (count, 1, 1, 1)
    return Descriptor(base, region, Dtype.F32, extents, dense_strides(Dtype.F32, extents))


DESCRIPTORS = (
    vector(0, Region.SRAM, 64),
    vector(0, Region.WEIGHT, 64),
    vector(4096, Region.SRAM, 64),
    vector(1024, Region.SMEM, 1),
    vector(0, Region.KV, 64),
    vector(4096, Region.SRAM, 1),
)


def run(timing_only):
    timing = TimingModel(load_machine("edge"))
    observer: Observer = timing
    absent = frozenset({Region.SRAM, Region.KV}) if timing_only else frozenset()
    text = decode_text(assemble(PROGRAM).text)
    state = State(Memory(SIZES, {Region.WEIGHT: np.zeros(4096, np.uint8)}, absent), len(text))
    for register, descriptor in enumerate(DESCRIPTORS):
        state.set_descriptor(register, descriptor)
    engine = ReferenceEngine(text, state, observer, Options(timing_only=timing_only))
    return timing, list(engine.run(0))


def test_the_program_takes_the_time_worked_out_by_hand():
    timing, events = run(timing_only=False)
    # 256 bytes in 8 bursts from a row of each bank group: the second row is opened 5 ns later, 4 bursts 5 ns apart end at
    # 22.5 ns, with refresh 25 cycles; latency 60.
    load, latency = 25, 60
    # A refresh may have begun before the first load, 318^2 / (2 x 3906) = 12, and in the 92 cycles after each load:
    # (318 x 92 - 92^2 / 2) / 3906 = 6.
    wait, later = 12, 6
    # Dispatched at 2; exp 2 + 12, mov 1 + 12; lds waits for it, then yield.
    first = 2 + wait + load + latency + 14 + 13 + 2
    second = first + 1 + first - wait + later
    third = second + 1 + first - wait + later
    assert len(events) == 3
    assert [event.cycle for event in timing.events] == [first, second, third]
    assert timing.engines[Engine.DML].instructions == 3
    assert timing.engines[Engine.DML].busy == 3 * load + wait + 2 * later
    # After the last token: 3 scalars, the store is dispatched; it waits for nothing.
    store = third + 3
    assert timing.cycles == store + timing.engines[Engine.DMS].busy + timing.costs.dram.write_latency + 1
    assert timing.instructions == 2 + 3 * 8 + 2


def test_timing_only_mode_takes_the_same_time():
    timing, _ = run(timing_only=False)
    without_values, _ = run(timing_only=True)
    assert without_values.cycles == timing.cycles
    assert without_values.actions == timing.actions
    assert build_report(without_values, None).decode.tokens == 2


def test_tokens_are_events_of_kind_token():
    timing, _ = run(timing_only=False)
    assert {event.kind for event in timing.events} == {EVENT_TOKEN}

"""Bursts and activates of DRAM transfers against a walk over every burst. Their time: test_timing_judge.py."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from isa.descriptor import Descriptor
from isa.machine import load_machine
from isa.spec import Dtype, Region
from simulator.timing.dram import Dram

MACHINES = {name: load_machine(name) for name in ("edge", "tiny")}


def bursts_of(td, burst_bytes):
    """The bursts, as DRAM burst numbers, run by run in order; a burst that a run touches is moved once per run."""
    e0, e1, e2, e3 = td.extents
    s0, s1, s2, s3 = td.strides
    for i3 in range(e3):
        for i2 in range(e2):
            for i1 in range(e1):
                start = td.base + i1 * s1 + i2 * s2 + i3 * s3
                assert s0 == 1
                yield from range(start // burst_bytes, (start + e0 - 1) // burst_bytes + 1)


def walked(machine, td):
    """Bursts and activates, burst by burst over explicit banks and rows."""
    memory = machine.memory
    channels, banks, row = memory.channels.value, memory.banks.value, memory.row_bytes.value
    per_chunk = memory.address_map.channel_interleave_bytes.value // memory.burst_bytes.value
    groups = memory.address_map.bank_group_interleave.value
    bursts_per_row = row // memory.burst_bytes.value
    open_rows, activates, total = {}, 0, 0
    for burst in bursts_of(td, memory.burst_bytes.value):
        chunk, within = divmod(burst, per_chunk)
        local_chunk, channel = divmod(chunk, channels)
        local = local_chunk * per_chunk + within
        column, group = divmod(local, groups)
        bank_row = column // bursts_per_row
        row_number, bank = divmod(bank_row, banks // groups)
        key = (channel, group, bank)
        if open_rows.get(key) != row_number:
            open_rows[key] = row_number
            activates += 1
        total += 1
    return total, activates


strides = st.one_of(st.integers(0, 600), st.sampled_from([64, 256, 1024, 2048, 4096, 16384, 32768, 131072, 262144]))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["edge", "tiny"]),
    st.integers(0, 1 << 20),
    st.one_of(st.integers(1, 300), st.integers(1, 60000)),
    st.integers(1, 8),
    st.integers(1, 4),
    st.tuples(strides, strides),
    st.booleans(),
)
def test_bursts_and_activates_are_those_of_the_walk(name, base, e0, e1, e2, pitch, write):
    # Runs never touch: merging adjacent ones would rightly share a burst.
    s1 = e0 + 1 + pitch[0]
    s2 = s1 * e1 + 1 + pitch[1]
    machine = MACHINES[name]
    td = Descriptor(base, Region.KV, Dtype.I8, (e0, e1, e2, 1), (1, s1, s2, 0))
    found = Dram(machine).transfer(td, write=write)
    assert (found.bursts, found.activates) == walked(machine, td)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["edge", "tiny"]), st.integers(0, 1 << 30), st.integers(1, (1 << 20) - 1))
def test_no_transfer_is_faster_than_the_bus(name, base, size):
    machine = MACHINES[name]
    td = Descriptor(base, Region.WEIGHT, Dtype.I8, (size, 1, 1, 1), (1, 0, 0, 0))
    found = Dram(machine).transfer(td, write=False)
    assert found.cycles >= size / machine.memory.refreshed_bytes_per_second * machine.clock_hz


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["edge", "tiny"]),
    st.integers(0, 1 << 20),
    st.integers(1, 5000),
    strides,
    st.integers(1, 40),
    st.booleans(),
)
def test_whole_periods_change_nothing(name, base, size, pitch, periods, write):
    machine = MACHINES[name]
    dram = Dram(machine)
    assert dram.period_bytes == {"edge": 4 * 2 * 2048, "tiny": 2 * 2048}[name]
    td = Descriptor(base, Region.KV, Dtype.I8, (size, 3, 1, 1), (1, size + 1 + pitch, 0, 0))
    moved = replace(td, base=base + periods * dram.period_bytes)
    assert dram.transfer(td, write=write) == dram.transfer(moved, write=write)
    assert walked(machine, td) == walked(machine, moved)

"""What the price of an instruction depends on, as the compiled loop has it: numbers of the machine, and shapes of operands."""

from __future__ import annotations

from enum import IntEnum, auto
from fractions import Fraction

from isa.machine import Machine
from simulator.timing.actions import VPU_CLASSES
from simulator.timing.channel import Intervals
from simulator.timing.dram import Dram

MAX_BANKS, MAX_CHANNELS, MAX_CHANNEL_BANKS, MAX_GROUPS = 1 << 10, 1 << 6, 1 << 8, 1 << 4
"""Of SRAM, of the DRAM, of one of its channels, and bank groups: what a machine description may have."""


class Rule(IntEnum):
    """Which shapes an instruction may have and how its price is worked out; NONE: the host does both."""

    NONE = 0
    LOAD = auto()
    STORE = auto()
    PRODUCT = auto()
    SCALED = auto()  # mmg
    ELEMENTWISE = auto()
    REDUCTION = auto()
    SOFTMAX = auto()


RULES = {
    "ld": Rule.LOAD,
    "st": Rule.STORE,
    "mm": Rule.PRODUCT,
    "mmg": Rule.SCALED,
    "vbin": Rule.ELEMENTWISE,
    "vmad": Rule.ELEMENTWISE,
    "vun": Rule.ELEMENTWISE,
    "vred": Rule.REDUCTION,
    "vsmx": Rule.SOFTMAX,
}


class Shape(IntEnum):
    """Columns of `shapes`: an operand without its base."""

    REGION = 0
    BITS = auto()  # of an element
    FORMAT = auto()
    GROUP = auto()  # elements of a group of weights
    PACKED = auto()  # whether elements are nibbles
    QUAD = auto()  # elements that blocks keep together, or 0
    E0 = auto()
    E1 = auto()
    E2 = auto()
    E3 = auto()
    S0 = auto()
    S1 = auto()
    S2 = auto()
    S3 = auto()
    LENGTH = auto()


class Transfer(IntEnum):
    """Columns of `transfer_numbers`, by direction: the intervals of channel.py in picoseconds, and what follows from the machine."""

    BURST = 0
    SAME_GROUP = auto()
    OTHER_GROUP = auto()
    ACTIVATE = auto()
    ROW_CYCLE = auto()
    OPEN = auto()
    CLOSE = auto()
    REOPEN = auto()
    RESPOND = auto()
    LIMIT = auto()  # bursts in flight on a channel
    NUMERATOR = auto()  # cycles of a picosecond, with refresh, as a fraction
    DENOMINATOR = auto()
    PORT = auto()  # bytes of the scratchpad port
    LENGTH = auto()


class Server(IntEnum):
    """Columns of what serves one after the other, as in simulator/timing/server.py."""

    END = 0
    LOW = auto()
    HIGH = auto()
    LENGTH = auto()


class Channel(IntEnum):
    """Columns of `channels`: a DRAM channel during one transfer."""

    END = 0
    ACTIVATES = auto()
    BURSTS = auto()
    BUS = auto()  # .. a Server
    OPENS = BUS + Server.LENGTH
    COLUMNS = OPENS + Server.LENGTH  # .. one of each bank group
    GROUP = COLUMNS + MAX_GROUPS * Server.LENGTH  # .. bursts of each bank group
    LENGTH = GROUP + MAX_GROUPS


class Visit(IntEnum):
    """Columns of `visits`: bursts of a run to one row of a bank."""

    GROUP = 0
    BANK = auto()  # row of `dram_banks`
    BURSTS = auto()
    PLACE = auto()
    READY = auto()
    BEGIN = auto()
    LENGTH = auto()


class Bank(IntEnum):
    """Columns of `dram_banks`."""

    ROW = 0
    OPENED = auto()
    LAST = auto()
    READY = auto()
    LENGTH = auto()


class Flow(IntEnum):
    """Places of `sums`: the tiles of a product so far, as in simulator/timing/mxu.py."""

    LEAD = 0
    STREAM = auto()
    STREAMED = auto()
    WRITTEN = auto()
    BEFORE_LAST = auto()
    FIRST_TILE = auto()
    WRITES = auto()
    ACCESSES = auto()
    BANKS_A = auto()
    BANKS_B = auto()
    BANKS_C = auto()
    LENGTH = auto()


class Number(IntEnum):
    """Places of `machine`. DRAM sizes are powers of two: their logarithms."""

    BANKS = 0  # of SRAM
    BANK_BYTES = auto()
    SMEM_PORT = auto()
    MXU_ROWS = auto()
    MXU_COLUMNS = auto()
    ACCUMULATOR_ROWS = auto()
    A_PORT = auto()
    B_PORT = auto()
    C_PORT = auto()
    MXU_LATENCY = auto()
    BEATS_8 = auto()  # cycles of a row of A, by the bits of the wider element
    BEATS_16 = auto()
    BEATS_32 = auto()
    LANES = auto()
    VPU_PORT = auto()
    VPU_LATENCY = auto()
    REDUCTION_LATENCY = auto()
    LOG_BURST = auto()
    LOG_INTERLEAVE = auto()
    LOG_CHANNELS = auto()
    LOG_GROUPS = auto()
    LOG_BANKS = auto()  # of a channel
    LOG_ROW_BURSTS = auto()
    STEP = auto()  # .. cycles of a step of the VPU, by class
    LENGTH = STEP + len(VPU_CLASSES)


def machine_numbers(machine: Machine) -> list[int]:
    """In the order of Number."""
    core, memory = machine.core, machine.memory
    mxu, vpu, address_map = core.mxu, core.vpu, memory.address_map
    beats = mxu.beats_per_row
    constants = (
        *(core.sram.banks, core.sram.bank_bytes, core.seq.smem_port_bytes),
        *(mxu.rows, mxu.columns, mxu.accumulator_rows, mxu.a_port_bytes, mxu.b_port_bytes, mxu.c_port_bytes),
        *(mxu.latency, beats.i8, beats.f16, beats.f32, vpu.lanes, vpu.port_bytes, vpu.latency, vpu.reduction_latency),
    )
    sizes = (
        memory.burst_bytes.value,
        address_map.channel_interleave_bytes.value,
        memory.channels.value,
        address_map.bank_group_interleave.value,
        memory.banks.value,
        memory.row_bytes.value // memory.burst_bytes.value,
    )
    steps = (getattr(vpu.cycles, name).value for name in VPU_CLASSES)
    return [*(constant.value for constant in constants), *(size.bit_length() - 1 for size in sizes), *steps]


def transfer_numbers(machine: Machine, dram: Dram) -> list[list[int]]:
    """In the order of Transfer, for loads and for stores."""
    rows: list[list[int]] = []
    for write, dma in ((False, machine.core.dml), (True, machine.core.dms)):
        t = Intervals.of(machine.memory, write=write)
        cycles = dram.refreshed_cycles_per_ps(write=write)
        rows.append(
            [
                *(t.burst, t.same_group, t.other_group, t.activate, t.row_cycle),
                *(t.open, t.close, t.reopen, t.respond, dram.limits[write]),
                *(*_as_words(cycles), dma.port_bytes.value),
            ]
        )
    return rows


def _as_words(number: Fraction) -> tuple[int, int]:
    """Numerator and denominator, or zeroes if they are too long: then the host works the price out."""
    pair = number.as_integer_ratio()
    return pair if max(pair) < 1 << 40 else (0, 0)

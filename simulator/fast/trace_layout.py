"""How traces and what they do are kept: columns of the arrays of replay.py, as those of layout.py."""

from __future__ import annotations

from enum import IntEnum, auto

from isa.spec import TD_REGISTERS, X_REGISTERS
from simulator.timing.actions import ACTIONS
from simulator.timing.profile import ENGINE_SLOTS

MAX_TRACES, MAX_ITEMS, MAX_STATES, MAX_TRANSITIONS = 1 << 12, 1 << 22, 1 << 14, 1 << 15
MAX_SIGNATURES = 1 << 16
MAX_STATE_WORDS, MAX_TRACE_ENGINES = 768, 1 << 12
MAX_LOADS, MAX_READS, MAX_POINTERS, MAX_FLOWS, MAX_RUN = 64, 1 << 10, 1 << 10, 1 << 10, 1 << 8
FIRST_BASE = X_REGISTERS + MAX_LOADS
MAX_SOURCES = FIRST_BASE + TD_REGISTERS
LEAST, GREATEST = -(1 << 62), 1 << 62
NEVER = 1 << 40
"""More cuts than any trace has."""

ACTION_COUNT = len(ACTIONS)


class Trace(IntEnum):
    """Columns of `traces`: a way from one place to the next, with what it needs and what it changes (replay.py). Lists are
    places in `items` and lengths in entries. A source is an x-register, or X_REGISTERS and the number of a load, or FIRST_BASE and a
    descriptor register whose base it is.
    """

    FOLLOWING = 0  # the next trace with the same place in `trace_table` and one, or 0
    SUCCESSOR = auto()  # the one that came after it last time and one, or 0
    BEGIN = auto()  # pc
    END = auto()  # the pc behind it
    INSTRUCTIONS = auto()
    ENGINES = auto()  # engine instructions
    SMEM_BYTES = auto()
    EPOCH = auto()  # of SMEM when its reads were compared
    CREDIT = auto()  # so many transitions may still be noted
    PASSES = auto()  # how often it was passed over
    MISSES = auto()  # transitions that were not noted for want of credit
    CUTS = auto()  # how many places it passes at which traces could begin, with its end
    AHEAD = auto()  # the fewest cuts that were passed over in one go from its beginning on, of late
    RUN = auto()  # the last run it was passed over in
    LONGER = auto()  # the trace that begins in the same way and one, or 0
    SHORTER = auto()  # the one of which it is the longer one, and one, or 0
    KEYS = auto()  # how many of its sources have pointers
    IS_ANCHORED = auto()  # whether some of these point to keys and values
    GUARDS = auto()  # .. x-register, value
    SHAPES = GUARDS + 2  # .. descriptor register, whether the base counts, its words
    READS = SHAPES + 2  # .. SMEM address, log2 of bytes, value
    LOADS = READS + 2  # .. each of Load
    POINTERS = LOADS + 2  # .. form, place of the source, what is added to it
    SOURCES = POINTERS + 2  # .. each of Source; those with pointers first
    RESULTS = SOURCES + 2  # .. x-register, source or -1, factor, what is added
    DESCRIPTORS = RESULTS + 2  # .. descriptor register, source or -1, its words
    FLOWS = DESCRIPTORS + 2  # .. pc, what is added to its flow
    LENGTH = FLOWS + 2


class Load(IntEnum):
    """Columns of a load: what is read from SMEM at factor * x-register + added."""

    REGISTER = 0
    FACTOR = auto()
    ADDED = auto()
    LOG2 = auto()  # of its bytes
    LENGTH = auto()


class Source(IntEnum):
    """Columns of a source."""

    SOURCE = 0
    LEAST = auto()
    GREATEST = auto()
    IS_ANCHORED = auto()  # whether it has pointers to keys and values
    START = auto()  # .. what it was: all of these move together
    LENGTH = auto()


class Transition(IntEnum):
    """Columns of `transitions`: what a trace with certain costs does to the clock in a certain state."""

    STATE = 0
    TRACE = auto()
    SIGNATURE = auto()  # of these costs
    NEXT = auto()  # state
    CYCLES = auto()
    FRONTIER = auto()  # from the beginning, or 0
    USES = auto()  # .. since timing.py added up what they count
    USED = auto()  # whether the trace was passed over with it
    STAYS = auto()  # whether keys and values must be where they were when the trace was made
    WORK = auto()  # .. (cost, executions, busy cycles) for each cost
    COSTS = auto()  # .. and how many these are
    COUNTERS = auto()  # .. what is added to each
    ACTIONS = COUNTERS + 1 + ENGINE_SLOTS + 4 * (3 + ENGINE_SLOTS)  # .. to each count
    LENGTH = ACTIONS + ACTION_COUNT


class Signature(IntEnum):
    """Columns of `signatures`: the costs that the pointers of a trace have at certain places in a period."""

    TRACE = 0
    PLACES = auto()  # .. in `items`, of each source that has pointers; behind them the cost of each pointer
    ALIKE = auto()  # the row of the first one with the same costs, and one
    LENGTH = auto()


class Way(IntEnum):
    """Places of `way`: single numbers of what recorder.py has followed so far."""

    INSTRUCTIONS = 0
    ENGINES = auto()
    SMEM_BYTES = auto()
    CUTS = auto()
    LOADS = auto()
    READS = auto()
    POINTERS = auto()
    FLOWS = auto()
    FIXED = auto()  # whether keys and values are accessed at places that are conditions
    LENGTH = auto()


class XWay(IntEnum):
    """Columns of `way_x`: where the number in an x-register comes from."""

    SOURCE = 0  # or -1
    FACTOR = auto()
    LENGTH = auto()


class TdWay(IntEnum):
    """Columns of `way_td`: what is known of a descriptor register."""

    IS_KNOWN = 0  # it was read or written
    SHAPE_COUNTS = auto()  # what it was at the beginning is a condition
    HAS_BASE = auto()  # the base was read or written
    SOURCE = auto()  # .. where it comes from, or -1
    LENGTH = auto()


class WaySource(IntEnum):
    """Columns of `way_sources`."""

    START = 0  # its value
    KNOWN = auto()  # which is a condition
    LEAST = auto()  # otherwise, it may be between these
    GREATEST = auto()
    POINTS = auto()  # whether it became the base of an operand
    IS_ANCHORED = auto()  # .. of one among keys and values
    PLACE = auto()  # .. in the list of sources
    LENGTH = auto()

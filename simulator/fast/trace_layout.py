"""How traces and what they do are kept: columns of the arrays of replay.py, as those of layout.py."""

from __future__ import annotations

from enum import IntEnum, auto

from simulator.timing.actions import ACTIONS
from simulator.timing.profile import ENGINE_SLOTS

MAX_TRACES, MAX_ITEMS, MAX_STATES, MAX_TRANSITIONS = 1 << 12, 1 << 22, 1 << 14, 1 << 15
MAX_STATE_WORDS, MAX_TRACE_ENGINES = 768, 1 << 12

ACTION_COUNT = len(ACTIONS)


class Trace(IntEnum):
    """Columns of `traces`: a way from one place to the next, with what it needs and what it changes (replay.py). Lists are
    places in `items` and lengths in entries.
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
    LONGER = auto()  # the trace that begins in the same way and one, 0 if there is none yet, -1 if there will be none
    SHORTER = auto()  # the one of which it is the longer one, and one, or 0
    IS_KNOWN = auto()  # whether it was executed, so that the limits of its sources are known
    GUARDS = auto()  # .. x-register, value
    SHAPES = GUARDS + 2  # .. descriptor register, whether the base counts, its words
    READS = SHAPES + 2  # .. SMEM address, log2 of bytes, value
    POINTERS = READS + 2  # .. number of the engine instruction, place of the source, what is added to it
    SOURCES = POINTERS + 2  # .. x-register that pointers come from, its least and its greatest value
    RESULTS = SOURCES + 2  # .. x-register, x-register or -1, what is added to it
    DESCRIPTORS = RESULTS + 2  # .. descriptor register, x-register or -1, its words
    FLOWS = DESCRIPTORS + 2  # .. pc, what is added to its flow
    LENGTH = FLOWS + 2


class Transition(IntEnum):
    """Columns of `transitions`: what a trace with certain costs does to the clock in a certain state."""

    STATE = 0
    TRACE = auto()
    NEXT = auto()  # state
    CYCLES = auto()
    FRONTIER = auto()  # from the beginning, or 0
    USES = auto()  # .. since timing.py added up what they count
    USED = auto()  # whether the trace was passed over with it
    PLACES = auto()  # where in `items` the place of each source within a period is
    WORK = auto()  # .. (cost, executions, busy cycles) for each cost
    COSTS = auto()  # .. and how many these are
    COUNTERS = auto()  # .. what is added to each
    ACTIONS = COUNTERS + 1 + ENGINE_SLOTS + 4 * (3 + ENGINE_SLOTS)  # .. to each count
    LENGTH = ACTIONS + ACTION_COUNT

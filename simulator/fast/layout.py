"""How the fast engine keeps its state: the names of the columns of the arrays that the compiled loop and the host share."""

from __future__ import annotations

from enum import IntEnum, auto
from typing import Any

from simulator.fast.kernels.abi import MAX_PARAMETERS
from simulator.timing.profile import ENGINE_SLOTS

# Numba checks the types of the compiled code; for pyright these are anything.
Ints = Any
"""An array of int64."""
Program = Any
"""A record array of PROGRAM_DTYPE."""
Block = Any
"""A record of BLOCK_DTYPE (block.py)."""


class Exit(IntEnum):
    """Why the loop returned to the host. `core[PC]` is the instruction, with no effect so far, or the one behind it if it is done."""

    EVENT = auto()  # yield, done
    HALT = auto()  # done
    HOST = auto()  # done but for what an engine instruction without a kernel computes
    FAULT = auto()  # it traps: the reference engine says why
    WATCHDOG = auto()
    LEARN = auto()  # the checks and cost of an engine instruction with these shapes are not known yet
    LOG = auto()  # the log of marks is full
    STALE = auto()  # the tables of traces are full
    LIMIT = auto()  # numbers beyond what 64 bits hold


class Core(IntEnum):
    """Places of `core`: single numbers."""

    PC = 0
    STEPS = auto()  # instructions left until the watchdog
    NOW = auto()  # the cycle at which SEQ dispatches the next instruction
    FRONTIER = auto()  # the cycle at which everything dispatched so far is visible
    PRODUCTS = auto()  # ... at which the results of the last product are
    SMEM_HORIZON = auto()  # ... of what engines access in SMEM
    SMEM_WAIT = auto()
    HALT_WAIT = auto()
    EVENT_KIND = auto()
    EVENT_VALUE = auto()
    SEQUENCE = auto()  # accesses so far
    QUEUE_DEPTH = auto()
    FORM = auto()  # with LEARN: the row and one of the form, or 0 if that is what is missing
    FORMS = auto()  # rows in use
    COSTS = auto()
    NEW_FORM = auto()  # a row and one that the host has filled and the loop has not hashed, or 0
    NEW_COST = auto()
    NEW_KEY = auto()  # ... for this key of `cost_table`
    PLACES = auto()  # keys in use
    TOUCHED = auto()
    LOGGED = auto()
    INVENTED = auto()  # lists of vtopk so far
    SEED = auto()
    FULL = auto()  # a count is beyond MAX_COUNT
    PERIOD_MASK = auto()  # DRAM addresses that differ in other bits cost the same
    READ_TO_WRITE = auto()
    WRITE_TO_READ = auto()
    READ_REFRESH = auto()  # cycles without reads around a refresh
    WRITE_REFRESH = auto()
    REFRESH_INTERVAL = auto()
    READ_IN_FLIGHT = auto()  # cycles of the data bus for what a load may have in flight
    WRITE_IN_FLIGHT = auto()
    ALIASES = auto()  # rows in use
    ARGUMENTS_AT = auto()  # addresses of `arguments`, `forms` and the scratch memory of kernels
    FORMS_AT = auto()
    SCRATCH_AT = auto()
    WORKERS = auto()  # threads that do parts of kernels
    POSTS_AT = auto()  # ... the address of `posts`
    POSTED = auto()  # kernels posted to them so far
    DONE = auto()  # ... of which so many are known to be done
    PROFILES = auto()  # whether the time that kernels take on this computer is measured
    EXTRAPOLATES = auto()  # whether traces are made and used (replay.py)
    HOT_VISITS = auto()  # ... from places that were visited so often
    GROW_AT = auto()  # a trace that was passed over so often becomes longer
    WAYS = auto()  # that recorder.py has followed so far
    EPOCH = auto()  # changes of SMEM so far
    TRACES = auto()  # rows in use
    ITEMS = auto()
    STATES = auto()
    TRANSITIONS = auto()
    SIGNATURES = auto()
    STALE = auto()  # one of these tables is full
    OBSERVED = auto()  # the row and one of the trace that is executed and noted, or 0
    OBSERVED_FROM = auto()  # ... the state it began in
    OBSERVED_AT = auto()  # ... the cycle
    OBSERVED_FRONTIER = auto()
    OBSERVED_CUTS = auto()  # ... how many places are to come until its end
    OBSERVED_MOVED = auto()  # ... MOVED when it began
    OBSERVED_COSTS = auto()  # ... rows of `observed_work` in use
    NOTED = auto()  # engine instructions noted
    MOVED = (
        auto()
    )  # how far the keys and values of the trace that was looked at are from where they were when it was made
    RUNS = auto()  # times that something was passed over in one go, so far
    PASSED = auto()  # instructions that were not executed, so far
    QUEUE_FULL = auto()  # .. by engine
    LENGTH = QUEUE_FULL + ENGINE_SLOTS


class Td(IntEnum):
    """Columns of a descriptor register: the words of isa/descriptor.py, the first one in two."""

    BASE = 0
    KIND = auto()  # region, dtype, glog2 and fmt, 4 bits each
    EXTENTS = auto()
    INNER = auto()  # strides of dimensions 0 and 1
    OUTER = auto()  # .. 2 and 3
    LENGTH = auto()


class Form(IntEnum):
    """Columns of `forms`: an engine instruction with the shapes of its operands, which passed all checks but those that
    depend on bases.
    """

    PC = 0
    ENGINE = auto()
    LATENCY = auto()
    COST = auto()  # row and one in `costs`; 0: it depends on the base of the operand in DRAM
    NEWEST = auto()  # row and one of the cost that was noted last
    RULE = auto()  # a Rule of price_layout.py
    ACTION = auto()  # of a product: what its multiplications count as; of a vector instruction: the class
    ACCUMULATES = auto()
    DRAM = auto()  # ... the register of this operand
    EFFECT = auto()
    KERNEL = auto()  # the address of its code
    DIVISIBLE = auto()
    OPERANDS = auto()  # how many
    PAIRS = auto()
    OPERAND = auto()  # .. each of Operand
    PAIR = OPERAND + 4 * 13  # .. each of Pair
    PLACE = PAIR + 16  # .. in the arguments, of each operand
    PARAMETER = PLACE + 4  # .. of the kernel
    LENGTH = PARAMETER + MAX_PARAMETERS


class Operand(IntEnum):
    """Columns of an operand. Its bytes are [base + LOW, base + HIGH) of REGION."""

    REGISTER = 0
    KIND = auto()  # .. shape, as in Td
    EXTENTS = auto()
    INNER = auto()
    OUTER = auto()
    ALIGNMENT = auto()  # mask of the bits of the base that must be 0
    LOW = auto()
    HIGH = auto()
    REGION = auto()
    GRANULE = auto()  # of the interlock; 0: exempt
    WRITE = auto()  # of the interlock
    STORED = auto()  # whether the instruction writes it
    LOADED = auto()  # ... reads it
    LENGTH = auto()


class Pair(IntEnum):
    """Columns of a pair of operands of one region that must not overlap: places of destination and source."""

    DESTINATION = 0
    SOURCE = auto()
    ALIGNED = auto()  # they may be the same operand
    MAY_EQUAL = auto()  # ... as their shapes are equal: they may have the same base
    LENGTH = auto()


class Effect(IntEnum):
    """What an instruction does with memory."""

    NONE = 0  # nothing, in a timing-only run
    COPY = auto()  # ... to or from SMEM
    CLEAR = auto()  # ... a copy whose source is not there
    INVENT = auto()  # ... a list of vtopk
    KERNEL = auto()  # what its kernel computes
    ALIAS = auto()  # a dense ld: its target is read at the source (aliases.py)
    HOST = auto()  # what the reference computes: it has no kernel
    UNKNOWN = auto()  # the host has to choose the kernel


class Cost(IntEnum):
    """Columns of `costs`: what a form costs, for some places of its DRAM operand; and how often it was executed."""

    FORM = 0
    OLDER = auto()  # another one of the form: its row and one, or 0
    CYCLES = auto()
    LEAD = auto()  # cycles before the unit computes
    FILL = auto()  # ... for which it computes after the end
    FIRST_TILE = auto()  # of a product: ... from the start until the result of its first tile could be visible
    WRITES = auto()  # ... of the port for results
    SRAM_SHARE = auto()
    DRAM_SHARE = auto()
    NEW = auto()  # executions since the totals were brought up to date
    EXECUTIONS = auto()  # ... before
    BUSY = auto()
    ACTIONS = auto()  # how many
    ACTION = auto()  # .. index and count of each
    LENGTH = ACTION + 12


class Profile(IntEnum):
    """Columns of `profile`, by engine."""

    INSTRUCTIONS = 0
    BUSY = auto()
    CONTENTION = auto()
    INTERLOCK = auto()  # .. by the engine waited for
    FREE = INTERLOCK + ENGINE_SLOTS  # the cycle from which the engine is free
    COMPUTED = auto()  # ... from which it does not compute
    HEAD = auto()  # place of the oldest start in its queue
    LENGTH = auto()


class Span(IntEnum):
    """Columns of an operand of a posted kernel: addresses on this computer."""

    LOW = 0
    HIGH = auto()
    STORED = auto()  # whether it is written
    LENGTH = auto()


class Posted(IntEnum):
    """Columns of `posted`: what the loop knows of a kernel that runs beside it."""

    PC = 0
    SPANS = auto()  # how many
    SPAN = auto()  # .. each of Span
    LENGTH = SPAN + 4 * 3


class Alias(IntEnum):
    """Lists of `aliases`: bytes of SRAM, as offsets, whose content lies elsewhere. Places behind those in use are empty."""

    LOW = 0
    HIGH = auto()
    SOURCE = auto()  # the address of the content of LOW
    LENGTH = auto()


class ByPc(IntEnum):
    """Columns of what is known by pc."""

    FLOW = 0  # the running sum is how often an instruction was executed
    NANOSECONDS = auto()  # of this computer, in its kernel, if they are measured
    FORM = auto()  # the form that was executed last, or 0
    TRACE = auto()  # the first trace that was made here and one, or 0: by its guards the others are found
    VISITS = auto()
    CREDIT = auto()  # so many traces may still be made
    GROWN = auto()  # how many longer traces were made that have not proved useful
    USEFUL = auto()  # how often traces from here on were passed over
    REACHES = auto()  # whether traces from here on go to a place where others proved useful
    WAY = auto()  # the number of the way that this was last noted in
    WAY_FLOW = auto()  # ... its place in `way_flows`
    LENGTH = auto()


ADDRESS_BITS = 44
MAX_CYCLE = 1 << 60
MAX_COUNT = 1 << 61
MAX_NEW = 1 << 12
"""Executions of one instruction before its counts are added up: less than 2^48 each, they cannot overflow."""
MAX_COST_CYCLES = 1 << 40
MAX_FORMS, MAX_COSTS, MAX_PLACES, LOG_ROWS = 1 << 14, 1 << 14, 1 << 14, 1 << 10
MAX_ALIASES, MAX_WORKERS = 64, 63  # workers: one less than the threads of a session
MAX_ACCESSES, MAX_SHARES, RECENT_TRANSFERS = 1 << 16, 1 << 16, 1 << 7
LIST_GAP = 40
"""Words between lists that are read side by side: places of one number are not to fall on the same lines of a cache."""
ENGINE_COUNT, MAX_QUEUE_DEPTH = 4, 64
FIRST_TOTAL = 2
"""Column of the log where the totals begin, behind label and value."""

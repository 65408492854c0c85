"""All state of fixed size as one record: the compiled loop needs one address. Its columns are named in layout.py.

The host allocates it once; pages that are never touched cost nothing.
"""

from __future__ import annotations

import numpy as np

from isa.spec import MAX_TOPK, SMEM_BYTES, TD_REGISTERS, X_REGISTERS, Region
from simulator.fast.kernels.abi import Arg
from simulator.fast.kernels.worker import RING, Post
from simulator.fast.layout import (
    FIRST_TOTAL,
    LIST_GAP,
    LOG_ROWS,
    MAX_ACCESSES,
    MAX_ALIASES,
    MAX_COSTS,
    MAX_FORMS,
    MAX_PLACES,
    MAX_QUEUE_DEPTH,
    MAX_SHARES,
    MAX_WORKERS,
    RECENT_TRANSFERS,
    Alias,
    Core,
    Cost,
    Form,
    Posted,
    Profile,
    Td,
)
from simulator.fast.price_layout import (
    MAX_BANKS,
    MAX_CHANNEL_BANKS,
    MAX_CHANNELS,
    MAX_GROUPS,
    Bank,
    Channel,
    Flow,
    Number,
    Shape,
    Transfer,
    Visit,
)
from simulator.fast.trace_layout import (
    MAX_FLOWS,
    MAX_ITEMS,
    MAX_LOADS,
    MAX_POINTERS,
    MAX_READS,
    MAX_RUN,
    MAX_SIGNATURES,
    MAX_SOURCES,
    MAX_STATE_WORDS,
    MAX_STATES,
    MAX_TRACES,
    MAX_TRANSITIONS,
    Load,
    Signature,
    TdWay,
    Trace,
    Transition,
    Way,
    WaySource,
    XWay,
)
from simulator.timing.actions import ACTIONS
from simulator.timing.parts import SNAPSHOT_LENGTH
from simulator.timing.profile import ENGINE_SLOTS

BLOCK_DTYPE = np.dtype(
    [
        (name, "<i8", shape)
        for name, shape in (
            ("core", (Core.LENGTH,)),
            ("tds", (TD_REGISTERS + 1, Td.LENGTH)),
            ("memories", (len(Region), 2)),  # address or 0, size in bytes
            ("profile", (ENGINE_SLOTS, Profile.LENGTH)),
            ("starts", (ENGINE_SLOTS, MAX_QUEUE_DEPTH)),  # of the last instructions in a queue
            ("access_use", (2, 2)),  # of the lists of accesses in flight: reads, writes
            ("share_use", (2, 2)),  # of the lists of promised shares: of SRAM, of DRAM
            ("transfer_count", (2,)),  # loads and stores so far
            ("transfers", (2, RECENT_TRANSFERS, 3)),  # start, end, order
            ("lows", (4,)),  # the operands of the instruction at hand: rounded outwards, the region above ADDRESS_BITS
            ("highs", (4,)),
            ("actions", (len(ACTIONS),)),
            ("machine", (Number.LENGTH,)),
            ("transfer_numbers", (2, Transfer.LENGTH)),  # of loads, of stores
            ("shapes", (4, Shape.LENGTH)),  # of the operands that are priced
            ("sums", (Flow.LENGTH,)),  # .. of tiles of a product
            ("bank_words", (MAX_BANKS, 2)),  # .. of a row that is gathered: the last access of a bank, and its beat
            ("channels", (MAX_CHANNELS, Channel.LENGTH)),  # .. of a transfer
            ("visits", (MAX_GROUPS, Visit.LENGTH)),  # .. of a row in each bank group
            ("dram_banks", (MAX_CHANNELS * MAX_CHANNEL_BANKS, Bank.LENGTH)),
            ("arguments", (Arg.LENGTH,)),
            ("aliases", (Alias.LENGTH, MAX_ALIASES)),
            ("posts", (2 + RING + MAX_WORKERS, Post.LENGTH)),  # kernels/worker.py
            ("posted", (RING, Posted.LENGTH)),
            ("moved", (2, MAX_TOPK)),  # room for the shuffle of vtopk
            ("forms", (MAX_FORMS, Form.LENGTH)),
            ("form_table", (2 * MAX_FORMS,)),  # by hash: a row and one, or 0
            ("costs", (MAX_COSTS, Cost.LENGTH)),
            ("cost_table", (2 * MAX_PLACES, 2)),  # a key, or 0, and a row of `costs`
            ("traces", (MAX_TRACES, Trace.LENGTH)),
            ("trace_table", (2 * MAX_TRACES,)),  # by hash: the newest trace and one, or 0
            ("items", (MAX_ITEMS,)),
            ("states", (MAX_STATES, MAX_STATE_WORDS)),  # length, then words
            ("state_table", (2 * MAX_STATES,)),
            ("state_anchored", (MAX_STATES,)),  # whether keys and values are accessed
            ("state", (MAX_STATE_WORDS,)),
            ("transitions", (MAX_TRANSITIONS, Transition.LENGTH)),
            ("transition_table", (2 * MAX_TRANSITIONS,)),
            ("signatures", (MAX_SIGNATURES, Signature.LENGTH)),
            ("signature_table", (4 * MAX_SIGNATURES,)),  # by hash of the places, and of the costs
            ("observed_work", (MAX_COSTS, 3)),  # cost, executions and busy cycles of what is observed
            ("tally", (MAX_COSTS,)),  # by cost: its place there and one, else 0
            ("observed_places", (MAX_SOURCES,)),  # ... of the trace that is observed
            ("places", (MAX_SOURCES,)),  # of the sources of a trace that have pointers, within a period
            ("sources", (MAX_SOURCES,)),  # .. what they are, if they are read from SMEM
            ("run", (MAX_RUN, 2)),  # traces that were passed over in one go: row, cuts before it
            ("way", (Way.LENGTH,)),  # what recorder.py has followed
            ("way_x", (X_REGISTERS + 1, XWay.LENGTH)),
            ("way_td", (TD_REGISTERS + 1, TdWay.LENGTH)),
            ("way_sources", (MAX_SOURCES, WaySource.LENGTH)),
            ("way_bases", (TD_REGISTERS,)),  # the way on which the base at the beginning was read
            ("way_loads", (MAX_LOADS, Load.LENGTH)),
            ("way_reads", (MAX_READS, 3)),  # as those of a trace
            ("way_pointers", (MAX_POINTERS, 3)),  # form, source, what is added
            ("way_flows", (MAX_FLOWS, 2)),
            ("kept_values", (X_REGISTERS + 1,)),  # registers at its beginning
            ("kept_tds", (TD_REGISTERS + 1, Td.LENGTH)),
            ("read_marks", (SMEM_BYTES,)),  # by address: the way on which it was read, and log2 of the bytes
            ("results", (X_REGISTERS,)),
            ("counters", (Transition.ACTIONS - Transition.COUNTERS,)),
            ("touched", (MAX_COSTS,)),  # rows of costs with NEW > 0
            ("log", (LOG_ROWS, FIRST_TOTAL + SNAPSHOT_LENGTH)),  # label, value and totals of each mark
            ("access_stamps", (2, MAX_ACCESSES + LIST_GAP)),  # interlock.py
            ("access_lows", (2, MAX_ACCESSES + LIST_GAP)),  # with the region above ADDRESS_BITS
            ("access_highs", (2, MAX_ACCESSES + LIST_GAP)),
            ("access_orders", (2, MAX_ACCESSES + LIST_GAP)),
            ("share_ends", (2, MAX_SHARES + LIST_GAP)),
            ("share_starts", (2, MAX_SHARES + LIST_GAP)),
            ("shares", (2, MAX_SHARES + LIST_GAP)),
        )
    ]
)

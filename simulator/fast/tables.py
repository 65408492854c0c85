"""The arrays of a fast run as the host makes, empties and enlarges them."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from isa.encoding import Decoded
from isa.machine import Machine
from simulator.fast.block import BLOCK_DTYPE
from simulator.fast.compiled import INTERPRETED
from simulator.fast.layout import (
    MAX_COSTS,
    MAX_FORMS,
    MAX_PLACES,
    Block,
    ByPc,
    Core,
    Ints,
    Program,
)
from simulator.fast.predecode import predecoded
from simulator.fast.price_layout import machine_numbers, transfer_numbers
from simulator.timing.costs import CostModel

HOT_VISITS = 16
"""A trace is made from a place that the program comes to more often."""
GROW_AT = 4
"""A longer trace is made of one that was passed over so often, or a power of two of that."""


class Arrays(NamedTuple):
    """The arguments of the loop."""

    record: Block
    program: Program  # [instructions + 1] of PROGRAM_DTYPE; the last one is Op.FAULT
    values: Ints  # x0..x31, what is discarded, constants
    by_pc: Ints  # [instructions + 1, ByPc]


def made(instructions: Sequence[Decoded | None], model: CostModel, machine: Machine) -> tuple[Arrays, Block]:
    """Everything at its beginning; the record once more as one array per field, which Python reaches faster."""
    program, values = predecoded(instructions)
    record = np.zeros(1, BLOCK_DTYPE)[0]  # not a np.record, which Python code would look into at each call
    block = SimpleNamespace(**{name: record[name] for name in BLOCK_DTYPE.fields or ()})
    core = block.core
    core[Core.PERIOD_MASK] = model.dram.period_bytes - 1
    core[Core.READ_TO_WRITE], core[Core.WRITE_TO_READ] = model.dram.read_to_write, model.dram.write_to_read
    core[Core.READ_REFRESH], core[Core.WRITE_REFRESH], core[Core.REFRESH_INTERVAL] = model.dram.refresh
    core[Core.READ_IN_FLIGHT], core[Core.WRITE_IN_FLIGHT] = model.dram.in_flight
    core[Core.QUEUE_DEPTH] = machine.core.seq.queue_depth.value
    block.machine[:], block.transfer_numbers[:] = machine_numbers(machine), transfer_numbers(machine, model.dram)
    core[Core.HOT_VISITS], core[Core.GROW_AT] = HOT_VISITS, GROW_AT
    by_pc = np.zeros((len(program), ByPc.LENGTH), np.int64)
    return Arrays(block if INTERPRETED else record, program, values, by_pc), block


def forget(block: Block, by_pc: Ints) -> None:
    """Empties the tables of forms and costs."""
    if block.core[Core.FORMS] == 0:
        return
    forget_traces(block, by_pc)
    for table in (block.form_table, block.cost_table):
        table[:] = 0
    by_pc[:, ByPc.FORM] = 0
    for place in (Core.FORMS, Core.COSTS, Core.PLACES, Core.TOUCHED, Core.NEW_FORM, Core.NEW_COST):
        block.core[place] = 0


def forget_traces(block: Block, by_pc: Ints) -> None:
    """Empties the tables of traces and what they do."""
    for table in (block.trace_table, block.state_table, block.transition_table, block.signature_table):
        table[:] = 0
    by_pc[:, ByPc.TRACE : ByPc.WAY] = 0
    for place in (Core.TRACES, Core.ITEMS, Core.STATES, Core.TRANSITIONS, Core.SIGNATURES, Core.STALE):
        block.core[place] = 0
    leave_observation(block)


def leave_observation(block: Block) -> None:
    """Nothing is observed from now on."""
    block.tally[:] = 0
    block.core[Core.OBSERVED] = block.core[Core.OBSERVED_COSTS] = 0


def is_full(block: Block) -> bool:
    """Whether there is no room for one more form and cost."""
    core = block.core
    return bool(core[Core.FORMS] == MAX_FORMS or core[Core.COSTS] == MAX_COSTS or core[Core.PLACES] == MAX_PLACES)

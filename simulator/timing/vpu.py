"""Vector unit: `lanes` elements per step, a step takes as many cycles as the class of operation needs.

Time never depends on values. Each operand has a port of its own; an operand whose rows are short, strided or in SMEM
can make an instruction slower than its arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass

from isa.descriptor import Descriptor
from isa.machine_core import Core
from isa.spec import BY_MNEMONIC, VBIN, VUN, Instruction, Region
from simulator.timing.actions import ACTION_INDEX
from simulator.timing.sram import access, ceil_div, runs_of

_READ, _WRITE = ACTION_INDEX["sram_read.vpu"], ACTION_INDEX["sram_write.vpu"]
_SMEM = ACTION_INDEX["smem"]
_DIVISION, _SQRT = VBIN.index("div"), VUN.index("sqrt")
_CHEAP = (VUN.index("mov"), VUN.index("abs"))
_VBIN, _VUN, _VSMX, _VRNG = (BY_MNEMONIC[name].opcode for name in ("vbin", "vun", "vsmx", "vrng"))
_REDUCTIONS = tuple(BY_MNEMONIC[name].opcode for name in ("vred", "vtopk"))


@dataclass(frozen=True, slots=True)
class VectorCost:
    """Cycles the unit is occupied; `lead`: before the first step computes; `fill`: for which the last one computes after the
    unit takes the next instruction; latency until the result is visible, bank accesses, counts by action.
    """

    cycles: int
    lead: int
    fill: int
    latency: int
    bank_accesses: int
    actions: tuple[tuple[int, int], ...]


def operation_class(opcode: int, function: int) -> str:
    """simple, transcendental, softmax or division: VPU_CLASSES."""
    if opcode == _VSMX:
        return "softmax"
    if opcode == _VRNG or (opcode == _VBIN and function == _DIVISION) or (opcode == _VUN and function == _SQRT):
        return "division"
    if opcode == _VUN and function not in _CHEAP:
        return "transcendental"
    return "simple"


def vector_cost(core: Core, row: Instruction, function: int, operands: dict[str, Descriptor]) -> VectorCost:
    """The cost of a VPU instruction; `operands` holds the descriptors by name (ta tb tc td), at least ta."""
    name = operation_class(row.opcode, function)
    steps = ceil_div(elements(row, operands), core.vpu.lanes.value)
    per_step = getattr(core.vpu.cycles, name).value
    cycles, beats = steps * per_step, {_READ: steps, _WRITE: steps}
    banks, counts = 0, {ACTION_INDEX[f"vpu.{name}"]: elements(row, operands)}
    for names, action in ((row.reads, _READ), (row.writes, _WRITE)):
        for operand in names:
            td = operands.get(operand)
            if td is None:
                continue
            in_smem = td.region == Region.SMEM
            port = core.seq.smem_port_bytes.value if in_smem else core.vpu.port_bytes.value
            runs = runs_of(td)
            cost = access(runs, port, core.sram)
            beats[action] = max(beats[action], cost.beats)
            if in_smem:
                counts[_SMEM] = counts.get(_SMEM, 0) + runs.size_bytes
            else:
                banks += cost.bank_accesses
                counts[action] = counts.get(action, 0) + cost.bank_accesses * core.sram.bank_bytes.value
    latency = core.vpu.reduction_latency if row.opcode in _REDUCTIONS else core.vpu.latency
    cycles = max(cycles, *beats.values(), ceil_div(banks, core.sram.banks.value))
    first_read, last_write = (ceil_div(number, steps) for number in beats.values())
    lead, drain = first_read - 1, last_write - 1
    behind = lead + per_step + drain - max(first_read, per_step, last_write)  # the last element is written
    fill = max(0, behind - drain)
    return VectorCost(cycles, lead, fill, latency.value + behind, banks, tuple(counts.items()))


def elements(row: Instruction, operands: dict[str, Descriptor]) -> int:
    """Elements that pass through the lanes: those of the source for reductions, else those of the result."""
    source = row.opcode in _REDUCTIONS and "tb" in operands
    return operands["tb" if source else "ta"].elements

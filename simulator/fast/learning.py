"""What the compiled loop asks the host for: the checks and the cost of an engine instruction with new shapes.

The reference checks it and the cost model prices it; the rows written here hold what is left to do each time.
"""

from __future__ import annotations

import numpy as np

from isa.descriptor import Descriptor
from isa.encoding import Decoded
from isa.spec import DRAM_REGIONS, ELEMENT_BITS, PACKED_4BIT, TD_OPERANDS, Engine, Flag, Region
from simulator.fast import descriptors
from simulator.fast.compiled import INTERPRETED
from simulator.fast.kernels import store
from simulator.fast.kernels.choice import chosen
from simulator.fast.layout import MAX_COST_CYCLES, Block, Core, Cost, Effect, Form, Ints, Operand, Pair, Td
from simulator.fast.price_layout import RULES, Rule
from simulator.memory import Memory, element_bytes
from simulator.reference.kernels import KERNELS
from simulator.reference.operands import Context, Issue, bounds, same_shape
from simulator.reference.selection import list_words
from simulator.timing import costs
from simulator.timing.actions import VPU_CLASSES, mac_action
from simulator.timing.vpu import operation_class
from simulator.traps import LimitError

LEAST_ALIAS_BYTES = 4096

# Destination, source, and whether they may be equal: what must not overlap otherwise. As the checks of the reference.
_ELEMENTWISE = (("ta", "tb", True), ("ta", "tc", True), ("ta", "td", True))
_PRODUCT = (("ta", "tb", False), ("ta", "tc", False), ("ta", "td", False))
APART: dict[str, tuple[tuple[str, str, bool], ...]] = {
    "ld": (),
    "st": (),
    "mm": _PRODUCT,
    "mmg": _PRODUCT,
    "vbin": _ELEMENTWISE,
    "vmad": _ELEMENTWISE,
    "vun": _ELEMENTWISE,
    "vred": (("ta", "tb", True),),
    "vsmx": (("ta", "tb", True), ("tc", "ta", False), ("tc", "tb", False)),
    "vtopk": (("ta", "tb", False),),
    "vrng": (),
}


class Lesson:
    """An engine instruction with its descriptors as they are."""

    def __init__(self, block: Block, pc: int, d: Decoded, registers: dict[str, int]) -> None:
        """`registers`: those of its operands, by name."""
        self.block, self.pc, self.d, self.registers = block, pc, d, registers
        self.operands = {name: descriptors.unpack(block.tds, register) for name, register in self.registers.items()}

    def check(self, context: Context) -> None:
        """The checks of the reference, which do not look at x-registers. Raises Fault."""
        d = self.d
        KERNELS[d.row.mnemonic].check(context, Issue(d.row, d.function, d.fl, self.operands, 0, 0, 0, None))

    def issue(self, values: Ints) -> Issue:
        """As the reference captures it. `values`: those of the loop, x-registers first."""
        d = self.d
        scalar = d.imm if d.fl & Flag.I else int(values[d.rs]) if d.fl & Flag.X else None
        bits = None if scalar is None else np.uint32(scalar & 0xFFFFFFFF).view(np.float32)
        return Issue(
            d.row, d.function, d.fl, self.operands, int(values[d.rd]), int(values[d.rs]), int(values[d.rt]), bits
        )

    def price(self, model: costs.CostModel) -> costs.Cost:
        """Raises LimitError."""
        ta, tb, tc, td = (self.operands.get(name) for name in TD_OPERANDS)
        cost = model.computed(self.d.row, self.d.fn, self.d.fl, (ta, tb, tc, td))
        if cost.cycles > MAX_COST_CYCLES:
            raise LimitError(
                f"one {self.d.mnemonic} takes {cost.cycles} cycles, at most {MAX_COST_CYCLES} can be counted"
            )
        return cost

    def add_form(self, cost: costs.Cost, memory: Memory, timing_only: bool) -> int:
        """A new row of `forms`, for an instruction that was checked."""
        block, operands = self.block, self.operands
        form = [0] * Form.LENGTH
        form[Form.PC] = self.pc
        form[Form.ENGINE], form[Form.LATENCY] = cost.engine, cost.latency
        form[Form.EFFECT] = self._timing_only_effect(memory) if timing_only else self._effect(form)
        form[Form.RULE] = RULES.get(self.d.row.mnemonic, Rule.NONE)
        form[Form.ACTION], form[Form.ACCUMULATES] = self._action(), bool(self.d.fl & Flag.ACC)
        form[Form.OPERANDS] = len(operands)
        spans = {TD_OPERANDS[span.operand]: span for span in cost.spans}
        for place, name in enumerate(operands):
            at = Form.OPERAND + place * Operand.LENGTH
            form[at : at + Operand.LENGTH] = self._operand_row(name, spans.get(name))
            form[Form.PLACE + place] = TD_OPERANDS.index(name)
            if operands[name].region in DRAM_REGIONS:
                form[Form.DRAM] = self.registers[name]
        pairs = self._pairs()
        form[Form.PAIRS] = len(pairs) // Pair.LENGTH
        form[Form.PAIR : Form.PAIR + len(pairs)] = pairs
        row = int(block.core[Core.FORMS])
        block.forms[row] = form
        block.core[Core.FORMS] = block.core[Core.NEW_FORM] = row + 1
        return row

    def choose(self, form: int) -> None:
        """The kernel of a form that the loop has made."""
        row = self.block.forms[form].tolist()
        row[Form.EFFECT] = self._effect(row)
        self.block.forms[form] = row

    def add_cost(self, form: int, cost: costs.Cost) -> None:
        """What a form costs, wherever its operands lie, or with the operand in DRAM where it lies now."""
        block, core = self.block, self.block.core
        target = [0] * Cost.LENGTH
        target[Cost.FORM] = form
        target[Cost.CYCLES], target[Cost.LEAD], target[Cost.FILL] = cost.cycles, cost.lead, cost.fill
        target[Cost.FIRST_TILE], target[Cost.WRITES] = cost.first_tile, cost.writes
        target[Cost.SRAM_SHARE], target[Cost.DRAM_SHARE] = cost.sram_share, cost.dram_share
        pairs = [number for action in cost.actions for number in action]
        target[Cost.ACTIONS] = len(cost.actions)
        target[Cost.ACTION : Cost.ACTION + len(pairs)] = pairs
        target[Cost.OLDER] = int(block.forms[form, Form.NEWEST])
        row = int(core[Core.COSTS])
        block.costs[row] = target
        core[Core.COSTS] = block.forms[form, Form.NEWEST] = row + 1
        outside = next((d for d in self.operands.values() if d.region in DRAM_REGIONS), None)
        if outside is None:
            block.forms[form, Form.COST] = row + 1
            return
        mask = int(core[Core.PERIOD_MASK])
        core[Core.NEW_KEY] = (form + 1) * (mask + 1) + (outside.base & mask)
        core[Core.NEW_COST] = row + 1
        core[Core.PLACES] += 1

    def _action(self) -> int:
        """What its multiplications count as, or the class of a vector instruction."""
        if self.d.row.engine == Engine.MXU:
            return mac_action(self.operands["tb"].dtype, self.operands["tc"].dtype)
        if self.d.row.engine == Engine.VPU:
            return VPU_CLASSES.index(operation_class(self.d.row.opcode, self.d.fn))
        return 0

    def _effect(self, form: list[int]) -> Effect:
        """Also writes the kernel into the form."""
        if is_dense_copy(self.d.row.mnemonic, self.operands):
            return Effect.ALIAS
        choice = None if INTERPRETED else chosen(self.d, self.operands)
        if choice is None:
            return Effect.HOST
        form[Form.KERNEL], form[Form.DIVISIBLE] = store.address_of(choice), choice.divisible
        form[Form.PARAMETER : Form.PARAMETER + len(choice.parameters)] = choice.parameters
        return Effect.KERNEL

    def _timing_only_effect(self, memory: Memory) -> Effect:
        ta, tb = self.operands["ta"], self.operands.get("tb")
        if ta.region not in memory.arrays or tb is None:
            return Effect.NONE
        if self.d.row.mnemonic == "vtopk":
            return Effect.INVENT
        if self.d.row.mnemonic not in ("ld", "st") or Region.SMEM not in (ta.region, tb.region):
            return Effect.NONE
        return Effect.COPY if tb.region in memory.arrays else Effect.CLEAR

    def _operand_row(self, name: str, span: costs.Span | None) -> list[int]:
        """In the order of Operand."""
        d = self.operands[name]
        low, high = bounds(list_words(d) if self.d.row.mnemonic == "vtopk" and name == "ta" else d)
        low, high = low - d.base, high - d.base
        assert span is None or (span.low, span.high) == (low, high), "the interlock compares what is checked"
        granule, write = (0, False) if span is None else (span.granule, span.write)
        return [
            self.registers[name],
            *self.block.tds[self.registers[name], Td.KIND :].tolist(),
            element_bytes(d.dtype) - 1,
            low,
            high,
            int(d.region),
            granule,
            write,
            name in self.d.row.writes,
            name in self.d.row.reads,
        ]

    def _pairs(self) -> list[int]:
        """Four numbers for each pair of operands in one region that must not overlap."""
        places = {name: place for place, name in enumerate(self.operands)}
        pairs: list[int] = []
        for destination, source, aligned in APART[self.d.row.mnemonic]:
            if source in places and self.operands[destination].region == self.operands[source].region:
                may_equal = aligned and same_shape(self.operands[destination], self.operands[source])
                pairs += (places[destination], places[source], aligned, may_equal)
        return pairs


def is_dense_copy(mnemonic: str, operands: dict[str, Descriptor]) -> bool:
    """Whether an `ld` to SRAM moves one run of bytes to one run of bytes, long enough to be worth an alias."""
    if mnemonic != "ld" or operands["ta"].region != Region.SRAM:
        return False
    size_bytes = operands["ta"].elements * ELEMENT_BITS[operands["ta"].dtype] // 8
    if size_bytes < LEAST_ALIAS_BYTES:
        return False
    return all(_is_run(d, size_bytes) for d in operands.values())


def _is_run(d: Descriptor, size_bytes: int) -> bool:
    """Whether the elements follow each other in ascending order without a gap."""
    step = ELEMENT_BITS[d.dtype] // 8
    if d.dtype not in PACKED_4BIT and d.extents[0] > 1 and d.strides[0] != step:
        return False
    reach = d.row_bytes()
    for extent, stride in zip(d.extents[1:], d.strides[1:], strict=True):
        if extent > 1 and stride != reach:
            return False
        reach *= extent
    return reach == size_bytes

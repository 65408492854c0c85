"""allocate-sram: gives every buffer its offset in SRAM or SMEM; the module records how much is needed and how far that is from the bound.

%b = tile.alloc "hidden" in "sram" bytes 32768   ->   %b = tile.alloc "hidden" in "sram" bytes 32768 at 0
Functions run one at a time: each has the memories to itself, but for the layer table, which all find at the same address.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import DictionaryAttr, IntegerAttr, ModuleOp, i64
from xdsl.dialects.func import FuncOp
from xdsl.passes import ModulePass

from compiler.analysis.buffer_lifetimes import buffer_lifetimes
from compiler.analysis.sram_solver import Placement, check, solve
from compiler.analysis.sram_spread import spread
from compiler.errors import SMEM_HINT, CompileError
from compiler.sizes import to_granules
from compiler.walking import ops_of
from isa.abi import SMEM_IMAGE_OFFSET
from isa.spec import SMEM_BYTES

USAGE_ATTRIBUTE = "tile.sram_usage"
SMEM_TOP_ATTRIBUTE = "tile.smem_top"


@dataclass(frozen=True)
class AllocateSramPass(ModulePass):
    """See the module docstring. Options: size_bytes, the SRAM of the machine."""

    name = "allocate-sram"
    size_bytes: int = 1 << 21

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        functions = ops_of(FuncOp, op)
        placements = [self.allocate_sram(function) for function in functions]
        if placements:
            largest = max(placements, key=lambda placement: placement.size_bytes)
            usage = {"used": largest.size_bytes, "lower_bound": largest.lower_bound_bytes, "size": self.size_bytes}
            op.attributes[USAGE_ATTRIBUTE] = DictionaryAttr({k: IntegerAttr(v, i64) for k, v in usage.items()})
            top = max(self.allocate_smem(function) for function in functions)
            op.attributes[SMEM_TOP_ATTRIBUTE] = IntegerAttr(top, i64)

    def allocate_sram(self, function: FuncOp) -> Placement:
        """Writes the offsets. The placement that takes least, which need not be the one that is written."""
        allocs, lifetimes = buffer_lifetimes(function, "sram")
        least = solve(lifetimes, self.size_bytes)
        if least.size_bytes > self.size_bytes:
            raise CompileError(f"the buffers need {least.size_bytes} bytes of SRAM, the machine has {self.size_bytes}")
        placement = spread(lifetimes, least, self.size_bytes)
        check(lifetimes, placement)
        for alloc, offset in zip(allocs, placement.offsets, strict=True):
            alloc.properties["offset"] = IntegerAttr(offset, i64)
        return least

    def allocate_smem(self, function: FuncOp) -> int:
        """SMEM buffers are few and small: one after the other, the layer table first, behind the mailbox. Their end."""
        allocs, _ = buffer_lifetimes(function, "smem")
        top = SMEM_IMAGE_OFFSET
        for alloc in sorted(allocs, key=lambda a: a.label.data != "layer_table"):
            alloc.properties["offset"] = IntegerAttr(top, i64)
            top += to_granules(alloc.size_bytes.value.data)
        if top > SMEM_BYTES:
            raise CompileError(f"the program needs {top} bytes of SMEM, there are {SMEM_BYTES}", hint=SMEM_HINT)
        return top

"""convert-tile-to-isa: instruction selection: structured control flow becomes labels and branches, a view becomes a descriptor.

    scf.for %i = 0 to %n step 64 {         isa.alu "add" vx260, x0, 0
      %v = tile.view %b + %i ..       ->   isa.label "loop1"
      tile.mm %c, %a, %v                   isa.tdset "base" vt270, vx261
    }                                      isa.mm vt268, vt269, vt270
                                           isa.alu "add" vx260, vx260, 64 ; isa.br "lt" vx260, vx262, "loop1"
Equal views share a descriptor. Its constant part is loaded from SMEM, and what changes is set, as far outside of the loops as the values
and the number of descriptor registers allow: compiler/selection/placement.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import IntegerAttr, ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from compiler.dialects.isa import DescriptorOp, ProgramOp
from compiler.selection.selector import Selector
from compiler.transforms.allocate_sram import SMEM_TOP_ATTRIBUTE
from compiler.walking import ops_of
from isa.spec import TD_BYTES


@dataclass(frozen=True)
class ConvertTileToIsaPass(ModulePass):
    """See the module docstring."""

    name = "convert-tile-to-isa"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        top = op.attributes.get(SMEM_TOP_ATTRIBUTE)
        constants_address = top.value.data if isinstance(top, IntegerAttr) else 0
        for function in ops_of(FuncOp, op):
            ops = Selector(function, constants_address).select()
            constants_address += TD_BYTES * sum(isinstance(each, DescriptorOp) for each in ops)
            program = ProgramOp(function.sym_name.data, ops)
            program.location = function.location
            Rewriter.insert_op(program, InsertPoint.before(function))
            Rewriter.erase_op(function)

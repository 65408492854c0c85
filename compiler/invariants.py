"""What must hold at the end of each stage of the pipeline."""

from __future__ import annotations

from xdsl.dialects.builtin import ModuleOp, UnknownLoc

from compiler.dialects import slm, tile
from compiler.dialects.isa import VIRTUAL, DescriptorOp, InstructionOp, LabelOp, ProgramOp
from compiler.errors import CompileError
from compiler.walking import ops_in
from isa.spec import TD_OPERANDS, X_FIELDS

MAX_MODULE_OPS = 20_000
STRUCTURE = ("builtin.module", "func.func", "func.return")


def only(module: ModuleOp, stage: str, *allowed: str) -> None:
    """Raises CompileError if an op is of no allowed dialect, or if the module has grown past its budget."""
    ops = ops_in(module)
    for op in ops:
        if op.name not in STRUCTURE and op.name.split(".")[0] not in allowed:
            raise CompileError(f"{op.name} is left at the end of stage {stage}")
    if len(ops) > MAX_MODULE_OPS:
        raise CompileError(
            f"{len(ops)} ops at the end of stage {stage}, the budget is {MAX_MODULE_OPS}",
            hint="each kind of layer and each op outside of the layers is written out once: use fewer of them",
        )


def check_slm(module: ModuleOp) -> None:
    only(module, "slm", "slm")


def check_slmq(module: ModuleOp) -> None:
    """Only exact operations, and the rolled layers and mixtures around them."""
    only(module, "slmq", "slm", "slmq")
    for op in ops_in(module):
        if op.name.startswith("slm.") and not isinstance(op, slm.STRUCTURE_OPS):
            raise CompileError(f"{op.name} is left at the end of stage slmq")


def check_tile(module: ModuleOp) -> None:
    """Every buffer has its place, every DRAM address is known."""
    only(module, "tile", "tile", "arith", "scf")
    for op in ops_in(module):
        if isinstance(op, tile.AllocOp) and op.offset is None:
            raise CompileError(f"buffer {op.label.data} has no place")
        if isinstance(op, (*tile.PLACE_OPS, tile.KindOp)):
            raise CompileError(f"{op.name} has no address")


def check_isa(module: ModuleOp) -> None:
    """Instructions with physical registers, each with a place in the source."""
    only(module, "isa", "isa")
    for op in ops_in(module):
        if not isinstance(op, InstructionOp | LabelOp | DescriptorOp | ProgramOp | ModuleOp):
            raise CompileError(f"{op.name} is no instruction")
        if isinstance(op, InstructionOp):
            if any(op.number(field) >= VIRTUAL for field in (*X_FIELDS, *TD_OPERANDS) if field in op.used()):
                raise CompileError(f"{op.name} has a virtual register")
            if isinstance(op.location, UnknownLoc):
                raise CompileError(f"{op.name} has no location")

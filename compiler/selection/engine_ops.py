"""Tile ops that are one instruction each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xdsl.dialects.builtin import FloatAttr
from xdsl.ir import Operation, SSAValue

from compiler.dialects import tile
from compiler.dialects.isa import instruction
from compiler.selection.emitter import Emitter
from isa.spec import Flag


def select_copy(s: Emitter, op: tile.LoadOp | tile.StoreOp) -> None:
    mnemonic = "ld" if isinstance(op, tile.LoadOp) else "st"
    s.emit(instruction(mnemonic, ta=s.td(op.target), tb=s.td(op.source)))


def select_mm(s: Emitter, op: tile.MmOp) -> None:
    flags = Flag.ACC if op.accumulate is not None else 0
    s.emit(instruction("mm", flags=flags, ta=s.td(op.c), tb=s.td(op.a), tc=s.td(op.b)))


def select_mmg(s: Emitter, op: tile.MmgOp) -> None:
    flags = Flag.ACC if op.accumulate is not None else 0
    s.emit(instruction("mmg", flags=flags, ta=s.td(op.c), tb=s.td(op.a), tc=s.td(op.b), td=s.td(op.scales)))


def last_source(
    s: Emitter, view: SSAValue | None, scalar: SSAValue | None, constant: FloatAttr | None, field: str
) -> tuple[int, dict[str, int | float]]:
    """Flags and the field of a source that is a view, fp32 bits in a register, or a constant."""
    if view is not None:
        return 0, {field: s.td(view)}
    if scalar is not None:
        return Flag.X, {"rs": s.register(scalar)}
    return Flag.I, {"imm": float(constant.value.data) if constant is not None else 0.0}


def select_vbin(s: Emitter, op: tile.VbinOp) -> None:
    flags, last = last_source(s, op.b, op.scalar, op.constant, "tc")
    s.emit(instruction("vbin", op.function.data, flags, ta=s.td(op.target), tb=s.td(op.a), **last))


def select_vmad(s: Emitter, op: tile.VmadOp) -> None:
    flags, last = last_source(s, op.b, op.scalar, op.constant, "tc")
    s.emit(instruction("vmad", op.function.data, flags, ta=s.td(op.target), tb=s.td(op.a), td=s.td(op.c), **last))


def select_vun(s: Emitter, op: tile.VunOp) -> None:
    flags, last = last_source(s, op.a, op.scalar, op.constant, "tb")
    s.emit(instruction("vun", op.function.data, flags, ta=s.td(op.target), **last))


def select_vred(s: Emitter, op: tile.VredOp) -> None:
    s.emit(instruction("vred", op.function.data, ta=s.td(op.target), tb=s.td(op.a)))


def select_vsmx(s: Emitter, op: tile.VsmxOp) -> None:
    first, window = s.register(op.first), s.register(op.window)
    s.emit(instruction("vsmx", ta=s.td(op.p), tb=s.td(op.s), tc=s.td(op.ml), rs=first, rt=window))


def select_vtopk(s: Emitter, op: tile.VtopkOp) -> None:
    s.emit(instruction("vtopk", ta=s.td(op.list), tb=s.td(op.a), rs=s.register(op.index)))


def select_vrng(s: Emitter, op: tile.VrngOp) -> None:
    first, second, key = (s.register(value) for value in (op.first, op.second, op.key))
    s.emit(instruction("vrng", ta=s.td(op.target), rs=first, rt=second, rd=key))


def smem_address(s: Emitter, op: tile.LdsOp | tile.StsOp) -> tuple[int, int]:
    """(register, displacement) of an access to SMEM."""
    displacement = op.displacement.value.data
    owner = op.buffer.owner if op.buffer is not None else None
    if isinstance(owner, tile.AllocOp) and owner.offset is not None:
        displacement += owner.offset.value.data
    return (s.register(op.address) if op.address is not None else 0), displacement


def select_lds(s: Emitter, op: tile.LdsOp) -> None:
    register, displacement = smem_address(s, op)
    s.emit(instruction("lds", str(op.width.value.data), rd=s.define(op.result), rs=register, imm=displacement))


def select_sts(s: Emitter, op: tile.StsOp) -> None:
    register, displacement = smem_address(s, op)
    value = s.register(op.value)
    s.emit(instruction("sts", str(op.width.value.data), rt=value, rs=register, imm=displacement))


def select_event(s: Emitter, op: tile.EventOp) -> None:
    s.emit(instruction("yield", rs=s.register(op.value), imm=op.kind.value.data))


def select_mark(s: Emitter, op: tile.MarkOp) -> None:
    s.emit(instruction("mark", rs=s.register(op.value), imm=op.label.value.data))


def select_trap(s: Emitter, op: tile.TrapOp) -> None:
    s.emit(instruction("trap", imm=op.code.value.data))


ENGINE_SELECTORS: dict[type[Operation], Callable[[Emitter, Any], None]] = {
    tile.LoadOp: select_copy,
    tile.StoreOp: select_copy,
    tile.MmOp: select_mm,
    tile.MmgOp: select_mmg,
    tile.VbinOp: select_vbin,
    tile.VmadOp: select_vmad,
    tile.VunOp: select_vun,
    tile.VredOp: select_vred,
    tile.VsmxOp: select_vsmx,
    tile.VtopkOp: select_vtopk,
    tile.VrngOp: select_vrng,
    tile.LdsOp: select_lds,
    tile.StsOp: select_sts,
    tile.EventOp: select_event,
    tile.MarkOp: select_mark,
    tile.TrapOp: select_trap,
}

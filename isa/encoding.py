"""Instruction words: encoder and decoder, both built from the table.

encode("alu", fn="add", fl=Flag.I, rd=5, rs=0, imm=12) -> 16 bytes
decode(decode_text(text_bytes)[pc], pc) -> Decoded, or DecodeError with the trap a machine raises
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isa.descriptor import field_range
from isa.errors import EncodingError, did_you_mean, show
from isa.spec import (
    BY_MNEMONIC,
    BY_OPCODE,
    FIELDS,
    INSTRUCTION_BYTES,
    TD_OPERANDS,
    TD_REGISTERS,
    X_FIELDS,
    X_REGISTERS,
    Flag,
    Instruction,
    Trap,
    used_fields,
)

INSTRUCTION_DTYPE = np.dtype([(name, f"<{'i' if name == 'imm' else 'u'}{width // 8}") for name, width in FIELDS])
"""One instruction, 16 bytes, unsigned little-endian fields; imm is signed."""

FIELD_INDEX = {name: index for index, (name, _) in enumerate(FIELDS)}
"""Position of a field in FIELDS: the operand a RESERVED_FIELD trap reports."""

_WORD = struct.Struct("<" + "".join({8: "B", 16: "H", 32: "i"}[width] for _, width in FIELDS))
_WIDTH = dict(FIELDS)


class DecodeError(Exception):
    """An illegal instruction. `operand`: the opcode, the fn code, or the index in FIELDS of the offending field."""

    def __init__(self, trap: Trap, pc: int, operand: int) -> None:
        super().__init__(f"{trap.name} at pc {pc}, operand {operand}")
        self.trap = trap
        self.pc = pc
        self.operand = operand


@dataclass(frozen=True, slots=True)
class Decoded:
    """One legal instruction. Fields the instruction does not use are 0."""

    row: Instruction
    fn: int
    fl: int
    rd: int
    rs: int
    rt: int
    ta: int
    tb: int
    tc: int
    td: int
    imm: int

    @property
    def function(self) -> str:
        """The function's name, "" if the instruction has none."""
        return self.row.functions[self.fn] if self.row.functions else ""

    @property
    def mnemonic(self) -> str:
        """With the function: `alu.add`; the field of tdset and tdadd is an operand, not part of the name."""
        return f"{self.row.mnemonic}.{self.function}" if has_suffix(self.row) else self.row.mnemonic

    def td_reads(self) -> tuple[str, ...]:
        """Descriptor operands whose tensors are read."""
        return _td_reads(self.row.opcode, self.fl)


def has_suffix(row: Instruction) -> bool:
    """Whether the function is written after the mnemonic."""
    return bool(row.functions) and "ta.fn" not in row.syntax


@cache
def _td_reads(opcode: int, flags: int) -> tuple[str, ...]:
    row, used = BY_OPCODE[opcode], _used(opcode, flags)
    accumulates = ("ta",) if flags & Flag.ACC else ()
    return (*accumulates, *(operand for operand in row.reads if operand in used))


@cache
def _used(opcode: int, flags: int) -> frozenset[str]:
    return used_fields(BY_OPCODE[opcode], flags)


def legal_flags(row: Instruction, flags: int) -> bool:
    """Whether the row allows these flags; I and X exclude each other."""
    return not flags & ~int(row.flags) and flags & (Flag.I | Flag.X) != Flag.I | Flag.X


def flag_choices(row: Instruction) -> tuple[Flag, ...]:
    """Every legal value of `fl`, ascending."""
    return tuple(Flag(flags) for flags in range(int(row.flags) + 1) if legal_flags(row, flags))


def legal_range(name: str) -> tuple[int, int]:
    """The smallest and largest legal value of a field that is used."""
    if name in X_FIELDS:
        return 0, X_REGISTERS - 1
    if name in TD_OPERANDS:
        return 0, TD_REGISTERS - 1
    return field_range(_WIDTH[name], signed=name == "imm")


def encode(mnemonic: str, *, fn: str | int | None = None, fl: int = 0, **fields: int) -> bytes:
    """The 16 bytes of one instruction; `fn` by name or code. All fields the table lists for these flags are given.

    Raises EncodingError for an unknown name, missing or foreign fields, and values out of range.
    """
    row = BY_MNEMONIC.get(mnemonic)
    if row is None:
        raise EncodingError(f"unknown instruction {show(mnemonic)}", hint=did_you_mean(mnemonic, BY_MNEMONIC))
    if not legal_flags(row, fl):
        raise EncodingError(
            f"{mnemonic}: flags {fl} are not legal", hint=f"legal: {[int(f) for f in flag_choices(row)]}"
        )
    values = {"op": row.opcode, "fn": _function_code(row, fn), "fl": int(fl)}
    operands = _used(row.opcode, fl) - values.keys()
    if operands != fields.keys():
        wrong = sorted(operands ^ fields.keys())
        raise EncodingError(
            f"{mnemonic}: fields {', '.join(wrong)} are missing or not used", hint=_field_hint(operands)
        )
    for name, value in fields.items():
        low, high = legal_range(name)
        if not low <= value <= high:
            raise EncodingError(f"{mnemonic}: {name} = {value} is not in [{low}, {high}]")
    values.update(fields)
    return _WORD.pack(*(values.get(name, 0) for name, _ in FIELDS))


def _field_hint(operands: frozenset[str]) -> str:
    return f"fields: {', '.join(name for name, _ in FIELDS if name in operands) or 'none'}"


def _function_code(row: Instruction, fn: str | int | None) -> int:
    if not row.functions:
        if fn is not None:
            raise EncodingError(f"{row.mnemonic} has no functions, got {show(str(fn))}")
        return 0
    if isinstance(fn, str) and fn in row.functions:
        return row.functions.index(fn)
    if isinstance(fn, int) and 0 <= fn < len(row.functions):
        return fn
    close = did_you_mean(str(fn), row.functions)
    raise EncodingError(
        f"{row.mnemonic}: unknown function {show(str(fn))}", hint=close or f"one of {' '.join(row.functions)}"
    )


def encode_decoded(instruction: Decoded) -> bytes:
    """The 16 bytes of a decoded instruction."""
    used = _used(instruction.row.opcode, instruction.fl) - {"op", "fn", "fl"}
    fn = instruction.fn if instruction.row.functions else None
    operands = {name: getattr(instruction, name) for name in used}
    return encode(instruction.row.mnemonic, fn=fn, fl=instruction.fl, **operands)


def decode_text(data: bytes | bytearray | memoryview) -> NDArray[np.void]:
    """A view of the bytes as [instructions] of INSTRUCTION_DTYPE. Raises EncodingError for a torn instruction."""
    if len(data) % INSTRUCTION_BYTES:
        raise EncodingError(f"text of {len(data)} bytes is not a multiple of {INSTRUCTION_BYTES}")
    return np.frombuffer(data, INSTRUCTION_DTYPE)


def decode(record: Any, pc: int = 0) -> Decoded:
    """One element of decode_text, or 16 bytes. Checks in the order of FIELDS; raises DecodeError at the first fault."""
    op, fn, fl, rd, rs, rt, ta, tb, tc, td, reserved, imm = _WORD.unpack(bytes(record))
    row = BY_OPCODE.get(op)
    if row is None:
        raise DecodeError(Trap.ILLEGAL_OPCODE, pc, op)
    if fn >= max(1, len(row.functions)):
        raise DecodeError(
            Trap.ILLEGAL_FUNCTION if row.functions else Trap.RESERVED_FIELD, pc, fn if row.functions else 1
        )
    if not legal_flags(row, fl):
        raise DecodeError(Trap.RESERVED_FIELD, pc, FIELD_INDEX["fl"])
    limits = _operand_limits(op, fl)
    for index, (value, limit) in enumerate(zip((rd, rs, rt, ta, tb, tc, td, reserved), limits, strict=True)):
        if value > limit:
            raise DecodeError(Trap.RESERVED_FIELD, pc, FIELD_INDEX["rd"] + index)
    if imm and "imm" not in _used(op, fl):
        raise DecodeError(Trap.RESERVED_FIELD, pc, FIELD_INDEX["imm"])
    return Decoded(row, fn, fl, rd, rs, rt, ta, tb, tc, td, imm)


@cache
def _operand_limits(opcode: int, flags: int) -> tuple[int, ...]:
    """Largest legal value of rd .. td and the reserved field."""
    used = _used(opcode, flags)
    names = [name for name, _ in FIELDS[FIELD_INDEX["rd"] : FIELD_INDEX["imm"]]]
    return tuple(legal_range(name)[1] if name in used else 0 for name in names)


def float_to_imm(value: float) -> int:
    """The signed imm that holds the fp32 nearest to `value`; NaN gives the canonical NaN."""
    if value != value:
        return 0x7FC00000
    with np.errstate(over="ignore"):
        return int(np.float32(value).view(np.int32))


def imm_to_float(imm: int) -> float:
    """The fp32 value in a signed imm, as a Python float."""
    return float(np.int32(imm).view(np.float32))

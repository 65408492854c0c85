"""Instruction words, SMEM image and debug map from the isa dialect with physical registers.

The programs of a module lie one after the other in TEXT; labels belong to their program.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import DenseArrayBase, FloatAttr, ModuleOp
from xdsl.ir import Operation

from compiler.dialects.isa import DescriptorOp, InstructionOp, LabelOp, ProgramOp
from compiler.locations import operator_of, source_of
from compiler.transforms.allocate_dram import LAYER_TABLE_ATTRIBUTE
from compiler.walking import ops_of
from isa.abi import SMEM_IMAGE_OFFSET
from isa.container import DebugMap
from isa.encoding import encode
from isa.spec import TD_BYTES


def instructions(program: ProgramOp) -> list[InstructionOp]:
    return [op for op in program.body.block.ops if isinstance(op, InstructionOp)]


def programs_of(module: ModuleOp) -> list[ProgramOp]:
    return ops_of(ProgramOp, module)


def entry_points(module: ModuleOp) -> dict[str, int]:
    """Instruction index of the first instruction of each program."""
    entries: dict[str, int] = {}
    pc = 0
    for program in programs_of(module):
        entries[program.sym_name.data] = pc
        pc += len(instructions(program))
    return entries


def label_addresses(program: ProgramOp, first: int) -> dict[str, int]:
    """Instruction index of each label of a program whose first instruction is `first`."""
    places: dict[str, int] = {}
    pc = first
    for op in program.body.block.ops:
        if isinstance(op, LabelOp):
            places[op.label.data] = pc
        pc += isinstance(op, InstructionOp)
    return places


def immediate(op: InstructionOp, labels: dict[str, int]) -> int:
    """The imm field: a label's address, fp32 bits, or the number itself."""
    constant = op.properties.get("constant")
    if op.label is not None:
        return labels[op.label]
    if isinstance(constant, FloatAttr):
        return struct.unpack("<i", np.float32(constant.value.data).tobytes())[0]
    return op.number("imm")


def encode_instruction(op: InstructionOp, labels: dict[str, int]) -> bytes:
    """The 16 bytes of one instruction."""
    used = op.used()
    fields = {name: op.number(name) for name in used - {"op", "fn", "fl", "imm"}}
    if "imm" in used:
        fields["imm"] = immediate(op, labels)
    return encode(op.ROW.mnemonic, fn=op.function or None, fl=int(op.flags), **fields)


def encode_text(module: ModuleOp) -> bytes:
    words: list[bytes] = []
    for program in programs_of(module):
        labels = label_addresses(program, len(words))
        words += [encode_instruction(op, labels) for op in instructions(program)]
    return b"".join(words)


def smem_image(module: ModuleOp) -> bytes:
    """The layer table, room for buffers, then the descriptor constants; it starts behind the mailbox."""
    constants = ops_of(DescriptorOp, module)
    table = module.attributes.get(LAYER_TABLE_ATTRIBUTE)
    words = [int(word) for word in table.get_values()] if isinstance(table, DenseArrayBase) else []
    tops = [op.address.value.data + TD_BYTES for op in constants]
    image = bytearray(max([SMEM_IMAGE_OFFSET + 8 * len(words), *tops]) - SMEM_IMAGE_OFFSET)
    struct.pack_into(f"<{len(words)}q", image, 0, *words)
    for op in constants:
        start = op.address.value.data - SMEM_IMAGE_OFFSET
        image[start : start + TD_BYTES] = bytes.fromhex(op.content.data)
    return bytes(image)


def debug_map(module: ModuleOp) -> DebugMap:
    """Source place and operator of every instruction, and what each descriptor constant describes."""
    ops = [op for program in programs_of(module) for op in instructions(program)]
    locations, operators = (
        unique([source_of(op.location) for op in ops]),
        unique([operator_of(op.location) for op in ops]),
    )
    return DebugMap(
        locations=list(locations),
        operators=list(operators),
        location_of_pc=indices(ops, lambda op: locations.get(source_of(op.location), -1)),
        operator_of_pc=indices(ops, lambda op: operators.get(operator_of(op.location), -1)),
        descriptors={str(op.address.value.data): op.label.data for op in ops_of(DescriptorOp, module)},
    )


def unique(names: list[str]) -> dict[str, int]:
    """The distinct non-empty names, numbered in order of appearance."""
    return {name: index for index, name in enumerate(dict.fromkeys(name for name in names if name))}


def indices(ops: list[InstructionOp], of: Callable[[Operation], int]) -> NDArray[np.int32]:
    return np.array([of(op) for op in ops], np.int32)

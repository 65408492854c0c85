"""Instruction bytes and SMEM image to assembly text that assembles to the same bytes.

Branch targets inside the text get labels (L0, L1, .. or the names of TEXT symbols), others stay numbers. Illegal
instructions become `.raw` lines.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence

from isa.abi import SMEM_IMAGE_OFFSET
from isa.assembly_grammar import ACC_SUFFIX, is_definable
from isa.container_reader import Executable
from isa.descriptor import Descriptor
from isa.encoding import Decoded, DecodeError, decode, decode_text
from isa.errors import printable
from isa.fp32_text import format_fp32
from isa.metadata import DebugMap, Symbol
from isa.spec import INSTRUCTION_BYTES, TD_BYTES, TD_FUNCTIONS, Flag

MAX_NAME_CHARACTERS = 200
COMMENT_COLUMN = 44
MAX_COMMENT_CHARACTERS = 400
NO_NAMES: Mapping[int, str] = {}
SMEM_ACCESSES = ("lds", "sts", "tdld")
_GENERATED = re.compile("L[0-9]+")


def disassemble(
    text: bytes,
    smem: bytes = b"",
    symbols: Sequence[Symbol] = (),
    debug: DebugMap | None = None,
) -> str:
    """The assembly text of TEXT bytes and an SMEM image that starts at SMEM_IMAGE_OFFSET.

    `symbols` names labels and descriptors, `debug` adds source comments. Raises EncodingError for a torn instruction.
    """
    data, addresses = _data_lines(smem, _smem_names(symbols, smem), debug)
    code = _text_lines(text, symbols, debug, addresses)
    return "\n".join([*data, *([""] if data else []), *code, ""])


def disassemble_executable(executable: Executable) -> str:
    """The text of an executable's TEXT and SMEM sections, with names and source comments."""
    return disassemble(executable.text.tobytes(), executable.smem_image, executable.symbols, executable.debug)


def format_instruction(
    instruction: Decoded, labels: Mapping[int, str] = NO_NAMES, addresses: Mapping[int, str] = NO_NAMES
) -> str:
    """One instruction in assembly. `labels` names instruction indices, `addresses` absolute SMEM addresses."""
    suffix = f".{ACC_SUFFIX}" if instruction.fl & Flag.ACC else ""
    named = addresses if instruction.rs == 0 and instruction.row.mnemonic in SMEM_ACCESSES else NO_NAMES
    operands = [_operand(instruction, slot, labels, named) for slot in instruction.row.syntax.split()]
    return f"{instruction.mnemonic}{suffix} {', '.join(operands)}".rstrip()


def _operand(instruction: Decoded, slot: str, labels: Mapping[int, str], addresses: Mapping[int, str]) -> str:
    if slot == "imm(rs)":
        return f"{addresses.get(instruction.imm, instruction.imm)}(x{instruction.rs})"
    if slot == "ta.fn":
        return f"t{instruction.ta}.{TD_FUNCTIONS[instruction.fn]}"
    if slot == "label":
        return labels.get(instruction.imm, str(instruction.imm))
    choices = slot.split("|")
    if len(choices) > 1 and instruction.fl & Flag.I:
        return format_fp32(instruction.imm) if "f32" in choices else str(instruction.imm)
    if len(choices) > 1 and instruction.fl & Flag.X:
        return f"x{instruction.rs}"
    field = choices[0]
    value: int = getattr(instruction, field)
    return str(value) if field == "imm" else f"{field[0].replace('r', 'x')}{value}"


def _text_lines(
    text: bytes, symbols: Sequence[Symbol], debug: DebugMap | None, addresses: Mapping[int, str]
) -> list[str]:
    decoded = [_decode_or_error(record, pc) for pc, record in enumerate(decode_text(text))]
    labels = _labels(decoded, symbols, set(addresses.values()))
    lines: list[str] = []
    for pc, item in enumerate(decoded):
        if pc in labels:
            lines.append(f"{labels[pc]}:")
        if isinstance(item, DecodeError):
            raw = text[pc * INSTRUCTION_BYTES : (pc + 1) * INSTRUCTION_BYTES].hex()
            lines.append(_commented(f"    .raw {raw}", item.trap.name))
        else:
            lines.append(_commented(f"    {format_instruction(item, labels, addresses)}", _source(debug, pc)))
    if len(decoded) in labels:
        lines.append(f"{labels[len(decoded)]}:")
    return lines


def _decode_or_error(record: object, pc: int) -> Decoded | DecodeError:
    try:
        return decode(record, pc)
    except DecodeError as error:
        return error


def _labels(decoded: Sequence[Decoded | DecodeError], symbols: Sequence[Symbol], taken: set[str]) -> dict[int, str]:
    """Names of instruction indices: TEXT symbols with a usable name, then L0, L1, .. for the other branch targets."""
    labels: dict[int, str] = {}
    for symbol in symbols:
        pc, torn = divmod(symbol.offset, INSTRUCTION_BYTES)
        if symbol.region != "TEXT" or torn or pc > len(decoded) or pc in labels:
            continue
        if _usable(symbol.name) and symbol.name not in taken:
            labels[pc] = symbol.name
            taken.add(symbol.name)
    targets = {item.imm for item in decoded if isinstance(item, Decoded) and "label" in item.row.syntax.split()}
    unnamed = sorted(target for target in targets - labels.keys() if 0 <= target <= len(decoded))
    return labels | {target: f"L{index}" for index, target in enumerate(unnamed)}


def _usable(name: str) -> bool:
    """Whether assembly can define the name, without a clash with the generated labels."""
    return len(name) <= MAX_NAME_CHARACTERS and is_definable(name) and _GENERATED.fullmatch(name) is None


def _smem_names(symbols: Sequence[Symbol], smem: bytes) -> dict[int, Symbol]:
    """The first SMEM symbol with a usable name at each 8-byte aligned address of the image."""
    names: dict[int, Symbol] = {}
    taken: set[str] = set()
    for symbol in symbols:
        offset = symbol.offset
        inside = SMEM_IMAGE_OFFSET <= offset < SMEM_IMAGE_OFFSET + len(smem)
        if symbol.region != "SMEM" or offset % 8 or not inside or offset in names:
            continue
        if _usable(symbol.name) and symbol.name not in taken:
            names[offset] = symbol
            taken.add(symbol.name)
    return names


def _data_lines(smem: bytes, symbols: Mapping[int, Symbol], debug: DebugMap | None) -> tuple[list[str], dict[int, str]]:
    """The lines of the image, and the names they define by address."""
    lines: list[str] = []
    names: dict[int, str] = {}
    position = 0
    while position < len(smem):
        address = SMEM_IMAGE_OFFSET + position
        symbol = symbols.get(address)
        if symbol:
            names[address] = symbol.name
        descriptor = _descriptor_at(smem, position) if symbol and symbol.kind == "descriptor" else None
        if symbol and descriptor:
            tensor = debug.descriptors.get(symbol.name) if debug else None
            lines.append(_commented(format_descriptor(symbol.name, descriptor), tensor))
            position += TD_BYTES
            continue
        lines += [f"{symbol.name}:"] if symbol else []
        line, size_bytes = _plain_data(smem, position, symbols)
        lines.append(line)
        position += size_bytes
    return lines, names


def _plain_data(smem: bytes, position: int, symbols: Mapping[int, Symbol]) -> tuple[str, int]:
    """One data line at `position`, and how many bytes it stands for."""
    zeros = _zeros_at(smem, position, symbols)
    if zeros:
        return f"    .zero {zeros}", zeros
    if position + 8 > len(smem):
        return f"    .byte {smem[position]}", 1
    return f"    .word {struct.unpack_from('<Q', smem, position)[0]:#x}", 8


def _zeros_at(smem: bytes, position: int, symbols: Mapping[int, Symbol]) -> int:
    """Length of the run of zero bytes up to a named address; whole words unless the image ends."""
    end = position
    while end < len(smem) and not smem[end] and (end == position or SMEM_IMAGE_OFFSET + end not in symbols):
        end += 1
    return end - position if end == len(smem) else (end - position) // 8 * 8


def _descriptor_at(smem: bytes, position: int) -> Descriptor | None:
    try:
        return Descriptor.unpack(smem[position : position + TD_BYTES])
    except (ValueError, struct.error):
        return None


def format_descriptor(name: str, descriptor: Descriptor) -> str:
    """The `.td` line of a descriptor."""
    extents = ", ".join(map(str, descriptor.extents))
    strides = ", ".join(map(str, descriptor.strides))
    options = f" glog2 {descriptor.glog2}" if descriptor.glog2 else ""
    options += f" fmt {descriptor.fmt}" if descriptor.fmt else ""
    kind = f"{descriptor.dtype.name.lower()} {descriptor.region.name.lower()}"
    return f"    .td {name} {kind} {descriptor.base:#x} [{extents}] [{strides}]{options}"


def _source(debug: DebugMap | None, pc: int) -> str | None:
    if debug is None:
        return None
    return " ".join(part for part in (debug.location(pc), debug.operator(pc)) if part) or None


def _commented(line: str, comment: str | None) -> str:
    if not comment:
        return line
    return f"{line:<{COMMENT_COLUMN}} ; {printable(comment)[:MAX_COMMENT_CHARACTERS]}"

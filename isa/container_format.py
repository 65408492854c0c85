"""Layout of the `.slx` executable: header, section table, limits. All integers are unsigned little-endian.

0     header, 64 bytes
64    section table, 64 bytes per section; the rest of the first 4 KiB is zero
4096  sections in ascending order, each aligned, gaps zero; the file ends with the last section
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from isa.abi import SMEM_IMAGE_OFFSET
from isa.spec import INSTRUCTION_BYTES, SMEM_BYTES

MAGIC = b"SLX\r\n\x1a\n\x00"
"""Shows transfers that strip bit 7, translate line ends or stop at NUL."""

HEADER = struct.Struct("<8s4H8s Q 2I Q I 12s")
HEADER_FIELDS = (
    "magic", "isa_major", "isa_minor", "abi_version", "reserved", "machine_hash", "features",
    "section_count", "reserved", "file_size_bytes", "crc32c", "reserved",
)  # fmt: skip
ENTRY = struct.Struct("<2I3Q32s")
ENTRY_FIELDS = ("type", "flags", "offset_bytes", "size_bytes", "alignment_bytes", "sha256")
HEADER_BYTES = HEADER.size
CRC_OFFSET = 48
PAGE_BYTES = 4096
MACHINE_HASH_BYTES = 8
MAX_SECTIONS = (PAGE_BYTES - HEADER_BYTES) // ENTRY.size
MAX_ALIGNMENT = 65536
MAX_REGION_BYTES = 1 << 40
MAX_JSON_BYTES = 64 << 20
MAX_TEXT_BYTES = 64 << 20
MAX_STATEMENT_BYTES = 4096


class Section(IntEnum):
    """Section types."""

    TEXT = 1
    SMEM = 2
    TABLE = 3
    SYM = 4
    DBG = 5
    META = 6
    PRED = 7
    WEIGHTS = 8


class SectionFlag(IntFlag):
    """REQUIRED: a loader that does not know the type refuses the file.

    VIRTUAL: only of WEIGHTS. The section has a VirtualWeights statement instead of the region's bytes.
    """

    REQUIRED = 1
    VIRTUAL = 2


REQUIRED_SECTIONS = (Section.TEXT, Section.META)
OPTIONAL_TYPES = (Section.SYM, Section.DBG, Section.PRED)
"""Sections a loader may ignore; all others are written with SectionFlag.REQUIRED."""

ALIGNMENT_BYTES = {section: MAX_ALIGNMENT if section == Section.WEIGHTS else PAGE_BYTES for section in Section}
SIZE_LIMIT_BYTES = {
    Section.TEXT: MAX_TEXT_BYTES,
    Section.SMEM: SMEM_BYTES - SMEM_IMAGE_OFFSET,
    Section.TABLE: MAX_REGION_BYTES,
    Section.SYM: MAX_JSON_BYTES,
    Section.DBG: MAX_JSON_BYTES,
    Section.META: MAX_JSON_BYTES,
    Section.PRED: MAX_JSON_BYTES,
    Section.WEIGHTS: MAX_REGION_BYTES,
}
SIZE_UNIT_BYTES = {Section.TEXT: INSTRUCTION_BYTES}


@dataclass(frozen=True, slots=True)
class SectionEntry:
    """One row of the section table. `type` may be unknown to this version."""

    type: int
    flags: int
    offset_bytes: int
    size_bytes: int
    alignment_bytes: int
    sha256: bytes

    def pack(self) -> bytes:
        return ENTRY.pack(self.type, self.flags, self.offset_bytes, self.size_bytes, self.alignment_bytes, self.sha256)


@dataclass(frozen=True, slots=True)
class Header:
    """The header without magic, reserved fields and checksum."""

    isa_version: tuple[int, int]
    abi_version: int
    machine_hash: bytes
    features: int
    section_count: int
    file_size_bytes: int

    def pack(self, table: bytes) -> bytes:
        """The 64 bytes, with the checksum over header and section table."""
        fields = (
            MAGIC, *self.isa_version, self.abi_version, 0, self.machine_hash, self.features,
            self.section_count, 0, self.file_size_bytes,
        )  # fmt: skip
        checksum = crc32c(HEADER.pack(*fields, 0, bytes(12)) + table)
        return HEADER.pack(*fields, checksum, bytes(12))


def align_up(offset_bytes: int, alignment_bytes: int) -> int:
    return -(-offset_bytes // alignment_bytes) * alignment_bytes


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli, reflected polynomial 82F63B78), as in RFC 3720. For header and table only: at most 4 KiB."""
    checksum = 0xFFFFFFFF
    for byte in data:
        checksum = checksum >> 8 ^ _CRC_TABLE[(checksum ^ byte) & 0xFF]
    return checksum ^ 0xFFFFFFFF


def _crc_row(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value


_CRC_TABLE = tuple(_crc_row(value) for value in range(256))

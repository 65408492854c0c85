"""Opens `.slx` executables. The file may be hostile: everything is checked before it is mapped or allocated."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from isa.abi import ABI_VERSION
from isa.container_format import (
    ALIGNMENT_BYTES,
    ENTRY,
    HEADER,
    HEADER_BYTES,
    HEADER_FIELDS,
    MAGIC,
    MAX_ALIGNMENT,
    MAX_SECTIONS,
    MAX_STATEMENT_BYTES,
    PAGE_BYTES,
    REQUIRED_SECTIONS,
    SIZE_LIMIT_BYTES,
    SIZE_UNIT_BYTES,
    Header,
    Section,
    SectionEntry,
    SectionFlag,
)
from isa.encoding import INSTRUCTION_DTYPE
from isa.errors import ContainerError
from isa.metadata import DebugMap, Symbol, VirtualWeights, meta_from_bytes, symbols_from_bytes
from isa.prediction import Prediction
from isa.spec import ISA_VERSION, Feature

HASH_CHUNK_BYTES = 4 << 20
KNOWN_SECTIONS = frozenset(int(section) for section in Section)
KNOWN_FEATURES = int(Feature.PIM | Feature.NET | Feature.SPARSE)
_T = TypeVar("_T")


@dataclass(eq=False)
class Executable:
    """A program with its constants. Arrays are read-only; `table` and `weights` are maps of the file (uint8, bytes).

    `text`: [instructions] of INSTRUCTION_DTYPE. `smem_image` is placed at SMEM_IMAGE_OFFSET. `sections` as in the file,
    unknown optional ones included. `weights` is None if `virtual_weights` states them instead. `prediction`: None if the
    compiler made none.
    """

    path: Path
    isa_version: tuple[int, int]
    abi_version: int
    machine_hash: bytes
    features: Feature
    sections: tuple[SectionEntry, ...]
    text: NDArray[np.void]
    smem_image: bytes
    table: NDArray[np.uint8]
    weights: NDArray[np.uint8] | None
    meta: dict[str, Any]
    symbols: list[Symbol]
    debug: DebugMap
    virtual_weights: VirtualWeights | None = None
    prediction: Prediction | None = None

    @property
    def weights_bytes(self) -> int:
        """The size of region WEIGHT, whether its bytes are in the file or not."""
        if self.virtual_weights is not None:
            return self.virtual_weights.size_bytes
        return 0 if self.weights is None else len(self.weights)

    @property
    def dram_bytes(self) -> int:
        """The size of all DRAM regions."""
        regions: dict[str, int] = self.meta["regions"]
        return self.weights_bytes + len(self.table) + sum(regions.values())

    @staticmethod
    def open(path: str | Path, verify: bool = True) -> Executable:
        """Reads an executable. `verify=False` skips the hash of WEIGHTS only. Raises ContainerError."""
        try:
            with Path(path).open("rb") as file:
                return _Reader(file, Path(path)).read(verify)
        except OSError as error:
            raise ContainerError(f"cannot read: {error.strerror}", str(path)) from error


class _Reader:
    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.file = file
        self.path = path
        self.size_bytes = os.fstat(file.fileno()).st_size

    def read(self, verify: bool) -> Executable:
        header, entries = self.header_and_table()
        self.check_layout(entries, header.file_size_bytes)
        sections = {entry.type: entry for entry in entries}
        for section in REQUIRED_SECTIONS:
            if section not in sections:
                raise self.error(f"section {section.name} is missing")
        for entry in entries:
            if verify or entry.type != Section.WEIGHTS or entry.flags & SectionFlag.VIRTUAL:
                self.check_hash(entry)
        text = np.frombuffer(self.data(sections[Section.TEXT]), INSTRUCTION_DTYPE)
        meta = self.parse("META", lambda: meta_from_bytes(self.data(sections[Section.META]), header.machine_hash))
        virtual_weights = self.virtual_weights(sections.get(Section.WEIGHTS))
        return Executable(
            path=self.path,
            isa_version=header.isa_version,
            abi_version=header.abi_version,
            machine_hash=header.machine_hash,
            features=Feature(header.features),
            sections=entries,
            text=text,
            smem_image=self.data(sections.get(Section.SMEM)),
            table=self.map(sections.get(Section.TABLE)),
            weights=None if virtual_weights else self.map(sections.get(Section.WEIGHTS)),
            meta=meta,
            symbols=self.symbols(sections.get(Section.SYM)),
            debug=self.debug(sections.get(Section.DBG), len(text)),
            virtual_weights=virtual_weights,
            prediction=self.prediction(sections.get(Section.PRED)),
        )

    def error(self, message: str, hint: str | None = None) -> ContainerError:
        return ContainerError(message, str(self.path), hint=hint)

    def header_and_table(self) -> tuple[Header, tuple[SectionEntry, ...]]:
        page = self.file.read(PAGE_BYTES)
        if not page.startswith(MAGIC):
            raise self.error("not an SLX executable: wrong magic")
        if len(page) < PAGE_BYTES:
            raise self.error(f"the file ends in its header, after {len(page)} bytes")
        fields = dict(zip(HEADER_FIELDS, HEADER.unpack_from(page), strict=True))
        header = Header(
            (fields["isa_major"], fields["isa_minor"]), fields["abi_version"], fields["machine_hash"],
            fields["features"], fields["section_count"], fields["file_size_bytes"],
        )  # fmt: skip
        self.check_versions(header)
        if header.section_count > MAX_SECTIONS:
            raise self.error(f"{header.section_count} sections, at most {MAX_SECTIONS} are possible")
        table_end = HEADER_BYTES + header.section_count * ENTRY.size
        table = page[HEADER_BYTES:table_end]
        if header.pack(table) != page[:HEADER_BYTES]:
            raise self.error("the header's checksum is wrong", "the file is damaged: compile it again")
        if any(page[table_end:]):
            raise self.error("bytes after the section table are not zero")
        if header.features & ~KNOWN_FEATURES:
            raise self.error(f"unknown required features {header.features & ~KNOWN_FEATURES:#x}")
        return header, tuple(SectionEntry(*fields) for fields in ENTRY.iter_unpack(table))

    def check_versions(self, header: Header) -> None:
        major, minor = header.isa_version
        if major != ISA_VERSION[0] or minor > ISA_VERSION[1]:
            known = ".".join(map(str, ISA_VERSION))
            raise self.error(f"ISA version {major}.{minor} is not supported", f"this version reads ISA {known}")
        if header.abi_version != ABI_VERSION:
            raise self.error(f"ABI version {header.abi_version} is not supported", f"expected {ABI_VERSION}")

    def check_layout(self, entries: tuple[SectionEntry, ...], file_size_bytes: int) -> None:
        """Every section known or optional, in order, aligned, without overlap, and ending where the file ends."""
        end = PAGE_BYTES
        seen: set[int] = set()
        for entry in entries:
            name = section_name(entry.type)
            if entry.type in seen:
                raise self.error(f"section {name} appears twice")
            seen.add(entry.type)
            self.check_entry(entry, name)
            if not end <= entry.offset_bytes < end + entry.alignment_bytes:
                raise self.error(
                    f"section {name} at {entry.offset_bytes} does not follow the one before, which ends at {end}"
                )
            self.check_padding(end, entry.offset_bytes)
            end = entry.offset_bytes + entry.size_bytes
            if end > self.size_bytes:
                raise self.error(
                    f"section {name} ends at {end}, the file at {self.size_bytes}", "the file is truncated"
                )
        if not end == file_size_bytes == self.size_bytes:
            raise self.error(
                f"the file has {self.size_bytes} bytes, its header says {file_size_bytes}, its sections {end}"
            )

    def check_entry(self, entry: SectionEntry, name: str) -> None:
        virtual = SectionFlag.VIRTUAL if entry.type == Section.WEIGHTS else SectionFlag(0)
        if entry.flags & ~int(SectionFlag.REQUIRED | virtual):
            raise self.error(f"section {name} has unknown flags {entry.flags:#x}")
        alignment = entry.alignment_bytes
        if alignment.bit_count() != 1 or not PAGE_BYTES <= alignment <= MAX_ALIGNMENT or entry.offset_bytes % alignment:
            raise self.error(f"section {name} at {entry.offset_bytes} is not aligned to a legal {alignment}")
        if entry.type not in KNOWN_SECTIONS:
            if entry.flags & SectionFlag.REQUIRED:
                raise self.error(f"section {name} is unknown and required", "a newer version wrote this file")
            return
        section = Section(entry.type)
        if alignment != ALIGNMENT_BYTES[section]:
            raise self.error(f"section {name} has alignment {alignment}, expected {ALIGNMENT_BYTES[section]}")
        limit = MAX_STATEMENT_BYTES if entry.flags & SectionFlag.VIRTUAL else SIZE_LIMIT_BYTES[section]
        if entry.size_bytes > limit or entry.size_bytes % SIZE_UNIT_BYTES.get(section, 1):
            raise self.error(f"section {name} has an illegal size of {entry.size_bytes} bytes")

    def check_padding(self, start: int, end: int) -> None:
        self.file.seek(start)
        if any(self.file.read(end - start)):
            raise self.error(f"the padding before {end} is not zero")

    def check_hash(self, entry: SectionEntry) -> None:
        digest = hashlib.sha256()
        self.file.seek(entry.offset_bytes)
        left = entry.size_bytes
        while left and (chunk := self.file.read(min(left, HASH_CHUNK_BYTES))):
            digest.update(chunk)
            left -= len(chunk)
        if left or digest.digest() != entry.sha256:
            hint = "the file is damaged: compile it again"
            raise self.error(f"section {section_name(entry.type)} does not have its SHA-256", hint)

    def data(self, entry: SectionEntry | None) -> bytes:
        if entry is None:
            return b""
        self.file.seek(entry.offset_bytes)
        data = self.file.read(entry.size_bytes)
        if len(data) != entry.size_bytes:
            raise self.error("the file became shorter while it was read")
        return data

    def map(self, entry: SectionEntry | None) -> NDArray[np.uint8]:
        if entry is None or entry.size_bytes == 0:
            empty = np.empty(0, np.uint8)
            empty.flags.writeable = False
            return empty
        return np.memmap(self.file, np.uint8, "r", offset=entry.offset_bytes, shape=(entry.size_bytes,))

    def virtual_weights(self, entry: SectionEntry | None) -> VirtualWeights | None:
        if entry is None or not entry.flags & SectionFlag.VIRTUAL:
            return None
        return self.parse("WEIGHTS", lambda: VirtualWeights.from_bytes(self.data(entry)))

    def symbols(self, entry: SectionEntry | None) -> list[Symbol]:
        return [] if entry is None else self.parse("SYM", lambda: symbols_from_bytes(self.data(entry)))

    def prediction(self, entry: SectionEntry | None) -> Prediction | None:
        return None if entry is None else self.parse("PRED", lambda: Prediction.from_bytes(self.data(entry)))

    def debug(self, entry: SectionEntry | None, instructions: int) -> DebugMap:
        if entry is None:
            return DebugMap.empty(instructions)
        debug = self.parse("DBG", lambda: DebugMap.from_bytes(self.data(entry)))
        if not len(debug.location_of_pc) == len(debug.operator_of_pc) == instructions:
            raise self.error(f"section DBG does not describe {instructions} instructions")
        return debug

    def parse(self, name: str, read: Callable[[], _T]) -> _T:
        try:
            return read()
        except ValueError as error:
            raise self.error(f"section {name}: {error}") from error


def section_name(section_type: int) -> str:
    """TEXT .. WEIGHTS, or the number of an unknown type."""
    return Section(section_type).name if section_type in KNOWN_SECTIONS else f"type {section_type}"

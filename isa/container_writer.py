"""Writes `.slx` executables: a temporary file in the same directory, moved into place once complete and readable."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isa.abi import ABI_VERSION
from isa.container_format import (
    ALIGNMENT_BYTES,
    MACHINE_HASH_BYTES,
    OPTIONAL_TYPES,
    PAGE_BYTES,
    SIZE_LIMIT_BYTES,
    SIZE_UNIT_BYTES,
    Header,
    Section,
    SectionEntry,
    SectionFlag,
    align_up,
)
from isa.container_reader import Executable
from isa.errors import ContainerError
from isa.metadata import VirtualWeights
from isa.spec import ISA_VERSION, Feature

Chunk = bytes | bytearray | memoryview | NDArray[Any]
HASH_CHUNK_BYTES = 4 << 20
NO_FEATURES = Feature(0)


class ExecutableWriter:
    """Context manager; sections may be added in any order, each once.

        with ExecutableWriter(path, machine_hash) as writer:
            writer.add(Section.TEXT, text)
            writer.add(Section.META, meta)
            writer.stream(Section.WEIGHTS, chunks)

    On leaving, the header is written, the file is checked by the reader, synced and renamed to `path`. After an
    exception the temporary file is removed, and a file that was at `path` stays. Raises ContainerError.
    """

    def __init__(self, path: str | Path, machine_hash: bytes, features: Feature = NO_FEATURES) -> None:
        self._path = Path(path)
        if len(machine_hash) != MACHINE_HASH_BYTES:
            raise self._error(f"the machine hash has {len(machine_hash)} bytes, not {MACHINE_HASH_BYTES}")
        self._machine_hash = machine_hash
        self._features = features
        self._entries: list[SectionEntry] = []
        self._reserved: dict[Section, np.memmap[Any, np.dtype[np.uint8]]] = {}
        self._end = PAGE_BYTES
        self._partial = self._path.with_name(f".{self._path.name[:100]}.{secrets.token_hex(6)}.partial")

    def __enter__(self) -> ExecutableWriter:
        try:
            self._file = self._partial.open("x+b")
        except OSError as error:
            raise self._error(f"cannot write: {error.strerror}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        except OSError as failure:
            raise self._error(f"cannot write: {failure.strerror}") from failure
        finally:
            self._file.close()
            self._partial.unlink(missing_ok=True)

    def add(self, section: Section, data: Chunk) -> None:
        """Writes a whole section."""
        self.stream(section, (data,))

    def stream(self, section: Section, chunks: Iterable[Chunk]) -> None:
        """Writes a section chunk by chunk, hashing on the way; arrays contribute their bytes in C order."""
        self._write(section, chunks, SectionFlag(0))

    def virtual_weights(self, statement: VirtualWeights) -> None:
        """Writes WEIGHTS as a statement of its size."""
        try:
            content = statement.to_bytes()
        except ValueError as error:
            raise self._error(f"section WEIGHTS: {error}") from error
        self._write(Section.WEIGHTS, (content,), SectionFlag.VIRTUAL)

    def _write(self, section: Section, chunks: Iterable[Chunk], flags: SectionFlag) -> None:
        offset = self._begin(section)
        digest = hashlib.sha256()
        size_bytes = 0
        try:
            self._file.seek(offset)
            for chunk in chunks:
                view = _bytes_of(chunk)
                size_bytes += len(view)
                self._check_size(section, size_bytes, partial=True)
                self._file.write(view)
                digest.update(view)
        except OSError as error:
            raise self._error(f"cannot write: {error.strerror}") from error
        self._commit(section, offset, size_bytes, digest.digest(), flags)

    def weights(self, size_bytes: int) -> np.memmap[Any, np.dtype[np.uint8]]:
        """Reserves WEIGHTS and returns it as a writable uint8 map of the file [size_bytes], zero until written.

        It is hashed on leaving the context; the map must not be written after that.
        """
        offset = self._begin(Section.WEIGHTS)
        if size_bytes <= 0:
            raise self._error(f"weights of {size_bytes} bytes cannot be mapped")
        self._check_size(Section.WEIGHTS, size_bytes)
        try:
            self._file.truncate(offset + size_bytes)
            if hasattr(os, "posix_fallocate"):  # else a full disk would kill the process when the map is written
                os.posix_fallocate(self._file.fileno(), offset, size_bytes)
            sink = np.memmap(self._file, np.uint8, "r+", offset=offset, shape=(size_bytes,))
        except OSError as error:
            raise self._error(f"cannot write: {error.strerror}") from error
        self._reserved[Section.WEIGHTS] = sink
        self._commit(Section.WEIGHTS, offset, size_bytes, bytes(32), SectionFlag(0))
        return sink

    def _begin(self, section: Section) -> int:
        if any(entry.type == section for entry in self._entries):
            raise self._error(f"section {section.name} is added twice")
        return align_up(self._end, ALIGNMENT_BYTES[section])

    def _check_size(self, section: Section, size_bytes: int, partial: bool = False) -> None:
        unit = 1 if partial else SIZE_UNIT_BYTES.get(section, 1)
        if size_bytes > SIZE_LIMIT_BYTES[section] or size_bytes % unit:
            limit = SIZE_LIMIT_BYTES[section]
            raise self._error(f"section {section.name} has {size_bytes} bytes; at most {limit}, a multiple of {unit}")

    def _commit(self, section: Section, offset: int, size_bytes: int, sha256: bytes, flags: SectionFlag) -> None:
        self._check_size(section, size_bytes)
        flags |= SectionFlag(0) if section in OPTIONAL_TYPES else SectionFlag.REQUIRED
        self._entries.append(SectionEntry(section, flags, offset, size_bytes, ALIGNMENT_BYTES[section], sha256))
        self._end = offset + size_bytes

    def _finish(self) -> None:
        entries = [self._hashed(entry) for entry in self._entries]
        table = b"".join(entry.pack() for entry in entries)
        header = Header(ISA_VERSION, ABI_VERSION, self._machine_hash, self._features, len(entries), self._end)
        self._file.truncate(self._end)
        self._file.seek(0)
        self._file.write(header.pack(table) + table)
        self._file.flush()
        try:
            Executable.open(self._partial, verify=False)
        except ContainerError as error:
            raise self._error(f"the executable would not be readable: {error.message}", error.hint) from error
        os.fsync(self._file.fileno())
        self._partial.replace(self._path)
        _sync_directory(self._path.parent)

    def _hashed(self, entry: SectionEntry) -> SectionEntry:
        sink = self._reserved.get(Section(entry.type))
        if sink is None:
            return entry
        sink.flush()
        digest = hashlib.sha256()
        for start in range(0, len(sink), HASH_CHUNK_BYTES):
            digest.update(sink[start : start + HASH_CHUNK_BYTES].data)
        return SectionEntry(
            entry.type, entry.flags, entry.offset_bytes, entry.size_bytes, entry.alignment_bytes, digest.digest()
        )

    def _error(self, message: str, hint: str | None = None) -> ContainerError:
        return ContainerError(message, str(self._path), hint=hint)


def _bytes_of(chunk: Chunk) -> memoryview:
    """The chunk's bytes, without a copy if it is contiguous."""
    if isinstance(chunk, np.ndarray):
        return np.ascontiguousarray(chunk).reshape(-1).view(np.uint8).data
    return memoryview(chunk).cast("B")


def _sync_directory(directory: Path) -> None:
    """Makes the rename durable, on systems where directories can be synced."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

"""The header of a GGUF file: metadata and the place of every tensor, completely checked before anything is used.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The reader of the `gguf` package makes an array of
each string, which takes seconds for a large vocabulary, and trusts every count; only its tables of types are used.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from numpy.typing import NDArray

from frontends.configuration.values import is_integer
from frontends.errors import FrontendError, shape_text, show
from frontends.gguf.reader import GgufReader, Value

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_TENSORS, MAX_METADATA = 1 << 16, 1 << 16
MAX_NAME_BYTES = 1 << 12
MAX_RANK = 4
MAX_DIMENSION = 2**31 - 1
DEFAULT_ALIGNMENT, MAX_ALIGNMENT = 32, 1 << 16
ALIGNMENT_KEY, SPLIT_KEY, TYPE_KEY = "general.alignment", "split.count", "general.type"
MERGE_HINT = "join the parts first: llama-gguf-split --merge FIRST_PART.gguf WHOLE.gguf"


@dataclass(frozen=True)
class GgufTensor:
    """One tensor. `shape` is in NumPy's order, the last dimension lies together; `start` counts from byte 0 of the file.

    `row_bytes`: of the last dimension, a whole number of blocks.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    start: int
    row_bytes: int

    @property
    def rows(self) -> int:
        return prod(self.shape[:-1])

    @property
    def end(self) -> int:
        return self.start + self.rows * self.row_bytes


@dataclass(frozen=True, eq=False)
class GgufHeader:
    """A file's metadata by key, its tensors by name, and its mapped bytes."""

    path: Path
    metadata: dict[str, Value]
    tensors: dict[str, GgufTensor]
    data: NDArray[np.uint8]


def read_header(path: Path) -> GgufHeader:
    """Raises FrontendError for anything wrong in the header."""
    reader = GgufReader(path)
    _check_start(reader)
    tensor_count, metadata_count = reader.uint64("the number of tensors"), reader.uint64("the number of metadata")
    for count, largest, what in ((tensor_count, MAX_TENSORS, "tensors"), (metadata_count, MAX_METADATA, "metadata")):
        if count > largest:
            raise reader.error(f"has {count} {what}, the largest number accepted is {largest}")
    metadata = _metadata(reader, metadata_count)
    _check_whole_model(reader, metadata)
    tensors = _tensors(reader, tensor_count, _alignment(reader, metadata))
    return GgufHeader(path, metadata, tensors, reader.data)


def _check_start(reader: GgufReader) -> None:
    magic = reader.data[: len(MAGIC)].tobytes()
    if magic != MAGIC:
        raise reader.error(f"is not a GGUF file: it starts with {show(magic.decode('latin-1'))}")
    reader.position = len(MAGIC)
    version = reader.uint32("the version")
    if version & 0xFFFF == 0:
        raise reader.error("is a big-endian GGUF file, which is not supported")
    if version not in VERSIONS:
        raise reader.error(f"is GGUF version {version}, known are {' and '.join(map(str, VERSIONS))}")


def _metadata(reader: GgufReader, count: int) -> dict[str, Value]:
    metadata: dict[str, Value] = {}
    for _ in range(count):
        key = reader.text("a metadata key", MAX_NAME_BYTES)
        if key in metadata:
            raise reader.error(f"metadata {show(key)} appears twice")
        metadata[key] = reader.value(f"metadata {show(key)}")
    return metadata


def _check_whole_model(reader: GgufReader, metadata: dict[str, Value]) -> None:
    parts = metadata.get(SPLIT_KEY, 0)
    if not is_integer(parts) or parts > 1:
        raise FrontendError(f"is one of {show(parts)} parts of a model", str(reader.path), hint=MERGE_HINT)
    kind = metadata.get(TYPE_KEY, "model")
    if kind != "model":
        raise reader.error(f"is not a model: {TYPE_KEY} is {show(kind)}")


def _alignment(reader: GgufReader, metadata: dict[str, Value]) -> int:
    alignment = metadata.get(ALIGNMENT_KEY, DEFAULT_ALIGNMENT)
    if is_integer(alignment) and 1 <= alignment <= MAX_ALIGNMENT and alignment & (alignment - 1) == 0:
        return alignment
    expected = f"a power of two up to {MAX_ALIGNMENT}"
    raise reader.error(f"{ALIGNMENT_KEY} must be {expected}, found {show(alignment)}")


def _tensors(reader: GgufReader, count: int, alignment: int) -> dict[str, GgufTensor]:
    found: dict[str, tuple[GgufTensor, int]] = {}
    for _ in range(count):
        name = reader.text("a tensor name", MAX_NAME_BYTES)
        if name in found:
            raise reader.error(f"tensor {show(name)} appears twice")
        found[name] = _tensor(reader, name)
    reader.skip_to_multiple(alignment)
    tensors: dict[str, GgufTensor] = {}
    for name, (tensor, offset) in found.items():
        if offset % alignment:
            raise reader.error(f"tensor {show(name)}: offset {offset} is not a multiple of {alignment}")
        start = reader.position + offset
        placed = GgufTensor(name, tensor.type, tensor.shape, start, tensor.row_bytes)
        if placed.end > len(reader.data):
            message = f"lies outside of the file: it ends at byte {placed.end} of {len(reader.data)}"
            raise reader.error(f"tensor {show(name)}, {shape_text(tensor.shape)} of {tensor.type}, {message}")
        tensors[name] = placed
    _check_overlap(reader, tensors)
    return tensors


def _tensor(reader: GgufReader, name: str) -> tuple[GgufTensor, int]:
    """One entry of the table, with its offset in the data."""
    what = f"tensor {show(name)}"
    rank = reader.uint32(what)
    if not 1 <= rank <= MAX_RANK:
        raise reader.error(f"{what} has {rank} dimensions, expected 1 to {MAX_RANK}")
    shape = tuple(reader.uint64(what) for _ in range(rank))[::-1]
    if not all(1 <= dimension <= MAX_DIMENSION for dimension in shape):
        raise reader.error(f"{what} has the shape {shape_text(shape)}, dimensions are 1 to {MAX_DIMENSION}")
    kind = reader.uint32(what)
    try:
        quantization = GGMLQuantizationType(kind)
        block_elements, block_bytes = GGML_QUANT_SIZES[quantization]
    except (ValueError, KeyError):
        raise reader.error(f"{what} has the unknown type {kind}") from None
    if shape[-1] % block_elements:
        blocks = f"blocks of {block_elements} elements"
        raise reader.error(f"{what} is {shape_text(shape)}: rows of {quantization.name} are {blocks}")
    row_bytes = shape[-1] // block_elements * block_bytes
    return GgufTensor(name, quantization.name, shape, 0, row_bytes), reader.uint64(what)


def _check_overlap(reader: GgufReader, tensors: dict[str, GgufTensor]) -> None:
    ordered = sorted(tensors.values(), key=lambda tensor: tensor.start)
    for left, right in zip(ordered, ordered[1:], strict=False):
        if right.start < left.end:
            raise reader.error(f"tensors {show(left.name)} and {show(right.name)} overlap")

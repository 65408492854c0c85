"""Writes safetensors files whose tensors arrive in any order and by pieces: shapes are known before, numbers are not kept."""

from __future__ import annotations

import json
import os
import struct
import threading
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frontends.weights.checkpoint import INDEX_FILE, SINGLE_FILE
from frontends.weights.safetensors import ELEMENT_BYTES

ALIGNMENT_BYTES = 64
"""Where the data begins, so that mapped numbers are aligned."""

TypedShape = tuple[str, tuple[int, ...]]
"""The type as the file names it, and the shape."""


class SafetensorsWriter:
    """One file, or shards with an index where the tensors have more than `shard_bytes`. Raises OSError.

    Every byte of every tensor must be written before `close`, which leaves complete files on the disk.
    """

    def __init__(self, directory: Path, tensors: Mapping[str, TypedShape], shard_bytes: int):
        self._places: dict[str, tuple[int, int, int]] = {}
        """Tensor -> descriptor of its file, offset in it, bytes."""
        self._missing_bytes = 0
        self._lock = threading.Lock()
        self._descriptors: list[int] = []
        shards = _shards(tensors, shard_bytes)
        names = [SINGLE_FILE] if len(shards) == 1 else _shard_names(len(shards))
        try:
            for name, shard in zip(names, shards, strict=True):
                self._create(directory / name, shard, tensors)
            if len(shards) > 1:
                weight_map = {tensor: name for name, shard in zip(names, shards, strict=True) for tensor in shard}
                total = sum(size for _, _, size in self._places.values())
                index = {"metadata": {"total_size": total}, "weight_map": weight_map}
                (directory / INDEX_FILE).write_text(json.dumps(index, indent=1), encoding="utf-8")
        except BaseException:
            self.abandon()
            raise

    def write(self, tensor: str, first_byte: int, values: NDArray[Any]) -> None:
        """Elements in the tensor's own type, from a byte on. Threads may call it at once."""
        descriptor, offset, size = self._places[tensor]
        data = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
        if first_byte + len(data) > size:
            raise ValueError(f"{tensor}: bytes {first_byte} to {first_byte + len(data)} of {size}")
        done = 0
        while done < len(data):
            done += os.pwrite(descriptor, data[done:], offset + first_byte + done)
        with self._lock:
            self._missing_bytes -= len(data)

    def close(self) -> None:
        """Brings the files to the disk. Raises ValueError if something was not written."""
        if self._missing_bytes:
            raise ValueError(f"{self._missing_bytes} bytes of the tensors were not written")
        for descriptor in self._descriptors:
            os.fsync(descriptor)
        self.abandon()

    def abandon(self) -> None:
        """Closes the files as they are."""
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()

    def _create(self, path: Path, shard: Sequence[str], tensors: Mapping[str, TypedShape]) -> None:
        header: dict[str, Any] = {"__metadata__": {"format": "slmc"}}
        end = 0
        for tensor in shard:
            stored, shape = tensors[tensor]
            start, end = end, end + _bytes(tensors[tensor])
            header[tensor] = {"dtype": stored, "shape": list(shape), "data_offsets": [start, end]}
        text = json.dumps(header, separators=(",", ":")).encode("utf-8")
        text += b" " * (-(len(text) + 8) % ALIGNMENT_BYTES)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        self._descriptors.append(descriptor)
        os.pwrite(descriptor, struct.pack("<Q", len(text)) + text, 0)
        os.ftruncate(descriptor, 8 + len(text) + end)
        for tensor in shard:
            start, stop = header[tensor]["data_offsets"]
            self._places[tensor] = (descriptor, 8 + len(text) + start, stop - start)
        self._missing_bytes += end


def _bytes(tensor: TypedShape) -> int:
    stored, shape = tensor
    return prod(shape) * ELEMENT_BYTES[stored]


def _shards(tensors: Mapping[str, TypedShape], shard_bytes: int) -> list[list[str]]:
    """Neighbours together, as many as fit; larger types first within a shard keeps all of them aligned."""
    shards: list[list[str]] = [[]]
    filled = 0
    for name, tensor in tensors.items():
        if shards[-1] and filled + _bytes(tensor) > shard_bytes:
            shards.append([])
            filled = 0
        shards[-1].append(name)
        filled += _bytes(tensor)
    return [sorted(shard, key=lambda name: -ELEMENT_BYTES[tensors[name][0]]) for shard in shards]


def _shard_names(count: int) -> list[str]:
    return [f"model-{number:05}-of-{count:05}.safetensors" for number in range(1, count + 1)]

"""The tensors of a Hugging Face directory: one safetensors file, or shards with an index."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from compiler.formats import Quantized, WeightFormat
from frontends.errors import FrontendError, did_you_mean, show
from frontends.files import MAX_INDEX_BYTES, read_json_object
from frontends.weights.safetensors import WEIGHT_TYPES, SafetensorsFile

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
MAX_SHARDS = 1024
PICKLED_PATTERNS = ("*.bin", "*.pt", "*.pth", "*.ckpt")
CONVERT_HINT = (
    'convert it where you trust the file: python -c "from transformers import AutoModelForCausalLM as M; '
    "M.from_pretrained('DIRECTORY').save_pretrained('NEW_DIRECTORY', safe_serialization=True)\""
)


class TensorSource(Protocol):
    """Named stored tensors."""

    name: str
    """What messages call it."""

    weight_types: tuple[str, ...]
    """The types of tensors that `load_tensor` takes, as the files name them: `F32`, `BF16`, `Q4_K`."""

    def tensor_names(self) -> list[str]: ...

    def __contains__(self, name: str) -> bool: ...

    def tensor_shape(self, name: str) -> tuple[int, ...]: ...

    def tensor_type(self, name: str) -> str:
        """The type as the file names it, which may be one that weights cannot have."""
        ...

    def load_tensor(self, name: str) -> NDArray[np.float32]: ...

    def load_rows(self, name: str, start: int, stop: int) -> NDArray[np.float32]:
        """Items [start, stop) of the first dimension, without converting the others."""
        ...

    def stored_rows(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """The same as the file has them, if that is f32, f16, or bf16 (its bits, uint16): to_float32 takes it."""
        ...

    def integer_format(self, name: str) -> WeightFormat | None:
        """The format of the hardware that the tensor is stored in, if it is one of integers."""
        ...

    def load_integers(self, name: str, start: int, stop: int) -> Quantized:
        """Items [start, stop) of the first dimension of such a tensor, their rows one below the other."""
        ...


class SafetensorsCheckpoint:
    """All tensors of one or several safetensors files."""

    weight_types = tuple(WEIGHT_TYPES)

    def __init__(self, directory: Path, files: list[SafetensorsFile]):
        self.name = str(directory)
        self._file_of = {name: file for file in files for name in file.entries}

    def tensor_names(self) -> list[str]:
        return list(self._file_of)

    def __contains__(self, name: str) -> bool:
        return name in self._file_of

    def tensor_shape(self, name: str) -> tuple[int, ...]:
        return self._file_of[name].entries[name].shape

    def tensor_type(self, name: str) -> str:
        return self._file_of[name].entries[name].dtype

    def load_tensor(self, name: str) -> NDArray[np.float32]:
        return self._file_of[name].load(name)

    def load_rows(self, name: str, start: int, stop: int) -> NDArray[np.float32]:
        return self._file_of[name].load(name, start, stop)

    def stored_rows(self, name: str, start: int, stop: int) -> NDArray[Any]:
        return self._file_of[name].stored(name, start, stop)

    def integer_format(self, name: str) -> WeightFormat | None:
        return None

    def load_integers(self, name: str, start: int, stop: int) -> Quantized:
        raise FrontendError(f"tensor {show(name)} is no matrix of integers", self.name)

    def stored_tensor(self, name: str) -> NDArray[Any]:
        """The mapped elements of a tensor whose type has been checked to be one of the READABLE ones, bf16 as its bits."""
        return self._file_of[name].view(name)


def open_checkpoint(directory: Path) -> SafetensorsCheckpoint:
    """The directory's safetensors file or shards. Pickled checkpoints are refused: loading one runs its code."""
    if (directory / SINGLE_FILE).is_file():
        return SafetensorsCheckpoint(directory, [SafetensorsFile(directory / SINGLE_FILE)])
    if (directory / INDEX_FILE).is_file():
        return _open_shards(directory)
    others = sorted(directory.glob("*.safetensors"))
    if len(others) == 1:
        return SafetensorsCheckpoint(directory, [SafetensorsFile(others[0])])
    pickled = sorted(path.name for pattern in PICKLED_PATTERNS for path in directory.glob(pattern))
    if pickled:
        message = f"holds only pickled weights ({show(pickled[0])[1:-1]}), which can run code when they are loaded"
        raise FrontendError(message, str(directory), hint=CONVERT_HINT)
    found = f"{len(others)} safetensors files without an index" if others else "no safetensors file"
    hint = f"expected {SINGLE_FILE} or {INDEX_FILE}"
    raise FrontendError(f"there is {found} in this directory", str(directory), hint=hint)


def _open_shards(directory: Path) -> SafetensorsCheckpoint:
    index = directory / INDEX_FILE
    shard_of = _weight_map(index)
    shards: dict[str, SafetensorsFile] = {}
    for tensor, shard in shard_of.items():
        if shard in shards:
            continue
        if not (directory / shard).is_file():
            raise FrontendError(f"shard {show(shard)} (for tensor {show(tensor)}) is not in the directory", str(index))
        shards[shard] = SafetensorsFile(directory / shard)
        if len(shards) > MAX_SHARDS:
            raise FrontendError(f"there are more than {MAX_SHARDS} shards", str(index))
    for tensor, shard in shard_of.items():
        if tensor not in shards[shard].entries:
            hint = did_you_mean(tensor, shards[shard].entries)
            raise FrontendError(f"tensor {show(tensor)} is not in its shard {show(shard)}", str(index), hint=hint)
    for shard, file in shards.items():
        for tensor in file.entries:
            if shard_of.get(tensor) != shard:
                raise FrontendError(f"tensor {show(tensor)} of shard {show(shard)} is not in the index", str(index))
    return SafetensorsCheckpoint(directory, list(shards.values()))


def _weight_map(index: Path) -> dict[str, str]:
    """Tensor -> shard file name; every name must be a plain file name."""
    weight_map = read_json_object(index, MAX_INDEX_BYTES).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise FrontendError(f"weight_map must be a record of tensor names, found {show(weight_map)}", str(index))
    result: dict[str, str] = {}
    for tensor, shard in cast(dict[str, object], weight_map).items():
        if not isinstance(shard, str) or not _is_plain_name(shard):
            message = f"tensor {show(tensor)}: the shard must be the plain name of a .safetensors file"
            raise FrontendError(f"{message}, found {show(shard)}", str(index))
        result[tensor] = shard
    return result


def _is_plain_name(name: str) -> bool:
    allowed = all(character.isalnum() or character in "-_." for character in name)
    return allowed and name.isascii() and not name.startswith(".") and name.endswith(".safetensors") and len(name) < 256

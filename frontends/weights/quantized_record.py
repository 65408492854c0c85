"""What a directory of `slmc quantize` holds: the record beside its tensors, and the tensors that each weight has.

docs/quantization.md, section "The directory", is the description for people.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from compiler.formats import WeightFormat
from frontends.errors import FrontendError, show
from frontends.files import MAX_INDEX_BYTES, read_json_object

RECORD_FILE = "slmc_quantization.json"
VERSION = 1
MAX_WEIGHTS = 1 << 20
ELEMENTS, SCALES, OFFSETS = ".q", ".scales", ".offsets"
"""Suffixes of the tensors of a matrix in a quantised format."""
NIBBLES = 2
"""Columns of a byte, for compiler/nibbles.py."""
ELEMENT_TYPES = {"i8": "I8", "i4": "U8", "e4m3": "U8", "e2m1": "U8"}
SCALE_TYPES = {"f32": "F32", "f16": "F16", "e8m0": "U8"}
STORED_TYPES = {"f32": "F32", "f16": "F16", "bf16": "BF16"}
"""Of the other weights, by what holds their values exactly."""

Text = Annotated[str, StringConstraints(max_length=4096)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Names = Annotated[dict[Name, Name], Field(max_length=MAX_WEIGHTS)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Calibration(_Strict):
    """Where the tokens came from, and how many they were."""

    source: Text
    tokens: Annotated[int, Field(ge=0, le=1 << 31)]


class QuantizationRecord(_Strict):
    """slmc_quantization.json. formats: of the matrices in quantised formats, all other weights are float tensors.

    aliases: weights without tensors of their own -> the weight whose tensor they share. calibration: null if no method looked at inputs.
    """

    version: Literal[1]
    scheme: Annotated[str, StringConstraints(max_length=1 << 20, pattern=r"^[a-z0-9_-]+(\{[^{}]*\})?$")]
    method: Text
    calibration: Calibration | None = None
    formats: Names
    aliases: Names = {}
    notes: Annotated[list[Text], Field(max_length=4096)] = []


def is_quantized(directory: Path) -> bool:
    """Whether a directory is one of `slmc quantize`."""
    return (directory / RECORD_FILE).is_file()


def read_record(directory: Path) -> QuantizationRecord:
    """Raises FrontendError, naming the field, for anything that is not as written above."""
    path = directory / RECORD_FILE
    try:
        return QuantizationRecord.model_validate(read_json_object(path, MAX_INDEX_BYTES))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        found = "" if first["type"] == "missing" else f", found {show(first['input'])}"
        raise FrontendError(f"{show(place)[1:-1]}: {first['msg']}{found}", str(path)) from error


def integer_parts(shape: tuple[int, ...], form: WeightFormat) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Suffix -> type and shape of the tensors of a matrix [N, K] in a quantised format.

    4-bit elements of an even column and the next share a byte, the even column in the low nibble: value + 8, or the code.
    """
    rows, columns = shape
    groups = (rows,) if form.per_row else (rows, columns // form.group)
    parts = {
        ELEMENTS: (ELEMENT_TYPES[form.element], (rows, columns // 2 if form.is_packed else columns)),
        SCALES: (SCALE_TYPES[form.scale_element], groups),
    }
    if form.offsets:
        parts[OFFSETS] = ("F16", groups)
    return parts

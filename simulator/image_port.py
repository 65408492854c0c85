"""Where an executable takes an image: META's entry and offsets in IO, and what the host writes there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from isa.abi import ENCODE_ENTRY, NO_IMAGE_ROW
from simulator.memory import Bytes
from simulator.session_error import SessionError

WORD_BYTES = 4  # of a pixel value and of a place
LARGEST_SIDE = 1 << 16


@dataclass(frozen=True, eq=False)
class Picture:
    """An image of a prompt: float32 pixels [C, h, w] (None only if timing_only); its rows take the positions from `first` of the
    prompt on, and the ids there do not matter."""

    pixels: NDArray[np.float32] | None
    first: int


@dataclass(frozen=True, slots=True)
class ImagePort:
    """Pixels f32 [channels, height, width] at `pixels_offset` of IO become `rows` rows by the program at `entry`.

    Places i32 [context] at `places_offset`: the number of the image row at each position, -1 for none.
    """

    entry: int
    channels: int
    height: int
    width: int
    rows: int
    pixels_offset: int
    places_offset: int
    context: int

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.channels, self.height, self.width

    def clear(self, io: Bytes) -> None:
        """No position has an image row."""
        self.places(io)[:] = NO_IMAGE_ROW

    def places(self, io: Bytes) -> NDArray[np.int32]:
        return np.ndarray((self.context,), "<i4", io, self.places_offset)

    def check(self, image: Picture, prompt_tokens: int) -> None:
        """Raises SessionError for pixels of another shape, and for rows that do not lie in the prompt."""
        if not 0 <= image.first <= prompt_tokens - self.rows:
            raise SessionError(
                f"the {self.rows} rows of the image begin at {image.first} of a prompt of {prompt_tokens} tokens"
            )
        pixels = image.pixels
        if pixels is None:
            return
        if pixels.shape != self.shape or pixels.dtype != np.float32:
            raise SessionError(f"the image is {pixels.dtype} {pixels.shape}, expected float32 {self.shape}")
        if not np.isfinite(pixels).all():
            raise SessionError("the image holds NaN or infinity")

    def write(self, io: Bytes, image: Picture, position: int) -> None:
        """The pixels, and the places of the rows in a prompt that begins at `position`."""
        if image.pixels is not None:
            np.ndarray(self.shape, "<f4", io, self.pixels_offset)[...] = image.pixels
        first = position + image.first
        self.places(io)[first : first + self.rows] = np.arange(self.rows, dtype=np.int32)


def image_port(meta: dict[str, Any]) -> ImagePort | None:
    """None for a model without images. Raises SessionError for a META that does not hold together."""
    record: object = meta.get("image")
    if record is None:
        return None
    context, io_bytes = meta["context"], meta["regions"]["IO"]
    sizes = ("channels", "height", "width", "rows")
    limits = {**dict.fromkeys(sizes, LARGEST_SIDE), "pixels_offset": io_bytes, "places_offset": io_bytes}
    numbers: dict[str, int] = {}
    for name, most in limits.items():
        value: object = cast(dict[str, object], record).get(name) if isinstance(record, dict) else None
        least = 1 if name in sizes else 0
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise SessionError(f"META image.{name} is {value!r}, expected an integer from {least} to {most}")
        numbers[name] = value
    port = ImagePort(entry=_entry(meta), context=context, **numbers)
    pixels_bytes = WORD_BYTES * port.channels * port.height * port.width
    ends = {"pixels": port.pixels_offset + pixels_bytes, "places": port.places_offset + WORD_BYTES * context}
    for name, end in ends.items():
        if end > io_bytes or numbers[f"{name}_offset"] % WORD_BYTES or numbers[f"{name}_offset"] < WORD_BYTES * context:
            raise SessionError(f"META image: the {name} do not lie in IO, {io_bytes} bytes, behind the tokens")
    return port


def _entry(meta: dict[str, Any]) -> int:
    entries: object = meta.get("entry")
    entry: object = cast(dict[str, object], entries).get(ENCODE_ENTRY) if isinstance(entries, dict) else None
    if not isinstance(entry, int) or isinstance(entry, bool) or not 0 <= entry < 1 << 31:
        raise SessionError(f"META has no entry.{ENCODE_ENTRY} for its image: expected an instruction index")
    return entry

"""A picture file -> the pixels that a model takes, as the checkpoint's image processor makes them.

The record of the processor comes from preprocessor_config.json, or processor_config.json of transformers 5. Resizing is
Pillow's, on 8-bit values, as in the published processor; docs/images.md has the steps.
"""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from frontends.errors import FrontendError, show
from frontends.files import MIB, read_bytes

MAX_FILE_BYTES = 64 * MIB
MAX_PIXELS = 1 << 26
MAX_ASPECT = 200
"""Longer side by shorter side: resizing keeps the ratio."""
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "PPM", "TIFF")
WHITE = (255, 255, 255, 255)


def read_picture(path: Path) -> Image.Image:
    """The picture in RGB, transparency on white, turned as its camera says. Raises FrontendError."""
    content = read_bytes(path, MAX_FILE_BYTES)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = Image.open(BytesIO(content), formats=FORMATS)
            _check_size(path, picture.size)
            return _in_rgb(ImageOps.exif_transpose(picture))
    except FrontendError:
        raise
    except UnidentifiedImageError:
        raise FrontendError("is no picture", str(path), hint=f"expected {', '.join(FORMATS)}") from None
    except Exception as error:  # Pillow's readers raise what they like on broken files
        reason = show(str(error) or type(error).__name__)[1:-1]
        raise FrontendError(f"cannot be read as a picture: {reason}", str(path)) from error


def _check_size(path: Path, size: tuple[int, int]) -> None:
    short, long = min(size), max(size)
    if short < 1 or short * long > MAX_PIXELS or long > MAX_ASPECT * short:
        message = f"is {size[0]} x {size[1]} pixels; at most {MAX_PIXELS} and {MAX_ASPECT} : 1 are read"
        raise FrontendError(message, str(path))


def _in_rgb(picture: Image.Image) -> Image.Image:
    if "A" in picture.getbands() or picture.info.get("transparency") is not None:
        coloured = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", coloured.size, WHITE), coloured).convert("RGB")
    return picture.convert("RGB")


def pixels_of(path: Path, processing: dict[str, Any], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Pixels float32 [C, h, w] of a file by a record of image_processing.py. Raises FrontendError."""
    picture = read_picture(path)
    if processing["resize"] is not None:
        target = _target(picture.size, processing["resize"])
        picture = picture.resize(target, Image.Resampling(processing["resample"]))
    values = np.moveaxis(np.asarray(picture, np.uint8), -1, 0)
    if processing["crop"] is not None:
        values = _center_crop(values, *processing["crop"])
    pixels = (values.astype(np.float64) * processing["scale"]).astype(np.float32)
    mean, deviation = (np.array(processing[key], np.float32)[:, None, None] for key in ("mean", "std"))
    if len(mean) != len(pixels) or pixels.shape != shape:
        message = f"the image processor makes {list(pixels.shape)} of it, the model takes {list(shape)}"
        raise FrontendError(message, str(path))
    return np.ascontiguousarray((pixels - mean) / deviation)


def _target(size: tuple[int, int], wanted: int | list[int]) -> tuple[int, int]:
    """(width, height): given, or such that the shorter side gets the wanted length."""
    if not isinstance(wanted, int):
        return wanted[1], wanted[0]
    width, height = size
    longer = int(wanted * max(size) / min(size))
    return (wanted, longer) if width <= height else (longer, wanted)


def _center_crop(values: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """The middle of [C, h, w], on zeros where the picture is smaller."""
    result = np.zeros((len(values), height, width), np.uint8)
    places = [_overlap(side, wanted) for side, wanted in zip(values.shape[1:], (height, width), strict=True)]
    (from_y, to_y), (from_x, to_x) = places
    result[:, to_y, to_x] = values[:, from_y, from_x]
    return result


def _overlap(side: int, wanted: int) -> tuple[slice, slice]:
    """The part of a side that is kept, and where it goes among the wanted ones."""
    if side >= wanted:
        first = (side - wanted) // 2
        return slice(first, first + wanted), slice(0, wanted)
    first = -(-(wanted - side) // 2)
    return slice(0, side), slice(first, first + side)

"""Pictures to pixels, against hand-made numbers and the published processor's; hostile files and records."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from frontends.errors import FrontendError
from frontends.image_files import MAX_PIXELS, pixels_of, read_picture
from frontends.image_processing import DEFAULTS, check_record, read_image_processing

PLAIN: dict[str, Any] = {
    "resize": None,
    "resample": 3,
    "crop": None,
    "scale": 1,
    "mean": [0, 0, 0],
    "std": [1, 1, 1],
    "prompt": None,
}
KOSMOS2 = Path(__file__).parents[1] / "golden" / "images" / "kosmos2"


def save(path: Path, values: Any, mode: str = "RGB", **options: Any) -> Path:
    Image.fromarray(np.array(values, np.uint8), mode).save(path, **options)
    return path


def test_pixels_by_hand(tmp_path: Path) -> None:
    """(value / 255 - mean) / std, channels first."""
    path = save(tmp_path / "a.png", [[[0, 51, 255], [255, 0, 102]]])
    record = PLAIN | {"scale": 1 / 255, "mean": [0.5, 0, 0.25], "std": [0.5, 2, 0.25]}
    expected = np.array([[[-1, 1]], [[0.1, 0]], [[3, 0.6]]], np.float32)
    np.testing.assert_allclose(pixels_of(path, record, (3, 1, 2)), expected, rtol=0, atol=1e-6)


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", [[[10, 20, 30, 0], [10, 20, 30, 255], [0, 0, 0, 128]]], "RGBA")
    assert np.asarray(read_picture(path)).tolist() == [[[255] * 3, [10, 20, 30], [127] * 3]]


@pytest.mark.parametrize(("mode", "values"), [("L", [[7, 9]]), ("1", [[0, 1]]), ("P", [[0, 1]]), ("CMYK", [[0, 1]])])
def test_other_modes_become_rgb(mode: str, values: list[list[int]], tmp_path: Path) -> None:
    path = tmp_path / ("a.tiff" if mode == "CMYK" else "a.png")
    Image.fromarray(np.array(values, np.uint8), "L").convert(mode).save(path)
    assert read_picture(path).mode == "RGB"
    assert read_picture(path).size == (2, 1)


def test_a_picture_is_turned_as_the_camera_says(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # the top of the picture is at its right
    save(tmp_path / "a.png", [[[1, 0, 0], [2, 0, 0]]], exif=turned.tobytes())
    assert np.asarray(read_picture(tmp_path / "a.png"))[..., 0].tolist() == [[1], [2]]


@pytest.mark.parametrize(
    ("size", "crop", "expected"),
    [
        ((4, 6), [2, 2], [[12, 13], [22, 23]]),
        ((5, 5), [2, 4], [[10, 11, 12, 13], [20, 21, 22, 23]]),
        ((2, 2), [3, 5], [[0, 0, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 10, 11, 0]]),
        ((1, 6), [2, 2], [[0, 0], [2, 3]]),
    ],
)
def test_the_middle_is_cropped(
    size: tuple[int, int], crop: list[int], expected: list[list[int]], tmp_path: Path
) -> None:
    """Pixel (y, x) has the value 10 y + x; what is missing is 0, more of it at the top and at the left."""
    grid = 10 * np.arange(size[0])[:, None] + np.arange(size[1])
    path = save(tmp_path / "a.png", np.repeat(grid[..., None], 3, axis=-1))
    assert pixels_of(path, PLAIN | {"crop": crop}, (3, *crop))[0].tolist() == expected


@pytest.mark.parametrize(
    ("resize", "size", "expected"), [(4, (8, 20), (4, 10)), (4, (21, 8), (10, 4)), ([3, 5], (8, 8), (3, 5))]
)
def test_sizes(resize: Any, size: tuple[int, int], expected: tuple[int, int], tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.full((*size, 3), 77))
    pixels = pixels_of(path, PLAIN | {"resize": resize}, (3, *expected))
    assert (pixels == 77).all()


def test_the_published_processor() -> None:
    record = read_image_processing(KOSMOS2)
    assert record is not None
    golden = np.load(KOSMOS2 / "golden.npz")["pixels"]
    assert np.array_equal(pixels_of(KOSMOS2 / "picture.png", record, golden.shape), golden)


def record_of(tmp_path: Path, fields: dict[str, Any], name: str = "preprocessor_config.json") -> dict[str, Any] | None:
    (tmp_path / name).write_text(json.dumps(fields))
    return read_image_processing(tmp_path)


def test_records(tmp_path: Path) -> None:
    assert read_image_processing(None) is None
    assert read_image_processing(tmp_path) is None
    square = record_of(tmp_path, {"use_square_size": True, "size": {"shortest_edge": 28}, "data_format": None})
    assert square is not None and square["resize"] == [28, 28] and square["prompt"] is None
    assert square["mean"] == DEFAULTS["image_mean"]
    off = dict.fromkeys(("do_resize", "do_center_crop", "do_rescale", "do_normalize"), False)
    assert record_of(tmp_path, {**off, "resample": 2}) == PLAIN | {"resample": 2}
    old = record_of(tmp_path, {"size": 30, "crop_size": 20, "feature_extractor_type": "CLIPFeatureExtractor"})
    assert old is not None and (old["resize"], old["crop"]) == (30, [20, 20])
    inner = {"size": {"height": 8, "width": 9}, "image_processor_type": "CLIPImageProcessor"}
    new = {"image_processor": inner, "processor_class": "Kosmos2Processor", "num_patch_index_tokens": 4}
    nested = record_of(tmp_path, new, "processor_config.json")
    assert nested is not None and nested["resize"] == [8, 9]
    assert nested["prompt"] == {"before": "<s><image>", "after": "</image> "}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"image_processor_type": "OtherProcessor"}, 'the image processor "OtherProcessor" is not known'),
        ({"do_pad": True}, 'the field "do_pad" of an image processor is not known'),
        ({"do_resize": 1}, "do_resize must be true or false, found 1"),
        ({"do_convert_rgb": False}, "keeps other colours than RGB"),
        ({"size": {"longest_edge": 4}}, "resize of the image processor cannot be"),
        ({"size": {"height": 0, "width": 4}}, "resize of the image processor cannot be"),
        ({"size": {"shortest_edge": 1 << 20}}, "resize of the image processor cannot be"),
        ({"crop_size": {"height": 4}}, "crop of the image processor cannot be"),
        ({"resample": 9}, "resample of the image processor cannot be 9"),
        ({"rescale_factor": "x"}, "scale of the image processor cannot be"),
        ({"image_mean": [1, 2]}, "mean of the image processor cannot be"),
        ({"image_std": [1, 0, 1]}, "std of the image processor cannot be"),
    ],
)
def test_wrong_records(fields: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(FrontendError) as caught:
        record_of(tmp_path, fields)
    assert message in caught.value.message
    assert caught.value.file is not None and caught.value.file.endswith("preprocessor_config.json")


@pytest.mark.parametrize(
    "record", [None, [], {}, PLAIN | {"more": 1}, PLAIN | {"prompt": {"before": 1, "after": ""}},
               PLAIN | {"prompt": {"before": "x" * 300, "after": ""}}, PLAIN | {"scale": float("nan")}],
)  # fmt: skip
def test_wrong_records_of_executables(record: Any) -> None:
    with pytest.raises(FrontendError):
        check_record(record, "model.slx")


def png(width: int, height: int, data: bytes = b"") -> bytes:
    """A PNG of any stated size, with whatever data."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no picture"),
        (b"no picture at all", "is no picture"),
        (png(9000, 9000), f"is 9000 x 9000 pixels; at most {MAX_PIXELS} and 200 : 1 are read"),
        (png(1 << 16, 1 << 16), "cannot be read as a picture: Image size (4294967296 pixels) exceeds limit"),
        (png(1, 300), "is 1 x 300 pixels"),
        (png(100, 100, zlib.compress(b"short")), "cannot be read as a picture"),
        (png(100, 100, b"not compressed"), "cannot be read as a picture"),
        (png(100, 100)[:60], "cannot be read as a picture"),
    ],
)
def test_hostile_pictures(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(FrontendError) as caught:
        read_picture(path)
    assert message in caught.value.message
    assert caught.value.file == str(path)


def test_no_file_and_a_wrong_size(tmp_path: Path) -> None:
    with pytest.raises(FrontendError, match="there is no such file"):
        read_picture(tmp_path / "none.png")
    path = save(tmp_path / "a.png", np.zeros((4, 4, 3)))
    with pytest.raises(FrontendError, match=r"makes \[3, 4, 4\] of it, the model takes \[3, 8, 8\]"):
        pixels_of(path, PLAIN, (3, 8, 8))

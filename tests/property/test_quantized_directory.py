"""Directories of quantised weights: what was put in comes out, for every format and for odd shapes; broken ones are refused."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.formats import Quantized, WeightFormat
from compiler.nibbles import pack_i4, unpack_i4
from frontends import FrontendError, load_program
from frontends.weights.quantized_record import NIBBLES, RECORD_FILE, QuantizationRecord
from frontends.weights.quantized_writer import QuantizedDirectory

FORMATS = ["i8", "i8-g32", "i8-g64", "i8-g128", "i4-g32", "i4-g64", "i4-g128-zp", "i4-g32-zp", "i8-s24", "i4-g64-s24"]
MICROSCALED = {"e2m1-g32": 16, "e4m3-g32": 127}
"""Codes that are numbers."""
OWN = """architecture odd for "odd"
config {{ V = .vocab_size }}
weights {{
  embed: embedding(V, {columns})
  middle: linear({columns} -> {rows}, bias=true)
  head: linear({rows} -> V)
}}
def forward(tokens: [T]) {{ return head(middle(embed(tokens))) }}
"""
VOCABULARY = 5


@st.composite
def matrices(draw: st.DrawFn) -> Quantized:
    form = WeightFormat.of(draw(st.sampled_from([*FORMATS, *MICROSCALED])))
    rows = draw(st.integers(1, 9))
    columns = (form.group or 8) * draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    if form.is_microscaled:
        codes = rng.integers(0, MICROSCALED[str(form)], (rows, columns)).astype(np.uint8)
        return Quantized(form, codes, rng.integers(0, 255, (rows, columns // 32)).astype(np.uint8))
    largest = 127 if form.element == "i8" else 7
    q = rng.integers(-largest - 1, largest + 1, (rows, columns)).astype(np.int8)
    if form.sparse:
        q.reshape(rows, -1, 4)[..., rng.permutation(4)[:2]] = 0
    groups = (rows, columns // form.group) if form.group else (rows,)
    scales = rng.random(groups).astype(np.float16 if form.group else np.float32)
    offsets = (rng.random(groups) - 0.5).astype(np.float16) if form.offsets else None
    return Quantized(form, q, scales, offsets)


def write(folder: Path, middle: Quantized, dtype: str, shard_bytes: int, step: int = 2) -> dict[str, np.ndarray]:
    """A model around a matrix, its other weights in a float type; the values of those."""
    rows, columns = middle.q.shape
    source = folder / "source"
    source.mkdir()
    (source / "config.json").write_text(json.dumps({"model_type": "odd", "vocab_size": VOCABULARY}))
    (source / "odd.slm").write_text(OWN.format(rows=rows, columns=columns))
    shapes = {
        "embed.weight": (VOCABULARY, columns), "middle.weight": (rows, columns), "middle.bias": (rows,),
        "head.weight": (VOCABULARY, rows),
    }  # fmt: skip
    rng = np.random.default_rng(1)
    floats = {
        name: rng.integers(-100, 100, shape).astype(np.float32) / 64
        for name, shape in shapes.items()
        if name != "middle.weight"
    }
    formats, dtypes = {"middle.weight": middle.format}, dict.fromkeys(floats, dtype)
    with QuantizedDirectory(folder / "out", source, shapes, formats, dtypes, shard_bytes) as directory:
        for first in range(0, rows, step):
            part = slice(first, first + step)
            offsets = None if middle.offsets is None else middle.offsets[part]
            directory.put_rows(
                "middle.weight", first, Quantized(middle.format, middle.q[part], middle.scales[part], offsets)
            )
        for name, values in floats.items():
            flat = values.ravel()
            directory.put_values(name, 0, flat[:1])
            directory.put_values(name, 1, flat[1:])
        texts = {name: str(form) for name, form in formats.items()}
        directory.finish(QuantizationRecord(version=1, scheme="s", method="m", formats=texts))
    return floats


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(matrices(), st.sampled_from(["f32", "f16", "bf16"]), st.sampled_from([1, 200, 1 << 30]))
def test_round_trip(middle: Quantized, dtype: str, shard_bytes: int) -> None:
    with TemporaryDirectory() as text:
        folder = Path(text)
        floats = write(folder, middle, dtype, shard_bytes)
        assert sorted(path.name for path in folder.iterdir()) == ["out", "source"]
        weights = load_program(folder / "out").weights
        found = weights.quantized("middle.weight")
        assert found is not None and found.format == middle.format
        assert np.array_equal(found.q, middle.q) and np.array_equal(found.scales, middle.scales)
        assert (found.offsets is None) == (middle.offsets is None)
        if found.offsets is not None and middle.offsets is not None:
            assert np.array_equal(found.offsets, middle.offsets)
        assert np.array_equal(weights.load("middle.weight"), middle.values())
        assert weights.storage_dtype("middle.weight") == "f32"
        assert weights.stored_type("middle.weight") == str(middle.format)
        for name, values in floats.items():
            assert np.array_equal(weights.load(name), values)
            assert weights.storage_dtype(name) == dtype and weights.quantized(name) is None


@given(st.integers(1, 5), st.integers(1, 9), st.integers(0, 2**32))
def test_nibbles(rows: int, pairs: int, seed: int) -> None:
    q = np.random.default_rng(seed).integers(-8, 8, (rows, 2 * pairs)).astype(np.int8)
    packed = pack_i4(q, NIBBLES)
    assert packed.shape == (rows, pairs)
    assert np.array_equal(unpack_i4(packed, NIBBLES), q)
    for row, column in np.ndindex(*q.shape):
        assert (int(packed[row, column // 2]) >> 4 * (column % 2) & 15) - 8 == q[row, column]


def sample(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    q = rng.integers(-7, 8, (4, 64)).astype(np.int8)
    write(folder, Quantized(WeightFormat.of("i4-g32"), q, np.ones((4, 2), np.float16)), "f32", 1 << 30)
    return folder / "out"


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_changed_bytes_load_or_are_refused(data: st.DataObject) -> None:
    """Any damage to the record or to the head of the tensors gives a FrontendError or other numbers, nothing else."""
    with TemporaryDirectory() as text:
        out = sample(Path(text))
        path = out / data.draw(st.sampled_from([RECORD_FILE, "model.safetensors"]))
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 3))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(
            bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
        )
        try:
            weights = load_program(out).weights
            for name in weights.names():
                weights.load(name)
                weights.quantized(name)
        except FrontendError as error:
            assert error.headline()


@pytest.mark.parametrize("part", ["q", "scales"])
def test_blocks_with_nan_are_refused(part: str, tmp_path: Path) -> None:
    q, scales = np.zeros((4, 64), np.uint8), np.full((4, 2), 127, np.uint8)
    (q if part == "q" else scales)[3, 1] = 0x7F if part == "q" else 0xFF
    write(tmp_path, Quantized(WeightFormat.of("e4m3-g32"), q, scales), "f32", 1 << 30)
    weights = load_program(tmp_path / "out").weights
    with pytest.raises(FrontendError, match='the blocks of weight "middle.weight" hold NaN'):
        weights.quantized("middle.weight")


def edit_record(out: Path, **changes: object) -> None:
    record = json.loads((out / RECORD_FILE).read_text())
    (out / RECORD_FILE).write_text(json.dumps({**record, **changes}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "version: Input should be 1, found 2"),
        ({"surprise": 1}, "surprise: Extra inputs are not permitted, found 1"),
        ({"method": 5}, "method: Input should be a valid string, found 5"),
        ({"formats": {"middle.weight": "i3"}}, 'weight "middle.weight": there is no weight format .*i3'),
        ({"formats": {"middle.weight": "bf16"}}, 'weight "middle.weight": expected a quantised format, found bf16'),
        ({"formats": {"midle.weight": "i8"}}, 'the model has no weight "midle.weight"'),
        ({"formats": {"middle.bias": "i8"}}, 'weight "middle.bias" of shape .4. is no matrix and has no format i8'),
        ({"formats": {"head.weight": "i8-g32"}}, 'weight "head.weight": groups of 32 do not divide its 4 columns'),
        ({"formats": {"middle.weight": "i8"}}, 'tensor "middle.weight.q": expected I8 .4, 64., found U8 .4, 32.'),
        (
            {"formats": {"middle.weight": "i4-g64"}},
            'tensor "middle.weight.scales": expected F16 .4, 1., found F16 .4, 2.',
        ),
        ({"formats": {"middle.weight": "i4-g32-zp"}}, 'tensor "middle.weight.offsets" is missing, expected F16 .4, 2.'),
        ({"formats": {}}, 'tensor "middle.weight" is missing, expected F32 or F16 or BF16 .4, 64.'),
        ({"aliases": {"head.weight": "middle.bias"}}, 'weight "head.weight" is .5, 4., and shares "middle.bias": .4.'),
        (
            {"aliases": {"middle.weight": "middle.weight"}},
            'weight "middle.weight" shares "middle.weight", which shares',
        ),
    ],
)
def test_records_that_do_not_fit(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    out = sample(tmp_path)
    edit_record(out, **changes)
    with pytest.raises(FrontendError, match=message):
        load_program(out)


def test_a_tensor_that_belongs_to_nothing(tmp_path: Path) -> None:
    out = sample(tmp_path)
    path = out / "model.safetensors"
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    header["stray"] = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
    with pytest.raises(FrontendError, match='tensor "stray" belongs to no weight of the model'):
        load_program(out)


def test_numbers_that_cannot_be(tmp_path: Path) -> None:
    q = np.ones((4, 64), np.int8)
    scales = np.ones(4, np.float32)
    scales[2] = np.nan
    for number, (form, values, message) in enumerate(
        [
            ("i8", scales, "middle.weight.scales.* holds NaN or infinity"),
            ("i8-s24", np.ones(4, np.float32), "is not sparse"),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        write(folder, Quantized(WeightFormat.of(form), q, values), "f32", 1 << 30)
        weights = load_program(folder / "out").weights
        for read in (weights.load, weights.quantized):
            with pytest.raises(FrontendError, match=message):
                read("middle.weight")


def test_an_unfinished_directory_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    with (
        pytest.raises(ValueError, match="16 bytes of the tensors were not written"),
        QuantizedDirectory(tmp_path / "out", source, {"a": (4,)}, {}, {"a": "f32"}) as directory,
    ):
        directory.finish(QuantizationRecord(version=1, scheme="s", method="m", formats={}))
    assert [path.name for path in tmp_path.iterdir()] == ["source"]

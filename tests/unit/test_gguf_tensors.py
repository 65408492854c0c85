"""Tensors of GGUF files: every block type against scalar Python, slices, what stays mapped, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from frontends import FrontendError
from frontends.gguf import checkpoint as checkpoint_module
from frontends.gguf.checkpoint import BLOCK_TYPES, GgufCheckpoint
from frontends.gguf.header import read_header
from tests.unit.gguf_blocks import DEQUANTISE

Type = gguf.GGMLQuantizationType


def open_tensors(path: Path, tensors: dict[str, tuple[NDArray[Any], Type]]) -> GgufCheckpoint:
    """A GGUF file with these tensors and nothing else."""
    writer = gguf.GGUFWriter(path, "llama")
    for name, (data, kind) in tensors.items():
        writer.add_tensor(name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return GgufCheckpoint(read_header(path))


def random_rows(kind: Type, rows: int, blocks: int, seed: int = 0) -> NDArray[np.uint8]:
    """Rows of random blocks whose f16 scales are finite."""
    size_bytes = gguf.GGML_QUANT_SIZES[kind][1]
    data = np.random.default_rng(seed).integers(0, 256, (rows, blocks * size_bytes), np.uint8)
    data[(data & 0x7C) == 0x7C] ^= 0x40
    return data


@pytest.mark.parametrize("name", sorted(DEQUANTISE))
def test_blocks_against_scalar_python(name: str, tmp_path: Path) -> None:
    kind = Type[name]
    elements, size_bytes = gguf.GGML_QUANT_SIZES[kind]
    data = random_rows(kind, 5, 2)
    tensors = open_tensors(tmp_path / "a.gguf", {"w.weight": (data, kind)})
    expected = [
        [
            value
            for start in range(0, len(row), size_bytes)
            for value in DEQUANTISE[name](row[start : start + size_bytes])
        ]
        for row in (bytes(row) for row in data)
    ]
    found = tensors.load_tensor("w.weight")
    assert found.shape == (5, 2 * elements)
    np.testing.assert_allclose(found, np.array(expected), rtol=3e-6, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["F32", "F16", "BF16"])
def test_plain_types(name: str, tmp_path: Path) -> None:
    values = np.array([[1.0, -2.5, 2.0**-15], [0.5, 448.0, -0.0]], np.float32)
    kind = Type[name]
    tensors = open_tensors(tmp_path / "a.gguf", {"w": (gguf.quantize(values, kind), kind)})
    assert np.array_equal(tensors.load_tensor("w").view(np.uint32), values.view(np.uint32))
    assert tensors.tensor_type("w") == name


def test_f32_stays_mapped(tmp_path: Path) -> None:
    tensors = open_tensors(tmp_path / "a.gguf", {"w": (np.ones((3, 4), np.float32), Type.F32)})
    loaded = tensors.load_tensor("w")
    assert not loaded.flags.owndata and not loaded.flags.writeable


@pytest.mark.parametrize("name", ["F32", "F16", "Q4_0", "Q4_K"])
def test_items_of_the_first_dimension(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An expert is read without dequantising the others."""
    kind = Type[name]
    whole = np.random.default_rng(1).standard_normal((4, 6, 256)).astype(np.float32)
    data = random_rows(kind, 24, 1).reshape(4, 6, -1) if name == "Q4_K" else gguf.quantize(whole, kind)
    tensors = open_tensors(tmp_path / "a.gguf", {"w": (data, kind)})
    expected = tensors.load_tensor("w")
    assert expected.shape == (4, 6, 256)
    seen: list[int] = []
    original = checkpoint_module.dequantize
    monkeypatch.setattr(
        checkpoint_module, "dequantize", lambda rows, kind: (seen.append(len(rows)), original(rows, kind))[1]
    )
    assert np.array_equal(tensors.load_rows("w", 2, 3), expected[2:3])
    assert np.array_equal(tensors.load_rows("w", 1, 4), expected[1:4])
    assert sum(seen) in (0, 6 + 18)


def test_chunks_join(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = open_tensors(tmp_path / "a.gguf", {"w": (random_rows(Type.Q5_1, 23, 2), Type.Q5_1)})
    expected = tensors.load_tensor("w")
    monkeypatch.setattr(checkpoint_module, "CHUNK_ELEMENTS", 5 * 64)
    assert np.array_equal(tensors.load_tensor("w").view(np.uint32), expected.view(np.uint32))


@pytest.mark.parametrize(
    ("name", "form"), [("Q8_0", "i8-g32"), ("Q4_0", "i4-g32"), ("Q4_1", "i4-g32-zp"), ("MXFP4", "e2m1-g32")]
)
def test_integers_of_blocks_have_the_dequantised_values(name: str, form: str, tmp_path: Path) -> None:
    kind = Type[name]
    data = random_rows(kind, 21, 3).reshape(7, 3, -1)
    tensors = open_tensors(tmp_path / "a.gguf", {"v": (np.zeros(5, np.float32), Type.F32), "w": (data, kind)})
    assert str(tensors.integer_format("w")) == form
    assert tensors.integer_format("v") is None
    whole = tensors.load_tensor("w").reshape(21, 96)
    for first, last in ((0, 7), (2, 6), (6, 7)):
        found = tensors.load_integers("w", first, last)
        expected = whole[3 * first : 3 * last]
        assert str(found.format) == form
        values = found.values() + np.float32(0)  # the package has no -0 in MXFP4
        assert np.array_equal(values.view(np.uint32), (expected + np.float32(0)).view(np.uint32))
    head = np.ascontiguousarray(data.reshape(21, 3, -1)[..., :2])
    scales = head[..., 0] if name == "MXFP4" else head.view(np.float16)[..., 0]
    assert np.array_equal(tensors.load_integers("w", 0, 7).scales, scales)


@pytest.mark.parametrize("name", sorted(set(BLOCK_TYPES) - set(DEQUANTISE)))
def test_other_types_of_the_package_load(name: str, tmp_path: Path) -> None:
    """Nothing here judges their values; they must not fail."""
    tensors = open_tensors(tmp_path / "a.gguf", {"w": (random_rows(Type[name], 3, 2), Type[name])})
    assert tensors.load_tensor("w").shape == (3, 2 * gguf.GGML_QUANT_SIZES[Type[name]][0])


@pytest.mark.parametrize("name", ["I32", "F64", "NVFP4", "Q8_K"])
def test_types_that_weights_cannot_have(name: str, tmp_path: Path) -> None:
    kind = Type[name]
    data = random_rows(kind, 2, 1)
    typed = {"I32": np.int32, "F64": np.float64}.get(name)
    tensors = open_tensors(tmp_path / "a.gguf", {"w": (data.view(typed) if typed else data, kind)})
    with pytest.raises(FrontendError, match=f'tensor "w" has the type {name}, weights have F32, F16, BF16, Q4_0'):
        tensors.load_tensor("w")


def test_infinite_scales_are_no_failure(tmp_path: Path) -> None:
    data = np.full((1, 18), 0x7C, np.uint8)
    tensors = open_tensors(tmp_path / "a.gguf", {"w": (data, Type.Q4_0)})
    assert tensors.load_tensor("w").shape == (1, 32)

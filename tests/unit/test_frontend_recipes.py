"""Recipes against direct NumPy formulas, stored types, sharded = single."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from frontends import load_program
from frontends.weights.checkpoint import open_checkpoint

D, H, HD, F, V = 8, 2, 4, 12, 10
Tensors = dict[str, NDArray[Any]]

MODEL = """
architecture recipes for "recipes"
config {
  d = 8
  H = 2
  hd = 4
  f = 12
  V = 10
}
weights {
  embed: embedding(V, d)
  layers[i < 2] {
    norm: rms_norm(d, 1e-5)
    q, k, v: linear(d -> [H, hd], bias=true)
    o: linear([H, hd] -> d)
    up: linear(d -> f)
    down: linear(f -> d)
  }
  head: linear(d -> V)
}
def forward(tokens: [T]) {
  x = embed(tokens)
  for i in layers {
    h = norm(x)
    x += o(attention(q(h), k(h), v(h))) + down(relu(up(h)))
  }
  return head(x)
}
checkpoint hf {
  embed = "old.embed" ?? "embed"
  layers[i] = "none.{i}" ?? "h.{i}" {
    norm = -exp("norm") * 2 - 1
    q, k, v = split(transpose("qkv"), per=QKV_BLOCKS)
    o = O_SOURCE
    up = ["up.{j}" for j in 0..3]
    down = "experts"[i]
  }
  head = embed
}
"""


def write_safetensors(path: Path, tensors: Tensors) -> None:
    """The format as documented: header length, header, tensors."""
    names = {"float32": "F32", "float16": "F16", "uint16": "BF16"}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, tensor in tensors.items():
        content = tensor.tobytes()
        offsets = [len(data), len(data) + len(content)]
        header[name] = {"dtype": names[str(tensor.dtype)], "shape": list(tensor.shape), "data_offsets": offsets}
        data += content
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def _tensors(generator: np.random.Generator) -> Tensors:
    def normal(*shape: int) -> NDArray[np.float32]:
        return generator.standard_normal(shape).astype(np.float32)

    tensors: Tensors = {"embed.weight": normal(V, D)}
    for i in range(2):
        tensors |= {
            f"h.{i}.norm.weight": normal(D),
            f"h.{i}.qkv.weight": normal(D, 3 * H * HD),
            f"h.{i}.qkv.bias": normal(3 * H * HD),
            f"h.{i}.o.weight": normal(D, H * HD),
            f"h.{i}.experts.weight": normal(2, D, F),
        }
        tensors |= {f"h.{i}.up.{j}.weight": normal(4, D) for j in range(3)}
    return tensors


def _directory(path: Path, tensors: Tensors, blocks: int = 1, o_source: str = '"o"') -> Path:
    (path / "config.json").write_text('{"model_type": "recipes"}')
    text = MODEL.replace("QKV_BLOCKS", str(blocks)).replace("O_SOURCE", o_source)
    (path / "model.slm").write_text(text)
    write_safetensors(path / "model.safetensors", tensors)
    return path


def test_split_of_a_transposed_matrix(tmp_path: Path) -> None:
    tensors = _tensors(np.random.default_rng(0))
    weights = load_program(_directory(tmp_path, tensors)).weights
    fused, bias = tensors["h.1.qkv.weight"], tensors["h.1.qkv.bias"]
    for position, name in enumerate("qkv"):
        rows = slice(position * H * HD, (position + 1) * H * HD)
        assert np.array_equal(weights.load(f"layers.1.{name}.weight"), fused.T[rows])
        assert np.array_equal(weights.load(f"layers.1.{name}.bias"), bias[rows])


def test_split_per_head(tmp_path: Path) -> None:
    """Stored [q_0, k_0, v_0, q_1, ...]."""
    tensors = _tensors(np.random.default_rng(1))
    weights = load_program(_directory(tmp_path, tensors, blocks=H)).weights
    rows = tensors["h.0.qkv.weight"].T
    for position, name in enumerate("qkv"):
        expected = [rows[(3 * head + position) * HD + j] for head in range(H) for j in range(HD)]
        assert np.array_equal(weights.load(f"layers.0.{name}.weight"), np.stack(expected))


@pytest.mark.parametrize("dim", [HD, 2])
def test_pairs_to_halves(tmp_path: Path, dim: int) -> None:
    """Stored row 2j + s of a head is row s * dim / 2 + j of the declared weight; rows from dim on stay."""
    tensors = _tensors(np.random.default_rng(2))
    weights = load_program(_directory(tmp_path, tensors, o_source=f'pairs_to_halves("o", H, dim={dim})')).weights
    stored, loaded = tensors["h.0.o.weight"], weights.load("layers.0.o.weight")
    rows = D // H
    for head in range(H):
        for row in range(rows):
            target = (row % 2) * dim // 2 + row // 2 if row < dim else row
            assert np.array_equal(loaded[head * rows + target], stored[head * rows + row])


def test_elementwise_stack_slice_and_alias(tmp_path: Path) -> None:
    tensors = _tensors(np.random.default_rng(3))
    weights = load_program(_directory(tmp_path, tensors)).weights
    expected = -np.exp(tensors["h.0.norm.weight"]) * np.float32(2) - np.float32(1)
    assert np.allclose(weights.load("layers.0.norm.weight"), expected, rtol=1e-6)
    assert weights.storage_dtype("layers.0.norm.weight") == "f32"
    up = np.concatenate([tensors[f"h.1.up.{j}.weight"] for j in range(3)])
    assert np.array_equal(weights.load("layers.1.up.weight"), up)
    assert np.array_equal(weights.load("layers.1.down.weight"), tensors["h.1.experts.weight"][1])
    assert weights.alias_of("head.weight") == "embed.weight"
    assert np.array_equal(weights.load("head.weight"), tensors["embed.weight"])


@pytest.mark.parametrize("blocks", [1, H])
@pytest.mark.parametrize("is_transposed", [False, True])
def test_rows_are_those_of_the_whole_matrix(tmp_path: Path, blocks: int, is_transposed: bool) -> None:
    """Of stored, fused, stacked and tied matrices, whether they are read by parts or whole."""
    tensors = _tensors(np.random.default_rng(5))
    directory = _directory(tmp_path, tensors, blocks)
    if not is_transposed:
        for i in range(2):
            tensors[f"h.{i}.qkv.weight"] = np.ascontiguousarray(tensors[f"h.{i}.qkv.weight"].T)
        write_safetensors(directory / "model.safetensors", tensors)
        text = (directory / "model.slm").read_text().replace('transpose("qkv")', '"qkv"')
        (directory / "model.slm").write_text(text)
    weights = load_program(directory).weights
    matrices = [name for name in weights.names() if len(weights.shape(name)) == 2]
    assert {"layers.1.k.weight", "layers.0.up.weight", "head.weight"} <= set(matrices)
    for name in matrices:
        whole, rows = weights.load(name), weights.rows_of(name)
        for part in (slice(0, len(whole)), slice(2, 5), slice(len(whole) - 3, len(whole) + 5)):
            assert np.array_equal(rows(part), whole[part]), (name, part)


def test_one_item_of_a_stored_tensor(tmp_path: Path) -> None:
    """Of a tensor with all experts one is read, in every type; f32 stays a view."""
    values = np.random.default_rng(4).standard_normal((5, 2, 3)).astype(np.float32)
    bfloat16 = (values.view(np.uint32) >> 16).astype(np.uint16)
    tensors = {"a": values, "b": values.astype(np.float16), "c": bfloat16}
    write_safetensors(tmp_path / "model.safetensors", tensors)
    checkpoint = open_checkpoint(tmp_path)
    for name in tensors:
        whole = checkpoint.load_tensor(name)
        assert all(
            np.array_equal(checkpoint.load_rows(name, item, item + 1), whole[item : item + 1]) for item in range(5)
        )
    assert not checkpoint.load_rows("a", 3, 4).flags.owndata


def test_stored_types(tmp_path: Path) -> None:
    """f32 is a view of the mapped file; f16 and bf16 convert exactly."""
    values = np.array([1.0, -2.5, 3.0e-5, 65504.0], np.float32)
    bfloat16 = (values.view(np.uint32) >> 16).astype(np.uint16)
    write_safetensors(tmp_path / "model.safetensors", {"a": values, "b": values.astype(np.float16), "c": bfloat16})
    checkpoint = open_checkpoint(tmp_path)
    assert np.array_equal(checkpoint.load_tensor("a"), values)
    assert not checkpoint.load_tensor("a").flags.owndata
    assert not checkpoint.load_tensor("a").flags.writeable
    assert np.array_equal(checkpoint.load_tensor("b"), values.astype(np.float16).astype(np.float32))
    assert np.array_equal(checkpoint.load_tensor("c").view(np.uint32), bfloat16.astype(np.uint32) << 16)
    assert [checkpoint.tensor_type(name) for name in "abc"] == ["F32", "F16", "BF16"]


def test_sharded_equals_single(tmp_path: Path) -> None:
    tensors = _tensors(np.random.default_rng(4))
    single, sharded = tmp_path / "single", tmp_path / "sharded"
    for directory in (single, sharded):
        directory.mkdir()
        _directory(directory, tensors)
    (sharded / "model.safetensors").unlink()
    names = list(tensors)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for shard, members in shards.items():
        write_safetensors(sharded / shard, {name: tensors[name] for name in members})
    index = {"metadata": {}, "weight_map": {name: shard for shard, members in shards.items() for name in members}}
    (sharded / "model.safetensors.index.json").write_text(json.dumps(index))
    one, two = load_program(single).weights, load_program(sharded).weights
    assert one.names() == two.names()
    for name in one.names():
        assert one.shape(name) == two.shape(name)
        assert np.array_equal(one.load(name), two.load(name))

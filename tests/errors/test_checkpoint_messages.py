"""Messages for wrong checkpoints: missing, misshapen and unused tensors, broken safetensors files and shards."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from frontends import FrontendError, load_program
from frontends.weights.safetensors import SafetensorsFile

CONFIG = {
    "model_type": "llama", "vocab_size": 32, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "num_key_value_heads": 1, "intermediate_size": 24, "max_position_embeddings": 64,
}  # fmt: skip
LAYER = "model.layers.0."
SHAPES: dict[str, list[int]] = {
    "model.embed_tokens.weight": [32, 16], "model.norm.weight": [16], "lm_head.weight": [32, 16],
    LAYER + "input_layernorm.weight": [16], LAYER + "post_attention_layernorm.weight": [16],
    LAYER + "self_attn.q_proj.weight": [16, 16], LAYER + "self_attn.k_proj.weight": [8, 16],
    LAYER + "self_attn.v_proj.weight": [8, 16], LAYER + "self_attn.o_proj.weight": [16, 16],
    LAYER + "mlp.gate_proj.weight": [24, 16], LAYER + "mlp.up_proj.weight": [24, 16],
    LAYER + "mlp.down_proj.weight": [16, 24],
}  # fmt: skip
K_PROJ = LAYER + "self_attn.k_proj.weight"
SHARD = "model-00001-of-00001.safetensors"


def _write(path: Path, shapes: dict[str, list[int]], dtypes: dict[str, str] | None = None) -> None:
    """Zeros of these shapes, F32 unless `dtypes` says otherwise (4 bytes an element in any case)."""
    header: dict[str, Any] = {}
    end = 0
    for name, shape in shapes.items():
        size_bytes = 4
        for dimension in shape:
            size_bytes *= dimension
        dtype = (dtypes or {}).get(name, "F32")
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size_bytes]}
        end += size_bytes
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(end))


def _directory(path: Path, changes: dict[str, list[int] | None], config: dict[str, Any] | None = None) -> Path:
    (path / "config.json").write_text(json.dumps({**CONFIG, **(config or {})}))
    shapes = {name: shape for name, shape in {**SHAPES, **changes}.items() if shape is not None}
    _write(path / "model.safetensors", shapes)
    return path


def _error(path: Path) -> FrontendError:
    with pytest.raises(FrontendError) as caught:
        load_program(path)
    return caught.value


def test_the_checkpoint_is_right(tmp_path: Path) -> None:
    assert len(load_program(_directory(tmp_path, {})).weights.names()) == len(SHAPES)


def test_missing_tensor(tmp_path: Path) -> None:
    error = _error(_directory(tmp_path, {K_PROJ: None}))
    assert error.headline() == (
        'llama.slm:52:5: error: tensor "model.layers.0.self_attn.k_proj.weight" (for "k") is not in the checkpoint'
    )
    assert error.hint == 'did you mean "model.layers.0.self_attn.v_proj.weight"?'


def test_wrong_shape(tmp_path: Path) -> None:
    error = _error(_directory(tmp_path, {K_PROJ: [4, 16]}))
    assert error.headline() == (
        'llama.slm:28:5: error: "k" is linear(d -> [G, hd], bias=attn_bias): [8, 16], '
        'but tensor "model.layers.0.self_attn.k_proj.weight" is [4, 16]'
    )


def test_transposed_shape(tmp_path: Path) -> None:
    """The same number of elements is not enough."""
    error = _error(_directory(tmp_path, {LAYER + "mlp.down_proj.weight": [24, 16]}))
    assert error.message == (
        '"down" is linear(f -> d, bias=mlp_bias): [16, 24], '
        'but tensor "model.layers.0.mlp.down_proj.weight" is [24, 16]'
    )


def test_wrong_bias(tmp_path: Path) -> None:
    biases: dict[str, list[int] | None] = {
        f"{LAYER}self_attn.{name}_proj.bias": [16 if name in "qo" else 8] for name in "qkvo"
    }
    biases[LAYER + "self_attn.v_proj.bias"] = [9]
    error = _error(_directory(tmp_path, biases, {"attention_bias": True}))
    assert error.message == (
        '"v" is the bias of linear(d -> [G, hd], bias=attn_bias): [8], '
        'but tensor "model.layers.0.self_attn.v_proj.bias" is [9]'
    )


def test_unused_tensors(tmp_path: Path) -> None:
    changes: dict[str, list[int] | None] = {f"extra.{index}": [index] for index in range(7)}
    changes["model.layers.0.self_attn.rotary_emb.inv_freq"] = [4]
    error = _error(_directory(tmp_path, changes))
    assert error.headline() == (
        f'{tmp_path}: error: tensors "extra.0" [0], "extra.1" [1], "extra.2" [2], "extra.3" [3], "extra.4" [4] '
        "and 2 more: not used by llama.slm"
    )
    notes = load_program(tmp_path, allow_unread=True).notes
    assert notes == [error.remark()]


def test_unused_bias(tmp_path: Path) -> None:
    """A bias that the config does not announce is reported, not dropped."""
    error = _error(_directory(tmp_path, {LAYER + "self_attn.q_proj.bias": [16]}))
    assert error.message == 'tensor "model.layers.0.self_attn.q_proj.bias" [16]: not used by llama.slm'


def test_weights_of_another_type(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    _write(tmp_path / "model.safetensors", SHAPES, {K_PROJ: "I32"})
    assert _error(tmp_path).message == (
        'tensor "model.layers.0.self_attn.k_proj.weight" (for "k") has the type I32, weights have F32, F16, BF16'
    )


def test_split_rows(tmp_path: Path) -> None:
    """A fused tensor whose rows are not the sum of its parts."""
    _own_model(tmp_path, 'q, k = split("qk")', {"qk.weight": [9, 8]})
    error = _error(tmp_path)
    assert error.headline() == 'own.slm:17:10: error: "qk.weight" has 9 rows, its parts need 4 + 4 = 8'


def test_split_blocks(tmp_path: Path) -> None:
    _own_model(tmp_path, 'q, k = split("qk", per=3)', {"qk.weight": [8, 8]})
    assert _error(tmp_path).message == "split: [4, 4] rows cannot be divided into 3 equal blocks"


def test_pairs_of_odd_heads(tmp_path: Path) -> None:
    _own_model(tmp_path, 'q, k = pairs_to_halves("{}", 3)', {"q.weight": [4, 8], "k.weight": [4, 8]})
    assert _error(tmp_path).message == "a tensor of shape [4, 8] does not have 3 heads"


def test_slice_outside(tmp_path: Path) -> None:
    _own_model(tmp_path, 'q, k = "{}"[2]', {"q.weight": [2, 4, 8], "k.weight": [2, 4, 8]})
    assert _error(tmp_path).message == "index 2 of a tensor of shape [2, 4, 8]"


def test_stored_as_itself(tmp_path: Path) -> None:
    _own_model(tmp_path, "q = k\n  k = q", {})
    assert _error(tmp_path).message == '"q" is stored as itself'


def _own_model(directory: Path, row: str, shapes: dict[str, list[int]]) -> None:
    (directory / "config.json").write_text('{"model_type": "own"}')
    (directory / "own.slm").write_text(f"""architecture own for "own"
weights {{
  embed: embedding(10, 8)
  q, k: linear(8 -> 4)
  head: linear(4 -> 10)
}}

def forward(tokens: [T]) {{
  x = embed(tokens)
  y = q(x) + k(x)
  return head(y)
}}

checkpoint hf {{
  embed = "embed"
  head = "head"
  {row}
}}
""")
    _write(directory / "model.safetensors", {"embed.weight": [10, 8], "head.weight": [10, 4], **shapes})


def test_only_pickled_weights(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x02.")
    error = _error(tmp_path)
    assert error.message == "holds only pickled weights (pytorch_model.bin), which can run code when they are loaded"
    assert "save_pretrained('NEW_DIRECTORY', safe_serialization=True)" in str(error.hint)


def test_no_weights(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    assert _error(tmp_path).message == "there is no safetensors file in this directory"


INDEX_CASES: list[tuple[Any, str]] = [
    ([], "must hold a JSON object, found []"),
    ({}, "weight_map must be a record of tensor names, found null"),
    ({"weight_map": {}}, "weight_map must be a record of tensor names, found {}"),
    *(
        (
            {"weight_map": {"x": shard}},
            f'tensor "x": the shard must be the plain name of a .safetensors file, found {json.dumps(shard)}',
        )
        for shard in ("../x.safetensors", "/x.safetensors", "a/x.safetensors", ".x.safetensors", "x.bin", 3)
    ),
    ({"weight_map": {"x": "gone.safetensors"}},
     'shard "gone.safetensors" (for tensor "x") is not in the directory'),
    ({"weight_map": {name: SHARD for name in [*SHAPES, "x"]}}, f'tensor "x" is not in its shard "{SHARD}"'),
    ({"weight_map": {name: SHARD for name in SHAPES if name != K_PROJ}},
     f'tensor "{K_PROJ}" of shard "{SHARD}" is not in the index'),
]  # fmt: skip


@pytest.mark.parametrize(("index", "message"), INDEX_CASES)
def test_wrong_index(index: Any, message: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    _write(tmp_path / SHARD, SHAPES)
    error = _error(tmp_path)
    assert error.message == message
    assert error.file == str(tmp_path / "model.safetensors.index.json")


ENTRY = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
HEADER_CASES: list[tuple[Any, str]] = [
    ([], "must hold a JSON object, found []"),
    ({"a": 3}, 'tensor "a": the header entry must be an object, found 3'),
    ({"a": {"dtype": "F32"}}, 'tensor "a" must have dtype, shape and data_offsets, found ["dtype"]'),
    ({"a": {**ENTRY, "dtype": "Q4"}}, 'tensor "a" has the unknown type "Q4"'),
    ({"a": {**ENTRY, "dtype": 4}}, 'tensor "a" has the unknown type 4'),
    ({"a": {**ENTRY, "shape": [2, -3]}}, 'tensor "a": shape must be a list of integers, found [2, -3]'),
    ({"a": {**ENTRY, "shape": [2, True]}}, 'tensor "a": shape must be a list of integers, found [2, true]'),
    ({"a": {**ENTRY, "shape": "x"}}, 'tensor "a": shape must be a list of integers, found "x"'),
    ({"a": {**ENTRY, "shape": [1] * 9}}, 'tensor "a" has 9 dimensions, the largest accepted is 8'),
    ({"a": {**ENTRY, "data_offsets": [24]}}, 'tensor "a": data_offsets must be two integers, found [24]'),
    ({"a": {**ENTRY, "data_offsets": [24, 0]}},
     'tensor "a": data_offsets are outside of the file, found [24, 0] of 24 bytes'),
    ({"a": {**ENTRY, "data_offsets": [1, 25]}},
     'tensor "a": data_offsets are outside of the file, found [1, 25] of 24 bytes'),
    ({"a": {**ENTRY, "shape": [2, 2]}}, 'tensor "a": [2, 2] of F32 needs 16 bytes, found 24'),
    ({"a": {**ENTRY, "shape": [2**62, 2**62]}},
     f'tensor "a": [{2**62}, {2**62}] of F32 needs {2**126} bytes, found 24'),
    ({"a": ENTRY, "b": {**ENTRY, "shape": [1], "data_offsets": [20, 24]}}, 'tensors "a" and "b" overlap'),
]  # fmt: skip


@pytest.mark.parametrize(("header", "message"), HEADER_CASES)
def test_wrong_header(header: Any, message: str, tmp_path: Path) -> None:
    text = json.dumps(header).encode()
    assert _file_error(tmp_path, struct.pack("<Q", len(text)) + text + bytes(24)).message == message


def test_duplicate_name(tmp_path: Path) -> None:
    entry = json.dumps(ENTRY)
    text = f'{{"a": {entry}, "a": {entry}}}'.encode()
    error = _file_error(tmp_path, struct.pack("<Q", len(text)) + text + bytes(24))
    assert error.message == 'is not valid JSON: the name "a" appears twice'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a safetensors file: it has 0 bytes"),
        (bytes(7), "is not a safetensors file: it has 7 bytes"),
        (bytes(8), "is not valid JSON: Expecting value"),
        (struct.pack("<Q", 100), "is cut off: the header has 100 bytes, the file 8"),
        (struct.pack("<Q", 2**63), f"the header has {2**63} bytes, the largest accepted is {16 << 20}"),
    ],
)
def test_wrong_start(content: bytes, message: str, tmp_path: Path) -> None:
    assert _file_error(tmp_path, content).message == message


def _file_error(directory: Path, content: bytes) -> FrontendError:
    path = directory / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(FrontendError) as caught:
        SafetensorsFile(path)
    assert caught.value.file.startswith(str(path))
    return caught.value

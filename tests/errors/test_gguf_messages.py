"""Messages for wrong GGUF files: header, metadata, tensors, models that are not whole or not known, vocabularies."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from frontends import FrontendError, load_program
from frontends.gguf.header import read_header
from frontends.gguf.text import read_text_files
from tests.golden.gguf_converter import convert
from tests.unit.gguf_vocabularies import write_byte_level, write_sentencepiece
from tests.unit.test_golden_data import read_config, read_weights

U32, STRING, ARRAY = 4, 8, 9
F32, Q4_0 = 0, 2


def text(value: str | bytes) -> bytes:
    content = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(content)) + content


def entry(key: str, kind: int, content: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + content


def tensor(name: str, shape: tuple[int, ...], kind: int = F32, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def content_of(metadata: list[bytes], tensors: list[bytes], data_bytes: int = 0, version: int = 3) -> bytes:
    header = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata)) + b"".join(metadata + tensors)
    return header + bytes(-len(header) % 32) + bytes(data_bytes)


def error_of(content: bytes, path: Path) -> FrontendError:
    file = path / "a.gguf"
    file.write_bytes(content)
    with pytest.raises(FrontendError) as caught:
        read_header(file)
    assert caught.value.file == str(file)
    return caught.value


NAME = entry("general.architecture", STRING, text("llama"))
CASES: list[tuple[bytes, str]] = [
    (b"", 'is not a GGUF file: it starts with ""'),
    (b"GGML" + bytes(40), 'is not a GGUF file: it starts with "GGML"'),
    (b"GGUF", "is cut off in the version: the file has 4 bytes"),
    (b"GGUF" + struct.pack(">I", 3) + bytes(16), "is a big-endian GGUF file, which is not supported"),
    (content_of([], [], version=1), "is GGUF version 1, known are 2 and 3"),
    (b"GGUF" + struct.pack("<IQQ", 3, 2**40, 0), f"has {2**40} tensors, the largest number accepted is 65536"),
    (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**40), f"has {2**40} metadata, the largest number accepted is 65536"),
    (b"GGUF" + struct.pack("<IQQ", 3, 0, 1), "is cut off in a metadata key: the file has 24 bytes"),
    (content_of([struct.pack("<Q", 2**50)], []), f"a metadata key at byte 32 is a string of {2**50} bytes, at most 4096"),
    (content_of([text(b"\xff") + bytes(8)], []), "a metadata key at byte 24 is not UTF-8 text"),
    (content_of([NAME, NAME], []), 'metadata "general.architecture" appears twice'),
    (content_of([entry("a", 77, b"")], []), 'metadata "a" at byte 37 has the unknown type 77'),
    (content_of([entry("a", STRING, text(b"\xff"))], []), 'metadata "a" at byte 37 is not UTF-8 text'),
    (content_of([entry("a", ARRAY, struct.pack("<IQ", ARRAY, 1))], []), 'metadata "a" at byte 49 has the unknown type 9'),
    (content_of([entry("a", ARRAY, struct.pack("<IQ", 12, 9))], []),
     'is cut off in metadata "a": the file has 64 bytes'),
    (content_of([entry("general.alignment", U32, struct.pack("<I", 12))], []),
     "general.alignment must be a power of two up to 65536, found 12"),
    (content_of([entry("split.count", 2, struct.pack("<H", 3))], []), "is one of 3 parts of a model"),
    (content_of([entry("general.type", STRING, text("adapter"))], []), 'is not a model: general.type is "adapter"'),
    (content_of([], [tensor("t", (4,)), tensor("t", (4,), offset=32)], 64), 'tensor "t" appears twice'),
    (content_of([], [tensor("t", (1, 1, 1, 1, 1))], 64), 'tensor "t" has 5 dimensions, expected 1 to 4'),
    (content_of([], [tensor("t", ())], 64), 'tensor "t" has 0 dimensions, expected 1 to 4'),
    (content_of([], [tensor("t", (2, 0))], 64), 'tensor "t" has the shape [0, 2], dimensions are 1 to 2147483647'),
    (content_of([], [tensor("t", (2**40, 2))], 64),
     f'tensor "t" has the shape [2, {2**40}], dimensions are 1 to 2147483647'),
    (content_of([], [tensor("t", (4,), 99)], 64), 'tensor "t" has the unknown type 99'),
    (content_of([], [tensor("t", (48, 2), Q4_0)], 64), 'tensor "t" is [2, 48]: rows of Q4_0 are blocks of 32 elements'),
    (content_of([], [tensor("t", (4,), offset=8)], 64), 'tensor "t": offset 8 is not a multiple of 32'),
    (content_of([], [tensor("t", (4, 8))], 64),
     'tensor "t", [8, 4] of F32, lies outside of the file: it ends at byte 224 of 160'),
    (content_of([], [tensor("t", (16,)), tensor("u", (16,), offset=32)], 96), 'tensors "t" and "u" overlap'),
]  # fmt: skip


@pytest.mark.parametrize(("content", "message"), CASES)
def test_header(content: bytes, message: str, tmp_path: Path) -> None:
    assert error_of(content, tmp_path).message == message


def test_parts_are_joined_first(tmp_path: Path) -> None:
    error = error_of(content_of([entry("split.count", 2, struct.pack("<H", 3))], []), tmp_path)
    assert error.hint == "join the parts first: llama-gguf-split --merge FIRST_PART.gguf WHOLE.gguf"


def model(path: Path, name: str = "gqa", **changes: Any) -> Path:
    tensors = {key: value.astype(np.float32) for key, value in read_weights(name).items()}
    return convert(read_config(name) | changes, tensors, path / "model.gguf")


def load_error(path: Path, **options: Any) -> FrontendError:
    with pytest.raises(FrontendError) as caught:
        load_program(path, **options)
    return caught.value


def replaced(path: Path, *pairs: tuple[bytes, bytes]) -> Path:
    content = path.read_bytes()
    for old, new in pairs:
        assert len(old) == len(new) and old in content
        content = content.replace(old, new)
    path.write_bytes(content)
    return path


def test_no_architecture(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(content_of([], []))
    error = load_error(tmp_path / "a.gguf")
    assert error.message == "general.architecture must name the architecture, found null"


def test_unknown_architecture(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(content_of([entry("general.architecture", STRING, text("bert"))], []))
    error = load_error(tmp_path / "a.gguf")
    assert error.message == 'unknown model_type "bert"'
    assert "write a .slm file" in str(error.hint)


def test_missing_tensor(tmp_path: Path) -> None:
    error = load_error(replaced(model(tmp_path), (b"blk.1.attn_k.weight", b"blk.1.attn_j.weight")))
    assert 'tensor "blk.1.attn_k.weight" (for "k") is not in the checkpoint' in error.message
    assert error.file == "llama.slm"


def test_unused_tensor(tmp_path: Path) -> None:
    path = tmp_path / "b.gguf"
    tensors = {key: value.astype(np.float32) for key, value in read_weights("gqa").items()}
    convert(read_config("gqa"), tensors | {"extra.weight": np.zeros((2, 3), np.float32)}, path)
    error = load_error(path)
    assert error.message == 'tensor "extra.weight" [2, 3]: not used by llama.slm'
    assert error.file == str(path)


def test_a_tensor_of_a_type_that_weights_cannot_have(tmp_path: Path) -> None:
    types = {"blk.0.attn_v.weight": gguf.GGMLQuantizationType.I32}
    tensors = {key: value.astype(np.float32) for key, value in read_weights("gqa").items()}

    def quantize(name: str, values: Any) -> Any:
        kind = types.get(name, gguf.GGMLQuantizationType.F32)
        return values.astype(np.int32 if kind == gguf.GGMLQuantizationType.I32 else np.float32), kind

    error = load_error(convert(read_config("gqa"), tensors, tmp_path / "a.gguf", quantize))
    assert error.message.startswith(
        'tensor "blk.0.attn_v.weight" (for "v") has the type I32, weights have F32, F16, BF16'
    )


@pytest.mark.parametrize(
    ("name", "changes", "field"),
    [
        ("gqa", (b"rope.dimension_count", b"rope.dimension_couns"), ".rope.dimension_couns"),
        ("qwen3", (b"attention.value_length", b"attention.value_lengtH"), ".attention.value_lengtH"),
    ],
)
def test_metadata_that_nothing_reads(name: str, changes: tuple[bytes, bytes], field: str, tmp_path: Path) -> None:
    error = load_error(replaced(model(tmp_path, name), changes))
    assert error.message.startswith(f"config field {field}: not read by")
    assert len(load_program(tmp_path / "model.gguf", allow_unread=True).notes) == 1


def extended(path: Path, *additions: tuple[str, int, bytes]) -> Path:
    """The file with further metadata, behind those it has."""
    content = path.read_bytes()
    tensors, count = struct.unpack_from("<QQ", content, 8)
    reader = gguf.GGUFReader(path)
    start = min(tensor.field.offset for tensor in reader.tensors)
    end = reader.data_offset
    table = content[
        start : max(tensor.field.offset + sum(p.nbytes for p in tensor.field.parts) for tensor in reader.tensors)
    ]
    added = b"".join(entry(*addition) for addition in additions)
    head = b"GGUF" + struct.pack("<IQQ", 3, tensors, count + len(additions)) + content[24:start] + added + table
    path.write_bytes(head + bytes(-len(head) % 32) + content[end:])
    return path


def number(value: int) -> bytes:
    return struct.pack("<I", value)


@pytest.mark.parametrize(
    ("name", "addition", "field"),
    [
        ("gqa", ("llama.attention.sliding_window", U32, number(16)), None),
        ("olmo2", ("olmo2.attention.sliding_window", U32, number(16)), ".attention.sliding_window"),
        ("olmo2", ("olmo2.attention.sliding_window", U32, number(0)), None),
        ("gemma", ("gemma.attn_logit_softcapping", 6, struct.pack("<f", 3)), ".attn_logit_softcapping"),
        ("gqa", ("llama.expert_count", U32, number(0)), None),
        ("gqa", ("llama.attention.causal", 7, b"\0"), ".attention.causal"),
        ("gqa", ("llama.attention.causal", 7, b"\1"), None),
        ("gqa", ("llama.attention.value_length", U32, number(4)), ".attention.value_length"),
        ("gqa", ("llama.rope.scaling.type", STRING, text("none")), None),
        ("gqa", ("llama.rope.scaling.type", STRING, text("twisted")), ".rope.scaling.type"),
        ("gqa", ("llama.rope.scaling.type", STRING, text("longrope")), ".rope.scaling.type"),
        ("gqa", ("llama.rope.scaling.attn_factor", 6, struct.pack("<f", 2)), ".rope.scaling.attn_factor"),
        ("llama3_rope", ("llama.rope.scaling.factor", 6, struct.pack("<f", 2)), ".rope.scaling.factor"),
        ("gqa", ("llama.rope.scaling.finetuned", 7, b"\1"), None),
        ("phi3", ("phi3.attention.key_length", U32, number(16)), None),
        ("olmo2", ("olmo2.attention.key_length", U32, number(8)), ".attention.key_length"),
        ("qwen2", ("qwen2.rope.dimension_count", U32, number(6)), ".rope.dimension_count"),
        ("gqa", ("clip.has_vision_encoder", 7, b"\1"), ".clip"),
        ("gqa", ("general.description", STRING, text("words")), None),
    ],
)
def test_metadata_is_never_ignored(
    name: str, addition: tuple[str, int, bytes], field: str | None, tmp_path: Path
) -> None:
    """Values that change the computation are read or refused; those that say the usual are accepted."""
    path = extended(model(tmp_path, name), addition)
    if field is None:
        assert load_program(path).notes == []
    else:
        assert load_error(path).message.startswith(f"config field {field}: not read by ")


@pytest.mark.parametrize(
    ("addition", "message"),
    [
        (("llama.block_count.x", U32, number(1)), 'metadata "block_count.x" is inside of "block_count", which is a value'),
        (("llama.rope", U32, number(1)), 'metadata "rope" appears twice, as a value and otherwise'),
        (("llama.list", ARRAY, struct.pack("<IQ", 0, 70000) + bytes(70000)),
         'metadata "llama.list" has 70000 items, at most 65536'),
    ],
)  # fmt: skip
def test_metadata_that_is_no_config(addition: tuple[str, int, bytes], message: str, tmp_path: Path) -> None:
    assert load_error(extended(model(tmp_path), addition)).message == message


def test_rope_factors_must_be_a_list(tmp_path: Path) -> None:
    tensors = {key: value.astype(np.float32) for key, value in read_weights("gqa").items()}
    path = convert(
        read_config("gqa"), tensors | {"rope_freqs.weight": np.ones((2, 4), np.float32)}, tmp_path / "a.gguf"
    )
    error = load_error(path)
    assert error.message == 'tensor "rope_freqs.weight" must be a list of at most 65536 numbers, found F32 [2, 4]'


def test_a_family_without_a_table(tmp_path: Path) -> None:
    path = model(tmp_path)
    table = (
        (Path(__file__).parents[2] / "frontends" / "architectures" / "llama.slm")
        .read_text()
        .split("checkpoint gguf")[0]
    )
    path.with_suffix(".slm").write_text(table)
    error = load_error(path)
    assert error.message == "model.slm does not say how a checkpoint of format gguf stores the weights"
    assert error.hint == "known are hf; for another one, write a .slm file with a table checkpoint gguf"


def test_a_directory_with_a_gguf_file(tmp_path: Path) -> None:
    path = model(tmp_path)
    error = load_error(tmp_path)
    assert (error.message, error.hint) == (
        "there is no config.json in this directory", f"give the GGUF file itself: {path}",
    )  # fmt: skip


def vocabulary_error(path: Path) -> FrontendError:
    with pytest.raises(FrontendError) as caught:
        read_text_files(read_header(path))
    assert caught.value.file == str(path)
    return caught.value


PREFIX = "tokenizer.ggml."


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ([(PREFIX + "model", U32, number(3))], 'metadata "tokenizer.ggml.model" must be a string, found 3'),
        ([], 'metadata "tokenizer.ggml.tokens" must be an array of strings, found null'),
        ([(PREFIX + "tokens", ARRAY, struct.pack("<IQ", STRING, 1) + text(b"\xff"))],
         'metadata "tokenizer.ggml.tokens" must be an array of UTF-8 strings, found null'),
        ([(PREFIX + "tokens", ARRAY, struct.pack("<IQ", STRING, 0))], "the vocabulary has no tokens"),
        ([(PREFIX + "tokens", ARRAY, struct.pack("<IQ", STRING, 2) + text("a") + text("a"))],
         'tokens 0 and 1 of the vocabulary are both "a"'),
        ([(PREFIX + "tokens", ARRAY, struct.pack("<IQ", STRING, 1) + text("a" * 513))],
         "token 0 has 513 characters, at most 512 can be merged"),
    ],
)  # fmt: skip
def test_vocabularies(metadata: list[tuple[str, int, bytes]], message: str, tmp_path: Path) -> None:
    given = [entry(*item) for item in metadata]
    if not any(item[0] == PREFIX + "model" for item in metadata):
        given.append(entry(PREFIX + "model", STRING, text("llama")))
    (tmp_path / "a.gguf").write_bytes(content_of([NAME, *given], []))
    assert vocabulary_error(tmp_path / "a.gguf").message == message


TOKENS = (PREFIX + "tokens", ARRAY, struct.pack("<IQ", STRING, 2) + text("a") + text("b"))


@pytest.mark.parametrize(
    ("addition", "message"),
    [
        ((PREFIX + "token_type", ARRAY, struct.pack("<IQi", 5, 1, 1)),
         'metadata "tokenizer.ggml.token_type" must be an array of 2 numbers, found 1 items'),
        ((PREFIX + "scores", ARRAY, struct.pack("<IQ2f", 6, 2, 0, float("nan"))),
         'metadata "tokenizer.ggml.scores" must be an array of 2 numbers, found 2 items'),
        ((PREFIX + "eos_token_id", U32, number(2)),
         'metadata "tokenizer.ggml.eos_token_id" must be a token from 0 to 1, found 2'),
        ((PREFIX + "add_bos_token", U32, number(1)),
         'metadata "tokenizer.ggml.add_bos_token" must be true or false, found 1'),
        ((PREFIX + "add_eos_token", 7, b"\1"), "add_eos_token is true, but the file names no eos token"),
    ],
)  # fmt: skip
def test_vocabulary_metadata(addition: tuple[str, int, bytes], message: str, tmp_path: Path) -> None:
    model_kind = entry(PREFIX + "model", STRING, text("llama"))
    no_start = [] if addition[0].endswith("add_bos_token") else [entry(PREFIX + "add_bos_token", 7, b"\0")]
    metadata = [NAME, model_kind, entry(*TOKENS), entry(*addition), *no_start]
    (tmp_path / "a.gguf").write_bytes(content_of(metadata, []))
    assert vocabulary_error(tmp_path / "a.gguf").message == message


def test_a_tokenizer_of_another_kind_is_a_note(tmp_path: Path) -> None:
    path = replaced(
        write_sentencepiece(tmp_path / "a.gguf", True), (b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0bert2")
    )
    files = read_text_files(read_header(path))
    assert files.tokenizer_json is None
    assert files.notes == (
        f'{path}: the tokenizer is of the unknown kind "bert2"; known are gpt2, llama; prompts must be token ids',
    )


def test_a_chat_template_that_is_too_large(tmp_path: Path) -> None:
    template = entry("tokenizer.chat_template", STRING, text("x" * (1 << 20) + "y"))
    (tmp_path / "a.gguf").write_bytes(content_of([NAME, template], []))
    assert vocabulary_error(tmp_path / "a.gguf").message == "the chat template has more than 1048576 characters"


def test_merges_are_needed(tmp_path: Path) -> None:
    path = replaced(
        write_byte_level(tmp_path / "a.gguf", "gpt-2"), (b"tokenizer.ggml.merges", b"tokenizer.ggml.mergez")
    )
    assert vocabulary_error(path).message == 'metadata "tokenizer.ggml.merges" must be an array of strings, found null'

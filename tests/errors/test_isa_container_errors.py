"""One test per message of the container reader and writer."""

import hashlib
import struct

import pytest

from isa.container import (
    ContainerError,
    DebugMap,
    Executable,
    ExecutableWriter,
    Section,
    Symbol,
    VirtualWeights,
    canonical_json,
    machine_hash,
    symbols_to_bytes,
)
from isa.container_format import crc32c
from isa.encoding import encode
from isa.spec import ISA_VERSION

MACHINE = {"name": "m"}
META = {
    "model": "m", "scheme": "fp32", "context": 16, "chunk": 4, "vocabulary": 10,
    "regions": {"KV": 1, "IO": 1, "SCRATCH": 1}, "machine": MACHINE, "stop_tokens": [], "tokenizer": None,
}  # fmt: skip
TEXT_ENTRY, META_ENTRY, WEIGHTS_ENTRY = 64, 128, 192


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.slx"
    with ExecutableWriter(path, machine_hash(MACHINE)) as writer:
        writer.add(Section.TEXT, encode("halt"))
        writer.add(Section.META, canonical_json(META))
    return path


def patch(path, *changes, seal=True):
    """Writes (offset, format, value) into the file and repairs the header's checksum."""
    data = bytearray(path.read_bytes())
    for offset, code, value in changes:
        struct.pack_into(f"<{code}", data, offset, value)
    if seal:
        (count,) = struct.unpack_from("<I", data, 32)
        data[48:52] = bytes(4)
        data[48:52] = struct.pack("<I", crc32c(bytes(data[: 64 + 64 * min(count, 63)])))
    path.write_bytes(data)


CASES = [
    ([(0, "B", 0)], "not an SLX executable: wrong magic"),
    ([(8, "H", 2)], f"ISA version 2.{ISA_VERSION[1]} is not supported"),
    ([(10, "H", 9)], "ISA version 1.9 is not supported"),
    ([(12, "H", 7)], "ABI version 7 is not supported"),
    ([(24, "Q", 1 << 40)], "unknown required features 0x10000000000"),
    ([(32, "I", 64)], "64 sections, at most 63 are possible"),
    ([(40, "Q", 5)], "its header says 5"),
    ([(60, "I", 1)], "the header's checksum is wrong"),
    ([(4000, "B", 1)], "bytes after the section table are not zero"),
    ([(5000, "B", 1)], "the padding before 8192 is not zero"),
    ([(4096, "B", 17)], "section TEXT does not have its SHA-256"),
    ([(META_ENTRY, "I", 1)], "section TEXT appears twice"),
    ([(META_ENTRY, "I", 99)], "section type 99 is unknown and required"),
    ([(META_ENTRY, "I", 99), (META_ENTRY + 4, "I", 0)], "section META is missing"),
    ([(TEXT_ENTRY + 4, "I", 3)], "section TEXT has unknown flags 0x3"),
    ([(TEXT_ENTRY + 8, "Q", 4097)], "section TEXT at 4097 is not aligned to a legal 4096"),
    ([(TEXT_ENTRY + 24, "Q", 1 << 20)], "not aligned to a legal 1048576"),
    ([(TEXT_ENTRY + 24, "Q", 8192), (TEXT_ENTRY + 8, "Q", 8192)], "section TEXT has alignment 8192, expected 4096"),
    ([(TEXT_ENTRY + 16, "Q", 17)], "section TEXT has an illegal size of 17 bytes"),
    ([(TEXT_ENTRY + 16, "Q", 1 << 40)], "section TEXT has an illegal size"),
    ([(META_ENTRY + 8, "Q", 4096)], "section META at 4096 does not follow the one before"),
    ([(META_ENTRY + 8, "Q", 1 << 40)], "does not follow the one before, which ends at 4112"),
    ([(META_ENTRY + 16, "Q", 1 << 20)], "the file at "),
]


@pytest.mark.parametrize(("changes", "message"), CASES)
def test_reader_messages(path, changes, message):
    patch(path, *changes)
    with pytest.raises(ContainerError) as caught:
        Executable.open(path)
    assert message in caught.value.message
    assert caught.value.render().startswith(f"{path}: error: ")


STATEMENTS = [
    (b"", "section WEIGHTS: not valid JSON"),
    (b'{"size_bytes":1}', "the statement has not exactly the keys fill size_bytes"),
    (b'{"fill":"x","size_bytes":1,"x":1}', "the statement has not exactly the keys fill size_bytes"),
    (b'{"fill":1,"size_bytes":1}', "fill is not a string"),
    (b'{"fill":"x","size_bytes":-1}', "size_bytes is not an integer in [0, 1099511627776]"),
    (b'{"fill":"x","size_bytes":true}', "size_bytes is not an integer"),
    (b'{"fill":"x","size_bytes":1e3}', "JSON"),
    (b'{"fill":"x","size_bytes":1099511627777}', "size_bytes is not an integer in [0, 1099511627776]"),
    (b'{"fill":"x", "size_bytes":1}', "JSON is not in canonical form"),
    (b"[" * 4000, "section WEIGHTS: not valid JSON"),
    (b'{"fill":"' + b"x" * 5000 + b'","size_bytes":1}', "section WEIGHTS has an illegal size of 5026 bytes"),
]


@pytest.mark.parametrize(("content", "message"), STATEMENTS)
def test_virtual_weights_messages(tmp_path, content, message):
    path = tmp_path / "a.slx"
    with ExecutableWriter(path, machine_hash(MACHINE)) as writer:
        writer.add(Section.TEXT, encode("halt"))
        writer.add(Section.META, canonical_json(META))
        writer.add(Section.WEIGHTS, content)
    assert Executable.open(path).weights.tobytes() == content
    patch(path, (WEIGHTS_ENTRY + 4, "I", 3))
    for verify in (True, False):
        with pytest.raises(ContainerError) as caught:
            Executable.open(path, verify)
        assert message in caught.value.message


def test_virtual_weights_are_hashed_and_nothing_else_is_virtual(tmp_path):
    path = tmp_path / "a.slx"
    with ExecutableWriter(path, machine_hash(MACHINE)) as writer:
        writer.add(Section.TEXT, encode("halt"))
        writer.add(Section.META, canonical_json(META))
        writer.virtual_weights(VirtualWeights(1000, "x"))
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"size_bytes":1000', b'"size_bytes":9000'))
    with pytest.raises(ContainerError, match="section WEIGHTS does not have its SHA-256"):
        Executable.open(path, verify=False)
    path.write_bytes(content)
    patch(path, (META_ENTRY + 4, "I", 3))
    with pytest.raises(ContainerError, match="section META has unknown flags 0x3"):
        Executable.open(path)
    patch(path, (META_ENTRY + 4, "I", 1), (WEIGHTS_ENTRY + 4, "I", 7))
    with pytest.raises(ContainerError, match="section WEIGHTS has unknown flags 0x7"):
        Executable.open(path)


def test_a_wrong_checksum_alone_is_noticed(path):
    patch(path, (48, "I", 12345), seal=False)
    with pytest.raises(ContainerError, match="the header's checksum is wrong"):
        Executable.open(path)


def test_missing_files_and_directories(path, tmp_path):
    with pytest.raises(ContainerError, match="cannot read: No such file or directory"):
        Executable.open(tmp_path / "missing.slx")
    with pytest.raises(ContainerError, match="cannot read: Is a directory"):
        Executable.open(tmp_path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ContainerError, match="the file ends in its header, after 100 bytes"):
        Executable.open(path)


def test_an_unknown_optional_section_is_ignored(path):
    data = bytearray(path.read_bytes())
    data += bytes(-len(data) % 4096)
    entry = struct.pack("<IIQQQ32s", 1000, 0, len(data), 3, 4096, hashlib.sha256(b"new").digest())
    data[192:256] = entry
    data += b"new"
    struct.pack_into("<I", data, 32, 3)
    struct.pack_into("<Q", data, 40, len(data))
    path.write_bytes(data)
    patch(path)
    assert Executable.open(path).meta == META


META_CASES = [
    ({"model": 1}, "model is not a string"),
    ({"context": 0}, "context is not an integer in [1, 2147483647]"),
    ({"chunk": True}, "chunk is not an integer"),
    ({"vocabulary": 1.5}, "vocabulary is not an integer"),
    ({"regions": {"KV": 1}}, "regions has not exactly the keys IO KV SCRATCH"),
    ({"regions": {"KV": 1, "IO": 1, "SCRATCH": 2**40 + 1}}, "regions.SCRATCH is not an integer in [0, 1099511627776]"),
    ({"stop_tokens": [1] * 9}, "9 stop tokens, the mailbox holds 8"),
    ({"stop_tokens": [-1]}, "stop token is not an integer"),
    ({"stop_tokens": 3}, "stop_tokens is not a list"),
    ({"tokenizer": 5}, "tokenizer is not a string"),
    ({"machine": []}, "machine is not an object"),
    ({"machine": {"name": "other"}}, "the machine description does not have the header's machine hash"),
]


@pytest.mark.parametrize(("change", "message"), META_CASES)
def test_meta_messages(tmp_path, change, message):
    with pytest.raises(ContainerError) as caught, ExecutableWriter(tmp_path / "a.slx", machine_hash(MACHINE)) as writer:
        writer.add(Section.TEXT, encode("halt"))
        writer.add(Section.META, canonical_json(META | change))
    assert f"section META: {message}" in caught.value.message


def refused(tmp_path, *sections):
    with pytest.raises(ContainerError) as caught, ExecutableWriter(tmp_path / "a.slx", machine_hash(MACHINE)) as writer:
        for section, data in sections:
            writer.add(section, data)
    assert list(tmp_path.iterdir()) == []
    return caught.value.message


def test_writer_messages(tmp_path):
    text, meta = (Section.TEXT, encode("halt")), (Section.META, canonical_json(META))
    assert "section TEXT is missing" in refused(tmp_path, meta)
    assert "section META is missing" in refused(tmp_path, text)
    assert "section TEXT is added twice" in refused(tmp_path, text, text)
    assert "section TEXT has 17 bytes" in refused(tmp_path, (Section.TEXT, bytes(17)))
    assert "section SMEM has 65281 bytes; at most 65280" in refused(tmp_path, (Section.SMEM, bytes(65281)))
    assert "does not describe 1 instructions" in refused(
        tmp_path, text, meta, (Section.DBG, DebugMap.empty(2).to_bytes())
    )
    with pytest.raises(ContainerError, match="the machine hash has 3 bytes, not 8"):
        ExecutableWriter(tmp_path / "a.slx", b"abc")
    with (
        pytest.raises(ContainerError, match="cannot write: No such file"),
        ExecutableWriter(tmp_path / "no" / "a", bytes(8)),
    ):
        pass
    with (
        pytest.raises(ContainerError, match=r"section WEIGHTS: size_bytes is not an integer in \[0, 1099511627776\]"),
        ExecutableWriter(tmp_path / "a", bytes(8)) as writer,
    ):
        writer.virtual_weights(VirtualWeights(-1, "x"))
    with pytest.raises(ContainerError, match="cannot be mapped"), ExecutableWriter(tmp_path / "a", bytes(8)) as writer:
        writer.weights(0)


def test_builders_refuse_what_readers_would(tmp_path):
    with pytest.raises(ValueError, match="symbol region is not one of TEXT WEIGHT KV"):
        symbols_to_bytes([Symbol("a", "ROM", 0, 0, "x")])
    with pytest.raises(ValueError, match="symbol offset is not an integer"):
        symbols_to_bytes([Symbol("a", "TEXT", -1, 0, "x")])
    debug = DebugMap.empty(1)
    debug.operator_of_pc[0] = 0
    with pytest.raises(ValueError, match=r"operator_of_pc is not an integer in \[-1, -1\]"):
        debug.to_bytes()

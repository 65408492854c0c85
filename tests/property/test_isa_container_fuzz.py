"""Damaged and hostile executables: opening gives an executable or a ContainerError, nothing else."""

import hashlib
import json
import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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

FEW = settings(deadline=None, max_examples=120)
MACHINE = {"name": "fuzz"}
META = {
    "model": "m", "scheme": "fp32", "context": 16, "chunk": 4, "vocabulary": 10,
    "regions": {"KV": 1, "IO": 1, "SCRATCH": 1}, "machine": MACHINE, "stop_tokens": [], "tokenizer": "{}",
}  # fmt: skip
ENTRY_FORMAT = "<IIQQQ32s"


class Blob(bytes):
    """A file's bytes, with a short text for failure reports."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


def build(virtual: bool) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.slx"
        with ExecutableWriter(path, machine_hash(MACHINE)) as writer:
            writer.add(Section.TEXT, encode("halt") * 3)
            writer.add(Section.SMEM, bytes(range(64)))
            writer.add(Section.META, canonical_json(META))
            writer.add(Section.SYM, symbols_to_bytes([Symbol("a", "TEXT", 0, 16, "function")]))
            writer.add(Section.DBG, DebugMap.empty(3).to_bytes())
            writer.add(Section.TABLE, bytes(100))
            if virtual:
                writer.virtual_weights(VirtualWeights(1 << 35, "the tensors of a checkpoint"))
            else:
                writer.add(Section.WEIGHTS, bytes(range(200)))
        return path.read_bytes()


@pytest.fixture(scope="module", params=[False, True], ids=["weights", "virtual weights"])
def good(request):
    return Blob(build(request.param))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "x.slx"


def opens(path: Path, data: bytes, verify: bool = True) -> Executable | None:
    """The executable, or None after a ContainerError that names the file."""
    path.write_bytes(data)
    try:
        return Executable.open(path, verify)
    except ContainerError as error:
        assert error.file == str(path)
        assert "\n" not in error.message
        return None


def sections(data: bytes) -> list[list]:
    (count,) = struct.unpack_from("<I", data, 32)
    return [list(struct.unpack_from(ENTRY_FORMAT, data, 64 + 64 * index)) for index in range(count)]


def sealed(data: bytes) -> bytes:
    """The data with a right header checksum."""
    out = bytearray(data)
    (count,) = struct.unpack_from("<I", out, 32)
    out[48:52] = bytes(4)
    out[48:52] = struct.pack("<I", crc32c(bytes(out[: min(4096, 64 + 64 * min(count, 63))])))
    return bytes(out)


def with_entries(data: bytes, entries: list[list]) -> bytes:
    out = bytearray(data)
    out[64:4096] = bytes(4032)
    for index, entry in enumerate(entries):
        struct.pack_into(ENTRY_FORMAT, out, 64 + 64 * index, *entry)
    struct.pack_into("<I", out, 32, len(entries))
    return sealed(bytes(out))


def test_the_good_file_opens(good, path):
    assert opens(path, good) is not None
    assert sealed(good) == good


@FEW
@given(st.data())
def test_any_flipped_bit_is_noticed(good, path, data):
    """Every byte of the file is covered: header and table by the checksum, sections by hashes, padding is zero."""
    place = data.draw(st.integers(0, len(good) - 1) | st.integers(0, 600))
    flipped = bytearray(good)
    flipped[place] ^= 1 << data.draw(st.integers(0, 7))
    assert opens(path, bytes(flipped)) is None


@FEW
@given(st.data())
def test_any_truncation_or_extension_is_noticed(good, path, data):
    length = data.draw(st.integers(0, len(good) - 1) | st.integers(0, 4200))
    assert opens(path, good[:length], data.draw(st.booleans())) is None
    assert opens(path, good + bytes(data.draw(st.integers(1, 5000)))) is None


NUMBERS = st.one_of(
    st.integers(0, 2**64 - 1),
    st.integers(0, 70000),
    st.sampled_from([2**63, 2**64 - 1, 2**64 - 4096, 2**40, 4096, 8192, 65536]),
)


@FEW
@given(st.data())
def test_lying_table_with_a_right_checksum(good, path, data):
    entries = sections(good)
    for _ in range(data.draw(st.integers(1, 3))):
        row = data.draw(st.integers(0, len(entries) - 1))
        column = data.draw(st.integers(0, 4))
        entries[row][column] = data.draw(st.integers(0, 3) if column == 1 else NUMBERS) % (
            2**32 if column < 2 else 2**64
        )
    executable = opens(path, with_entries(good, entries), data.draw(st.booleans()))
    if executable is not None:
        assert len(executable.text) == 3
        assert 0 <= executable.weights_bytes <= 1 << 40


@FEW
@given(st.data())
def test_lying_header_with_a_right_checksum(good, path, data):
    place = data.draw(st.integers(8, 63))
    changed = bytearray(good)
    changed[place] = data.draw(st.integers(0, 255))
    opens(path, sealed(bytes(changed)))


@FEW
@given(st.permutations(range(7)), st.integers(0, 7))
def test_reordered_and_dropped_sections(good, path, order, kept):
    entries = sections(good)
    if list(order[:kept]) != list(range(7)):
        assert opens(path, with_entries(good, [entries[index] for index in order[:kept]])) is None


def with_last_section(good: bytes, section: Section, content: bytes) -> bytes:
    """The file with this section rewritten (all hashes right): it becomes the last one."""
    entries = [entry for entry in sections(good) if entry[0] not in (section, Section.WEIGHTS)]
    body = bytearray(4096)
    moved = []
    for kind, flags, offset, size, alignment, digest in entries:
        body += bytes(-len(body) % alignment)
        moved.append([kind, flags, len(body), size, alignment, digest])
        body += good[offset : offset + size]
    body += bytes(-len(body) % 4096)
    moved.append([int(section), 0, len(body), len(content), 4096, hashlib.sha256(content).digest()])
    body += content
    body[:64] = good[:64]
    struct.pack_into("<Q", body, 40, len(body))
    return with_entries(bytes(body), moved)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
DOCUMENTS = {
    Section.META: META,
    Section.SYM: {"symbols": [["a", "TEXT", 0, 16, "function"]]},
    Section.DBG: {
        "locations": ["a"], "operators": [], "location_of_pc": [0, -1, 0], "operator_of_pc": [-1, -1, -1], "descriptors": {},
    },
}  # fmt: skip


def test_rewriting_a_section_keeps_the_file_good(good, path):
    for section, document in DOCUMENTS.items():
        assert opens(path, with_last_section(good, section, canonical_json(document))) is not None


@FEW
@given(st.sampled_from(sorted(DOCUMENTS)), st.data())
def test_hostile_json(good, path, section, data):
    document = json.loads(json.dumps(DOCUMENTS[section]))
    key = data.draw(st.sampled_from(sorted(document)))
    document[key] = data.draw(JSON)
    opens(path, with_last_section(good, section, canonical_json(document)))


@pytest.mark.parametrize("section", sorted(DOCUMENTS))
@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"null", b"[" * 100_000, b"1" * 5000, b'{"a":1,"a":1}', b"{ }", b'{"a":NaN}', b'"\\ud800"', b"\xff",
        b'{"a":"\xc3\xa9"}', b"1e999", b'{"symbols":[[1,2,3,4,5]]}', b'{"symbols":[["a","TEXT",-1,0,"k"]]}',
        b'{"symbols":[["a","TEXT",true,0,"k"]]}', b'{"symbols":[["a","NOWHERE",0,0,"k"]]}', b'{"symbols":{}}',
    ],
)  # fmt: skip
def test_refused_json(good, path, section, content):
    assert opens(path, with_last_section(good, section, content)) is None


@FEW
@given(st.binary(max_size=5000))
def test_arbitrary_bytes(path, data):
    assert opens(path, data) is None
    assert opens(path, b"SLX\r\n\x1a\n\0" + data) is None

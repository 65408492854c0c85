"""Executables: round trip, streaming, mapping, and that an interrupted write changes nothing."""

import hashlib
import json
import struct

import numpy as np
import pytest

from isa.container import (
    ContainerError,
    DebugMap,
    Executable,
    ExecutableWriter,
    Section,
    SectionFlag,
    Symbol,
    VirtualWeights,
    canonical_json,
    machine_hash,
    symbols_to_bytes,
)
from isa.container_format import crc32c
from isa.encoding import encode
from isa.machine import load_machine
from isa.spec import ISA_VERSION, Feature

MACHINE = {"name": "test", "clock_hz": 1}
META = {
    "model": "m", "scheme": "w8a8", "context": 512, "chunk": 128, "vocabulary": 100,
    "regions": {"KV": 4096, "IO": 64, "SCRATCH": 0}, "machine": MACHINE, "stop_tokens": [2], "tokenizer": None,
    "note": "\u00b5",
}  # fmt: skip
TEXT = encode("alu", fn="add", fl=1, rd=5, rs=0, imm=1) + encode("halt")
SYMBOLS = [Symbol("main", "TEXT", 0, 32, "function"), Symbol("w", "WEIGHT", 64, 128, "tensor")]

NO_FEATURES = Feature(0)


def write(path, *, meta=META, chunks=None, features=NO_FEATURES):
    debug = DebugMap.empty(2)
    debug.locations = ["a.slm:3"]
    debug.location_of_pc[1] = 0
    debug.descriptors = {"A": "layer.q"}
    with ExecutableWriter(path, machine_hash(MACHINE), features) as writer:
        writer.add(Section.TEXT, TEXT)
        writer.add(Section.SMEM, b"\x01\x02")
        writer.add(Section.TABLE, np.arange(3, dtype=np.float32))
        writer.add(Section.SYM, symbols_to_bytes(SYMBOLS))
        writer.add(Section.DBG, debug.to_bytes())
        writer.add(Section.META, canonical_json(meta))
        if chunks is not None:
            writer.stream(Section.WEIGHTS, chunks)


def test_round_trip(tmp_path):
    path = tmp_path / "a.slx"
    write(path, chunks=[np.arange(6, dtype=np.int16).reshape(2, 3).T, b"xyz"], features=Feature.NET)
    executable = Executable.open(path)
    assert executable.text.tobytes() == TEXT
    assert executable.smem_image == b"\x01\x02"
    assert executable.table.view(np.float32).tolist() == [0, 1, 2]
    assert executable.weights.tobytes() == np.array([0, 3, 1, 4, 2, 5], np.int16).tobytes() + b"xyz"
    assert executable.meta == META
    assert executable.symbols == SYMBOLS
    assert executable.debug.location(1) == "a.slm:3"
    assert executable.debug.location(0) is executable.debug.location(2) is executable.debug.operator(1) is None
    assert executable.debug.descriptors == {"A": "layer.q"}
    assert (executable.isa_version, executable.abi_version) == (ISA_VERSION, 1)
    assert (executable.features, executable.machine_hash) == (Feature.NET, machine_hash(MACHINE))


def test_arrays_are_read_only_maps(tmp_path):
    path = tmp_path / "a.slx"
    write(path, chunks=[bytes(10)])
    executable = Executable.open(path)
    assert isinstance(executable.weights, np.memmap)
    for array in (executable.text, executable.table, executable.weights):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[0]


def test_absent_sections_are_empty(tmp_path):
    path = tmp_path / "a.slx"
    with ExecutableWriter(path, machine_hash(MACHINE)) as writer:
        writer.add(Section.META, canonical_json(META))
        writer.add(Section.TEXT, TEXT)
    executable = Executable.open(path)
    assert len(executable.weights) == len(executable.table) == len(executable.smem_image) == 0
    assert executable.symbols == []
    assert executable.debug.location_of_pc.tolist() == [-1, -1]


def test_virtual_weights_are_a_statement(tmp_path):
    path = tmp_path / "a.slx"
    statement = VirtualWeights(46_702_792_704, "the tensors of a checkpoint")
    with ExecutableWriter(path, machine_hash(MACHINE)) as writer:
        writer.add(Section.TEXT, TEXT)
        writer.virtual_weights(statement)
        writer.add(Section.META, canonical_json(META))
    executable = Executable.open(path)
    assert executable.weights is None
    assert executable.virtual_weights == statement
    assert executable.weights_bytes == 46_702_792_704
    (entry,) = [entry for entry in executable.sections if entry.type == Section.WEIGHTS]
    assert entry.flags == SectionFlag.REQUIRED | SectionFlag.VIRTUAL
    data = path.read_bytes()[entry.offset_bytes :][: entry.size_bytes]
    assert data == b'{"fill":"the tensors of a checkpoint","size_bytes":46702792704}'
    write(path, chunks=[b"real"])
    assert (Executable.open(path).virtual_weights, Executable.open(path).weights_bytes) == (None, 4)


def test_the_header_as_documented(tmp_path):
    path = tmp_path / "a.slx"
    write(path, chunks=[b"w" * 100])
    data = path.read_bytes()
    magic, major, minor, abi, _, machine, features, count, _, size, checksum = struct.unpack_from("<8s4H8sQIIQI", data)
    assert (magic, major, minor, abi, machine) == (b"SLX\r\n\x1a\n\0", *ISA_VERSION, 1, machine_hash(MACHINE))
    assert (features, count, size) == (0, 7, len(data))
    table = [struct.unpack_from("<IIQQQ32s", data, 64 + 64 * index) for index in range(count)]
    assert checksum == crc32c(data[:48] + bytes(16) + data[64 : 64 + 64 * count])
    for _, _, offset, size_bytes, alignment, digest in table:
        assert offset % alignment == 0
        assert hashlib.sha256(data[offset : offset + size_bytes]).digest() == digest
    assert {entry[0]: entry[4] for entry in table}[Section.WEIGHTS] == 65536
    assert {entry[4] for entry in table if entry[0] != Section.WEIGHTS} == {4096}


def test_crc32c_of_published_vectors():
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4
    assert crc32c(bytes(range(32))) == 0x46DD794E


def test_mapped_weights_equal_streamed_weights(tmp_path):
    content = np.random.default_rng(1).integers(0, 256, 100_001, np.uint8)
    write(tmp_path / "streamed.slx", chunks=np.array_split(content, 7))
    with ExecutableWriter(tmp_path / "mapped.slx", machine_hash(MACHINE)) as writer:
        sink = writer.weights(len(content))
        writer.add(Section.TEXT, TEXT)
        writer.add(Section.META, canonical_json(META))
        sink[:] = content
    for name in ("streamed", "mapped"):
        assert np.array_equal(Executable.open(tmp_path / f"{name}.slx").weights, content)


def test_only_weights_may_skip_verification(tmp_path):
    path = tmp_path / "a.slx"
    write(path, chunks=[b"w" * 1000])
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert Executable.open(path, verify=False).weights[-1] == ord("w") ^ 1
    with pytest.raises(ContainerError, match="WEIGHTS does not have its SHA-256"):
        Executable.open(path)
    data[4096] ^= 1
    path.write_bytes(data)
    with pytest.raises(ContainerError, match="TEXT does not have its SHA-256"):
        Executable.open(path, verify=False)


def test_equal_inputs_give_equal_files(tmp_path):
    write(tmp_path / "a.slx", chunks=[b"12"])
    write(tmp_path / "b.slx", chunks=[b"1", b"2"])
    assert (tmp_path / "a.slx").read_bytes() == (tmp_path / "b.slx").read_bytes()


def failing_chunks():
    yield b"first"
    raise RuntimeError("stop")


@pytest.mark.parametrize("existing", [False, True])
def test_an_interrupted_write_leaves_nothing(tmp_path, existing):
    path = tmp_path / "a.slx"
    if existing:
        write(path)
    before = path.read_bytes() if existing else None
    with pytest.raises(RuntimeError, match="stop"):
        write(path, chunks=failing_chunks())
    assert [entry.name for entry in tmp_path.iterdir()] == (["a.slx"] if existing else [])
    assert not existing or path.read_bytes() == before


def test_a_file_that_could_not_be_read_is_never_put_in_place(tmp_path):
    path = tmp_path / "a.slx"
    with pytest.raises(ContainerError, match=r"not be readable: section META: key 'chunk' is missing"):
        write(path, meta={key: value for key, value in META.items() if key != "chunk"})
    assert list(tmp_path.iterdir()) == []


def test_a_good_file_is_replaced(tmp_path):
    path = tmp_path / "a.slx"
    write(path, chunks=[b"old"])
    reader = Executable.open(path)
    write(path, chunks=[b"new"])
    assert Executable.open(path).weights.tobytes() == b"new"
    assert reader.weights.tobytes() == b"old"


def test_the_machine_hash_is_that_of_the_machine_description():
    machine = load_machine("edge")
    assert machine_hash(json.loads(machine.canonical_json())) == machine.hash

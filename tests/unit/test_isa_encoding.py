"""Instruction words against bytes written by hand from the bit positions in docs/isa.md."""

import numpy as np
import pytest

from isa.encoding import (
    INSTRUCTION_DTYPE,
    DecodeError,
    decode,
    decode_text,
    encode,
    float_to_imm,
    imm_to_float,
)
from isa.errors import EncodingError
from isa.spec import BY_MNEMONIC, FIELDS, TABLE, TD_FIELDS, Flag, Trap, used_fields

# op fn fl rd rs rt ta tb tc td 0 imm
HAND_ENCODED = [
    ("alu", {"fn": "add", "fl": Flag.I, "rd": 5, "rs": 0, "imm": 12}, "01 00 01 05 00 00 00 00 00 00 0000 0c000000"),
    ("alu", {"fn": "slt", "rd": 31, "rs": 30, "rt": 29}, "01 0d 00 1f 1e 1d 00 00 00 00 0000 00000000"),
    ("lds", {"fn": "8", "rd": 5, "rs": 3, "imm": -8}, "02 03 00 05 03 00 00 00 00 00 0000 f8ffffff"),
    ("br", {"fn": "ge", "rs": 1, "rt": 2, "imm": 0x1234}, "04 03 00 00 01 02 00 00 00 00 0000 34120000"),
    ("tdset", {"fn": "s3", "fl": 1, "ta": 127, "imm": -1}, "09 08 01 00 00 00 7f 00 00 00 0000 ffffffff"),
    ("halt", {}, "10 00 00 00 00 00 00 00 00 00 0000 00000000"),
    ("mmg", {"fl": Flag.ACC, "ta": 1, "tb": 2, "tc": 3, "td": 4}, "29 00 04 00 00 00 01 02 03 04 0000 00000000"),
    ("vbin", {"fn": "mul", "fl": Flag.X, "ta": 1, "tb": 2, "rs": 5}, "30 02 02 00 05 00 01 02 00 00 0000 00000000"),
    ("vun", {"fn": "mov", "fl": Flag.I, "ta": 1, "imm": 0x3F800000}, "32 00 01 00 00 00 01 00 00 00 0000 0000803f"),
    ("vrng", {"ta": 1, "rs": 2, "rt": 3, "rd": 4}, "36 00 00 04 02 03 01 00 00 00 0000 00000000"),
]


@pytest.mark.parametrize(("mnemonic", "fields", "expected"), HAND_ENCODED)
def test_hand_encoded(mnemonic, fields, expected):
    word = encode(mnemonic, **fields)
    assert word == bytes.fromhex(expected)
    decoded = decode(word)
    assert decoded.row.mnemonic == mnemonic
    for name, value in fields.items():
        assert (decoded.function if name == "fn" else getattr(decoded, name)) == value


def test_the_dtype_is_sixteen_bytes_and_decoding_is_a_view():
    assert INSTRUCTION_DTYPE.itemsize == 16
    data = bytearray(encode("halt") * 3)
    text = decode_text(data)
    data[16 + 12] = 9
    assert text["imm"].tolist() == [0, 9, 0]
    assert text["op"].tolist() == [16, 16, 16]


def test_a_torn_instruction_is_refused():
    with pytest.raises(EncodingError, match="not a multiple of 16"):
        decode_text(bytes(17))


def test_traps_carry_pc_and_operand():
    with pytest.raises(DecodeError) as caught:
        decode(np.zeros(1, INSTRUCTION_DTYPE)[0], 77)
    assert (caught.value.trap, caught.value.pc, caught.value.operand) == (Trap.ILLEGAL_OPCODE, 77, 0)


def test_i_and_x_exclude_each_other():
    word = bytearray(encode("vbin", fn="add", fl=Flag.X, ta=1, tb=2, rs=3))
    word[2] = 3
    with pytest.raises(DecodeError) as caught:
        decode(bytes(word))
    assert (caught.value.trap, caught.value.operand) == (Trap.RESERVED_FIELD, 2)


def test_descriptor_accesses_of_accumulating_and_scalar_forms():
    accumulate = decode(encode("mm", fl=Flag.ACC, ta=1, tb=2, tc=3))
    assert accumulate.td_reads() == ("ta", "tb", "tc")
    assert decode(encode("mm", ta=1, tb=2, tc=3)).td_reads() == ("tb", "tc")
    assert decode(encode("vmad", fn="mad", fl=Flag.I, ta=1, tb=2, td=3, imm=0)).td_reads() == ("tb", "td")
    assert decode(encode("vun", fn="mov", fl=Flag.I, ta=1, imm=0)).td_reads() == ()


@pytest.mark.parametrize(
    ("value", "bits"),
    [(1.5, 0x3FC00000), (-0.0, -(1 << 31)), (float("inf"), 0x7F800000), (float("nan"), 0x7FC00000), (1e39, 0x7F800000)],
)
def test_float_immediates(value, bits):
    assert float_to_imm(value) == bits
    if value == value and value < 1e38:
        assert imm_to_float(bits) == value


def test_the_table_is_consistent():
    assert len({row.opcode for row in TABLE}) == len({row.mnemonic for row in TABLE}) == len(TABLE) == 27
    assert sum(width for _, width in FIELDS) == 128
    assert sum(width for _, width, _ in TD_FIELDS) == 256
    names = {name for name, _ in FIELDS}
    for row in TABLE:
        assert len(set(row.functions)) == len(row.functions) <= 256
        assert set(row.reads) | set(row.writes) <= used_fields(row, 0) <= names


def test_used_fields_of_every_form():
    vbin = BY_MNEMONIC["vbin"]
    assert used_fields(vbin, 0) == {"op", "fn", "fl", "ta", "tb", "tc"}
    assert used_fields(vbin, Flag.I) == {"op", "fn", "fl", "ta", "tb", "imm"}
    assert used_fields(vbin, Flag.X) == {"op", "fn", "fl", "ta", "tb", "rs"}
    assert used_fields(BY_MNEMONIC["jalr"], 0) == {"op", "rd", "rs", "imm"}
    assert used_fields(BY_MNEMONIC["tdadd"], Flag.I) == {"op", "fn", "fl", "ta", "imm"}

"""Random instructions over the table: encode/decode, every single-field fault, assembly text, immediates, descriptors."""

from fractions import Fraction

import numpy as np
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from isa.assembler import assemble
from isa.descriptor import Descriptor, dense_strides
from isa.disassembler import disassemble
from isa.encoding import FIELD_INDEX, DecodeError, decode, encode, encode_decoded, flag_choices, legal_range
from isa.errors import AssemblyError
from isa.fp32_text import format_fp32, parse_fp32
from isa.metadata import DebugMap, Symbol
from isa.spec import BY_OPCODE, ELEMENT_BITS, FIELDS, TABLE, TD_FIELDS, Dtype, Region, Trap, used_fields

FEW = settings(deadline=None, max_examples=150)

INT32 = st.one_of(
    st.integers(-(2**31), 2**31 - 1), st.integers(-9, 40), st.sampled_from([-(2**31), 2**31 - 1, 0x7FC00001, -1])
)


@st.composite
def instructions(draw):
    """(row, fn, fl, fields) of a legal instruction; every used field is given."""
    row = draw(st.sampled_from(TABLE))
    flags = draw(st.sampled_from(flag_choices(row)))
    fn = draw(st.integers(0, len(row.functions) - 1)) if row.functions else None
    fields = {}
    for name in sorted(used_fields(row, flags) - {"op", "fn", "fl"}):
        fields[name] = draw(INT32 if name == "imm" else st.integers(*legal_range(name)))
    return row, fn, int(flags), fields


WORDS = instructions().map(lambda item: encode(item[0].mnemonic, fn=item[1], fl=item[2], **item[3]))
PROGRAMS = st.lists(WORDS, min_size=1, max_size=12).map(b"".join)


def unpack_bits(data: bytes, widths: list[int]) -> list[int]:
    """Unsigned fields, first in the low bits: an independent reading of the format."""
    number = int.from_bytes(data, "little")
    values = []
    for width in widths:
        values.append(number & (1 << width) - 1)
        number >>= width
    assert number == 0
    return values


@FEW
@given(instructions())
def test_encode_decode(item):
    row, fn, fl, fields = item
    word = encode(row.mnemonic, fn=fn, fl=fl, **fields)
    raw = dict(zip((name for name, _ in FIELDS), unpack_bits(word, [width for _, width in FIELDS]), strict=True))
    expected = {name: 0 for name, _ in FIELDS} | {"op": row.opcode, "fn": fn or 0, "fl": fl} | fields
    assert raw == expected | {"imm": expected["imm"] % 2**32}
    decoded = decode(word)
    assert decoded.row is row
    assert all(getattr(decoded, name) == expected[name] for name, _ in FIELDS if name not in ("op", "reserved"))
    assert encode_decoded(decoded) == word


@FEW
@given(st.binary(min_size=16, max_size=16), st.integers(0, 63))
def test_arbitrary_bytes_decode_or_trap(data, opcode):
    word = bytes([opcode]) + data[1:]
    try:
        assert encode_decoded(decode(word)) == word
    except DecodeError as error:
        assert error.trap in (Trap.ILLEGAL_OPCODE, Trap.ILLEGAL_FUNCTION, Trap.RESERVED_FIELD)


def fault_of(word: bytes) -> tuple[Trap, int] | None:
    try:
        decode(word, 5)
    except DecodeError as error:
        assert error.pc == 5
        return error.trap, error.operand
    return None


def replaced(word: bytes, field: str, value: int) -> bytes:
    raw = dict(zip((name for name, _ in FIELDS), unpack_bits(word, [width for _, width in FIELDS]), strict=True))
    raw[field] = value
    number, low = 0, 0
    for name, width in FIELDS:
        number |= raw[name] << low
        low += width
    return number.to_bytes(16, "little")


@FEW
@given(instructions(), st.data())
def test_every_single_field_fault(item, data):
    row, fn, fl, fields = item
    word = encode(row.mnemonic, fn=fn, fl=fl, **fields)
    used = used_fields(row, fl)
    assert fault_of(word) is None
    for name, width in FIELDS:
        index = FIELD_INDEX[name]
        if name == "op":
            value = data.draw(st.integers(0, 255).filter(lambda op: op not in BY_OPCODE))
            assert fault_of(replaced(word, "op", value)) == (Trap.ILLEGAL_OPCODE, value)
        elif name == "fn" and row.functions:
            value = data.draw(st.integers(len(row.functions), 255))
            assert fault_of(replaced(word, "fn", value)) == (Trap.ILLEGAL_FUNCTION, value)
        elif name == "fl":
            legal = set(flag_choices(row))
            value = data.draw(st.integers(0, 255).filter(lambda flags, legal=legal: flags not in legal))
            assert fault_of(replaced(word, "fl", value)) == (Trap.RESERVED_FIELD, index)
        elif name not in used:
            value = data.draw(st.integers(1, 2**width - 1))
            assert fault_of(replaced(word, name, value)) == (Trap.RESERVED_FIELD, index)
        elif name != "imm":
            value = data.draw(st.integers(32 if name in ("rd", "rs", "rt") else 128, 255))
            assert fault_of(replaced(word, name, value)) == (Trap.RESERVED_FIELD, index)


@FEW
@given(PROGRAMS)
def test_assembly_round_trip(text):
    assert assemble(disassemble(text)).text == text


@FEW
@given(st.lists(st.binary(min_size=16, max_size=16), max_size=6).map(b"".join))
def test_assembly_round_trip_of_arbitrary_words(text):
    assert assemble(disassemble(text)).text == text


NAMES = st.sampled_from(
    ["main", "halt", "x3", "t5.base", "inf", "L0", "a.b", "bad name", "Z", "", "é", "alu.add", "nan"]
)
SYMBOLS = st.lists(
    st.builds(
        Symbol,
        NAMES,
        st.sampled_from(["TEXT", "SMEM", "KV"]),
        st.integers(0, 500) | st.integers(0, 60).map(lambda n: n * 8),
        st.integers(0, 64),
        st.sampled_from(["descriptor", "function", "data"]),
    ),
    max_size=8,
)


@FEW
@given(PROGRAMS, st.binary(max_size=200) | st.integers(0, 200).map(bytes), SYMBOLS)
def test_round_trip_with_data_and_names(text, smem, symbols):
    debug = DebugMap.empty(len(text) // 16)
    debug.locations = ["a.slm:1\n.zero 8"]
    debug.location_of_pc[:] = 0
    assembly = assemble(disassemble(text, smem, symbols, debug))
    assert (assembly.text, assembly.smem) == (text, smem)
    again = assemble(disassemble(text, smem, assembly.symbols(), assembly.debug()))
    assert (again.text, again.smem) == (text, smem)


DESCRIPTORS = st.builds(
    Descriptor,
    base=st.integers(0, 2**40 - 1),
    region=st.sampled_from(Region),
    dtype=st.sampled_from(sorted(ELEMENT_BITS)),
    extents=st.tuples(*(st.integers(0, 2**bits - 1) for bits in (20, 20, 12, 12))),
    strides=st.tuples(*[st.integers(-(2**31), 2**31 - 1)] * 4),
    glog2=st.integers(0, 15),
    fmt=st.integers(0, 3),
)


@FEW
@given(DESCRIPTORS)
def test_descriptor_pack_unpack(descriptor):
    data = descriptor.pack()
    raw = unpack_bits(data, [width for _, width, _ in TD_FIELDS])
    expected = [
        descriptor.base, descriptor.region, descriptor.dtype, descriptor.glog2, descriptor.fmt, 0,
        *descriptor.extents, *(stride % 2**32 for stride in descriptor.strides),
    ]  # fmt: skip
    assert raw == expected
    assert Descriptor.unpack(data) == descriptor


@FEW
@given(DESCRIPTORS)
def test_descriptor_text(descriptor):
    data = descriptor.pack()
    symbol = Symbol("D", "SMEM", 256, 32, "descriptor")
    text = disassemble(b"", data, [symbol])
    assert ".td D" in text
    assert assemble(text).smem == data


@FEW
@given(
    st.sampled_from(sorted(set(ELEMENT_BITS) - {Dtype.I4, Dtype.E2M1})),
    st.tuples(*[st.integers(1, 4)] * 4),
    st.tuples(*[st.integers(-5, 5)] * 4),
)
def test_plain_interval_is_that_of_all_elements(dtype, extents, strides):
    size = ELEMENT_BITS[dtype] // 8
    strides = tuple(stride * size for stride in strides)
    index = np.indices(extents).reshape(4, -1)
    addresses = 10_000 + (index * np.array(strides)[:, None]).sum(axis=0)
    low, high = Descriptor(10_000, Region.SRAM, dtype, extents, strides).interval()
    assert (low, high) == (addresses.min(), addresses.max() + size)


@FEW
@given(st.sampled_from(sorted(ELEMENT_BITS)), st.lists(st.integers(1, 6), min_size=1, max_size=4))
def test_dense_strides_are_contiguous(dtype, shape):
    extents = (shape[0] * 32, *shape[1:])
    strides = dense_strides(dtype, extents)
    full = (*extents, *[1] * (4 - len(extents)))
    low, high = Descriptor(0, Region.SRAM, dtype, full, strides, glog2=5).interval()
    assert (low, high) == (0, np.prod(full) * ELEMENT_BITS[dtype] // 8)


@FEW
@given(st.integers(-(2**31), 2**31 - 1))
@example(1)
@example(0x007FFFFF)
@example(0x7F7FFFFF)
@example(-(2**31))
@example(0x7FC00000)
@example(-1)
def test_fp32_text_reads_back(imm):
    assert parse_fp32(format_fp32(imm)) == imm


@FEW
@given(st.integers(0, 0x7F7FFFFE), st.integers(-3, 3), st.booleans())
def test_fp32_text_is_rounded_once(bits, nudge, negative):
    """Decimals at and next to the middle of two neighbours: RNE of the exact value, no double rounding."""
    pair = [float(np.uint32(bits + step).view(np.float32)) for step in (0, 1)]
    middle = (Fraction(pair[0]) + Fraction(pair[1])) / 2
    value = middle + nudge * Fraction(1, 10**180)
    scaled = value * 10**180
    assume(scaled.denominator == 1 and len(str(scaled.numerator)) <= 190)
    digits = str(scaled.numerator).rjust(181, "0")
    text = f"{'-' if negative else ''}{digits}e-180"
    expected = bits + (nudge > 0 or (nudge == 0 and bits % 2 == 1))
    assert parse_fp32(text) % 2**32 == expected | negative << 31


PIECES = st.sampled_from(
    [
        *(
            "alu.add",
            "vbin.mul",
            "mm.acc",
            "lds.8",
            "tdset",
            "tdld",
            "br.eq",
            "jal",
            "halt",
            "x1",
            "x31",
            "x99",
            "t1",
            "t200",
        ),
        *(
            ".td",
            ".word",
            ".byte",
            ".float",
            ".zero",
            ".equ",
            ".raw",
            "f32",
            "sram",
            "glog2",
            "fmt",
            "t1.base",
            "t1.e9",
        ),
        *("1", "-1", "0x10", "99999999999", "1.5", "1e99", "1e-99", "inf", "nan", "0f7fc00001", "00" * 16),
        *(
            "name",
            "name+4",
            "loop:",
            "name:",
            ",",
            "(",
            ")",
            "[",
            "]",
            ":",
            ";",
            "+",
            "-",
            ".",
            "é",
            "\x00",
            "\t",
            "\r",
        ),
    ]
)


@FEW
@given(st.lists(st.lists(PIECES, max_size=9).map(" ".join), max_size=5).map("\n".join) | st.text(max_size=60))
def test_any_text_assembles_or_is_refused(source):
    try:
        assembly = assemble(source, "fuzz.s")
    except AssemblyError as error:
        assert error.line is not None and error.column is not None
        assert error.render().startswith(f"fuzz.s:{error.line}:{error.column}: error: ")
    else:
        assert len(assembly.text) % 16 == 0


@FEW
@given(PROGRAMS, st.data())
def test_mutated_assembly_assembles_or_is_refused(text, data):
    source = disassemble(text)
    place = data.draw(st.integers(0, len(source) - 1))
    mutated = source[:place] + data.draw(st.characters()) + source[place + data.draw(st.integers(0, 3)) :]
    try:
        assemble(mutated)
    except AssemblyError as error:
        assert error.line is not None

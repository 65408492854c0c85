"""Assembly text against bytes written by hand, and texts of the disassembler."""

import struct

import pytest

from isa.assembler import assemble
from isa.descriptor import Descriptor
from isa.disassembler import disassemble
from isa.encoding import encode
from isa.fp32_text import format_fp32, parse_fp32
from isa.metadata import DebugMap, Symbol
from isa.spec import Dtype, Flag, Region

PROGRAM = """\
; a comment
        .equ N 64
        .td A f32 sram 0x100 [N, 4]
        .td W i8 weight 4096 [64, 16] [0, 1024] fmt 2
        .byte 1, -1
table:  .word -2, loop, A+8
ratio:  .float 1.5, -inf
        .zero 3
start:  alu.add x5, x0, N
        tdld t1, A(x0)
loop:   tdset t1.e0, x5      ; another
        tdadd t1.base, -4
        vbin.mul t1, t2, 1.5
        vmad.nmsub t1, t2, x7, t3
        mm.acc t1, t2, t3
        br.ne x5, x0, loop
        lds.8 x6, table+8(x0)
        jal x1, end
        halt
end:
"""


def test_a_program():
    assembly = assemble(PROGRAM, "p.s")
    expected = [
        encode("alu", fn="add", fl=Flag.I, rd=5, rs=0, imm=64),
        encode("tdld", ta=1, rs=0, imm=256),
        encode("tdset", fn="e0", ta=1, rs=5),
        encode("tdadd", fn="base", fl=Flag.I, ta=1, imm=-4),
        encode("vbin", fn="mul", fl=Flag.I, ta=1, tb=2, imm=0x3FC00000),
        encode("vmad", fn="nmsub", fl=Flag.X, ta=1, tb=2, rs=7, td=3),
        encode("mm", fl=Flag.ACC, ta=1, tb=2, tc=3),
        encode("br", fn="ne", rs=5, rt=0, imm=2),
        encode("lds", fn="8", rd=6, rs=0, imm=336),
        encode("jal", rd=1, imm=11),
        encode("halt"),
    ]
    assert assembly.text == b"".join(expected)
    a = Descriptor(0x100, Region.SRAM, Dtype.F32, (64, 4, 1, 1), (4, 256, 0, 0))
    w = Descriptor(4096, Region.WEIGHT, Dtype.I8, (64, 16, 1, 1), (0, 1024, 0, 0), fmt=2)
    words = struct.pack("<qqq", -2, 2, 264) + struct.pack("<ff", 1.5, float("-inf"))
    assert assembly.smem == a.pack() + w.pack() + b"\x01\xff" + bytes(6) + words + bytes(3)
    assert assembly.labels == {"start": 0, "loop": 2, "end": 11}
    assert assembly.addresses == {"A": 256, "W": 288, "table": 328, "ratio": 352}
    assert assembly.debug().location(1) == "p.s:10"
    symbols = {symbol.name: symbol for symbol in assembly.symbols()}
    assert symbols["A"] == Symbol("A", "SMEM", 256, 32, "descriptor")
    assert symbols["table"] == Symbol("table", "SMEM", 328, 24, "data")
    assert symbols["loop"] == Symbol("loop", "TEXT", 32, 0, "label")


def test_disassembly_uses_names_and_sources():
    assembly = assemble(PROGRAM, "p.s")
    text = disassemble(assembly.text, assembly.smem, assembly.symbols(), assembly.debug())
    for line in (
        "    .td A f32 sram 0x100 [64, 4, 1, 1] [4, 256, 0, 0]",
        "    .td W i8 weight 0x1000 [64, 16, 1, 1] [0, 1024, 0, 0] fmt 2",
        "table:",
        "loop:",
        "    tdld t1, A(x0)                           ; p.s:10",
        "    br.ne x5, x0, loop                       ; p.s:16",
        "end:",
    ):
        assert line in text.split("\n")
    assert assemble(text).text == assembly.text
    assert assemble(text).smem == assembly.smem


def test_disassembly_without_names():
    text = encode("jal", rd=0, imm=1) + encode("br", fn="eq", rs=0, rt=0, imm=99) + b"\xff" * 16
    assert disassemble(text) == (
        f"    jal x0, L0\nL0:\n    br.eq x0, x0, 99\n    .raw {'ff' * 16}    ; ILLEGAL_OPCODE\n"
    )


def test_comments_cannot_break_out_of_their_line():
    debug = DebugMap.empty(1)
    debug.locations = ["evil\n.zero 60000\x1b[31m" + "x" * 5000]
    debug.location_of_pc[0] = 0
    text = disassemble(encode("halt"), debug=debug)
    assert text.count("\n") == 1
    assert assemble(text).smem == b""


def test_forms_of_numbers():
    source = "vun.mov t1, {}"
    for text, bits in (
        ("1", 0x3F800000), ("0.0", 0), ("-0.0", 0x80000000), ("-0", 0x80000000), ("1.", 0x3F800000), ("1e0", 0x3F800000),
        ("inf", 0x7F800000), ("-inf", 0xFF800000), ("nan", 0x7FC00000), ("0f7fc00001", 0x7FC00001),
        ("3.4028235e38", 0x7F7FFFFF), ("1e-45", 1), ("1e-9999", 0), ("-1e-9999", 0x80000000),
    ):  # fmt: skip
        assert assemble(source.format(text)).text[12:] == struct.pack("<I", bits), text
    assert assemble("trap 0x7f\ntrap -0x1").text[12:16] == b"\x7f\0\0\0"


def test_decimals_are_rounded_once():
    """1 + 2^-24 + 2^-60 lies above the middle of two fp32 numbers, but its nearest binary64 is the middle itself."""
    above = "1.00000005960464477626131534576416015625"
    assert parse_fp32("1.000000059604644775390625") == 0x3F800000
    assert parse_fp32(above) == 0x3F800001


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        (0x3DCCCCCD, "0.1"),
        (0x00000001, "1e-45"),
        (0x7F7FFFFF, "3.4028235e+38"),
        (0x4B800000, "1.6777216e+07"),
        (0x7FC00000, "0f7fc00000"),
    ],
)
def test_shortest_decimals(bits, text):
    assert format_fp32(bits) == text


def test_crlf_and_empty_texts():
    assert assemble("halt\r\n; x\r\n").text == encode("halt")
    assert assemble("").text == b""

"""Every message of the assembler: place, what was expected, what was found, and the hint."""

import pytest

from isa.assembler import MAX_LINE_CHARACTERS, MAX_SOURCE_CHARACTERS, assemble
from isa.errors import AssemblyError

# source, "line:column", message, hint
CASES = [
    ("halt\nalu.ad x5, x0, 12", "2:1", "unknown instruction 'alu.ad'", "did you mean 'alu.and'?"),
    ("alu x5, x0, 12", "1:1", "unknown instruction 'alu'", "one of alu.add alu.sub"),
    ("lds.3 x5, 0(x0)", "1:1", "unknown instruction 'lds.3'", "did you mean 'lds.8'?"),
    ("a: .wrd 1", "1:4", "unknown directive '.wrd'", "did you mean '.word'?"),
    ("alu.add x5, x0", "1:15", "expected ',', found the end of the line", None),
    ("alu.add x5, x0 ; two", "1:15", "expected ',', found the end of the line", None),
    ("alu.add x5, x0, t1", "1:17", "expected a number or a name, found 't1'", None),
    ("lds.8 x5, 16 x3", "1:14", "expected '(', found 'x3'", None),
    ("lds.8 x5, 16(3)", "1:14", "expected an x-register (x0..x31), found '3'", None),
    ("tdset t3, x5", "1:7", "expected a descriptor field (t0.base), found 't3'", None),
    ("vun.mov x1, 0.0", "1:9", "expected a descriptor (t0..t127), found 'x1'", None),
    ("halt 3", "1:6", "expected the end of the line, found '3'", None),
    ("mm t1, t2, $", "1:12", "unexpected character '$'", None),
    (".raw 00", "1:6", "expected 32 hex digits, found '00'", None),
    (".td A f32 sram 0", "1:17", "expected '[', found the end of the line", None),
    (".equ 1 2", "1:6", "expected a name, found '1'", None),
    ("x5: halt", "1:1", "'x5' is reserved", "registers and mnemonics cannot be names"),
    ("halt: halt", "1:1", "'halt' is reserved", "registers and mnemonics cannot be names"),
    (".equ t1 5", "1:6", "'t1' is reserved", "registers and mnemonics cannot be names"),
    ("a: halt\na: halt", "2:1", "'a' is defined twice", "first in line 1"),
    (".equ a 5\n.td a f32 sram 0 [1]", "2:5", "'a' is defined twice", "first in line 1"),
    ("loop: br.eq x0, x0, lop", "1:21", "'lop' is not defined", "did you mean 'loop'?"),
    (".equ n m\nm: halt", "1:8", "'m' is not defined", None),
    ("alu.add x32, x0, 1", "1:9", "register x32 does not exist", "x0 to x31"),
    ("mm t1, t2, t128", "1:12", "register t128 does not exist", "t0 to t127"),
    ("tdset t128.e0, 1", "1:7", "register t128 does not exist", "t0 to t127"),
    ("tdset t1.e4, 1", "1:7", "a descriptor has no field 'e4' that can be set", "one of base e0 e1"),
    ("alu.add x1, x0, 2147483648", "1:17", "2147483648 is not in [-2147483648, 2147483647]", None),
    ("a: br.eq x0, x0, a-2147483649", "1:18", "-2147483649 is not in", None),
    ("alu.add x1, x0, " + "9" * 1000, "1:17", "the number is not in [-2147483648, 2147483647]", None),
    ("vun.mov t1, 1e39", "1:13", "'1e39': the number is too large for fp32 (write inf)", None),
    ("vun.mov t1, 1e99999", "1:13", "'1e99999': the number is too long", None),
    (".td A f31 sram 0 [1]", "1:7", "unknown dtype 'f31'", "one of f32 f16 bf16 i32 i8 i4 u8 e8m0 e4m3 e2m1"),
    (".td A e5m2 sram 0 [1]", "1:7", "unknown dtype 'e5m2'", "one of f32"),
    (".td A f32 dram 0 [1]", "1:11", "unknown region 'dram'", "one of weight kv io scratch table pimw sram smem"),
    (".td A f32 sram -1 [1]", "1:16", "-1 is not in [0, 1099511627775]", None),
    (".td A f32 sram 0 [1, 2, 3, 4, 5]", "1:31", "5 dimensions, a descriptor has 4", None),
    (".td A f32 sram 0 [1, 1, 4096]", "1:25", "4096 is not in [0, 4095]", None),
    (".td A f32 sram 0 [1] [1] foo 1", "1:26", "unexpected 'foo'", "glog2 or fmt, each at most once"),
    (".td A f32 sram 0 [1] fmt 2 fmt 2", "1:28", "unexpected 'fmt'", "glog2 or fmt, each at most once"),
    (".td A f32 sram 0 [1] fmt 4", "1:26", "4 is not in [0, 3]", None),
    (".td A f32 sram 0 [1048575, 1048575, 4, 4]", "1:5", "the dense strides of these extents do not fit", None),
    (".byte 256", "1:7", "256 is not in [-128, 255]", None),
    (".word 18446744073709551616", "1:7", "18446744073709551616 is not in", None),
    (".zero 65000\n.zero 300", "2:1", "data ends at 65556, SMEM has 65536 bytes", None),
]


@pytest.mark.parametrize(("source", "place", "message", "hint"), CASES)
def test_assembly_errors(source, place, message, hint):
    with pytest.raises(AssemblyError) as caught:
        assemble(source, "test.s")
    error = caught.value
    assert error.headline().startswith(f"test.s:{place}: error: {message}")
    assert (error.hint is None) == (hint is None)
    assert hint is None or error.hint.startswith(hint)


def test_the_rendered_error_points_at_the_place():
    with pytest.raises(AssemblyError) as caught:
        assemble("      lds.8 x5, 16(x77)", "test.s")
    assert caught.value.render() == (
        "test.s:1:20: error: register x77 does not exist\n"
        "          lds.8 x5, 16(x77)\n"
        "                       ^\n"
        "  hint: x0 to x31"
    )


def test_inputs_are_bounded():
    with pytest.raises(AssemblyError, match="characters, at most"):
        assemble(" " * (MAX_SOURCE_CHARACTERS + 1))
    with pytest.raises(AssemblyError, match="the line has more than"):
        assemble("halt\n" + " " * (MAX_LINE_CHARACTERS + 1))


def test_long_foreign_text_is_cut():
    with pytest.raises(AssemblyError) as caught:
        assemble("a" * 4000)
    assert max(map(len, caught.value.render().split("\n"))) < 200

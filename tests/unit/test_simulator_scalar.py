"""SEQ instructions against plain integer arithmetic."""

from __future__ import annotations

import random
import struct

import pytest

from isa.abi import Mailbox
from isa.encoding import encode
from isa.spec import Dtype, Flag, Region, Trap
from simulator.traps import TrapError
from tests.unit.simulator_support import Core, tensor

EDGES = [0, 1, -1, 2, -2, 63, 64, 65, -64, 2**31, -(2**31), 2**32, 2**62, -(2**62), 2**63 - 1, -(2**63)]


def signed(value: int) -> int:
    return struct.unpack("<q", struct.pack("<Q", value % 2**64))[0]


def expected(function: str, a: int, b: int) -> int:
    unsigned = a % 2**64
    quotient = 0
    if b:
        quotient = abs(a) // abs(b) * (1 if (a >= 0) == (b >= 0) else -1)
    table = {
        "add": a + b, "sub": a - b, "mul": a * b, "div": quotient, "rem": a - b * quotient, "and": a & b, "or": a | b,
        "xor": a ^ b, "sll": a << (b % 64), "srl": unsigned >> (b % 64), "sra": a >> (b % 64), "min": min(a, b),
        "max": max(a, b), "slt": int(a < b),
    }  # fmt: skip
    return signed(table[function])


@pytest.mark.parametrize(
    "function", ["add", "sub", "mul", "div", "rem", "and", "or", "xor", "sll", "srl", "sra", "min", "max", "slt"]
)
def test_alu(function: str) -> None:
    rng = random.Random(function)
    values = EDGES + [rng.randrange(-(2**63), 2**63) for _ in range(12)]
    core = Core()
    text = encode("alu", fn=function, rd=7, rs=5, rt=6) + encode("halt")
    for a in values:
        for b in values:
            if b == 0 and function in ("div", "rem"):
                continue
            core.x[5], core.x[6] = a, b
            core.run_text(text)
            assert core.x[7] == expected(function, a, b), (function, a, b)
        immediate = rng.choice([-(2**31), 2**31 - 1, 7, -3])
        core.x[5] = a
        core.run_text(encode("alu", fn=function, fl=Flag.I, rd=7, rs=5, imm=immediate) + encode("halt"))
        assert core.x[7] == expected(function, a, immediate)


def test_x0_stays_zero() -> None:
    core = Core()
    core.run("alu.add x0, x0, 5\n alu.add x1, x0, 0\n jal x0, next\nnext: lds.8 x0, 0(x0)")
    assert core.x[0] == 0 and core.x[1] == 0


def test_loads_and_stores_of_every_width() -> None:
    core = Core()
    core.x[5] = signed(0xF1F2F3F4F5F6F7F8)
    for width in (1, 2, 4, 8):
        core.memory.smem[512:528] = b"\xaa" * 16
        core.run(f"sts.{width} x5, 512(x0)\n lds.{width} x6, 512(x0)\n lds.8 x7, 512(x0)")
        stored = bytes.fromhex("f8f7f6f5f4f3f2f1")[:width] + b"\xaa" * (8 - width)
        assert bytes(core.memory.smem[512:520]) == stored
        assert core.x[7] == struct.unpack("<q", stored)[0]
        low = 0xF1F2F3F4F5F6F7F8 % 2 ** (8 * width)
        assert core.x[6] == (signed(low) if width == 8 else low)


def test_branches_and_links() -> None:
    core = Core()
    for a, b in [(1, 2), (2, 1), (3, 3), (-1, 1)]:
        core.x[5], core.x[6] = a, b
        for condition, truth in [("eq", a == b), ("ne", a != b), ("lt", a < b), ("ge", a >= b)]:
            core.run(f"alu.add x7, x0, 0\n br.{condition} x5, x6, over\n alu.add x7, x0, 1\nover:")
            assert core.x[7] == (0 if truth else 1)
    core.run("jal x1, f\n alu.add x8, x0, x1\n jal x0, end\nf: alu.add x9, x0, 77\n jalr x1, 0(x1)\nend:")
    assert (core.x[8], core.x[9], core.x[1]) == (5, 77, 5)


def test_jalr_with_equal_registers_reads_before_it_writes() -> None:
    core = Core()
    core.x[5] = 1
    core.run("jalr x5, 1(x5)\n trap 9\n")
    assert core.x[5] == 1


def test_descriptor_instructions() -> None:
    core = Core()
    d = tensor(0x40, Dtype.BF16, 7, 5, 3, 2, region=Region.KV, strides=(-2, 64, -4096, 0))
    core.memory.smem[512:544] = d.pack()
    core.x[5], core.x[6] = 500, -8
    core.run(
        "tdld t9, 12(x5)\n tdset t9.base, x5\n tdset t9.e1, 2\n tdadd t9.s3, x6\n tdadd t9.e0, 1\n tdadd t9.base, -100"
    )
    assert core.state.descriptor(9) == tensor(
        400, Dtype.BF16, 8, 2, 3, 2, region=Region.KV, strides=(-2, 64, -4096, -8)
    )
    assert d.extents == (7, 5, 3, 2)


def test_yield_halt_and_mark() -> None:
    core = Core()
    events = core.run("alu.add x5, x0, 3\nloop: mark x5, 40\n yield x5, 7\n alu.sub x5, x5, 1\n br.ne x5, x0, loop")
    assert [(e.kind, e.value, e.pc) for e in events] == [(7, 3, 2), (7, 2, 2), (7, 1, 2)]
    assert core.state.read_mailbox(Mailbox.STATE) == 2


def trapped(core: Core, text: str | bytes, **options: object) -> TrapError:
    with pytest.raises(TrapError) as info:
        core.run(text, **options) if isinstance(text, str) else core.run_text(text, **options)
    error = info.value
    assert core.state.read_mailbox(Mailbox.STATE) == 3
    assert core.state.read_mailbox(Mailbox.TRAP_CAUSE) == error.cause
    assert core.state.read_mailbox(Mailbox.TRAP_PC) == error.pc
    assert core.state.read_mailbox(Mailbox.TRAP_OPERAND) == error.operand_word
    return error


@pytest.mark.parametrize(
    ("source", "cause", "operand"),
    [
        ("alu.div x5, x6, x0", Trap.DIVISION_BY_ZERO, "rt"),
        ("alu.rem x5, x6, 0", Trap.DIVISION_BY_ZERO, "imm"),
        ("lds.8 x5, 4(x0)", Trap.MISALIGNED, "imm"),
        ("sts.2 x5, 1(x0)", Trap.MISALIGNED, "imm"),
        ("lds.4 x5, 65536(x0)", Trap.OUT_OF_BOUNDS, "imm"),
        ("sts.1 x5, -1(x0)", Trap.OUT_OF_BOUNDS, "imm"),
        ("tdld t1, 65512(x0)", Trap.OUT_OF_BOUNDS, "imm"),
        ("tdld t1, 4(x0)", Trap.MISALIGNED, "imm"),
        ("tdset t1.base, -1", Trap.TD_OVERFLOW, "ta"),
        ("tdset t1.e2, 4096", Trap.TD_OVERFLOW, "ta"),
        ("tdset t1.e0, 1048576", Trap.TD_OVERFLOW, "ta"),
        ("tdset t1.e0, 1048575\n tdadd t1.e0, 1", Trap.TD_OVERFLOW, "ta"),
        ("alu.sll x5, x7, 31\n tdset t1.s1, x5", Trap.TD_OVERFLOW, "ta"),
        ("alu.sll x5, x7, 40\n tdset t1.base, x5", Trap.TD_OVERFLOW, "ta"),
        ("jalr x0, -5(x0)", Trap.PC_OUT_OF_RANGE, "rs"),
        ("jalr x0, 5(x0)", Trap.PC_OUT_OF_RANGE, "rs"),
        ("trap -12", Trap.PROGRAM, "imm"),
    ],
)
def test_traps(source: str, cause: Trap, operand: str) -> None:
    core = Core()
    core.x[7] = 1
    error = trapped(core, source)
    assert (error.cause, error.operand, error.pc) == (cause, operand, source.count("\n"))
    assert source.split("\n")[-1].split()[0] in error.instruction


def test_program_trap_posts_its_operand() -> None:
    assert trapped(Core(), "trap -12").operand_word == -12


@pytest.mark.parametrize(
    "change", [{"op": 0}, {"op": 7}, {"op": 255}, {"fn": 14}, {"fl": 2}, {"rd": 32}, {"ta": 1}, {"reserved": 1}]
)
def test_illegal_words(change: dict[str, int]) -> None:
    word = bytearray(encode("alu", fn="add", fl=Flag.I, rd=5, rs=6, imm=1))
    offsets = {"op": 0, "fn": 1, "fl": 2, "rd": 3, "ta": 6, "reserved": 10}
    (name, value), *_ = change.items()
    word[offsets[name]] = value
    error = trapped(Core(), encode("mark", rs=0, imm=0) + bytes(word))
    cause = {"op": Trap.ILLEGAL_OPCODE, "fn": Trap.ILLEGAL_FUNCTION}.get(name, Trap.RESERVED_FIELD)
    assert (error.cause, error.pc, error.operand) == (cause, 1, name)


def test_illegal_descriptor_words() -> None:
    good = tensor(0, Dtype.F32, 4).pack()
    for byte, value in [(5, 0x08), (5, 0xA0), (6, 0x40), (7, 1)]:
        core = Core()
        data = bytearray(good)
        data[byte] |= value
        core.memory.smem[512:544] = data
        assert trapped(core, "tdld t1, 512(x0)").cause == Trap.TD_ILLEGAL


def test_pc_leaves_the_text() -> None:
    error = trapped(Core(), encode("mark", rs=0, imm=0))
    assert (error.cause, error.pc) == (Trap.PC_OUT_OF_RANGE, 1)
    for target in (-1, 2, 2**31 - 1, -(2**31)):
        error = trapped(Core(), encode("mark", rs=0, imm=0) + encode("br", fn="eq", rs=0, rt=0, imm=target))
        assert (error.cause, error.pc) == (Trap.PC_OUT_OF_RANGE, 1)
        core = Core()
        error = trapped(core, encode("jal", rd=5, imm=target))
        assert error.cause == Trap.PC_OUT_OF_RANGE and core.x[5] == 0
    assert Core().run_text(encode("br", fn="ne", rs=0, rt=0, imm=-1) + encode("halt")) == []


def test_empty_text_and_watchdog() -> None:
    assert trapped(Core(), b"").cause == Trap.PC_OUT_OF_RANGE
    assert trapped(Core(), "here: jal x0, here", watchdog=1000).cause == Trap.WATCHDOG
    assert len(Core().run("alu.add x5, x0, 9\na: yield x5, 1\n alu.sub x5, x5, 1\n br.ne x5, x0, a", watchdog=5)) == 9


class Recorder:
    """An observer that keeps every call."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def __getattr__(self, name: str) -> object:
        return lambda *arguments: self.calls.append((name, *[getattr(a, "mnemonic", a) for a in arguments]))


def test_observer_sees_program_order() -> None:
    core, recorder = Core(), Recorder()
    d = core.td(1, tensor(64, Dtype.F32, 4))
    core.x[5] = 512
    core.run(
        "alu.add x5, x5, 8\n sts.8 x5, 0(x5)\n lds.8 x5, 0(x5)\n tdld t2, 512(x0)\n mark x5, 3\n yield x5, 1\n vbin.add t1, t1, 1.0\n"
        " br.ne x0, x0, 0",
        recorder,
    )
    assert recorder.calls == [
        ("scalar", 0, "alu"), ("smem", 1, "sts", 520, 528, True), ("smem", 2, "lds", 520, 528, False),
        ("smem", 3, "tdld", 512, 544, False), ("mark", 4, 3, 520), ("event", 5, 1, 520),
        ("engine", 6, "vbin", 0, 1, (d, d, None, None)), ("scalar", 7, "br"), ("halt", 8),
    ]  # fmt: skip


def test_observer_does_not_see_a_trapping_instruction() -> None:
    core, recorder = Core(), Recorder()
    with pytest.raises(TrapError):
        core.run("alu.add x5, x0, 1\n vbin.add t1, t1, 1.0", recorder)
    assert recorder.calls == [("scalar", 0, "alu")]

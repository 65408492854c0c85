"""The SLX instruction set: THE table. Encoder, decoder, assembler, disassembler, docs/isa.md and the isa dialect derive from it.

Behaviour is not here: docs/numerics.md gives the bits, simulator/ the meaning. Numbers in this file are frozen for ISA 1.x.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag

ISA_VERSION = (1, 2)
INSTRUCTION_BYTES = 16
X_REGISTERS = 32
TD_REGISTERS = 128
SMEM_BYTES = 65536
MAX_MM_K = 65536
MAX_SOFTMAX_KEYS = 256
MAX_TOPK = 64
KV_BLOCK = 256
SUM_QUANTUM = 32


class Engine(IntEnum):
    """Each engine has an in-order queue; SEQ fetches, executes scalars and dispatches."""

    SEQ = 0
    DML = 1
    DMS = 2
    MXU = 3
    VPU = 4
    PIM = 5
    NET = 6


class Region(IntEnum):
    """Where a tensor descriptor points. 0..5 are DRAM regions with base and limit; addresses are region-relative."""

    WEIGHT = 0
    KV = 1
    IO = 2
    SCRATCH = 3
    TABLE = 4
    PIMW = 5
    SRAM = 6
    SMEM = 7


DRAM_REGIONS = tuple(Region(r) for r in range(6))
READ_ONLY_REGIONS = (Region.WEIGHT, Region.TABLE, Region.PIMW)


class Dtype(IntEnum):
    """Element types of descriptors. E8M0, E4M3 and E2M1 are those of the OCP Microscaling formats."""

    F32 = 0
    F16 = 1
    BF16 = 2
    I32 = 3
    I8 = 4
    I4 = 5
    U8 = 6
    E8M0 = 7
    E4M3 = 8
    E2M1 = 9


ELEMENT_BITS = {
    Dtype.F32: 32, Dtype.F16: 16, Dtype.BF16: 16, Dtype.I32: 32, Dtype.I8: 8, Dtype.I4: 4, Dtype.U8: 8, Dtype.E8M0: 8,
    Dtype.E4M3: 8, Dtype.E2M1: 4,
}  # fmt: skip
PACKED_4BIT = (Dtype.I4, Dtype.E2M1)
"""Stored as nibbles, two to a byte."""
QUADS = (Dtype.I8, Dtype.E4M3, *PACKED_4BIT)
"""Weights of 8 bits and less: blocked rows store them in quads, four bytes of a row together."""
BLOCKED_DTYPES = (*QUADS, Dtype.F16, Dtype.BF16, Dtype.F32, Dtype.E8M0)
"""Weights and scales of groups, which may lie in blocks of rows."""


class Flag(IntFlag):
    """The `fl` byte. I: the second operand is imm; X: the VPU scalar is the fp32 bits in x[rs]; ACC: MM adds to C."""

    I = 1  # noqa: E741
    X = 2
    ACC = 4


class Trap(IntEnum):
    """Causes, posted to the mailbox with pc and operand."""

    ILLEGAL_OPCODE = 1
    RESERVED_FIELD = 2
    ILLEGAL_FUNCTION = 3
    ILLEGAL_DTYPE = 4
    SHAPE_MISMATCH = 5
    OUT_OF_BOUNDS = 6
    MISALIGNED = 7
    READ_ONLY = 8
    TD_OVERFLOW = 9
    TD_ILLEGAL = 10
    K_TOO_LONG = 11
    ILLEGAL_OVERLAP = 12
    DIVISION_BY_ZERO = 13
    WATCHDOG = 14
    PROGRAM = 15
    PC_OUT_OF_RANGE = 16
    ILLEGAL_REGION = 17
    UNSUPPORTED_FEATURE = 18
    UNINITIALISED_READ = 19


class Feature(IntFlag):
    """Required-feature bits of an executable."""

    PIM = 1
    NET = 2
    SPARSE = 4


# Instruction word, low bits first: (field, width in bits). `imm` is signed. The 16 bits before imm are always zero.
FIELDS = (
    ("op", 8), ("fn", 8), ("fl", 8), ("rd", 8), ("rs", 8), ("rt", 8),
    ("ta", 8), ("tb", 8), ("tc", 8), ("td", 8), ("reserved", 16), ("imm", 32),
)  # fmt: skip
X_FIELDS = ("rd", "rs", "rt")
TD_OPERANDS = ("ta", "tb", "tc", "td")

# Tensor descriptor, 32 bytes, low bits first: (field, width in bits, signed). s0..s3 are byte strides.
TD_FIELDS = (
    ("base", 40, False), ("region", 4, False), ("dtype", 4, False), ("glog2", 4, False), ("fmt", 4, False),
    ("reserved", 8, False), ("e0", 20, False), ("e1", 20, False), ("e2", 12, False), ("e3", 12, False),
    ("s0", 32, True), ("s1", 32, True), ("s2", 32, True), ("s3", 32, True),
)  # fmt: skip
TD_BYTES = 32
MIN_GLOG2_4BIT = 5
"""Tensors of nibbles come in groups of 32 or more."""
FMT_SPARSE = 1
FMT_BLOCKED = 2
BLOCK_ROWS = 16
TD_FUNCTIONS = ("base", "e0", "e1", "e2", "e3", "s0", "s1", "s2", "s3")

ALU = ("add", "sub", "mul", "div", "rem", "and", "or", "xor", "sll", "srl", "sra", "min", "max", "slt")
SMEM_WIDTHS = ("1", "2", "4", "8")
BRANCH = ("eq", "ne", "lt", "ge")
VBIN = ("add", "sub", "mul", "div", "min", "max", "lt")
VMAD = ("mad", "msub", "nmsub")
VUN = ("mov", "abs", "sqrt", "exp", "log", "sigmoid", "tanh", "erf")
VRED = ("sum", "max", "amax")

# Legal dtypes. MM: (A, B) -> C; MMG: (A, B) with scales S -> f32. VPU sources are read as f32, results rounded on store.
MM_DTYPES = {
    (Dtype.F32, Dtype.F32): Dtype.F32,
    (Dtype.F16, Dtype.F16): Dtype.F32,
    (Dtype.BF16, Dtype.BF16): Dtype.F32,
    (Dtype.F16, Dtype.I8): Dtype.F32,
    (Dtype.BF16, Dtype.I8): Dtype.F32,
    (Dtype.F16, Dtype.I4): Dtype.F32,
    (Dtype.BF16, Dtype.I4): Dtype.F32,
    (Dtype.I8, Dtype.I8): Dtype.I32,
}
MMG_DTYPES = frozenset(
    {(a, b) for a in (Dtype.I8, Dtype.F16, Dtype.BF16) for b in (Dtype.I8, Dtype.I4)}
    | {(a, b) for a in (Dtype.F16, Dtype.BF16) for b in (Dtype.E4M3, Dtype.E2M1)}
)
MMG_SCALES = (Dtype.F32, Dtype.F16, Dtype.E8M0)
VPU_SOURCES = (Dtype.F32, Dtype.F16, Dtype.BF16, Dtype.I32, Dtype.I8, Dtype.I4, Dtype.U8, Dtype.E8M0)
VPU_RESULTS = (Dtype.F32, Dtype.F16, Dtype.BF16, Dtype.I32, Dtype.I8, Dtype.I4)


@dataclass(frozen=True)
class Instruction:
    """One row. `syntax` lists the operands in assembly order:

    rd rs rt: x-register; ta tb tc td: descriptor; imm: i32; imm(rs): SMEM address; label: instruction index;
    ta.fn: descriptor and field; rt|imm, rs|imm: register, or flag I and imm; tc|f32|rs and tb|f32|rs: descriptor,
    or flag I and fp32 bits in imm, or flag X and the fp32 bits in x[rs].
    reads/writes name the descriptor operands accessed (C of an accumulating MM is read too).
    """

    mnemonic: str
    opcode: int
    engine: Engine
    syntax: str
    doc: str
    functions: tuple[str, ...] = ()
    flags: Flag = Flag(0)
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    feature: Feature = Feature(0)


_S = Engine.SEQ
TABLE = (
    Instruction("alu", 1, _S, "rd rs rt|imm", "x[rd] = x[rs] f (x[rt] or imm); signed 64-bit, wraps; div and rem truncate "
                "towards 0 (by 0 traps, -2^63 / -1 wraps to -2^63 with remainder 0); shift counts mod 64.", ALU, Flag.I),
    Instruction("lds", 2, _S, "rd imm(rs)", "x[rd] = n bytes of SMEM at x[rs] + imm, little-endian, zero-extended for n < 8; "
                "the address is a multiple of n. Waits for older conflicting instructions.", SMEM_WIDTHS),
    Instruction("sts", 3, _S, "rt imm(rs)", "n low bytes of x[rt] to SMEM at x[rs] + imm; the address is a multiple of n. "
                "Waits for older conflicting instructions.", SMEM_WIDTHS),
    Instruction("br", 4, _S, "rs rt label", "If x[rs] c x[rt] (signed), pc = imm, an absolute instruction index.", BRANCH),
    Instruction("jal", 5, _S, "rd label", "x[rd] = pc + 1; pc = imm."),
    Instruction("jalr", 6, _S, "rd imm(rs)", "target = x[rs] + imm; x[rd] = pc + 1; pc = target."),
    Instruction("tdld", 8, _S, "ta imm(rs)", "t[ta] = 32 bytes of SMEM at x[rs] + imm (a multiple of 8); a reserved dtype, a "
                "non-zero reserved field or an illegal format traps. Waits for older conflicting instructions."),
    Instruction("tdset", 9, _S, "ta.fn rs|imm", "t[ta].f = x[rs] or imm; a value that does not fit the field traps.",
                TD_FUNCTIONS, Flag.I),
    Instruction("tdadd", 10, _S, "ta.fn rs|imm", "t[ta].f += x[rs] or imm; a sum that does not fit the field traps.",
                TD_FUNCTIONS, Flag.I),
    Instruction("halt", 16, _S, "", "Waits for every engine, then stops; the host may read and write memory."),
    Instruction("trap", 17, _S, "imm", "Traps with cause PROGRAM and operand imm."),
    Instruction("yield", 18, _S, "rs imm", "Posts (imm, x[rs]) to the host queue."),
    Instruction("mark", 19, _S, "rs imm", "Labels a point of the profile with (imm, x[rs]); no other effect."),
    Instruction("ld", 32, Engine.DML, "ta tb", "Copies DRAM (tb) to SRAM or SMEM (ta): same dtype and extents, any strides.",
                reads=("tb",), writes=("ta",)),
    Instruction("st", 33, Engine.DMS, "ta tb", "Copies SRAM or SMEM (tb) to DRAM (ta): same dtype and extents, any strides.",
                reads=("tb",), writes=("ta",)),
    Instruction("mm", 40, Engine.MXU, "ta tb tc", "C[i3,i2,i1,n] (+)= sum_k A[i3,i2,i1,k] * B[i2,n,k] with C = ta, A = tb, "
                "B = tc; B.e2 = A.e2 or 1, B.e3 = 1; the suffix .acc adds to C.", flags=Flag.ACC,
                reads=("tb", "tc"), writes=("ta",)),
    Instruction("mmg", 41, Engine.MXU, "ta tb tc td", "mm with group scales S = td [K/g, N]: C (+)= sum_g f32(p_g) * S[n,g], "
                "g ascending; the group size is 2^glog2 of B.", flags=Flag.ACC, reads=("tb", "tc", "td"), writes=("ta",)),
    Instruction("vbin", 48, Engine.VPU, "ta tb tc|f32|rs", "ta = tb f (tc or scalar), elementwise; lt gives 1.0 or 0.0.",
                VBIN, Flag.I | Flag.X, ("tb", "tc"), ("ta",)),
    Instruction("vmad", 49, Engine.VPU, "ta tb tc|f32|rs td", "mad a*b+c, msub a*b-c, nmsub c-a*b with a = tb, "
                "b = tc or scalar, c = td; two roundings.", VMAD, Flag.I | Flag.X, ("tb", "tc", "td"), ("ta",)),
    Instruction("vun", 50, Engine.VPU, "ta tb|f32|rs", "ta = f(tb or scalar); mov of equal dtypes copies the bits.",
                VUN, Flag.I | Flag.X, ("tb",), ("ta",)),
    Instruction("vred", 51, Engine.VPU, "ta tb", "Reduces dimension 0 of tb; ta.e0 = 1. sum is sum_fp, amax the largest "
                "absolute value.", VRED, reads=("tb",), writes=("ta",)),
    Instruction("vsmx", 52, Engine.VPU, "ta tb tc rs rt", "One online-softmax block: P = ta, S = tb, ML = tc [4,...] = (m, l, "
                "alpha, -) per row; key j of the row of token i3 is visible if 0 <= x[rs] + i3 - j < x[rt].",
                reads=("tb", "tc"), writes=("ta", "tc")),
    Instruction("vtopk", 53, Engine.VPU, "ta tb rs", "Merges row tb into the sorted list ta: e0 entries of 8 bytes, "
                "(f32 value, i32 index x[rs] + position); the lowest index wins ties.", reads=("ta", "tb"), writes=("ta",)),
    Instruction("vrng", 54, Engine.VPU, "ta rs rt rd", "ta[i] = uniform (0,1) fp32 of Philox4x32-10 with key x[rd] and counter "
                "(x[rs] + i, x[rt], 0, 0).", writes=("ta",)),
    Instruction("pmm", 56, Engine.PIM, "ta tb tc", "mm with one row of A (M = 1) and B in PIMW, computed in the memory banks.",
                reads=("tb", "tc"), writes=("ta",), feature=Feature.PIM),
    Instruction("send", 60, Engine.NET, "tb rs", "Sends tensor tb to core x[rs]; blocks until received.",
                reads=("tb",), feature=Feature.NET),
    Instruction("recv", 61, Engine.NET, "ta rs", "Receives tensor ta from core x[rs]; sizes must match.",
                writes=("ta",), feature=Feature.NET),
)  # fmt: skip

BY_MNEMONIC = {row.mnemonic: row for row in TABLE}
BY_OPCODE = {row.opcode: row for row in TABLE}


def used_fields(row: Instruction, flags: int) -> frozenset[str]:
    """The fields an instruction with these flags uses; every other field must be zero."""
    used = {"op"}
    if row.functions:
        used.add("fn")
    if row.flags:
        used.add("fl")
    for operand in row.syntax.split():
        used |= _operand_fields(operand, flags)
    return frozenset(used)


def _operand_fields(operand: str, flags: int) -> set[str]:
    if operand == "imm(rs)":
        return {"rs", "imm"}
    if operand == "label":
        return {"imm"}
    if operand == "ta.fn":
        return {"ta", "fn"}
    choices = operand.split("|")
    if len(choices) == 1:
        return {operand}
    if flags & Flag.I:
        return {"imm"}
    return {choices[2]} if flags & Flag.X else {choices[0]}

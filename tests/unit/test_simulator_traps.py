"""Each trap of the engine instructions: cause, pc and operand, and that nothing was written."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from isa.abi import Mailbox
from isa.descriptor import Descriptor
from isa.spec import FMT_BLOCKED, FMT_SPARSE, Dtype, Feature, Region, Trap
from simulator.traps import TrapError
from tests.unit.simulator_support import SIZES, Core, tensor

F, I8, I4, I32 = Dtype.F32, Dtype.I8, Dtype.I4, Dtype.I32
LIMIT = SIZES[Region.SRAM]
A, B, C, S = tensor(0, F, 4, 2), tensor(256, F, 4, 3), tensor(512, F, 3, 2), tensor(1024, F, 4, 2)
QA, QB, QC, QS = tensor(0, I8, 64, 2), tensor(256, I4, 64, 3), tensor(512, F, 3, 2), tensor(1024, F, 2, 3)
V, W = tensor(0, F, 8, 2), tensor(256, F, 8, 2)
P, ML = tensor(512, F, 8, 2), tensor(1024, F, 4, 2)
LIST, ROW = tensor(512, F, 4, strides=(8,)), tensor(0, F, 16)
DRAM, CHIP = tensor(0, F, 8, region=Region.KV), tensor(0, F, 8)

T = Trap
CASES: list[tuple[str, dict[int, Descriptor], Trap, str]] = [
    # descriptors
    ("vbin.add t1, t2, 1.0", {1: replace(V, extents=(8, 0, 1, 1)), 2: W}, T.TD_ILLEGAL, "ta"),
    ("vbin.add t1, t2, 1.0", {1: V}, T.TD_ILLEGAL, "tb"),
    ("vun.mov t1, t2", {1: tensor(0, F, 32), 2: tensor(256, I4, 32, glog2=4)}, T.TD_ILLEGAL, "tb"),
    ("vun.mov t1, t2", {1: tensor(0, F, 48), 2: tensor(256, I4, 48, glog2=5)}, T.TD_ILLEGAL, "tb"),
    ("vun.mov t1, t2", {1: tensor(0, F, 32), 2: tensor(256, I4, 32, strides=(1,))}, T.TD_ILLEGAL, "tb"),
    ("vun.mov t1, t2", {1: V, 2: replace(W, fmt=FMT_BLOCKED)}, T.TD_ILLEGAL, "tb"),
    ("mm t1, t2, t3", {1: C, 2: replace(A, fmt=FMT_BLOCKED), 3: B}, T.TD_ILLEGAL, "tb"),
    ("mm t1, t2, t3", {1: C, 2: A, 3: replace(B, fmt=FMT_BLOCKED)}, T.TD_ILLEGAL, "tc"),
    ("mm t1, t2, t3", {1: C, 2: A, 3: replace(B, fmt=3)}, T.TD_ILLEGAL, "tc"),
    ("mm t1, t2, t3", {1: C, 2: A, 3: replace(B, fmt=FMT_SPARSE)}, T.TD_ILLEGAL, "tc"),
    ("ld t1, t2", {1: CHIP, 2: replace(DRAM, fmt=FMT_BLOCKED)}, T.TD_ILLEGAL, "tb"),
    ("vtopk t1, t2, x5", {1: tensor(512, F, 4), 2: ROW}, T.TD_ILLEGAL, "ta"),
    # regions
    ("mm t1, t2, t3", {1: C, 2: replace(A, region=Region.SMEM), 3: B}, T.ILLEGAL_REGION, "tb"),
    ("mm t1, t2, t3", {1: C, 2: A, 3: replace(B, region=Region.WEIGHT)}, T.ILLEGAL_REGION, "tc"),
    ("mmg t1, t2, t3, t4", {1: QC, 2: QA, 3: QB, 4: replace(QS, region=Region.KV)}, T.ILLEGAL_REGION, "td"),
    ("vbin.add t1, t2, 1.0", {1: V, 2: replace(W, region=Region.IO)}, T.ILLEGAL_REGION, "tb"),
    ("vrng t1, x5, x6, x7", {1: replace(ROW, region=Region.SCRATCH)}, T.ILLEGAL_REGION, "ta"),
    ("ld t1, t2", {1: DRAM, 2: DRAM}, T.ILLEGAL_REGION, "ta"),
    ("ld t1, t2", {1: CHIP, 2: CHIP}, T.ILLEGAL_REGION, "tb"),
    ("st t1, t2", {1: CHIP, 2: CHIP}, T.ILLEGAL_REGION, "ta"),
    ("st t1, t2", {1: replace(DRAM, region=Region.WEIGHT), 2: CHIP}, T.READ_ONLY, "ta"),
    ("st t1, t2", {1: replace(DRAM, region=Region.TABLE), 2: CHIP}, T.READ_ONLY, "ta"),
    ("st t1, t2", {1: replace(DRAM, region=Region.PIMW), 2: CHIP}, T.READ_ONLY, "ta"),
    # dtypes
    ("mm t1, t2, t3", {1: C, 2: replace(A, dtype=I32), 3: B}, T.ILLEGAL_DTYPE, "tb"),
    ("mm t1, t2, t3", {1: replace(C, dtype=I32), 2: A, 3: B}, T.ILLEGAL_DTYPE, "ta"),
    ("mmg t1, t2, t3, t4", {1: QC, 2: replace(QA, dtype=F), 3: QB, 4: QS}, T.ILLEGAL_DTYPE, "tb"),
    ("mmg t1, t2, t3, t4", {1: QC, 2: QA, 3: QB, 4: replace(QS, dtype=Dtype.BF16)}, T.ILLEGAL_DTYPE, "td"),
    ("mmg t1, t2, t3, t4", {1: replace(QC, dtype=I32), 2: QA, 3: QB, 4: QS}, T.ILLEGAL_DTYPE, "ta"),
    ("vbin.add t1, t2, 1.0", {1: replace(V, dtype=Dtype.U8), 2: W}, T.ILLEGAL_DTYPE, "ta"),
    ("ld t1, t2", {1: CHIP, 2: replace(DRAM, dtype=I32)}, T.ILLEGAL_DTYPE, "tb"),
    ("vsmx t1, t2, t3, x5, x6", {1: P, 2: V, 3: replace(ML, dtype=I32)}, T.ILLEGAL_DTYPE, "tc"),
    ("vtopk t1, t2, x5", {1: replace(LIST, dtype=I32), 2: ROW}, T.ILLEGAL_DTYPE, "ta"),
    ("vrng t1, x5, x6, x7", {1: replace(ROW, dtype=Dtype.F16)}, T.ILLEGAL_DTYPE, "ta"),
    # shapes
    ("mm t1, t2, t3", {1: C, 2: A, 3: tensor(256, F, 5, 3)}, T.SHAPE_MISMATCH, "tc"),
    ("mm t1, t2, t3", {1: tensor(512, F, 4, 2), 2: A, 3: B}, T.SHAPE_MISMATCH, "ta"),
    ("mm t1, t2, t3", {1: tensor(512, F, 3, 2, 2), 2: tensor(0, F, 4, 2, 2), 3: tensor(256, F, 4, 3, 3)}, T.SHAPE_MISMATCH, "tc"),
    ("mm t1, t2, t3", {1: C, 2: A, 3: tensor(256, F, 4, 3, 1, 2)}, T.SHAPE_MISMATCH, "tc"),
    ("mm t1, t2, t3", {1: C, 2: tensor(0, F, 65537, 2, strides=(4, 0)), 3: tensor(0, F, 65537, 3, strides=(0, 4))}, T.K_TOO_LONG, "tb"),
    ("mmg t1, t2, t3, t4", {1: QC, 2: QA, 3: QB, 4: tensor(1024, F, 3, 3)}, T.SHAPE_MISMATCH, "td"),
    ("mmg t1, t2, t3, t4", {1: QC, 2: tensor(0, I8, 40, 2), 3: tensor(256, I8, 40, 3), 4: QS}, T.SHAPE_MISMATCH, "tc"),
    ("vbin.add t1, t2, 1.0", {1: V, 2: tensor(256, F, 8, 3)}, T.SHAPE_MISMATCH, "tb"),
    ("vmad.mad t1, t2, t2, t3", {1: V, 2: W, 3: tensor(256, F, 7, 2)}, T.SHAPE_MISMATCH, "td"),
    ("vred.sum t1, t2", {1: V, 2: W}, T.SHAPE_MISMATCH, "ta"),
    ("ld t1, t2", {1: CHIP, 2: tensor(0, F, 9, region=Region.KV)}, T.SHAPE_MISMATCH, "tb"),
    ("ld t1, t2", {1: tensor(0, I4, 64, glog2=5), 2: tensor(0, I4, 64, glog2=6, region=Region.KV)}, T.SHAPE_MISMATCH, "tb"),
    ("vsmx t1, t2, t3, x5, x6", {1: tensor(8192, F, 257), 2: tensor(0, F, 257), 3: tensor(4096, F, 4)}, T.SHAPE_MISMATCH, "tb"),
    ("vsmx t1, t2, t3, x5, x6", {1: P, 2: V, 3: tensor(1024, F, 4, 3)}, T.SHAPE_MISMATCH, "tc"),
    ("vtopk t1, t2, x5", {1: tensor(4096, F, 65, strides=(8,)), 2: ROW}, T.SHAPE_MISMATCH, "ta"),
    ("vtopk t1, t2, x5", {1: LIST, 2: V}, T.SHAPE_MISMATCH, "tb"),
    ("vrng t1, x5, x6, x7", {1: V}, T.SHAPE_MISMATCH, "ta"),
    # alignment and bounds
    ("vbin.add t1, t2, 1.0", {1: V, 2: replace(W, base=258)}, T.MISALIGNED, "tb"),
    ("vbin.add t1, t2, 1.0", {1: V, 2: replace(W, strides=(4, 33, 0, 0))}, T.MISALIGNED, "tb"),
    ("vbin.add t1, t2, 1.0", {1: replace(V, base=2), 2: W}, T.MISALIGNED, "ta"),
    ("mm t1, t2, t3", {1: replace(C, base=514), 2: A, 3: B}, T.MISALIGNED, "ta"),
    ("vbin.add t1, t2, 1.0", {1: V, 2: replace(W, base=LIMIT - 60)}, T.OUT_OF_BOUNDS, "tb"),
    ("vbin.add t1, t2, 1.0", {1: V, 2: replace(W, base=24, strides=(-4, 32, 0, 0))}, T.OUT_OF_BOUNDS, "tb"),
    ("vbin.add t1, t2, 1.0", {1: V, 2: replace(W, base=(1 << 40) - 4)}, T.OUT_OF_BOUNDS, "tb"),
    ("ld t1, t2", {1: CHIP, 2: replace(DRAM, base=SIZES[Region.KV] - 28)}, T.OUT_OF_BOUNDS, "tb"),
    ("ld t1, t2", {1: CHIP, 2: replace(DRAM, region=Region.PIMW)}, T.OUT_OF_BOUNDS, "tb"),
    ("vtopk t1, t2, x5", {1: replace(LIST, base=LIMIT - 28), 2: ROW}, T.OUT_OF_BOUNDS, "ta"),
    ("mm t1, t2, t3", {1: tensor(512, F, 17, 2), 2: A,
      3: tensor(LIMIT - 64 * 4, F, 4, 17, strides=(0, 256), fmt=FMT_BLOCKED)}, T.OUT_OF_BOUNDS, "tc"),
    ("mm t1, t2, t3", {1: tensor(512, I32, 3), 2: tensor(0, I8, 5),
      3: tensor(LIMIT - 80, I8, 5, 3, strides=(0, 128), fmt=FMT_BLOCKED)}, T.OUT_OF_BOUNDS, "tc"),
    # overlap
    ("vbin.add t1, t2, 1.0", {1: V, 2: replace(V, base=4)}, T.ILLEGAL_OVERLAP, "ta"),
    ("vbin.add t1, t2, 1.0", {1: V, 2: tensor(0, Dtype.F16, 8, 2)}, T.ILLEGAL_OVERLAP, "ta"),
    ("vbin.add t1, t2, 1.0", {1: V, 2: replace(V, strides=(4, 0, 0, 0))}, T.ILLEGAL_OVERLAP, "ta"),
    ("vmad.mad t1, t2, t2, t3", {1: V, 2: W, 3: replace(V, base=32)}, T.ILLEGAL_OVERLAP, "ta"),
    ("vun.mov t1, t2", {1: replace(V, strides=(4, 0, 0, 0)), 2: W}, T.ILLEGAL_OVERLAP, "ta"),
    ("vun.mov t1, t2", {1: replace(V, strides=(4, 28, 0, 0)), 2: W}, T.ILLEGAL_OVERLAP, "ta"),
    ("vred.sum t1, t2", {1: tensor(0, F, 1, 2), 2: V}, T.ILLEGAL_OVERLAP, "ta"),
    ("mm t1, t2, t3", {1: replace(C, base=0), 2: A, 3: B}, T.ILLEGAL_OVERLAP, "ta"),
    ("mm t1, t2, t3", {1: tensor(0, F, 4, 2), 2: A, 3: tensor(256, F, 4, 4)}, T.ILLEGAL_OVERLAP, "ta"),
    ("mmg t1, t2, t3, t4", {1: QC, 2: QA, 3: QB, 4: replace(QS, base=520)}, T.ILLEGAL_OVERLAP, "ta"),
    ("vsmx t1, t2, t3, x5, x6", {1: replace(V, base=4), 2: V, 3: ML}, T.ILLEGAL_OVERLAP, "ta"),
    ("vsmx t1, t2, t3, x5, x6", {1: P, 2: V, 3: replace(ML, base=512)}, T.ILLEGAL_OVERLAP, "tc"),
    ("vsmx t1, t2, t3, x5, x6", {1: tensor(512, F, 4, 2), 2: tensor(0, F, 4, 2), 3: tensor(0, F, 4, 2)}, T.ILLEGAL_OVERLAP, "tc"),
    ("vtopk t1, t2, x5", {1: LIST, 2: replace(ROW, base=540)}, T.ILLEGAL_OVERLAP, "ta"),
    # features
    ("pmm t1, t2, t3", {1: C, 2: A, 3: B}, T.UNSUPPORTED_FEATURE, "op"),
    ("send t2, x5", {2: A}, T.UNSUPPORTED_FEATURE, "op"),
    ("recv t1, x5", {1: A}, T.UNSUPPORTED_FEATURE, "op"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "operands", "cause", "operand"), CASES)
def test_trap(source: str, operands: dict[int, Descriptor], cause: Trap, operand: str) -> None:
    core = Core()
    for register, d in operands.items():
        core.td(register, d)
    core.memory.arrays[Region.SRAM][:4096] = 0x11
    with pytest.raises(TrapError) as info:
        core.run(f"mark x0, 1\n {source}")
    error = info.value
    assert (error.cause, error.operand, error.pc) == (cause, operand, 1), error.detail
    assert error.instruction == source
    assert re.fullmatch(rf"trap {cause.name} at pc 1, operand {operand}: .*", str(error))
    assert core.state.read_mailbox(Mailbox.STATE) == 3
    assert core.state.read_mailbox(Mailbox.TRAP_CAUSE) == cause
    assert core.state.read_mailbox(Mailbox.TRAP_PC) == 1
    assert (core.memory.arrays[Region.SRAM][:4096] == 0x11).all() and not core.memory.arrays[Region.KV].any()


def test_traps_do_not_need_tensor_values() -> None:
    """Timing-only runs check the same things without storage for weights, KV and SRAM."""
    for source, operands, cause, _ in CASES:
        core = Core(absent=frozenset({Region.KV, Region.SRAM}))
        for register, d in operands.items():
            core.td(register, d)
        with pytest.raises(TrapError) as info:
            core.run(source, timing_only=True)
        assert info.value.cause == cause


def test_sparse_rows_need_the_feature() -> None:
    core = Core()
    core.td(1, tensor(512, F, 3)), core.td(2, tensor(0, F, 8))
    core.td(3, tensor(1024, F, 8, 3, fmt=FMT_SPARSE))
    core.run("mm t1, t2, t3")
    with pytest.raises(TrapError) as info:
        core.run("mm t1, t2, t3", features=Feature(0))
    assert info.value.cause == T.UNSUPPORTED_FEATURE


def test_equal_operands_are_legal() -> None:
    core = Core()
    core.td(1, V), core.td(2, replace(V, dtype=I32))
    core.run("vbin.add t1, t1, t1\n vmad.mad t1, t1, t1, t1\n vun.mov t2, t1\n vun.mov t1, t2")
    core.td(3, tensor(0, F, 1, 16)), core.td(4, tensor(0x1000, F, 4, 2))
    core.run("vred.max t3, t3\n vsmx t1, t1, t4, x5, x6")
    core.td(5, tensor(0, Dtype.F16, 8, 2, strides=(4, 32))), core.td(6, tensor(2, Dtype.F16, 8, 2, strides=(4, 32)))
    with pytest.raises(TrapError):  # interleaved halves: intervals overlap although no byte is shared
        core.run("vun.mov t5, t6")


def test_destinations_may_interleave_their_own_dimensions() -> None:
    """Strides 8 and 12 do not nest, yet no two of the elements 0, 8, 16, 12, 20, 28 share a byte."""
    core = Core()
    core.td(1, tensor(0, F, 3, 2, strides=(8, 12)))
    core.run("vun.mov t1, 2.0")
    core.td(1, tensor(0, F, 4, 2, strides=(8, 16)))
    with pytest.raises(TrapError):
        core.run("vun.mov t1, 2.0")


def test_uninitialised_reads() -> None:
    core = Core()
    core.td(1, tensor(0, F, 8)), core.td(2, tensor(64, F, 8)), core.td(3, tensor(0, F, 8, region=Region.KV))
    core.td(4, tensor(0, F, 8, strides=(8,)))
    debug = {"check_uninitialised": True}
    core.run("vun.mov t1, 1.0\n vun.mov t2, t1\n st t3, t2\n ld t1, t3", **debug)
    for source, operand in [("vun.mov t1, t2", "tb"), ("ld t1, t3", "tb"), ("st t3, t1", "tb"), ("vbin.add t1, t1, t1", "tb"),
                            ("vun.mov t1, 0.0\n vbin.add t2, t1, t4", "tc"), ("vun.mov t4, 0.0\n vun.mov t2, t1", "tb")]:  # fmt: skip
        with pytest.raises(TrapError) as info:
            core.run(source, **debug)
        assert (info.value.cause, info.value.operand) == (T.UNINITIALISED_READ, operand)
    core.td(5, tensor(0x800, F, 4)), core.td(6, tensor(0x800, F, 2)), core.td(7, tensor(0x900, F, 8))
    core.x[6] = 2**31
    core.run(
        "vun.mov t6, 0.0\n vun.mov t1, 0.0\n vsmx t7, t1, t5, x0, x6", **debug
    )  # alpha and the last word need not exist
    with pytest.raises(TrapError):
        core.run("vun.mov t1, 0.0\n vsmx t7, t1, t5, x0, x6", **debug)
    core.td(8, tensor(0x1000, I8, 5, 3, strides=(0, 128), fmt=FMT_BLOCKED)), core.td(9, tensor(0, I8, 5))
    (
        core.td(10, tensor(0x1000, I8, 4, 16)),
        core.td(11, tensor(0x1040, I8, 1, 16, strides=(1, 4))),
        core.td(12, tensor(0x2000, I32, 3)),
    )
    filled = "vun.mov t9, 1.0\n vun.mov t10, 1.0\n"
    core.run(filled + " vun.mov t11, 1.0\n mm t12, t9, t8", **debug)
    for source in (filled + " mm t12, t9, t8", filled + " vun.mov t11, 1.0\n mm.acc t12, t9, t8"):
        with pytest.raises(TrapError) as info:
            core.run(source, **debug)
        assert info.value.cause == T.UNINITIALISED_READ

"""Random programs: only traps may end them; the observer, debug mode and timing-only mode do not change what they do."""

from __future__ import annotations

import contextlib
import struct

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isa.descriptor import Descriptor
from isa.encoding import encode
from isa.spec import TABLE, TD_FUNCTIONS, Dtype, Flag, Instruction, Region
from simulator.traps import TrapError
from tests.property.random_programs import instructions, prepared, registers, x_values
from tests.unit.simulator_support import Core, f32, mul, pack, same, sum_fp, tensor

QUIET = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def outcome(core: Core, text: bytes, observer: object = None, **options: object) -> tuple[object, ...]:
    """Everything the program did: events or trap, registers, memories."""
    try:
        end: object = [tuple(event) for event in core.run_text(text, observer, watchdog=300, **options)]
    except TrapError as error:
        end = (error.cause, error.pc, error.operand)
    memories = tuple(
        core.memory.arrays[region].tobytes() for region in (Region.SRAM, Region.SMEM, Region.KV, Region.IO)
    )
    return end, core.x[:32], memories


@QUIET
@given(st.binary(max_size=160).map(lambda data: data[: len(data) // 16 * 16]))
def test_arbitrary_bytes_only_trap(text: bytes) -> None:
    outcome(prepared([], [0] * 7, 0), text)


@QUIET
@given(registers, x_values, st.lists(instructions(), max_size=12), st.integers(0, 3))
def test_arbitrary_instructions_only_trap_and_are_deterministic(
    tds: list[Descriptor], values: list[int], program: list[bytes], seed: int
) -> None:
    text = b"".join(program)
    first = outcome(prepared(tds, values, seed), text)
    assert outcome(prepared(tds, values, seed), text) == first
    watched = outcome(prepared(tds, values, seed), text, Silent())
    assert watched == first


VECTOR = tuple(
    row
    for row in TABLE
    if row.mnemonic in ("vbin", "vmad", "vun", "vred", "vsmx", "vtopk", "vrng", "mm", "mmg", "ld", "st")
)


@settings(QUIET, max_examples=200)
@given(registers, x_values, instructions(rows=VECTOR))
def test_one_engine_instruction_traps_alike_without_tensor_values(
    tds: list[Descriptor], values: list[int], word: bytes
) -> None:
    text = word + encode("halt")
    whole = outcome(prepared(tds, values, 0), text)
    timing = outcome(prepared(tds, values, 0), text, timing_only=True)
    assert timing[:2] == whole[:2]


@settings(QUIET, max_examples=200)
@given(registers, x_values, instructions(rows=VECTOR))
def test_only_bytes_of_destinations_change(tds: list[Descriptor], values: list[int], word: bytes) -> None:
    """Writes stay inside the bounding intervals of the written operands, as the interlock assumes."""
    core = prepared(tds, values, 0)
    before = {region: array.copy() for region, array in core.memory.arrays.items()}
    recorder = Recorder()
    with contextlib.suppress(TrapError):
        core.run_text(word + encode("halt"), recorder)
    for region, array in core.memory.arrays.items():
        changed = np.flatnonzero(array != before[region])
        changed = changed[changed >= 256] if region == Region.SMEM else changed  # the mailbox holds the state word
        for place in changed:
            assert any(d.region == region and low <= place < high for d, low, high in recorder.written)


class Silent:
    """An observer that looks away."""

    def __getattr__(self, name: str) -> object:
        return lambda *_: None


class Recorder(Silent):
    """Remembers the intervals of written operands."""

    def __init__(self) -> None:
        self.written: list[tuple[Descriptor, int, int]] = []

    def engine(self, pc: int, row: Instruction, fn: int, fl: int, tds: tuple[Descriptor | None, ...]) -> None:
        for name, d in zip(("ta", "tb", "tc", "td"), tds, strict=True):
            if d is not None and name in row.writes:
                low, high = d.interval()
                self.written.append((d, low, high + (4 if row.mnemonic == "vtopk" else 0)))


finite = st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=True)


@QUIET
@given(st.lists(st.tuples(finite, finite), min_size=1, max_size=140), finite)
def test_products_of_any_floats(pairs: list[tuple[float, float]], start: float) -> None:
    core = Core()
    core.write(Region.SRAM, 0, pack([a for a, _ in pairs], Dtype.F32))
    core.write(Region.SRAM, 4096, pack([b for _, b in pairs], Dtype.F32))
    core.write(Region.SRAM, 8192, pack([start], Dtype.F32))
    (
        core.td(1, tensor(8192, Dtype.F32, 1)),
        core.td(2, tensor(0, Dtype.F32, len(pairs))),
        core.td(3, tensor(4096, Dtype.F32, len(pairs))),
    )
    core.run("mm.acc t1, t2, t3")
    got = struct.unpack("<f", core.read(Region.SRAM, 8192, 4))[0]
    assert same(got, sum_fp((mul(a, b) for a, b in pairs), start))


@QUIET
@given(st.integers(0, 2**32 - 1), st.sampled_from(TD_FUNCTIONS), st.integers(-(2**63), 2**63 - 1))
def test_tdset_stores_what_fits_and_nothing_else(word: int, field: str, value: int) -> None:
    core = Core()
    before = core.td(3, tensor(word & ~3, Dtype.F32, 7, 5))
    core.x[5] = value
    fits = {"base": (0, 2**40 - 1), "e0": (0, 2**20 - 1), "e1": (0, 2**20 - 1), "e2": (0, 4095), "e3": (0, 4095)}
    low, high = fits.get(field, (-(2**31), 2**31 - 1))
    try:
        core.run_text(encode("tdset", fn=field, fl=Flag(0), ta=3, rs=5) + encode("halt"))
        assert low <= value <= high and core.state.descriptor(3) == before.with_field(field, value)
    except TrapError as error:
        assert error.operand == "ta" and not low <= value <= high and core.state.descriptor(3) == before


def test_oracle_rounds() -> None:
    assert f32(1 + 2.0**-24) == 1 and f32(1 + 3 * 2.0**-24) == 1 + 2.0**-22

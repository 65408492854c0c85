"""vrng: uniform numbers of Philox4x32-10, 16 counters at a time (docs/numerics.md, section 7)."""

from __future__ import annotations

from isa.descriptor import Descriptor
from isa.encoding import Decoded
from simulator.fast.kernels.abi import Arg, Choice
from simulator.fast.kernels.emit import Code, emitted
from simulator.fast.kernels.lanes import LANES, Kind, Value
from simulator.fast.kernels.loops import WORTH_DIVIDING, share
from simulator.reference.philox import MULTIPLIERS, ROUNDS, WEYL

ELEMENTS, STEP = 0, 1
"""Places in the parameters."""
F32_BYTES = 4
LOW = 0xFFFFFFFF
DIVIDED_ELEMENTS = 256
M0, M1 = (int(multiplier) for multiplier in MULTIPLIERS)


def philox(c0: Value, c1: Value, key: Value) -> Value:
    """The first word, of counters (c0, c1, 0, 0). Words of 32 bits in 64-bit lanes; `key`: 64 bits."""
    c2 = c3 = c0.like(0)
    k0, k1 = (word.spread(c0.kind.lanes) for word in (key & LOW, key >> 32))
    for _ in range(ROUNDS):
        p0, p1 = c0 * M0, c2 * M1
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & LOW, (p0 >> 32) ^ c3 ^ k1, p0 & LOW
        k0, k1 = (k0 + WEYL[0]) & LOW, (k1 + WEYL[1]) & LOW
    return c0


def write_random(code: Code) -> None:
    """u = ((r >> 9) + 0.5) * 2^-23, every operation exact."""
    target, key = code.argument(Arg.TA), code.argument(Arg.RD)
    first, stream = code.argument(Arg.RS), code.argument(Arg.RT)
    scratch, step = code.argument(Arg.SCRATCH), code.parameter(STEP)
    with code.loop(*share(code, code.parameter(ELEMENTS), DIVIDED_ELEMENTS), LANES) as k:
        count = (code.parameter(ELEMENTS) - k).smaller(code.word(LANES))
        counters = ((first + k).spread() + code.numbers()) & LOW
        word = philox(counters, (stream & LOW).spread(), key)
        uniform = ((word >> 9).cast("trunc", "i32").cast("sitofp", "f32") + 0.5) * 2.0**-23
        with code.when(step.equals(F32_BYTES)):
            code.store_first(target + k * F32_BYTES, uniform, count)
        with code.when(~step.equals(F32_BYTES)):
            code.store(scratch, uniform)
            with code.loop(code.word(0), count) as lane:
                code.store(target + (k + lane) * step, code.load(Kind("f32"), scratch + lane * F32_BYTES))


def choose_random(instruction: Decoded, operands: dict[str, Descriptor]) -> Choice:
    target = operands["ta"]
    elements, step = target.extents[0], target.strides[0]
    return Choice("random", emitted(write_random), (elements, step), elements >= WORTH_DIVIDING)

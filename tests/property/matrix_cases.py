"""Random matrix products: legal operands of any layout, packed into a memory between pages that may not be touched."""

from __future__ import annotations

import ctypes
import mmap
import random
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from isa.descriptor import Descriptor
from isa.encoding import Decoded, decode, decode_text, encode
from isa.spec import (
    ELEMENT_BITS,
    FMT_BLOCKED,
    FMT_SPARSE,
    MM_DTYPES,
    MMG_DTYPES,
    MMG_SCALES,
    PACKED_4BIT,
    Dtype,
    Feature,
    Flag,
    Region,
)
from simulator.fast.kernels import store
from simulator.fast.kernels.abi import SCRATCH_BYTES, Arg
from simulator.fast.kernels.choice import chosen
from simulator.memory import Memory
from simulator.reference.kernels import KERNELS
from simulator.reference.operands import Context, Issue

PAGE_BYTES = mmap.PAGESIZE
SPECIAL = (0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-40, 3e38, 6e-8, 65504.0)
MM_PAIRS = sorted(MM_DTYPES)
MMG_PAIRS = sorted(MMG_DTYPES)
Operands = dict[str, Descriptor]


def guarded(size_bytes: int) -> NDArray[np.uint8]:
    """Memory of whole pages that ends where a page begins that must not be touched; another one lies before it."""
    whole = -(-size_bytes // PAGE_BYTES) * PAGE_BYTES
    area = mmap.mmap(-1, whole + 2 * PAGE_BYTES)
    start = ctypes.addressof(ctypes.c_char.from_buffer(area))
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    for page in (start, start + PAGE_BYTES + whole):
        assert protect(ctypes.c_void_p(page), ctypes.c_size_t(PAGE_BYTES), 0) == 0
    return np.frombuffer(area, np.uint8, whole, PAGE_BYTES)


def scratch_memory() -> int:
    """The address of the scratch memory of one part, which the process keeps."""
    area = np.full(SCRATCH_BYTES + 64, 0x7F, np.uint8)
    _KEPT.append(area)
    return -(-area.ctypes.data // 64) * 64


_KEPT: list[NDArray[np.uint8]] = []


def instruction(mnemonic: str, accumulate: bool) -> Decoded:
    fields = {name: 1 + place for place, name in enumerate(("ta", "tb", "tc", "td")[: 3 + (mnemonic == "mmg")])}
    text = encode(mnemonic, fl=Flag.ACC if accumulate else 0, **fields)
    return decode(decode_text(text)[0], 0)


def random_case(rng: random.Random, mnemonic: str, pair: tuple[Dtype, Dtype], most: int = 40) -> Operands:
    """Operands at base 0; extents up to about `most`."""
    a_dtype, b_dtype = pair
    fmt = rng.choice((0, 0, FMT_BLOCKED, FMT_BLOCKED, FMT_SPARSE))
    if b_dtype in (Dtype.E4M3, Dtype.E2M1) and fmt == FMT_SPARSE:
        fmt = FMT_BLOCKED
    glog2 = rng.choice((5, 5, 6, 7)) if b_dtype in PACKED_4BIT else rng.choice((0, 1, 2, 3, 4, 5, 5, 6))
    group = 1 << glog2
    unit = group if mnemonic == "mmg" or b_dtype in PACKED_4BIT else 1
    if fmt == FMT_SPARSE:
        unit = max(unit, 8)
    k = unit * rng.randint(1, max(1, rng.choice((most, 4 * most)) // unit))
    n, m = rng.randint(1, rng.choice((20, most, 2 * most))), rng.choice((1, 1, 2, 3, 4, 5, rng.randint(1, most)))
    batch, outer = rng.choice((1, 1, 1, 2, 3)), rng.choice((1, 1, 1, 2, 3))
    b_batch = rng.choice((1, batch))
    operands = {
        "ta": plain(rng, MM_DTYPES[pair] if mnemonic == "mm" else Dtype.F32, (n, m, batch, outer), distinct=True),
        "tb": plain(rng, a_dtype, (k, m, batch, outer)),
        "tc": weights(rng, b_dtype, (k, n, b_batch, 1), glog2, fmt),
    }
    if mnemonic == "mmg":
        shape = (k // group, n, rng.choice((1, b_batch)), 1)
        operands["td"] = weights(rng, rng.choice(MMG_SCALES), shape, 0, rng.choice((0, FMT_BLOCKED)))
    return operands


def plain(
    rng: random.Random,
    dtype: Dtype,
    extents: tuple[int, int, int, int],
    distinct: bool = False,
    first: int | None = None,
) -> Descriptor:
    """Dimensions nested in a random order with gaps, some of them backwards or, if allowed, with stride 0."""
    size = ELEMENT_BITS[dtype] // 8
    order = [0, 1, 2, 3] if rng.random() < 0.6 else rng.sample(range(4), 4)
    strides, span = [0, 0, 0, 0], size
    for dimension in order:
        gap = rng.choice((0, 0, 0, size, 3 * size))
        strides[dimension] = (span + gap) * rng.choice((1, 1, 1, 1, -1))
        span = extents[dimension] * (span + gap)
        if not distinct and rng.random() < 0.1:
            strides[dimension] = 0
    return Descriptor(0, Region.SRAM, dtype, extents, (strides[0], strides[1], strides[2], strides[3]))


def weights(rng: random.Random, dtype: Dtype, extents: tuple[int, int, int, int], glog2: int, fmt: int) -> Descriptor:
    """Plain, blocked or sparse rows; the rows or blocks with gaps, some of them backwards."""
    if fmt == 0 and dtype not in PACKED_4BIT:
        return replace(plain(rng, dtype, extents), glog2=glog2)
    size = 0 if dtype in PACKED_4BIT or fmt == FMT_BLOCKED else ELEMENT_BITS[dtype] // 8
    shape = Descriptor(0, Region.SRAM, dtype, extents, (size, 0, 0, 0), glog2, fmt)
    step, count = shape.row_bytes(), extents[1]
    if fmt == FMT_BLOCKED:
        step, count = shape.block_bytes(), -(-extents[1] // 16)
    elif fmt == FMT_SPARSE:
        step = -(-shape.sparse_row_bytes() // max(1, size)) * max(1, size)
    step = step + rng.choice((0, 0, 64))
    s1 = rng.choice((1, 1, 1, -1)) * step
    return replace(shape, strides=(size, s1, rng.choice((0, 1, 1)) * count * step, 0))


def placed(operands: Operands, gaps: random.Random) -> tuple[Operands, int]:
    """The operands one behind the other, and the bytes they take; the last one, a source, ends there."""
    names = [*gaps.sample([name for name in operands], len(operands))]
    result: Operands = {}
    end = 0
    for name in names:
        d = operands[name]
        low, high = d.interval()
        size = max(1, ELEMENT_BITS[d.dtype] // 8)
        start = -(-end // size) * size
        result[name] = replace(d, base=start - low)
        end = start - low + high
    return result, end


def content(rng: np.random.Generator, d: Descriptor, size_bytes: int, special: bool) -> bytes:
    """Elements of the dtype; floats of mixed magnitude, and special ones."""
    size = ELEMENT_BITS[d.dtype] // 8
    if d.dtype not in (Dtype.F32, Dtype.F16, Dtype.BF16) or d.fmt == FMT_SPARSE:
        return rng.bytes(size_bytes)
    count = size_bytes // size
    values = (rng.normal(0, 1, count) * 2.0 ** rng.integers(-6, 7, count)).astype(np.float32)
    if special:
        chosen_places = rng.random(count) < 0.02
        values[chosen_places] = rng.choice(np.array(SPECIAL, np.float32), int(chosen_places.sum()))
    with np.errstate(over="ignore"):
        if d.dtype == Dtype.F16:
            return values.astype(np.float16).tobytes()
        return (values.view(np.uint32) >> 16).astype(np.uint16).tobytes() if d.dtype == Dtype.BF16 else values.tobytes()


class Bench:
    """A product in a guarded memory; `reference` and `kernel` give all bytes of the memory after it."""

    def __init__(self, mnemonic: str, accumulate: bool, operands: Operands, seed: int, special: bool = True) -> None:
        placed_operands, total = placed(operands, random.Random(seed))
        self.sram = guarded(total)
        shift = len(self.sram) - total
        shift -= shift % 4 if all(d.base % 4 == 0 for d in placed_operands.values()) else shift % 4
        self.operands = {name: replace(d, base=d.base + shift) for name, d in placed_operands.items()}
        self.instruction = instruction(mnemonic, accumulate)
        self.memory = Memory({}, {Region.SRAM: self.sram})
        rng = np.random.default_rng(seed)
        for d in self.operands.values():
            low, high = d.interval()
            data = np.frombuffer(content(rng, d, high - low, special), np.uint8)
            self.sram[low : low + len(data)] = data
        self.before = self.sram.copy()

    def reference(self) -> bytes:
        d = self.instruction
        context = Context(self.memory, Feature.SPARSE)
        issue = Issue(d.row, d.function, d.fl, self.operands, 0, 0, 0, None)
        self.sram[:] = self.before
        with np.errstate(all="ignore"):
            KERNELS[d.row.mnemonic].check(context, issue)
            KERNELS[d.row.mnemonic].execute(context, issue)
        return self.sram.tobytes()

    def kernel(self, scratch: int, parts: int = 1) -> bytes:
        choice = chosen(self.instruction, self.operands)
        assert choice is not None, f"no kernel for {self.operands}"
        function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)(store.address_of(choice))
        self.sram[:] = self.before
        given = np.array(choice.parameters, np.int64)
        for part in reversed(range(parts)):
            arguments = np.zeros(Arg.LENGTH, np.int64)
            for place, name in enumerate(("ta", "tb", "tc", "td")):
                if name in self.operands:
                    arguments[place] = self.sram.ctypes.data + self.operands[name].base
            arguments[Arg.SCRATCH], arguments[Arg.PART], arguments[Arg.PARTS] = scratch, part, parts
            function(arguments.ctypes.data, given.ctypes.data)
        return self.sram.tobytes()


def check(mnemonic: str, accumulate: bool, operands: Operands, seed: int, scratch: int, parts: int = 1) -> bytes:
    """Kernel and reference leave the same bytes in the memory; returns them."""
    bench = Bench(mnemonic, accumulate, operands, seed)
    expected, actual = bench.reference(), bench.kernel(scratch, parts)
    if actual != expected:
        differing = np.flatnonzero(np.frombuffer(actual, np.uint8) != np.frombuffer(expected, np.uint8))
        raise AssertionError(
            f"{mnemonic} {accumulate=} {parts=} {seed=}: {len(differing)} bytes differ\n{bench.operands}"
        )
    return actual

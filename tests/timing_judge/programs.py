"""Random small programs: copies of every shape, products, vector instructions, with conflicts."""

from __future__ import annotations

import random
from collections.abc import Sequence

from isa.descriptor import Descriptor, dense_strides
from isa.machine import Machine
from isa.spec import BY_MNEMONIC, ELEMENT_BITS, FMT_BLOCKED, Dtype, Region
from tests.timing_judge.program import Captured, Scalar, Step, Work

DTYPES = (Dtype.I8, Dtype.BF16, Dtype.F32)
SLOT_BYTES = 1024
RUN_BYTES = 64  # runs in the scratchpad begin at multiples of this: it has banks of at most as many bytes


def tensor(
    base: int, region: Region, dtype: Dtype, extents: Sequence[int], strides: Sequence[int] | None = None, fmt: int = 0
) -> Descriptor:
    """Missing extents are 1, missing strides 0; without strides it is dense."""
    e0, e1, e2, e3 = (*extents, *(1,) * (4 - len(extents)))
    if strides is None:
        return Descriptor(base, region, dtype, (e0, e1, e2, e3), dense_strides(dtype, (e0, e1, e2, e3)), 0, fmt)
    s0, s1, s2, s3 = (*strides, *(0,) * (4 - len(strides)))
    return Descriptor(base, region, dtype, (e0, e1, e2, e3), (s0, s1, s2, s3), 0, fmt)


def work(mnemonic: str, *tds: Descriptor, function: int = 0, flags: int = 0) -> Work:
    ta, tb, tc, td = (*tds, *(None,) * (4 - len(tds)))
    captured: Captured = (ta, tb, tc, td)
    return Work(BY_MNEMONIC[mnemonic], function, flags, captured)


def rounded_up(size: int, step: int) -> int:
    return (size + step - 1) // step * step


class Programs:
    """A source of random instructions for one machine."""

    def __init__(self, rng: random.Random, machine: Machine) -> None:
        self._rng, self._sram_bytes = rng, machine.sram_bytes

    def program(self, kinds: str, length: int, *, largest: int = 14) -> list[Step]:
        """`kinds`: of l (load), s (store), d (dense load), m (product), v (vector), x (scalar); sizes up to 2^largest."""
        made: list[Step] = []
        for _ in range(length):
            kind = self._rng.choice(kinds)
            if kind in "ls":
                made.append(self.copy("ld" if kind == "l" else "st", largest))
            elif kind == "d":
                made.append(self.dense_load(largest))
            else:
                made.append({"m": self.product, "v": self.vector, "x": Scalar}[kind]())
        return made

    def _slot(self, size: int) -> int:
        """A place in the scratchpad; few of them, so that instructions meet."""
        slots = (self._sram_bytes - size) // SLOT_BYTES + 1
        return self._rng.randrange(min(slots, self._rng.choice((8, 64, 1 << 20)))) * SLOT_BYTES

    def _rows(self, dtype: Dtype, extents: Sequence[int]) -> Descriptor:
        """In the scratchpad, each row at a border of banks."""
        size = ELEMENT_BITS[dtype] // 8
        pitch = rounded_up(extents[0] * size, RUN_BYTES)
        e1, e2 = (*extents[1:], 1, 1)[:2]
        return tensor(self._slot(pitch * e1 * e2), Region.SRAM, dtype, extents, (size, pitch, pitch * e1))

    def dense_load(self, largest: int) -> Work:
        """A piece of weights, as compiled programs load them."""
        size = 1 << self._rng.randrange(11, largest + 1)
        base = self._rng.randrange(1 << 10) * size
        inside = tensor(self._slot(size), Region.SRAM, Dtype.I8, (size,))
        return work("ld", inside, tensor(base, Region.WEIGHT, Dtype.I8, (size,)))

    def copy(self, mnemonic: str, largest: int) -> Work:
        """Up to three dimensions; the scratchpad side with rows apart, or transposed."""
        rng = self._rng
        dtype = rng.choice(DTYPES)
        size = ELEMENT_BITS[dtype] // 8
        e0 = rng.choice((16, 32, 64, 128, 256, 1024))
        elements = int(2 ** rng.uniform(6, largest)) // size
        e1 = max(1, min(elements // e0, rng.choice((1, 4, 16, 64, 256))))
        e2 = max(1, min(4, elements // (e0 * e1)))
        extents = (e0, e1, e2)
        row = e0 * size
        pitch = max(
            row, rng.choice((row, row + 64, row + 4 * rng.randrange(64), 1024, 4096, 1 << rng.randrange(12, 18)))
        )
        outer = rng.choice((pitch * e1, pitch * e1 + 256, 1 << 20))
        base = rng.choice((0, 4 * rng.randrange(1 << 18), 64 * rng.randrange(1 << 10)))
        outside = tensor(base, Region.KV, dtype, extents, (size, pitch, outer))
        inside = self._rows(dtype, extents)
        if e2 == 1 and e0 <= 64 and rng.random() < 0.3:
            inside = tensor(self._slot(row * e1), Region.SRAM, dtype, extents, (size * e1, size))
        return work(mnemonic, inside, outside) if mnemonic == "ld" else work(mnemonic, outside, inside)

    def product(self) -> Work:
        """mm with weights that are blocked, in rows or in columns."""
        rng = self._rng
        dtype = rng.choice(DTYPES)
        size = ELEMENT_BITS[dtype] // 8
        k, n, m = (
            rng.choice((8, 32, 64, 100, 128, 256)),
            rng.choice((1, 16, 40, 64, 65, 128)),
            rng.choice((1, 4, 16, 33, 130)),
        )
        layout = rng.choice(("blocked", "rows", "columns"))
        if layout == "rows":
            b = self._rows(dtype, (k, n))
        elif layout == "columns":
            pitch = rounded_up(n * size, RUN_BYTES)
            b = tensor(self._slot(k * pitch), Region.SRAM, dtype, (k, n), (pitch, size))
        else:
            block = 16 * rounded_up(k, 4) * size
            b = tensor(self._slot(rounded_up(n, 16) // 16 * block), Region.SRAM, dtype, (k, n), (0, block), FMT_BLOCKED)
        c = self._rows(Dtype.I32 if dtype == Dtype.I8 else Dtype.F32, (n, m))
        return work("mm", c, self._rows(dtype, (k, m)), b, flags=rng.choice((0, 4)))

    def strided(self) -> Descriptor:
        """Rows of elements apart, in rows at borders of banks or, as of a matrix that is read across, one element further each."""
        rng = self._rng
        dtype = rng.choice(DTYPES)
        size = ELEMENT_BITS[dtype] // 8
        e0, e1 = rng.choice((2, 4, 16, 32, 64, 100, 256)), rng.choice((1, 4, 16, 33))
        stride = size * rng.choice((2, 3, 4, 5, 8, 16, 17, 32, 33, 64, 65, 100, 144, 256))
        pitch = rounded_up(e0 * stride, RUN_BYTES)
        if rng.random() < 0.6:
            stride, pitch = max(stride, e1 * size), size
        return tensor(rng.randrange(64) * RUN_BYTES, Region.SRAM, dtype, (e0, e1), (stride, pitch))

    def vector(self) -> Work:
        """Elementwise, broadcast, strided, reductions."""
        rng = self._rng
        e0, e1 = rng.choice((16, 64, 100, 128, 256)), rng.choice((1, 4, 16, 32))
        x, y, z = (self._rows(Dtype.F32, (e0, e1)) for _ in range(3))
        kind = rng.choice(("vbin", "vmad", "vun", "vred", "vsmx", "broadcast", "strided"))
        if kind == "vbin":
            return work("vbin", x, y, z, function=rng.randrange(7))
        if kind == "vmad":
            return work("vmad", x, y, z, self._rows(Dtype.F32, (e0, e1)))
        if kind == "vun":
            return work("vun", x, y, function=rng.randrange(8))
        if kind == "vred":
            return work("vred", self._rows(Dtype.F32, (1, e1)), y, function=rng.randrange(3))
        if kind == "vsmx":
            return work("vsmx", x, y, self._rows(Dtype.F32, (4, e1)))
        if kind == "broadcast":
            return work(
                "vbin", x, y, tensor(self._slot(64 * e1), Region.SRAM, Dtype.F32, (e0, e1), (0, 64)), function=2
            )
        return work("vun", x, tensor(self._slot(4 * e0 * e1), Region.SRAM, Dtype.F32, (e0, e1), (4 * e1, 4)))

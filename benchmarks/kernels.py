"""How fast the matrix kernels of the fast engine are: `python benchmarks/kernels.py [text]` prints those whose line has the text.

GMAC/s counts multiplications of weights and inputs; GB/s the bytes of weights and their scales. `cache`: the same weights again and again;
`stream`: each call has other weights of a large memory. Of one core.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from isa.descriptor import Descriptor, dense_strides
from isa.encoding import decode, decode_text, encode
from isa.spec import FMT_BLOCKED, PACKED_4BIT, Dtype, Region
from simulator.fast.kernels import store
from simulator.fast.kernels.abi import SCRATCH_BYTES, Arg
from simulator.fast.kernels.choice import chosen

STREAM_BYTES = 1 << 28
SECONDS = 0.5
REGION = Region.SRAM


@dataclass(frozen=True)
class Case:
    """A product [m, k] x [n, k]. `layout`: blocked, rows (k side by side) or columns (n side by side); group: of mmg."""

    a: Dtype
    b: Dtype
    m: int
    n: int
    k: int
    layout: str = "blocked"
    group: int = 0
    scale: Dtype = Dtype.F16

    def __str__(self) -> str:
        groups = f" g={self.group} {self.scale.name.lower()}" if self.group else ""
        return f"{self.a.name.lower()} x {self.b.name.lower()} {self.layout}{groups} m={self.m} n={self.n} k={self.k}"

    def operands(self) -> dict[str, Descriptor]:
        """All at base 0."""
        result = Dtype.F32 if self.group or self.a != Dtype.I8 else Dtype.I32
        shapes = {
            "ta": Descriptor(0, REGION, result, (self.n, self.m, 1, 1), dense_strides(result, (self.n, self.m, 1, 1))),
            "tb": Descriptor(0, REGION, self.a, (self.k, self.m, 1, 1), dense_strides(self.a, (self.k, self.m, 1, 1))),
            "tc": self._weights(),
        }
        if self.group:
            shapes["td"] = blocked(self.scale, (self.k // self.group, self.n, 1, 1), 0)
        return shapes

    def _weights(self) -> Descriptor:
        extents, glog2 = (self.k, self.n, 1, 1), (self.group or 32).bit_length() - 1
        if self.layout == "blocked":
            return blocked(self.b, extents, glog2)
        d = Descriptor(0, REGION, self.b, extents, dense_strides(self.b, extents), glog2)
        if self.layout == "rows" or self.b in PACKED_4BIT:
            return d
        size = d.strides[0]
        return replace(d, strides=(size * self.n, size, 0, 0))


def blocked(dtype: Dtype, extents: tuple[int, int, int, int], glog2: int) -> Descriptor:
    d = Descriptor(0, REGION, dtype, extents, (0, 0, 0, 0), glog2, FMT_BLOCKED)
    return replace(d, strides=(0, d.block_bytes(), 0, 0))


def cases() -> Iterator[Case]:
    for m in (1, 2, 4, 8, 128):
        yield Case(Dtype.I8, Dtype.I8, m, 256, 2048)
    for m in (1, 4, 128):
        for group in (32, 64, 128):
            yield Case(Dtype.I8, Dtype.I4, m, 256, 2048, group=group)
        yield Case(Dtype.I8, Dtype.I8, m, 256, 2048, group=32)
    for a, b in ((Dtype.F16, Dtype.F16), (Dtype.BF16, Dtype.BF16), (Dtype.F32, Dtype.F32), (Dtype.BF16, Dtype.I8)):
        for m in (1, 4, 128):
            yield Case(a, b, m, 128, 2048)
    for b, scale in ((Dtype.I4, Dtype.F16), (Dtype.E4M3, Dtype.E8M0), (Dtype.E2M1, Dtype.E8M0)):
        for m in (1, 128):
            yield Case(Dtype.BF16, b, m, 256, 2048, group=32, scale=scale)
    for a, b in ((Dtype.BF16, Dtype.BF16), (Dtype.F32, Dtype.F32), (Dtype.BF16, Dtype.I8), (Dtype.BF16, Dtype.I4)):
        for m in (1, 4, 8, 128):
            yield Case(a, b, m, 256, 64, "rows")
            if b != Dtype.I4:
                yield Case(a, b, m, 64, 256, "columns")


class Runner:
    """A case with memory for its operands."""

    def __init__(self, case: Case, copies: int) -> None:
        operands = case.operands()
        text = encode("mmg" if case.group else "mm", **{n: i for i, n in enumerate(operands, 1)})
        choice = chosen(decode(decode_text(text)[0], 0), operands)
        assert choice is not None, f"no kernel for {case}"
        start = time.process_time()
        self.call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)(store.address_of(choice))
        self.compile_seconds, self.name = time.process_time() - start, choice.name
        self.sizes = {name: d.interval()[1] for name, d in operands.items()}
        self.weight_bytes = self.sizes["tc"] + self.sizes.get("td", 0)
        weights = np.full(copies * self.weight_bytes + 64, 0x11, np.uint8)
        self.kept = [
            weights,
            np.zeros(self.sizes["ta"], np.uint8),
            np.full(self.sizes["tb"], 0x11, np.uint8),
            np.zeros(SCRATCH_BYTES + 64, np.uint8),
            np.array(choice.parameters, np.int64),
        ]
        at = [array.ctypes.data for array in self.kept]
        self.arguments = np.zeros((copies, Arg.LENGTH), np.int64)
        self.arguments[:, Arg.TA], self.arguments[:, Arg.TB] = at[1], at[2]
        self.arguments[:, Arg.TC] = at[0] + np.arange(copies) * self.weight_bytes
        self.arguments[:, Arg.TD] = self.arguments[:, Arg.TC] + self.sizes["tc"]
        self.arguments[:, Arg.SCRATCH], self.arguments[:, Arg.PARTS] = -(-at[3] // 64) * 64, 1
        self.rows = [row.ctypes.data for row in self.arguments]
        self.parameters = at[4]

    def seconds(self) -> float:
        """Of one call: a tenth of the calls take less. Other programs on the computer lengthen some of the rest."""
        call, parameters, rows, clock = self.call, self.parameters, self.rows, time.perf_counter
        spent: list[float] = []
        end = clock() + SECONDS
        while clock() < end:
            row = rows[len(spent) % len(rows)]
            start = clock()
            call(row, parameters)
            spent.append(clock() - start)
        return sorted(spent)[len(spent) // 10]


def main() -> None:
    for case in cases():
        line = str(case)
        if not all(text in line for text in sys.argv[1:]):
            continue
        macs = case.m * case.n * case.k
        hot = Runner(case, 1)
        seconds = hot.seconds()
        print(
            f"{line:52} cache {macs / seconds / 1e9:7.1f} GMAC/s {hot.weight_bytes / seconds / 1e9:6.1f} GB/s", end=""
        )
        if case.m == 1:
            cold = Runner(case, STREAM_BYTES // hot.weight_bytes)
            seconds = cold.seconds()
            print(f"   stream {macs / seconds / 1e9:6.1f} GMAC/s {hot.weight_bytes / seconds / 1e9:6.1f} GB/s", end="")
        print(f"   {hot.name} {hot.compile_seconds:.2f} s of code generation", flush=True)


if __name__ == "__main__":
    main()

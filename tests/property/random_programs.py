"""Strategies for random programs: legal instructions on descriptors that are mostly legal, near each other and overlapping."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from isa.descriptor import Descriptor
from isa.encoding import encode, flag_choices, legal_range
from isa.spec import TABLE, Dtype, Instruction, Region, used_fields
from tests.unit.simulator_support import Core, tensor

small_extent = st.sampled_from([1, 2, 3, 4, 8, 16, 31, 32, 33, 64])
stride = st.sampled_from([0, 1, 2, 4, -4, 8, 12, 16, 32, 64, 128, 256, -64])


@st.composite
def descriptors(draw: st.DrawFn) -> Descriptor:
    """Small tensors, mostly legal."""
    dtype = draw(st.sampled_from([Dtype.F32, *Dtype]))
    extents = (
        draw(small_extent),
        draw(st.sampled_from([1, 1, 2, 3])),
        draw(st.sampled_from([1, 1, 2])),
        draw(st.sampled_from([1, 1, 2])),
    )
    region = draw(st.sampled_from([*Region, *[Region.SRAM] * 8]))
    base = draw(st.sampled_from([0, 64, 256, 1024, 4096, 8192, 3, 65532, 1 << 30]))
    if draw(st.booleans()):
        return tensor(base, dtype, *extents, region=region)
    strides = tuple(draw(stride) for _ in range(4))
    return Descriptor(
        base, region, dtype, extents, strides, draw(st.sampled_from([0, 5, 6])), draw(st.sampled_from([0, 0, 0, 1, 2]))
    )


@st.composite
def instructions(draw: st.DrawFn, rows: tuple[Instruction, ...] = TABLE, length: int = 12) -> bytes:
    """A legal instruction on the first registers, with branch targets near the text."""
    row = draw(st.sampled_from(rows))
    flags = draw(st.sampled_from(flag_choices(row)))
    fields: dict[str, int] = {}
    for name in sorted(used_fields(row, flags) - {"op", "fn", "fl"}):
        low, high = legal_range(name)
        near = st.integers(-1, length + 1) if name == "imm" else st.integers(0, 7)
        anything = st.integers(low, high)
        fields[name] = draw(st.one_of(near, near, near, anything) if name == "imm" else near)
    function = draw(st.sampled_from(row.functions)) if row.functions else None
    return encode(row.mnemonic, fn=function, fl=flags, **fields)


def prepared(tds: list[Descriptor], values: list[int], seed: int) -> Core:
    rng = np.random.default_rng(seed)
    core = Core(weights=rng.bytes(4096), table=rng.bytes(4096))
    core.write(Region.SRAM, 0, rng.normal(0, 2, 8192).astype(np.float32).tobytes())
    for register, d in enumerate(tds):
        core.td(register, d)
        core.memory.smem[512 + 32 * register : 544 + 32 * register] = d.pack()
    core.x[1:8] = values
    return core


@st.composite
def matching_descriptors(draw: st.DrawFn) -> list[Descriptor]:
    """Eight tensors of equal extents in separate places: most elementwise instructions on them are legal."""
    extents = (draw(small_extent), draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    dtypes = draw(
        st.lists(
            st.sampled_from([Dtype.F32, Dtype.F32, Dtype.F16, Dtype.BF16, Dtype.I32, Dtype.I8]), min_size=8, max_size=8
        )
    )
    regions = draw(
        st.lists(st.sampled_from([Region.SRAM, Region.SRAM, Region.SMEM, Region.KV]), min_size=8, max_size=8)
    )
    return [tensor(4096 * (place + 1), dtypes[place], *extents, region=regions[place]) for place in range(8)]


registers = st.one_of(st.lists(descriptors(), min_size=8, max_size=8), matching_descriptors(), matching_descriptors())
x_values = st.lists(st.sampled_from([0, 1, -1, 4, 100, 512, 544, 2**31, -(2**63), 2**63 - 1]), min_size=7, max_size=7)

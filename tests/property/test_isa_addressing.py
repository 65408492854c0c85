"""The address formulas against storage laid out by numpy, and the bounding interval against all elements."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from isa.addressing import element_place
from isa.descriptor import Descriptor
from isa.spec import Dtype, Region

FEW = settings(deadline=None, max_examples=60)
BASE = 640


BIAS = {Dtype.I4: 8, Dtype.E2M1: 0}
nibble_dtypes = st.sampled_from(sorted(BIAS))


def nibbles(dtype: Dtype, seed: int, rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 16, (rows, columns)) - BIAS[dtype]


def nibble_bytes(dtype: Dtype, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return ((low + BIAS[dtype]) | (high + BIAS[dtype]) << 4).astype(np.uint8)


def read(storage: bytes, d: Descriptor, index: tuple[int, ...], numpy_type: str) -> int:
    place = element_place(d, index)
    low, high = d.interval()
    offset = place.address - BASE
    if d.dtype in BIAS:
        assert low <= place.address < high
        return (storage[offset] >> place.low_bit & 15) - BIAS[d.dtype]
    size = np.dtype(numpy_type).itemsize
    assert low <= place.address and place.address + size <= high
    assert place.low_bit == 0
    return int(np.frombuffer(storage, numpy_type, 1, offset)[0])


def check(storage: np.ndarray, d: Descriptor, values: np.ndarray, numpy_type: str = "u1") -> None:
    """`values` [n, k]; every element is found where the formula says, and the interval is the storage."""
    data = storage.tobytes()
    assert d.interval() == (BASE, BASE + len(data))
    for n in range(d.extents[1]):
        for k in range(d.extents[0]):
            assert read(data, d, (k, n, 0, 0), numpy_type) == values[n, k]


@FEW
@given(
    st.sampled_from([(Dtype.I8, "i1"), (Dtype.E4M3, "u1")]), st.integers(1, 3), st.integers(1, 5), st.integers(0, 2**32)
)
def test_blocked_bytes(kind, blocks, quads, seed):
    dtype, numpy_type = kind
    rows, columns = blocks * 16, quads * 4
    values = np.random.default_rng(seed).integers(0, 256, (rows, columns)).astype(np.uint8).view(numpy_type)
    storage = values.reshape(blocks, 16, quads, 4).transpose(0, 2, 1, 3)
    d = Descriptor(BASE, Region.SRAM, dtype, (columns, rows, 1, 1), (0, columns * 16, 0, 0), fmt=2)
    check(np.ascontiguousarray(storage), d, values, numpy_type)


@FEW
@given(nibble_dtypes, st.integers(1, 3), st.integers(1, 3), st.integers(0, 2**32))
def test_blocked_nibbles(dtype, blocks, groups, seed):
    rows, columns = blocks * 16, groups * 32
    values = nibbles(dtype, seed, rows, columns)
    eights = values.reshape(blocks, 16, columns // 8, 8).transpose(0, 2, 1, 3)
    storage = nibble_bytes(dtype, eights[..., :4], eights[..., 4:])
    d = Descriptor(BASE, Region.SRAM, dtype, (columns, rows, 1, 1), (0, columns * 8, 0, 0), glog2=5, fmt=2)
    check(storage, d, values)


@FEW
@given(
    st.integers(1, 3),
    st.integers(1, 5),
    st.sampled_from([(Dtype.F32, "<u4"), (Dtype.F16, "<u2"), (Dtype.BF16, "<u2"), (Dtype.E8M0, "u1")]),
    st.integers(0, 2**32),
)
def test_blocked_floats_and_scales(blocks, columns, kind, seed):
    dtype, numpy_type = kind
    rows, size = blocks * 16, np.dtype(numpy_type).itemsize
    values = np.random.default_rng(seed).integers(0, 2 ** (8 * size), (rows, columns)).astype(numpy_type)
    storage = np.ascontiguousarray(values.reshape(blocks, 16, columns).transpose(0, 2, 1))
    d = Descriptor(BASE, Region.SRAM, dtype, (columns, rows, 1, 1), (0, columns * 16 * size, 0, 0), fmt=2)
    check(storage, d, values, numpy_type)


@FEW
@given(nibble_dtypes, st.integers(1, 3), st.integers(1, 3), st.integers(5, 7), st.integers(0, 2**32))
def test_plain_nibbles(dtype, rows, groups, glog2, seed):
    group = 1 << glog2
    columns = groups * group
    values = nibbles(dtype, seed, rows, columns)
    halves = values.reshape(rows, groups, 2, group // 2)
    storage = nibble_bytes(dtype, halves[:, :, 0], halves[:, :, 1])
    d = Descriptor(BASE, Region.SRAM, dtype, (columns, rows, 1, 1), (0, columns // 2, 0, 0), glog2=glog2)
    check(storage, d, values)


@FEW
@given(st.permutations(range(4)), st.tuples(*[st.integers(1, 3)] * 4))
def test_plain_strides_are_those_of_numpy(order, extents):
    """A permuted view of a numpy array: extents and strides innermost first."""
    array = np.arange(np.prod(extents), dtype="<u4").reshape(extents).transpose(order)
    d = Descriptor(BASE, Region.SRAM, Dtype.F32, array.shape[::-1], array.strides[::-1])
    storage = np.arange(array.size, dtype="<u4").tobytes()
    for i3, i2, i1, i0 in np.ndindex(array.shape):
        assert read(storage, d, (i0, i1, i2, i3), "<u4") == array[i3, i2, i1, i0]

"""Random programs over the ISA table: every legal form of every engine instruction, and tensors that overlap or lie apart.

A `Form` fixes what the table distinguishes (function, flags, dtypes, storage format of B, regions); `drafted` fills in the rest at random.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

from isa.descriptor import Descriptor, dense_strides
from isa.encoding import encode, flag_choices, float_to_imm
from isa.spec import (
    BY_MNEMONIC,
    ELEMENT_BITS,
    FMT_BLOCKED,
    FMT_SPARSE,
    MM_DTYPES,
    MMG_DTYPES,
    MMG_SCALES,
    PACKED_4BIT,
    READ_ONLY_REGIONS,
    TD_OPERANDS,
    TD_REGISTERS,
    VPU_RESULTS,
    VPU_SOURCES,
    Dtype,
    Flag,
    Region,
    used_fields,
)

Extents = tuple[int, int, int, int]
PLAIN, GROUP_LOG2 = 0, 5
X_VALUES = (0, 1, 3, 40, -2, 2**31, -(2**63), 0x3FC00000)
"""What x0..x7 hold; the last one is the fp32 1.5."""

VECTOR = ("vbin", "vmad", "vun", "vred", "vsmx", "vtopk", "vrng")
STORABLE = (Region.KV, Region.IO, Region.SCRATCH)
LOADABLE = (*STORABLE, Region.WEIGHT, Region.TABLE)
SPARSE_B = (Dtype.I8, Dtype.F16, Dtype.BF16, Dtype.F32)


@dataclass(frozen=True)
class Form:
    """One line of the coverage table. `dtypes` and `regions` in the order of the operands used."""

    mnemonic: str
    function: str | None
    fl: int
    dtypes: tuple[Dtype, ...]
    fmt: int = PLAIN
    regions: tuple[Region, ...] = ()

    @property
    def operands(self) -> tuple[str, ...]:
        used = used_fields(BY_MNEMONIC[self.mnemonic], self.fl)
        return tuple(name for name in TD_OPERANDS if name in used)


def legal_forms() -> Iterator[Form]:
    """Every combination of function, flags, destination dtype and first source dtype; all dtypes of products."""
    for mnemonic in ("ld", "st"):
        for dtype, outside, inside in product(ELEMENT_BITS, LOADABLE, (Region.SRAM, Region.SMEM)):
            if mnemonic == "ld":
                yield Form("ld", None, 0, (dtype, dtype), regions=(inside, outside))
            elif outside not in READ_ONLY_REGIONS:
                yield Form("st", None, 0, (dtype, dtype), regions=(outside, inside))
    for ((a, b), c), acc in product(MM_DTYPES.items(), (0, int(Flag.ACC))):
        yield from (Form("mm", None, acc, (c, a, b), fmt) for fmt in _formats(b))
    for (a, b), scales, acc in product(sorted(MMG_DTYPES), MMG_SCALES, (0, int(Flag.ACC))):
        yield from (Form("mmg", None, acc, (Dtype.F32, a, b, scales), fmt) for fmt in _formats(b))
    for mnemonic in VECTOR:
        yield from _vector_forms(mnemonic)


def _formats(b: Dtype) -> tuple[int, ...]:
    return (PLAIN, FMT_BLOCKED, FMT_SPARSE) if b in SPARSE_B else (PLAIN, FMT_BLOCKED)


def _vector_forms(mnemonic: str) -> Iterator[Form]:
    row = BY_MNEMONIC[mnemonic]
    results = (Dtype.F32,) if mnemonic in ("vtopk", "vrng") else VPU_RESULTS
    if mnemonic == "vred":  # a row of results has one element, a row of i4 at least 32
        results = tuple(result for result in VPU_RESULTS if result != Dtype.I4)
    for function, fl, result in product(row.functions or (None,), flag_choices(row), results):
        names = [name for name in TD_OPERANDS if name in used_fields(row, fl)]
        if len(names) == 1:
            yield Form(mnemonic, function, int(fl), (result,))
            continue
        for shift, first in enumerate(VPU_SOURCES):
            rest = [VPU_SOURCES[(shift * 3 + place) % len(VPU_SOURCES)] for place in range(len(names) - 2)]
            rest = [Dtype.F32] if mnemonic == "vsmx" else rest
            yield Form(mnemonic, function, int(fl), (result, first, *rest))


@dataclass
class Draft:
    """One instruction with its own descriptors; `text` gives it registers."""

    form: Form
    tds: dict[str, Descriptor]
    fields: dict[str, int] = field(default_factory=dict)

    def text(self, registers: dict[str, int]) -> bytes:
        return encode(self.form.mnemonic, fn=self.form.function, fl=self.form.fl, **registers, **self.fields)


class Layout:
    """Chooses where tensors lie. `apart`: each in its own bytes; otherwise anywhere in small windows, often at the same places."""

    def __init__(self, rng: random.Random, window_bytes: int, apart: bool = False, first_smem: int = 512) -> None:
        self.rng, self.window_bytes, self.apart, self.first_smem = rng, window_bytes, apart, first_smem
        self._next = dict.fromkeys(Region, 0)

    def tensor(self, dtype: Dtype, extents: Extents, region: Region, *, written: bool = False) -> Descriptor:
        strides = self._strides(dtype, extents, written)
        d = Descriptor(0, region, dtype, extents, strides, GROUP_LOG2 if dtype in PACKED_4BIT else 0)
        return self.placed(d)

    def placed(self, d: Descriptor, alignment: int = 0) -> Descriptor:
        """The tensor at a base that is a multiple of `alignment` (default: the element size)."""
        low, high = d.interval()
        size = alignment or max(1, ELEMENT_BITS[d.dtype] // 8)
        room = max(0, self.window_bytes - (high - low)) // size
        if self.apart:
            place = -(-self._next[d.region] // 64) * 64
            self._next[d.region] = place + high - low
        else:
            place = self._somewhere(high - low, room, size)
        return Descriptor(self._origin(d.region) + place - low, d.region, d.dtype, d.extents, d.strides, d.glog2, d.fmt)

    def _somewhere(self, size_bytes: int, room: int, alignment: int) -> int:
        """A multiple of 32, or such that the end is a multiple of 64, or any legal place."""
        kind = self.rng.choice(("start", "start", "end", "any"))
        if kind == "start":
            return self.rng.randint(0, room * alignment // 32) * 32
        place = self.rng.randint(0, room) * alignment
        if kind == "end":
            place += -(place + size_bytes) % 64
        return place

    def _origin(self, region: Region) -> int:
        return self.first_smem if region == Region.SMEM else 0

    def _strides(self, dtype: Dtype, extents: Extents, written: bool) -> Extents:
        """Dense, padded, transposed, backwards; broadcast if the tensor is only read."""
        size = ELEMENT_BITS[dtype] // 8
        s0, s1, s2, s3 = dense_strides(dtype, extents)
        kind = self.rng.choice(("dense", "dense", "padded", "transposed", "backwards", "broadcast"))
        if kind == "padded":
            pad = max(1, size) * self.rng.choice((1, 4, 16))
            return s0, s1 + pad, (s1 + pad) * extents[1], (s1 + pad) * extents[1] * extents[2]
        if kind == "transposed" and dtype not in PACKED_4BIT:
            return size * extents[1], size, s2, s3
        if kind == "backwards":
            return s0, -s1, s2, -s3
        if kind == "broadcast" and not written:
            return s0, 0, s2, 0
        return s0, s1, s2, s3


def drafted(rng: random.Random, form: Form, layout: Layout) -> Draft:
    """A random instruction of this form. With a layout `apart` it is legal; otherwise operands may overlap illegally."""
    draft = Draft(form, {})
    if form.mnemonic in ("mm", "mmg"):
        _product_operands(rng, draft, layout)
    elif form.mnemonic in ("vsmx", "vtopk", "vrng", "vred"):
        _row_operands(rng, draft, layout)
    else:
        extents = _extents(rng, form.dtypes)
        for place, name in enumerate(form.operands):
            region = form.regions[place] if form.regions else _on_chip(rng)
            draft.tds[name] = layout.tensor(form.dtypes[place], extents, region, written=name == "ta")
        if not layout.apart and "tb" in draft.tds and rng.random() < 0.2:
            _in_place(draft)
    for name in sorted(used_fields(BY_MNEMONIC[form.mnemonic], form.fl) & {"rd", "rs", "rt", "imm"}):
        draft.fields[name] = float_to_imm(rng.uniform(-3, 3)) if name == "imm" else rng.randint(0, len(X_VALUES) - 1)
    return draft


def _in_place(draft: Draft) -> None:
    """The destination becomes the first source, where dtypes and strides allow it."""
    ta, tb = draft.tds["ta"], draft.tds["tb"]
    if ta.dtype == tb.dtype and ta.region == tb.region and all(tb.strides[1:2]):
        draft.tds["ta"] = tb


def _on_chip(rng: random.Random) -> Region:
    return rng.choice((Region.SRAM, Region.SRAM, Region.SRAM, Region.SMEM))


def _extents(rng: random.Random, dtypes: tuple[Dtype, ...]) -> Extents:
    inner = (32, 64) if set(PACKED_4BIT) & set(dtypes) else (1, 2, 7, 16, 31, 33)
    return rng.choice(inner), rng.choice((1, 1, 2, 3)), rng.choice((1, 1, 2)), rng.choice((1, 1, 2))


def _row_operands(rng: random.Random, draft: Draft, layout: Layout) -> None:
    """vred: one result per row; vsmx: rows with their state; vtopk: a row and a list; vrng: one row."""
    tds, dtypes, mnemonic = draft.tds, draft.form.dtypes, draft.form.mnemonic
    e0, e1, e2, e3 = _extents(rng, dtypes)
    if mnemonic in ("vtopk", "vrng"):
        e1 = e2 = e3 = 1
    if mnemonic == "vtopk":
        entries = rng.choice((1, 2, 5, 8))
        # Entries of 8 bytes on a boundary of 4.
        tds["ta"] = layout.placed(Descriptor(0, _on_chip(rng), Dtype.F32, (entries, 1, 1, 1), (8, 0, 0, 0)), 4)
    else:
        extents = (1 if mnemonic == "vred" else e0, e1, e2, e3)
        tds["ta"] = layout.tensor(dtypes[0], extents, _on_chip(rng), written=True)
    if mnemonic != "vrng":
        tds["tb"] = layout.tensor(dtypes[1], (e0, e1, e2, e3), _on_chip(rng))
    if mnemonic == "vsmx":
        tds["tc"] = layout.tensor(Dtype.F32, (4, e1, e2, e3), _on_chip(rng), written=True)


def _product_operands(rng: random.Random, draft: Draft, layout: Layout) -> None:
    c, a, b, *scales = draft.form.dtypes
    sparse, blocked = draft.form.fmt == FMT_SPARSE, draft.form.fmt == FMT_BLOCKED
    k = rng.choice((32, 64)) if scales or Dtype.I4 in (a, b) else rng.choice((8, 24)) if sparse else rng.choice((3, 33))
    n, m, batch, outer = rng.choice((1, 3, 17)), rng.choice((1, 2, 4)), rng.choice((1, 1, 2)), rng.choice((1, 1, 2))
    shared = rng.choice((1, batch))
    draft.tds["ta"] = layout.tensor(c, (n, m, batch, outer), Region.SRAM, written=True)
    draft.tds["tb"] = layout.tensor(a, (k, m, batch, outer), Region.SRAM)
    if blocked:
        draft.tds["tc"] = _blocked(layout, b, k, n, shared)
    elif sparse:
        strides = dense_strides(b, (k, n, shared, 1))
        draft.tds["tc"] = layout.placed(
            Descriptor(0, Region.SRAM, b, (k, n, shared, 1), strides, GROUP_LOG2, FMT_SPARSE)
        )
    else:
        plain = layout.tensor(b, (k, n, shared, 1), Region.SRAM)
        draft.tds["tc"] = Descriptor(plain.base, plain.region, b, plain.extents, plain.strides, GROUP_LOG2)
    if scales:
        draft.tds["td"] = layout.tensor(scales[0], (k >> GROUP_LOG2, n, shared, 1), Region.SRAM)


def _blocked(layout: Layout, b: Dtype, k: int, n: int, shared: int) -> Descriptor:
    one = Descriptor(0, Region.SRAM, b, (k, n, shared, 1), (0, 0, 0, 0), GROUP_LOG2, FMT_BLOCKED)
    step = one.block_bytes()
    strides = (0, step, step * -(-n // 16), 0)
    return layout.placed(Descriptor(0, Region.SRAM, b, one.extents, strides, GROUP_LOG2, FMT_BLOCKED), 4)


FORMS = tuple(legal_forms())
BY_NAME = {name: [form for form in FORMS if form.mnemonic == name] for name in {form.mnemonic for form in FORMS}}
MIX = ("ld", "ld", "ld", "st", "st", "mm", "mmg", "vbin", "vbin", "vmad", "vun", "vun", "vred", "vsmx", "vtopk", "vrng")


@dataclass
class Program:
    """A text and the descriptor registers it starts with."""

    words: list[bytes] = field(default_factory=list)
    tds: list[Descriptor] = field(default_factory=list)

    def add(self, draft: Draft) -> bool:
        """Appends the instruction with registers of its own; False if there are not enough left."""
        if len(self.tds) + len(draft.tds) > TD_REGISTERS:
            return False
        registers = {name: len(self.tds) + place for place, name in enumerate(draft.tds)}
        self.tds += draft.tds.values()
        self.words.append(draft.text(registers))
        return True

    @property
    def text(self) -> bytes:
        return b"".join([*self.words, encode("halt")])

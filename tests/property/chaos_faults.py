"""One fault in a legal instruction: each injector returns the operand to blame, or None if the draft cannot have this fault."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from isa.descriptor import Descriptor
from isa.spec import (
    BY_MNEMONIC,
    DRAM_REGIONS,
    ELEMENT_BITS,
    FMT_BLOCKED,
    FMT_SPARSE,
    READ_ONLY_REGIONS,
    Dtype,
    Engine,
    Region,
    Trap,
)
from tests.property.chaos_programs import PLAIN, Draft

ON_CHIP = (Region.SRAM, Region.SMEM)
Injector = Callable[[random.Random, Draft], str | None]
SAME_SIZE = {
    Dtype.F32: Dtype.I32,
    Dtype.I32: Dtype.F32,
    Dtype.F16: Dtype.BF16,
    Dtype.BF16: Dtype.F16,
    Dtype.I8: Dtype.U8,
}


def _any_operand(rng: random.Random, draft: Draft) -> str:
    return rng.choice(sorted(draft.tds))


def illegal_descriptor(rng: random.Random, draft: Draft) -> str:
    """An extent of 0, or a storage format where only plain tensors are legal."""
    name = _any_operand(rng, draft)
    d = draft.tds[name]
    if rng.random() < 0.3 and name in ("ta", "tb"):
        draft.tds[name] = replace(d, fmt=FMT_BLOCKED | FMT_SPARSE)
    else:
        extents = list(d.extents)
        extents[rng.randrange(4)] = 0
        draft.tds[name] = replace(d, extents=tuple(extents))
    return name


def too_large(rng: random.Random, draft: Draft) -> str:
    """More elements than one instruction may have."""
    name = _any_operand(rng, draft)
    d = draft.tds[name]
    draft.tds[name] = replace(d, extents=(d.extents[0], (1 << 20) - 1, (1 << 12) - 1, 1))
    return name


def illegal_region(rng: random.Random, draft: Draft) -> str:
    name = _any_operand(rng, draft)
    engine = BY_MNEMONIC[draft.form.mnemonic].engine
    allowed: tuple[Region, ...] = ON_CHIP
    if engine == Engine.MXU:
        allowed = (Region.SRAM,)
    elif (engine, name) in ((Engine.DML, "tb"), (Engine.DMS, "ta")):
        allowed = DRAM_REGIONS
    region = rng.choice([region for region in Region if region not in allowed])
    draft.tds[name] = replace(draft.tds[name], region=region)
    return name


def illegal_dtype(rng: random.Random, draft: Draft) -> str | None:
    """A result in u8, which nothing computes; copies between dtypes, which do not convert."""
    ta = draft.tds["ta"]
    if draft.form.mnemonic in ("ld", "st"):
        if ta.dtype not in SAME_SIZE:
            return None
        draft.tds["ta"] = replace(ta, dtype=SAME_SIZE[ta.dtype])
        return "tb"
    draft.tds["ta"] = replace(ta, dtype=Dtype.U8)
    return "ta"


def wrong_shape(rng: random.Random, draft: Draft) -> str | None:
    """One row more in the result than in the operands."""
    if draft.form.mnemonic not in ("vrng", "vtopk") and len(draft.tds) == 1:
        return None
    e0, e1, e2, e3 = draft.tds["ta"].extents
    draft.tds["ta"] = replace(draft.tds["ta"], extents=(e0, e1 + 1, e2, e3))
    elementwise = draft.form.mnemonic in ("ld", "st", "vbin", "vmad", "vun")
    return "tb" if elementwise else "ta"


def misaligned(rng: random.Random, draft: Draft) -> str | None:
    wide = [name for name, d in sorted(draft.tds.items()) if ELEMENT_BITS[d.dtype] > 8]
    if not wide:
        return None
    name = rng.choice(wide)
    d = draft.tds[name]
    if rng.random() < 0.5 or draft.form.mnemonic == "vtopk" or d.fmt:
        draft.tds[name] = replace(d, base=d.base + 1)
    else:
        draft.tds[name] = replace(d, strides=(*d.strides[:3], d.strides[3] + 1))
    return name


def outside(rng: random.Random, draft: Draft) -> str:
    """Far behind the end, or a step below 0."""
    name = _any_operand(rng, draft)
    d = draft.tds[name]
    if d.extents[3] > 1 and rng.random() < 0.5:
        draft.tds[name] = replace(d, strides=(*d.strides[:3], -(1 << 30)))
    else:
        draft.tds[name] = replace(d, base=(1 << 40) - 64 * rng.randint(1, 1 << 20))
    return name


def overlap(rng: random.Random, draft: Draft) -> str | None:
    """Two elements of the result in one place, or a result across its source."""
    ta = draft.tds["ta"]
    long = [place for place in range(1, 4) if ta.extents[place] > 1]
    if long and draft.form.mnemonic != "vtopk":
        strides = list(ta.strides)
        strides[rng.choice(long)] = 0
        draft.tds["ta"] = replace(ta, strides=tuple(strides))
        return "ta"
    if draft.form.mnemonic == "vrng" and ta.extents[0] > 1:
        draft.tds["ta"] = replace(ta, strides=(0, 0, 0, 0))
        return "ta"
    return _across(draft, ta) if draft.form.mnemonic in ("mm", "mmg", "vtopk") else None


def _across(draft: Draft, ta: Descriptor) -> str | None:
    tb = draft.tds["tb"]
    below = tb.base - tb.interval()[0]
    draft.tds["tb"] = replace(tb, base=ta.interval()[0] + below, region=ta.region)
    return "ta"


def read_only(rng: random.Random, draft: Draft) -> str | None:
    if draft.form.mnemonic != "st":
        return None
    draft.tds["ta"] = replace(draft.tds["ta"], region=rng.choice(READ_ONLY_REGIONS))
    return "ta"


def long_sum(rng: random.Random, draft: Draft) -> str | None:
    """K above 65,536: both factors with stride 0."""
    if draft.form.mnemonic not in ("mm", "mmg") or draft.form.fmt != PLAIN:
        return None
    k = 65536 + 64 * rng.randint(1, 100)
    for name in ("tb", "tc"):
        d = draft.tds[name]
        draft.tds[name] = replace(d, extents=(k, *d.extents[1:]), strides=(0, *d.strides[1:]))
    return "tb"


def sparse(rng: random.Random, draft: Draft) -> str | None:
    """Legal but for the feature, which the executable does not ask for."""
    return "tc" if draft.form.fmt == FMT_SPARSE else None


INJECTORS: dict[Trap, Injector] = {
    Trap.TD_ILLEGAL: illegal_descriptor,
    Trap.WATCHDOG: too_large,
    Trap.ILLEGAL_REGION: illegal_region,
    Trap.ILLEGAL_DTYPE: illegal_dtype,
    Trap.SHAPE_MISMATCH: wrong_shape,
    Trap.MISALIGNED: misaligned,
    Trap.OUT_OF_BOUNDS: outside,
    Trap.ILLEGAL_OVERLAP: overlap,
    Trap.READ_ONLY: read_only,
    Trap.K_TOO_LONG: long_sum,
    Trap.UNSUPPORTED_FEATURE: sparse,
}

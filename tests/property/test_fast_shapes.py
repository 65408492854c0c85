"""One instruction with operands of ever other shapes: what the loop learns itself is what the reference checks and the cost model says."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from unittest.mock import patch

import pytest

from isa.descriptor import Descriptor
from isa.encoding import encode
from isa.spec import BY_MNEMONIC, TD_BYTES, Flag, used_fields
from simulator.fast.engine import FastEngine
from simulator.state import State
from tests.property.chaos_programs import BY_NAME, FORMS, Draft, Layout, drafted
from tests.property.chaos_streams import filled_memory
from tests.property.lockstep import Outcome, random_machine, run_both

SHAPES = 6
TABLE_AT = 1 << 15
FIRST, END = 8, 9  # x-registers: where the descriptors of the next execution are, and where the last ones end
STEP = 4 * TD_BYTES
LEARNT = ("ld", "st", "mm", "mmg", "vbin", "vmad", "vun", "vred", "vsmx")


def changed(rng: random.Random, d: Descriptor) -> Descriptor:
    """With another extent, stride or base, seldom a legal one."""
    place, kind = rng.randrange(4), rng.choice(("extent", "stride", "stride", "base"))
    if kind == "base":
        return replace(d, base=max(0, d.base + rng.choice((1, 64, -64, 1 << 14))))
    values = list(d.extents if kind == "extent" else d.strides)
    if kind == "extent":
        values[place] = max(0, rng.choice((0, 1, values[place] + 1, values[place] - 1, 2 * values[place])))
        return replace(d, extents=tuple(values))  # pyright: ignore[reportArgumentType]
    values[place] = rng.choice((0, 1, 2, 4, values[place] + 4, -values[place], 2 * values[place]))
    return replace(d, strides=tuple(values))  # pyright: ignore[reportArgumentType]


def reshaped(rng: random.Random) -> tuple[Draft, list[dict[str, Descriptor]]]:
    """An instruction, and operands for each execution: legal ones, at last perhaps others."""
    form = rng.choice(rng.choice((FORMS, BY_NAME[rng.choice(LEARNT)])))
    drafts = [drafted(rng, form, Layout(rng, 512, apart=True, first_smem=1024)) for _ in range(SHAPES)]
    kinds = {name: d.region for name, d in drafts[0].tds.items()}
    operands = [
        {name: replace(d, region=kinds[name] if rng.random() < 0.9 else d.region) for name, d in draft.tds.items()}
        for draft in drafts
    ]
    if rng.random() < 0.6:
        name = rng.choice(sorted(operands[-1]))
        operands[-1][name] = changed(rng, operands[-1][name])
    return drafts[0], operands


def run_reshaped(seed: int) -> Outcome:
    rng = random.Random(seed)
    draft, operands = reshaped(rng)
    draft.fields.pop("rs", None)
    registers = {name: place for place, name in enumerate(draft.tds)}
    if "rs" in used_fields(BY_MNEMONIC[draft.form.mnemonic], draft.form.fl):
        draft.fields["rs"] = 1
    words = [
        *(encode("tdld", ta=place, rs=FIRST, imm=place * TD_BYTES) for place in registers.values()),
        draft.text(registers),
        encode("alu", fn="add", fl=Flag.I, rd=FIRST, rs=FIRST, imm=STEP),
        encode("br", fn="ne", rs=FIRST, rt=END, imm=0),
        encode("halt"),
    ]

    def state() -> State:
        made = State(filled_memory(), 0)
        made.x[1], made.x[FIRST], made.x[END] = 40, TABLE_AT, TABLE_AT + STEP * len(operands)
        for number, tds in enumerate(operands):
            for place, d in enumerate(tds.values()):
                at = TABLE_AT + number * STEP + place * TD_BYTES
                made.memory.smem[at : at + TD_BYTES] = d.pack()
        return made

    return run_both(b"".join(words), random_machine(rng), state, seed=seed, timing_only=rng.random() < 0.7)


def check_reshaped(seeds: range) -> tuple[Counter[str], int, int]:
    """How runs ended, how many engine instructions there were, and of how many the host was asked."""
    ends, executed, asked = Counter[str](), 0, 0
    teach = FastEngine._teach  # pyright: ignore[reportPrivateUsage]

    def counted(engine: FastEngine, pc: int) -> None:
        nonlocal asked
        asked += 1
        teach(engine, pc)

    with patch.object(FastEngine, "_teach", counted):
        for seed in seeds:
            outcome = run_reshaped(seed)
            ends["passes" if not outcome.end else outcome.end[0][0].name] += 1
            executed += sum(engine.instructions for engine in outcome.records.engines.values())
    return ends, executed, asked


def test_an_instruction_with_other_shapes_ends_alike() -> None:
    ends, executed, asked = check_reshaped(range(400))
    assert (
        min(ends[name] for name in ("passes", "MISALIGNED", "TD_ILLEGAL", "SHAPE_MISMATCH", "ILLEGAL_OVERLAP")) > 3
    ), ends
    assert asked < 0.7 * executed, "the loop learns most shapes itself; without values nearly all"


@pytest.mark.long
def test_many_instructions_with_other_shapes_end_alike() -> None:
    check_reshaped(range(1000, 21_000))

"""Random streams of engine instructions and scalar accesses on small windows of memory: most operands overlap or touch others."""

from __future__ import annotations

import random
from functools import cache

import numpy as np

from isa.encoding import decode, encode
from isa.spec import Feature, Flag, Region
from simulator.memory import Memory
from simulator.reference.kernels import KERNELS
from simulator.reference.operands import Context, Issue
from simulator.traps import Fault
from tests.property.chaos_programs import BY_NAME, MIX, X_VALUES, Draft, Layout, Program, drafted

SMEM_FIRST = 512
SIZES = {Region.SRAM: 8192, Region.KV: 8192, Region.IO: 8192, Region.SCRATCH: 8192}
SCALAR_SHARE = 0.15


def random_program(rng: random.Random, length: int) -> Program:
    """Legal instructions; those whose random operands overlap illegally are left out."""
    layout = Layout(rng, rng.choice((512, 1024, 4096)), first_smem=SMEM_FIRST)
    context = Context(filled_memory(), Feature.SPARSE)
    program = Program()
    for _ in range(length):
        if rng.random() < SCALAR_SHARE:
            program.words.append(scalar_access(rng, layout.window_bytes))
            continue
        draft = drafted(rng, rng.choice(BY_NAME[rng.choice(MIX)]), layout)
        if legal(context, draft) and not program.add(draft):
            break
    return program


def scalar_access(rng: random.Random, window_bytes: int) -> bytes:
    code = rng.randint(0, 3)
    address = SMEM_FIRST + rng.randrange(0, window_bytes, 1 << code)
    if rng.random() < 0.5:
        return encode("lds", fn=code, rd=31, rs=0, imm=address)
    return encode("sts", fn=code, rt=rng.randint(0, len(X_VALUES) - 1), rs=0, imm=address)


def legal(context: Context, draft: Draft) -> bool:
    d = decode(draft.text(dict.fromkeys(draft.tds, 0)))
    scalar = np.float32(0) if draft.form.fl & (Flag.I | Flag.X) else None
    try:
        KERNELS[d.row.mnemonic].check(context, Issue(d.row, d.function, d.fl, draft.tds, 0, 0, 0, scalar))
    except Fault:
        return False
    return True


@cache
def initial_bytes() -> bytes:
    """Small numbers of every dtype: floats around 1 in the first half, any bytes in the second."""
    rng = np.random.default_rng(5)
    return rng.normal(0, 2, 1024).astype(np.float32).tobytes() + rng.bytes(8192 - 4096)


def filled_memory() -> Memory:
    data = np.frombuffer(initial_bytes(), np.uint8)
    memory = Memory(SIZES, {Region.WEIGHT: data, Region.TABLE: np.roll(data, 2048)})
    for shift, region in enumerate(SIZES):
        memory.arrays[region][...] = np.roll(data, 64 * shift)
    memory.arrays[Region.SMEM][SMEM_FIRST : SMEM_FIRST + 8192] = data
    return memory

"""The sampler: logits strip by strip into a sorted candidate list, then a choice. docs/numerics.md section 10.

The mode, the temperature and the limits are mailbox words, so one program serves every setting.
"""

from __future__ import annotations

from math import inf

from xdsl.dialects.builtin import StringAttr
from xdsl.ir import SSAValue

from compiler.dialects import slmq, tile
from compiler.lowering.builder import Index, Place, TileBuilder, place_of, select
from compiler.lowering.tensors import on_chip
from compiler.lowering.values import Lowering, Sampler
from isa.abi import Mailbox, RunFlag
from isa.abi import Sampler as Mode
from isa.spec import MAX_TOPK

ENTRY_BYTES = 8


def read_sampler(b: TileBuilder) -> Sampler:
    """The sampler's list and settings."""
    candidates = b.alloc("candidates", MAX_TOPK * ENTRY_BYTES, "smem")
    words = (Mailbox.SAMPLER, Mailbox.TOP_K, Mailbox.FLAGS)
    mode, top_k, flags = (b.lds(8, word.address) for word in words)
    return Sampler(candidates, mode, top_k, flags)


def chosen_rows(low: Lowering) -> SSAValue:
    """How many of the last rows need logits: all if the host asked for them, 1 at the end of the prompt, else 0."""
    b = low.builder
    ends = b.compare("eq", low.rows, low.available)
    last = select(b, ends, 1, 0)
    return select(b, b.compare("eq", low.sampler.flags, int(RunFlag.DUMP_ALL)), low.rows, last)


def start_sampling(low: Lowering) -> None:
    """Empties the candidate list: an entry is empty if its value is -inf, whatever its index."""
    b = low.builder
    b.vun("mov", b.view(Place("smem", low.sampler.candidates), "f32", [2 * MAX_TOPK]), -inf)


def dump_strip(low: Lowering, logits: SSAValue, first: Index, count: Index, vocabulary: int) -> None:
    """Stores the strip's logits to IO: row = position of the token, or number of tokens generated so far."""
    b, sampler = low.builder, low.sampler
    row_bytes = vocabulary * 4
    offset = b.add(b.lds(8, Mailbox.LOGITS_OFFSET.address), b.mul(first, 4))

    def to_row(row: Index) -> None:
        place = Place("io", offset=b.add(offset, b.mul(row, row_bytes)))
        b.store(b.view(place, "f32", [count, low.rows], [4, row_bytes]), logits)

    def some() -> None:
        b.when(
            b.compare("eq", sampler.flags, int(RunFlag.DUMP_ALL)),
            lambda: to_row(low.position),
            lambda: to_row(b.lds(8, Mailbox.N_OUT.address)),
        )

    b.when(b.compare("ne", sampler.flags, 0), some)


def sample_strip(low: Lowering, logits: SSAValue, strip_rows: int, first: Index, count: Index, vocabulary: int) -> None:
    """Dumps the strip if asked, then merges the last row into the candidates."""
    b, sampler = low.builder, low.sampler
    dump_strip(low, logits, first, count, vocabulary)
    row = b.view(place_of(b, logits), "f32", [count], offset=b.mul(b.sub(low.rows, 1), strip_rows * 4))

    def perturb() -> None:
        noise = b.view(Place("sram", b.alloc("noise", strip_rows * 4)), "f32", [count])
        gumbel(low, noise, first)
        inverse = b.lds(4, Mailbox.INVERSE_TEMPERATURE.address)
        b.vmad("msub", row, row, 0.0, noise, scalar=inverse)

    b.when(b.compare("eq", sampler.mode, int(Mode.TEMPERATURE)), perturb)
    single = candidate_view(low, 1)
    b.when(
        b.compare("eq", sampler.mode, int(Mode.TOP_K_TOP_P)),
        lambda: topk(low, candidate_view(low, sampler.top_k), row, first),
        lambda: topk(low, single, row, first),
    )


def lower_sample(low: Lowering, op: slmq.SampleOp) -> None:
    """Logits that are no strip of a product, but lie in SRAM whole."""
    logits = on_chip(low, op.logits)
    start_sampling(low)
    sample_strip(low, low.view(logits), logits.columns, low.builder.value(0), logits.columns, logits.columns)
    finish_sampling(low)


def candidate_view(low: Lowering, entries: Index) -> SSAValue:
    """The list as vtopk takes it: one 8-byte entry per element."""
    return low.builder.view(Place("smem", low.sampler.candidates), "f32", [entries], [ENTRY_BYTES])


def topk(low: Lowering, target: SSAValue, row: SSAValue, first: Index) -> None:
    b = low.builder
    b.insert(tile.VtopkOp(operands=[target, row, b.value(first)]))


def gumbel(low: Lowering, noise: SSAValue, first: Index) -> None:
    """noise = log(-1 * log(u)): what is subtracted from a logit; counter (index, position of the next token)."""
    b = low.builder
    key, second = b.lds(8, Mailbox.SEED.address), b.value(b.add(low.position, low.chunk_rows))
    b.insert(tile.VrngOp(operands=[noise, b.value(first), second, key]))
    b.vun("log", noise, noise)
    b.vbin("mul", noise, noise, -1.0)
    b.vun("log", noise, noise)


def finish_sampling(low: Lowering) -> None:
    """Top-k / top-p: draws from the list; the winner's entry replaces the first one."""
    b, sampler = low.builder, low.sampler
    b.when(b.compare("eq", sampler.mode, int(Mode.TOP_K_TOP_P)), lambda: draw(low, sampler))


def draw(low: Lowering, sampler: Sampler) -> None:
    """p = softmax(L/T); keep entries whose preceding mass is below top_p; argmax of log p + Gumbel noise."""
    b, k = low.builder, sampler.top_k
    values = candidate_view(low, k)

    def scratch(label: str) -> Place:
        return Place("sram", b.alloc(label, MAX_TOPK * 4))

    p_place, mass_place, noise_place = scratch("probabilities"), scratch("mass"), scratch("noise")
    p, noise = b.view(p_place, "f32", [k]), b.view(noise_place, "f32", [k])
    total_place = scratch("total")
    total = b.view(total_place, "f32", [1])
    b.scale_by_bits(p, values, b.lds(4, Mailbox.INVERSE_TEMPERATURE.address))
    b.vun("mov", total, b.view(p_place, "f32", [1]))
    b.vbin("sub", p, p, b.view(total_place, "f32", [k], [0]))
    b.vun("exp", p, p)
    b.vred("sum", total, p)
    b.vbin("div", p, p, b.view(total_place, "f32", [k], [0]))
    triangle = Place("table", offset=low.place(tile.TableOp, {"kind": StringAttr("triangle")}, "triangle"))
    weights = Place("sram", b.alloc("triangle", MAX_TOPK * MAX_TOPK * 4))
    square = [MAX_TOPK, MAX_TOPK]
    b.load(b.view(weights, "f32", square), b.view(triangle, "f32", square))
    mass = b.view(mass_place, "f32", [k])
    b.mm(mass, p, b.view(weights, "f32", [k, k], [4, MAX_TOPK * 4]))
    b.vbin("lt", mass, mass, 0.0, scalar=b.lds(4, Mailbox.TOP_P.address))
    b.vbin("mul", p, p, mass)
    b.vun("log", p, p)
    gumbel(low, noise, 0)
    b.vbin("sub", p, p, noise)
    choose(low, p, sampler)


def choose(low: Lowering, scores: SSAValue, sampler: Sampler) -> None:
    """Moves the token of the best-scored entry to the first entry; -1 if no entry is left."""
    b = low.builder
    winner = b.alloc("winner", ENTRY_BYTES, "smem")
    best = b.view(Place("smem", winner), "f32", [1], [ENTRY_BYTES])
    b.vun("mov", b.view(Place("smem", winner), "f32", [2]), -inf)
    topk(low, best, scores, 0)
    entry = b.lds(4, buffer=winner, displacement=4)

    def take() -> None:
        token = b.lds(4, b.mul(entry, ENTRY_BYTES), sampler.candidates, displacement=4)
        b.sts(4, token, buffer=sampler.candidates, displacement=4)

    b.when(b.compare("slt", entry, MAX_TOPK), take, lambda: b.sts(4, -1, buffer=sampler.candidates, displacement=4))

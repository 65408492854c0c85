"""The program around the model: one loop that is prefill, decode and multi-turn.

    pos = mailbox.pos
    repeat:
        T = min(n_tokens - pos, chunk, rest of the KV block); of more tokens than a block: to the next multiple of them
        the model on tokens[pos : pos + T]; pos += T
        if pos == n_tokens: append the sampled token, post it, and stop if it is a stop token or enough have been made
Where rotary tables change with the length of the sequence, growing past such a length sets pos = 0: docs/numerics.md, section 8.
The host writes tokens and settings while the device is halted, and reads what is posted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xdsl.dialects import scf
from xdsl.dialects.builtin import IndexType
from xdsl.ir import Block, Region, SSAValue

from compiler.lowering.builder import Index, Place, TileBuilder, select
from compiler.lowering.plan import TilePlan
from isa.abi import EVENT_TOKEN, TOKEN_BUFFER_OFFSET, Mailbox
from isa.spec import KV_BLOCK

MARK_CHUNK = 1
Step = Callable[[SSAValue, SSAValue, SSAValue, SSAValue], SSAValue]


def build_generate(b: TileBuilder, plan: TilePlan, restarts: Sequence[int], step: Step) -> None:
    """`step(tokens, position, rows, available)` lowers the model and returns the sampler's list; see the module docstring.

    restarts: the lengths past which a growing sequence is processed again from position 0.
    """
    tokens = b.alloc("tokens", plan.most_tokens * 4, "smem")
    start = start_position(b, restarts)
    most, block = plan.most_tokens, max(plan.most_tokens, KV_BLOCK)
    before, after = Block(arg_types=[IndexType()] * 2), Block(arg_types=[IndexType()])
    running = b.value(1)
    with b.inside(before):
        b.insert(scf.ConditionOp(b.compare("ne", before.args[1], 0), before.args[0]))
    with b.inside(after):
        position = after.args[0]
        available = b.sub(b.lds(8, Mailbox.N_TOKENS.address), position)
        rest = b.sub(block, b.rem(position, block))
        rows = b.value(b.least(b.least(available, most), rest))
        b.mark(MARK_CHUNK, rows)
        load_tokens(b, tokens, position, rows)
        following = b.add(position, rows)
        is_last = b.compare("eq", rows, available)
        candidates = step(tokens, position, rows, b.value(available))
        b.sts(8, following, Mailbox.POS.address)
        go = finish_chunk(b, plan, is_last, following, candidates)
        b.insert(scf.YieldOp(next_position(b, restarts, is_last, following), go))
    types = [IndexType()]
    b.insert(scf.WhileOp([start, running], types, Region(before), Region(after)))


def start_position(b: TileBuilder, restarts: Sequence[int]) -> SSAValue:
    """POS, or 0 if the host's new tokens take the sequence past a length of `restarts`."""
    position, count = b.lds(8, Mailbox.POS.address), b.lds(8, Mailbox.N_TOKENS.address) if restarts else 0
    for length in restarts:
        again = select(b, b.compare("sgt", count, length), 0, position)
        position = select(b, b.compare("sle", position, length), again, position)
    return position


def next_position(b: TileBuilder, restarts: Sequence[int], is_last: SSAValue, following: Index) -> SSAValue:
    """Where the next chunk begins: 0 if the token appended behind this one takes the sequence past a length of `restarts`.

    Within a prompt (not is_last) the length is settled. POS keeps `following`: it is what a later start is told.
    """
    position = b.value(following)
    for length in restarts:
        again = select(b, is_last, 0, position)
        position = select(b, b.compare("eq", following, length), again, position)
    return position


def load_tokens(b: TileBuilder, tokens: SSAValue, position: SSAValue, rows: SSAValue) -> None:
    source = Place("io", offset=b.add(b.mul(position, 4), TOKEN_BUFFER_OFFSET))
    b.load(b.view(Place("smem", tokens), "i32", [rows]), b.view(source, "i32", [rows]))


def finish_chunk(b: TileBuilder, plan: TilePlan, is_last: SSAValue, following: Index, candidates: SSAValue) -> SSAValue:
    """Whether to go on: 1 within the prompt, else what append_token says."""
    blocks = Block(), Block()
    with b.inside(blocks[0]):
        b.insert(scf.YieldOp(append_token(b, plan, following, candidates)))
    with b.inside(blocks[1]):
        b.insert(scf.YieldOp(b.value(1)))
    op = scf.IfOp(is_last, [IndexType()], Region(blocks[0]), Region(blocks[1]))
    return b.insert(op).results[0]


def append_token(b: TileBuilder, plan: TilePlan, count: Index, candidates: SSAValue) -> SSAValue:
    """Posts the token, appends it to the token buffer, and returns 0 if generation ends here: no token, or no room."""
    token = sampled_token(b, candidates)
    made = b.add(b.lds(8, Mailbox.N_OUT.address), 1)
    b.sts(8, made, Mailbox.N_OUT.address)
    b.event(EVENT_TOKEN, token)
    stay, full = Block(), Block()
    with b.inside(stay):
        place = Place("io", offset=b.add(b.mul(count, 4), TOKEN_BUFFER_OFFSET))
        source = b.view(Place("smem", candidates), "i32", [1], offset=4)
        b.store(b.view(place, "i32", [1]), source)
        b.sts(8, b.add(count, 1), Mailbox.N_TOKENS.address)
        wanted = b.sub(b.lds(8, Mailbox.MAX_NEW.address), made)
        b.insert(scf.YieldOp(not_stopped(b, token, b.greatest(wanted, 0))))
    with b.inside(full):
        b.insert(scf.YieldOp(b.value(0)))
    room = select(b, b.compare("slt", token, 0), 0, b.value(b.sub(plan.context, count)))
    fits = b.compare("sgt", room, 0)
    return b.insert(scf.IfOp(fits, [IndexType()], Region(stay), Region(full))).results[0]


def sampled_token(b: TileBuilder, candidates: SSAValue) -> SSAValue:
    """The index word of the first entry, -1 if there is no candidate (lds does not extend the sign)."""
    word = b.lds(4, buffer=candidates, displacement=4)
    return select(b, b.compare("sge", word, 1 << 31), -1, word)


def not_stopped(b: TileBuilder, token: SSAValue, wanted: Index) -> SSAValue:
    """`wanted` more tokens, or 0 if the token is a stop token or the host asked to abort."""
    stops = b.lds(8, Mailbox.N_STOP.address)

    def check(index: SSAValue, carried: list[SSAValue]) -> list[Index]:
        stop = b.lds(8, b.mul(index, 8), displacement=Mailbox.STOP_0.address)
        return [select(b, b.compare("eq", stop, token), 0, carried[0])]

    rest = b.loop(0, stops, 1, check, [wanted])[0]
    abort = b.lds(8, Mailbox.ABORT.address)
    return select(b, b.compare("ne", abort, 0), 0, rest)

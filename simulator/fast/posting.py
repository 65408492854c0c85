"""Kernels that run while the loop goes on: posted to the workers, and waited for where something needs them.

A product that is posted may still run when later instructions are checked, timed and executed. Those whose operands overlap what
it writes, or write what it reads, wait for it, as does whatever else touches memory: copies of aliases, SMEM, the host. Operands are
compared by their addresses on this computer, as kernels use them. So memory changes as if each kernel were done at once.
"""

from __future__ import annotations

from isa.spec import Region
from simulator.fast.compiled import compiled, inlined
from simulator.fast.kernels.raw import load_acquire, nanoseconds, pause, store_release, yield_core
from simulator.fast.kernels.worker import (
    BYTES,
    PATIENCE,
    RING,
    SHARED_ARGUMENTS,
    SPINS,
    Post,
    row_of_post,
    take_any_part,
    take_part,
)
from simulator.fast.layout import Block, ByPc, Core, Form, Ints, Operand, Posted, Span
from simulator.fast.raw import store_64

SMEM = int(Region.SMEM)


@compiled
def finish(s: Block, end: int) -> None:
    """Waits until all kernels before the one with number `end` are done; does parts meanwhile."""
    core, posts, threads = s.core, s.core[Core.POSTS_AT], s.core[Core.WORKERS] + 1
    while core[Core.DONE] < end:
        row, waited = row_of_post(posts, core[Core.DONE]), 0
        while load_acquire(row + BYTES * Post.FINISHED) != threads:
            if take_part(posts, 0, 0) or (waited >= PATIENCE and take_any_part(posts, 0)):
                waited = 0
            elif waited < SPINS:
                waited += 1
                pause()
            else:
                yield_core()
        core[Core.DONE] += 1


@inlined
def finish_all(s: Block) -> None:
    """Waits until nothing runs beside the loop."""
    if s.core[Core.DONE] != s.core[Core.POSTED]:
        finish(s, s.core[Core.POSTED])


@compiled
def finish_billed(s: Block, by_pc: Ints, end: int) -> None:
    """`finish`; the time it takes is that of the last one waited for."""
    if s.core[Core.PROFILES] == 0:
        finish(s, end)
        return
    before, pc = nanoseconds(), s.posted[end - 1 & RING - 1, Posted.PC]
    finish(s, end)
    by_pc[pc, ByPc.NANOSECONDS] += nanoseconds() - before


@compiled
def finish_conflicting(s: Block, by_pc: Ints, form: int) -> None:
    """Waits for what must be done before a kernel with the arguments as they are may run."""
    core, arguments, end = s.core, s.arguments, 0
    for operand in range(s.forms[form, Form.OPERANDS]):
        at = Form.OPERAND + operand * Operand.LENGTH
        place = arguments[s.forms[form, Form.PLACE + operand]]
        low, high = place + s.forms[form, at + Operand.LOW], place + s.forms[form, at + Operand.HIGH]
        stored = s.forms[form, at + Operand.STORED]
        for number in range(max(end, core[Core.DONE]), core[Core.POSTED]):
            row = number & RING - 1
            for other in range(s.posted[row, Posted.SPANS]):
                span = Posted.SPAN + other * Span.LENGTH
                if (
                    stored + s.posted[row, span + Span.STORED] != 0
                    and low < s.posted[row, span + Span.HIGH]
                    and s.posted[row, span + Span.LOW] < high
                ):
                    end = number + 1
    if end > core[Core.DONE]:
        finish_billed(s, by_pc, end)


@inlined
def may_wait(s: Block, form: int) -> bool:
    """Whether a kernel may be posted: scalar instructions do not look whether SMEM is still written or read."""
    for number in range(s.forms[form, Form.OPERANDS]):
        if s.forms[form, Form.OPERAND + number * Operand.LENGTH + Operand.REGION] == SMEM:
            return False
    return True


@compiled
def post(s: Block, form: int, parameters: int, pc: int) -> None:
    """Posts a kernel with the arguments as they are; nothing that runs conflicts with it."""
    core, arguments, number = s.core, s.arguments, s.core[Core.POSTED]
    if number - core[Core.DONE] == RING:
        finish(s, core[Core.DONE] + 1)
    posts, row = core[Core.POSTS_AT], number & RING - 1
    at = row_of_post(posts, number)
    for place in range(SHARED_ARGUMENTS):
        store_64(at + BYTES * (Post.ARGUMENT + place), arguments[place])
    store_64(at + BYTES * Post.KERNEL, s.forms[form, Form.KERNEL])
    store_64(at + BYTES * Post.PARAMETERS, parameters)
    store_64(at + BYTES * Post.FINISHED, 0)
    s.posted[row, Posted.PC], s.posted[row, Posted.SPANS] = pc, s.forms[form, Form.OPERANDS]
    for operand in range(s.forms[form, Form.OPERANDS]):
        described, span = Form.OPERAND + operand * Operand.LENGTH, Posted.SPAN + operand * Span.LENGTH
        place = arguments[s.forms[form, Form.PLACE + operand]]
        s.posted[row, span + Span.LOW] = place + s.forms[form, described + Operand.LOW]
        s.posted[row, span + Span.HIGH] = place + s.forms[form, described + Operand.HIGH]
        s.posted[row, span + Span.STORED] = s.forms[form, described + Operand.STORED]
    core[Core.POSTED] = number + 1
    store_release(posts + BYTES * Post.POSTED, number + 1)

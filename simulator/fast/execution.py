"""What an engine instruction computes: its kernel is called with the addresses of its operands (kernels/abi.py)."""

from __future__ import annotations

from typing import Any

from isa.spec import Engine, Flag
from simulator.fast.aliases import add_alias, fulfil_all, place_of, protect_sources
from simulator.fast.compiled import compiled
from simulator.fast.kernels.abi import Arg
from simulator.fast.kernels.raw import call, nanoseconds
from simulator.fast.layout import Block, ByPc, Core, Effect, Exit, Form, Ints
from simulator.fast.posting import finish, finish_conflicting, may_wait, post

HOST = int(Exit.HOST)
STORE_ENGINE = int(Engine.DMS)
LOW_32 = 0xFFFFFFFF
FORM_BYTES = 8 * Form.LENGTH
PARAMETER_BYTES = 8 * Form.PARAMETER
FLAG_X = int(Flag.X)


@compiled
def execute(s: Block, form: int, values: Ints, by_pc: Ints, i: Any, pc: int) -> int:
    """Does what the form says; returns 0, or HOST if the host is to do it."""
    effect = s.forms[form, Form.EFFECT]
    if effect == Effect.ALIAS:
        add_alias(s, form)
        return 0
    if s.forms[form, Form.ENGINE] == STORE_ENGINE:
        protect_sources(s, form)
    if effect == Effect.HOST:
        fulfil_all(s)
        return HOST
    arguments, core = s.arguments, s.core
    for number in range(s.forms[form, Form.OPERANDS]):
        arguments[s.forms[form, Form.PLACE + number]] = place_of(s, form, number)
    arguments[Arg.RD], arguments[Arg.RS], arguments[Arg.RT] = values[i.rd], values[i.rs], values[i.b]
    arguments[Arg.SCALAR] = (values[i.rs] if i.kind & FLAG_X else i.imm) & LOW_32
    arguments[Arg.SCRATCH] = core[Core.SCRATCH_AT]
    arguments[Arg.PART], arguments[Arg.PARTS] = 0, 1
    if core[Core.POSTED] != core[Core.DONE]:
        finish_conflicting(s, by_pc, form)
    if core[Core.PROFILES] == 0:
        execute_kernel(s, form, pc)
    else:
        before = nanoseconds()
        execute_kernel(s, form, pc)
        by_pc[pc, ByPc.NANOSECONDS] += nanoseconds() - before
    return 0


@compiled
def execute_kernel(s: Block, form: int, pc: int) -> None:
    """With the arguments as they are; or posts it."""
    core = s.core
    parameters = core[Core.FORMS_AT] + form * FORM_BYTES + PARAMETER_BYTES
    if core[Core.WORKERS] > 0 and s.forms[form, Form.DIVISIBLE] != 0:
        post(s, form, parameters, pc)
        if not may_wait(s, form):
            finish(s, core[Core.POSTED])
    else:
        call(s.forms[form, Form.KERNEL], core[Core.ARGUMENTS_AT], parameters)

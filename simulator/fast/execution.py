"""What an engine instruction computes: its kernel is called with the addresses of its operands (kernels/abi.py)."""

from __future__ import annotations

from typing import Any

from isa.spec import Engine, Flag
from simulator.fast.aliases import add_alias, fulfil_all, place_of, protect_sources
from simulator.fast.compiled import compiled
from simulator.fast.kernels.abi import Arg
from simulator.fast.layout import Block, Core, Effect, Exit, Form, Ints
from simulator.fast.raw import call

HOST = int(Exit.HOST)
STORE_ENGINE = int(Engine.DMS)
LOW_32 = 0xFFFFFFFF
FORM_BYTES = 8 * Form.LENGTH
PARAMETER_BYTES = 8 * Form.PARAMETER
FLAG_X = int(Flag.X)


@compiled
def execute(s: Block, form: int, values: Ints, i: Any) -> int:
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
    call(
        s.forms[form, Form.KERNEL],
        core[Core.ARGUMENTS_AT],
        core[Core.FORMS_AT] + form * FORM_BYTES + PARAMETER_BYTES,
    )
    return 0

"""convert-slmq-to-tile: the step function becomes a device program: buffers, copies, tile compute, loops, the generate loop.

    func.func @forward(%tokens) { .. }   ->   func.func @generate() { scf.while .. scf.for (layers) .. scf.for (strips) .. }
The encoder of an image becomes a program of its own, @encode_image. Needs the plan of choose-tiling. compiler/lowering/ops.py says how each
op is lowered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from compiler.analysis.spills import spilled_values
from compiler.dialects import slm, slmq
from compiler.interpreters.rotary import restart_lengths
from compiler.locations import named
from compiler.lowering.builder import TileBuilder
from compiler.lowering.encoder import Encoder
from compiler.lowering.generate import build_generate
from compiler.lowering.ops import lower_block, lower_op
from compiler.lowering.plan import TilePlan
from compiler.lowering.rows import load_rotary_tables
from compiler.lowering.sampling import read_sampler
from compiler.lowering.values import Lowering
from compiler.program import ENCODER
from compiler.walking import ops_of
from isa.abi import EVENT_IMAGE


def lower_step(low: Lowering, body: Block, rotaries: Sequence[slm.RotaryAttr]) -> None:
    """All ops on a chunk of tokens."""
    low.builder.takes_turns = low.plan.buffers == 2
    for rotary in () if low.plan.tokens else rotaries:
        load_rotary_tables(low, rotary)
    lower_block(low, body)


def lower_function(function: FuncOp, plan: TilePlan, single: TilePlan | None) -> FuncOp:
    """The device program of one step function. `single`: the plan for chunks of one token, which have instructions of their own."""
    body, steps = Block(), function.body.block
    location = named("program", function.location)
    builder = TileBuilder(body, location)
    rotaries = list(dict.fromkeys(op.rotary for op in ops_of(slmq.RopeOp, function)))

    def step(tokens: SSAValue, position: SSAValue, rows: SSAValue, available: SSAValue) -> SSAValue:
        sampler = read_sampler(builder)

        def some() -> None:
            spilled = spilled_values(function, plan)
            low = Lowering(builder, plan, position, rows, rows, available, tokens, sampler, spilled=spilled)
            lower_step(low, steps, rotaries)

        def one() -> None:
            low = Lowering(builder, single or plan, position, 1, 1, available, tokens, sampler)
            lower_step(low, steps, rotaries)

        if plan.chunk == 1:
            one()
        elif single is None:
            some()
        else:
            builder.when(builder.compare("ne", rows, 1), some, one)
        return sampler.candidates

    build_generate(builder, plan, restart_lengths(rotaries, plan.context), step)
    end = ReturnOp()
    builder.insert(end)
    program = FuncOp("generate", ((), ()), Region(body))
    program.location = location
    return program


def lower_encoder(function: FuncOp, plan: TilePlan) -> FuncOp:
    """The device program that makes the rows of an image, and says so to the host."""
    body = Block()
    location = named("encoder", function.location)
    builder = TileBuilder(body, location)
    builder.takes_turns = plan.buffers == 2
    rows = Encoder(Lowering.without_tokens(builder, plan), lower_op).run(function.body.block)
    builder.event(EVENT_IMAGE, rows)
    builder.insert(ReturnOp())
    program = FuncOp(ENCODER, ((), ()), Region(body))
    program.location = location
    return program


def lower_program(function: FuncOp, plan: TilePlan, single: TilePlan | None = None) -> FuncOp:
    """The device program of a function, which stays as it is."""
    if function.sym_name.data == ENCODER:
        return lower_encoder(function, plan)
    return lower_function(function, plan, single)


@dataclass(frozen=True)
class ConvertSlmqToTilePass(ModulePass):
    """See the module docstring."""

    name = "convert-slmq-to-tile"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        plan, single = TilePlan.of(op), TilePlan.of_single(op)
        for function in ops_of(FuncOp, op):
            Rewriter.insert_op(lower_program(function, plan, single), InsertPoint.before(function))
            Rewriter.erase_op(function)

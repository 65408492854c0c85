"""The prediction of a program's cycles and DRAM bytes, before it runs: docs/prediction.md.

A step is one turn of the generate loop: `tokens` tokens from `position` on. It is walked with an empty machine in front of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects import scf
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp

from compiler.analysis.predict_lines import Program
from compiler.analysis.predict_operations import OperationCosts
from compiler.analysis.predict_timeline import Tally, Timeline
from compiler.analysis.predict_walk import Walk
from compiler.errors import CompileError
from isa.abi import Mailbox
from isa.machine import Machine

GENERATE = "generate"
PLENTY = 1 << 20  # tokens the host asks for


@dataclass(frozen=True)
class Step:
    """`tokens` from `position` on; `is_last`: of the prompt, so that a token is made."""

    tokens: int
    position: int
    is_last: bool


@dataclass(frozen=True)
class StepCost:
    """Cycles until everything is visible, and what each operator has done, in order of execution."""

    step: Step
    cycles: int
    operators: dict[str, Tally]

    @property
    def dram_bytes(self) -> int:
        return round(sum(sum(tally.dram_bytes) for tally in self.operators.values()))


class Predictor:
    """Predicts steps of one module, which is behind allocate-sram."""

    def __init__(self, module: ModuleOp, machine: Machine) -> None:
        functions = [op for op in module.walk() if isinstance(op, FuncOp) and op.sym_name.data == GENERATE]
        if not functions:
            raise CompileError("the module has no generate loop to predict")
        self.module, self.machine = module, machine
        self.costs = OperationCosts(Timeline(machine).forms)
        self.program = Program(functions[0])

    def step(self, step: Step) -> StepCost:
        timeline = Timeline(self.machine)
        walk = Walk(self.module, timeline, self.costs, self.program)
        for word, value in (
            (Mailbox.POS, step.position),
            (Mailbox.N_TOKENS, step.position + step.tokens + (0 if step.is_last else PLENTY)),
            (Mailbox.MAX_NEW, PLENTY),
        ):
            walk.smem[word.address : word.address + 8] = value.to_bytes(8, "little")
        for line in self.program.lines(self.program.function.body.block).ops:
            if isinstance(line.op, scf.WhileOp):
                walk.put(line.op.after_region.block.args[:1], (step.position,))
                walk.block(line.op.after_region.block)
                break
            walk.line(line)
        return StepCost(step, round(max(timeline.now, timeline.latest)), timeline.tallies)

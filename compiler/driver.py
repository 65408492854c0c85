"""The compiler as one readable tuple of stages, and the function that runs it."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from xdsl.context import Context
from xdsl.dialects.arith import Arith
from xdsl.dialects.builtin import Builtin, ModuleOp
from xdsl.dialects.func import Func
from xdsl.dialects.scf import Scf
from xdsl.passes import ModulePass
from xdsl.transforms.loop_invariant_code_motion import LoopInvariantCodeMotionPass

from compiler.analysis.predict_section import predict
from compiler.dialects.isa import Isa
from compiler.dialects.slm import LinearOp, RopeOp, Slm
from compiler.dialects.slmq import Slmq
from compiler.dialects.tile import Tile
from compiler.emit.executable import Progress, is_routed, region_sizes
from compiler.emit.output import Output
from compiler.errors import CompileError
from compiler.interpreters.rotary import longest_context
from compiler.invariants import check_isa, check_slm, check_slmq, check_tile
from compiler.lowering.plan import PLAN_ATTRIBUTE, TilePlan
from compiler.program import Program
from compiler.schemes import find_scheme
from compiler.transforms.add_sampling import AddSamplingPass
from compiler.transforms.allocate_dram import AllocateDramPass
from compiler.transforms.allocate_registers import AllocateRegistersPass
from compiler.transforms.allocate_sram import AllocateSramPass
from compiler.transforms.canonicalize import CanonicalizePass
from compiler.transforms.choose_single import ChooseSinglePass
from compiler.transforms.choose_tiling import ChooseTilingPass
from compiler.transforms.convert_slm_to_slmq import ConvertSlmToSlmqPass
from compiler.transforms.convert_slmq_to_tile import ConvertSlmqToTilePass
from compiler.transforms.convert_tile_to_isa import ConvertTileToIsaPass
from compiler.transforms.cse import CsePass
from compiler.transforms.cut_rows import CutRowsPass
from compiler.transforms.double_buffer import DoubleBufferPass
from compiler.transforms.fuse_strips import FuseStripsPass
from compiler.transforms.group_rows import GroupRowsPass
from compiler.transforms.hoist_from_mixtures import HoistFromMixturesPass
from compiler.transforms.simplify_indices import SimplifyIndicesPass
from compiler.transforms.split_layers import SplitLayersPass
from compiler.transforms.unroll_turns import UnrollTurnsPass
from isa.machine import Machine
from isa.prediction import Prediction

Observe = Callable[[str, ModulePass | None, ModuleOp], None]  # stage, the pass that has run (None: the stage's end)

PASSES: dict[str, type[ModulePass]] = {
    made.name: made
    for made in (
        CanonicalizePass, CsePass, LoopInvariantCodeMotionPass, SplitLayersPass,
        ConvertSlmToSlmqPass,
        AddSamplingPass, HoistFromMixturesPass, CutRowsPass, FuseStripsPass, GroupRowsPass, ChooseTilingPass, ChooseSinglePass,
        ConvertSlmqToTilePass,
        AllocateDramPass, DoubleBufferPass, AllocateSramPass, UnrollTurnsPass, SimplifyIndicesPass,
        ConvertTileToIsaPass,
        AllocateRegistersPass,
    )
}  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """Passes that run in order, and what holds behind them."""

    name: str
    passes: tuple[ModulePass, ...]
    invariant: Callable[[ModuleOp], None]


@dataclass(frozen=True)
class Options:
    """What to compile for. chunk 0: the compiler chooses. allow_oversize: the machine's DRAM may be too small, to time it. predict: the
    executable says what the compiler expects of it, which takes up to a third of the time of compiling."""

    machine: Machine
    scheme: str = "w8a8"
    context: int = 512
    chunk: int = 0
    allow_oversize: bool = False
    predict: bool = True


def balance_of(machine: Machine) -> int:
    """int8 multiply-accumulates of the matrix unit in the time in which DRAM moves a byte."""
    return max(1, round(machine.mxu_rows * machine.mxu_columns / machine.dram_bytes_per_cycle))


def pipeline(options: Options, rules: tuple[str, ...] = ()) -> tuple[Stage, ...]:
    """The stages, first to last. `rules`: of the scheme, for the program's weights."""
    clean = (CanonicalizePass(), CsePass())
    sram_bytes, scheme = options.machine.sram_bytes, find_scheme(options.scheme)
    return (
        Stage("slm", clean, check_slm),
        Stage(
            "slmq",
            (
                SplitLayersPass(scheme.base, rules),
                ConvertSlmToSlmqPass(scheme.base, rules),
                CsePass(),
                AddSamplingPass(),
                HoistFromMixturesPass(),
                CsePass(),
                CutRowsPass(),
                FuseStripsPass(),
                GroupRowsPass(),
            ),
            check_slmq,
        ),
        Stage(
            "tile",
            (
                ChooseTilingPass(
                    sram_bytes, options.machine.mxu_rows, options.context, options.chunk, balance_of(options.machine)
                ),
                ChooseSinglePass(
                    sram_bytes,
                    round(options.machine.dram_bytes_per_cycle * 1000),
                    options.machine.core.mxu.b_port_bytes.value,
                ),
                ConvertSlmqToTilePass(),
                AllocateDramPass(options.machine.dram_stripe_bytes),
                DoubleBufferPass(),
                *clean,
                LoopInvariantCodeMotionPass(),
                CsePass(),
                AllocateSramPass(sram_bytes),
                UnrollTurnsPass(),
                SimplifyIndicesPass(),
                *clean,
                LoopInvariantCodeMotionPass(),
                CsePass(),
            ),
            check_tile,
        ),
        Stage("isa", (ConvertTileToIsaPass(), AllocateRegistersPass()), check_isa),
    )


PREDICTED_STAGE = "tile"
STAGE_NAMES = ("slm", "slmq", "tile", "isa")


def make_context() -> Context:
    """A context that knows every dialect of the pipeline."""
    ctx = Context()
    for dialect in (Builtin, Func, Arith, Scf, Slm, Slmq, Tile, Isa):
        ctx.load_dialect(dialect)
    return ctx


@contextmanager
def paused_gc() -> Generator[None]:
    """The cyclic garbage collector costs a third of the time of IR building, and passes leave few cycles."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def run_stages(
    module: ModuleOp, stages: tuple[Stage, ...], stop_after: str = "", observe: Observe | None = None
) -> None:
    """Runs passes on a module in place; verifies the IR and the invariant after each stage: after each pass it would be half the time of
    compiling (compiler/verify_each.py does it).
    """
    ctx = make_context()
    with paused_gc():
        for stage in stages:
            for transform in stage.passes:
                transform.apply(ctx, module)
                if observe is not None:
                    observe(stage.name, transform, module)
            module.verify()
            stage.invariant(module)
            if observe is not None:
                observe(stage.name, None, module)
            if stage.name == stop_after:
                return


def check_options(program: Program, options: Options) -> None:
    """Raises CompileError for a context or scheme that makes no sense."""
    check_rules(program, options.scheme)
    check_context(program, options.context)
    check_rotary(program.module, options.context)
    if not 0 <= options.chunk <= 256:
        raise CompileError(f"the chunk is {options.chunk} tokens, expected 1 to 256, or 0 to let the compiler choose")


def check_rules(program: Program, scheme: str) -> None:
    """Raises CompileError for a rule of the scheme (its name or file) that names no matrix: a misspelled name would be ignored."""
    keys = {op.weight.key.data for op in program.module.walk() if isinstance(op, LinearOp)}
    patterns = [re.compile(re.sub(r"\\{[ie]\\}", r"\\d+", re.escape(key))) for key in keys]
    names = [name for name in program.weights.names() if any(pattern.fullmatch(name) for pattern in patterns)]
    for rule in find_scheme(scheme).rules:
        if not any(fnmatchcase(name, rule.pattern) for name in names):
            message = f'no matrix of the model is called "{rule.pattern}"'
            raise CompileError(message, scheme, "slmc inspect prints the names")


def check_rotary(module: ModuleOp, context: int) -> None:
    """Raises CompileError if a rotary embedding has no tables for the context."""
    for op in module.walk():
        longest = longest_context(op.rotary) if isinstance(op, RopeOp) else None
        if longest is not None and context > longest:
            raise CompileError(
                f"a context of {context} is longer than the {longest} positions of the model's dynamic rope scaling",
                hint="beyond them the frequencies change with every token",
            )


def check_context(program: Program, context: int) -> None:
    """Raises CompileError for a number of positions that no program or this model cannot have."""
    if not 1 <= context <= 1 << 20:
        raise CompileError(f"the context is {context}, expected 1 to {1 << 20} positions")
    if program.max_positions and context > program.max_positions:
        raise CompileError(f"a context of {context} is longer than the model's {program.max_positions} positions")


def check_capacity(module: ModuleOp, options: Options) -> None:
    """Raises CompileError if the program's DRAM regions are larger than the machine's memory, unless that is allowed."""
    needed, present = sum(region_sizes(module).values()), options.machine.dram_capacity_bytes
    if needed > present and not options.allow_oversize:
        raise CompileError(
            f"the program needs {needed} bytes of DRAM, the machine has {present}",
            hint="use a scheme with smaller weights, a shorter context or a machine with more memory, "
            "or time it as if there were enough (--allow-oversize)",
        )


def stages_for(program: Program, options: Options) -> tuple[Stage, ...]:
    """The stages, with the scheme's rules for the program's weights."""
    rules = find_scheme(options.scheme).for_weights(program.weights).rules
    return pipeline(options, tuple(map(str, rules)))


def lower(program: Program, options: Options, stop_after: str = "", observe: Observe | None = None) -> ModuleOp:
    """The module after a stage (the last one by default); the program's own module stays as it is."""
    check_options(program, options)
    module = program.module.clone()
    run_stages(module, stages_for(program, options), stop_after, observe)
    return module


def lower_planned(program: Program, options: Options, plan: TilePlan) -> ModuleOp:
    """The module behind stage `tile` under a plan that choose-tiling has not chosen. Raises CompileError if it does not fit."""
    module = program.module.clone()
    *before, last = [stage for stage in stages_for(program, options) if stage.name != "isa"]
    run_stages(module, tuple(before))
    module.attributes[PLAN_ATTRIBUTE] = plan.to_attribute()
    passes = tuple(transform for transform in last.passes if not isinstance(transform, ChooseTilingPass))
    run_stages(module, (Stage(last.name, passes, last.invariant),))
    return module


def compile_program(
    program: Program,
    options: Options,
    path: Path,
    observe: Observe | None = None,
    progress: Progress | None = None,
) -> ModuleOp:
    """Compiles to an executable file. Returns the last module. Raises CompileError."""
    predictions: list[Prediction] = []
    scheme = find_scheme(options.scheme).name

    def watch(stage: str, transform: ModulePass | None, module: ModuleOp) -> None:
        if isinstance(transform, AllocateDramPass):
            check_capacity(module, options)
            output.begin(module)
        if options.predict and stage == PREDICTED_STAGE and transform is None and not is_routed(program):
            predictions.append(predict(module, options.machine))
        if observe is not None:
            observe(stage, transform, module)

    with paused_gc(), Output(path, program, options.machine, scheme, progress) as output:
        module = lower(program, options, observe=watch)
        output.finish(module, predictions[0] if predictions else None)
    return module

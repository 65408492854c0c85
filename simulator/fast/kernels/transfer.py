"""ld, st, and vun.mov of equal dtypes: the bits of every element, from strides to strides."""

from __future__ import annotations

from isa.descriptor import Descriptor
from isa.encoding import Decoded
from isa.spec import PACKED_4BIT, Dtype
from simulator.fast.kernels.abi import Arg, Choice
from simulator.fast.kernels.conversion import size_bytes
from simulator.fast.kernels.emit import Code, emitted
from simulator.fast.kernels.lanes import LANES, Kind, Value
from simulator.fast.kernels.loops import Loop, divided, loops, merged, outer_parameters, parameters_length, rows
from simulator.fast.kernels.matrix_code import PREFETCH_BYTES, SECOND_CACHE, prefetch

OPERANDS = 2
LENGTH = parameters_length(OPERANDS)
"""Place in the parameters of the bytes of a run, or of the elements of a row and then the steps of target and source."""
LENGTH_OF_ONE = parameters_length(1)
"""The same with one operand: elements of a row, step of the target."""
DIVIDED_BYTES = 4096
"""A run is divided at multiples of this."""
WORTH_DIVIDING_BYTES = 1 << 15
RUN = Kind("i8", 4 * LANES)


def write_copy_runs(code: Code, ahead_bytes: int) -> None:
    """Runs of bytes in up to three dimensions. Parts take whole runs, or pieces of the only one. `ahead_bytes`: how far in front of
    what is read lines are asked for, if at all.
    """
    target, source = code.argument(Arg.TA), code.argument(Arg.TB)
    row_first, row_end, first, end = divided(code, code.parameter(LENGTH), DIVIDED_BYTES)
    whole_end = first + (end - first) // RUN.lanes * RUN.lanes
    with rows(code, OPERANDS, row_first, row_end) as row:
        to, at = target + row.offsets[0], source + row.offsets[1]
        with code.loop(first, whole_end, RUN.lanes) as k:
            if ahead_bytes:
                prefetch(code, at + k + ahead_bytes, SECOND_CACHE)
            code.store(to + k, code.load(RUN, at + k))
        with code.loop(whole_end, end, LANES) as k:
            code.store_first(to + k, code.load_first(Kind("i8", LANES), at + k, end - k), end - k)


def write_copy_elements(code: Code, element: str) -> None:
    """Elements in four dimensions. Parts take whole rows, or pieces of the only one."""
    bases = code.argument(Arg.TA), code.argument(Arg.TB)
    steps = code.parameter(LENGTH + 1), code.parameter(LENGTH + 2)
    row_first, row_end, first, end = divided(code, code.parameter(LENGTH), DIVIDED_BYTES)
    with rows(code, OPERANDS, row_first, row_end) as row, code.loop(first, end) as k:
        to, at = (_place(base, offset, step, k) for base, offset, step in zip(bases, row.offsets, steps, strict=True))
        code.store(to, code.load(Kind(element), at))


def _place(base: Value, offset: Value, step: Value, k: Value) -> Value:
    return base + offset + k * step


def choose_copy(instruction: Decoded, operands: dict[str, Descriptor]) -> Choice:
    """Whole rows at a time if the elements of a row follow each other on both sides."""
    target, source = operands["ta"], operands["tb"]
    size = size_bytes(target.dtype)
    nest = loops(target.extents, target.strides, source.strides)
    run, is_divisible = (
        target.row_bytes(),
        target.row_bytes() * target.elements >= WORTH_DIVIDING_BYTES * target.extents[0],
    )
    if target.dtype in PACKED_4BIT or nest[0].steps == (size, size) or nest[0].extent == 1:
        inner, *outer = merged([Loop(run, (1, 1)), *nest[1:]]) or [Loop(1, (1, 1))]
        if inner.steps != (1, 1):
            inner, outer = Loop(1, (1, 1)), [inner, *outer]
        parameters = (*outer_parameters(outer, OPERANDS), inner.extent)
        # A KV cache has the rows of a head one after the other, behind them those that the next load reads.
        ahead_bytes = PREFETCH_BYTES if instruction.mnemonic == "ld" else 0
        make = emitted(lambda code: write_copy_runs(code, ahead_bytes))
        return Choice("copy.runs.ahead" if ahead_bytes else "copy.runs", make, parameters, is_divisible)
    inner, *outer = merged(nest)
    parameters = (*outer_parameters(outer, OPERANDS), inner.extent, *inner.steps)
    make = emitted(lambda code: write_copy_elements(code, f"i{8 * size}"))
    return Choice(f"copy.elements{size}", make, parameters, is_divisible)


def write_fill(code: Code) -> None:
    """32-bit elements in four dimensions, all the scalar. Parts take whole rows, or pieces of the only one."""
    target, bits = code.argument(Arg.TA), code.argument(Arg.SCALAR).cast("trunc", "i32")
    step, size = code.parameter(LENGTH_OF_ONE + 1), size_bytes(Dtype.F32)
    row_first, row_end, first, end = divided(code, code.parameter(LENGTH_OF_ONE), DIVIDED_BYTES // size)
    with rows(code, 1, row_first, row_end) as row:
        to, follows = target + row.offsets[0], step.equals(size)
        with code.when(follows), code.loop(first, end, LANES) as k:
            code.store_first(to + k * size, bits.spread(), end - k)
        with code.when(~follows), code.loop(first, end) as k:
            code.store(to + k * step, bits)


def choose_fill(target: Descriptor) -> Choice:
    """vun.mov of a scalar to f32: the bits of it, of NaN too."""
    nest = sorted(loops(target.extents, target.strides), key=lambda loop: abs(loop.steps[0]))
    inner, *outer = merged(nest) or [Loop(1, (size_bytes(target.dtype),))]
    is_divisible = target.elements * size_bytes(target.dtype) >= WORTH_DIVIDING_BYTES
    return Choice("fill", emitted(write_fill), (*outer_parameters(outer, 1), inner.extent, *inner.steps), is_divisible)

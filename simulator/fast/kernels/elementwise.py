"""vbin, vmad, vun: target = f(a, b, c) element by element. Operands of the usual dtypes in rows, or one element for a row.

Sources are converted to binary32, the result is rounded to the dtype of the target (conversion.py); f is one of functions.py.
"""

from __future__ import annotations

from typing import NamedTuple

from isa.descriptor import Descriptor
from isa.encoding import Decoded
from isa.spec import Dtype
from simulator.fast.kernels.abi import Arg, Choice
from simulator.fast.kernels.conversion import read, size_bytes, write
from simulator.fast.kernels.emit import Code, emitted
from simulator.fast.kernels.functions import LONG, applied
from simulator.fast.kernels.lanes import F32, LANES, Value
from simulator.fast.kernels.loops import (
    LONG_ELEMENTS,
    WORTH_DIVIDING,
    divided,
    outer_parameters,
    parameters_length,
    rows,
)
from simulator.fast.kernels.operands import elementwise_operands, nest_with_rows, source_bases
from simulator.fast.kernels.staged import choose_staged
from simulator.fast.kernels.transfer import choose_copy, choose_fill

DIVIDED_ELEMENTS = 256
"""Elements of a row are divided at multiples of this."""
_F32, _F16, _BF16, _I8, _I32 = Dtype.F32, Dtype.F16, Dtype.BF16, Dtype.I8, Dtype.I32

# Target and sources that have kernels of their own; for other combinations there is staged.py.
USUAL: dict[str, tuple[tuple[Dtype, ...], ...]] = {
    "mov": ((_F32, _BF16), (_F32, _F16), (_F32, _I8), (_F32, _I32), (_BF16, _F32), (_F16, _F32), (_I8, _F32)),
    "mul": ((_F32, _I32, _F32), (_BF16, _F32, _F32), (_F16, _F32, _F32), (_I8, _F32, _F32)),
    "div": ((_I8, _F32, _F32),),
    "mad": ((_F32, _F16, _F32, _F16),),
    "vbin": ((_F32, _F32, _F32),),
    "vmad": ((_F32, _F32, _F32, _F32),),
    "vun": ((_F32, _F32),),
}


class Source(NamedTuple):
    """An operand: its elements follow each other in a row, or are one and the same ("_one"), or have a step between them ("_step")."""

    dtype: Dtype
    kind: str

    @staticmethod
    def of(dtype: Dtype, step: int) -> Source:
        return Source(dtype, "_one" if step == 0 else "" if step == size_bytes(dtype) else "_step")


class Form(NamedTuple):
    """What a kernel is made for."""

    mnemonic: str
    function: str
    target: Dtype
    sources: tuple[Source, ...]

    @property
    def name(self) -> str:
        sources = (source.dtype.name + source.kind for source in self.sources)
        return ".".join((self.function, self.target.name, *sources))


def write_kernel(code: Code, form: Form) -> None:
    """Rows in up to three dimensions. Parts take whole rows, or pieces of the only one.

    Parameters: those of the loops, the elements of a row, the place of a scalar among the sources or -1, the steps of the sources.
    """
    operands = 1 + len(form.sources)
    length, scalar, *steps = (code.parameter(parameters_length(operands) + place) for place in range(1 + operands))
    row_first, row_end, first, end = divided(code, length, DIVIDED_ELEMENTS)
    bases = [code.argument(Arg.TA), *source_bases(code, len(form.sources), scalar)]
    with rows(code, operands, row_first, row_end) as row:
        places = [base + offset for base, offset in zip(bases, row.offsets, strict=True)]
        _write_row(code, form, places, steps, first, end)


def _write_row(code: Code, form: Form, places: list[Value], steps: list[Value], first: Value, end: Value) -> None:
    """Elements first .. end - 1."""
    if form.function in LONG:
        with code.loop(first, end, LANES) as k:
            _write_vector(code, form, places, steps, k, (end - k).smaller(code.word(LANES)))
        return
    whole_end = first + (end - first) // LANES * LANES
    with code.loop(first, whole_end, LANES) as k:
        _write_vector(code, form, places, steps, k, None)
    with code.when(whole_end < end):
        _write_vector(code, form, places, steps, whole_end, end - whole_end)


def _write_vector(
    code: Code, form: Form, places: list[Value], steps: list[Value], k: Value, count: Value | None
) -> None:
    """16 elements from k on, or `count` of them."""
    target, *sources = places
    vectors: list[Value] = []
    for source, place, step in zip(form.sources, sources, steps, strict=True):
        if source.kind == "_one":
            vectors.append(read(code, source.dtype, place, lanes=1).lane(0).spread())
        elif source.kind == "_step":
            vectors.append(code.load_steps(F32, place + k * step, step, count))
        else:
            vectors.append(read(code, source.dtype, place + k * size_bytes(source.dtype), count))
    result = applied(code, form.mnemonic, form.function, vectors)
    at = target + k * size_bytes(form.target)
    write(code, form.target, at, result, count)


def choose_elementwise(instruction: Decoded, operands: dict[str, Descriptor]) -> Choice:
    """A kernel of the function and dtypes if these are usual and some dimension has rows; else the staged one."""
    mnemonic, function = instruction.row.mnemonic, instruction.function
    described = elementwise_operands(instruction, operands)
    target, sources, scalar = described
    if function == "mov" and described.copies_bits:
        return choose_copy(instruction, operands) if scalar < 0 else choose_fill(target)
    dtypes = (target.dtype, *(source.dtype for source in sources))
    nest = nest_with_rows(described)
    if nest is None or dtypes not in (*USUAL.get(function, ()), *USUAL[mnemonic]):
        return choose_staged(mnemonic, function, described)
    row, *outer = nest
    kinds = tuple(Source.of(source.dtype, step) for source, step in zip(sources, row.steps[1:], strict=True))
    form = Form(mnemonic, function, target.dtype, kinds)
    return Choice(
        form.name,
        emitted(lambda code: write_kernel(code, form)),
        (*outer_parameters(outer, len(dtypes)), row.extent, scalar, *row.steps[1:]),
        target.elements * (LONG_ELEMENTS if function in LONG else 1) >= WORTH_DIVIDING,
    )

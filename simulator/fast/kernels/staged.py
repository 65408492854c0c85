"""vbin, vmad, vun of operands of any dtypes and strides: through binary32 numbers in scratch memory (staging.py).

One kernel for each of the three; the function is a parameter.
"""

from __future__ import annotations

from simulator.fast.kernels.abi import Arg, Choice
from simulator.fast.kernels.emit import Code, emitted
from simulator.fast.kernels.functions import FUNCTIONS, applied
from simulator.fast.kernels.lanes import F32, LANES, Value
from simulator.fast.kernels.loops import ROWS, WORTH_DIVIDING, outer_parameters, parameters_length, rows, share
from simulator.fast.kernels.operands import Operands, any_nest, source_bases
from simulator.fast.kernels.staging import CHUNK, CHUNK_BYTES, Field, Staged, fields

SOURCES = {"vun": 1, "vbin": 2, "vmad": 3}


def write_staged(code: Code, mnemonic: str) -> None:
    """Rows in up to three dimensions, in chunks. Parts take whole rows.

    Parameters: those of the loops, the elements of a row, the place of a scalar among the sources or -1, the number of the function,
    the fields of the target and the sources.
    """
    operands = 1 + SOURCES[mnemonic]
    at = parameters_length(operands)
    length, scalar, function = (code.parameter(at + place) for place in range(3))
    staged = [Staged(code, at + 3 + Field.LENGTH * operand) for operand in range(operands)]
    scratch = code.argument(Arg.SCRATCH)
    chunks = [scratch + CHUNK_BYTES * source for source in range(SOURCES[mnemonic])]
    bases = [code.argument(Arg.TA), *source_bases(code, SOURCES[mnemonic], scalar)]
    with rows(code, operands, *share(code, code.parameter(ROWS), 1)) as row:
        places = [base + offset for base, offset in zip(bases, row.offsets, strict=True)]
        with code.loop(code.word(0), length, CHUNK) as first:
            count = (length - first).smaller(code.word(CHUNK))
            for operand, place, chunk in zip(staged[1:], places[1:], chunks, strict=True):
                operand.load(place, first, count, chunk)
            _write_functions(code, mnemonic, function, chunks, count)
            staged[0].store(places[0], first, count, chunks[0])


def _write_functions(code: Code, mnemonic: str, which: Value, chunks: list[Value], count: Value) -> None:
    """The result takes the place of the first source."""
    for number, function in enumerate(FUNCTIONS[mnemonic]):
        with code.when(which.equals(number)), code.loop(code.word(0), count, LANES) as k:
            vectors = [code.load(F32, chunk + k * 4) for chunk in chunks]
            code.store(chunks[0] + k * 4, applied(code, mnemonic, function, vectors))


def choose_staged(mnemonic: str, function: str, operands: Operands) -> Choice:
    """For any operands."""
    described = (operands.target, *operands.sources)
    inner, *outer = any_nest(operands)
    kinds = (fields(d, step) for d, step in zip(described, inner.steps, strict=True))
    return Choice(
        f"staged.{mnemonic}",
        emitted(lambda code: write_staged(code, mnemonic)),
        (
            *outer_parameters(outer, len(described)),
            inner.extent,
            operands.scalar,
            list(FUNCTIONS[mnemonic]).index(function),
            *(number for kind in kinds for number in kind),
        ),
        operands.target.elements >= WORTH_DIVIDING,
    )

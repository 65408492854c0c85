"""vred: sum (sum_fp), max and amax of dimension 0 (docs/numerics.md, sections 2 and 4)."""

from __future__ import annotations

import math

from isa.descriptor import Descriptor
from isa.encoding import Decoded
from isa.spec import PACKED_4BIT, SUM_QUANTUM, VRED, Dtype
from simulator.fast.kernels.abi import Arg, Choice
from simulator.fast.kernels.conversion import bits_of, float_of, read, size_bytes, write
from simulator.fast.kernels.emit import Code, emitted
from simulator.fast.kernels.lanes import F32, I32, LANES, Kind, Value, Variable
from simulator.fast.kernels.loops import (
    ROWS,
    WORTH_DIVIDING,
    loops,
    merged,
    outer_parameters,
    parameters_length,
    rows,
    share,
)
from simulator.fast.kernels.staging import CHUNK, Field, Staged, fields

OPERANDS = 2
LENGTH = parameters_length(OPERANDS)
"""Place of the elements of a row in the parameters. In the staged kernel the number of the function, and the fields of the target and
the source, follow."""
USUAL = {Dtype.F32: VRED, Dtype.I8: ("sum",)}
"""Sources with kernels of their own, to f32; for others there is the staged kernel."""


class Reduction:
    """A reduction whose terms come in pieces; every piece but the last one has a multiple of 32 terms."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self.total = self._first()

    def _first(self) -> Variable:
        raise NotImplementedError

    def add(self, dtype: Dtype, at: Value, count: Value) -> None:
        """Elements that follow each other."""
        code, size = self.code, size_bytes(dtype)
        whole = count // SUM_QUANTUM * SUM_QUANTUM
        with code.loop(code.word(0), whole, SUM_QUANTUM) as k:
            low, high = (read(code, dtype, at + (k + half) * size) for half in (0, LANES))
            self._fold(low, high)
        with code.when(whole < count):
            rest = count - whole
            low, high = (read(code, dtype, at + (whole + half) * size, rest - half) for half in (0, LANES))
            self._fold_some(low, high, rest)

    def _fold(self, low: Value, high: Value) -> None:
        raise NotImplementedError

    def _fold_some(self, low: Value, high: Value, count: Value) -> None:
        """Of a piece that ends within the quantum; the missing terms are +0."""
        self._fold(low, high)

    def result(self) -> Value:
        """A binary32 number."""
        raise NotImplementedError


class Sum(Reduction):
    """l[i] + l[i + 16], then 8, 4, 2, 1; the quanta in ascending order."""

    def _first(self) -> Variable:
        return self.code.variable(self.code.constant(Kind("f32"), 0.0))

    def _fold(self, low: Value, high: Value) -> None:
        self.total.set(self.total.get() + (low + high).folded(lambda a, b: a + b))

    def result(self) -> Value:
        return self.total.get()


class Maximum(Reduction):
    """Lane by lane: the order does not matter."""

    def _first(self) -> Variable:
        return self.code.variable(self.code.constant(F32, -math.inf))

    def _fold(self, low: Value, high: Value) -> None:
        self.total.set(self.total.get().call("maximum", low.call("maximum", high)))

    def _fold_some(self, low: Value, high: Value, count: Value) -> None:
        none, zero = low.like(-math.inf), self.code.word(0)
        low = self.code.lanes_between(zero, count).choose(low, none)
        self._fold(low, self.code.lanes_between(zero, count - LANES).choose(high, none))

    def result(self) -> Value:
        return self.total.get().folded(lambda a, b: a.call("maximum", b))


class LargestSize(Reduction):
    """The bits of absolute values are in the order of the values, and NaN is above all: the largest integer."""

    def _first(self) -> Variable:
        return self.code.variable(self.code.constant(I32, 0))

    def _fold(self, low: Value, high: Value) -> None:
        low, high = (bits_of(x) & 0x7FFFFFFF for x in (low, high))
        self.total.set(self.total.get().larger(low.larger(high)))

    def result(self) -> Value:
        return float_of(self.total.get().folded(lambda a, b: a.larger(b)))


REDUCTIONS: dict[str, type[Reduction]] = {"sum": Sum, "max": Maximum, "amax": LargestSize}


def write_reduction(code: Code, function: str, dtype: Dtype) -> None:
    """Rows of elements that follow each other, to f32."""
    target, data, length = code.argument(Arg.TA), code.argument(Arg.TB), code.parameter(LENGTH)
    with rows(code, OPERANDS, *share(code, code.parameter(ROWS), 1)) as row:
        reduction = REDUCTIONS[function](code)
        reduction.add(dtype, data + row.offsets[1], length)
        write(code, Dtype.F32, target + row.offsets[0], reduction.result())


def write_staged_reduction(code: Code) -> None:
    """Rows of any elements, to any elements."""
    target, data, scratch = (code.argument(place) for place in (Arg.TA, Arg.TB, Arg.SCRATCH))
    length, which = code.parameter(LENGTH), code.parameter(LENGTH + 1)
    result, source = (Staged(code, LENGTH + 2 + place) for place in (0, Field.LENGTH))
    zero, one = code.word(0), code.word(1)
    with rows(code, OPERANDS, *share(code, code.parameter(ROWS), 1)) as row:
        reductions = [kind(code) for kind in REDUCTIONS.values()]
        with code.loop(zero, length, CHUNK) as first:
            count = (length - first).smaller(code.word(CHUNK))
            source.load(data + row.offsets[1], first, count, scratch)
            for number, reduction in enumerate(reductions):
                with code.when(which.equals(number)):
                    reduction.add(Dtype.F32, scratch, count)
        for number, reduction in enumerate(reductions):
            with code.when(which.equals(number)):
                code.store(scratch, reduction.result())
        result.store(target + row.offsets[0], zero, one, scratch)


def choose_reduction(instruction: Decoded, operands: dict[str, Descriptor]) -> Choice:
    """Parts take whole rows: a sum has one order."""
    target, data, function = operands["ta"], operands["tb"], instruction.function
    count = data.extents[0]
    outer = merged(loops(data.extents[1:], target.strides[1:], data.strides[1:]))
    parameters = (*outer_parameters(outer, OPERANDS), count)
    is_divisible = data.elements >= WORTH_DIVIDING and data.elements > count
    follows = count == 1 or data.strides[0] == size_bytes(data.dtype)
    if target.dtype == Dtype.F32 and function in USUAL.get(data.dtype, ()) and follows:
        name = f"reduce.{function}.{data.dtype.name}"
        dtype = data.dtype
        return Choice(name, emitted(lambda code: write_reduction(code, function, dtype)), parameters, is_divisible)
    assert target.dtype not in PACKED_4BIT, "one element is no group"
    kinds = (*fields(target, 0), *fields(data, data.strides[0]))
    parameters = (*parameters, VRED.index(function), *kinds)
    return Choice("staged.vred", emitted(write_staged_reduction), parameters, is_divisible)

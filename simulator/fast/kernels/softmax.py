"""vsmx: one block of the online softmax, row by row (docs/numerics.md, section 5).

    m' = max(m, visible S_j)   alpha = e^(m - m')   P_j = e^(S_j - m') or +0   l' = (l * alpha) + sum_fp(P)

The visible keys of a row are an interval; exponentials are computed of the quanta of 32 keys that touch it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from isa.descriptor import Descriptor
from isa.encoding import Decoded
from isa.spec import SUM_QUANTUM, Dtype
from simulator.fast.kernels.abi import Arg, Choice
from simulator.fast.kernels.conversion import size_bytes, write
from simulator.fast.kernels.emit import Code, emitted
from simulator.fast.kernels.lanes import F32, LANES, Kind, Value
from simulator.fast.kernels.loops import (
    LONG_ELEMENTS,
    ROWS,
    WORTH_DIVIDING,
    loops,
    outer_parameters,
    parameters_length,
    rows,
    share,
)
from simulator.fast.kernels.staging import Field, Staged, fields
from simulator.fast.kernels.transcendental import exp

OPERANDS = 3
KEYS = parameters_length(OPERANDS)
"""Place of the keys in the parameters, then the step between the words of ML. In the staged kernel the fields of P and S follow."""
USUAL = (Dtype.F32, Dtype.BF16, Dtype.F16)
"""Probabilities that have kernels of their own, of scores in f32; for others there is the staged kernel."""


class Row(NamedTuple):
    """Of scores and probabilities, elements that follow each other. `state`: the address of m; l and alpha are `step` further on."""

    scores: Value
    probabilities: Value
    dtype: Dtype
    keys: Value
    first: Value
    end: Value
    state: Value
    step: Value


def visible(code: Code, keys: Value, token: Value) -> tuple[Value, Value]:
    """First and end of the keys j with 0 <= x[rs] + token - j < x[rt]; of none, both 0. In 128 bits: the registers hold anything."""
    offset, window, i3, limit = (
        value.cast("sext", "i128") for value in (code.argument(Arg.RS), code.argument(Arg.RT), token, keys)
    )
    last = offset + i3
    zero = last.like(0)
    end = (last + 1).larger(zero).smaller(limit)
    first = (last - window + 1).larger(zero).smaller(limit)
    is_none = first >= end
    return tuple(is_none.choose(zero, bound).cast("trunc", "i64") for bound in (first, end))  # pyright: ignore


def write_row(code: Code, row: Row) -> None:
    """All scores are read for the maximum before a probability is written; after that each vector before its own."""
    old = code.load(Kind("f32"), row.state)
    new = old.call("maximum", _largest(code, row))
    difference = old - new
    alpha = code.variable(difference.like(1.0))
    with code.when(~difference.equals(0.0)):
        alpha.set(exp(code, difference.spread()).lane(0))
    total = _exponentials(code, row, new)
    old_sum = code.load(Kind("f32"), row.state + row.step)
    for place, value in enumerate((new, old_sum * alpha.get() + total, alpha.get())):
        write(code, Dtype.F32, row.state + row.step * place, value)


def _largest(code: Code, row: Row) -> Value:
    """Of the visible scores; -inf of none."""
    best = code.variable(code.constant(F32, -math.inf))
    with code.loop(row.first // LANES * LANES, row.end, LANES) as k:
        scores = code.load_first(F32, row.scores + k * 4, row.keys - k)
        is_visible = code.lanes_between(row.first - k, row.end - k)
        best.set(best.get().call("maximum", is_visible.choose(scores, scores.like(-math.inf))))
    return best.get().folded(lambda a, b: a.call("maximum", b))


def _exponentials(code: Code, row: Row, maximum: Value) -> Value:
    """Stores the probabilities; sum_fp of them, unrounded. Quanta without visible keys add +0 to a sum that is not negative."""
    first = row.first // SUM_QUANTUM * SUM_QUANTUM
    end = (row.end + (SUM_QUANTUM - 1)) // SUM_QUANTUM * SUM_QUANTUM
    zeroes = code.constant(F32, 0.0)
    for start, stop in ((code.word(0), first), (end, row.keys)):
        with code.loop(start, stop, LANES) as k:
            write(code, row.dtype, row.probabilities + k * size_bytes(row.dtype), zeroes, row.keys - k)
    total, shift = code.variable(code.constant(Kind("f32"), 0.0)), maximum.spread()
    with code.loop(first, end, SUM_QUANTUM) as quantum:
        halves: list[Value] = []
        for k in (quantum, quantum + LANES):
            scores = code.load_first(F32, row.scores + k * 4, row.keys - k)
            is_visible = code.lanes_between(row.first - k, row.end - k)
            probabilities = is_visible.choose(exp(code, scores - shift), zeroes)
            write(code, row.dtype, row.probabilities + k * size_bytes(row.dtype), probabilities, row.keys - k)
            halves.append(probabilities)
        total.set(total.get() + (halves[0] + halves[1]).folded(lambda a, b: a + b))
    return total.get()


def write_softmax(code: Code, dtype: Dtype | None) -> None:
    """Probabilities in a dtype, of scores in f32; without it both are staged."""
    keys, step, bases = code.parameter(KEYS), code.parameter(KEYS + 1), (Arg.TA, Arg.TB, Arg.TC)
    probabilities, scores, state = (code.argument(place) for place in bases)
    scratch, zero = code.argument(Arg.SCRATCH), code.word(0)
    with rows(code, OPERANDS, *share(code, code.parameter(ROWS), 1)) as row:
        to, at = probabilities + row.offsets[0], scores + row.offsets[1]
        first, end = visible(code, keys, row.turns[2])
        if dtype is not None:
            write_row(code, Row(at, to, dtype, keys, first, end, state + row.offsets[2], step))
        else:
            Staged(code, KEYS + 2 + Field.LENGTH).load(at, zero, keys, scratch)
            write_row(code, Row(scratch, scratch, Dtype.F32, keys, first, end, state + row.offsets[2], step))
            Staged(code, KEYS + 2).store(to, zero, keys, scratch)


def choose_softmax(instruction: Decoded, operands: dict[str, Descriptor]) -> Choice:
    """Parts take whole rows. Loops are not merged: the third one counts tokens."""
    p, s, ml = operands["ta"], operands["tb"], operands["tc"]
    nest = loops(s.extents[1:], p.strides[1:], s.strides[1:], ml.strides[1:])
    parameters = (*outer_parameters(nest, OPERANDS), s.extents[0], ml.strides[0])
    is_divisible = s.elements * LONG_ELEMENTS >= WORTH_DIVIDING and s.elements > s.extents[0]
    follow = all(d.extents[0] == 1 or d.strides[0] == size_bytes(d.dtype) for d in (p, s))
    if p.dtype in USUAL and s.dtype == Dtype.F32 and follow:
        dtype = p.dtype
        make = emitted(lambda code: write_softmax(code, dtype))
        return Choice(f"softmax.{dtype.name}", make, parameters, is_divisible)
    parameters = (*parameters, *fields(p, p.strides[0]), *fields(s, s.strides[0]))
    return Choice("staged.vsmx", emitted(lambda code: write_softmax(code, None)), parameters, is_divisible)

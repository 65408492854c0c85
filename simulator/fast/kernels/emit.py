"""Kernels that write their LLVM code themselves: Python whose operators write instructions, and whose loops run when the kernel is made.

Numba compiles function by function: a kernel of many small ones would take seconds. Here it is one function, made in some hundredths
of a second, and constants, dtypes and unrolled loops are plain Python. Every processor has the instructions; nothing is
contracted.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from simulator.fast.kernels.instructions import call
from simulator.fast.kernels.lanes import (
    ELEMENTS,
    I32,
    LANES,
    WORD,
    Kind,
    Value,
    Variable,
)
from simulator.fast.target import has

EIGHT = 8
PERMUTE = "llvm.x86.avx512.permvar.df.512"


class Code:
    """A kernel that is being written."""

    def __init__(self, builder: Any, arguments: Any, parameters: Any) -> None:
        self.builder = builder
        self.arguments, self.parameters = Value(builder, arguments, WORD), Value(builder, parameters, WORD)

    def argument(self, place: int) -> Value:
        return self.load(WORD, self.arguments + 8 * place)

    def parameter(self, place: int) -> Value:
        return self.load(WORD, self.parameters + 8 * place)

    def constant(self, kind: Kind, number: float) -> Value:
        return Value(self.builder, kind.constant(number), kind)

    def word(self, number: int) -> Value:
        return self.constant(WORD, number)

    def _pointer(self, address: Value, kind: Kind) -> Any:
        return self.builder.inttoptr(address.llvm, kind.llvm.as_pointer())

    def load(self, kind: Kind, address: Value) -> Value:
        """Of any alignment."""
        return Value(self.builder, self.builder.load(self._pointer(address, kind), align=1), kind)

    def load_first(self, kind: Kind, address: Value, count: Value) -> Value:
        """The first `count` lanes, the others 0; nothing behind them is read."""
        arguments = [self._pointer(address, kind), ELEMENTS["i32"](1), self._first(kind, count), kind.constant(0)]
        name = f"llvm.masked.load.{kind.suffix}.p0"
        return Value(self.builder, call(self.builder, name, kind.llvm, arguments), kind)

    def store(self, address: Value, value: Value) -> None:
        self.builder.store(value.llvm, self._pointer(address, value.kind), align=1)

    def store_first(self, address: Value, value: Value, count: Value) -> None:
        """The first `count` lanes."""
        kind = value.kind
        arguments = [value.llvm, self._pointer(address, kind), ELEMENTS["i32"](1), self._first(kind, count)]
        call(self.builder, f"llvm.masked.store.{kind.suffix}.p0", ir.VoidType(), arguments)

    def _first(self, kind: Kind, count: Value) -> Any:
        return (self.numbers(kind.lanes) < count.spread(kind.lanes)).llvm

    def numbers(self, lanes: int = LANES) -> Value:
        """0, 1, 2 .. as 64-bit integers."""
        kind = Kind("i64", lanes)
        return Value(self.builder, ir.Constant(kind.llvm, list(range(lanes))), kind)

    def lanes_between(self, first: Value, end: Value) -> Value:
        """A mask of the lanes first .. end - 1; both within the range of 32 bits."""
        kind = I32
        numbers = Value(self.builder, ir.Constant(kind.llvm, list(range(LANES))), kind)
        low, high = (bound.cast("trunc", "i32").spread() for bound in (first, end))
        return (numbers >= low) & (numbers < high)

    def table(self, element: str, values: Sequence[float]) -> Value:
        """The address of known numbers, one behind the other."""
        constant = ir.Constant(ir.ArrayType(ELEMENTS[element], len(values)), list(values))
        held = cgutils.global_constant(self.builder.module, self.builder.module.get_unique_name("table"), constant)
        return Value(self.builder, self.builder.ptrtoint(held, WORD.llvm), WORD)

    def gather(self, kind: Kind, address: Value, places: Value) -> Value:
        """Lane i: element places[i] (64-bit integers) of those at an address."""
        log2_bytes = 3 if kind.element.endswith("64") else 2
        return self._gathered(kind, (places << log2_bytes) + address.spread(kind.lanes), kind.of("i1").constant(1))

    def load_steps(self, kind: Kind, address: Value, step: Value, count: Value | None) -> Value:
        """Lane i: the element i * step bytes behind an address; with a count the first ones, the others 0."""
        addresses = self.numbers(kind.lanes) * step.spread(kind.lanes) + address.spread(kind.lanes)
        return self._gathered(kind, addresses, kind.of("i1").constant(1) if count is None else self._first(kind, count))

    def _gathered(self, kind: Kind, addresses: Value, mask: Any) -> Value:
        pointers = self.builder.inttoptr(addresses.llvm, ir.VectorType(ir.PointerType(), kind.lanes))
        arguments = [pointers, ELEMENTS["i32"](1), mask, kind.constant(0)]
        name = f"llvm.masked.gather.{kind.suffix}.v{kind.lanes}p0"
        return Value(self.builder, call(self.builder, name, kind.llvm, arguments), kind)

    def lookup(self, words: Sequence[int], places: Value) -> Value:
        """Of eight 64-bit integers those that the low three bits of 64-bit lanes name."""
        assert len(words) == EIGHT
        if not has("avx512f"):
            return self.gather(places.kind, self.table("i64", words), places & (EIGHT - 1))
        kind = Kind("f64", EIGHT)  # the instruction moves any bits
        held = Value(self.builder, ir.Constant(Kind("i64", EIGHT).llvm, list(words)), Kind("i64", EIGHT))
        parts = [places.shuffled(range(first, first + EIGHT)) for first in range(0, places.kind.lanes, EIGHT)]
        arguments = [[held.cast("bitcast", "f64").llvm, part.llvm] for part in parts]
        found = [
            Value(self.builder, call(self.builder, PERMUTE, kind.llvm, pair), kind).cast("bitcast", "i64")
            for pair in arguments
        ]
        return found[0] if len(found) == 1 else found[0].shuffled(range(2 * EIGHT), found[1])

    def variable(self, first: Value) -> Variable:
        return Variable(self.builder, first)

    @contextmanager
    def loop(self, first: Value | int, end: Value | int, step: Value | int = 1) -> Generator[Value]:
        """For i = first; i < end; i += step, which is positive."""
        words = (number if isinstance(number, Value) else self.word(number) for number in (first, end, step))
        bounds = tuple(word.llvm for word in words)
        with cgutils.for_range_slice(self.builder, *bounds, intp=WORD.llvm, inc=True) as (index, _):
            yield Value(self.builder, index, WORD)

    @contextmanager
    def repeat(self) -> Generator[Repetition]:
        """Until the repetition is left."""
        repetition = Repetition(self.builder)
        yield repetition
        repetition.close()

    @contextmanager
    def when(self, condition: Value, likely: bool | None = None) -> Generator[None]:
        with self.builder.if_then(condition.llvm, likely=likely):
            yield


class Repetition:
    """A loop that is left in its middle."""

    def __init__(self, builder: Any) -> None:
        self._builder = builder
        self._first, self._end = builder.append_basic_block("again"), builder.append_basic_block("left")
        builder.branch(self._first)
        builder.position_at_end(self._first)

    def leave_unless(self, condition: Value) -> None:
        following = self._builder.append_basic_block("stays")
        self._builder.cbranch(condition.llvm, following, self._end)
        self._builder.position_at_end(following)

    def close(self) -> None:
        self._builder.branch(self._first)
        self._builder.position_at_end(self._end)


@dataclass(frozen=True)
class Emitted:
    """A kernel that is written straight into a module of LLVM."""

    write: Callable[[Code], None]

    def module(self, symbol: str, triple: str, layout: str) -> str:
        """The LLVM code of the function `symbol`, not optimised. `triple`, `layout`: of the target."""
        module = ir.Module(symbol)
        module.triple, module.data_layout = triple, layout
        function = ir.Function(module, ir.FunctionType(WORD.llvm, [WORD.llvm, WORD.llvm]), symbol)
        builder = ir.IRBuilder(function.append_basic_block("entry"))
        self.write(Code(builder, *function.args))
        builder.ret(WORD.constant(0))
        return str(module)


def emitted(write: Callable[[Code], None]) -> Callable[[], Emitted]:
    """The `make` of a kernel that `write` writes."""
    return lambda: Emitted(write)

"""Kernels that write their LLVM code themselves: Python whose operators write instructions, and whose loops run when the kernel is made.

Numba compiles what is written with `vectors.py` function by function: a kernel of many small functions would take seconds. Here it is
one function, made in some hundredths of a second, and constants, dtypes and unrolled loops are plain Python. Every processor has
the instructions; nothing is contracted.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Union

from llvmlite import ir
from numba.core import cgutils

from simulator.fast.kernels.vectors import call
from simulator.fast.target import has

LANES = 16
_ELEMENTS: dict[str, Any] = {
    "i1": ir.IntType(1), "i8": ir.IntType(8), "i16": ir.IntType(16), "i32": ir.IntType(32), "i64": ir.IntType(64),
    "i128": ir.IntType(128),    "f16": ir.HalfType(), "f32": ir.FloatType(), "f64": ir.DoubleType(),
}  # fmt: skip


EIGHT = 8
PERMUTE = "llvm.x86.avx512.permvar.df.512"


class Kind(NamedTuple):
    """What a value is: a vector of `lanes` elements, or a number if that is 0."""

    element: str
    lanes: int = 0

    @property
    def llvm(self) -> Any:
        element = _ELEMENTS[self.element]
        return ir.VectorType(element, self.lanes) if self.lanes else element

    @property
    def is_float(self) -> bool:
        return self.element.startswith("f")

    @property
    def suffix(self) -> str:
        """In names of LLVM functions."""
        return f"v{self.lanes}{self.element}" if self.lanes else self.element

    def of(self, element: str) -> Kind:
        """As many elements of another type."""
        return Kind(element, self.lanes)

    def constant(self, number: float) -> Any:
        """All lanes the same."""
        return ir.Constant(self.llvm, [number] * self.lanes if self.lanes else number)


WORD, F32, F64 = Kind("i64"), Kind("f32", LANES), Kind("f64", LANES)
I8, I16, I32, I64, MASK = (Kind(f"i{bits}", LANES) for bits in (8, 16, 32, 64, 1))
Operand = Union["Value", float]


class Value:
    """A number or vector of the kernel. A Python number beside it stands for a constant of its kind."""

    __slots__ = ("builder", "kind", "llvm")

    def __init__(self, builder: Any, llvm: Any, kind: Kind) -> None:
        self.builder, self.llvm, self.kind = builder, llvm, kind

    def like(self, number: float) -> Value:
        """A constant of this kind."""
        return Value(self.builder, self.kind.constant(number), self.kind)

    def _written(self, float_name: str, integer_name: str, other: Operand) -> Value:
        name = float_name if self.kind.is_float else integer_name
        return Value(self.builder, getattr(self.builder, name)(self.llvm, self._llvm_of(other)), self.kind)

    def _llvm_of(self, other: Operand) -> Any:
        return other.llvm if isinstance(other, Value) else self.kind.constant(other)

    def _compared(self, operator: str, other: Operand) -> Value:
        compare = self.builder.fcmp_ordered if self.kind.is_float else self.builder.icmp_signed
        return Value(self.builder, compare(operator, self.llvm, self._llvm_of(other)), self.kind.of("i1"))

    def __add__(self, other: Operand) -> Value:
        return self._written("fadd", "add", other)

    def __sub__(self, other: Operand) -> Value:
        return self._written("fsub", "sub", other)

    def __mul__(self, other: Operand) -> Value:
        return self._written("fmul", "mul", other)

    def __truediv__(self, other: Operand) -> Value:
        return self._written("fdiv", "", other)

    def __floordiv__(self, other: Operand) -> Value:
        """Of unsigned integers."""
        return self._written("", "udiv", other)

    def __mod__(self, other: Operand) -> Value:
        """Of unsigned integers."""
        return self._written("", "urem", other)

    def __and__(self, other: Operand) -> Value:
        return self._written("", "and_", other)

    def __or__(self, other: Operand) -> Value:
        return self._written("", "or_", other)

    def __xor__(self, other: Operand) -> Value:
        return self._written("", "xor", other)

    def __lshift__(self, other: Operand) -> Value:
        return self._written("", "shl", other)

    def __rshift__(self, other: Operand) -> Value:
        """Zeroes come in."""
        return self._written("", "lshr", other)

    def shifted_signed(self, bits: Operand) -> Value:
        """To the right; copies of the sign come in."""
        return self._written("", "ashr", bits)

    def __lt__(self, other: Operand) -> Value:
        return self._compared("<", other)

    def __le__(self, other: Operand) -> Value:
        return self._compared("<=", other)

    def __gt__(self, other: Operand) -> Value:
        return self._compared(">", other)

    def __ge__(self, other: Operand) -> Value:
        return self._compared(">=", other)

    def equals(self, other: Operand) -> Value:
        """False where one is NaN."""
        return self._compared("==", other)

    def is_nan(self) -> Value:
        return Value(self.builder, self.builder.fcmp_unordered("uno", self.llvm, self.llvm), self.kind.of("i1"))

    def __invert__(self) -> Value:
        return Value(self.builder, self.builder.not_(self.llvm), self.kind)

    def choose(self, a: Value, b: Value) -> Value:
        """a where this mask is set, else b."""
        return Value(self.builder, self.builder.select(self.llvm, a.llvm, b.llvm), a.kind)

    def cast(self, instruction: str, element: str) -> Value:
        """An LLVM conversion such as sitofp, sext or bitcast."""
        kind = self.kind.of(element)
        return Value(self.builder, getattr(self.builder, instruction)(self.llvm, kind.llvm), kind)

    def call(self, name: str, *others: Value) -> Value:
        """An LLVM function such as sqrt or maximum, of values of one kind."""
        arguments = [self.llvm, *(other.llvm for other in others)]
        return Value(
            self.builder, call(self.builder, f"llvm.{name}.{self.kind.suffix}", self.kind.llvm, arguments), self.kind
        )

    def at_least(self, low: float) -> Value:
        """low where the value is below it; NaN stays."""
        return (self < low).choose(self.like(low), self)

    def at_most(self, high: float) -> Value:
        """high where the value is above it; NaN stays."""
        return (self > high).choose(self.like(high), self)

    def smaller(self, other: Value) -> Value:
        """Of numbers, none NaN."""
        return (self < other).choose(self, other)

    def larger(self, other: Value) -> Value:
        """Of numbers, none NaN."""
        return (self < other).choose(other, self)

    def any(self) -> Value:
        """Whether this mask is set anywhere."""
        bits = self.builder.bitcast(self.llvm, ir.IntType(self.kind.lanes))
        return Value(self.builder, self.builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0)), Kind("i1"))

    def spread(self, lanes: int = LANES) -> Value:
        """A vector with this number in every lane."""
        kind = Kind(self.kind.element, lanes)
        undefined = ir.Constant(kind.llvm, ir.Undefined)
        one = self.builder.insert_element(undefined, self.llvm, ir.Constant(_ELEMENTS["i32"], 0))
        return Value(self.builder, one, kind).shuffled([0] * lanes)

    def shuffled(self, places: Sequence[int], other: Value | None = None) -> Value:
        """Lane i is lane places[i] of this vector, and of the other behind it."""
        second = ir.Constant(self.kind.llvm, ir.Undefined) if other is None else other.llvm
        mask = ir.Constant(ir.VectorType(_ELEMENTS["i32"], len(places)), list(places))
        return Value(
            self.builder, self.builder.shuffle_vector(self.llvm, second, mask), Kind(self.kind.element, len(places))
        )

    def lane(self, place: int) -> Value:
        """One lane as a number."""
        element = self.builder.extract_element(self.llvm, ir.Constant(_ELEMENTS["i32"], place))
        return Value(self.builder, element, Kind(self.kind.element))

    def folded(self, operate: Callable[[Value, Value], Value]) -> Value:
        """l[i] with l[i + lanes / 2], and so on down to one number (docs/numerics.md, section 2)."""
        width, value = self.kind.lanes, self
        while width > 1:
            width //= 2
            value = operate(value.shuffled(range(width)), value.shuffled(range(width, 2 * width)))
        return value.lane(0)


class Variable:
    """A number or vector that changes as the kernel runs."""

    def __init__(self, builder: Any, first: Value) -> None:
        self._builder, self._kind = builder, first.kind
        self._place = cgutils.alloca_once(builder, first.kind.llvm)
        self.set(first)

    def get(self) -> Value:
        return Value(self._builder, self._builder.load(self._place), self._kind)

    def set(self, value: Value) -> None:
        self._builder.store(value.llvm, self._place)


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
        arguments = [self._pointer(address, kind), _ELEMENTS["i32"](1), self._first(kind, count), kind.constant(0)]
        name = f"llvm.masked.load.{kind.suffix}.p0"
        return Value(self.builder, call(self.builder, name, kind.llvm, arguments), kind)

    def store(self, address: Value, value: Value) -> None:
        self.builder.store(value.llvm, self._pointer(address, value.kind), align=1)

    def store_first(self, address: Value, value: Value, count: Value) -> None:
        """The first `count` lanes."""
        kind = value.kind
        arguments = [value.llvm, self._pointer(address, kind), _ELEMENTS["i32"](1), self._first(kind, count)]
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
        constant = ir.Constant(ir.ArrayType(_ELEMENTS[element], len(values)), list(values))
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
        arguments = [pointers, _ELEMENTS["i32"](1), mask, kind.constant(0)]
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

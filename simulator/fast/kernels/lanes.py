"""Numbers and vectors of a kernel that is being written: Python whose operators write LLVM instructions.

The instructions are legal on every processor; nothing is contracted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Union

from llvmlite import ir
from numba.core import cgutils

from simulator.fast.kernels.instructions import call

LANES = 16
ELEMENTS: dict[str, Any] = {
    "i1": ir.IntType(1), "i8": ir.IntType(8), "i16": ir.IntType(16), "i32": ir.IntType(32), "i64": ir.IntType(64),
    "i128": ir.IntType(128),    "f16": ir.HalfType(), "f32": ir.FloatType(), "f64": ir.DoubleType(),
}  # fmt: skip


class Kind(NamedTuple):
    """What a value is: a vector of `lanes` elements, or a number if that is 0."""

    element: str
    lanes: int = 0

    @property
    def llvm(self) -> Any:
        element = ELEMENTS[self.element]
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


WORD, F32, I8, I32 = Kind("i64"), Kind("f32", LANES), Kind("i8", LANES), Kind("i32", LANES)
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
        one = self.builder.insert_element(undefined, self.llvm, ir.Constant(ELEMENTS["i32"], 0))
        return Value(self.builder, one, kind).shuffled([0] * lanes)

    def shuffled(self, places: Sequence[int], other: Value | None = None) -> Value:
        """Lane i is lane places[i] of this vector, and of the other behind it."""
        second = ir.Constant(self.kind.llvm, ir.Undefined) if other is None else other.llvm
        mask = ir.Constant(ir.VectorType(ELEMENTS["i32"], len(places)), list(places))
        return Value(
            self.builder, self.builder.shuffle_vector(self.llvm, second, mask), Kind(self.kind.element, len(places))
        )

    def lane(self, place: int) -> Value:
        """One lane as a number."""
        element = self.builder.extract_element(self.llvm, ir.Constant(ELEMENTS["i32"], place))
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

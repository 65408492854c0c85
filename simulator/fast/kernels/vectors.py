"""Vectors of LLVM as types of numba: kernels are written lane by lane, whatever vector length the processor has.

Every function here is one or a few LLVM instructions, legal on every processor. Nothing is contracted: a product and a sum
are rounded twice. Integers are signless; what matters is in the name of the function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numba.extending
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import models, register_model

LANES = 16
_ELEMENTS: dict[str, Any] = {
    "i1": ir.IntType(1), "i8": ir.IntType(8), "i16": ir.IntType(16), "i32": ir.IntType(32), "i64": ir.IntType(64),
    "f16": ir.HalfType(), "f32": ir.FloatType(), "f64": ir.DoubleType(),
}  # fmt: skip
_I32 = _ELEMENTS["i32"]
Function = Callable[..., Any]


def intrinsic(function: Function) -> Function:
    """A function that numba calls with types, and that gives a signature and what writes the LLVM code."""
    return cast(Any, numba.extending).intrinsic(function)


class Vector(types.Type):
    """`lanes` elements of one kind."""

    def __init__(self, element: str, lanes: int) -> None:
        self.element, self.lanes = element, lanes
        super().__init__(name=f"Vector({element}, {lanes})")  # pyright: ignore[reportUnknownMemberType]

    @property
    def llvm(self) -> Any:
        return ir.VectorType(_ELEMENTS[self.element], self.lanes)

    @property
    def is_float(self) -> bool:
        return self.element.startswith("f")


class _VectorModel(models.PrimitiveModel):  # pyright: ignore[reportUntypedBaseClass]
    def __init__(self, manager: Any, kind: Vector) -> None:
        super().__init__(manager, kind, kind.llvm)  # pyright: ignore[reportUnknownMemberType]


register_model(Vector)(_VectorModel)

F32, F64, F16 = Vector("f32", LANES), Vector("f64", LANES), Vector("f16", LANES)
I8, I16, I32, I64, MASK = (Vector(f"i{bits}", LANES) for bits in (8, 16, 32, 64, 1))
BYTES = Vector("i8", 4 * LANES)
_SCALARS = {"f32": types.float32, "f64": types.float64, "i64": types.int64, "i32": types.int32}


def pointer(builder: Any, address: Any, kind: Any) -> Any:
    """An LLVM pointer to a value at an address."""
    return builder.inttoptr(address, kind.as_pointer())


def constant(kind: Vector, value: float) -> Any:
    """All lanes the same."""
    return ir.Constant(kind.llvm, [value] * kind.lanes)


def call(builder: Any, name: str, result: Any, arguments: Sequence[Any]) -> Any:
    """A function of LLVM."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def _suffix(kind: Vector) -> str:
    return f"v{kind.lanes}{kind.element}"


# ---- memory


def loader(kind: Vector) -> Function:
    """load(address): the vector that begins there, of any alignment."""

    def load(typing: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.load(pointer(builder, arguments[0], kind.llvm), align=1)

        return kind(types.int64), generate

    return intrinsic(load)


def first_loader(kind: Vector) -> Function:
    """load(address, count): the first `count` lanes, the others 0; nothing behind them is read."""

    def load(typing: Any, address: Any, count: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            place = pointer(builder, arguments[0], kind.llvm)
            mask = _first(builder, arguments[1], kind.lanes)
            zero = ir.Constant(kind.llvm, None)
            name = f"llvm.masked.load.{_suffix(kind)}.p0"
            return call(builder, name, kind.llvm, [place, _I32(1), mask, zero])

        return kind(types.int64, types.int64), generate

    return intrinsic(load)


def _first(builder: Any, count: Any, lanes: int) -> Any:
    """A mask of the lanes below count."""
    word = _ELEMENTS["i64"]
    kind = ir.VectorType(word, lanes)
    numbers = ir.Constant(kind, list(range(lanes)))
    return builder.icmp_signed("<", numbers, _spread(builder, count, kind, lanes))


def _spread(builder: Any, value: Any, kind: Any, lanes: int) -> Any:
    undefined = ir.Constant(kind, ir.Undefined)
    one = builder.insert_element(undefined, value, _I32(0))
    return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(_I32, lanes), [0] * lanes))


@intrinsic
def store(typing: Any, address: Any, value: Any) -> Any:
    """Writes a vector, to any alignment."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[1], pointer(builder, arguments[0], value.llvm), align=1)
        return context.get_dummy_value()

    return types.none(types.int64, value), generate


@intrinsic
def store_first(typing: Any, address: Any, value: Any, count: Any) -> Any:
    """Writes the first `count` lanes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = pointer(builder, arguments[0], value.llvm)
        mask = _first(builder, arguments[2], value.lanes)
        name = f"llvm.masked.store.{_suffix(value)}.p0"
        call(builder, name, ir.VoidType(), [arguments[1], place, _I32(1), mask])
        return context.get_dummy_value()

    return types.none(types.int64, value, types.int64), generate


@intrinsic
def prefetch(typing: Any, address: Any) -> Any:
    """Asks for a cache line that will be read; any address is allowed."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = pointer(builder, arguments[0], _ELEMENTS["i8"])
        call(builder, "llvm.prefetch.p0", ir.VoidType(), [place, _I32(0), _I32(3), _I32(1)])
        return context.get_dummy_value()

    return types.none(types.int64), generate


# ---- all lanes alike


def filler(kind: Vector) -> Function:
    """fill(x): every lane x, converted to float32 or int32 and so on before."""
    scalar = _SCALARS[kind.element]

    def fill(typing: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return _spread(builder, arguments[0], kind.llvm, kind.lanes)

        return kind(scalar), generate

    return intrinsic(fill)


def literal(kind: Vector, value: float) -> Function:
    """f(): every lane the same known value."""

    def make(typing: Any) -> Any:
        return kind(), lambda context, builder, signature, arguments: constant(kind, value)  # pyright: ignore[reportUnknownLambdaType]

    return intrinsic(make)


# ---- lane by lane


def _binary(float_name: str, integer_name: str) -> Function:
    def operate(typing: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return getattr(builder, float_name if a.is_float else integer_name)(*arguments)

        return a(a, a), generate

    return intrinsic(operate)


add, sub, mul = _binary("fadd", "add"), _binary("fsub", "sub"), _binary("fmul", "mul")
div = _binary("fdiv", "sdiv")
both, either, differ = _binary("", "and_"), _binary("", "or_"), _binary("", "xor")
shift_left, shift_right, shift_right_signed = _binary("", "shl"), _binary("", "lshr"), _binary("", "ashr")


def _comparison(operator: str, ordered: bool) -> Function:
    def compare(typing: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            if not a.is_float:
                return builder.icmp_signed(operator, *arguments)
            return (builder.fcmp_ordered if ordered else builder.fcmp_unordered)(operator, *arguments)

        return Vector("i1", a.lanes)(a, a), generate

    return intrinsic(compare)


equal, less, less_equal = _comparison("==", True), _comparison("<", True), _comparison("<=", True)
unequal = _comparison("!=", False)
"""True also where one is NaN: unequal(x, x) finds NaN."""


@intrinsic
def select(typing: Any, mask: Any, a: Any, b: Any) -> Any:
    """a where the mask is set, else b."""
    return a(mask, a, a), lambda context, builder, signature, arguments: builder.select(*arguments)  # pyright: ignore[reportUnknownLambdaType]


@intrinsic
def any_lane(typing: Any, mask: Any) -> Any:
    """Whether the mask is set anywhere."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.bitcast(arguments[0], ir.IntType(mask.lanes))
        return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    return types.boolean(mask), generate


def _named(name: str) -> Function:
    def operate(typing: Any, a: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return call(builder, f"llvm.{name}.{_suffix(a)}", a.llvm, arguments)

        return a(a), generate

    return intrinsic(operate)


square_root, to_whole, magnitude = _named("sqrt"), _named("rint"), _named("fabs")
"""sqrt; the nearest integer, ties to even; the absolute value."""


def caster(kind: Vector, instruction: str) -> Function:
    """cast(v): an LLVM conversion such as sitofp, sext, fptrunc, bitcast to a vector type."""

    def cast(typing: Any, a: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return getattr(builder, instruction)(arguments[0], kind.llvm)

        return kind(a), generate

    return intrinsic(cast)


def shuffler(places: Sequence[int]) -> Function:
    """shuffle(a, b): lane i is lane places[i] of a and b one behind the other."""

    def shuffle(typing: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            mask = ir.Constant(ir.VectorType(_I32, len(places)), list(places))
            return builder.shuffle_vector(*arguments, mask)

        return Vector(a.element, len(places))(a, a), generate

    return intrinsic(shuffle)


# ---- across lanes


@intrinsic
def first_lane(typing: Any, a: Any) -> Any:
    """Lane 0 as a number."""
    return _SCALARS[a.element](a), lambda context, builder, signature, arguments: builder.extract_element(  # pyright: ignore[reportUnknownLambdaType]
        arguments[0], _I32(0)
    )


@intrinsic
def folded_sum(typing: Any, a: Any) -> Any:
    """The rest of a quantum of sum_fp: l[i] + l[i + 8], then 4, 2, 1 (docs/numerics.md, section 2). Also for integers."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value, width = arguments[0], a.lanes
        while width > 1:
            width //= 2
            mask = ir.Constant(ir.VectorType(_I32, a.lanes), [(lane + width) % a.lanes for lane in range(a.lanes)])
            other = builder.shuffle_vector(value, value, mask)
            value = builder.fadd(value, other) if a.is_float else builder.add(value, other)
        return builder.extract_element(value, _I32(0))

    return _SCALARS[a.element](a), generate

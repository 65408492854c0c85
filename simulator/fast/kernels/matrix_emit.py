"""A kernel written as LLVM code by a Python program: numbers with operators, loops and conditions as `with` blocks.

Where a kernel is one function with many loops this compiles in a tenth of the time of as many numba functions, and Python decides what
is unrolled.

    with c.loop(0, rows) as row:
        with c.when(row < full):
            c.store(c.load(x + row * 4, WORD), y + row * 4)
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from simulator.fast.kernels.abi import Arg
from simulator.fast.kernels.vectors import intrinsic, pointer

I64 = ir.IntType(64)
WORD, HALFWORD, BYTE = ir.IntType(32), ir.IntType(16), ir.IntType(8)
FLOAT = ir.FloatType()


class Number:
    """An int64 while the kernel runs. `//`, `%` and `>>` are for numbers that are not negative, `<<` and `&` for any."""

    def __init__(self, code: Code, value: Any) -> None:
        self.code, self.value = code, value

    def _with(self, name: str, other: Number | int) -> Number:
        return Number(self.code, getattr(self.code.b, name)(self.value, self.code.number(other).value))

    def __add__(self, other: Number | int) -> Number:
        return self._with("add", other)

    def __sub__(self, other: Number | int) -> Number:
        return self._with("sub", other)

    def __mul__(self, other: Number | int) -> Number:
        return self._with("mul", other)

    def __floordiv__(self, other: Number | int) -> Number:
        return self._with("udiv", other)

    def __mod__(self, other: Number | int) -> Number:
        return self._with("urem", other)

    def __rshift__(self, other: Number | int) -> Number:
        return self._with("lshr", other)

    def __lshift__(self, other: Number | int) -> Number:
        return self._with("shl", other)

    def __and__(self, other: Number | int) -> Number:
        return self._with("and_", other)

    def __or__(self, other: Number | int) -> Number:
        return self._with("or_", other)

    def _compare(self, operator: str, other: Number | int) -> Any:
        return self.code.b.icmp_signed(operator, self.value, self.code.number(other).value)

    def __lt__(self, other: Number | int) -> Any:
        return self._compare("<", other)

    def __le__(self, other: Number | int) -> Any:
        return self._compare("<=", other)

    def __gt__(self, other: Number | int) -> Any:
        return self._compare(">", other)

    def __ge__(self, other: Number | int) -> Any:
        return self._compare(">=", other)

    def equals(self, other: Number | int) -> Any:
        return self._compare("==", other)

    def differs(self, other: Number | int) -> Any:
        return self._compare("!=", other)


class Variable:
    """A number, or a value of another LLVM type, that changes."""

    def __init__(self, code: Code, kind: Any) -> None:
        self.code, self.place = code, cgutils.alloca_once(code.b, kind)

    @property
    def value(self) -> Any:
        return self.code.b.load(self.place)

    @value.setter
    def value(self, value: Any) -> None:
        self.code.b.store(value, self.place)

    @property
    def number(self) -> Number:
        return Number(self.code, self.value)

    @number.setter
    def number(self, number: Number | int) -> None:
        self.value = self.code.number(number).value


class Code:
    """Writes the code of one kernel. `b`: the builder of LLVM."""

    def __init__(self, builder: Any, arguments: Any, parameters: Any) -> None:
        self.b = builder
        self._arguments, self._parameters = Number(self, arguments), Number(self, parameters)

    def argument(self, place: Arg) -> Number:
        return self.load_number(self._arguments + 8 * place)

    def parameter(self, place: int) -> Number:
        return self.load_number(self._parameters + 8 * place)

    # ---- numbers

    def number(self, value: Number | int) -> Number:
        return value if isinstance(value, Number) else Number(self, ir.Constant(I64, int(value)))

    def least(self, a: Number, b: Number | int) -> Number:
        return self.choose(a < b, a, b)

    def most(self, a: Number, b: Number | int) -> Number:
        return self.choose(a > b, a, b)

    def choose(self, condition: Any, a: Number | int, b: Number | int) -> Number:
        return Number(self, self.b.select(condition, self.number(a).value, self.number(b).value))

    def variable(self, start: Number | int) -> Variable:
        made = Variable(self, I64)
        made.number = start
        return made

    # ---- control

    @contextmanager
    def loop(self, start: Number | int, end: Number | int, step: Number | int = 1) -> Generator[Number]:
        """start, start + step, .. below end."""
        index = self.variable(start)
        test, body, after = (self.b.append_basic_block(name) for name in ("test", "body", "after"))
        self.b.branch(test)
        self.b.position_at_end(test)
        self.b.cbranch(index.number < end, body, after)
        self.b.position_at_end(body)
        current = index.number
        yield current
        index.number = current + step
        self.b.branch(test)
        self.b.position_at_end(after)

    @contextmanager
    def when(self, condition: Any) -> Generator[None]:
        with self.b.if_then(condition):
            yield

    @contextmanager
    def either(self, condition: Any) -> Generator[tuple[Any, Any]]:
        """with c.either(condition) as (then, other), with blocks `with then:` and `with other:` inside."""
        with self.b.if_else(condition) as branches:
            yield branches

    # ---- memory

    def load(self, address: Number, kind: Any) -> Any:
        return self.b.load(pointer(self.b, address.value, kind), align=1)

    def store(self, value: Any, address: Number) -> None:
        self.b.store(value, pointer(self.b, address.value, value.type), align=1)

    def load_number(self, address: Number) -> Number:
        return Number(self, self.load(address, I64))

    def store_number(self, number: Number, address: Number) -> None:
        self.store(number.value, address)

    def unsigned(self, address: Number, kind: Any) -> Number:
        """A number of 8, 16 or 32 bits."""
        return Number(self, self.b.zext(self.load(address, kind), I64))

    def narrow(self, number: Number, kind: Any) -> Any:
        return self.b.trunc(number.value, kind)


def written_by(write: Callable[[Code], None]) -> Callable[[int, int], int]:
    """The kernel whose code `write` writes."""

    @intrinsic
    def everything(typing: Any, arguments: Any, parameters: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            write(Code(builder, *values))
            return context.get_dummy_value()

        return types.none(types.int64, types.int64), generate

    def kernel(arguments: int, parameters: int) -> int:
        everything(arguments, parameters)
        return 0

    return kernel

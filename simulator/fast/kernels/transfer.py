"""ld, st: the bits of every element, from strides to strides."""

from __future__ import annotations

from collections.abc import Callable

from isa.descriptor import Descriptor
from isa.encoding import Decoded
from isa.spec import ELEMENT_BITS, PACKED_4BIT
from simulator.fast.kernels.abi import Arg, Choice
from simulator.fast.kernels.raw import (
    argument,
    inlined,
    load_i64,
    load_u8,
    load_u16,
    load_u32,
    store_i64,
    store_u8,
    store_u16,
    store_u32,
)
from simulator.fast.kernels.vectors import BYTES, loader, store

TA, TB = int(Arg.TA), int(Arg.TB)
VECTOR_BYTES = BYTES.lanes
DIMENSIONS = 4
load_bytes = loader(BYTES)
_ELEMENTS = {1: (load_u8, store_u8), 2: (load_u16, store_u16), 4: (load_u32, store_u32)}


@inlined
def copy_run(target: int, source: int, size_bytes: int) -> None:
    """Copies bytes in a row; the two do not overlap."""
    done = 0
    while done + VECTOR_BYTES <= size_bytes:
        store(target + done, load_bytes(source + done))
        done += VECTOR_BYTES
    while done + 8 <= size_bytes:
        store_i64(target + done, load_i64(source + done))
        done += 8
    while done < size_bytes:
        store_u8(target + done, load_u8(source + done))
        done += 1


def make_copy_runs() -> Callable[[int, int], int]:
    """Runs of bytes in up to three dimensions. Parameters: bytes of a run; extent, step of the target and of the source of each."""

    def copy(arguments: int, parameters: int) -> int:
        target, source, run = argument(arguments, TA), argument(arguments, TB), argument(parameters, 0)
        for i3 in range(argument(parameters, 7)):
            for i2 in range(argument(parameters, 4)):
                to = target + i2 * argument(parameters, 5) + i3 * argument(parameters, 8)
                at = source + i2 * argument(parameters, 6) + i3 * argument(parameters, 9)
                to_step, at_step = argument(parameters, 2), argument(parameters, 3)
                for _ in range(argument(parameters, 1)):
                    copy_run(to, at, run)
                    to, at = to + to_step, at + at_step
        return 0

    return copy


def make_copy_elements(size_bytes: int) -> Callable[[], Callable[[int, int], int]]:
    """Elements in four dimensions. Parameters: extent, step of the target and of the source of each."""

    def make() -> Callable[[int, int], int]:
        load, put = _ELEMENTS[size_bytes]

        def copy(arguments: int, parameters: int) -> int:
            target, source = argument(arguments, TA), argument(arguments, TB)
            for i3 in range(argument(parameters, 9)):
                for i2 in range(argument(parameters, 6)):
                    for i1 in range(argument(parameters, 3)):
                        to = target + i1 * argument(parameters, 4) + i2 * argument(parameters, 7)
                        to += i3 * argument(parameters, 10)
                        at = source + i1 * argument(parameters, 5) + i2 * argument(parameters, 8)
                        at += i3 * argument(parameters, 11)
                        to_step, at_step = argument(parameters, 1), argument(parameters, 2)
                        for _ in range(argument(parameters, 0)):
                            put(to, load(at))
                            to, at = to + to_step, at + at_step
            return 0

        return copy

    return make


def choose_copy(instruction: Decoded, operands: dict[str, Descriptor]) -> Choice:
    """Whole rows at a time if the elements of a row follow each other on both sides."""
    target, source = operands["ta"], operands["tb"]
    size_bytes = max(1, ELEMENT_BITS[target.dtype] // 8)
    loops = _loops(target, source)
    if target.dtype in PACKED_4BIT or loops[0][1:] == (size_bytes, size_bytes) or loops[0][0] == 1:
        run = target.row_bytes()
        outer = _merged(loops[1:])
        if outer and outer[0][1:] == (run, run):
            run *= outer.pop(0)[0]
        padded = [*outer, *[(1, 0, 0)] * (DIMENSIONS - 1 - len(outer))]
        return Choice("copy.runs", make_copy_runs, (run, *(number for loop in padded for number in loop)))
    numbers = tuple(number for loop in loops for number in loop)
    return Choice(f"copy.elements{size_bytes}", make_copy_elements(size_bytes), numbers)


def _loops(target: Descriptor, source: Descriptor) -> list[tuple[int, int, int]]:
    return list(zip(target.extents, target.strides, source.strides, strict=True))


def _merged(loops: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Loops of which none steps over the next inner one exactly, on both sides; those of one turn are left out."""
    result: list[tuple[int, int, int]] = []
    for extent, to, at in loops:
        if extent == 1:
            continue
        if result and (to, at) == (result[-1][0] * result[-1][1], result[-1][0] * result[-1][2]):
            result[-1] = (result[-1][0] * extent, *result[-1][1:])
        else:
            result.append((extent, to, at))
    return result

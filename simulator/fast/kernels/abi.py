"""How a kernel is called: `int64 kernel(int64 arguments, int64 parameters)`, both addresses of int64 numbers.

Arguments change with every execution, parameters belong to a form (an instruction with the shapes of its operands), so what
can be worked out from extents and strides is worked out once, in Python. Whoever calls a kernel has made every check of
the instruction: all addresses that follow from extents and strides are valid. A kernel returns nothing of interest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, auto
from typing import Any


class Arg(IntEnum):
    """Places of the arguments."""

    TA = 0  # .. addresses of element 0 of ta tb tc td; 0 for operands the instruction does not have
    TB = auto()
    TC = auto()
    TD = auto()
    RD = auto()  # .. x[rd], x[rs], x[rt]
    RS = auto()
    RT = auto()
    SCALAR = auto()  # fp32 bits, unsigned, of flag I or X
    SCRATCH = auto()  # the address of SCRATCH_BYTES bytes, aligned to 64, of any content; one for each part
    PART = auto()  # the kernel does this part ..
    PARTS = auto()  # .. of so many; always 0 of 1 unless the kernel is divisible
    LENGTH = auto()


SCRATCH_BYTES = 1 << 25
MAX_PARAMETERS = 48

KernelFunction = Callable[[int, int], int]


@dataclass(frozen=True)
class Choice:
    """The kernel of a form.

    `name` determines the machine code: the name of the file and everything that `make` bakes in, as letters, digits, _ and dots.
    `make` returns the Python function that numba compiles, or what is emitted (emit.py); it is called only if the code is not on
    the disk yet.
    `parameters`: at most MAX_PARAMETERS integers. `divisible`: whether it is worth it that parts of it run at the same time;
    each part writes bytes of its own and reads none that another part writes.
    """

    name: str
    make: Callable[[], Any]
    parameters: tuple[int, ...]
    divisible: bool = False

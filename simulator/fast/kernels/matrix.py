"""Which kernel computes a matrix product."""

from __future__ import annotations

from isa.descriptor import Descriptor
from isa.encoding import Decoded
from isa.spec import FMT_SPARSE, Dtype
from simulator.fast.kernels.abi import Choice
from simulator.fast.kernels.matrix_integer import choose_integer


def choose_product(instruction: Decoded, operands: dict[str, Descriptor]) -> Choice | None:
    """The kernel of an mm or mmg that was checked."""
    if operands["tc"].fmt & FMT_SPARSE:
        return None
    if operands["tb"].dtype == Dtype.I8:
        return choose_integer(instruction, operands)
    return None

"""Which kernel computes a matrix product: there is one for all that the checks let through."""

from __future__ import annotations

from isa.descriptor import Descriptor
from isa.encoding import Decoded
from isa.spec import FMT_SPARSE, Dtype
from simulator.fast.kernels.abi import Choice
from simulator.fast.kernels.matrix_amx import can_use_tiles, choose_tiles
from simulator.fast.kernels.matrix_float import choose_float
from simulator.fast.kernels.matrix_integer import choose_integer
from simulator.fast.kernels.matrix_sparse import choose_sparse


def choose_product(instruction: Decoded, operands: dict[str, Descriptor]) -> Choice:
    """The kernel of an mm or mmg that was checked."""
    if operands["tc"].fmt & FMT_SPARSE:
        return choose_sparse(instruction, operands)
    if operands["tb"].dtype == Dtype.I8:
        choose = choose_tiles if can_use_tiles(operands) else choose_integer
        return choose(instruction, operands)
    return choose_float(instruction, operands)

"""Which kernel computes an instruction. A chooser gives None for what it has no kernel for; the reference computes that."""

from __future__ import annotations

from collections.abc import Callable

from isa.descriptor import Descriptor
from isa.encoding import Decoded
from simulator.fast.kernels.abi import Choice
from simulator.fast.kernels.elementwise import choose_elementwise
from simulator.fast.kernels.matrix import choose_product
from simulator.fast.kernels.random_numbers import choose_random
from simulator.fast.kernels.reduction import choose_reduction
from simulator.fast.kernels.selection import choose_selection
from simulator.fast.kernels.softmax import choose_softmax
from simulator.fast.kernels.transfer import choose_copy

Chooser = Callable[[Decoded, dict[str, Descriptor]], Choice | None]

CHOOSERS: dict[str, Chooser] = {
    "ld": choose_copy,
    "st": choose_copy,
    "vbin": choose_elementwise,
    "vmad": choose_elementwise,
    "vun": choose_elementwise,
    "vred": choose_reduction,
    "vsmx": choose_softmax,
    "mm": choose_product,
    "mmg": choose_product,
    "vtopk": choose_selection,
    "vrng": choose_random,
}


def chosen(instruction: Decoded, operands: dict[str, Descriptor]) -> Choice | None:
    """The kernel of an engine instruction that was checked, with the operands as they are captured at dispatch."""
    chooser = CHOOSERS.get(instruction.row.mnemonic)
    return None if chooser is None else chooser(instruction, operands)

"""Which kernel computes an instruction. A chooser gives None for what it has no kernel for; the reference computes that."""

from __future__ import annotations

from collections.abc import Callable

from isa.descriptor import Descriptor
from isa.encoding import Decoded
from simulator.fast.kernels.abi import Choice
from simulator.fast.kernels.matrix import choose_product
from simulator.fast.kernels.transfer import choose_copy

Chooser = Callable[[Decoded, dict[str, Descriptor]], Choice | None]

CHOOSERS: dict[str, Chooser] = {
    "ld": choose_copy,
    "st": choose_copy,
    "mm": choose_product,
    "mmg": choose_product,
}


def chosen(instruction: Decoded, operands: dict[str, Descriptor]) -> Choice | None:
    """The kernel of an engine instruction that was checked, with the operands as they are captured at dispatch."""
    chooser = CHOOSERS.get(instruction.row.mnemonic)
    return None if chooser is None else chooser(instruction, operands)

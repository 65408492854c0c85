"""The program of the compiled loop: how a decoded instruction is kept."""

from __future__ import annotations

from enum import IntEnum, auto

import numpy as np

from isa.spec import ALU, TD_REGISTERS
from isa.spec import BRANCH as CONDITIONS
from simulator.state import DISCARD

# A decoded instruction, 16 bytes. `op` is one of Op or an ALU function; registers that are not used name a register that
# is never written. `b` is a place in `values`: the second register, or a constant behind the registers.
PROGRAM_DTYPE = np.dtype(
    [(name, "u1") for name in ("op", "kind", "rd", "rs", "ta", "tb", "tc", "td")] + [("b", "<u4"), ("imm", "<i4")]
)

FIRST_CONSTANT = DISCARD + 1
NO_TD = TD_REGISTERS
"""The descriptor register behind the last one, for operands an instruction does not have."""


class Op(IntEnum):
    """What the loop does. ALU functions come first, in the order of isa.spec.ALU; div and rem are checked."""

    BRANCH = len(ALU)  # .. eq ne lt ge
    JAL = len(ALU) + len(CONDITIONS)
    JALR = auto()
    TDSET_BASE = auto()
    TDSET = auto()
    TDADD_BASE = auto()
    TDADD = auto()
    ENGINE = auto()
    LDS = auto()
    TDLD = auto()
    STS = auto()  # from here on: what no trace has
    MARK = auto()
    YIELD = auto()
    HALT = auto()
    FAULT = auto()  # trap, an illegal instruction, or the end of the text

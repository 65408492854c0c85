"""From the text of an executable to the program of the fast loop. What is illegal becomes Op.FAULT."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from isa.encoding import Decoded, DecodeError, decode
from isa.spec import SMEM_WIDTHS, TD_BYTES, TD_FUNCTIONS, TD_OPERANDS, Engine, Flag, used_fields
from simulator.fast.compiled import INTERPRETED
from simulator.fast.layout import Ints, Program
from simulator.fast.program_layout import FIRST_CONSTANT, NO_TD, PROGRAM_DTYPE, Op
from simulator.state import DISCARD

_PLAIN = {
    "br": Op.BRANCH, "jal": Op.JAL, "jalr": Op.JALR, "lds": Op.LDS, "sts": Op.STS, "tdld": Op.TDLD, "mark": Op.MARK,
    "yield": Op.YIELD, "halt": Op.HALT, "trap": Op.FAULT,
}  # fmt: skip
_FAULT = (int(Op.FAULT), 0, DISCARD, 0, NO_TD, NO_TD, NO_TD, NO_TD, 0, 0)


def decoded_text(text: NDArray[np.void]) -> list[Decoded | None]:
    """Every instruction; None: illegal, it traps if it is executed."""
    return [_decoded(text, pc) for pc in range(len(text))]


def _decoded(text: NDArray[np.void], pc: int) -> Decoded | None:
    try:
        return decode(text[pc], pc)
    except DecodeError:
        return None


def predecoded(instructions: Sequence[Decoded | None]) -> tuple[Program, Ints]:
    """The program, [instructions + 1] of PROGRAM_DTYPE, and the values it starts with: registers of 0, then constants."""
    constants: dict[int, int] = {}
    rows = [_FAULT if d is None else _row(d, constants) for d in instructions]
    # NumPy, unlike numba, computes with the width of narrow numbers.
    dtype = [(name, "<i8") for name in PROGRAM_DTYPE.names or ()] if INTERPRETED else PROGRAM_DTYPE
    program = np.array([*rows, _FAULT], dtype).view(np.recarray)
    values = np.zeros(FIRST_CONSTANT + len(constants), np.int64)
    values[FIRST_CONSTANT:] = list(constants)
    return program, values


def _row(d: Decoded, constants: dict[int, int]) -> tuple[int, ...]:
    """In the order of PROGRAM_DTYPE; `constants`: places in `values`, new ones are added."""
    used = used_fields(d.row, d.fl)
    tds = (getattr(d, name) if name in used else NO_TD for name in TD_OPERANDS)
    op, kind, rd = _operation(d)
    second = d.rs if d.row.mnemonic in ("tdset", "tdadd") else d.rt
    if d.fl & Flag.I:
        second = constants.setdefault(d.imm, FIRST_CONSTANT + len(constants))
    return (op, kind, rd, d.rs, *tds, second, d.imm)


def _operation(d: Decoded) -> tuple[int, int, int]:
    """op, kind and rd. rd is the field for tdset and tdadd, kind the log2 of the bytes of an SMEM access, or flags."""
    mnemonic, rd = d.row.mnemonic, d.rd or DISCARD
    if d.row.engine != Engine.SEQ:
        return Op.ENGINE, d.fl, d.rd
    if mnemonic == "alu":
        return d.fn, 0, rd
    if mnemonic in ("tdset", "tdadd"):
        base = Op.TDSET_BASE if mnemonic == "tdset" else Op.TDADD_BASE
        return base + (TD_FUNCTIONS[d.fn] != "base"), 0, d.fn
    kind = 0
    if mnemonic in ("lds", "sts"):
        kind = int(SMEM_WIDTHS[d.fn]).bit_length() - 1
    elif mnemonic == "tdld":
        kind = TD_BYTES.bit_length() - 1
    return _PLAIN[mnemonic] + (d.fn if mnemonic == "br" else 0), kind, rd

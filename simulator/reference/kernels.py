"""The table of engine instructions: what is checked at dispatch, and what they do."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from isa.spec import Trap
from simulator.reference import matrix, philox, selection, softmax, transfer, vector
from simulator.reference.operands import Context, Issue
from simulator.traps import Fault


class Kernel(NamedTuple):
    """`check` raises a Fault; `execute` is called only after it."""

    check: Callable[[Context, Issue], None]
    execute: Callable[[Context, Issue], None]


def _unsupported(context: Context, issue: Issue) -> None:
    raise Fault(Trap.UNSUPPORTED_FEATURE, "op", f"this machine has no {issue.row.feature.name}")


KERNELS: dict[str, Kernel] = {
    "ld": Kernel(transfer.check_ld, transfer.copy),
    "st": Kernel(transfer.check_st, transfer.copy),
    "mm": Kernel(matrix.check_mm, matrix.mm),
    "mmg": Kernel(matrix.check_mmg, matrix.mmg),
    "vbin": Kernel(vector.check_elementwise, vector.vbin),
    "vmad": Kernel(vector.check_elementwise, vector.vmad),
    "vun": Kernel(vector.check_elementwise, vector.vun),
    "vred": Kernel(vector.check_vred, vector.vred),
    "vsmx": Kernel(softmax.check_vsmx, softmax.vsmx),
    "vtopk": Kernel(selection.check_vtopk, selection.vtopk),
    "vrng": Kernel(philox.check_vrng, philox.vrng),
    "pmm": Kernel(_unsupported, _unsupported),
    "send": Kernel(_unsupported, _unsupported),
    "recv": Kernel(_unsupported, _unsupported),
}

"""tile: buffers in named memory spaces, copies, tile compute and loops; one engine op is one instruction later on.

Control flow is scf, scalars are arith on `index`. A `!tile.view` is what a tensor descriptor will say: a place, an element type, four
extents and four byte strides, innermost first. Engines run asynchronously, but the meaning is that of sequential execution: the
hardware interlocks by address. Offsets of buffers are assigned by allocate-sram, places in DRAM by allocate-dram.
"""

from __future__ import annotations

from xdsl.ir import Attribute, Dialect, Operation

from compiler.dialects.tile.control import EventOp, LdsOp, MarkOp, StsOp, TrapOp
from compiler.dialects.tile.engines import (
    LoadOp,
    MmgOp,
    MmOp,
    StoreOp,
    VbinOp,
    VmadOp,
    VredOp,
    VrngOp,
    VsmxOp,
    VtopkOp,
    VunOp,
)
from compiler.dialects.tile.memory import DTYPES, DYNAMIC, SPACES, AllocOp, BufferType, RenewOp, ViewType
from compiler.dialects.tile.places import PLACE_OPS, InputOp, KindOp, ScratchOp, StateOp, TableOp, WeightOp
from compiler.dialects.tile.views import ViewOp

__all__ = [
    "DTYPES",
    "DYNAMIC",
    "ENGINE_OPS",
    "PLACE_OPS",
    "SPACES",
    "AllocOp",
    "BufferType",
    "EventOp",
    "InputOp",
    "KindOp",
    "LdsOp",
    "LoadOp",
    "MarkOp",
    "MmOp",
    "MmgOp",
    "RenewOp",
    "ScratchOp",
    "StateOp",
    "StoreOp",
    "StsOp",
    "TableOp",
    "Tile",
    "TrapOp",
    "VbinOp",
    "ViewOp",
    "ViewType",
    "VmadOp",
    "VredOp",
    "VrngOp",
    "VsmxOp",
    "VtopkOp",
    "VunOp",
    "WeightOp",
]

ENGINE_OPS = (LoadOp, StoreOp, MmOp, MmgOp, VbinOp, VmadOp, VunOp, VredOp, VsmxOp, VtopkOp, VrngOp)
TILE_OPS: list[type[Operation]] = [
    AllocOp, RenewOp, ViewOp, *PLACE_OPS, KindOp, LdsOp, StsOp, EventOp, MarkOp, TrapOp, *ENGINE_OPS,
]  # fmt: skip
TILE_TYPES: list[type[Attribute]] = [BufferType, ViewType]
Tile = Dialect("tile", TILE_OPS, TILE_TYPES)

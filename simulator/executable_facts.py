"""What a session reads of an executable's META, which may say anything."""

from __future__ import annotations

from typing import Any, cast

from isa.abi import TOKEN_BUFFER_OFFSET
from isa.container import Executable
from isa.machine import Machine
from isa.spec import Region
from simulator.session_error import SessionError

TOKEN_BYTES = 4
LOGIT_BYTES = 4


def entry_of(meta: dict[str, Any]) -> int:
    """The instruction at which generating begins. Raises SessionError."""
    entries: object = meta.get("entry")
    entry: object = cast(dict[str, object], entries).get("generate") if isinstance(entries, dict) else None
    if not isinstance(entry, int) or isinstance(entry, bool) or not 0 <= entry < 1 << 31:
        raise SessionError("META has no entry point: expected entry.generate, an instruction index")
    return entry


def logits_offset_of(meta: dict[str, Any], context: int) -> int:
    """Where in IO logits are dumped, in bytes. Raises SessionError."""
    least = TOKEN_BUFFER_OFFSET + context * TOKEN_BYTES
    offset: object = meta.get("logits_offset", least)
    if not isinstance(offset, int) or offset % LOGIT_BYTES or not least <= offset < 1 << 40:
        raise SessionError(f"META logits_offset is {offset}, expected a multiple of 4 from {least}")
    return offset


def sizes_of(executable: Executable, timing_only: bool) -> dict[Region, int]:
    """Bytes of each region of memory. Raises SessionError if they do not fit the machine, or IO not the tokens."""
    machine = Machine.from_canonical(executable.meta["machine"])
    regions: dict[str, int] = executable.meta["regions"]
    sizes = {Region[name]: size_bytes for name, size_bytes in regions.items()}
    sizes[Region.WEIGHT] = executable.weights_bytes
    sizes[Region.TABLE] = len(executable.table)
    least_io = TOKEN_BUFFER_OFFSET + executable.meta["context"] * TOKEN_BYTES
    if sizes[Region.IO] < least_io:
        raise SessionError(f"IO has {sizes[Region.IO]} bytes, the token buffer needs {least_io}")
    _check_capacity(executable, machine, timing_only)
    sizes[Region.SRAM] = machine.sram_bytes
    return sizes


def _check_capacity(executable: Executable, machine: Machine, timing_only: bool) -> None:
    """A program that was made larger than its machine on purpose may be timed, as WEIGHT and KV then take no storage."""
    needed, present = executable.dram_bytes, machine.dram_capacity_bytes
    if needed <= present:
        return
    message = f"the program needs {needed} bytes of DRAM, {machine.name} has {present}"
    if executable.meta.get("oversize") is not True:
        raise SessionError(message)
    if not timing_only:
        raise SessionError(f"{message}: only its time can be simulated (--timing-only)")
    stored = needed - executable.weights_bytes - executable.meta["regions"]["KV"]
    if stored > present:
        raise SessionError(f"{message}, of which {stored} are neither weights nor KV cache")

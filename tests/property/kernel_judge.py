"""One engine instruction by its kernel and by the reference, from equal memories: every byte that either leaves is compared."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

from isa.descriptor import Descriptor
from isa.encoding import Decoded, decode, decode_text, encode
from isa.spec import BY_MNEMONIC, TD_OPERANDS, Feature, Flag, Region, used_fields
from simulator.fast.kernels import store
from simulator.fast.kernels.abi import MAX_PARAMETERS, SCRATCH_BYTES, Arg, Choice
from simulator.fast.kernels.choice import chosen
from simulator.memory import Memory
from simulator.reference.kernels import KERNELS
from simulator.reference.operands import Context, Issue

SRAM_BYTES = 1 << 18
CACHE_LINE_BYTES = 64
_KERNEL = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
_scratch = np.zeros(SCRATCH_BYTES + CACHE_LINE_BYTES, np.uint8)


def memory_of(sram: bytes) -> Memory:
    """A memory with these bytes in SRAM, zeroes behind them."""
    memory = Memory({Region.SRAM: max(SRAM_BYTES, len(sram))}, {})
    memory.arrays[Region.SRAM][: len(sram)] = np.frombuffer(sram, np.uint8)
    return memory


def instruction(mnemonic: str, function: str | None, scalar: int | None = None) -> Decoded:
    """Operands in the first registers; `scalar`: fp32 bits of flag I."""
    flags = Flag(0) if scalar is None else Flag.I
    names = used_fields(BY_MNEMONIC[mnemonic], flags) - {"op", "fn", "fl"}
    fields = {name: TD_OPERANDS.index(name) if name in TD_OPERANDS else 1 for name in names}
    if scalar is not None:
        fields["imm"] = scalar - (scalar >> 31 << 32)
    return decode(decode_text(encode(mnemonic, fn=function, fl=flags, **fields))[0], 0)


def choice_of(d: Decoded, operands: dict[str, Descriptor]) -> Choice:
    choice = chosen(d, operands)
    assert choice is not None and len(choice.parameters) <= MAX_PARAMETERS
    return choice


def run_kernel(
    choice: Choice, d: Decoded, operands: dict[str, Descriptor], memory: Memory, x: Sequence[int], parts: int
) -> None:
    """`x`: x[rd], x[rs], x[rt]. Parts run one after the other, the last one first."""
    _scratch[: 1 << 14] = 0xA5
    arguments, parameters = np.zeros(Arg.LENGTH, np.int64), np.array([*choice.parameters, 0], np.int64)
    for name, operand in operands.items():
        arguments[TD_OPERANDS.index(name)] = memory.arrays[operand.region].ctypes.data + operand.base
    arguments[Arg.RD : Arg.RT + 1] = x
    arguments[Arg.SCALAR] = d.imm & 0xFFFFFFFF
    arguments[Arg.SCRATCH] = -(-_scratch.ctypes.data // CACHE_LINE_BYTES) * CACHE_LINE_BYTES
    arguments[Arg.PARTS] = parts
    kernel = _KERNEL(store.address_of(choice))
    for part in reversed(range(parts)):
        arguments[Arg.PART] = part
        kernel(arguments.ctypes.data, parameters.ctypes.data)


def judge(
    d: Decoded, operands: dict[str, Descriptor], sram: bytes, x: Sequence[int] = (0, 0, 0), parts: int = 1
) -> Choice:
    """Raises Fault if the instruction is illegal, AssertionError if a byte differs; returns the kernel. In parts if it is divisible."""
    expected, actual = memory_of(sram), memory_of(sram)
    context = Context(expected, Feature(0))
    scalar = np.uint32(d.imm & 0xFFFFFFFF).view(np.float32) if d.fl & Flag.I else None
    issue = Issue(d.row, d.function, d.fl, operands, *x, scalar)
    KERNELS[d.row.mnemonic].check(context, issue)
    choice = choice_of(d, operands)
    run_kernel(choice, d, operands, actual, x, parts if choice.divisible else 1)
    with np.errstate(all="ignore"):
        KERNELS[d.row.mnemonic].execute(context, issue)
    for region, array in expected.arrays.items():
        different = np.flatnonzero(actual.arrays[region] != array)
        assert not len(different), f"{choice.name}: {len(different)} bytes differ from {region.name} {different[0]:#x}"
    return choice

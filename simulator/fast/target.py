"""The processor that machine code is made for: this one, or what NUMBA_CPU_NAME and NUMBA_CPU_FEATURES say."""

from __future__ import annotations

import ctypes
import platform
import sys
from functools import cache
from typing import Any, cast

import llvmlite.binding as llvm
import numba

OPTIMISATION = 3
_TILE_FEATURES = ("amx-tile", "amx-int8", "avx512f")
_ARCH_PRCTL, _ARCH_REQ_XCOMP_PERM, _XFEATURE_XTILEDATA = 158, 0x1023, 18  # of Linux on x86-64


@cache
def processor() -> tuple[str, str]:
    """Name and features, as LLVM writes them."""
    config = cast(Any, numba).config
    name, features = config.CPU_NAME, config.CPU_FEATURES
    return str(name or llvm.get_host_cpu_name()), str(
        features if features is not None else llvm.get_host_cpu_features().flatten()
    )


@cache
def has(feature: str) -> bool:
    """Whether machine code may use a feature, as in avx512vnni."""
    return f"+{feature}" in processor()[1].split(",")


@cache
def has_tiles() -> bool:
    """Whether this process may use the tile registers of AMX. Linux saves them for a process that has asked, with all its threads."""
    return all(has(feature) for feature in _TILE_FEATURES) and _may_use_tiles()


def _may_use_tiles() -> bool:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return False
    ask = ctypes.CDLL(None).syscall
    ask.argtypes, ask.restype = [ctypes.c_long] * 3, ctypes.c_long
    return ask(_ARCH_PRCTL, _ARCH_REQ_XCOMP_PERM, _XFEATURE_XTILEDATA) == 0


@cache
def target_machine() -> Any:
    """Makes machine code for the processor."""
    llvm.initialize_native_target()  # numba does it too, with its first function
    llvm.initialize_native_asmprinter()
    name, features = processor()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(
        cpu=name, features=features, opt=OPTIMISATION, reloc="pic", codemodel="jitdefault"
    )

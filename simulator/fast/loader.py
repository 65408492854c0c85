"""The loop as machine code: compiled once on a computer and kept on disk.

Numba notices changes only in the file of the function that is called, and takes what it finds on disk for whole. So the
directory is named by everything the machine code depends on, and what cannot be loaded is thrown away once.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any, cast

import numba
import numpy as np

from simulator.fast.cache import directory
from simulator.fast.compiled import INTERPRETED, OPTIONS
from simulator.fast.loop import run
from simulator.fast.one_module import compiled_as_one

Loop = Callable[..., int]

_loaded: list[Loop] = []


def execute(arguments: tuple[Any, ...]) -> int:
    """Runs the loop on its arguments until an Exit, which is returned. The first call loads or compiles it."""
    if not _loaded:
        load(arguments)
    return _loaded[0](*arguments)


def load(arguments: tuple[Any, ...]) -> None:
    """Loads the loop, or compiles it, for arguments of these types, which are always the same."""
    if not _loaded:
        _loaded.append(_load(arguments))


def is_compiled() -> bool:
    """Whether a first call takes a moment only."""
    return bool(_loaded or INTERPRETED) or any(directory("loop").rglob("*.nbi"))


def _load(arguments: tuple[Any, ...]) -> Loop:
    if INTERPRETED:
        return _interpreted
    signature = tuple(numba.typeof(argument) for argument in arguments)
    try:
        return _compiled(signature)
    except Exception:  # whatever unpickling a damaged file may raise; an error of compilation comes again
        shutil.rmtree(directory("loop"), ignore_errors=True)
        return _compiled(signature)


def _interpreted(*arguments: Any) -> int:
    with np.errstate(over="ignore"):
        return run(*arguments)


def _compiled(signature: tuple[Any, ...]) -> Loop:
    """The entry point for arguments of these types, from the disk if it is there."""
    config = cast(Any, numba).config
    before, config.CACHE_DIR = config.CACHE_DIR, str(directory("loop"))
    try:
        dispatcher = numba.njit(cache=True, **OPTIONS)(run)
    finally:
        config.CACHE_DIR = before
    with compiled_as_one():
        dispatcher.compile(signature)
    return cast(Loop, dispatcher.get_overload(signature))

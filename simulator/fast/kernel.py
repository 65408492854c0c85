"""The loop as machine code: compiled once on a computer and kept on disk.

Numba notices changes only in the file of the function that is called, and takes what it finds on disk for whole. So the
directory is named by everything the machine code depends on, and what cannot be loaded is thrown away once.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, cast

import llvmlite
import numba
import numpy as np
from llvmlite import binding

from simulator.fast.compiled import INTERPRETED, OPTIONS
from simulator.fast.loop import run

Loop = Callable[..., int]
PACKAGES = ("isa", "simulator")
CACHE_SETTING = "NUMBA_CACHE_DIR"

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
    return bool(_loaded or INTERPRETED) or any(_directory().rglob("*.nbi"))


def _load(arguments: tuple[Any, ...]) -> Loop:
    if INTERPRETED:
        return _interpreted
    signature = tuple(numba.typeof(argument) for argument in arguments)
    try:
        return _compiled(signature)
    except Exception:  # whatever unpickling a damaged file may raise; an error of compilation comes again
        shutil.rmtree(_directory(), ignore_errors=True)
        return _compiled(signature)


def _interpreted(*arguments: Any) -> int:
    with np.errstate(over="ignore"):
        return run(*arguments)


def _compiled(signature: tuple[Any, ...]) -> Loop:
    """The entry point for arguments of these types, from the disk if it is there."""
    config = cast(Any, numba).config
    before, config.CACHE_DIR = config.CACHE_DIR, str(_directory())
    try:
        dispatcher = numba.njit(cache=True, **OPTIONS)(run)
    finally:
        config.CACHE_DIR = before
    dispatcher.compile(signature)
    return cast(Loop, dispatcher.get_overload(signature))


@cache
def _directory() -> Path:
    """Where the machine code is kept: below the user's cache directory, or in one of this process if that is not writable."""
    root = os.environ.get(CACHE_SETTING) or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(root) / "slmc" / _fingerprint()
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except (OSError, RuntimeError):
        return Path(_own_directory().name)


@cache
def _own_directory() -> tempfile.TemporaryDirectory[str]:
    """Goes when the process ends."""
    return tempfile.TemporaryDirectory(prefix="slmc-")


def _fingerprint() -> str:
    """Of the sources, the compiler, the processor, and the settings of numba."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        with resources.as_file(resources.files(package)) as folder:
            for source in sorted(folder.rglob("*.py")):
                digest.update(source.relative_to(folder).as_posix().encode() + b"\0" + source.read_bytes() + b"\0")
    settings = sorted(item for item in os.environ.items() if item[0].startswith("NUMBA_") and item[0] != CACHE_SETTING)
    versions = (sys.version, numba.__version__, llvmlite.__version__, np.__version__)
    processor = (binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten())
    digest.update(repr((versions, processor, settings)).encode())
    return digest.hexdigest()[:32]

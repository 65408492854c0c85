"""Where machine code is kept on disk. The name of a directory has everything the code in it depends on."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from functools import cache
from importlib import resources
from pathlib import Path

import llvmlite
import numba
import numpy as np

from simulator.fast.target import processor

CACHE_SETTING = "NUMBA_CACHE_DIR"
KEPT_VERSIONS = 8
LOOP_MODULES = (
    "aliases", "block", "compiled", "counts", "derive", "descriptors", "effects", "execution", "growth", "interlock", "issue",
    "layout", "lookup", "loop", "observation", "one_module", "posting", "price", "price_access", "price_channel", "price_dram",
    "price_layout", "price_product", "price_units", "program_layout", "raw", "recorder", "replay", "scalar", "schedule", "sharing",
    "signatures", "slots", "states", "system", "trace_layout", "trace_maker", "traces", "turnaround", "way", "way_numbers", "way_operands",
)  # fmt: skip
SOURCES: dict[str, dict[str, tuple[str, ...]]] = {
    "loop": {
        "isa": ("abi.py", "spec.py"),
        "simulator": (
            "state.py",
            *(f"fast/{name}.py" for name in LOOP_MODULES),
            "fast/kernels/abi.py",
            "fast/kernels/raw.py",
            "fast/kernels/instructions.py",
            "fast/kernels/worker.py",
            "fast/target.py",
            "timing/*.py",
            "reference/matrix.py",
            "reference/operands.py",
            "reference/philox.py",
            "reference/scalar.py",
            "reference/softmax.py",
        ),
    },
    "kernels": {
        "isa": ("spec.py",),
        "simulator": (
            "transcendental.py",
            "tables/*",
            "fast/kernels/*.py",
            "fast/compiled.py",
            "fast/one_module.py",
            "fast/raw.py",
        ),
    },
}
"""By kind of code: packages and the files in them that it may depend on, also for constants."""


@cache
def directory(kind: str) -> Path:
    """Below the user's cache directory, or one of this process if that is not writable."""
    root = os.environ.get(CACHE_SETTING) or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(root) / "slmc" / f"{kind}-{_fingerprint(kind)}"
    try:
        if not path.exists():
            _forget_old(path.parent, kind)
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except (OSError, RuntimeError):
        own = Path(_own_directory().name) / kind
        own.mkdir(exist_ok=True)
        return own


def _forget_old(root: Path, kind: str) -> None:
    """Of earlier versions only the newest stay; another process that still uses one compiles again."""
    directories = sorted(root.glob(f"{kind}-*"), key=lambda path: path.stat().st_mtime)
    for path in directories[:-KEPT_VERSIONS]:
        shutil.rmtree(path, ignore_errors=True)


@cache
def _own_directory() -> tempfile.TemporaryDirectory[str]:
    """Goes when the process ends."""
    return tempfile.TemporaryDirectory(prefix="slmc-")


def _fingerprint(kind: str) -> str:
    """Of the sources, the compiler, the processor, and the settings of numba."""
    digest = hashlib.sha256()
    for package, patterns in SOURCES[kind].items():
        with resources.as_file(resources.files(package)) as folder:
            for source in sorted(path for pattern in patterns for path in folder.glob(pattern) if path.is_file()):
                digest.update(source.relative_to(folder).as_posix().encode() + b"\0" + source.read_bytes() + b"\0")
    settings = sorted(item for item in os.environ.items() if item[0].startswith("NUMBA_") and item[0] != CACHE_SETTING)
    versions = (sys.version, numba.__version__, llvmlite.__version__, np.__version__)
    digest.update(repr((versions, processor(), settings)).encode())
    return digest.hexdigest()[:32]

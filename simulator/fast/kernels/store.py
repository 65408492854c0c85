"""Kernels as machine code: compiled once per computer, kept on disk as object code, loaded each into an engine of its own.

Numba keeps compiled functions too, but its index does not notice changes of callees, and equal symbol names of two functions
that were compiled by two processes collide. Here the name of a file has everything the code depends on, and no symbol is shared.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import llvmlite.binding as llvm
import numba
from numba import types

from simulator.fast.cache import directory
from simulator.fast.kernels.abi import Choice
from simulator.fast.kernels.emit import Emitted
from simulator.fast.one_module import compiled_as_one
from simulator.fast.target import OPTIMISATION, target_machine

DIGEST_BYTES = 32
OPTIONS: dict[str, Any] = {"error_model": "numpy", "_nrt": False, "boundscheck": False}
SIGNATURE = types.int64(types.int64, types.int64)

when_compiling: list[Callable[[str], None]] = []
"""Called with the name of a kernel before it is compiled: a first run can say what takes so long."""

_engines: dict[str, Any] = {}  # keeps the code alive
_addresses: dict[str, int] = {}


def address_of(choice: Choice) -> int:
    """The address of a kernel's code, which is compiled if no file has it."""
    known = _addresses.get(choice.name)
    if known is None:
        known = _addresses[choice.name] = _load(choice)
    return known


def assembly_text(choice: Choice) -> str:
    """The assembly of the processor, freshly made."""
    return target_machine().emit_assembly(llvm.parse_assembly(_optimised(choice)[1]))


def _path(name: str) -> Path:
    return directory("kernels") / f"{name}.object"


def _load(choice: Choice) -> int:
    path = _path(choice.name)
    symbol, code = _stored(path)
    if not code:
        for tell in when_compiling:
            tell(choice.name)
        symbol, text = _optimised(choice)
        code = target_machine().emit_object(llvm.parse_assembly(text))
        _keep(path, symbol, code)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target_machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines[choice.name] = engine
    address = int(engine.get_function_address(symbol))
    assert address, f"kernel {choice.name} has no symbol {symbol}"
    return address


def _optimised(choice: Choice) -> tuple[str, str]:
    """The symbol of the entry point and the LLVM code."""
    function = choice.make()
    if isinstance(function, Emitted):
        return _optimised_module(function, f"kernel_{choice.name.replace('.', '_')}")
    function.__name__ = function.__qualname__ = choice.name.replace(".", "_")
    with compiled_as_one():  # it may have parts in common with the loop
        compiled = cast(Any, numba.cfunc(SIGNATURE, **OPTIONS)(function))
    return str(compiled.native_name), str(compiled.inspect_llvm())


def _optimised_module(kernel: Emitted, symbol: str) -> tuple[str, str]:
    """Without loops made longer or wider: kernels do that themselves."""
    machine = target_machine()
    module = llvm.parse_assembly(kernel.module(symbol, machine.triple, str(machine.target_data)))
    options = llvm.create_pipeline_tuning_options(speed_level=OPTIMISATION)
    options.loop_unrolling = options.loop_vectorization = options.slp_vectorization = False
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)
    return symbol, str(module)


def _stored(path: Path) -> tuple[str, bytes]:
    """Symbol and object code of a file, or nothing if it is missing or damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return "", b""
    digest, rest = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    if hashlib.sha256(rest).digest() != digest:
        return "", b""
    symbol, _, code = rest.partition(b"\0")
    return symbol.decode(), code


def _keep(path: Path, symbol: str, code: bytes) -> None:
    """Another process may write the same file: each writes its own and renames it."""
    rest = symbol.encode() + b"\0" + code
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(hashlib.sha256(rest).digest() + rest)
        os.replace(file.name, path)
    except OSError:
        return  # it is compiled again next time

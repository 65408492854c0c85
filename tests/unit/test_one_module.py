"""Functions compiled as one module with their parts: the same results, and numba is left as it was."""

from __future__ import annotations

import gc
import re
import threading
import time
from pathlib import Path
from typing import Any, cast

import numba
import pytest
from numba import types
from numba.core.codegen import JITCodeLibrary
from numba.core.registry import cpu_target

from simulator.fast.compiled import INTERPRETED, OPTIONS, compiled
from simulator.fast.one_module import compiled_as_one

pytestmark = pytest.mark.skipif(INTERPRETED, reason="nothing is compiled")


def codegen() -> Any:
    return cast(Any, cpu_target).target_context.codegen()


def square(x: int) -> int:
    return x * x


def nested() -> tuple[Any, Any, Any]:
    """An entry point with two parts, one within the other, and both parts."""
    lower = compiled(square)

    def cube(x: int) -> int:
        return lower(x) * x

    upper = compiled(cube)

    def entry(x: int) -> int:
        return upper(x) + lower(x)

    return numba.njit(**OPTIONS)(entry), upper, lower


def symbol_of(dispatcher: Any) -> str:
    (result,) = dispatcher.overloads.values()
    return cast(str, result.fndesc.mangled_name)


def test_the_entry_point_computes_what_python_does_and_only_it_is_in_memory() -> None:
    entry, upper, lower = nested()
    with compiled_as_one():
        entry.compile((types.int64,))
    assert [entry(x) for x in (-2, 0, 3)] == [-4, 0, 36]
    engine = codegen()._engine
    assert engine.is_symbol_defined(symbol_of(entry))
    assert not engine.is_symbol_defined(symbol_of(upper)) and not engine.is_symbol_defined(symbol_of(lower))


def test_parts_of_one_entry_point_are_parts_of_another() -> None:
    entry, upper, _ = nested()
    with compiled_as_one():
        entry.compile((types.int64,))

    def other(x: int) -> int:
        return upper(x) - 1

    second = numba.njit(**OPTIONS)(other)
    with compiled_as_one():
        second.compile((types.int64,))
    assert second(3) == 26


@pytest.mark.parametrize("collects", [True, False])
def test_numba_and_the_collector_are_as_before_even_after_an_error(collects: bool) -> None:
    if not collects:
        gc.disable()
    try:
        with pytest.raises(KeyError), compiled_as_one():
            assert not gc.isenabled()
            raise KeyError
        assert gc.isenabled() == collects
    finally:
        gc.enable()
    assert codegen()._library_class is JITCodeLibrary
    assert "set_env" not in vars(codegen())


def test_one_within_another_is_refused() -> None:
    with compiled_as_one(), pytest.raises(AssertionError), compiled_as_one():
        pass
    assert codegen()._library_class is JITCodeLibrary


def test_two_threads_take_turns_and_the_collector_is_back_in_the_end() -> None:
    def enter() -> None:
        with compiled_as_one():
            time.sleep(0.05)

    threads = [threading.Thread(target=enter) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gc.isenabled()


def test_nothing_else_of_the_simulator_is_compiled() -> None:
    """Numba compiles the loop and the kernels, both as one module, and the parts of these."""
    folder = Path(__file__).parents[2] / "simulator"
    users = {
        path.name for path in folder.rglob("*.py") if re.search(r"numba\.(njit|jit|cfunc|vectorize)", path.read_text())
    }
    assert users == {"compiled.py", "loader.py", "store.py"}

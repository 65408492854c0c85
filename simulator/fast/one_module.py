"""Functions that numba compiles as one module with all their parts: optimised once, translated once.

Numba optimises and translates each function by itself and together with everything it calls, in case Python calls it. Nobody calls a
part of the loop, and there are hundreds of them, nested ten deep: that was half the time of the first start. Here a part is lowered
and cleaned up; the entry point links all parts, once each, and only that module is optimised and translated.

Numba has no setting for this. What is replaced are methods of an instance, for the time of one compilation; its version is pinned.
Everything that has parts is compiled in this way: a part has no code of its own that anything else could be linked with.
"""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target


class Library(JITCodeLibrary):
    """The code of one function: a part, unless it has the symbol that is asked for, or comes from the disk."""

    _is_entry = False

    def get_pointer_to_function(self, name: str) -> int:
        """Numba asks for the symbol that its callers would call: only an entry point has one."""
        if not self._finalized and any(
            one.name == name and not one.is_declaration for one in self._final_module.functions
        ):
            self._is_entry = True
        return super().get_pointer_to_function(name) if self._is_entry else 0

    def add_linking_library(self, library: Any) -> None:
        super().add_linking_library(library)
        known = dict.fromkeys([*self._linking_libraries, *library._linking_libraries])
        self._linking_libraries = list(known)

    def finalize(self) -> None:
        if self._is_entry:
            super().finalize()
            return
        self._finalize_dynamic_globals()
        self._finalized = True

    def _finalize_final_module(self) -> None:
        self._is_entry = True
        super()._finalize_final_module()


@contextmanager
def compiled_as_one() -> Generator[None]:
    """What numba compiles meanwhile is one module with all that it calls. The garbage collector waits: it finds next to nothing."""
    codegen = cast(Any, cpu_target).target_context.codegen()
    with global_compiler_lock:
        assert "_library_class" not in vars(codegen), "one within another"
        collects = gc.isenabled()
        gc.disable()
        codegen._library_class = Library
        codegen.set_env = partial(_set_environment, codegen)
        try:
            yield
        finally:
            del codegen._library_class, codegen.set_env
            if collects:
                gc.enable()


def _set_environment(codegen: Any, name: str, environment: Any) -> None:
    """Code that raises exceptions finds its module there. Parts do not, and theirs is not in memory."""
    if codegen._engine.is_symbol_defined(name):
        type(codegen).set_env(codegen, name, environment)

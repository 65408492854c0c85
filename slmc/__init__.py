"""Compiles a Small Language Model to a binary for the SLX accelerator and runs it, bit by bit and cycle by cycle.

executable = slmc.compile("path/to/checkpoint", machine="edge", scheme="w8a8")
session = slmc.Session(executable)
for token in session.generate("Once upon a time", 64):
    print(token.text, end="")
print(session.report().decode.tokens_per_second)
print(slmc.evaluate("path/to/checkpoint", Path("text.txt"), ["w8a8"]).rows[-1].accuracy)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isa.container import Executable
    from slmc.evaluation import Evaluation, evaluate
    from slmc.session import Session, Token, compile

__all__ = ["Evaluation", "Executable", "Session", "Token", "compile", "evaluate"]
_HOMES = {
    "Executable": "isa.container", "Evaluation": "slmc.evaluation", "evaluate": "slmc.evaluation",
    "Session": "slmc.session", "Token": "slmc.session", "compile": "slmc.session",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Imported when they are asked for: commands that only compile need no simulator, whose import takes as long as the compiler's."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__]

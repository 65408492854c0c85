"""Compiles a Small Language Model to a binary for the SLX accelerator and runs it, bit by bit and cycle by cycle.

executable = slmc.compile("path/to/checkpoint", machine="edge", scheme="w8a8")
session = slmc.Session(executable)
for token in session.generate("Once upon a time", 64):
    print(token.text, end="")
print(session.report().decode.tokens_per_second)
"""

from isa.container import Executable
from slmc.session import Session, Token, compile

__all__ = ["Executable", "Session", "Token", "compile"]

"""Compiles a Small Language Model to a binary for the SLX accelerator and runs it, bit by bit and cycle by cycle.

executable = slmc.compile("path/to/checkpoint", machine="edge", scheme="w8a8")
session = slmc.Session(executable)
for token in session.generate("Once upon a time", 64):
    print(token.text, end="")
print(session.report().decode.tokens_per_second)
print(slmc.evaluate("path/to/checkpoint", Path("text.txt"), ["w8a8"]).rows[-1].accuracy)
"""

from isa.container import Executable
from slmc.evaluation import Evaluation, evaluate
from slmc.session import Session, Token, compile

__all__ = ["Evaluation", "Executable", "Session", "Token", "compile", "evaluate"]

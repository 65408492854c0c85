"""Runs pipelines in xDSL's notation over the compiler's passes."""

from __future__ import annotations

import sys
from pathlib import Path

from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass, PassPipeline
from xdsl.utils.exceptions import ArgSpecParseError

from compiler.driver import PASSES, make_context, paused_gc
from compiler.errors import CompileError
from slmc.errors import CommandError
from slmc.ir_text import MAX_CHARACTERS

MAX_BYTES = 4 * MAX_CHARACTERS


def read_source(path: Path) -> str:
    """The text of a file, or of stdin for `-`. Raises CommandError if it is too long or not UTF-8."""
    if str(path) == "-":
        data = sys.stdin.buffer.read(MAX_BYTES + 1)
    else:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise CommandError(f"the text has more than {MAX_BYTES} bytes", place=str(path))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CommandError(
            f"the text is not UTF-8: byte {error.start} is {data[error.start]:#04x}", place=str(path)
        ) from None


def run_pipeline(module: ModuleOp, pipeline: str) -> ModuleOp:
    """Runs the passes on the module in place, verifying after each. Raises CommandError, CompileError."""
    ctx = make_context()
    with paused_gc():
        for transform in parse_pipeline(pipeline):
            try:
                transform.apply(ctx, module)
                module.verify()
            except CompileError:
                raise
            except Exception as error:
                what = f"{type(error).__name__}: {error}"
                raise CommandError(f"pass {transform.name} cannot run on this module: {what}") from error
    return module


def parse_pipeline(text: str) -> tuple[ModulePass, ...]:
    """The passes of a text such as `cse,choose-tiling{sram_bytes=65536}`. Raises CommandError."""
    known = {name: (lambda made=made: made) for name, made in PASSES.items()}
    try:
        return PassPipeline.parse_spec(known, text).passes if text.strip() else ()
    except (ArgSpecParseError, ValueError) as error:
        raise CommandError(f"pipeline {text!r}: {error}", f"known passes: {', '.join(PASSES)}") from error

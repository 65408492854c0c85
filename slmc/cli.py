"""The command line: a group with one command per file of slmc/commands/. Exit codes: 0 done, 1 failed, 2 wrong usage."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import version
from typing import Any

import click

from slmc.errors import explain, one_line
from slmc.options import DEBUG_KEY, debug_option

FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130
COMMANDS = (
    "demo", "compile", "run", "verify", "quantize", "survey", "evaluate", "interpret", "inspect", "opt", "asm", "disasm", "tokenize",
    "machines", "models", "warmup",
)  # fmt: skip
FUNCTIONS = {"compile": "compile_checkpoint"}
"""Of commands whose function has another name."""


class Commands(click.Group):
    """A group whose errors are one line each, and which shows tracebacks only with --debug. A command is imported when it is asked for:
    the compiler needs no simulator, and others no compiler."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return getattr(import_module(f"slmc.commands.{cmd_name}"), FUNCTIONS.get(cmd_name, cmd_name))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            if ctx.meta.get(DEBUG_KEY):
                raise
            line, excerpt = explain(error)
            click.echo(line, err=True)
            if excerpt and sys.stderr.isatty():
                click.echo(excerpt, err=True)
            ctx.exit(FAILED)

    def main(self, *args: Any, **extra: Any) -> Any:
        """Like click's, but a wrong usage is told in one line."""
        extra["standalone_mode"] = False
        try:
            code = super().main(*args, **extra)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(WRONG_USAGE)
        except click.ClickException as error:
            command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "slmc"
            click.echo(one_line(f"error: {error.format_message().rstrip('.')}; see {command} --help"), err=True)
            sys.exit(WRONG_USAGE)
        except click.Abort:
            click.echo("error: interrupted", err=True)
            sys.exit(INTERRUPTED)
        sys.exit(code if isinstance(code, int) else 0)


@click.group("slmc", cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version("slmc"), prog_name="slmc")
@debug_option
def main() -> None:
    """Compile a small language model to a binary for the SLX accelerator, and run it on the simulator.

    Try `slmc demo` first. CHECKPOINT is a Hugging Face directory, a GGUF file, or a .slm file or bare config.json
    together with --random-weights SEED.
    """

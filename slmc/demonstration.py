"""What `slmc demo` shows: from the shipped checkpoint to a story and its cost on the simulated machine."""

from __future__ import annotations

from time import perf_counter

from rich.rule import Rule

from isa.spec import INSTRUCTION_BYTES
from slmc.building import Checkpoint
from slmc.demo_model import storyteller_path
from slmc.executables import Wanted, opened
from slmc.session import Session
from slmc.streaming import Request, console_of, print_report, stream
from slmc.warming import is_cold, warm_up

DEFAULT_PROMPT = "Once upon a time"
DEFAULT_TOKENS = 256
STORY_WIDTH = 100


def demonstrate(prompt: str, max_new: int) -> None:
    console = console_of()
    started = perf_counter()
    with opened(Checkpoint(storyteller_path()), Wanted()) as executable:
        text_bytes, weights = len(executable.text) * INSTRUCTION_BYTES, executable.weights_bytes
        console.print(
            f"[dim]compiled in {perf_counter() - started:.1f} s: {len(executable.text)} instructions "
            f"({text_bytes:,} bytes), {weights:,} bytes of weights[/]"
        )
        if is_cold():
            warmth = warm_up(executable)
            console.print(f"[dim]fast engine compiled for this computer in {warmth.seconds:.1f} s, once[/]")
        console.print(Rule("the story, token by token from the simulated machine", style="dim"))
        session = Session(executable)
        started = perf_counter()
        generated = stream(session, Request(prompt, max_new), width=min(console.width, STORY_WIDTH))
        console.print(Rule(style="dim"))
        console.print(f"[dim]simulated {len(generated)} tokens in {perf_counter() - started:.1f} s on this computer[/]")
        console.print()
        print_report(session)

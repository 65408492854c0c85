"""Messages -> the text of a prompt, through a chat template.

A template is a program from a checkpoint. Jinja's sandbox keeps it from the interpreter's objects, but it can still loop
for ever or fill the memory, in more ways than hooks can catch. So it runs in a process of its own (worker.py) with
limits on time, memory and the length of the text.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from frontends.chat.template import MAX_TEMPLATE_BYTES
from frontends.errors import FrontendError, printable

MAX_CHARACTERS = 1 << 22
SECONDS, WALL_SECONDS = 5, 60
"""Of processor time, and until an answer is given up on a busy computer."""
MEMORY_BYTES = 1 << 30
WORKER = Path(__file__).with_name("worker.py")
FILE = "the chat template"


@dataclass(frozen=True)
class Chat:
    """A template and the special tokens it may write, by name."""

    template: str
    special_tokens: Mapping[str, str] = field(default_factory=dict[str, str])

    def prompt(self, user: str, system: str | None = None) -> str:
        """The text of one turn, up to where the answer begins. Raises FrontendError with the line of the template."""
        messages = [] if system is None else [{"role": "system", "content": system}]
        messages.append({"role": "user", "content": user})
        return self.render(messages)

    def render(self, messages: list[dict[str, str]]) -> str:
        """The text of a conversation, up to where the answer begins."""
        if len(self.template.encode("utf-8", errors="replace")) > MAX_TEMPLATE_BYTES:
            raise FrontendError(f"is larger than {MAX_TEMPLATE_BYTES} bytes, the largest accepted here", FILE)
        given = {"messages": messages, "add_generation_prompt": True, "tools": None, "documents": None}
        request = {
            "template": self.template,
            "variables": {**self.special_tokens, **given},
            "max_characters": MAX_CHARACTERS,
            "seconds": SECONDS,
            "memory_bytes": MEMORY_BYTES,
        }
        answer = _ask_worker(json.dumps(request).encode("ascii"))
        if isinstance(answer.get("text"), str):
            return answer["text"]
        line = answer.get("line", 0)
        source = self.template.split("\n")[line - 1] if 0 < line <= self.template.count("\n") + 1 else None
        message = printable(" ".join(str(answer.get("error")).split()))
        raise FrontendError(f"cannot be applied: {message}", FILE, line, min(line, 1), source_line=source)


def _ask_worker(request: bytes) -> dict[str, Any]:
    """Runs the worker. -P keeps the current folder, which may be that of the checkpoint, out of its imports."""
    command = [sys.executable, "-P", str(WORKER)]
    try:
        done = subprocess.run(command, input=request, capture_output=True, timeout=WALL_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise FrontendError(f"took more than {WALL_SECONDS} seconds", FILE) from error
    except OSError as error:
        raise FrontendError(f"cannot be applied: Python cannot be started: {error.strerror}", FILE) from error
    try:
        answer = json.loads(done.stdout)
    except ValueError as error:
        raise FrontendError(f"took more than {SECONDS} seconds or {MEMORY_BYTES >> 20} MiB", FILE) from error
    return answer if isinstance(answer, dict) else {}

"""Renders one chat template: JSON on stdin, JSON on stdout. A program of its own, see rendering.py.

It imports nothing of the package, so that it starts quickly. The environment is the one that Hugging Face transformers
uses (`utils/chat_template_utils.py`): trimmed blocks, break and continue, `tojson` that keeps text as it is,
`raise_exception`, `strftime_now`, and the tag `generation`, which marks the text of answers and changes nothing.
"""

from __future__ import annotations

import json
import sys
import traceback
from datetime import datetime
from typing import Any, cast

from jinja2 import TemplateError, TemplateSyntaxError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

TEMPLATE_NAME = "<template>"
"""Jinja's name of a template that has no file, in tracebacks."""


class TooLongError(Exception):
    """The text has more characters than asked for."""


class Generation(Extension):
    """`{% generation %} ... {% endgeneration %}` is its content."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def raise_exception(message: object) -> None:
    raise TemplateError(str(message))


def strftime_now(form: str) -> str:
    return datetime.now().strftime(form)


def to_json(value: object, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=False, **options)


def environment() -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"]
    )
    made.filters["tojson"] = to_json
    names = cast(dict[str, Any], made.globals)
    names.update(raise_exception=raise_exception, strftime_now=strftime_now)
    return made


def render(template: str, variables: dict[str, Any], max_characters: int) -> str:
    """The text. Raises what Jinja and the template raise, and TooLongError."""
    pieces: list[str] = []
    count = 0
    for piece in environment().from_string(template).generate(**variables):
        count += len(piece)
        if count > max_characters:
            raise TooLongError
        pieces.append(piece)
    return "".join(pieces)


def limit(seconds: int, memory_bytes: int) -> None:
    """Bounds this process where the system can: more time kills it, more memory is a MemoryError."""
    try:
        import resource
    except ImportError:  # Windows has no such limits; the caller's timeout remains
        return
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def line_of(error: BaseException) -> int:
    """The line of the template, 0 if the error has none."""
    if isinstance(error, TemplateSyntaxError):
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == TEMPLATE_NAME]
    return lines[-1] or 0 if lines else 0


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """`text`, or `error` with `line`."""
    try:
        return {"text": render(request["template"], request["variables"], request["max_characters"])}
    except TooLongError:
        return {"error": f"it writes more than {request['max_characters']} characters", "line": 0}
    except MemoryError:
        return {"error": "it needs too much memory", "line": 0}
    except RecursionError:
        return {"error": "it is nested too deeply", "line": 0}
    except Exception as error:
        message = str(error.message if isinstance(error, TemplateError) else error)
        return {"error": message[:500] or type(error).__name__, "line": line_of(error)}


def main() -> None:
    request: dict[str, Any] = json.load(sys.stdin.buffer)
    limit(request["seconds"], request["memory_bytes"])
    sys.stdout.write(json.dumps(answer(request)))


if __name__ == "__main__":
    main()

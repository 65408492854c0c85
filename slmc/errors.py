"""What a user is told when something fails: one line that says what was expected, what came, and what to do."""

from __future__ import annotations

from xdsl.utils.exceptions import DiagnosticException, ParseError, VerifyException

from compiler.errors import CompileError
from compiler.interpreters.errors import InterpreterError
from frontends.errors import FrontendError
from isa.errors import SlxError, printable
from simulator.divergence import DivergenceError
from simulator.session_error import SessionError
from simulator.traps import LimitError, TrapError

MAX_MESSAGE_CHARACTERS = 600


class CommandError(Exception):
    """A request that cannot be carried out: what was expected, what came; `hint` says what to do, `place` where it is."""

    def __init__(self, message: str, hint: str = "", place: str = ""):
        super().__init__(message)
        self.message, self.hint, self.place = message, hint, place


def one_line(text: str) -> str:
    """The text on one line, without control characters and of bounded length."""
    flat = printable(" ".join(text.split()))
    return flat if len(flat) <= MAX_MESSAGE_CHARACTERS else flat[: MAX_MESSAGE_CHARACTERS - 3] + "..."


def explain(error: BaseException) -> tuple[str, str]:
    """The line a user reads, and lines that show the place in the source (empty for most errors)."""
    if isinstance(error, FrontendError | SlxError):
        return _with_hint(headline_of(error), error.hint), _excerpt(error.render())
    if isinstance(error, CompileError | CommandError):
        return _with_hint(headline_of(error), error.hint), ""
    if isinstance(
        error,
        SessionError
        | TrapError
        | DivergenceError
        | LimitError
        | InterpreterError
        | VerifyException
        | DiagnosticException,
    ):
        return one_line(f"error: {error}"), ""
    if isinstance(error, ParseError):
        return one_line(_parse_error(error)), ""
    if isinstance(error, OSError):
        reason = error.strerror or type(error).__name__
        return one_line(f"error: {error.filename or 'a file'}: {reason}"), ""
    if isinstance(error, MemoryError):
        return "error: there is not enough memory for this model on this computer", ""
    text = f"error: internal error, {type(error).__name__}: {error}; run again with --debug and report the traceback"
    return one_line(text), ""


def headline_of(error: BaseException) -> str:
    """What is wrong, without what to do about it: for lists of things that failed."""
    if isinstance(error, FrontendError | SlxError):
        return one_line(error.headline())
    if isinstance(error, CompileError | CommandError):
        return one_line(f"{error.place}: error: {error.message}" if error.place else f"error: {error.message}")
    return explain(error)[0]


def _with_hint(headline: str, hint: str | None) -> str:
    return one_line(f"{headline}; {hint}" if hint else headline)


def _excerpt(rendered: str) -> str:
    """The source line and the caret below it, if the message has them."""
    lines = [line for line in rendered.split("\n")[1:] if line.startswith("    ")]
    return "\n".join(lines)


def _parse_error(error: ParseError) -> str:
    """`file:line:column: error: message` from xDSL's message of several lines."""
    span = error.span
    content = span.input.content
    text = content if isinstance(content, str) else content.decode("latin-1")
    return f"{text_place(text, span.input.name, span.start)}: error: {error.msg}"


def text_place(text: str, name: str, offset: int) -> str:
    """`name:line:column` of a character."""
    before = text[:offset]
    return f"{name}:{before.count(chr(10)) + 1}:{offset - before.rfind(chr(10))}"

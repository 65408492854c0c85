"""What the compiler tells a user: one line that says what was expected, what came, and where."""

from __future__ import annotations

SMEM_HINT = (
    "it holds the layer table and the descriptors of each kind of layer: use fewer kinds of layers, or fewer layers"
)


class CompileError(Exception):
    """A program, scheme or machine that cannot be compiled. `place` is `file:line:column` or a pass name, may be empty."""

    def __init__(self, message: str, place: str = "", hint: str = ""):
        super().__init__(message)
        self.message, self.place, self.hint = message, place, hint

    def render(self) -> str:
        text = f"{self.place}: error: {self.message}" if self.place else f"error: {self.message}"
        return f"{text}\n  hint: {self.hint}" if self.hint else text

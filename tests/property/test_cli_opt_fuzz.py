"""Mutated IR text never gives more than one line of error."""

from pathlib import Path

from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from slmc.cli import main

FOLDER = Path(__file__).parent.parent / "filecheck" / "dialects"
TEXTS = [(FOLDER / f"{name}-ops.mlir").read_text() for name in ("slm", "slmq", "tile", "isa")]
PIECES = (
    "",
    "-1",
    "0x7f800000",
    "99999999999999999999",
    "%0",
    "{",
    "}",
    "[",
    ">",
    '"',
    "tensor<",
    "i8",
    "x0",
    "\x00",
    "\u2028",
)


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(TEXTS),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(PIECES)), max_size=4),
)
def test_mutated_texts(text: str, edits: list[tuple[float, int, str]]) -> None:
    for place, length, piece in edits:
        start = int(place * len(text))
        text = text[:start] + piece + text[start + length :]
    result = CliRunner().invoke(main, ["opt", "-"], input=text.encode("utf-8"))
    assert result.exit_code in (0, 1)
    if result.exit_code == 1:
        assert result.stderr.count("\n") == 1
        assert "internal error" not in result.stderr, result.stderr

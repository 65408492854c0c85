"""The shipped model: the w8a8 binary continues a story as the interpreter does, and int8 costs less than 1 % of perplexity."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from compiler.interpreters.slm import interpret_slm
from compiler.program import Program
from frontends import load_program
from frontends.tokenizer import TextTokenizer
from tests.end_to_end.e2e_support import assert_same_bits, build, interpreter, options, simulate
from tests.unit.windowed_perplexity import perplexity

STORYTELLER = Path(__file__).parents[2] / "examples" / "storyteller"
OPENING = "Once upon a time"
NEW_TOKENS = 24
CONTEXT = 512
WINDOW = 512


@cache
def program() -> Program:
    return load_program(STORYTELLER)


@cache
def tokenizer() -> TextTokenizer:
    content = program().tokenizer_json
    assert content is not None
    return TextTokenizer(content)


def test_the_binary_tells_the_interpreters_story() -> None:
    chosen = options("edge", "w8a8", CONTEXT)
    prompt = tokenizer().encode(OPENING)
    run = simulate(build(program(), chosen), prompt, NEW_TOKENS)
    reference = interpreter(program(), chosen)
    assert reference.generate(prompt, NEW_TOKENS).tokens == run.tokens
    reference.reset()
    assert_same_bits(run.logits, reference.run([*prompt, *run.tokens[:-1]]))
    story = tokenizer().decode(run.tokens)
    assert len(story.split()) >= 12
    assert story.isascii()


def test_int8_costs_less_than_a_percent_of_perplexity() -> None:
    """Two windows of held-out text; the table over all of it is made by a script."""
    tokens = tokenizer().encode((STORYTELLER / "heldout.txt").read_text("utf-8"))[: 2 * WINDOW]
    reference = interpreter(program(), options("edge", "w8a8", CONTEXT))

    def quantized(window: list[int]) -> np.ndarray:
        reference.reset()
        return reference.run(window)

    exact = perplexity(lambda window: interpret_slm(program(), window, np.float32), tokens, WINDOW)
    rounded = perplexity(lambda window: quantized(list(window)), tokens, WINDOW)
    assert exact.predicted == rounded.predicted == 2 * (WINDOW - 1)
    assert 1 < exact.value < 4
    assert abs(rounded.value / exact.value - 1) < 0.01

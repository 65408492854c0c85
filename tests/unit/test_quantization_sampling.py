"""The model's own text: token by token, the logits are those of the whole sequence."""

import numpy as np
import pytest

from compiler.interpreters.sampling import SamplerSettings, sample_token
from compiler.interpreters.slm import interpret_slm
from compiler.quantization.sampling import Incremental, write_text
from tests.unit.quantization_support import STORYTELLER, golden_tokens, published

TOLERANCE = 2e-4
"""float32, summed in another order."""


@pytest.mark.parametrize(
    "name", ["gqa", "mistral_window", "gemma2", "gpt2", "opt", "mixtral", "lfm2", "mamba", "phi", "phi_qk_norm"]
)
def test_tokens_one_by_one_are_the_sequence(name: str) -> None:
    program, tokens = published(name), golden_tokens(name)[:24]
    expected = interpret_slm(program, tokens, np.float64)
    state = Incremental(program, len(tokens))
    assert np.abs(state.feed(tokens[:5]) - expected[4]).max() < TOLERANCE
    for position in range(5, len(tokens)):
        assert np.abs(state.feed(tokens[position : position + 1]) - expected[position]).max() < TOLERANCE


def test_the_text_is_sampled_from_the_model() -> None:
    program = published("gqa")
    told: list[tuple[int, int]] = []
    tokens = write_text(program, [3], 12, 7, lambda done, total: told.append((done, total)))
    assert tokens[0] == 3 and len(tokens) == 12 and told[-1] == (12, 12)
    for position in range(11):
        logits = interpret_slm(program, tokens[: position + 1], np.float32)[-1]
        assert tokens[position + 1] == sample_token(logits, SamplerSettings(temperature=1.0, seed=7), position)
    assert write_text(program, [3], 12, 8, lambda *_: None) != tokens


def test_the_storyteller_writes_stories() -> None:
    from frontends import load_program
    from frontends.tokenizer import TextTokenizer

    program = load_program(STORYTELLER)
    tokens = write_text(program, [0], 40, 1, lambda *_: None)
    assert program.tokenizer_json is not None
    text = TextTokenizer(program.tokenizer_json).decode(tokens)
    assert len(text.split()) > 15

"""At the limits: more views than descriptor registers, kinds of layers without weights, nothing to sample, too much SMEM or DRAM."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compiler.driver import compile_program, lower
from compiler.errors import SMEM_HINT, CompileError
from compiler.program import Program
from frontends import load_program
from isa.abi import Sampler
from simulator.session import Session, SessionError
from tests.end_to_end.e2e_support import build, check_bits, options, prompt_of, tiny_program

ATTENTIONS = 6


def own_program(text: str, folder: Path) -> Program:
    path = folder / "own.slm"
    path.write_text(text)
    return load_program(path, random_seed=2)


def many_attentions() -> str:
    numbers = range(ATTENTIONS)
    rotaries = "\n".join(f"  rope{n} = rotary(hd, {10000 + n})" for n in numbers)
    weights = "\n".join(
        f"    q{n}: linear(d -> [4, hd])\n    k{n}: linear(d -> [2, hd])\n    o{n}: linear([4, hd] -> d)"
        for n in numbers
    )
    body = "\n".join(f"    x += o{n}(attention(rope{n}(q{n}(x)), rope{n}(k{n}(x)), k{n}(x)))" for n in numbers)
    return f"""architecture own for "own"
config {{
  V = 53
  d = 32
  hd = 8
{rotaries}
}}
weights {{
  embed: embedding(V, d)
  layers[i < 2] {{
{weights}
  }}
  head: linear(d -> V)
}}
def forward(tokens: [T]) {{
  x = embed(tokens)
  for i in layers {{
{body}
  }}
  return head(x)
}}
"""


WEIGHTLESS_KINDS = """architecture own for "own"
config {
  V = 53
  d = 8
}
weights {
  embed: embedding(V, d)
  head: linear(d -> V)
  g[i < 4] { n: rms_norm(d, 1e-5) if i == 0
  }
}
def forward(tokens: [T]) {
  x = embed(tokens)
  y = x * 2
  for i in g {
    if i == 0 { x += n(y) } else { if i % 2 == 1 { x += y * 0.5 } else { y += x + 1 } }
  }
  return head(x + y)
}
"""


def test_more_views_than_descriptor_registers(tmp_path):
    program = own_program(many_attentions(), tmp_path)
    check_bits(program, options("edge", "w8a8", 64), prompt_of(9, 53), 3)


def test_kinds_of_layers_without_weights(tmp_path):
    check_bits(own_program(WEIGHTLESS_KINDS, tmp_path), options("edge", "fp32", 64), prompt_of(9, 53), 3)


class HugeHead:
    """Weights whose logits overflow to NaN or infinity, though each weight is finite."""

    def __init__(self, weights):
        self.weights = weights

    def __getattr__(self, name):
        return getattr(self.weights, name)

    def load(self, name):
        values = self.weights.load(name).copy()
        return np.sign(values) * np.float32(3e38) if name == "head.weight" else values

    def rows_of(self, name):
        return self.load(name).__getitem__


@pytest.mark.parametrize("settings", [{}, {"sampler": Sampler.TOP_K_TOP_P, "top_k": 8, "top_p": 0.9}])
def test_nothing_to_sample(settings):
    program = tiny_program(tie_word_embeddings=False)
    program = replace(program, weights=HugeHead(program.weights))
    session = Session(build(program, options("edge", "fp32", 32)))
    with pytest.raises(SessionError, match="no token can be chosen: every logit is NaN or -inf"):
        list(session.generate([1, 2, 3], 2, **settings))


def test_a_top_p_that_is_zero_in_fp32():
    session = Session(build(tiny_program(), options("edge", "fp32", 32)))
    with pytest.raises(SessionError, match="top_p is 1e-60, expected a number above 0 and up to 1"):
        session.generate([1], 1, sampler=Sampler.TOP_K_TOP_P, top_k=4, top_p=1e-60)


def test_too_many_layers_for_smem():
    with pytest.raises(CompileError, match="bytes of SMEM") as caught:
        lower(tiny_program(num_hidden_layers=900), options("edge", "fp32", 32))
    assert caught.value.hint == SMEM_HINT


def test_too_many_descriptors_for_smem(monkeypatch):
    """Kinds of layers multiply them; a small SMEM is quicker than many kinds."""
    monkeypatch.setattr("compiler.selection.descriptors.SMEM_BYTES", 2048)
    with pytest.raises(CompileError, match="the program needs more than 2048 bytes of SMEM") as caught:
        lower(tiny_program(), options("edge", "fp32", 32, chunk=8))
    assert caught.value.hint == SMEM_HINT


def test_more_dram_than_the_machine_has(tmp_path):
    path = tmp_path / "model.slx"
    program = tiny_program(vocab_size=2_000_000, hidden_size=1024, num_attention_heads=8, head_dim=128)
    with pytest.raises(CompileError, match=r"the program needs \d+ bytes of DRAM, the machine has \d+"):
        compile_program(program, options("edge", "fp32", 32), path)
    assert not path.exists()


def test_a_tensor_too_large_for_a_descriptor():
    program = tiny_program(head_dim=1024, max_position_embeddings=1 << 20)
    with pytest.raises(CompileError, match="a tensor is too large for a descriptor"):
        lower(program, options("edge", "fp32", 1 << 20))


def test_the_last_plan_does_without_double_buffering():
    """Heads of 256 in fp32: two tiles of 32 keys and 32 values would take all 64 KiB of SRAM."""
    program = tiny_program(num_attention_heads=2, num_key_value_heads=1, head_dim=256)
    chosen = options("tiny", "fp32", 300)
    executable = build(program, chosen)
    assert executable.meta["plan"]["buffers"] == 1
    check_bits(program, chosen, prompt_of(258, executable.meta["vocabulary"]), 2, executable)

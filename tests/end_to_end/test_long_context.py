"""Decoding at a long context stays near to the floor of the DRAM: two layers of a full-size model, 32 K positions in the cache."""

from __future__ import annotations

from pathlib import Path

import pytest

import slmc
from frontends import Virtual
from slmc.building import Checkpoint
from tests.end_to_end.e2e_support import build, options

CONFIG = Path(__file__).parents[2] / "examples" / "configs" / "llama-3.2-1b.json"
CONTEXT = 32_768


@pytest.mark.parametrize("scheme", ["w8a8", "w8a8-kv8", "w8a8-kv4"])
def test_decoding_at_32_k(scheme: str) -> None:
    program = Checkpoint(CONFIG, overrides={"num_hidden_layers": "2"}, virtual=Virtual.ALWAYS).load()
    session = slmc.Session(build(program, options("edge", scheme, CONTEXT)), timing_only=True, position=CONTEXT - 4)
    assert len(list(session.generate([0], 3))) == 3
    decode = session.report().decode
    heads, head_dim, cache_bytes = 8, 64, {"w8a8": 2.0, "w8a8-kv8": 1.0, "w8a8-kv4": 0.5}[scheme]
    assert decode.dram_bytes / decode.tokens > 2 * 2 * (CONTEXT - 256) * heads * head_dim * cache_bytes
    assert decode.ratio_to_floor is not None and decode.ratio_to_floor < 1.1

"""Layer norms in stages, and loads between the heads of an attention: the bits are those of slmq."""

from __future__ import annotations

import pytest
from xdsl.ir import SSAValue

from compiler.lowering.ahead import Ahead
from compiler.lowering.plan import EARLY_ATTENTION, EARLY_KEYS, EARLY_NARROW
from compiler.lowering.query_tiles import QueryTiles
from compiler.transforms import choose_tiling
from tests.end_to_end.e2e_support import options, tiny_program
from tests.end_to_end.mixture_support import program_of
from tests.end_to_end.spilling_support import WIDE, check, labels_of, layered, only_early

SUB_NORMED = layered(
    """
    a, b: layer_norm(d, 1e-5); c: layer_norm(f, 1e-5); q, k, v: linear(d -> [H, hd]); o: linear([H, hd] -> d)
    up: linear(d -> f); down: linear(f -> d)
    """,
    """
    h = a(x)
    x += o(attention(q(h), k(h), v(h)))
    x += down(c(gelu(up(b(x)))))
    """,
    sizes="f = .f ?? 192; ",
)


@pytest.mark.parametrize("scheme", ["w8a8", "bf16", "w4a8-g32"])
@pytest.mark.parametrize("length", [1, 33, 70, 140])
def test_layer_norms_in_stages(monkeypatch: pytest.MonkeyPatch, scheme: str, length: int) -> None:
    """Squares summed by the matrix unit, and means by the strips in front; parts of rows that are full, half full, and less."""
    only_early(monkeypatch, EARLY_NARROW | EARLY_KEYS)
    monkeypatch.setattr(choose_tiling, "SPILL_SHARES", ((64, 32, 4),))
    program, chosen = program_of(SUB_NORMED), options("tiny", scheme, 160, sram_bytes=384 << 10)
    assert check(program, chosen, length).early & EARLY_NARROW
    assert {"squares", "row_means"} <= labels_of(program, chosen)


@pytest.mark.parametrize("length", [7, 140])
def test_loads_between_heads(monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    """What comes behind attention is loaded while its first groups of heads end."""
    only_early(monkeypatch, EARLY_KEYS | EARLY_NARROW | EARLY_ATTENTION)
    issued: list[Ahead] = []
    load_between = QueryTiles.load_between

    def counted(tiles: QueryTiles, ahead: Ahead, turn: SSAValue) -> None:
        issued.append(ahead)
        load_between(tiles, ahead, turn)

    monkeypatch.setattr(QueryTiles, "load_between", counted)
    program = tiny_program(4, **WIDE | {"num_attention_heads": 8, "num_key_value_heads": 8})
    assert check(program, options("tiny", "w8a8", 160, sram_bytes=320 << 10), length).early & EARLY_ATTENTION
    assert issued

"""What comes before its time in chunks of tokens: the bits are those of slmq and of plans without."""

from __future__ import annotations

from itertools import product

import pytest

from compiler.dialects import tile
from compiler.driver import lower
from compiler.lowering.plan import (
    EARLY_ATTENTION,
    EARLY_BESIDE,
    EARLY_GROUPS,
    EARLY_KEYS,
    EARLY_LAYERS,
    EARLY_NARROW,
    EARLY_REGIONS,
    EARLY_ROWS,
    EARLY_WIDE,
)
from compiler.transforms import choose_tiling, refine_plan
from tests.end_to_end.e2e_support import options, some_quick, tiny_program
from tests.end_to_end.mixture_support import program_of
from tests.end_to_end.spilling_support import MANY_HEADS, check, layered, only_early, starve


@pytest.mark.parametrize(
    "early",
    [
        EARLY_KEYS,
        EARLY_NARROW,
        EARLY_GROUPS,
        EARLY_REGIONS,
        EARLY_NARROW | EARLY_WIDE,
        EARLY_NARROW | EARLY_ATTENTION | EARLY_LAYERS,
        EARLY_GROUPS | EARLY_REGIONS | EARLY_LAYERS,
    ],
)
@pytest.mark.parametrize("length", [33, 140])
def test_early(monkeypatch: pytest.MonkeyPatch, early: int, length: int) -> None:
    """Each alone and where there is room for it; whole blocks of keys, as for the first ones."""
    only_early(monkeypatch, early)
    chosen = options("tiny", "w8a8", 160, sram_bytes=320 << 10)
    assert check(tiny_program(4, **MANY_HEADS), chosen, length).early == early


NORMED = layered(
    "a: rms_norm(d, 1e-5); qn, kn: rms_norm([H, hd], 1e-5); q, k, v: linear(d -> [H, hd]); o: linear([H, hd] -> d)",
    """
    h = a(x)
    x += o(attention(qn(q(h)), kn(k(h)), v(h)))
    """,
    heads=8,
)


@pytest.mark.parametrize("scheme", ["w8a8", "bf16"])
@pytest.mark.parametrize("length", [33, 140])
def test_rows_beside_products(monkeypatch: pytest.MonkeyPatch, scheme: str, length: int) -> None:
    """Norms of queries and keys while values are multiplied; keys go to the cache from there."""
    only_early(monkeypatch, EARLY_BESIDE)
    monkeypatch.setattr(choose_tiling, "SPILL_SHARES", ((64, 64, 4),))
    chosen = options("tiny", scheme, 160, chunk=24, sram_bytes=128 << 10)
    assert check(program_of(NORMED), chosen, length).early == EARLY_BESIDE


HEADS = layered(
    "a: rms_norm(d, 1e-5); qn, kn: rms_norm(hd, 1e-5, offset=1); q: linear(d -> [H, hd]); k, v: linear(d -> [G, hd]);"
    " o: linear([H, hd] -> d)",
    """
    h = a(x)
    x += o(attention(QUERY, rope(kn(k(h))), v(h)))
    """,
    sizes="G = .g ?? 2; rope = rotary(hd, 10000, max_positions=512)",
)


@pytest.mark.parametrize(
    ("query", "scheme", "length"),
    some_quick(
        product(
            ["rope(qn(q(h)))", "qn(q(h))", "qn(rope(q(h)))"],
            ["w8a8", "bf16", "w4a8-g32", "w8a8-kv8", "fp32"],
            [1, 9, 140],
        ),
        ("rope(qn(q(h)))", "w8a8", 140),
        ("qn(q(h))", "w8a8-kv8", 9),
        ("qn(rope(q(h)))", "bf16", 140),
        ("rope(qn(q(h)))", "fp32", 1),
    ),
)
@pytest.mark.parametrize("early", [0, EARLY_GROUPS])
def test_norms_of_heads(monkeypatch: pytest.MonkeyPatch, query: str, scheme: str, length: int, early: int) -> None:
    """They are part of the strips, in front of the rotary embedding or behind it, in chunks and in single tokens."""
    if early:
        only_early(monkeypatch, early)
    program, chosen = program_of(HEADS.replace("QUERY", query)), options("tiny", scheme, 160, sram_bytes=256 << 10)
    assert check(program, chosen, length).early == early


POST = layered(
    "a, b, m: rms_norm(d, 1e-5); q, k, v: linear(d -> [H, hd]); o: linear([H, hd] -> d);"
    " up: linear(d -> f); down: linear(f -> d)",
    """
    h = BEGIN
    x += a(o(attention(q(h), k(h), v(h), window=WINDOW)))
    x += b(down(silu(up(x))))
    """,
    sizes="f = .f ?? 208; is_local = [i % 2 == 0 for i in 0..L]",
)
LAST_ROWS = EARLY_LAYERS | EARLY_ROWS


@pytest.mark.parametrize(
    ("begin", "window", "length"),
    some_quick(
        product(["m(x)", "x"], ["null", "24 if is_local[i] else null"], [5, 33, 140]),
        ("m(x)", "24 if is_local[i] else null", 140),
        ("x", "null", 33),
    ),
)
@pytest.mark.parametrize("is_wide", [False, True])
def test_rows_of_the_next_layer(
    monkeypatch: pytest.MonkeyPatch, begin: str, window: str, length: int, is_wide: bool
) -> None:
    """Made by the last region of a layer, of one kind and of two, and where it reads the sums of a late product."""
    only_early(monkeypatch, LAST_ROWS)
    if is_wide:
        monkeypatch.setattr(refine_plan, "wide_tiles", lambda *_: [32])
        monkeypatch.setattr(choose_tiling, "SPILL_SHARES", ((64, 16, 4),))
    text = POST.replace("BEGIN", begin).replace("WINDOW", window)
    text = text.replace("a, b, m:", "a, b:" if begin == "x" else "a, b, m:")
    program = program_of(text if "is_local[i]" in window else text.replace("is_local = [i % 2 == 0 for i in 0..L]", ""))
    chosen = options("tiny", "w8a8", 160, sram_bytes=256 << 10)
    assert check(program, chosen, length).early == LAST_ROWS
    renewed = [op.buffer.owner for op in lower(program, chosen, "tile").walk() if isinstance(op, tile.RenewOp)]
    labels = {alloc.label.data for alloc in renewed if isinstance(alloc, tile.AllocOp)}
    assert {"ahead", "rows", "products"} <= labels


def test_plans_without_room_have_no_rows_of_the_next_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    starve(monkeypatch)
    text = POST.replace("BEGIN", "m(x)").replace("WINDOW", "null").replace("is_local = [i % 2 == 0 for i in 0..L]", "")
    assert not check(program_of(text), options("tiny", "w8a8", 160, sram_bytes=64 << 10), 40).early & EARLY_ROWS

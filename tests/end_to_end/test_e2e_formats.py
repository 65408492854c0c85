"""Matrices in quantised formats: simulator bits = slmq interpreter bits for every scheme and machine; mixed schemes; stored blocks."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp

from compiler.dialects import slm, slmq
from compiler.driver import Options, lower
from compiler.emit.executable import places_of
from compiler.emit.recipes import Recipe
from compiler.errors import CompileError
from compiler.lowering.plan import TilePlan
from compiler.lowering.strip_shapes import strip_shapes
from compiler.program import Program
from compiler.verify_each import StageVerifier
from frontends import Virtual, load_program
from simulator.report import build_report
from simulator.session import Session
from tests.end_to_end.e2e_support import build, check_bits, machine, options, prompt_of, some_quick, tiny_program
from tests.end_to_end.mixture_support import mixtral
from tests.end_to_end.test_fast_models import check as check_engines

GGUF = Path(__file__).parents[1] / "golden" / "gguf"
CONFIGS = Path(__file__).parents[2] / "examples" / "configs"
VOCABULARY = 67
BANK_BYTES = 1 << 15


def columns_unit(scheme: str) -> int:
    """Of what the columns of every matrix must be multiples."""
    if scheme.startswith("mx"):
        return 32
    return next((int(part[1:]) for part in scheme.split("-") if part[0] == "g"), 64 if scheme.startswith("w4") else 8)


def model(scheme: str, seed: int = 1, widths: tuple[int, int, int] = (1, 1, 2), **changes: Any) -> Program:
    """A model whose hidden, attention and intermediate widths are so many groups; strips and k-tiles end short."""
    unit = columns_unit(scheme)
    hidden, attention, intermediate = (unit * width for width in widths)
    heads = 4 if attention % 4 == 0 and attention // 4 % 2 == 0 else 1
    fields: dict[str, Any] = {
        "hidden_size": hidden, "num_attention_heads": heads, "num_key_value_heads": max(1, heads // 2),
        "head_dim": attention // heads, "intermediate_size": intermediate,
    }  # fmt: skip
    return tiny_program(seed, **(fields | changes))


def rounded_up(sram_bytes: int, name: str) -> int:
    return -(-sram_bytes // BANK_BYTES) * BANK_BYTES if name == "edge" else sram_bytes


# One case for each scheme: (scheme, machine, chunk, SRAM bytes or 0, widths in groups).
CASES = [
    ("w8a16", "edge", 7, 0, (9, 5, 7)),
    ("w8a8-g32", "tiny", 5, 24 << 10, (3, 2, 5)),
    ("w8a8-g64-s24", "edge", 0, 0, (2, 1, 3)),
    ("w8a16-g32", "edge", 3, 1 << 15, (5, 1, 7)),
    ("w8a16-g128", "tiny", 0, 0, (1, 1, 2)),
    ("w8a8-s24", "tiny", 3, 20 << 10, (19, 4, 37)),
    ("w8a16-s24", "tiny", 5, 20 << 10, (19, 4, 37)),
    ("w4a8", "edge", 0, 0, (1, 1, 2)),
    ("w4a8-g32", "tiny", 5, 27 << 10, (7, 2, 9)),
    ("w4a8-g128", "edge", 3, 1 << 15, (3, 1, 5)),
    ("w4a8-zp", "tiny", 7, 36 << 10, (3, 1, 5)),
    ("w4a8-g32-zp-kv8", "edge", 0, 0, (3, 1, 5)),
    ("w4a8-s24", "tiny", 0, 0, (1, 1, 3)),
    ("w4a8-g32-s24", "edge", 5, 1 << 15, (7, 2, 9)),
    ("w4a8-kv8", "tiny", 3, 0, (1, 1, 1)),
    ("w4a8-kv4", "edge", 3, 0, (1, 1, 1)),
    ("w4a16", "tiny", 5, 24 << 10, (3, 1, 5)),
    ("w4a16-g32", "edge", 0, 1 << 15, (7, 2, 9)),
    ("w4a16-g32-zp", "tiny", 3, 24 << 10, (7, 2, 9)),
    ("w4a16-zp-kv4", "edge", 0, 0, (1, 1, 2)),
    ("w4a16-g128-zp", "edge", 1, 1 << 15, (3, 1, 5)),
    ("w4a16-g32-s24-kv8", "tiny", 0, 20 << 10, (7, 2, 9)),
    ("mxfp4", "edge", 3, 1 << 15, (7, 2, 9)),
    ("mxfp4-kv8", "tiny", 5, 24 << 10, (5, 1, 7)),
    ("mxfp8", "tiny", 0, 24 << 10, (7, 2, 9)),
    ("mxfp8-kv4", "edge", 5, 0, (3, 1, 5)),
]


def check_case(
    scheme: str, name: str, chunk: int, sram_bytes: int, program: Program, length: int = 11, seed: int = 1
) -> None:
    chosen = Options(machine(name, rounded_up(sram_bytes, name)), scheme, 64, chunk, predict=False)
    check_bits(program, chosen, prompt_of(length, VOCABULARY, seed), 3)


@pytest.mark.parametrize(("scheme", "name", "chunk", "sram_bytes", "widths"), some_quick(CASES, *CASES[::2]))
def test_every_scheme(scheme: str, name: str, chunk: int, sram_bytes: int, widths: tuple[int, int, int]) -> None:
    """test_e2e_int4_cache.py has int4 caches."""
    program = model(scheme, widths=widths, attention_bias=chunk % 2 == 1, mlp_bias=chunk % 2 == 1)
    check_case(scheme, name, chunk, sram_bytes, program)


@pytest.mark.parametrize(
    "case", [case for case in CASES if case[0] in ("w8a16-s24", "w4a8-g32", "w4a16-g32-zp", "mxfp4", "mxfp8")]
)
def test_the_small_memories_above_cut_rows(case: tuple[str, str, int, int, tuple[int, int, int]]) -> None:
    """Whole k-tiles and a shorter last one."""
    scheme, name, chunk, sram_bytes, widths = case
    chosen = Options(machine(name, rounded_up(sram_bytes, name)), scheme, 64, chunk, predict=False)
    program = model(scheme, widths=widths)
    plan = TilePlan.of(lower(program, chosen, "tile"))
    groups = [op for op in lower(program, chosen, "slmq").walk() if isinstance(op, slmq.StripsOp)]
    tiles = [(m.columns, shape.k_tile) for group in groups for m, shape in strip_shapes(plan, group).items()]
    assert any(k_tile < columns for columns, k_tile in tiles)
    assert any(columns % k_tile for columns, k_tile in tiles)


@pytest.mark.long
@pytest.mark.parametrize("name", ["edge", "tiny"])
@pytest.mark.parametrize("scheme", [case[0] for case in CASES])
def test_every_scheme_on_every_machine(scheme: str, name: str) -> None:
    for widths, chunk, sram_bytes in (((1, 1, 1), 3, 0), ((3, 2, 5), 9, 192 << 10), ((5, 1, 3), 0, 1 << 16)):
        if columns_unit(scheme) == 8:
            widths = (widths[0] * 5, widths[1], widths[2] * 7)
        program = model(scheme, 3, widths, num_hidden_layers=2, attention_bias=True, tie_word_embeddings=False)
        check_case(scheme, name, chunk, sram_bytes, program, 40)


SETTINGS = settings(
    deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None, phases=[Phase.generate]
)


@st.composite
def schemes(draw: st.DrawFn) -> str:
    """Every name that named_scheme takes and that has integer matrices."""
    cache = draw(st.sampled_from(["", "", "-kv8", "-kv4"]))
    base = draw(st.sampled_from(["w8a8", "w8a16", "w4a8", "w4a16", "mxfp4", "mxfp8"]))
    if base.startswith("mx"):
        return base + cache
    group = draw(st.sampled_from(["", "-g32", "-g64", "-g128"]))
    more = draw(st.sampled_from(["", "", "-s24", *(["-zp", "-zp"] if base.startswith("w4") else [])]))
    return base + group + more + cache


def check_random(
    scheme: str, widths: tuple[int, int, int], where: tuple[str, int], numbers: tuple[int, int, int]
) -> None:
    """numbers: chunk, length of the prompt, seed."""
    name, sram_bytes = where
    chunk, length, seed = numbers
    scale = 1 if columns_unit(scheme) > 8 else 5
    program = model(
        scheme, seed, (widths[0] * scale, widths[1], widths[2] * scale), vocab_size=VOCABULARY,
        attention_bias=seed % 2 == 0, mlp_bias=seed % 3 == 0, tie_word_embeddings=seed % 5 != 0,
    )  # fmt: skip
    try:
        check_case(scheme, name, chunk, sram_bytes, program, length, seed)
    except CompileError as error:
        assert "the smallest plan needs" in error.message
        assert machine(name, rounded_up(sram_bytes, name)).sram_bytes < 1 << 18  # rows of 17 tokens are not small
        assume(False)


WIDTHS = st.tuples(st.integers(1, 7), st.sampled_from([1, 1, 2, 3]), st.integers(1, 7))
WHERE = st.tuples(
    st.sampled_from(["edge", "tiny"]), st.sampled_from([0, 16 << 10, 20 << 10, 1 << 15, 1 << 16, 1 << 18])
)
NUMBERS = st.tuples(st.sampled_from([0, 0, 1, 3, 5, 17]), st.integers(1, 40), st.integers(0, 99))


@pytest.mark.long
@settings(SETTINGS, max_examples=300)
@given(schemes(), WIDTHS, WHERE, NUMBERS)
def test_random_schemes(
    scheme: str, widths: tuple[int, int, int], where: tuple[str, int], numbers: tuple[int, int, int]
) -> None:
    check_random(scheme, widths, where, numbers)


# Experts


@pytest.mark.parametrize(
    ("scheme", "name"),
    [("w4a8-g32", "tiny"), *[pytest.param(*case, marks=pytest.mark.long) for case in (
        ("w4a16-g32-zp", "edge"), ("w4a8-g32-zp", "tiny"), ("w4a8-g32-s24", "edge"), ("w8a16-g32", "tiny"),
        ("mxfp4", "edge"), ("mxfp8", "tiny"),
    )]],
)  # fmt: skip
def test_experts(scheme: str, name: str) -> None:
    program = mixtral(hidden_size=96, num_attention_heads=4, num_key_value_heads=2, head_dim=8, intermediate_size=160)
    check_bits(program, options(name, scheme, 64, 5), prompt_of(13, VOCABULARY), 3)


# Mixed schemes


def formats_of(module: ModuleOp) -> Counter[str]:
    """How many matrices are packed in each format."""
    recipes = [Recipe.of(place.what) for place in places_of(module)]
    return Counter(str(recipe.format) for recipe in recipes if recipe.kind == "matrix")


def mixed(folder: Path, text: str) -> str:
    path = folder / "mixed.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


MIXED = """
base = "w4a8-g32-kv8"
[[rule]]
match = "layers.0.*"
scheme = "w8a8"
[[rule]]
match = "layers.[1-3].down.weight"
scheme = "w4a16-g32-zp"
[[rule]]
match = "layers.2.*"
scheme = "w8a16-s24"
[[rule]]
match = "head.weight"
scheme = "bf16"
"""


def mixed_model() -> Program:
    return model("w4a8-g32", widths=(2, 1, 3), num_hidden_layers=5, tie_word_embeddings=False)


def kinds_of(module: ModuleOp) -> list[int]:
    (layers,) = [op for op in module.walk() if isinstance(op, slm.LayersOp)]
    assert len(layers.kinds) == max(layers.layer_kinds) + 1
    return list(layers.layer_kinds)


def test_layers_that_differ(tmp_path: Path) -> None:
    """Layer 0 in int8, 2 sparse but for its `down`, 1 and 3 with another `down` than 4: four kinds."""
    chosen = options("edge", mixed(tmp_path, MIXED), 64, 3)
    module = lower(mixed_model(), chosen, "slmq")
    assert kinds_of(module) == [0, 1, 2, 1, 3]
    forms: dict[str, str] = {}
    for op in module.walk():
        if isinstance(op, slmq.MatmulOp):
            forms[op.weight.key.data] = f"{op.format.data}:{slmq.element_of(op.x.type)}"
    assert forms["head.weight"] == "bf16:bf16"
    (layers,) = [op for op in module.walk() if isinstance(op, slm.LayersOp)]
    down = [
        [f"{op.format.data}:{slmq.element_of(op.x.type)}" for op in kind.walk() if isinstance(op, slmq.MatmulOp)]
        for kind in layers.kinds
    ]
    assert set(down[0]) == {"i8:i8"}
    assert set(down[1]) == {"i4-g32:i8", "i4-g32-zp:bf16"}
    assert set(down[2]) == {"i8-s24:bf16", "i4-g32-zp:bf16"}
    assert set(down[3]) == {"i4-g32:i8"}
    check_bits(mixed_model(), chosen, prompt_of(9, VOCABULARY), 3)


def test_microscaled_layers(tmp_path: Path) -> None:
    """Layers in MXFP4 and MXFP8, the rest in int8."""
    text = 'base = "w8a8-kv8"\n' + "".join(
        f'[[rule]]\nmatch = "{match}"\nscheme = "{scheme}"\n'
        for match, scheme in (("layers.0.*", "mxfp8"), ("layers.[1-3].*", "mxfp4"))
    )
    chosen = options("tiny", mixed(tmp_path, text), 64, 3)
    found = formats_of(lower(mixed_model(), chosen))
    assert set(found) == {"e4m3-g32", "e2m1-g32", "i8"}
    check_bits(mixed_model(), chosen, prompt_of(9, VOCABULARY), 3)


def test_the_first_rule_that_fits_wins(tmp_path: Path) -> None:
    text = 'base = "bf16"\n' + "".join(
        f'[[rule]]\nmatch = "{match}"\nscheme = "{scheme}"\n'
        for match, scheme in (("layers.1.*", "w8a16"), ("layers.*", "w4a16-g32"), ("layers.2.*", "fp32"))
    )
    module = lower(mixed_model(), options("edge", mixed(tmp_path, text), 64, 3), "slmq")
    assert kinds_of(module) == [0, 1, 0, 0, 0]


def test_experts_of_another_format(tmp_path: Path) -> None:
    text = 'base = "w8a8"\n[[rule]]\nmatch = "layers.1.experts.*.up.weight"\nscheme = "w4a8-g32-zp"\n'
    program = mixtral(hidden_size=64, num_attention_heads=4, num_key_value_heads=2, head_dim=8, intermediate_size=32)
    chosen = options("tiny", mixed(tmp_path, text), 64, 5)
    assert kinds_of(lower(program, chosen, "slmq")) == [0, 1]
    assert formats_of(lower(program, chosen))["i4-g32-zp"] == 1
    check_bits(program, chosen, prompt_of(9, VOCABULARY), 3)


# Stored blocks


@pytest.mark.parametrize(
    ("file", "scheme", "name", "form"),
    [
        ("llama_q4_0", "stored_a8", "edge", "i4-g32"),
        ("llama_q4_1", "stored_a16", "tiny", "i4-g32-zp"),
        ("llama_q8_0", "stored_a16", "edge", "i8-g32"),
        ("llama_mxfp4", "stored_a16", "tiny", "e2m1-g32"),
        *[pytest.param(*case, marks=pytest.mark.long) for case in (
            ("llama_q4_0", "stored_a16-kv8", "tiny", "i4-g32"), ("llama_q4_1", "stored_a8", "edge", "i4-g32-zp"),
            ("llama_q8_0", "stored_a8-kv4", "tiny", "i8-g32"), ("llama_mxfp4", "stored_a16-kv4", "edge", "e2m1-g32"),
        )],
    ],
)  # fmt: skip
def test_blocks_as_they_are_stored(file: str, scheme: str, name: str, form: str) -> None:
    program = load_program(GGUF / f"{file}.gguf")
    chosen = options(name, scheme, 64, 5)
    found = formats_of(lower(program, chosen))
    assert found[form] > 0
    check_bits(program, chosen, prompt_of(9, 60), 2)


@pytest.mark.parametrize(
    ("scheme", "found"),
    [
        ("stored_a16", "15 in MXFP4 run as they are stored (e2m1-g32)"), ("mxfp4", "15 in MXFP4 run as they are stored (e2m1-g32)"),
        ("stored_a8", "15 in MXFP4 converted to i8"),
    ],
)  # fmt: skip
def test_mxfp4_blocks_take_float_inputs(scheme: str, found: str) -> None:
    """What becomes of them is told; the embedding is rows of bf16 in each case."""
    executable = build(load_program(GGUF / "llama_mxfp4.gguf"), options("tiny", scheme, 64, 5))
    assert sorted(executable.meta["conversions"]) == sorted(
        [f"weights: {found}", "weights: 1 in MXFP4 converted to bf16"]
    )


# Passes, and timing


@pytest.mark.parametrize(
    "scheme", ["w4a8-zp", pytest.param("w4a16", marks=pytest.mark.long), pytest.param("w8a16-s24", marks=pytest.mark.long),
               pytest.param("w4a8-g32-s24", marks=pytest.mark.long)],
)  # fmt: skip
def test_no_pass_changes_a_bit(scheme: str) -> None:
    program = model(scheme, widths=(1, 1, 2) if columns_unit(scheme) > 8 else (9, 2, 11))
    verifier = StageVerifier(program, 64, VOCABULARY)
    lower(program, options("tiny", scheme, 64, 3), observe=verifier)
    assert {"fuse-strips", "double-buffer", "allocate-sram"} <= set(verifier.checked)


@pytest.mark.parametrize("scheme", ["w4a8", "w4a8-s24", "mxfp4", "mxfp8"])
def test_engines_agree(scheme: str) -> None:
    executable = build(model(scheme, widths=(3, 1, 5)), options("tiny", scheme, 96, 0, 24 << 10))
    check_engines(executable, [[1, 2, 3, 4, 5, 6, 7], [4], list(range(20))], new=4, seed=3)


# Bytes

BITS = {"w8a8": 8, "w8a8-g32": 8 + 16 / 32, "w8a8-s24": 4 + 1, "w4a8-s24": 2 + 1 + 16 / 64,
        "mxfp4": 4 + 8 / 32, "mxfp8": 8 + 8 / 32} | {
    f"w4{inputs}-g{group}{offsets}": 4 + 16 * (2 if offsets else 1) / group
    for inputs, group, offsets in (
        ("a8", 32, ""), ("a8", 64, ""), ("a8", 128, ""), ("a16", 64, ""), ("a8", 32, "-zp"), ("a8", 64, "-zp")
    )
}  # fmt: skip
"""Of a weight, with its part of the scales and offsets of its group, and of the positions of kept columns."""


@cache
def decoding(scheme: str) -> tuple[int, float]:
    """Bytes of WEIGHT that a timed run reads, and the DRAM floor of a token in cycles: of SmolLM2's config with four layers of widths that
    every group divides, large enough for other weights hardly to count."""
    config = json.loads((CONFIGS / "smollm2-135m.json").read_text("utf-8"))
    config |= {"num_hidden_layers": 4, "hidden_size": 1024, "num_attention_heads": 16, "num_key_value_heads": 4}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        program = load_program(path, virtual=Virtual.IF_ABSENT)
    executable = build(program, options("edge", scheme, 64, 8))
    session = Session(executable, engine="fast", timing_only=True)
    assert len(list(session.generate([1, 2, 3], 3))) == 3
    assert session.clock is not None
    report = build_report(session.clock, executable, 3)
    return report.bytes_by_region["WEIGHT"]["read"], report.decode.floor.dram / report.decode.tokens


@pytest.mark.parametrize("scheme", BITS)
def test_decoding_moves_the_bits_of_its_weights(scheme: str) -> None:
    """Within 1 % of int8 by row times the ratio of bits."""
    found, expected = decoding(scheme), decoding("w8a8")
    ratio = BITS[scheme] / 8
    assert found[0] == pytest.approx(expected[0] * ratio, rel=0.01)
    assert found[1] == pytest.approx(expected[1] * ratio, rel=0.01)

"""Images: a published model that sees, and small ones that bend every rule of cutting, bit for bit down to the machine."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import slmc
from compiler.driver import lower
from compiler.emit.text import instructions, programs_of
from compiler.images import ImageInput, image_shape, places_at
from compiler.interpreters.slm import interpret_slm
from compiler.program import Program
from compiler.verify_each import StageVerifier
from frontends import load_program
from isa.abi import RunFlag
from isa.container import Executable
from isa.machine import Machine
from simulator.report import build_report
from simulator.session import Picture, Session
from simulator.timing import TimingModel
from slmc.interpreting import image_input, interpret_level
from tests.end_to_end.e2e_support import assert_same_bits, build, interpreter, options

KOSMOS2 = Path(__file__).parents[1] / "golden" / "images" / "kosmos2"
PICTURE = KOSMOS2 / "picture.png"
PROMPT = "<grounding>An image of a fox"
TOLERANCE = 2e-4
SEEING = """
architecture seeing for "seeing"
config {
  V = .vocab_size ?? 61
  d = .hidden_size ?? 24
  vd = .vision_size ?? 20
  S = .image_size ?? 14
  P = .patch_size ?? 4
  n = .latents ?? 5
  N = .vision_layers ?? 2
  cap = .softcap ?? null
}
weights {
  embed: embedding(V, d)
  layers[i < 2] {
    norm1, norm2: rms_norm(d, 1e-5)
    q, k, v: linear(d -> [3, 8])
    o: linear([3, 8] -> d)
    up: linear(d -> 40)
    down: linear(40 -> d)
  }
  norm: rms_norm(d, 1e-5)
  head: linear(d -> V)
  patch: linear([3, P, P] -> vd)
  class: tensor([1, vd])
  places: tensor([(S // P) ** 2 + 1, vd])
  shift: tensor(vd)
  pre: rms_norm(vd, 1e-5)
  eyes[i < N] {
    n1: layer_norm(vd, 1e-5)
    n2: rms_norm(vd, 1e-5)
    q: linear(vd -> [4, 5], bias=true)
    k, v: linear(vd -> [2, 5], bias=true)
    o: linear([4, 5] -> vd, bias=true)
    if i % 2 == 0 { fc1: linear(vd -> 44, bias=true); fc2: linear(44 -> vd) } else { fc: linear(vd -> vd) }
  }
  to_text: linear(vd -> d, bias=true)
  latents: tensor([n, d])
  rq, rk, rv: linear(d -> [3, 8], bias=true)
  ro: linear([3, 8] -> d, bias=true)
}
def see(pixels: [3, S, S]) {
  x = pre(concat(class, patch(patches(pixels, P))) + places) * shift
  for i in eyes {
    h = n1(x)
    x += o(attention(q(h), k(h), v(h), causal=false, softcap=cap))
    if i % 2 == 0 { x += fc2(quick_gelu(fc1(n2(x)))) } else { x = n2(x) - fc(x) }
  }
  y = to_text(l2_normalize(x))
  all = concat(y, latents)
  r = rq(latents)
  return ro(attention(r, rk(all), rv(all), causal=false) + attention(r, r, r, causal=false))
}
def forward(tokens: [T], pixels?: [3, S, S], image_mask?: [T]) {
  x = embed(tokens)
  if pixels { x = replace(x, image_mask, see(pixels)) }
  x = l2_normalize(x) * 4.9
  for i in layers {
    h = norm1(x)
    x += o(attention(q(h), k(h), v(h)))
    x += down(silu(up(norm2(x))))
  }
  return head(norm(x))
}
"""


def seeing(folder: Path, **fields: Any) -> Program:
    """The model of SEEING with random weights."""
    path = folder / "seeing.slm"
    path.write_text(SEEING)
    return load_program(path, random_seed=3, overrides={name: str(value) for name, value in fields.items()})


def random_pixels(program: Program, seed: int = 0) -> np.ndarray:
    shape = image_shape(program.module)
    assert shape is not None
    return np.random.default_rng(seed).normal(size=shape.pixels).astype(np.float32)


def check(
    program: Program, machine: str, scheme: str, chunk: int, prompt: int, first: int, context: int = 64
) -> Executable:
    """Simulator and slmq interpreter agree on every logit of a prompt with an image."""
    chosen = options(machine, scheme, context, chunk)
    executable = build(program, chosen)
    shape, pixels = image_shape(program.module), random_pixels(program)
    assert shape is not None
    tokens = np.random.default_rng(1).integers(0, 61, prompt).tolist()
    session = Session(executable, check_uninitialised=True)
    made = list(session.generate(tokens, 4, dump=RunFlag.DUMP_ALL, image=Picture(pixels, first)))
    golden = interpreter(program, chosen)
    golden.show(ImageInput(pixels, places_at(first, shape.rows, prompt)))
    expected = golden.run([*tokens, *made[:-1]], 7)
    assert_same_bits(session.logits(), expected)
    plain = interpreter(program, chosen).run(tokens)
    assert np.array_equal(plain[:first], expected[:first])
    assert not np.allclose(plain[first], expected[first], atol=1e-2)
    return executable


def test_the_published_model_interpreted() -> None:
    program, golden = load_program(KOSMOS2), np.load(KOSMOS2 / "golden.npz")
    tokens = golden["tokens"].tolist()
    first = int(golden["mask"].argmax())
    shown = image_input(program, PICTURE, first, len(tokens))
    assert np.array_equal(shown.pixels, golden["pixels"])
    assert np.array_equal(shown.places >= 0, golden["mask"] == 1)
    for level in ("slm", "slmq"):
        rows = interpret_level(program, level, "fp32", tokens, shown)
        np.testing.assert_allclose(rows, golden["logits"], rtol=0, atol=TOLERANCE)
    plain = interpret_slm(program, golden["plain_tokens"].tolist())
    np.testing.assert_allclose(plain, golden["plain_logits"], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("machine", ["edge", "tiny"])
def test_the_published_model_on_the_machine(machine: str) -> None:
    golden = np.load(KOSMOS2 / "golden.npz")
    executable = build(load_program(KOSMOS2), options(machine, "fp32", 64, 0 if machine == "edge" else 6))
    session = Session(executable, check_uninitialised=True)
    image = Picture(golden["pixels"], int(golden["mask"].argmax()))
    made = list(session.generate(golden["tokens"].tolist(), 16, dump=RunFlag.DUMP_ALL, image=image))
    assert made == golden["greedy"].tolist()
    expected = np.concatenate([golden["logits"], golden["greedy_logits"][1:]])
    np.testing.assert_allclose(session.logits(), expected, rtol=0, atol=TOLERANCE)
    session.reset()
    list(session.generate(golden["plain_tokens"].tolist(), 1, dump=RunFlag.DUMP_ALL))
    np.testing.assert_allclose(session.logits(), golden["plain_logits"], rtol=0, atol=TOLERANCE)


def test_a_picture_and_a_text(tmp_path: Path) -> None:
    """The published processor's prompt, through the Python API and an executable alone."""
    golden = np.load(KOSMOS2 / "golden.npz")
    executable = slmc.compile(KOSMOS2, scheme="fp32", context=64, output=tmp_path / "kosmos.slx")
    session = slmc.Session(executable)
    tokens, first = session.tokens_of(f" {PROMPT} ", PICTURE)
    assert first is not None
    ids, rows = np.array(tokens), np.arange(first, first + 5)
    assert first == golden["mask"].argmax()
    assert np.array_equal(np.delete(ids, rows), np.delete(golden["tokens"], rows))
    made = list(session.generate(PROMPT, 16, image=PICTURE, keep_logits=True))
    assert made == golden["greedy"].tolist()
    np.testing.assert_allclose(session.logits(), golden["greedy_logits"], rtol=0, atol=TOLERANCE)
    report = session.report()
    assert report.encode.cycles > 0 and report.encode.tokens == 0
    parts = (report.encode, report.prefill, report.decode, report.rest)
    assert sum(part.cycles for part in parts) == report.total.cycles
    assert {section.value for section in report.sections if section.label == 2} == {None, 0, 1, -1}


@pytest.mark.parametrize(
    ("machine", "scheme", "chunk"),
    [("edge", "fp32", 0), ("edge", "w8a8", 4), ("tiny", "bf16", 3), ("tiny", "w8a8", 8), ("edge", "w8a8-kv8", 64)],
)
def test_bits(machine: str, scheme: str, chunk: int, tmp_path: Path) -> None:
    check(seeing(tmp_path), machine, scheme, chunk, prompt=20, first=2)


def test_more_keys_than_a_block(tmp_path: Path) -> None:
    """26 x 26 patches and the class are 677 keys: three blocks of 256; the chunks of rows are not equal."""
    program = seeing(tmp_path, image_size=79, patch_size=3, softcap=2.5)
    check(program, "edge", "bf16", 40, prompt=12, first=7)


def test_other_shapes(tmp_path: Path) -> None:
    """One layer, one latent, one patch: loops of one turn; the image at the end of the prompt."""
    check(seeing(tmp_path, vision_layers=1, latents=1, patch_size=14), "edge", "fp32", 0, prompt=3, first=2)


def test_a_second_image_in_a_conversation(tmp_path: Path) -> None:
    program, chosen = seeing(tmp_path), options("edge", "fp32", 64, 6)
    session, golden = Session(build(program, chosen), check_uninitialised=True), interpreter(program, chosen)
    prompts = [list(range(9)), list(range(20, 30)), list(range(40, 48))]
    images = [Picture(random_pixels(program, 1), 0), None, Picture(random_pixels(program, 2), 3)]
    for prompt, image in zip(prompts, images, strict=True):
        before = session.token_count
        made = list(session.generate(prompt, 2, dump=RunFlag.DUMP_ALL, image=image))
        pending = session.tokens()[golden.position : -1]
        if image is not None and image.pixels is not None:
            places = golden.places[: before + len(prompt)].copy()
            places[before + image.first : before + image.first + 5] = range(5)
            golden.show(ImageInput(image.pixels, places))
        expected = golden.run(pending)
        assert made == expected[-2:].argmax(axis=1).tolist()
        assert_same_bits(session.logits(), expected)


def test_every_pass_keeps_the_bits(tmp_path: Path) -> None:
    program, chosen = seeing(tmp_path), options("tiny", "w8a8", 32, 4)
    verifier = StageVerifier(program, 32, 61)
    lower(program, chosen, observe=verifier)
    assert {"cut-rows", "fuse-strips", "allocate-dram", "double-buffer", "allocate-sram"} <= set(verifier.checked)
    assert verifier.image is not None


def test_timing_only_runs_need_no_picture(tmp_path: Path) -> None:
    """The same cycles as with pixels."""
    program = seeing(tmp_path)
    executable = build(program, options("edge", "w8a8", 64))
    cycles: list[tuple[int, int]] = []
    for timing_only in (False, True):
        timing = TimingModel(Machine.from_canonical(executable.meta["machine"]))
        session = Session(executable, observer=timing, timing_only=timing_only)
        image = Picture(None if timing_only else random_pixels(program), 2)
        list(session.generate([1] * 12, 3, image=image))
        report = build_report(timing, executable)
        cycles.append((report.encode.cycles, report.total.cycles))
    assert cycles[0] == cycles[1]


@pytest.mark.long
def test_the_full_size_model() -> None:
    """The number of parameters of the published model, and a small program."""
    config = Path(__file__).parents[2] / "examples" / "configs" / "kosmos-2.json"
    program = load_program(config, random_seed=1)
    weights = program.weights
    owned = [name for name in weights.names() if weights.alias_of(name) is None]
    assert sum(prod(weights.shape(name)) for name in owned) == 1_664_485_376
    module = lower(program, options("edge", "w8a8", 512))
    sizes = {code.sym_name.data: 16 * len(instructions(code)) for code in programs_of(module)}
    assert sizes.keys() == {"generate", "encode_image"} and sum(sizes.values()) < 100_000

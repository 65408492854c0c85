"""What a user is told about images: the language, the commands, the session, executables that anybody may have written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import slmc
from compiler.images import ImageInput, places_at
from compiler.interpreters.errors import InterpreterError
from compiler.interpreters.slm import interpret_slm
from compiler.interpreters.slmq import SlmqInterpreter
from frontends import load_program
from frontends.errors import FrontendError
from simulator.image_port import image_port
from simulator.session import Picture, Session, SessionError
from slmc.cli import main
from tests.end_to_end.e2e_support import build, options, tiny_program

KOSMOS2 = Path(__file__).parents[1] / "golden" / "images" / "kosmos2"
PICTURE = str(KOSMOS2 / "picture.png")
NOT_YET = " is in the language, but the compiler does not have it yet"
FILE = """
architecture own for "own"
config {{ V = .v ?? 16; d = .d ?? 8 }}
weights {{
  embed: embedding(V, d)
  layers[i < 2] {{ q, k, v: linear(d -> [2, 4]); o: linear([2, 4] -> d) }}
  {weights}
  head: linear(d -> V)
}}
def forward(tokens: [T], {inputs}) {{
  x = embed(tokens)
  {body}
  for i in layers {{ x += o(attention(q(x), k(x), v(x))) }}
  return head(x)
}}
"""
BODIES = {
    "if pixels { x = x * 2 }": "an image that enters forward other than by one replace" + NOT_YET,
    "if pixels { x = replace(x, mask, side(patches(pixels, 4))); x = replace(x, mask, side(patches(pixels, 4))) }": (
        "an image that enters forward other than by one replace" + NOT_YET
    ),
    "if pixels { x = replace(x, mask, side(patches(pixels, 4))) * 2 }": (
        "an image that enters forward other than by one replace" + NOT_YET
    ),
    "if pixels { r = side(patches(pixels, 4)); x = replace(x, mask, back(attention(heads(r), heads(r), heads(r)))) }": (
        "attention other than causal over the tokens, or full over a fixed number of rows" + NOT_YET
    ),
    "if pixels { for i in layers { x = replace(x, mask, side(patches(pixels, 4))) } }": (
        "replace other than of tokens' rows by an input's mask, outside of loops" + NOT_YET
    ),
    "if pixels { x = replace(x, mask, concat(x, x)) }": "concat along the token dimension",
    "if pixels { x = replace(x, mask, side(patches(pixels, 9))) }": (
        "patches of 9 x 9 of an image [3, 8, 8]: expected [C, h, w] at least as large"
    ),
}


WEIGHTS = {
    "side": "side: linear([3, 4, 4] -> d)",
    "heads": "heads: linear(d -> [2, 4])",
    "back": "back: linear([2, 4] -> d)",
}


def write_file(path: Path, body: str, inputs: str) -> Path:
    """A model whose forward has this body before its layers; it declares what the body uses."""
    weights = "\n".join(line for name, line in WEIGHTS.items() if f"{name}(" in body)
    text = FILE.format(body=body, weights=weights, inputs=inputs)
    path.write_text(text.replace("[3, 4, 4] -> d", "[3, 9, 9] -> d") if "pixels, 9" in body else text)
    return path


@pytest.mark.parametrize("body", BODIES)
def test_language(body: str, tmp_path: Path) -> None:
    inputs = "pixels?: [3, 8, 8], mask?: [T]" if "mask" in body else "pixels?: [3, 8, 8]"
    with pytest.raises(FrontendError) as caught:
        load_program(write_file(tmp_path / "own.slm", body, inputs), random_seed=1)
    assert caught.value.message == BODIES[body]
    assert caught.value.line > 0


@pytest.mark.parametrize(
    ("inputs", "body"),
    [
        ("pixels?: [8, 8]", "if pixels { x = x * 1 }"),
        ("pixels?: [3, 8, T]", "if pixels { x = x * 1 }"),
        ("pixels: [3, 8, 8], mask: [T]", "x = replace(x, mask, side(patches(pixels, 4)))"),
    ],
)
def test_inputs_of_other_kinds(inputs: str, body: str, tmp_path: Path) -> None:
    with pytest.raises(FrontendError) as caught:
        load_program(write_file(tmp_path / "own.slm", body, inputs), random_seed=1)
    assert caught.value.message == 'the input "pixels"' + NOT_YET


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", str(KOSMOS2), "--image", PICTURE, "--tokens", "1,2"], 2, "--image goes with --prompt"),
        (["run", str(KOSMOS2), "--image-at", "2", "--prompt", "a"], 2, "--image goes with --prompt"),
        (["interpret", str(KOSMOS2), "--image", PICTURE, "--tokens", "1"], 2, "--image and --image-at go together"),
        (
            ["interpret", str(KOSMOS2), "--image", PICTURE, "--image-at", "2", "--tokens", "1,2,3"], 1,
            "error: the image takes positions 2 to 6, there are 3 tokens",
        ),
        (
            ["run", str(KOSMOS2), "--image", PICTURE, "--image-at", "1", "--tokens", "1,2", "-n", "1"], 1,
            "error: the 5 rows of the image begin at 1 of a prompt of 2 tokens",
        ),
        (
            ["run", str(KOSMOS2), "--image", str(KOSMOS2 / "config.json"), "--prompt", "a"], 1,
            "config.json: error: is no picture",
        ),
        (
            ["run", "examples/storyteller", "--image", PICTURE, "--prompt", "a"], 1,
            "error: llama takes no image; leave out --image",
        ),
        (
            ["run", str(KOSMOS2 / "config.json"), "--random-weights", "1", "--image", PICTURE, "--image-at", "0",
             "--tokens", "1,2,3,4,5,6"], 1,
            "error: kosmos2 does not say how a picture becomes pixels; put the preprocessor_config.json",
        ),
    ],
)  # fmt: skip
def test_commands(arguments: list[str], code: int, message: str) -> None:
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, result.stderr.count("\n")) == (code, 1)
    assert message in result.stderr


def test_a_prompt_of_an_unknown_processor(tmp_path: Path) -> None:
    for file in KOSMOS2.iterdir():
        if file.name != "golden.npz":
            text = file.read_bytes().replace(b"Kosmos2Processor", b"OtherProcessor")
            (tmp_path / file.name).write_bytes(text)
    session = slmc.Session(slmc.compile(tmp_path, context=32))
    with pytest.raises(slmc.errors.CommandError) as caught:
        session.generate("a fox", 2, image=PICTURE)
    assert caught.value.message == "how a prompt with an image is written is not known for kosmos2"
    with pytest.raises(slmc.errors.CommandError, match="where the image stands among the token ids is not known"):
        session.generate([1, 2, 3, 4, 5, 6], 2, image=PICTURE)


def test_sessions() -> None:
    executable = build(load_program(KOSMOS2), options("edge", "fp32", 32))
    session = Session(executable)
    pixels = np.zeros((3, 28, 28), np.float32)
    wrong: dict[str, Any] = {
        "the 5 rows of the image begin at 2 of a prompt of 6 tokens": Picture(pixels, 2),
        "the 5 rows of the image begin at -1 of a prompt of 6 tokens": Picture(pixels, -1),
        r"the image is float64 \(3, 28, 28\), expected float32 \(3, 28, 28\)": Picture(pixels.astype(np.float64), 0),  # type: ignore[arg-type]
        r"the image is float32 \(3, 28, 27\), expected float32 \(3, 28, 28\)": Picture(pixels[..., :-1], 0),
        "the image holds NaN or infinity": Picture(pixels + np.float32(np.inf), 0),
        "only a timing-only run can do without pixels": Picture(None, 0),
    }
    for message, image in wrong.items():
        with pytest.raises(SessionError, match=message):
            session.generate([1] * 6, 2, image=image)
    with pytest.raises(SessionError, match="the program takes no image"):
        Session(build(tiny_program(), options("edge", "fp32", 32))).generate([1], 2, image=Picture(pixels, 0))


GOOD = {"channels": 3, "height": 4, "width": 4, "rows": 2, "pixels_offset": 64, "places_offset": 32}


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ([], "META image.channels is None"),
        (GOOD | {"rows": 0}, "META image.rows is 0, expected an integer from 1 to 65536"),
        (GOOD | {"height": True}, "META image.height is True"),
        (GOOD | {"width": 1 << 40}, "META image.width is"),
        (GOOD | {"pixels_offset": 68}, "the pixels do not lie in IO, 256 bytes, behind the tokens"),
        (GOOD | {"places_offset": 28}, "the places do not lie in IO"),
        (GOOD | {"places_offset": 34}, "the places do not lie in IO"),
    ],
)
def test_executables_that_do_not_hold_together(image: Any, message: str) -> None:
    meta = {"context": 8, "regions": {"IO": 256}, "entry": {"generate": 0, "encode_image": 7}, "image": image}
    with pytest.raises(SessionError) as caught:
        image_port(meta)
    assert message in str(caught.value)


def test_an_executable_without_the_entry() -> None:
    meta = {"context": 8, "regions": {"IO": 256}, "entry": {"generate": 0}, "image": GOOD}
    with pytest.raises(SessionError, match="META has no entry.encode_image"):
        image_port(meta)
    port = image_port({**meta, "entry": {"encode_image": 7}})
    assert port is not None and (port.entry, port.shape) == (7, (3, 4, 4))
    assert image_port({}) is None


def test_interpreters() -> None:
    program = load_program(KOSMOS2)
    image = ImageInput(np.zeros((3, 28, 28), np.float32), places_at(0, 5, 6))
    with pytest.raises(InterpreterError, match=r"the image is float32 \(3, 28\), expected float32 \(3, 28, 28\)"):
        interpret_slm(program, [1] * 6, image=ImageInput(image.pixels[..., 0], image.places))
    with pytest.raises(InterpreterError, match="7 tokens have int32 places"):
        interpret_slm(program, [1] * 7, image=image)
    with pytest.raises(InterpreterError, match="the model takes no image"):
        interpret_slm(tiny_program(), [1] * 6, image=image)
    plain = tiny_program()
    with pytest.raises(InterpreterError, match="the model takes no image"):
        SlmqInterpreter(plain.module, plain.weights, 8).show(image)

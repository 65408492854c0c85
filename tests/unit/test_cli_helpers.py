"""Small parts of the command line: option values, wrapping, files, contexts, progress."""

from pathlib import Path

import click
import numpy as np
import pytest

import slmc
from slmc.building import Target
from slmc.demo_model import storyteller_path
from slmc.docs.__main__ import PAGES, main
from slmc.files import write_npz, write_text
from slmc.inputs import SETTING, TOKENS
from slmc.ir_text import module_text, parse_module
from slmc.progress import steps
from slmc.streaming import Request
from slmc.wrapping import WordWrapper

GQA = Path(__file__).parent.parent / "golden" / "published" / "gqa"


def test_the_package_shows_what_it_offers() -> None:
    assert dir(slmc) == sorted(slmc.__all__)
    assert all(getattr(slmc, name).__name__ == name for name in dir(slmc))


def test_token_lists(tmp_path: Path) -> None:
    assert TOKENS.convert("1, 2,3", None, None) == [1, 2, 3]
    (tmp_path / "ids.json").write_text("[4, 5]")
    assert TOKENS.convert(f"@{tmp_path}/ids.json", None, None) == [4, 5]


@pytest.mark.parametrize("text", ["", "a", "1,,2", "-1", "1.5", "2147483648", "99999999999999999999", "\u0661"])
def test_wrong_token_lists(text: str) -> None:
    with pytest.raises(click.BadParameter, match="expected token ids such as 1,2,3, found"):
        TOKENS.convert(text, None, None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "is not a JSON list"),
        ("[" * 100_000, "is not a JSON list"),
        ("[]", "expected 1 to"),
        ("[true]", "expected token ids"),
        ("[1.0]", "expected token ids"),
        ("[[1]]", "expected token ids"),
    ],
)
def test_wrong_token_files(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "ids.json").write_text(content)
    with pytest.raises(click.BadParameter, match=message):
        TOKENS.convert(f"@{tmp_path}/ids.json", None, None)


def test_settings() -> None:
    assert SETTING.convert("a=b=c", None, None) == ("a", "b=c")
    for text in ("a", "=b"):
        with pytest.raises(click.BadParameter, match="expected name=value"):
            SETTING.convert(text, None, None)


def test_words_are_never_split_and_nothing_is_lost() -> None:
    text = "Once upon a time,\n\nthere was a veryveryverylongword here. The end."
    wrapper = WordWrapper(12)
    out = "".join(wrapper.push(text[start : start + 3]) for start in range(0, len(text), 3)) + wrapper.finish()
    assert out.split() == text.split()
    assert out.count("\n\n") == 1
    assert all(len(line) <= 12 or " " not in line.strip() for line in out.splitlines())
    assert "Once upon a\ntime," in out


def test_a_prompt_and_what_goes_on_with_its_last_word_stay_together() -> None:
    wrapper = WordWrapper(80)
    assert wrapper.whole("a tim") + wrapper.push("e, the") + wrapper.finish() == "a time, the"


def test_files_appear_complete_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "out.npz"
    write_npz(target, {"logits": np.ones((2, 3), np.float32)})
    assert np.load(target)["logits"].shape == (2, 3)
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="cannot write"):
        write_text(tmp_path / "folder", "text")
    with pytest.raises(OSError, match="cannot write"):
        write_text(tmp_path / "missing" / "file", "text")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "out.npz"]


def test_the_default_context_is_bounded_by_the_model() -> None:
    class Program:
        max_positions = 0
        scheme = None

    for positions, expected in ((0, 512), (100, 100), (4096, 512)):
        Program.max_positions = positions
        assert Target().options(Program()).context == expected
    assert Target(context=77).options(Program()).context == 77
    assert Target().options(Program()).scheme == "w8a8"
    Program.scheme = "w4a8"
    assert [Target(scheme=wanted).options(Program()).scheme for wanted in (None, "bf16")] == ["w4a8", "bf16"]


def test_the_temperature_is_one_if_only_the_choice_is_cut() -> None:
    assert Request("x").effective_temperature == 0
    assert Request("x", top_k=5).effective_temperature == 1
    assert Request("x", top_p=0.5).effective_temperature == 1
    assert Request("x", top_k=5, temperature=0.5).effective_temperature == 0.5


def test_progress_is_silent_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with steps() as progress:
        progress.say("working")
        progress.count(1, 2)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_infinities_and_locations_of_loops_survive_the_text() -> None:
    source = """builtin.module {
  func.func @generate(%0: index loc(unknown)) {
    %1 = tile.alloc "a" in "sram" bytes 128 : !tile.buffer loc("mul"("m.slm":3:4))
    %2 = tile.view %1 in sram + 0 as f32 [32, 1, 1, 1] strides [4, 0, 0, 0] loc("mul"("m.slm":3:4))
    %3 = scf.while (%4 = %0) : (index) -> index {
      %5 = arith.constant true loc("mul"("m.slm":3:4))
      scf.condition(%5) %4 : index loc("mul"("m.slm":3:4))
    } do {
    ^bb0(%6: index loc(unknown)):
      tile.vun "mov" %2 constant 0xff800000 loc("mul"("m.slm":3:4))
      scf.yield %6 : index loc("mul"("m.slm":3:4))
    } loc("mul"("m.slm":3:4))
    func.return loc(unknown)
  } loc(unknown)
} loc(unknown)
"""
    assert module_text(parse_module(source, "a.mlir")) == source


def test_the_storyteller_is_found() -> None:
    assert (storyteller_path() / "model.safetensors").is_file()


def test_generated_pages_are_fresh(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, "run python -m slmc.docs"


def test_stale_pages_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], tmp_path) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(PAGES)
    (tmp_path / "cli.md").write_text("old")
    assert main(["--check"], tmp_path) == 1
    assert "docs/cli.md is not fresh: run python -m slmc.docs" in capsys.readouterr().err
    assert main(["--chekc"], tmp_path) == 2

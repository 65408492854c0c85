"""Every command once, through the console entry, with the files it writes."""

import json
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import slmc
from compiler.driver import Options, pipeline
from isa.container import Executable
from isa.machine import load_machine
from simulator.session import SessionError
from slmc.cli import main

ROOT = Path(__file__).parent.parent.parent
GQA = ROOT / "tests" / "golden" / "published" / "gqa"
STORYTELLER = ROOT / "examples" / "storyteller"
STAGES = ("slm", "slmq", "tile", "isa")


def run(*arguments: object, text: str | None = None) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], input=text)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def executable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slx") / "gqa.slx"
    assert "llama fp32 for tiny, context 64" in run(
        "compile", GQA, "-t", "tiny", "-q", "fp32", "--context", 64, "-o", path
    )
    return path


@pytest.fixture(scope="module")
def story_executable(tmp_path_factory: pytest.TempPathFactory) -> slmc.Executable:
    return slmc.compile(STORYTELLER, context=96, output=tmp_path_factory.mktemp("slx") / "story.slx")


def test_run_writes_logits_and_stats(executable: Path, tmp_path: Path) -> None:
    ids = tmp_path / "ids.json"
    golden = np.load(GQA / "golden.npz")
    prompt = golden["tokens"][:20].tolist()
    ids.write_text(json.dumps(prompt))
    logits, stats = tmp_path / "logits.npz", tmp_path / "stats.json"
    out = run("run", executable, "--tokens", f"@{ids}", "-n", 4, "--logits", logits, "--stats", stats)
    written = np.load(logits)
    assert written["tokens"].shape == (4,)
    assert written["logits"].shape == (4, 181)
    assert written["logits"].dtype == np.float32
    assert written["logits"].argmax(axis=1).tolist() == written["tokens"].tolist()
    assert out.splitlines()[0] == " ".join(map(str, written["tokens"]))
    assert np.abs(written["logits"][0] - golden["logits"][19]).max() < 2e-4
    report = json.loads(stats.read_text())
    assert (report["schema"], report["machine"]["name"], report["prompt_tokens"]) == (1, "tiny", 20)
    assert report["generated_tokens"] == len(report["token_cycles"]) == 4


def test_run_of_a_checkpoint_is_run_of_its_executable(executable: Path, tmp_path: Path) -> None:
    outputs = []
    for source in ([executable], [GQA, "-t", "tiny", "-q", "fp32", "--context", 64]):
        run("run", *source, "--tokens", "5,6,7", "-n", 3, "--logits", tmp_path / "l.npz", "--top-k", 9, "--seed", 4)
        outputs.append(np.load(tmp_path / "l.npz"))
    assert outputs[0]["tokens"].tolist() == outputs[1]["tokens"].tolist()
    assert np.array_equal(outputs[0]["logits"].view(np.uint32), outputs[1]["logits"].view(np.uint32))


def test_ids_ignore_stop_tokens_and_texts_do_not(story_executable: slmc.Executable) -> None:
    text = "Once upon a time"
    ids = slmc.Session(story_executable).encode(text)
    tokens = list(slmc.Session(story_executable).generate(ids, 8))
    stopping = replace(story_executable, meta={**story_executable.meta, "stop_tokens": [int(tokens[4])]})
    assert list(slmc.Session(stopping).generate(ids, 8)) == tokens
    stopped = list(slmc.Session(stopping).generate(text, 8))
    assert stopped == tokens[: tokens.index(tokens[4]) + 1]
    assert stopped[-1].text == ""


def test_interpret_gives_the_published_logits(tmp_path: Path) -> None:
    golden = np.load(GQA / "golden.npz")
    ids = ",".join(map(str, golden["tokens"].tolist()))
    for level, scheme in (("slm", "w8a8"), ("slmq", "fp32")):
        run("interpret", GQA, "--level", level, "-q", scheme, "--tokens", ids, "--logits", tmp_path / "l.npz")
        logits = np.load(tmp_path / "l.npz")["logits"]
        assert logits.dtype == np.float32
        assert logits.shape == golden["logits"].shape
        assert np.abs(logits - golden["logits"]).max() < 2e-4


def test_every_stage_is_text_that_goes_on_where_it_stopped(tmp_path: Path) -> None:
    options = ("-t", "tiny", "-q", "w8a8", "--context", 64)
    run("compile", GQA, *options, "--dump-dir", tmp_path, "-o", tmp_path / "out.slx")
    dumps = sorted(tmp_path.glob("*.mlir"))
    assert [path.stem.split("-")[1] for path in dumps] == list(STAGES)
    for path in dumps:
        generic = run("opt", "--generic", path)
        assert run("opt", "-", text=generic) == path.read_text()
    stages = pipeline(Options(load_machine("tiny"), "w8a8", 64))
    for before, after, stage in zip(dumps[:-1], dumps[1:], stages[1:], strict=True):
        passes = ",".join(str(transform.spec()) for transform in stage.passes)
        assert run("opt", before, "-p", passes) == after.read_text(), after


def test_stop_after_and_dump_after(tmp_path: Path) -> None:
    text = run("compile", GQA, "--stop-after", "slmq", "--dump-after", "cse")
    assert text.count("builtin.module") == 4
    assert "// 02-slm-cse" in text
    assert "slmq.strips" in text and "tile." not in text
    run("compile", GQA, "--stop-after", "slmq", "-o", tmp_path / "a.mlir")
    assert text.endswith((tmp_path / "a.mlir").read_text())


def test_verify_each_compares_the_passes(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        main, ["compile", str(GQA), "--context", "64", "--verify-each", "-o", str(tmp_path / "o.slx")]
    )
    assert result.exit_code == 0, result.output
    for name in ("fuse-strips", "double-buffer", "allocate-sram"):
        assert name in result.stderr


def test_assembly_round_trip(executable: Path, tmp_path: Path) -> None:
    source, again = tmp_path / "a.s", tmp_path / "a.slx"
    run("disasm", executable, "-o", source)
    run("asm", source, "-t", "tiny", "-o", again)
    original, copy = Executable.open(executable), Executable.open(again)
    assert copy.text.tobytes() == original.text.tobytes()
    assert copy.smem_image == original.smem_image
    assert "llama.slm:" in source.read_text()


def test_inspect_shows_every_byte_of_the_weights(executable: Path) -> None:
    shown = json.loads(run("inspect", executable, "--json"))
    names = [section["name"] for section in shown["sections"]]
    assert names == ["WEIGHTS", "TEXT", "SMEM", "TABLE", "SYM", "DBG", "META", "PRED"]
    sizes = [symbol["size_bytes"] for symbol in shown["symbols"] if symbol["region"] == "WEIGHT"]
    assert 0 < sum(sizes) <= shown["memory_map"]["WEIGHT"] < sum(sizes) + 64 * len(sizes)
    table = run("inspect", executable)
    assert all(symbol["name"] in table for symbol in shown["symbols"])
    assert all(name in table for name in names)


def test_inspect_says_what_a_model_costs() -> None:
    shown = json.loads(run("inspect", STORYTELLER, "--json"))
    assert shown["parameters"] == shown["active_parameters"] == 3_279_104
    assert "3,279,104 parameters" in run("inspect", STORYTELLER)
    config = ROOT / "examples" / "configs" / "tinyllama-1.1b.json"
    shown = json.loads(run("inspect", config, "--context", 2048, "--json"))
    assert shown["parameters"] == 1_100_048_384
    assert shown["context"] == 2048
    # All matrices but the table, and 22 layers of 2 x 32 heads x 64 for each of 2,048 positions.
    attention = 22 * 2 * 32 * 64 * 2048
    assert shown["macs_per_token"] == {"matrices": 1_034_420_224, "attention": attention, "recurrent": 0}
    assert shown["flops_per_token"] == 2 * sum(shown["macs_per_token"].values())
    assert shown["schemes"]["bf16"]["kv_bytes"] == 22_528 * 2048
    assert shown["schemes"]["w8a8"]["memory_bytes"] == shown["schemes"]["w8a8"]["weight_bytes"] + 22_528 * 2048
    table = run("inspect", config)
    assert all(scheme in table for scheme in shown["schemes"])
    assert "layers.{}.down.weight" in table and "weights: virtual" in table


def test_timing_only_has_the_time_of_the_full_run(executable: Path, tmp_path: Path) -> None:
    run("run", executable, "--tokens", ",".join("1" * 20), "-n", 3, "--stats", tmp_path / "full.json")
    run("run", executable, "--timing-only", "--prompt-length", 20, "-n", 3, "--stats", tmp_path / "timing.json")
    full, timing = (json.loads((tmp_path / name).read_text()) for name in ("full.json", "timing.json"))
    assert full["total"]["cycles"] == timing["total"]["cycles"]
    assert full["total"]["joules"] == timing["total"]["joules"]


def test_virtual_weights_have_the_time_of_real_ones(tmp_path: Path) -> None:
    """Without a byte of weights: the same text and places, the same cycles, bytes and joules."""
    config = ROOT / "examples" / "configs" / "smollm2-135m.json"
    small = ("--set", "num_hidden_layers=2", "--set", "vocab_size=512", "--context", 64)
    said = run("compile", config, *small, "--virtual-weights", "-o", tmp_path / "virtual.slx")
    run("compile", config, *small, "--random-weights", 3, "-o", tmp_path / "real.slx")
    virtual, real = (Executable.open(tmp_path / f"{name}.slx") for name in ("virtual", "real"))
    assert virtual.text.tobytes() == real.text.tobytes()
    assert (virtual.symbols, virtual.weights_bytes) == (real.symbols, real.weights_bytes)
    assert f"without the {real.weights_bytes:,} of virtual weights" in said
    assert (tmp_path / "virtual.slx").stat().st_size < 300_000 < real.weights_bytes
    timed = ("--timing-only", "--prompt-length", 20, "-n", 3, "--stats")
    run("run", tmp_path / "real.slx", *timed, tmp_path / "real.json")
    run("run", tmp_path / "virtual.slx", *timed, tmp_path / "virtual.json")
    run("run", config, *small, *timed, tmp_path / "config.json")
    reports = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("real", "virtual", "config")]
    assert reports[0] == reports[1] == reports[2]
    shown = json.loads(run("inspect", tmp_path / "virtual.slx", "--json"))
    assert shown["virtual_weights"]["size_bytes"] == shown["memory_map"]["WEIGHT"] == real.weights_bytes
    assert "smollm2-135m.json" in shown["virtual_weights"]["fill"]
    assert "weights: virtual" in run("inspect", tmp_path / "virtual.slx")


def test_too_little_memory_does_not_change_the_time(tmp_path: Path) -> None:
    edge = resources.files("isa").joinpath("machines/edge.toml").read_text("utf-8")
    small = tmp_path / "small.toml"
    small.write_text(edge.replace("{ value = 8589934592", "{ value = 1048576"))
    config = ROOT / "examples" / "configs" / "smollm2-135m.json"
    model = ("run", config, "--set", "num_hidden_layers=1", "--set", "vocab_size=64", "--context", 64)
    timed = ("--timing-only", "--prompt-length", 20, "-n", 3, "--stats")
    shown = run(*model, "-t", small, "--allow-oversize", *timed, tmp_path / "small.json")
    run(*model, *timed, tmp_path / "edge.json")
    reports = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("small", "edge")]
    assert reports[0]["total"] == reports[1]["total"]
    (note,) = set(reports[0]["notes"]) - set(reports[1]["notes"])
    assert note.startswith("needs 3.91 MB of DRAM, edge has 1.05 MB: the times are those of a machine of this kind")
    assert f"note: {note}" in shown.replace("\n", " ")
    assert reports[1]["notes"] == ["timing only: no tensor has values, the tokens are made up (seed 0)"]


def test_a_run_with_values_has_no_notes(executable: Path, tmp_path: Path) -> None:
    run("run", executable, "--tokens", "1", "-n", 1, "--stats", tmp_path / "s.json")
    assert json.loads((tmp_path / "s.json").read_text())["notes"] == []


def test_the_api_times_virtual_weights() -> None:
    made = slmc.compile(GQA, context=32, virtual_weights=True)
    session = slmc.Session(made, timing_only=True)
    assert len(list(session.generate([1, 2, 3], 2))) == 2
    assert session.report().decode.tokens == 1
    with pytest.raises(SessionError, match="virtual weights"):
        slmc.Session(made)


def test_tokenize_there_and_back(story_executable: slmc.Executable) -> None:
    text = "Once upon a time, a fox found a stone."
    ids = json.loads(run("tokenize", STORYTELLER, "--text", text))
    assert run("tokenize", STORYTELLER, "--ids", ",".join(map(str, ids))) == text + "\n"
    assert json.loads(run("tokenize", story_executable.path, "--text", text)) == ids


def test_lists() -> None:
    machines = run("machines")
    assert "edge" in machines and "tiny" in machines
    assert "mxu.rows" in run("machines", "edge")
    assert [machine["name"] for machine in json.loads(run("machines", "--json"))] == [
        *("edge", "gddr", "laptop", "micro", "phone", "server", "tiny")
    ]
    assert "llama" in run("models")


def test_demo_tells_a_story() -> None:
    out = run("demo", "-n", 24)
    assert "Once upon a time" in out
    assert "24 tokens" in out
    assert "tokens/s" in out


def test_the_api_streams_the_text_of_its_tokens(story_executable: slmc.Executable) -> None:
    session = slmc.Session(story_executable)
    tokens = list(session.generate("Once upon a time", 24))
    assert all(isinstance(token, int) for token in tokens)
    assert session.tokenizer is not None
    assert "".join(token.text for token in tokens) == session.tokenizer.decode(tokens)
    report = session.report()
    assert report.generated_tokens == 24
    assert report.total.joules > 0
    same = slmc.Session(story_executable.path).generate(session.encode("Once upon a time"), 24)
    assert list(same) == tokens


def test_the_api_continues_a_conversation(story_executable: slmc.Executable) -> None:
    whole = slmc.Session(story_executable)
    expected = list(whole.generate([5, 6, 7, 8, 9, 10], 4))
    session = slmc.Session(story_executable)
    first = list(session.generate([5, 6, 7], 1))
    assert len(first) == 1
    session.device.reset()
    assert list(session.generate([5, 6, 7, 8, 9, 10], 4, keep_logits=True)) == expected
    assert session.logits().argmax(axis=1).tolist() == expected


def test_a_temporary_executable_goes_with_its_object() -> None:
    made = slmc.compile(GQA, machine="tiny", scheme="bf16", context=32)
    path = made.path
    assert path.exists()
    assert len(list(slmc.Session(made).generate([1, 2], 2))) == 2
    del made
    assert not path.exists()

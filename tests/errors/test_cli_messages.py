"""What the command line says when something is wrong: one line, the exit code, never a traceback."""

import json
from importlib import resources
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from slmc.cli import main

GQA = str(Path(__file__).parent.parent / "golden" / "published" / "gqa")
SMOLLM = str(Path(__file__).parent.parent.parent / "examples" / "configs" / "smollm2-135m.json")
STORYTELLER = str(Path(__file__).parent.parent.parent / "examples" / "storyteller")


def slmc(*arguments: object, text: str | None = None) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=text)


def assert_one_line(result: Result, code: int, *parts: str) -> None:
    assert result.exit_code == code, result.output
    assert result.stderr.count("\n") == 1, result.stderr
    assert "error: " in result.stderr
    for part in parts:
        assert part in result.stderr


@pytest.fixture(scope="module")
def executable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slx") / "gqa.slx"
    assert slmc("compile", GQA, "-q", "fp32", "--context", 64, "-o", path).exit_code == 0
    return path


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["nonsense"], ["No such command 'nonsense'", "slmc --help"]),
        (["run", GQA, "--foo"], ["No such option", "slmc run --help"]),
        (["run", GQA], ["one of --prompt TEXT, --tokens IDS and --prompt-length N"]),
        (["run", GQA, "--tokens", "1", "--prompt", "x"], ["one of --prompt TEXT"]),
        (["run", GQA, "--prompt-length", "3"], ["--prompt-length goes with --timing-only"]),
        (["run", GQA, "--tokens", "1", "--position", "3"], ["--position goes with --timing-only"]),
        (["run", GQA, "--tokens", "1", "--timing-only", "--logits", "l.npz"], ["no logits to write"]),
        (["run", GQA, "--tokens", "1", "--timing-only", "--engine", "slow"], ["'slow'", "reference"]),
        (["run", GQA, "--tokens", "1", "--virtual-weights"], ["go with --timing-only"]),
        (["run", GQA, "--tokens", "1", "--no-extrapolate"], ["--no-extrapolate goes with --timing-only"]),
        (["run", GQA, "--tokens", "1", "--allow-oversize"], ["--allow-oversize goes with --timing-only"]),
        (
            ["compile", GQA, "-o", "x.slx", "--virtual-weights", "--random-weights", "1"],
            ["--random-weights and --virtual-weights exclude each other"],
        ),
        (["compile", GQA, "-o", "x.slx", "--virtual-weights", "--verify-each"], ["--verify-each runs the model"]),
        (["run", GQA, "--tokens", "1,x"], ["expected token ids such as 1,2,3, found 'x'"]),
        (["run", GQA, "--tokens", "@/no/such/file"], ["cannot read"]),
        (["run", GQA, "--tokens", "1", "-n", "0"], ["-n"]),
        (["run", GQA, "--tokens", "1", "--top-k", "65"], ["--top-k"]),
        (["run", GQA, "--tokens", "1", "--top-p", "0"], ["--top-p"]),
        (["run", GQA, "--tokens", "1", "--temperature", "-1"], ["--temperature"]),
        (["compile", GQA], ["expected -o OUT.slx"]),
        (["compile", GQA, "-o", "x.slx", "--dump-after", "nothing"], ["--dump-after"]),
        (["compile", GQA, "-o", "x.slx", "--set", "name"], ["expected name=value, found 'name'"]),
        (["interpret", GQA], ["--tokens"]),
        (["tokenize", STORYTELLER], ["one of --text TEXT and --ids IDS"]),
    ],
)
def test_wrong_usage(arguments: list[str], parts: list[str]) -> None:
    assert_one_line(slmc(*arguments), 2, *parts)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["compile", "/no/such/model", "-o", "x.slx"], ["/no/such/model: error: "]),
        (["compile", GQA, "-t", "egde", "-o", "x.slx"], ["unknown machine 'egde'", "did you mean 'edge'?"]),
        (["compile", GQA, "--context", "5000", "-o", "x.slx"], ["a context of 5000 is longer than the model's 512"]),
        (["compile", GQA, "-o", "/no/such/folder/x.slx"], ["/no/such/folder/x.slx: error: cannot write"]),
        (["compile", GQA, "--set", "hidden=3", "-o", "x.slx"], ['"hidden"']),
        (["compile", f"{GQA}/config.json", "-o", "x.slx"], ["give a seed for random weights (--random-weights SEED)"]),
        (["run", GQA, "--prompt", "Hello"], ["no tokenizer", "--tokens"]),
        (["run", GQA, "--tokens", "1", "-q", "int3"], ['error: unknown scheme "int3"', "w4a8", "-s24"]),
        (["run", GQA, "--tokens", "1,181"], ["prompt token 1 is 181, expected 0 to 180"]),
        (["run", GQA, "--tokens", "1", "-n", "600"], ["-n is 600, but 511 positions are left", "larger --context"]),
        (["run", GQA, "--tokens", "1,2,3", "--context", "3"], ["leaves nothing of the context of 3"]),
        (["run", "/no/such/model.slx", "--tokens", "1"], ["/no/such/model.slx: error: cannot read"]),
        (
            ["run", GQA, "--tokens", "1", "--stats", "/no/such/s.json"],
            ["/no/such/s.json: error: there is no such folder"],
        ),
        (["interpret", GQA, "--tokens", "1", "--logits", "/no/l.npz"], ["/no/l.npz: error: there is no such folder"]),
        (["run", GQA, "--tokens", "1", "-n", "1", "--stats", "/"], ["error: "]),
        (["interpret", GQA, "--tokens", "181"], ["error: "]),
        (["interpret", GQA, "--tokens", "181", "--level", "slmq"], ["error: "]),
        (["disasm", __file__], ["not an SLX executable"]),
        (["inspect", "/no/such/model"], ["there is no such file or directory"]),
        (["tokenize", GQA, "--text", "x"], ["published/gqa: error: there is no tokenizer"]),
        (["inspect", GQA, "--context", "5000"], ["a context of 5000 is longer than the model's 512"]),
        (["machines", "nothing"], ["unknown machine 'nothing'"]),
        (["asm", "/no/such/file.s", "-o", "x.slx"], ["/no/such/file.s: No such file or directory"]),
    ],
)
def test_failures(arguments: list[str], parts: list[str]) -> None:
    assert_one_line(slmc(*arguments), 1, *parts)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["-q", "bf16"], "was compiled with scheme fp32, not bf16"),
        (["--context", 65], "was compiled with context 64, not 65"),
        (["-t", "tiny"], "was compiled for machine edge, not for tiny as it is now"),
        (["--random-weights", 1], "its weights and config are fixed"),
        (["--virtual-weights", "--timing-only"], "its weights and config are fixed"),
    ],
)
def test_an_executable_is_what_it_was_compiled_for(executable: Path, options: list[object], part: str) -> None:
    assert_one_line(slmc("run", executable, "--tokens", "1", *options), 1, part, "compile the checkpoint")


def test_virtual_weights_are_not_run_with_values(tmp_path: Path) -> None:
    path = tmp_path / "v.slx"
    assert slmc("compile", GQA, "--virtual-weights", "--context", 64, "-o", path).exit_code == 0
    assert_one_line(
        slmc("run", path, "--tokens", "1"),
        1,
        "virtual weights",
        "--timing-only",
        "with --random-weights SEED, to run it",
    )


def test_a_program_larger_than_its_machine(tmp_path: Path) -> None:
    edge = resources.files("isa").joinpath("machines/edge.toml").read_text("utf-8")
    machine, path = tmp_path / "small.toml", tmp_path / "o.slx"
    machine.write_text(edge.replace("{ value = 8589934592", "{ value = 1048576"))
    model = (SMOLLM, "--random-weights", 1, "--set", "num_hidden_layers=1", "--set", "vocab_size=64", "-t", machine)
    result = slmc("compile", *model, "-o", path)
    assert_one_line(result, 1, "bytes of DRAM, the machine has 1048576", "(--allow-oversize)")
    assert not path.exists()
    assert slmc("compile", *model, "--allow-oversize", "-o", path).exit_code == 0
    assert_one_line(slmc("run", path, "--tokens", "1"), 1, "only its time can be simulated (--timing-only)")
    assert slmc("run", path, "--timing-only", "--prompt-length", 1, "-n", 1).exit_code == 0


def test_a_damaged_executable(executable: Path, tmp_path: Path) -> None:
    data = bytearray(executable.read_bytes())
    data[70_000] ^= 1
    (tmp_path / "bad.slx").write_bytes(data)
    assert_one_line(slmc("run", tmp_path / "bad.slx", "--tokens", "1"), 1, "SHA-256", "compile it again")
    (tmp_path / "short.slx").write_bytes(data[:6000])
    assert_one_line(slmc("inspect", tmp_path / "short.slx"), 1, "error: ")


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("builtin.module { foo.bar }", "<stdin>:1:26: error: Operation foo.bar is not registered"),
        ("func.func @f(\n", "<stdin>:2:1: error: "),
        (
            'builtin.module {\n  %b = tile.alloc "b" in "dram" bytes 1 : !tile.buffer\n}',
            "<stdin>:2:3: error: tile.alloc: ",
        ),
        ('isa.vun "mov" t0, f 0x1ffffffffffffffff : f32', "error: "),
        ("(" * 100_000, "error: "),
        ('"x"({' * 3_000, "error: "),
        ('builtin.module {}\n "' + "x" * 100_000, "<stdin>:2:2: error: this string is not closed"),
        ("isa.alu 0x" + "f" * 100_000, "error: "),
        ("isa.alu " + "9" * 10_000, "error: "),
    ],
)
def test_wrong_ir_text(source: str, place: str) -> None:
    assert_one_line(slmc("opt", "-", text=source), 1, place)


@pytest.mark.parametrize(
    ("pipeline", "part"),
    [
        ("nothing", "known passes: canonicalize"),
        ("cse,,", "error: pipeline 'cse,,'"),
        ("cse{", "error: pipeline 'cse{'"),
        ("choose-tiling{x=1}", 'Provided arguments ["x"] not found'),
        ("choose-tiling{context=many}", "error: "),
        ('convert-slm-to-slmq{scheme="int3"}', 'unknown scheme "int3"'),
        ("allocate-dram", "the module has no tile.plan; run choose-tiling first"),
    ],
)
def test_wrong_pipelines(pipeline: str, part: str) -> None:
    text = """func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %y = slm.linear %x, #slm.weight<"w", tensor<4x4xf32>> : tensor<?x4xf32> -> tensor<?x4xf32>
  func.return %y : tensor<?x4xf32>
}"""
    assert_one_line(slmc("opt", "-", "-p", pipeline, text=text), 1, part)


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "a.mlir").write_bytes(b"builtin.module {\xff}")
    assert_one_line(slmc("opt", tmp_path / "a.mlir"), 1, "not UTF-8: byte 16 is 0xff")
    assert_one_line(slmc("asm", tmp_path / "a.mlir", "-o", tmp_path / "a.slx"), 1, "not UTF-8")


def test_assembly_mistakes_name_the_line(tmp_path: Path) -> None:
    (tmp_path / "a.s").write_text("    halt\n    hlat\n")
    result = slmc("asm", tmp_path / "a.s", "-o", tmp_path / "a.slx")
    assert_one_line(result, 1, f"{tmp_path}/a.s:2:", "did you mean 'halt'?")
    assert not (tmp_path / "a.slx").exists()


def test_a_trap_names_the_instruction(tmp_path: Path) -> None:
    (tmp_path / "a.s").write_text("    tdld t0, 256(x0)\n    ld t0, t0\n    halt\n")
    assert slmc("asm", tmp_path / "a.s", "-o", tmp_path / "a.slx").exit_code == 0
    result = slmc("run", tmp_path / "a.slx", "--tokens", "0", "-n", "1")
    assert_one_line(result, 1)


def test_debug_shows_the_traceback() -> None:
    for arguments in (["--debug", "inspect", "/no/such/model"], ["inspect", "/no/such/model", "--debug"]):
        result = slmc(*arguments)
        assert result.exit_code == 1
        assert type(result.exception).__name__ == "FrontendError"


def test_a_hostile_config_cannot_drive_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "\x1b[2J\n" + "x" * 5000}))
    result = slmc("inspect", tmp_path)
    assert_one_line(result, 1, "unknown model_type")
    assert "\x1b" not in result.stderr
    assert len(result.stderr) < 1000

"""slmc verify, --commit-log and --trace on a compiled model."""

from __future__ import annotations

import json
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from click.testing import CliRunner, Result

from compiler.driver import compile_program
from isa.container import Executable
from isa.descriptor import Descriptor
from isa.encoding import decode
from isa.spec import TD_BYTES, Region
from simulator.divergence import DivergenceError
from simulator.fast.lockstep import LockstepEngine
from simulator.reference.kernels import KERNELS, Kernel
from simulator.session import Session
from slmc.cli import main
from tests.end_to_end.e2e_support import options, tiny_program

PROMPT = "1,2,3,4,5"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("verify") / "tiny.slx"
    compile_program(tiny_program(), options("tiny", "w8a8"), path)
    return path


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_every_instruction_of_a_model_is_checked(program: Path) -> None:
    result = invoke("verify", program, "--tokens", PROMPT, "-n", "2", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    unchecked = report["instructions"] - report["checked"]
    assert report["tokens"] == 2
    assert 0 < unchecked < 40  # marks, events and the halt
    assert {"mm", "vbin", "vsmx", "ld", "st", "alu", "tdld"} <= set(report["by_mnemonic"])


def test_a_sample_is_a_part_of_it(program: Path) -> None:
    result = invoke("verify", program, "--tokens", PROMPT, "-n", "2", "--every", "50", "--json")
    report = json.loads(result.stdout)
    assert report["instructions"] / 100 < report["checked"] < report["instructions"] / 25


@pytest.mark.parametrize("mnemonic", ["vbin", "mm", "ld"])
def test_a_wrong_bit_is_found(program: Path, mnemonic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference is made wrong: where its result has a bit more, the fast engine differs from it."""
    right = KERNELS[mnemonic]

    def wrong(context: object, issue: object) -> None:
        right.execute(context, issue)  # type: ignore[arg-type]
        target = issue["ta"]  # type: ignore[index]
        context.memory.bits(target).flat[0] ^= 1  # type: ignore[attr-defined]

    session = Session(Executable.open(program), check_every=1)
    monkeypatch.setitem(KERNELS, mnemonic, Kernel(right.check, wrong))
    assert isinstance(session.engine, LockstepEngine)
    session.reset()  # its engine has the wrong kernel
    with pytest.raises(DivergenceError, match=rf"at pc \d+: {mnemonic}.*of ta") as caught:
        list(session.generate([1, 2, 3], 1))
    assert caught.value.operator is not None


def test_a_lockstep_run_needs_the_fast_engine(program: Path) -> None:
    result = invoke("verify", program, "--tokens", "1", "--prompt", "a")
    assert result.exit_code == 2 and "not both" in result.output


def test_the_commit_log_has_every_write(program: Path, tmp_path: Path) -> None:
    """Replaying the log's descriptors says where each engine wrote; the CRC of the last state is that of memory."""
    log = tmp_path / "commit.log"
    result = invoke(
        "run", program, "--tokens", PROMPT, "-n", "1", "--commit-log", log, "--stats", tmp_path / "stats.json"
    )
    assert result.exit_code == 0, result.output
    lines = log.read_text().splitlines()
    stats = json.loads((tmp_path / "stats.json").read_text())
    dispatched = next(engine["instructions"] for engine in stats["engines"] if engine["name"] == "SEQ")
    assert len(lines) == dispatched
    text = Executable.open(program).text
    registers: dict[str, str] = {}
    for line in lines:
        pc, word, *changes = line.split()
        assert text[int(pc, 16)].tobytes().hex() == word
        d = decode(text[int(pc, 16)], int(pc, 16))
        for change in changes:
            name, _, value = change.partition("=")
            if name in ("ta", "tb", "tc", "td"):
                assert registers[f"t{getattr(d, name)}"] == value  # captured as last written
                low, high = Descriptor.unpack(bytes.fromhex(value)).interval()
                assert low < high
            registers[name] = value
        if d.row.writes and d.row.engine.name != "SEQ":
            assert any(":" in change for change in changes)
    assert len(registers["t1"]) == 2 * TD_BYTES


def test_the_commit_log_hashes_what_was_stored(program: Path, tmp_path: Path) -> None:
    log = tmp_path / "commit.log"
    assert invoke("run", program, "--tokens", PROMPT, "-n", "1", "--commit-log", log).exit_code == 0
    session = Session(Executable.open(program), engine="reference")
    list(session.generate([1, 2, 3, 4, 5], 1))
    last: dict[str, tuple[str, str]] = {}
    for line in log.read_text().splitlines():
        fields = dict(change.partition("=")[::2] for change in line.split()[2:])
        for name, value in fields.items():
            if name.startswith("IO:"):
                last[name] = (fields["ta"], value)
    assert last
    for descriptor, hashed in last.values():
        d = Descriptor.unpack(bytes.fromhex(descriptor))
        assert d.region == Region.IO
        assert f"{crc32(np.ascontiguousarray(session.state.memory.bits(d)).tobytes()):08x}" == hashed


def test_the_trace_agrees_with_the_report(program: Path, tmp_path: Path) -> None:
    trace, stats = tmp_path / "trace.json", tmp_path / "stats.json"
    arguments = ("run", program, "--timing-only", "--prompt-length", "20", "-n", "2")
    assert invoke(*arguments, "--trace", trace, "--stats", stats).exit_code == 0
    events = json.loads(trace.read_text())["traceEvents"]
    names = {event["tid"]: event["args"]["name"] for event in events if event["ph"] == "M"}
    report = json.loads(stats.read_text())
    busy = dict.fromkeys(("DML", "DMS", "MXU", "VPU"), 0)
    for event in events:
        if event["ph"] == "X" and names[event["tid"]] in busy:
            busy[names[event["tid"]]] += event["args"]["cycles"]
    assert busy == {engine["name"]: engine["busy_cycles"] for engine in report["engines"] if engine["name"] in busy}
    assert sum(event["ph"] == "i" for event in events) == 2


@pytest.mark.parametrize("option", ["--trace", "--commit-log"])
def test_what_only_the_reference_can_write(program: Path, tmp_path: Path, option: str) -> None:
    result = invoke("run", program, "--tokens", "1", "--engine", "fast", option, tmp_path / "out")
    assert result.exit_code == 2 and "need the reference engine" in result.output
    assert not (tmp_path / "out").exists()

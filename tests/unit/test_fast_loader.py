"""Where machine code is kept, when it is used again, and that plain Python does the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from isa.assembler import assemble
from isa.encoding import decode_text
from isa.machine import load_machine
from simulator.fast import cache, loader
from simulator.fast.timing import FastTiming
from tests.unit.test_import_rule import imported_modules

ROOT = Path(__file__).parents[2]
CLOCK = FastTiming(load_machine("tiny"), decode_text(assemble("halt").text))


@pytest.fixture(autouse=True)
def forget_directory() -> Iterator[None]:
    cache.directory.cache_clear()
    yield
    cache.directory.cache_clear()


def python(code: str, **environment: str) -> str:
    """Runs a program in a process of its own; what it prints."""
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_without_compilation_streams_and_programs_run_alike() -> None:
    code = """
from simulator.fast.compiled import INTERPRETED
from tests.property.test_fast_programs import run_stream
from tests.unit.test_fast_engine import test_a_run_that_is_left_early_keeps_its_registers_and_its_time as early
from tests.unit.test_fast_engine import test_lists_of_timing_only_runs_are_those_of_the_formula as lists
assert INTERPRETED
cycles = [run_stream(seed).records.cycles for seed in (1, 2)]
early()
lists(0, 64, 64, 2**64 - 1)
print(min(cycles) > 0)
"""
    assert python(code, NUMBA_DISABLE_JIT="1") == "True"


def test_the_directory_lies_below_that_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(cache.CACHE_SETTING, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert cache.directory("loop").parent == tmp_path / "cache" / "slmc"
    cache.directory.cache_clear()
    monkeypatch.setenv(cache.CACHE_SETTING, str(tmp_path / "numba"))
    assert cache.directory("loop").parent == tmp_path / "numba" / "slmc"
    assert not list(cache.directory("loop").iterdir())


def test_without_a_place_to_write_the_machine_code_goes_with_the_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(cache.CACHE_SETTING, str(tmp_path / "file" / "below"))
    directory = cache.directory("loop")
    assert directory.is_dir() and directory.parent.name.startswith("slmc-")


@pytest.mark.parametrize(("name", "changes"), [("NUMBA_OPT", True), (cache.CACHE_SETTING, False), ("PATH", False)])
def test_the_fingerprint_depends_on_settings_of_the_compiler(
    name: str, changes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = cache._fingerprint("loop")
    assert len(before) == 32 and cache._fingerprint("loop") == before
    monkeypatch.setenv(name, "1")
    assert (cache._fingerprint("loop") != before) == changes


def test_the_fingerprint_depends_on_every_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also on those that the compiled functions only take constants from."""
    for package in ("isa", "simulator"):
        shutil.copytree(ROOT / package, tmp_path / package)
    monkeypatch.setattr(cache.resources, "files", lambda package: tmp_path / package)
    seen = {cache._fingerprint("loop")}
    for source in ("simulator/fast/sharing.py", "simulator/timing/resource.py", "isa/spec.py"):
        with (tmp_path / source).open("a") as file:
            file.write("# changed\n")
        seen.add(cache._fingerprint("loop"))
    assert len(seen) == 4


def test_what_cannot_be_loaded_is_thrown_away_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(cache.CACHE_SETTING, str(tmp_path))
    kept = cache.directory("loop") / "loop.nbi"
    kept.write_bytes(b"damaged")
    tried: list[bool] = []

    def compiled(signature: object) -> loader.Loop:
        tried.append(kept.exists())
        if kept.exists():
            raise EOFError("Ran out of input")
        return lambda *arguments: 42

    monkeypatch.setattr(loader, "_compiled", compiled)
    monkeypatch.setattr(loader, "_loaded", [])
    assert loader.is_compiled()
    assert loader.execute(CLOCK.arrays) == 42
    assert tried == [True, False]


def test_an_error_of_compilation_is_not_hidden(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(cache.CACHE_SETTING, str(tmp_path))

    def broken(signature: object) -> loader.Loop:
        raise TypeError("no such type")

    monkeypatch.setattr(loader, "_compiled", broken)
    monkeypatch.setattr(loader, "_loaded", [])
    with pytest.raises(TypeError, match="no such type"):
        loader.load(CLOCK.arrays)


@pytest.mark.long
@pytest.mark.parametrize("pattern", ["*.nbi", "*.nbc"])
def test_damaged_files_are_compiled_again(pattern: str, tmp_path: Path) -> None:
    code = """
from tests.property.test_fast_programs import run_stream
from simulator.fast import cache, loader
print(loader.is_compiled(), run_stream(1).records.cycles > 0)
"""
    assert python(code, NUMBA_CACHE_DIR=str(tmp_path)) == "False True"
    assert python(code, NUMBA_CACHE_DIR=str(tmp_path)) == "True True"
    for file in tmp_path.rglob(pattern):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert python(code, NUMBA_CACHE_DIR=str(tmp_path)) == "True True"
    assert python(code, NUMBA_CACHE_DIR=str(tmp_path)) == "True True"


def test_the_fingerprint_has_every_module_the_loop_is_made_of() -> None:
    """Those that loop.py imports, and those that they import, within the packages that have code for it."""
    seen: set[Path] = set()
    waiting = [ROOT / "simulator/fast/loop.py", ROOT / "simulator/fast/block.py"]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for module, _ in imported_modules(path.read_text(), path):
            parts = module.split(".")[:-1]
            found = ROOT.joinpath(*parts).with_suffix(".py")
            if parts and parts[:2] in (["simulator", "fast"], ["isa", "spec"], ["isa", "abi"]) and found.is_file():
                waiting.append(found)
    hashed = {
        ROOT / package / file.relative_to(ROOT / package)
        for package, patterns in cache.SOURCES["loop"].items()
        for pattern in patterns
        for file in (ROOT / package).glob(pattern)
    }
    assert seen <= hashed, sorted(str(path.relative_to(ROOT)) for path in seen - hashed)

"""slmc warmup, and what stays of machine code on the disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from simulator.fast import cache
from slmc.cli import main


def test_the_second_warmup_finds_everything_compiled() -> None:
    outputs = [CliRunner().invoke(main, ["warmup"]) for _ in range(2)]
    assert all(result.exit_code == 0 for result in outputs), outputs[0].output
    assert "storyteller: 0 kernels compiled" in outputs[1].output


def test_code_of_old_versions_goes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(cache.CACHE_SETTING, str(tmp_path))
    for version in range(cache.KEPT_VERSIONS + 3):
        old = tmp_path / "slmc" / f"kernels-{version}"
        old.mkdir(parents=True)
        os.utime(old, (version, version))
    cache.directory.cache_clear()
    made = cache.directory("kernels")
    cache.directory.cache_clear()
    left = {path.name for path in (tmp_path / "slmc").iterdir()}
    assert left == {made.name, *(f"kernels-{version}" for version in range(3, cache.KEPT_VERSIONS + 3))}

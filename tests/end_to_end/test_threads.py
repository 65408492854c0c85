"""The fast engine with several threads: every bit and every count is that of one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import fields
from pathlib import Path

import pytest

from compiler.driver import compile_program
from isa.abi import RunFlag
from isa.container import Executable
from simulator.fast.compiled import INTERPRETED
from simulator.fast.engine import FastEngine
from simulator.fast.layout import Core, Form
from simulator.session import Session
from tests.end_to_end.e2e_support import assert_same_bits, options, tiny_program

ROOT = Path(__file__).parents[2]
PROMPT = [place % 60 for place in range(40)]
WIDE = {"hidden_size": 256, "head_dim": 32, "intermediate_size": 1024, "num_hidden_layers": 2}


@pytest.fixture(scope="module", params=["w8a8", "w4a8-g32", "bf16"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Executable:
    path = tmp_path_factory.mktemp("threads") / "wide.slx"
    compile_program(tiny_program(**WIDE), options("edge", request.param), path)
    return Executable.open(path)


def test_threads_change_nothing(program: Executable) -> None:
    runs = []
    for threads in (1, 2, 3, 2):
        session = Session(program, threads=threads)
        tokens = list(session.generate(PROMPT, 5, dump=RunFlag.DUMP_ALL))
        assert session.clock is not None
        runs.append((tokens, session.logits(), session.clock.records()))
    for tokens, logits, records in runs[1:]:
        assert tokens == runs[0][0]
        assert_same_bits(logits, runs[0][1])
        assert all(getattr(records, field.name) == getattr(runs[0][2], field.name) for field in fields(records))


def test_threads_that_the_system_does_not_run_delay_nobody(
    program: Executable, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = list(Session(program).generate(PROMPT, 5))
    for name in ("start", "join"):
        monkeypatch.setattr(threading.Thread, name, lambda thread: None)
    session = Session(program, threads=3)
    assert list(session.generate(PROMPT, 5)) == expected
    assert session.engine.timing.block.core[Core.POSTED] > 100  # type: ignore[attr-defined]


def test_more_threads_than_cores_change_nothing(program: Executable) -> None:
    tokens = list(Session(program).generate(PROMPT, 3))
    assert list(Session(program, threads=9).generate(PROMPT, 3)) == tokens


def test_some_kernels_are_divided(program: Executable) -> None:
    session = Session(program, threads=2)
    list(session.generate(PROMPT, 2))
    assert isinstance(session.engine, FastEngine) and not INTERPRETED
    assert session.engine.timing.block.forms[:, Form.DIVISIBLE].any()


def test_threads_in_lockstep(program: Executable) -> None:
    session = Session(program, threads=2, check_every=7)
    assert len(list(session.generate(PROMPT, 2))) == 2


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system does not tell")
def test_a_run_leaves_the_cores_of_the_process_as_they_were(program: Executable) -> None:
    before = os.sched_getaffinity(0)
    session = Session(program, threads=len(before))
    run = session.generate(PROMPT, 4)
    next(run)
    run.close()  # left early
    assert os.sched_getaffinity(0) == before


def test_other_processors_give_the_same_bits(tmp_path: Path) -> None:
    """Without numba, and without the wide vectors of this processor."""
    path = tmp_path / "tiny.slx"
    compile_program(tiny_program(), options("tiny", "w8a8"), path)
    code = f"""
import hashlib
from isa.abi import RunFlag
from isa.container import Executable
from simulator.session import Session
session = Session(Executable.open({str(path)!r}))
tokens = list(session.generate([1, 2, 3, 4, 5], 2, dump=RunFlag.DUMP_ALL))
print(tokens, hashlib.sha256(session.logits().tobytes()).hexdigest(), session.clock.cycles)
"""
    settings: list[dict[str, str]] = [{}, {"NUMBA_DISABLE_JIT": "1"}]
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=os.environ | extra, capture_output=True, text=True, check=True
        ).stdout
        for extra in settings
    ]
    assert outputs[0] == outputs[1]

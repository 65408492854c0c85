"""Work beside a block of code: what it raises, and that it ends with the block."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from threading import Event

import pytest

from compiler.driver import compile_program
from compiler.emit.beside import TURN_SECONDS, Beside
from compiler.transforms.allocate_registers import AllocateRegistersPass
from tests.end_to_end.e2e_support import options, tiny_program


def test_leaving_the_block_waits_for_the_work() -> None:
    done: list[int] = []
    before = sys.getswitchinterval()
    with Beside() as beside:
        beside.start(lambda: done.extend(range(100_000)))
        assert sys.getswitchinterval() == pytest.approx(TURN_SECONDS)  # pyright: ignore[reportUnknownMemberType]
    assert len(done) == 100_000
    assert sys.getswitchinterval() == before


def test_a_block_that_starts_nothing() -> None:
    with Beside() as beside:
        beside.finish()


def test_an_exception_of_the_work_is_raised_when_the_block_ends() -> None:
    def fail() -> None:
        raise ValueError("weights")

    with pytest.raises(ValueError, match="weights"), Beside() as beside:
        beside.start(fail)


def test_an_exception_of_the_block_stops_endless_work_and_goes_on() -> None:
    begun, taken = Event(), 0

    def work() -> None:
        nonlocal taken
        for _ in beside.until_stopped(itertools.count()):
            taken += 1
            begun.set()

    with pytest.raises(KeyError, match="a pass"), Beside() as beside:
        beside.start(work)
        begun.wait(10)
        raise KeyError("a pass")
    assert taken > 0


def test_a_pass_that_fails_while_weights_are_packed_leaves_the_old_file(tmp_path: Path) -> None:
    def fail(_stage: object, transform: object, _module: object) -> None:
        if isinstance(transform, AllocateRegistersPass):
            raise KeyError("a pass")

    path = tmp_path / "model.slx"
    path.write_bytes(b"old")
    with pytest.raises(KeyError, match="a pass"):
        compile_program(tiny_program(), options(), path, fail)
    assert path.read_bytes() == b"old" and [file.name for file in tmp_path.iterdir()] == ["model.slx"]

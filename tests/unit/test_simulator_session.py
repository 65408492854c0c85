"""The host side on a hand-written program: next token = argmax of a table row, with logit dump, stop tokens and sampling words."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

import slmc
from isa.abi import Mailbox, RunFlag, Sampler
from isa.assembler import assemble
from isa.container import Executable, ExecutableWriter, Section, canonical_json, machine_hash
from isa.machine import load_machine
from isa.spec import Region, Trap
from simulator.session import Session, SessionError
from simulator.traps import TrapError

VOCABULARY, CONTEXT = 11, 32
PROGRAM = """
; Weights: f32 [VOCABULARY rows, VOCABULARY]; the row of the last token is copied and its best index posted.
.td row_source f32 weight 0 [11, 1, 1, 1] [4, 44, 0, 0]
.td row f32 sram 0x100 [11, 1, 1, 1] [4, 44, 0, 0]
.td list f32 smem 0x2000 [1, 1, 1, 1] [8, 0, 0, 0]
.td token_in_io i32 io 0 [1, 1, 1, 1] [4, 0, 0, 0]
.td token i32 smem 0x2040 [1, 1, 1, 1] [4, 0, 0, 0]
.td new_token i32 smem 0x2004 [1, 1, 1, 1] [4, 0, 0, 0]
.td dump f32 io 0 [11, 1, 1, 1] [4, 0, 0, 0]
.word -0x7fffff00000000
    trap 77
generate: lds.8 x5, 24(x0)          ; N_TOKENS
    lds.8 x6, 32(x0)                ; MAX_NEW
    lds.8 x20, 192(x0)              ; LOGITS_OFFSET
    lds.8 x21, 56(x0)               ; FLAGS
    tdld t1, row_source(x0)
    tdld t2, row(x0)
    tdld t3, list(x0)
    tdld t4, token_in_io(x0)
    tdld t5, token(x0)
    tdld t6, new_token(x0)
    tdld t7, dump(x0)
    alu.add x7, x0, 0
loop: alu.sub x8, x5, 1
    alu.mul x8, x8, 4
    tdset t4.base, x8
    ld t5, t4
    lds.4 x9, 0x2040(x0)
    alu.mul x9, x9, 44
    tdset t1.base, x9
    ld t2, t1
    br.eq x21, x0, pick
    tdset t7.base, x20
    st t7, t2
    alu.add x20, x20, 44
pick: vun.mov t3, 0fff800000        ; an empty list
    vtopk t3, t2, x0
    lds.4 x10, 0x2004(x0)
    tdadd t4.base, 4
    st t4, t6
    sts.8 x5, 40(x0)                ; POS
    alu.add x5, x5, 1
    sts.8 x5, 24(x0)
    yield x10, 1
    alu.add x7, x7, 1
    lds.8 x11, 104(x0)              ; N_STOP, then the first stop token
    br.eq x11, x0, more
    lds.8 x12, 112(x0)
    br.eq x12, x10, done
more: br.lt x7, x6, loop
done: halt
""".replace(".word -0x7fffff00000000\n", "")


def write(path: Path, source: str = PROGRAM, **changes: object) -> Executable:
    assembly = assemble(source)
    machine = json.loads(load_machine("tiny").canonical_json())
    meta: dict[str, object] = {
        "model": "table", "scheme": "fp32", "context": CONTEXT, "chunk": 8, "vocabulary": VOCABULARY,
        "regions": {"KV": 4096, "IO": 4 * CONTEXT, "SCRATCH": 4096}, "stop_tokens": [], "tokenizer": None, "machine": machine,
        "entry": {"generate": assembly.labels.get("generate", 0)}, "logits_offset": 4 * CONTEXT,
    }  # fmt: skip
    meta |= changes
    with ExecutableWriter(path, machine_hash(machine)) as writer:
        writer.add(Section.TEXT, assembly.text)
        writer.add(Section.SMEM, assembly.smem)
        writer.add(Section.META, canonical_json(meta))
        writer.add(Section.DBG, assembly.debug().to_bytes())
        writer.add(Section.WEIGHTS, weights().tobytes())
    return Executable.open(path)


def weights() -> np.ndarray:
    rows = np.zeros((VOCABULARY, VOCABULARY), np.float32)
    for token in range(VOCABULARY):
        rows[token] = [((token * 7 + i * 3) % 11) / 2 for i in range(VOCABULARY)]
    return rows


def follow(token: int, count: int) -> list[int]:
    out: list[int] = []
    for _ in range(count):
        token = int(np.argmax(weights()[token]))
        out.append(token)
    return out


@pytest.fixture
def executable(tmp_path: Path) -> Executable:
    return write(tmp_path / "table.slx")


def test_tokens_conversation_and_reset(executable: Executable) -> None:
    session = Session(executable)
    first = list(session.generate([4, 2], 5))
    assert first == follow(2, 5)
    assert session.tokens() == [4, 2, *first] and session.token_count == 7
    second = list(session.generate([9], 3))
    assert second == follow(9, 3) and session.tokens() == [4, 2, *first, 9, *second]
    assert list(session.generate([], 2)) == follow(second[-1], 2)
    session.reset()
    assert session.tokens() == [] and list(session.generate([4, 2], 5)) == first


def test_stop_tokens_and_early_end(executable: Executable) -> None:
    session = Session(executable)
    stop = follow(2, 3)[-1]
    assert list(session.generate([2], 20, stop_tokens=[stop])) == follow(2, 3)
    session.reset()
    run = session.generate([2], 20)
    taken = [next(run), next(run)]
    run.close()
    assert taken == follow(2, 2) and session.tokens() == [2, *taken]
    assert list(session.generate([], 2)) == follow(taken[-1], 2)


def test_dumped_logits(executable: Executable) -> None:
    session = Session(executable)
    tokens = list(session.generate([2], 4, dump=RunFlag.DUMP_SAMPLED))
    got = session.logits()
    assert got.shape == (4, VOCABULARY) and (got == weights()[[2, *tokens[:-1]]]).all()
    assert session.state.memory.sizes[Region.IO] >= 4 * CONTEXT + got.nbytes
    list(session.generate([1], 1))
    assert session.logits().shape == (0, VOCABULARY)


def test_mailbox_words(executable: Executable) -> None:
    session = Session(executable)
    stops = [1, 3, 5, 7, 9, 10, 0, 2]
    list(
        session.generate(
            [4], 1, sampler=Sampler.TOP_K_TOP_P, temperature=0.3, top_k=7, top_p=0.9, seed=2**64 - 1, stop_tokens=stops
        )
    )
    words = [session.state.read_mailbox(word) for word in Mailbox]
    by_name = {word.name: value for word, value in zip(Mailbox, words, strict=True)}
    assert by_name["MAGIC_ABI"] == 0x584C53 | 1 << 32 and by_name["ENTRY"] == 1 and by_name["MAX_NEW"] == 1
    assert (by_name["SAMPLER"], by_name["TOP_K"], by_name["SEED"], by_name["N_STOP"]) == (2, 7, -1, 8)
    assert struct.unpack("<f", struct.pack("<I", by_name["INVERSE_TEMPERATURE"]))[0] == np.float32(1 / 0.3)
    assert struct.unpack("<f", struct.pack("<I", by_name["TOP_P"]))[0] == np.float32(0.9)
    assert list(session.state.memory.smem[112:176:8]) == stops
    assert by_name["STATE"] == 2 and by_name["LOGITS_OFFSET"] == 4 * CONTEXT


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (([], 4), "the prompt is empty"), (([1] * 33, 1), "does not fit: 32 of 32"), (([1], 32), "max_new is 32, expected 1 to 31"),
        (([1], 0), "max_new is 0"), (([1, 11], 4), "prompt token 1 is 11, expected 0 to 10"), (([-1], 4), "prompt token 0 is -1"),
    ],
)  # fmt: skip
def test_refused_prompts(executable: Executable, arguments: tuple[list[int], int], text: str) -> None:
    with pytest.raises(SessionError, match=text):
        Session(executable).generate(*arguments)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"temperature": 0.0}, "temperature is 0"), ({"temperature": -1.0}, "temperature"), ({"temperature": float("nan")}, "temperature"),
        ({"temperature": 1e-300}, "too small"), ({"top_k": 65}, "top_k is 65"), ({"top_k": -1}, "top_k"), ({"top_p": 0.0}, "top_p"),
        ({"top_p": 1.5}, "top_p"), ({"seed": -1}, "seed"), ({"seed": 1 << 64}, "seed"), ({"stop_tokens": [1] * 9}, "9 stop tokens"),
        ({"stop_tokens": [11]}, "stop token 0 is 11"), ({"dump": RunFlag(3)}, "dump is 3"),
    ],
)  # fmt: skip
def test_refused_options(executable: Executable, arguments: dict[str, object], text: str) -> None:
    with pytest.raises(SessionError, match=text):
        Session(executable).generate([1], 1, **arguments)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"entry": {}}, "no entry point"), ({"entry": {"generate": -1}}, "no entry point"), ({"entry": 3}, "no entry point"),
        ({"logits_offset": 2}, "logits_offset is 2"), ({"logits_offset": "x"}, "logits_offset"),
        ({"regions": {"KV": 0, "IO": 100, "SCRATCH": 0}}, "IO has 100 bytes"),
        ({"regions": {"KV": 1 << 40, "IO": 4096, "SCRATCH": 0}}, "bytes of DRAM"),
    ],
)  # fmt: skip
def test_refused_executables(tmp_path: Path, changes: dict[str, object], text: str) -> None:
    with pytest.raises(SessionError, match=text):
        Session(write(tmp_path / "bad.slx", **changes))


def test_a_program_larger_than_its_machine_is_timed_if_that_was_meant(tmp_path: Path) -> None:
    large = {"KV": 1 << 40, "IO": 4096, "SCRATCH": 0}
    meant = write(tmp_path / "meant.slx", regions=large, oversize=True)
    with pytest.raises(SessionError, match=r"tiny has 2147483648: only its time can be simulated \(--timing-only\)"):
        Session(meant)
    assert len(list(Session(meant, timing_only=True).generate([1], 3))) == 3
    for claim in (False, None, 1, "yes"):
        with pytest.raises(SessionError, match=r"needs 10995\d+ bytes of DRAM, tiny has 2147483648$"):
            Session(write(tmp_path / "claim.slx", regions=large, oversize=claim), timing_only=True)
    stored = write(tmp_path / "stored.slx", regions={"KV": 0, "IO": 1 << 40, "SCRATCH": 0}, oversize=True)
    with pytest.raises(SessionError, match="are neither weights nor KV cache"):
        Session(stored, timing_only=True)


def test_trap_names_its_source_line(executable: Executable, tmp_path: Path) -> None:
    session = Session(write(tmp_path / "trap.slx", entry={"generate": 0}))
    with pytest.raises(TrapError) as info:
        list(session.generate([1], 1))
    assert (info.value.cause, info.value.operand_word, info.value.location) == (Trap.PROGRAM, 77, "<text>:10")
    assert session.state.read_mailbox(Mailbox.TRAP_OPERAND) == 77


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("generate: yield x0, 1\n jal x0, generate", "more than max_new = 3"),
        ("generate: yield x0, 2\n halt", "event of unknown kind 2"),
        ("generate: alu.add x5, x0, 11\n yield x5, 1\n halt", "posted token 11"),
        ("generate: alu.add x5, x0, 33\n sts.8 x5, 24(x0)\n halt", "N_TOKENS = 33"),
    ],
)
def test_hostile_programs(tmp_path: Path, source: str, text: str) -> None:
    session = Session(write(tmp_path / "hostile.slx", source))
    with pytest.raises(SessionError, match=text):
        list(session.generate([1], 3))


def test_timing_only_never_reads_weights(executable: Executable) -> None:
    executable.weights = _Forbidden(executable.weights_bytes)
    runs = [list(Session(executable, timing_only=True, seed=seed).generate([4, 2], 20)) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]
    assert all(0 <= token < VOCABULARY for run in runs for token in run) and len(runs[0]) == 20
    with pytest.raises(SessionError, match="timing-only"):
        Session(executable, timing_only=True).generate([1], 1, dump=RunFlag.DUMP_ALL)


def test_a_timing_only_run_begins_at_a_position(executable: Executable) -> None:
    session = Session(executable, timing_only=True, position=20)
    for _ in range(2):
        assert (session.token_count, session.state.read_mailbox(Mailbox.POS)) == (20, 20)
        assert len(list(session.generate([1, 2], 3))) == 3
        assert session.token_count == 25
        session.reset()
    with pytest.raises(SessionError, match="12 of 32 are left"):
        session.generate([0] * 13, 1)
    for position in (-1, CONTEXT):
        with pytest.raises(SessionError, match=f"cannot begin at position {position}: expected 0 to 31"):
            Session(executable, timing_only=True, position=position)
    with pytest.raises(SessionError, match="only a timing-only run can begin at a position"):
        slmc.Session(executable, position=1)


class _Forbidden:
    """Weights of which only the size may be asked."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes

    def __len__(self) -> int:
        return self.size_bytes


def test_uninitialised_reads_are_found(executable: Executable, tmp_path: Path) -> None:
    assert list(Session(executable, check_uninitialised=True).generate([4], 3)) == follow(4, 3)
    broken = write(tmp_path / "broken.slx", PROGRAM.replace("ld t2, t1", "mark x0, 0"))
    with pytest.raises(TrapError) as info:
        list(Session(broken, check_uninitialised=True).generate([4], 3))
    assert info.value.cause == Trap.UNINITIALISED_READ

"""Programs over the whole ISA table: legal, with one fault, and with flipped bits. What was covered is a table that must be closed.

Legal programs never trap. A fault traps with its cause, at its place, before the instruction has any effect. Anything else ends in a
trap or at halt, within the watchdog.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest

from isa.assembler import assemble
from isa.docs_text import ENGINE_TRAPS, INSTRUCTION_TRAPS
from isa.encoding import decode_text, encode
from isa.spec import FIELDS, TABLE, Engine, Feature, Instruction, Region, Trap, used_fields
from simulator.memory import Memory
from simulator.reference.engine import Options, ReferenceEngine
from simulator.state import State
from simulator.traps import TrapError
from tests.property.chaos_faults import INJECTORS
from tests.property.chaos_programs import BY_NAME, FORMS, X_VALUES, Draft, Form, Layout, Program, drafted

SIZES = {Region.SRAM: 1 << 18, Region.KV: 1 << 16, Region.IO: 1 << 16, Region.SCRATCH: 1 << 16}
WATCHDOG = 200
DATA = np.random.default_rng(11).normal(0, 2, 1 << 14).astype(np.float32).view(np.uint8)
PER_PROGRAM = 12
WRITABLE = (Region.SRAM, Region.KV, Region.IO, Region.SCRATCH)


def machine(program: Program, *, empty: bool = False) -> State:
    """A core with the program's descriptors; the writable memories hold numbers, unless `empty`."""
    memory = Memory(SIZES, {Region.WEIGHT: DATA, Region.TABLE: DATA})
    if not empty:
        for region in WRITABLE:
            memory.arrays[region][: len(DATA)] = DATA[: SIZES[region]]
    state = State(memory, len(program.words) + 1)
    state.x[: len(X_VALUES)] = X_VALUES
    for register, d in enumerate(program.tds):
        state.set_descriptor(register, d)
    return state


def run(text: bytes, state: State, features: Feature = Feature.SPARSE, **options: bool) -> TrapError | None:
    """The trap that ended the program, or None."""
    state.instructions = len(text) // 16
    engine = ReferenceEngine(decode_text(text), state, options=Options(features, watchdog=WATCHDOG, **options))
    try:
        for _ in engine.run(0):
            pass
    except TrapError as error:
        return error
    return None


def draft_of(rng: random.Random, form: Form) -> Draft:
    """A legal instruction of its own."""
    return drafted(rng, form, Layout(rng, 1 << 15, apart=True))


def programs(rng: random.Random, forms: list[Form]) -> Iterator[tuple[Program, list[Form]]]:
    """The forms in some order, a few per program, each with tensors of its own."""
    shuffled = rng.sample(forms, len(forms))
    for first in range(0, len(shuffled), PER_PROGRAM):
        program, part = Program(), shuffled[first : first + PER_PROGRAM]
        layout = Layout(rng, 1 << 15, apart=True)
        for form in part:
            assert program.add(drafted(rng, form, layout))
        yield program, part


def check_legal(seed: int) -> set[Form]:
    covered: set[Form] = set()
    for program, part in programs(random.Random(seed), list(FORMS)):
        error = run(program.text, machine(program))
        assert error is None, f"seed {seed}: {error}: {program.tds}"
        covered |= set(part)
    return covered


def test_every_legal_combination_runs() -> None:
    """Opcode x function x flags x dtypes x format of B x regions of copies."""
    assert check_legal(1) == set(FORMS) and len(FORMS) > 2000
    engine_rows = {row.mnemonic for row in TABLE if row.engine != Engine.SEQ and not row.feature}
    assert {form.mnemonic for form in FORMS} == engine_rows
    functions = {(row.mnemonic, function) for row in TABLE if row.mnemonic in engine_rows for function in row.functions}
    assert functions <= {(form.mnemonic, form.function) for form in FORMS}


@pytest.mark.long
def test_every_legal_combination_runs_with_many_shapes() -> None:
    for seed in range(2, 40):
        check_legal(seed)


# One fault: (opcode, cause) pairs as docs/isa.md lists them.

NOT_REACHABLE = {
    ("vrng", Trap.UNINITIALISED_READ),  # reads no tensor
    ("lds", Trap.UNINITIALISED_READ),  # SMEM begins as an image: none of its bytes is uninitialised
    ("tdld", Trap.UNINITIALISED_READ),
}
UNDOCUMENTED = {(row.mnemonic, Trap.WATCHDOG) for row in TABLE if row.engine != Engine.SEQ and not row.feature}
"""The bound on what is simulated in one instruction belongs to this simulator, not to the ISA."""

SCALAR_FAULTS = (
    ("alu.div x9, x3, x0", "alu", Trap.DIVISION_BY_ZERO, "rt"),
    ("alu.rem x9, x3, 0", "alu", Trap.DIVISION_BY_ZERO, "imm"),
    ("lds.4 x9, 514(x0)", "lds", Trap.MISALIGNED, "imm"),
    ("lds.8 x9, 65536(x0)", "lds", Trap.OUT_OF_BOUNDS, "imm"),
    ("lds.1 x9, 0(x4)", "lds", Trap.OUT_OF_BOUNDS, "imm"),
    ("sts.2 x3, 513(x0)", "sts", Trap.MISALIGNED, "imm"),
    ("sts.1 x3, 0(x5)", "sts", Trap.OUT_OF_BOUNDS, "imm"),
    ("tdld t9, 516(x0)", "tdld", Trap.MISALIGNED, "imm"),
    ("tdld t9, 65512(x0)", "tdld", Trap.OUT_OF_BOUNDS, "imm"),
    ("tdld t9, 1024(x0)", "tdld", Trap.TD_ILLEGAL, "ta"),
    ("tdset t9.e2, 4096", "tdset", Trap.TD_OVERFLOW, "ta"),
    ("tdset t9.base, x4", "tdset", Trap.TD_OVERFLOW, "ta"),
    ("tdadd t9.s1, x5", "tdadd", Trap.TD_OVERFLOW, "ta"),
    ("br.lt x4, x0, 77", "br", Trap.PC_OUT_OF_RANGE, "imm"),
    ("jal x9, 77", "jal", Trap.PC_OUT_OF_RANGE, "imm"),
    ("jalr x9, -1(x0)", "jalr", Trap.PC_OUT_OF_RANGE, "rs"),
    ("trap 5", "trap", Trap.PROGRAM, "imm"),
)


def documented() -> set[tuple[str, Trap]]:
    """(opcode, cause) as the documentation of the table has them."""
    rows = [row for row in TABLE if not row.feature]
    return {
        (row.mnemonic, cause)
        for row in rows
        for cause in (*INSTRUCTION_TRAPS.get(row.mnemonic, ()), *ENGINE_TRAPS[row.engine])
    }


def check_trap(text: bytes, state: State, cause: Trap, operand: str | None, **options: object) -> None:
    """The trap and its place: the last instruction but halt; the memories are as before it."""
    place = len(text) // 16 - 2
    before = {region: state.memory.arrays[region].copy() for region in WRITABLE}
    error = run(text, state, **options)
    assert error is not None, f"expected {cause.name}"
    assert (error.cause, error.pc) == (cause, place), str(error)
    assert operand is None or error.operand == operand, str(error)
    for region, array in before.items():
        assert np.array_equal(array, state.memory.arrays[region]), f"{cause.name} after a change of {region.name}"


def faulted(rng: random.Random, mnemonic: str, cause: Trap) -> tuple[Program, str] | None:
    """A program of one instruction with this fault; None if no form of the instruction can have it."""
    for _ in range(60):
        draft = draft_of(rng, rng.choice(BY_NAME[mnemonic]))
        operand = INJECTORS[cause](rng, draft)
        if operand is not None:
            program = Program()
            program.add(draft)
            return program, operand
    return None


def check_faults(seed: int) -> set[tuple[str, Trap]]:
    covered: set[tuple[str, Trap]] = set()
    rng = random.Random(seed)
    for mnemonic in BY_NAME:
        for cause in INJECTORS:
            found = faulted(rng, mnemonic, cause)
            if found is None:
                continue
            program, operand = found
            features = Feature(0) if cause == Trap.UNSUPPORTED_FEATURE else Feature.SPARSE
            check_trap(program.text, machine(program), cause, operand, features=features)
            covered.add((mnemonic, cause))
    return covered


def check_scalar_faults() -> set[tuple[str, Trap]]:
    for source, _, cause, operand in SCALAR_FAULTS:
        state = machine(Program())
        state.memory.smem[1024:1056] = b"\xff" * 32
        check_trap(assemble(f"{source}\n halt").text, state, cause, operand)
    return {(mnemonic, cause) for _, mnemonic, cause, _ in SCALAR_FAULTS}


def check_uninitialised(rng: random.Random) -> set[tuple[str, Trap]]:
    """In debug mode, the first instruction that reads SRAM, KV or SCRATCH on an empty machine traps."""
    covered: set[tuple[str, Trap]] = set()
    for mnemonic, forms in BY_NAME.items():
        for form in rng.sample(forms, min(len(forms), 20)):
            program = Program()
            draft = draft_of(rng, form)
            program.add(draft)
            regions = {d.region for name, d in draft.tds.items() if name != "ta"}
            if regions and regions <= {Region.SRAM, Region.KV, Region.SCRATCH}:
                check_trap(
                    program.text, machine(program, empty=True), Trap.UNINITIALISED_READ, None, check_uninitialised=True
                )
                covered.add((mnemonic, Trap.UNINITIALISED_READ))
    return covered


def test_every_documented_trap_is_reached_and_no_other() -> None:
    """Opcode x cause: what faults produce is what docs/isa.md lists, both ways."""
    covered = check_scalar_faults() | check_uninitialised(random.Random(3))
    for seed in range(4):
        covered |= check_faults(seed)
    assert covered - UNDOCUMENTED == documented() - NOT_REACHABLE
    assert covered >= UNDOCUMENTED


@pytest.mark.long
def test_many_faults_trap_at_their_place() -> None:
    for seed in range(100, 400):
        check_faults(seed)


def bad_words(row: Instruction, rng: random.Random) -> Iterator[tuple[bytes, Trap]]:
    """Words of this opcode that the decoder refuses: one field wrong, the others legal."""
    fields = {name: rng.randint(0, 7) for name in used_fields(row, 0) - {"op", "fn", "fl"}}
    word = int.from_bytes(encode(row.mnemonic, fn=0 if row.functions else None, fl=0, **fields), "little")
    low = 0
    for name, width in FIELDS:
        if name == "fn":
            cause = Trap.ILLEGAL_FUNCTION if row.functions else Trap.RESERVED_FIELD
            bad = rng.randint(len(row.functions) or 1, 255)
            yield _with(word, low, width, bad), cause
        elif name == "fl":
            yield _with(word, low, width, rng.choice((0x80, 3, 8, 0x13))), Trap.RESERVED_FIELD
        elif name != "op" and name not in used_fields(row, 0):
            yield _with(word, low, width, rng.randint(1, (1 << width) - 1)), Trap.RESERVED_FIELD
        elif name != "op" and name != "imm":
            yield _with(word, low, width, rng.randint(128, 255)), Trap.RESERVED_FIELD
        low += width


def _with(word: int, low: int, width: int, value: int) -> bytes:
    cleared = word & ~(((1 << width) - 1) << low)
    return (cleared | value << low).to_bytes(16, "little")


def test_every_field_of_every_opcode_is_checked() -> None:
    rng = random.Random(4)
    for row in TABLE:
        for word, cause in bad_words(row, rng):
            check_trap(word + encode("halt"), machine(Program()), cause, None)
    for opcode in set(range(256)) - {row.opcode for row in TABLE}:
        check_trap(bytes([opcode]) + bytes(15) + encode("halt"), machine(Program()), Trap.ILLEGAL_OPCODE, "op")


# Flipped bits: nothing is known about the outcome but that it is one.


def flipped(rng: random.Random, data: bytes, count: int) -> bytes:
    value = bytearray(data)
    for _ in range(count):
        place = rng.randrange(8 * len(value))
        value[place // 8] ^= 1 << place % 8
    return bytes(value)


def check_flipped(seed: int) -> str:
    """A legal program with 0 to 3 bits of its descriptors (as tdld reads them) and of its text flipped; how it ended."""
    rng = random.Random(seed)
    program, layout = Program(), Layout(rng, 4096)
    for _ in range(4):
        program.add(drafted(rng, rng.choice(FORMS), layout))
    smem = b"".join(flipped(rng, d.pack(), rng.choice((0, 0, 0, 1, 2))) for d in program.tds)
    loads = [encode("tdld", ta=register, rs=0, imm=512 + 32 * register) for register in range(len(program.tds))]
    words = [flipped(rng, word, rng.choice((0, 0, 0, 1, 3))) for word in program.words]
    state = machine(Program())
    state.memory.smem[512 : 512 + len(smem)] = smem
    error = run(b"".join([*loads, *words, encode("halt")]), state)
    return error.cause.name if error else "halt"


def test_flipped_bits_end_in_a_trap_or_at_halt() -> None:
    ends = {check_flipped(seed) for seed in range(1500)}  # one in 200 halts
    assert {"halt", "TD_ILLEGAL", "OUT_OF_BOUNDS", "ILLEGAL_OPCODE", "RESERVED_FIELD", "MISALIGNED"} <= ends


@pytest.mark.long
def test_many_flipped_bits_end_in_a_trap_or_at_halt() -> None:
    for seed in range(1000, 40_000):
        check_flipped(seed)


def test_a_loop_ends_at_the_watchdog() -> None:
    error = run(assemble("loop: jal x0, loop").text, machine(Program()))
    assert error is not None and error.cause == Trap.WATCHDOG

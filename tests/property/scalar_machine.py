"""A machine for scalars and descriptors: runs selected programs before and after register allocation, and notes what leaves them."""

from __future__ import annotations

from dataclasses import dataclass, field

from compiler.dialects.isa import InstructionOp, LabelOp, ProgramOp
from isa.spec import Flag

LOOP_STEPS = 20_000


def wrapped(value: int) -> int:
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


ALU = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "min": min,
    "max": max,
    "xor": lambda a, b: a ^ b,
}
TAKEN = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "ge": lambda a, b: a >= b,
}


@dataclass
class Machine:
    """Registers by number, however many; memory by address; what was posted."""

    x: dict[int, int] = field(default_factory=dict)
    t: dict[int, dict[str, int]] = field(default_factory=dict)
    memory: dict[int, int] = field(default_factory=dict)
    posted: list[object] = field(default_factory=list)

    def run(self, program: ProgramOp) -> list[object]:
        ops = list(program.body.block.ops)
        labels = {op.label.data: place for place, op in enumerate(ops) if isinstance(op, LabelOp)}
        place = 0
        for _ in range(LOOP_STEPS):
            op = ops[place]
            place += 1
            if not isinstance(op, InstructionOp):
                continue
            if op.ROW.mnemonic == "halt":
                return self.posted
            if self.step(op):
                place = labels[op.label or ""]
        raise AssertionError("the program does not end")

    def read(self, op: InstructionOp, name: str) -> int:
        number = op.number(name)
        return self.x[number] if number else 0

    def step(self, op: InstructionOp) -> bool:
        """Whether the branch is taken."""
        mnemonic = op.ROW.mnemonic
        if mnemonic == "br":
            return TAKEN[op.function](self.read(op, "rs"), self.read(op, "rt"))
        if mnemonic == "jal":
            return True
        if mnemonic == "alu":
            second = op.number("imm") if op.flags & Flag.I else self.read(op, "rt")
            if op.number("rd"):
                self.x[op.number("rd")] = wrapped(ALU[op.function](self.read(op, "rs"), second))
        elif mnemonic == "lds":
            self.x[op.number("rd")] = self.memory[self.read(op, "rs") + op.number("imm")]
        elif mnemonic == "sts":
            self.memory[self.read(op, "rs") + op.number("imm")] = self.read(op, "rt")
        elif mnemonic == "yield":
            self.posted.append((op.number("imm"), self.read(op, "rs")))
        else:
            self.descriptor_step(op)
        return False

    def descriptor_step(self, op: InstructionOp) -> None:
        if op.ROW.mnemonic == "tdld":
            self.t[op.number("ta")] = {"loaded": op.number("imm")}
        elif op.ROW.mnemonic == "tdset":
            value = op.number("imm") if op.flags & Flag.I else self.read(op, "rs")
            self.t[op.number("ta")] = {**self.t[op.number("ta")], op.function: value}
        else:
            assert op.ROW.mnemonic == "ld"
            self.posted.append((dict(self.t[op.number("ta")]), dict(self.t[op.number("tb")])))

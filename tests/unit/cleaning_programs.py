"""Random functions of arith, scf and tile ops, as text, with much in them that can be cleaned away."""

from __future__ import annotations

import random

NUMBERS = (0, 1, 2, 3, -1, -64, 16, 64)
ARITHMETIC = ("addi", "addi", "subi", "muli", "divsi", "remsi", "minsi", "maxsi")
DEEPEST = 3


class Writer:
    """Values have numbers; `scope` has those of type index that can be used at a place, conditions those of type i1."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.lines: list[str] = []
        self.values = 0

    def program(self) -> str:
        for number in range(self.rng.choice((1, 2))):
            self.lines.append(f"func.func @f{number}() {{")
            scope, conditions = [self.new("tile.lds 8 + 0 : index")], []
            self.lines.append('%buffer = tile.alloc "a" in "sram" bytes 65536 : !tile.buffer')
            scope = self.ops(scope, conditions, 0, self.rng.randrange(5, 25))
            self.lines += [*(f"tile.event 1 {value}" for value in scope[-3:]), "func.return", "}"]
        return "\n".join(self.lines)

    def new(self, op: str) -> str:
        self.values += 1
        self.lines.append(f"%v{self.values} = {op}")
        return f"%v{self.values}"

    def ops(self, outer: list[str], conditions: list[str], depth: int, count: int) -> list[str]:
        """`count` ops at the end; what is in scope behind them."""
        scope, conditions = [*outer], [*conditions]
        simple = (self.constant, self.arithmetic, self.arithmetic, self.arithmetic, self.event, self.view)
        nested = (self.branch, self.choice, self.loop, self.sum)
        for _ in range(count):
            if depth < DEEPEST and self.rng.random() < 0.25:
                self.rng.choice(nested)(scope, conditions, depth + 1)
            elif self.rng.random() < 0.15:
                a, b = self.rng.choice(scope), self.rng.choice(scope)
                conditions.append(
                    self.new(f"arith.cmpi {self.rng.choice(('eq', 'ne', 'slt', 'sge'))}, {a}, {b} : index")
                )
            else:
                self.rng.choice(simple)(scope)
        return scope

    def constant(self, scope: list[str]) -> None:
        scope.append(self.new(f"arith.constant {self.rng.choice(NUMBERS)} : index"))

    def arithmetic(self, scope: list[str]) -> None:
        """Sides that are numbers, or new, more often than chance has it: patterns look for them."""
        a, b = self.rng.choice(scope[-3:]), self.rng.choice(scope)
        if self.rng.random() < 0.5:
            b = self.new(f"arith.constant {self.rng.choice(NUMBERS)} : index")
            if self.rng.random() < 0.2:
                a = self.new(f"arith.constant {self.rng.choice(NUMBERS)} : index")
        scope.append(self.new(f"arith.{self.rng.choice(ARITHMETIC)} {a}, {b} : index"))

    def event(self, scope: list[str]) -> None:
        self.lines.append(f"tile.event {self.rng.choice((1, 2))} {self.rng.choice(scope)}")

    def view(self, scope: list[str]) -> None:
        """Two, which may be the same, and an op that uses them."""
        base, rows, stride = (self.rng.choice(scope) for _ in range(3))
        view = f"tile.view %buffer in sram + {base} + {self.rng.choice((0, 64))} as f32"
        first = self.new(f"{view} [16, {rows}, 1, 1] strides [4, {stride}, 0, 0]")
        second = self.new(f"{view} [16, {self.rng.choice(scope)}, 1, 1] strides [4, {stride}, 0, 0]")
        self.lines.append(f'tile.vun "mov" {first}, {second}')

    def branch(self, scope: list[str], conditions: list[str], depth: int) -> None:
        self.lines.append(f"scf.if {self.condition(scope, conditions)} {{")
        self.ops(scope, conditions, depth, self.rng.randrange(5))
        self.lines.append("}")

    def choice(self, scope: list[str], conditions: list[str], depth: int) -> None:
        value = self.new(f"scf.if {self.condition(scope, conditions)} -> (index) {{")
        for end in ("} else {", "}"):
            inside = self.ops(scope, conditions, depth, self.rng.randrange(4))
            self.lines += [f"scf.yield {self.rng.choice(inside)} : index", end]
        scope.append(value)

    def condition(self, scope: list[str], conditions: list[str]) -> str:
        if not conditions:
            conditions.append(self.new(f"arith.cmpi slt, {self.rng.choice(scope)}, {self.rng.choice(scope)} : index"))
        return self.rng.choice(conditions)

    def loop(self, scope: list[str], conditions: list[str], depth: int) -> None:
        low, high, step, index = self.bounds(scope)
        self.lines.append(f"scf.for {index} = {low} to {high} step {step} {{")
        self.ops([*scope, index], conditions, depth, self.rng.randrange(5))
        self.lines.append("}")

    def sum(self, scope: list[str], conditions: list[str], depth: int) -> None:
        """A loop that hands a value on."""
        low, high, step, index = self.bounds(scope)
        carried = f"{index}_carried"
        value = self.new(
            f"scf.for {index} = {low} to {high} step {step} iter_args({carried} = {self.rng.choice(scope)}) -> (index) {{"
        )
        inside = self.ops([*scope, index, carried], conditions, depth, self.rng.randrange(5))
        self.lines += [f"scf.yield {self.rng.choice(inside)} : index", "}"]
        scope.append(value)

    def bounds(self, scope: list[str]) -> tuple[str, str, str, str]:
        """Values low, high, step and the name of the index; of half of the loops they are numbers."""
        step = self.new(f"arith.constant {self.rng.choice((1, 1, 2))} : index")
        low, high = self.rng.choice(scope), self.rng.choice(scope)
        if self.rng.random() < 0.5:
            low, high = (self.new(f"arith.constant {self.rng.choice(NUMBERS)} : index") for _ in range(2))
        return low, high, step, f"%i{self.values}"

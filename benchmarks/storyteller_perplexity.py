"""Perplexity of the storyteller under every scheme, by the exact interpreters; writes docs/perplexity.md.

    python benchmarks/storyteller_perplexity.py [--windows 50]

Protocol as in examples/storyteller/README.md: heldout.txt tokenised as a whole, windows of 512 that do not overlap, each evaluated from
position 0. `slm` is the fp32 interpreter of the transformer level; the schemes run the slmq interpreter, whose bits the simulator's
binary reproduces.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from compiler.driver import Options, lower
from compiler.interpreters.perplexity import Perplexity, perplexity
from compiler.interpreters.slm import interpret_slm
from compiler.interpreters.slmq import SlmqInterpreter
from compiler.program import Program
from compiler.schemes import SCHEMES
from frontends import load_program
from frontends.tokenizer import TextTokenizer
from isa.machine import load_machine

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "examples" / "storyteller"
TABLE = ROOT / "docs" / "perplexity.md"
WINDOW = 512


def evaluate(program: Program, scheme: str, tokens: list[int]) -> Perplexity:
    """One scheme over the tokens."""
    module = lower(program, Options(load_machine("edge"), scheme, WINDOW), "slmq")
    interpreter = SlmqInterpreter(module, program.weights, WINDOW)

    def logits(window: list[int]) -> np.ndarray:
        interpreter.reset()
        return interpreter.run(window)

    return perplexity(logits, tokens, WINDOW)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=50)
    windows = parser.parse_args().windows
    program = load_program(MODEL)
    tokenizer = TextTokenizer((MODEL / "tokenizer.json").read_bytes(), str(MODEL / "tokenizer.json"))
    tokens = tokenizer.encode((MODEL / "heldout.txt").read_text())[: windows * WINDOW]
    rows: list[tuple[str, Perplexity]] = []
    runs = {
        "slm (fp32 interpreter)": lambda: perplexity(lambda w: interpret_slm(program, w, np.float32), tokens, WINDOW)
    }
    runs |= {name: lambda name=name: evaluate(program, name, tokens) for name in SCHEMES}
    for name, run in runs.items():
        start = time.perf_counter()
        rows.append((name, run()))
        print(f"{name}: {rows[-1][1].value:.6f} ({time.perf_counter() - start:.0f} s)", flush=True)
    reference = rows[0][1].value
    lines = [
        "# Storyteller: perplexity by scheme",
        "",
        "Made by `python benchmarks/storyteller_perplexity.py`: "
        f"{rows[0][1].predicted:,} predicted tokens in {rows[0][1].windows} windows of {WINDOW}.",
        "",
        "| scheme | mean loss (nats) | perplexity | against slm fp32 |",
        "|---|---|---|---|",
        *(
            f"| {name} | {p.nll_mean:.6f} | {p.value:.6f} | {(p.value / reference - 1) * 100:+.4f} % |"
            for name, p in rows
        ),
    ]
    TABLE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

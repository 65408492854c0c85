"""Every number format with every method on the storyteller: writes docs/quantization-storyteller.md and the plot beside it.

    python quantization_table.py [--windows 50] [--part 1/2] [--only w4a8]

Each pair of a scheme and a method is quantised by `slmc quantize`, with stories of the training split as calibration text,
and evaluated on heldout.txt as `slmc evaluate` does. A finished pair is kept in a file of its own under --work, so that
the script can be stopped and goes on where it was; --part 1/2 and --part 2/2 share the work between two processes. The
page is written from what is finished. Two processes want OMP_NUM_THREADS=1 on two cores: threads of BLAS that wait for
each other make a window take several times as long.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from stories import generate

from compiler.schemes import SHOWN
from frontends import load_program
from isa.machine import load_machine
from slmc.building import Checkpoint
from slmc.evaluation.costs import Cost, Timed, cost_of, cost_of_reference
from slmc.evaluation.measuring import Measuring
from slmc.evaluation.page import COLUMNS, MEANINGS, NUMBERS, cells_of
from slmc.evaluation.points import plot_of_rows
from slmc.evaluation.rows import Accuracy, LayerError, Row
from slmc.evaluation.runs import Quantised, Reference
from slmc.evaluation.windows import Windows, tokens_of, windows_of
from slmc.files import write_text
from slmc.survey import Phase
from slmc.survey_page import markdown
from slmc.texts import Texts

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PAGE = ROOT / "docs" / "quantization-storyteller.md"
PLOT = PAGE.with_suffix(".svg")
HELD_OUT = HERE / "heldout.txt"
MACHINE, WINDOW = "edge", 512
MORE_SCHEMES = (
    "w4a8-g32", "w4a8-g128", "w4a8-zp", "w4a16", "w4a16-zp", "w8a8-s24", "w4a8-s24", "w8a8-kv4", "w4a8-kv8", "w4a8-kv4",
)  # fmt: skip
SCHEMES = tuple(dict.fromkeys((*SHOWN, *MORE_SCHEMES)))
BASELINE = "rtn"
PRUNING = ("magnitude", "wanda", "wanda+gptq")
BLIND = (BASELINE, "magnitude")
"""Methods that look at weights alone; `slmc quantize` takes no text for them."""
CALIBRATION_STORIES, CALIBRATION_SEED = 16, 2024
"""More than the tokens that `slmc quantize` takes of them by default."""
END = "<|endoftext|>"
WHY = {
    "smoothquant": "SmoothQuant moves the range of the inputs into the weights. It was made for int8 weights, which have room for it; "
    "four bits have not, and the inputs of the storyteller have few outliers to be rid of.",
    "gptq": "GPTQ minimises the error of the outputs on 512 calibration tokens. With int8 weights that error is a small part of the "
    "whole, the inputs' rounding being the larger one: the differences are of a few percent, in both directions.",
    "awq": "AWQ chooses factors for the error of single matrices on 512 tokens; with int8 weights and bf16 inputs there is hardly any "
    "error to take away, and the difference is as small. The scales of MXFP4 are powers of two: a factor or a limit often leaves them as "
    "they are, and what is gained on single matrices does not show in the whole model.",
    "kv": "KV scaling evens out the channels of keys. The int8 cache has a scale for each token and head, the int4 cache one for each "
    "channel, which takes care of uneven channels by itself; what is left is another rounding of q and k.",
}
"""Of methods that are worse than round to nearest somewhere."""


@dataclass(frozen=True)
class Pair:
    """A scheme and the method that makes its weights."""

    scheme: str
    method: str

    @property
    def file_name(self) -> str:
        return f"{self.scheme}--{self.method}.json"


def methods_of(scheme: str) -> tuple[str, ...]:
    """The methods that change anything: floating point is only rounded, 2:4 sparsity needs a choice of what to prune."""
    base = scheme.split("-")[0]
    if not base.startswith(("w", "mx")):
        return (BASELINE,)
    if "s24" in scheme:
        return PRUNING
    smoothing = ("smoothquant",) if base.endswith("a8") else ()
    keys = ("kv", "kv+gptq") if "-kv" in scheme else ()
    return (BASELINE, *smoothing, "awq", "gptq", "rotate+gptq", *keys)


def all_pairs() -> list[Pair]:
    return [Pair(scheme, method) for scheme in SCHEMES for method in methods_of(scheme)]


def calibration_text() -> str:
    """Stories of the training split, laid out like heldout.txt."""
    stories = islice(generate("train", CALIBRATION_SEED), CALIBRATION_STORIES)
    return END + "".join(story.text + END for story in stories)


class Table:
    """The finished rows in the folder `work`; `key` is what they depend on."""

    def __init__(self, work: Path, windows: int):
        self.work, self.most = work, windows
        work.mkdir(parents=True, exist_ok=True)
        self.calibration = work / "calibration.txt"
        write_text(self.calibration, calibration_text())
        parts = (HERE / "model.safetensors", HERE / "config.json", HELD_OUT, self.calibration)
        digest = hashlib.sha256(b"".join(hashlib.sha256(part.read_bytes()).digest() for part in parts))
        self.key = f"{digest.hexdigest()}, {windows} windows of {WINDOW} on {MACHINE}"

    def windows(self) -> Windows:
        tokens = tokens_of(HELD_OUT, Texts.of_path(HERE), self.most * WINDOW)
        return windows_of(tokens, WINDOW)

    def kept(self, name: str) -> Row | None:
        """A finished row."""
        path = self.work / name
        if not path.exists():
            return None
        document = json.loads(path.read_text(encoding="utf-8"))
        return row_of(document["row"]) if document["key"] == self.key else None

    def keep(self, name: str, row: Row) -> None:
        write_text(self.work / name, json.dumps({"key": self.key, "row": asdict(row)}, indent=1, allow_nan=False))


REFERENCE_FILE = "reference.json"


def row_of(document: dict[str, Any]) -> Row:
    """A row as asdict() wrote it."""
    accuracy, cost = document["accuracy"], document["cost"]
    layers = tuple(LayerError(**each) for each in accuracy["layers"])
    phases = {name: Phase(**cost[name]) for name in ("prefill", "decode")}
    return Row(
        document["name"],
        document["is_reference"],
        Accuracy(**{**accuracy, "layers": layers}),
        Cost(**{**cost, **phases}),
        tuple(document["notes"]),
    )


def quantise(pair: Pair, table: Table) -> tuple[Path | None, str]:
    """The directory that `slmc quantize` wrote, or what it said."""
    target = table.work / "model" / f"{pair.scheme}--{pair.method}"
    target.parent.mkdir(exist_ok=True)
    command = [
        sys.executable,
        "-m",
        "slmc",
        "quantize",
        str(HERE),
        "-q",
        pair.scheme,
        "--method",
        pair.method,
        "--force",
    ]
    text = [] if pair.method in BLIND else ["--text", str(table.calibration)]
    done = subprocess.run([*command, *text, "-o", str(target)], capture_output=True, text=True, check=False)
    return (target, "") if done.returncode == 0 else (None, (done.stderr.strip().splitlines() or ["failed"])[-1])


def make_rows(table: Table, pairs: list[Pair]) -> Iterator[tuple[Pair, str]]:
    """Makes the rows that are missing, and says for each how that went."""
    missing = [pair for pair in pairs if table.kept(pair.file_name) is None]
    if not missing and table.kept(REFERENCE_FILE) is not None:
        return
    machine, rows = load_machine(MACHINE), Measuring(Reference(load_program(HERE)), table.windows())
    rows.measure_reference(lambda: cost_of_reference(Checkpoint(HERE), machine, Timed()))
    table.keep(REFERENCE_FILE, rows.rows[0])
    for pair in missing:
        folder, said = quantise(pair, table)
        if folder is None:
            yield pair, said
            continue
        program = load_program(folder)
        rows.measure(
            pair.scheme,
            lambda program=program, pair=pair: Quantised(program, pair.scheme, WINDOW),
            lambda program=program, pair=pair: cost_of(program, machine, pair.scheme, Timed()),
        )
        row = rows.rows[-1]
        if row.error is None:
            table.keep(pair.file_name, row)
        yield pair, row.error or "done"


def page_of(table: Table, reference: Row, rows: dict[Pair, Row], plot: Path) -> str:
    """The page in Markdown."""
    columns = (COLUMNS[0], "method", *COLUMNS[1:])
    header = "| " + " | ".join(columns) + " |\n|" + "|".join("---:" if c in NUMBERS else "---" for c in columns) + "|\n"
    lines = [(cells_of(reference), "")] + [(cells_of(row), pair.method) for pair, row in rows.items()]
    body = "".join("| " + " | ".join(map(markdown, (cells[0], method, *cells[1:]))) + " |\n" for cells, method in lines)
    windows = table.windows()
    worse = "".join(f"- {text}\n" for text in worse_than_baseline(rows))
    methods = {part for pair in rows for part in pair.method.split("+") if is_worse(pair, rows)}
    worse += "".join(f"\n{text}\n" for method, text in WHY.items() if method in methods)
    missing = [f"`{pair.scheme}` by {pair.method}" for pair in all_pairs() if pair not in rows]
    return (
        "# Storyteller: every number format with every method\n\n"
        f"Made by `python examples/storyteller/quantization_table.py --windows {table.most}`: {windows.predicted:,} predicted tokens of "
        f"heldout.txt in {len(windows.parts)} windows of {windows.size}, machine `{MACHINE}`. Calibration: "
        "stories of the training split, none of heldout.txt.\n\n"
        + "".join(f"- {line}\n" for line in MEANINGS)
        + f"\n{header}{body}\n![accuracy against energy and speed]({plot.name})\n\n"
        "The plot has the method with the smallest KL divergence of each scheme.\n"
        + (f"\n## Worse than round to nearest\n\nBy KL divergence, in the same scheme:\n\n{worse}" if worse else "")
        + (f"\nNot finished: {', '.join(missing)}.\n" if missing else "")
    )


def divergence(pair: Pair, rows: dict[Pair, Row]) -> float | None:
    """The KL divergence of a finished row."""
    row = rows.get(pair)
    return row.accuracy.kl if row and row.accuracy else None


def is_worse(pair: Pair, rows: dict[Pair, Row]) -> bool:
    """Whether the KL divergence is larger than that of round to nearest."""
    before, found = divergence(Pair(pair.scheme, BASELINE), rows), divergence(pair, rows)
    return before is not None and found is not None and found > before


def worse_than_baseline(rows: dict[Pair, Row]) -> Iterator[str]:
    """A line for each row that is."""
    for pair in rows:
        if is_worse(pair, rows):
            before, found = divergence(Pair(pair.scheme, BASELINE), rows), divergence(pair, rows)
            yield f"`{pair.scheme}` by {pair.method}: {found:.2e} instead of {before:.2e} nats"


def best_rows(rows: dict[Pair, Row]) -> Iterator[Row]:
    """The row with the smallest KL divergence of each scheme, named after both unless that is round to nearest."""
    for scheme in SCHEMES:
        known = [(pair, row) for pair, row in rows.items() if pair.scheme == scheme and row.accuracy is not None]
        finite = [(row.accuracy.kl, pair, row) for pair, row in known if row.accuracy and row.accuracy.kl is not None]
        if finite:
            _, pair, row = min(finite, key=lambda each: each[0])
            yield row if pair.method == BASELINE else replace(row, name=f"{scheme} {pair.method}")


def part_of(text: str) -> tuple[int, int]:
    """`1/2`: the first of two parts."""
    number, _, count = text.partition("/")
    if not (number.isdigit() and count.isdigit() and 1 <= int(number) <= int(count)):
        raise argparse.ArgumentTypeError(f"expected a part such as 1/2, found {text!r}")
    return int(number), int(count)


def main() -> None:
    """Makes what is missing, then the page."""
    parser = argparse.ArgumentParser(description="Quantises the storyteller in every way and measures the result.")
    parser.add_argument(
        "--work", type=Path, default=ROOT / "build" / "quantization", help="where finished rows are kept"
    )
    parser.add_argument("--windows", type=int, default=50, help="windows of heldout.txt")
    parser.add_argument("--part", type=part_of, default=(1, 1), help="make only this part of the rows, 1/2 or 2/2")
    parser.add_argument("--only", default="", help="make only schemes whose name begins like this")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to write; the plot goes beside it")
    options = parser.parse_args()
    table, (number, count) = Table(options.work, options.windows), options.part
    chosen = [pair for pair in all_pairs() if pair.scheme.startswith(options.only)][number - 1 :: count]
    for pair, said in make_rows(table, chosen):
        print(f"{pair.scheme} by {pair.method}: {said}", flush=True)
    reference = table.kept(REFERENCE_FILE)
    found = {pair: row for pair in all_pairs() if (row := table.kept(pair.file_name)) is not None}
    if reference is None or not found:
        sys.exit("no row is finished")
    plot: Path = options.page.with_suffix(".svg")
    title = f"Storyteller on {MACHINE}: the best method of each number format"
    write_text(plot, plot_of_rows(title, [reference, *best_rows(found)], is_compared=True))
    write_text(options.page, page_of(table, reference, found, plot))


if __name__ == "__main__":
    main()

"""Our simulator and llama.cpp in turns; README.md says what is measured. Writes JSON and a picture."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.native.checkpoint import make_checkpoint, make_gguf
from benchmarks.native.host import processor_name, read_bandwidth
from benchmarks.native.picture import draw
from benchmarks.processes import timed
from slmc.files import write_text

HERE = Path(__file__).resolve().parent
CONFIGS = HERE.parents[1] / "examples" / "configs"
PROMPT, NEW, MANY, CONTEXT = 512, 24, 400, 1024
FORMATS = {"w8a8": "q8_0", "w4a8-g32": "q4_0"}
LONG = 32_768


@dataclass(frozen=True)
class Other:
    """A model measured beside the memory bandwidth; `position`: where decoding begins, else behind a prompt of 64 tokens."""

    source: Path
    scheme: str
    settings: tuple[str, ...] = ()
    position: int = 0


OTHERS = {
    "storyteller w8a8": Other(HERE.parents[1] / "examples" / "storyteller", "w8a8"),
    "llama-3.2-1b w8a8": Other(CONFIGS / "llama-3.2-1b.json", "w8a8"),
    "llama-3.2-1b w8a8 at 32,768": Other(CONFIGS / "llama-3.2-1b.json", "w8a8", position=LONG),
    "llama-3.2-1b bf16": Other(CONFIGS / "llama-3.2-1b.json", "bf16"),
    "llama-3.2-1b fp16": Other(CONFIGS / "llama-3.2-1b.json", "fp16"),
    "tinyllama-1.1b fp32": Other(CONFIGS / "tinyllama-1.1b.json", "fp32"),
    "gemma-2b w8a8": Other(CONFIGS / "gemma-2b.json", "w8a8"),
    "phi-3-mini-4k w4a8-g32": Other(CONFIGS / "phi-3-mini-4k.json", "w4a8-g32"),
    "mistral-7b-v0.1 w4a8-g32": Other(CONFIGS / "mistral-7b-v0.1.json", "w4a8-g32"),
    "mixtral-8x7b, 4 layers, w4a8-g32": Other(CONFIGS / "mixtral-8x7b.json", "w4a8-g32", ("num_hidden_layers=4",)),
}


def command(*arguments: object) -> Any:
    """Runs a program that prints JSON."""
    done = subprocess.run([str(argument) for argument in arguments], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def compiled(source: Path, scheme: str, target: Path, *extra: str) -> dict[str, float]:
    """Seconds, and the peak of anonymous memory in bytes."""
    seconds, peak = timed(sys.executable, "-m", "slmc", "compile", str(source), "-q", scheme, "-o", str(target), *extra)
    return {"seconds": seconds, "anonymous_bytes": peak}


def speeds(runs: list[dict[str, Any]]) -> dict[str, float]:
    """Medians over runs of tokens per second."""
    return {
        "prefill": PROMPT / statistics.median(run["prompt_seconds"] for run in runs),
        "decode": 1 / statistics.median(statistics.median(run["token_seconds"]) for run in runs),
    }


def ours(what: str, file: Path, threads: int, first: int, new: int) -> Any:
    """What ours.py prints: `first` is the length of the prompt, or the position."""
    return command(sys.executable, "-m", "benchmarks.native.ours", what, file, threads, first, new)


def side_by_side(folder: Path, peer: str | None, rounds: int) -> list[dict[str, Any]]:
    """Rows of format and threads: both sides' speeds and our ratio to the peer."""
    rows: list[dict[str, Any]] = []
    for scheme, name in FORMATS.items():
        for threads in (1, 2):
            mine: list[dict[str, Any]] = []
            theirs: list[dict[str, Any]] = []
            for _ in range(rounds):
                mine.append(ours("run", folder / f"{scheme}.slx", threads, PROMPT, NEW))
                if peer:
                    theirs.append(command(peer, HERE / "peer.py", "run", folder / f"{name}.gguf", threads, PROMPT, NEW))
            row: dict[str, Any] = {"scheme": scheme, "peer": name, "threads": threads, "ours": speeds(mine)}
            row["anonymous_bytes"] = max(run["anonymous_bytes"] for run in mine)
            row["read_bytes"] = mine[0]["read_bytes"]
            if theirs:
                row["theirs"] = speeds(theirs)
                row["ratio"] = {phase: row["ours"][phase] / row["theirs"][phase] for phase in row["ours"]}
            rows.append(row)
            print(json.dumps(row), flush=True)
    return rows


def others(names: list[str], bandwidth: dict[str, float], folder: Path) -> list[dict[str, Any]]:
    """Decode of other models with all cores, beside the bytes of weights and KV it reads at the computer's bandwidth."""
    rows: list[dict[str, Any]] = []
    for name in names:
        other, path = OTHERS[name], folder / "other.slx"
        extra = [part for setting in other.settings for part in ("--set", setting)]
        if not other.source.is_dir():
            extra += ["--random-weights", "1", "--context", str(other.position + 256)]
        built = compiled(other.source, other.scheme, path, *extra)
        what, first = ("long", other.position) if other.position else ("run", 64)
        run = ours(what, path, 2, first, 12)
        seconds = statistics.median(run["token_seconds"])
        row = {"model": name, "tokens_per_second": 1 / seconds, "compile": built, "file_bytes": path.stat().st_size}
        row |= {"read_bytes": run["read_bytes"], "anonymous_bytes": run["anonymous_bytes"]}
        row["of_bandwidth"] = run["read_bytes"] / seconds / bandwidth["2 threads"]
        path.unlink()
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def timing_only(path: Path) -> dict[str, float]:
    """Tokens per second without values, with and without passing over what was executed before; means over many tokens."""
    runs = {what: ours(what, path, 1, PROMPT, MANY) for what in ("timing", "executed")}
    return {what: MANY / sum(run["token_seconds"]) for what, run in runs.items()}


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    make_checkpoint(CONFIGS / "tinyllama-1.1b.json", folder / "checkpoint")
    peer = arguments.peer_python
    builds: dict[str, Any] = {}
    if peer:
        make_gguf(folder / "checkpoint", folder / "bf16.gguf")
    for scheme, name in FORMATS.items():
        extra = ("--context", str(CONTEXT))
        builds[scheme] = compiled(folder / "checkpoint", scheme, folder / f"{scheme}.slx", *extra)
        if peer:
            builds[name] = command(
                peer, HERE / "peer.py", "quantize", folder / "bf16.gguf", folder / f"{name}.gguf", name
            )
    (folder / "bf16.gguf").unlink(missing_ok=True)
    print(json.dumps(builds), flush=True)
    bandwidth = read_bandwidth()
    return {
        "computer": {"processor": processor_name(), "cores": os.cpu_count(), "system": platform.platform()},
        "load_before": os.getloadavg(),
        "bandwidth_bytes_per_second": bandwidth,
        "builds": builds,
        "timing_only": timing_only(folder / "w8a8.slx"),
        "native": side_by_side(folder, peer, arguments.rounds),
        "profile": {scheme: ours("profile", folder / f"{scheme}.slx", 1, PROMPT, NEW)["rows"] for scheme in FORMATS},
        "others": others(arguments.others, bandwidth, folder),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-python", help="An interpreter that has llama-cpp-python.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--others", nargs="*", default=list(OTHERS), choices=list(OTHERS))
    parser.add_argument("--folder", type=Path, help="Where the models are written; some 10 GB.")
    parser.add_argument("--out", type=Path, default=HERE / "results.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        results = measure(arguments, Path(folder))
    write_text(arguments.out, json.dumps(results, indent=1) + "\n")
    draw(results, arguments.out.with_suffix(".svg"))


if __name__ == "__main__":
    main()

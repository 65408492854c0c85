"""Our side: `slmc run --timing-only` on the machine of the comparison, and the numbers of its report that the page needs."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from crosscheck.cases import CONTEXT, HERE, MACHINE, TINYLLAMA
from crosscheck.formulas import MACS_PER_CYCLE

LAYER, PHASE = 0, 1
"""Labels of the sections of a report (docs/stats.md)."""
WARM_LAYERS = 2
"""Layers at either end of the chain that are not counted: the pipeline fills and empties there."""
GEMM_ROWS = 128


def run_slmc(source: Path, prompt_length: int, context: int, tokens: int) -> dict[str, Any]:
    """The statistics of a timing-only run in w8a8. Raises CalledProcessError."""
    print(f"slmc: {source.name}, prompt of {prompt_length}, {tokens} tokens", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        stats = Path(folder) / "stats.json"
        command = [sys.executable, "-m", "slmc", "run", str(source), "-t", str(MACHINE), "-q", "w8a8", "--timing-only"]
        command += ["--prompt-length", str(prompt_length), "--context", str(context), "-n", str(tokens)]
        subprocess.run([*command, "--stats", str(stats)], check=True, stdout=subprocess.DEVNULL)
        return json.loads(stats.read_text())


def study() -> dict[str, Any]:
    """Case -> our numbers. A decoded token attends to itself and to what came before: CONTEXT keys behind CONTEXT - 1 tokens."""
    before = run_slmc(TINYLLAMA, CONTEXT - 1, CONTEXT + 1, 1)
    decoded = run_slmc(TINYLLAMA, CONTEXT - 1, CONTEXT + 1, 2)
    whole = run_slmc(TINYLLAMA, CONTEXT, CONTEXT + 1, 1)
    return {
        "gemm": one_layer(run_slmc(HERE / "gemm.slm", GEMM_ROWS, 2 * GEMM_ROWS, 1)),
        "gemv": one_layer(run_slmc(HERE / "gemv.slm", 1, 2, 1)),
        "decode": phase(decoded["decode"], counters(decoded) - counters(before), decoded),
        "prefill": phase(whole["prefill"], counters(whole), whole),
    }


def one_layer(stats: dict[str, Any]) -> dict[str, Any]:
    """The mean layer of a chain of equal ones, in the steady state."""
    layers = [s for s in stats["sections"] if s["label"] == LAYER and s["value"] is not None and s["value"] >= 0]
    inner = sorted(layers, key=lambda section: section["value"])[WARM_LAYERS:-WARM_LAYERS]
    visits = sum(section["visits"] for section in inner)
    macs = sum(section["macs"] for section in inner) / visits
    return {
        "cycles": sum(section["cycles"] for section in inner) / visits,
        "mxu": sum(section["busy_cycles"]["MXU"] for section in inner) / visits,
        "macs": macs,
        "mxu_floor": macs / MACS_PER_CYCLE,
        "dram_bytes": sum(section["dram_bytes"] for section in inner) / visits,
        "chunk": stats["program"]["chunk"],
    }


def phase(part: dict[str, Any], counted: Counter[str], stats: dict[str, Any]) -> dict[str, Any]:
    """A phase of TinyLlama; `counted` are the counters of that phase."""
    return {
        "cycles": part["cycles"],
        "mxu": counted["mxu"],
        "macs": part["macs"],
        "bf16_macs": counted["bf16_macs"],
        "mxu_floor": part["floor"]["mxu"],
        "dram_bytes": part["dram_bytes"],
        "cache_bytes": counted["cache_bytes"],
        "floor": part["floor"]["cycles"],
        "chunk": stats["program"]["chunk"],
    }


def counters(stats: dict[str, Any]) -> Counter[str]:
    """What a report counts for a whole run only."""
    (mxu,) = [engine["busy_cycles"] for engine in stats["engines"] if engine["name"] == "MXU"]
    cache = stats["bytes_by_region"]["KV"]
    bf16 = sum(macs for dtypes, macs in stats["macs_by_dtype"].items() if dtypes.startswith("bf16"))
    return Counter({"mxu": mxu, "cache_bytes": cache["read"] + cache["write"], "bf16_macs": bf16})

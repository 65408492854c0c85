"""Time and memory of `slmc quantize --method rtn` on a checkpoint of the size of TinyLlama-1.1B with random weights, against `cp`.

    python -m benchmarks.quantize_stream [-q w8a8] [--layers 22] [--folder /tmp]

The files are read once before, so that both times are those of a warm page cache, and `sync` counts for both. Peak anonymous memory is
RssAnon of /proc, sampled every 20 ms: mapped pages of the checkpoint are the kernel's cache, not the program's.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.native.checkpoint import make_checkpoint
from benchmarks.processes import timed

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "examples" / "configs" / "tinyllama-1.1b.json"


def synced(*command: str) -> tuple[float, int]:
    """Seconds with the sync behind it, and the peak of anonymous memory in bytes."""
    started = time.perf_counter()
    _, peak = timed(*command)
    subprocess.run(["sync"], check=True)
    return time.perf_counter() - started, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-q", "--scheme", default="w8a8")
    parser.add_argument("--layers", type=int, default=22)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as text:
        folder = Path(text)
        source, output = folder / "source", folder / "output"
        make_checkpoint(CONFIG, source, num_hidden_layers=options.layers)
        size = (source / "model.safetensors").stat().st_size
        subprocess.run(["sync"], check=True)
        copy, _ = synced("cp", str(source / "model.safetensors"), str(folder / "copy"))
        (folder / "copy").unlink()
        command = ("-m", "slmc", "quantize", str(source), "-q", options.scheme, "-o", str(output))
        seconds, peak = synced(sys.executable, *command)
        print(f"checkpoint {size / 1e9:.2f} GB: cp {copy:.1f} s")
        print(f"slmc quantize -q {options.scheme}: {seconds:.1f} s, {seconds / copy:.1f} times cp, ", end="")
        print(f"peak of anonymous memory {peak / 1e9:.2f} GB")


if __name__ == "__main__":
    main()

"""Time and memory of `slmc quantize --method rtn` on a checkpoint of the size of TinyLlama-1.1B with random weights, against `cp`.

    python benchmarks/quantize_stream.py [-q w8a8] [--layers 22] [--folder /tmp]

The files are read once before, so that both times are those of a warm page cache, and `sync` counts for both. Peak anonymous memory is
RssAnon of /proc, sampled every 20 ms: mapped pages of the checkpoint are the kernel's cache, not the program's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from frontends import load_program
from frontends.weights.safetensors_writer import SafetensorsWriter

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "examples" / "configs" / "tinyllama-1.1b.json"
BLOCK_ELEMENTS = 1 << 22
HUB = {
    "embed": "model.embed_tokens", "norm": "model.norm", "head": "lm_head", "attn_norm": "input_layernorm",
    "mlp_norm": "post_attention_layernorm", "q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj",
    "o": "self_attn.o_proj", "gate": "mlp.gate_proj", "up": "mlp.up_proj", "down": "mlp.down_proj",
}  # fmt: skip


def make_checkpoint(folder: Path, layers: int) -> None:
    """config.json and one model.safetensors in bf16."""
    config = json.loads(CONFIG.read_text()) | {"num_hidden_layers": layers}
    (folder / "config.json").write_text(json.dumps(config))
    weights = load_program(folder / "config.json", random_seed=0).weights
    names = {name: hub_name(name) for name in weights.names()}
    tensors = {names[name]: ("BF16", weights.shape(name)) for name in names}
    writer = SafetensorsWriter(folder, tensors, shard_bytes=1 << 40)
    for name, hub in names.items():
        flat = weights.load(name).reshape(-1)
        for first in range(0, flat.size, BLOCK_ELEMENTS):
            bits = (flat[first : first + BLOCK_ELEMENTS].view(np.uint32) >> 16).astype(np.uint16)
            writer.write(hub, 2 * first, bits)
    writer.close()


def hub_name(name: str) -> str:
    *place, module, part = name.split(".")
    return ".".join([*(["model", *place] if place else []), HUB[module], part])


def timed(*command: str) -> tuple[float, int]:
    """Seconds with the sync behind it, and the peak of anonymous memory in bytes."""
    started = time.perf_counter()
    process = subprocess.Popen(command)
    peak = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            break
        anonymous = [int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")]
        peak = max([peak, *anonymous])
        time.sleep(0.02)
    if process.wait():
        sys.exit(process.returncode)
    subprocess.run(["sync"], check=True)
    return time.perf_counter() - started, peak * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-q", "--scheme", default="w8a8")
    parser.add_argument("--layers", type=int, default=22)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as text:
        folder = Path(text)
        source, output = folder / "source", folder / "output"
        source.mkdir()
        make_checkpoint(source, options.layers)
        size = (source / "model.safetensors").stat().st_size
        subprocess.run(["sync"], check=True)
        copy, _ = timed("cp", str(source / "model.safetensors"), str(folder / "copy"))
        (folder / "copy").unlink()
        command = ("-m", "slmc", "quantize", str(source), "-q", options.scheme, "-o", str(output))
        seconds, peak = timed(sys.executable, *command)
        print(f"checkpoint {size / 1e9:.2f} GB: cp {copy:.1f} s")
        print(f"slmc quantize -q {options.scheme}: {seconds:.1f} s, {seconds / copy:.1f} times cp, ", end="")
        print(f"peak of anonymous memory {peak / 1e9:.2f} GB")


if __name__ == "__main__":
    main()

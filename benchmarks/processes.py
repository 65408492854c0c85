"""Processes that are measured: seconds, and memory that is no file."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

SAMPLE_SECONDS = 0.02


def timed(*command: str) -> tuple[float, int]:
    """Seconds, and the peak of anonymous memory in bytes, sampled. What the command prints goes to stderr."""
    started, peak = time.perf_counter(), 0
    process = subprocess.Popen(command, stdout=sys.stderr)
    while process.poll() is None:
        peak = max(peak, anonymous_bytes(process.pid))
        time.sleep(SAMPLE_SECONDS)
    if process.returncode:
        sys.exit(process.returncode)
    return time.perf_counter() - started, peak


def anonymous_bytes(process: int | str = "self") -> int:
    """RssAnon of a process; 0 if it is gone."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")), 0)

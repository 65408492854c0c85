"""What this computer can do at best: how fast it reads memory."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any, cast

import numba
import numpy as np

SIZE_BYTES = 1 << 30
REPEATS = 5


def _total(values: Any) -> int:
    total = 0
    for value in values:
        total += value
    return total


def read_bandwidth() -> dict[str, float]:
    """Bytes per second of 1 and of 2 threads that add up an array far larger than the caches, the best of some."""
    add_up = cast(Any, numba).njit("int64(int64[::1])", nogil=True)(_total)
    values = np.ones(SIZE_BYTES // 8, np.int64)
    return {
        f"{count} thread{'s' * (count > 1)}": max(_once(add_up, values, count) for _ in range(REPEATS))
        for count in (1, 2)
    }


def _once(add_up: Any, values: Any, count: int) -> float:
    parts = np.array_split(values, count)
    threads = [threading.Thread(target=add_up, args=(part,)) for part in parts]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return SIZE_BYTES / (time.perf_counter() - started)


def processor_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"

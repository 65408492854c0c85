"""The fast engine on one executable. Prints JSON: seconds of the prompt and of each new token, memory, bytes read.

python -m benchmarks.native.ours run FILE.slx THREADS PROMPT NEW
python -m benchmarks.native.ours timing FILE.slx THREADS PROMPT NEW     the same without values
"""

from __future__ import annotations

import json
import sys
import time

from benchmarks.processes import anonymous_bytes
from isa.container import Executable
from simulator.session import Session
from simulator.timing.actions import named


def run(path: str, threads: int, prompt: int, new: int, timing_only: bool) -> dict[str, object]:
    session = Session(Executable.open(path, verify=False), threads=threads, timing_only=timing_only)
    list(session.generate([1] * 8, 2))  # kernels are loaded, the file is mapped and read
    session.reset()
    vocabulary = session.vocabulary
    started = time.perf_counter()
    times: list[float] = []
    for _ in session.generate([1 + place % (vocabulary - 1) for place in range(prompt)], new + 1):
        times.append(time.perf_counter())
    return {
        "prompt_seconds": times[0] - started,
        "token_seconds": [b - a for a, b in zip(times, times[1:], strict=False)],
        "anonymous_bytes": anonymous_bytes(),
        "read_bytes": decode_bytes(session),
    }


def decode_bytes(session: Session) -> float:
    """Bytes that the simulated machine reads for a token behind the prompt, on average."""
    assert session.clock is not None
    part = session.clock.records().phases["decode"]
    return sum(count for name, count in named(part.actions).items() if name.startswith("read.")) / part.visits


if __name__ == "__main__":
    command, file, *numbers = sys.argv[1:]
    threads, prompt, new = (int(number) for number in numbers)
    print(json.dumps(run(file, threads, prompt, new, command == "timing")))

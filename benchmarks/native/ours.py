"""The fast engine on one executable, in a process of its own. Prints JSON.

python -m benchmarks.native.ours run FILE.slx THREADS PROMPT NEW        seconds of the prompt and of each new token, memory, bytes read
python -m benchmarks.native.ours long FILE.slx THREADS POSITION NEW     the same from a position on, with random keys and values before it
python -m benchmarks.native.ours timing FILE.slx THREADS PROMPT NEW     without values, what was executed before is passed over
python -m benchmarks.native.ours executed FILE.slx THREADS PROMPT NEW   without values, every instruction is executed
python -m benchmarks.native.ours profile FILE.slx THREADS PROMPT NEW    microseconds per token by kind of instruction
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np

from benchmarks.processes import anonymous_bytes
from isa.container import Executable
from isa.spec import Region
from simulator.session import Session
from simulator.timing.actions import named

BLOCK_VALUES = 1 << 22


def run(session: Session, prompt: int, new: int) -> dict[str, object]:
    """A prompt and the tokens behind it, after a short run in which kernels are loaded, and the file is mapped and read."""
    list(session.generate([1] * 8, 2))
    session.reset()
    return timed(session, prompt, new)


def timed(session: Session, prompt: int, new: int) -> dict[str, object]:
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


def long(session: Session, new: int) -> dict[str, object]:
    """From the session's position on. The first tokens are not counted: they read the cache for the first time."""
    cache = session.state.memory.arrays[Region.KV].view(np.uint16)
    random = np.random.default_rng(0)
    for first in range(0, len(cache), BLOCK_VALUES):
        part = cache[first : first + BLOCK_VALUES]
        part[:] = random.standard_normal(len(part), np.float32).view(np.uint32) >> 16  # bf16
    list(session.generate([1], 2))
    return timed(session, 1, new)


def profile(session: Session, prompt: int, new: int) -> dict[str, object]:
    """Of tokens behind a prompt."""
    clock = session.clock
    assert clock is not None
    list(session.generate([1 + place % (session.vocabulary - 1) for place in range(prompt)], 2))
    before = {row.name: row for row in clock.host_rows()}
    list(session.generate([1], new))
    rows: list[dict[str, object]] = []
    for row in clock.host_rows():
        earlier = before.get(row.name)
        executions, seconds = (earlier.executions, earlier.seconds) if earlier else (0, 0.0)
        per_token = (row.executions - executions) / new
        rows.append({"work": row.name, "executions": per_token, "us": 1e6 * (row.seconds - seconds) / new})
    return {"rows": sorted(rows, key=lambda row: -float(str(row["us"])))}


def decode_bytes(session: Session) -> float:
    """Bytes that the simulated machine reads for a token behind the prompt, on average."""
    assert session.clock is not None
    part = session.clock.records().phases["decode"]
    return sum(count for name, count in named(part.actions).items() if name.startswith("read.")) / part.visits


def main() -> None:
    command, file, *numbers = sys.argv[1:]
    threads, prompt, new = (int(number) for number in numbers)
    executable = Executable.open(file, verify=False)
    session = Session(
        executable,
        threads=threads,
        timing_only=command in ("timing", "executed"),
        extrapolate=command == "timing",
        position=prompt if command == "long" else 0,
        profile_host=command == "profile",
    )
    if command == "long":
        result = long(session, new)
    elif command == "profile":
        result = profile(session, prompt, new)
    else:
        result = run(session, prompt, new)
    print(json.dumps(result))


if __name__ == "__main__":
    main()

"""llama.cpp, run by an interpreter that has llama-cpp-python and knows nothing of slmc. Prints JSON.

peer.py run MODEL.gguf THREADS PROMPT NEW      seconds of the prompt, and of each new token
peer.py quantize IN.gguf OUT.gguf q8_0|q4_0    seconds
"""

from __future__ import annotations

import ctypes
import json
import sys
import time

import llama_cpp
from llama_cpp import Llama

FORMATS = {"q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0, "q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0}


def run(model: str, threads: int, prompt: int, new: int) -> dict[str, object]:
    llama = Llama(model, n_ctx=1024, n_batch=512, n_threads=threads, n_threads_batch=threads, verbose=False)
    llama.eval([1] * 8)  # the file is mapped and read
    llama.reset()
    started = time.perf_counter()
    llama.eval(list(range(1, prompt + 1)))
    times = [time.perf_counter()]
    for _ in range(new):
        llama.eval([7])
        times.append(time.perf_counter())
    return {
        "prompt_seconds": times[0] - started,
        "token_seconds": [b - a for a, b in zip(times, times[1:], strict=False)],
    }


def quantize(source: str, target: str, name: str) -> dict[str, object]:
    settings = llama_cpp.llama_model_quantize_default_params()
    settings.ftype, settings.pure, settings.nthread = FORMATS[name], True, 2
    started = time.perf_counter()
    code = llama_cpp.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(settings))
    return {"seconds": time.perf_counter() - started, "code": int(code)}


if __name__ == "__main__":
    command, *given = sys.argv[1:]
    numbers = [int(number) for number in given[1:]] if command == "run" else []
    print(json.dumps(run(given[0], *numbers) if numbers else quantize(*given)))

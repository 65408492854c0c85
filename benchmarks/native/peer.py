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

FORMATS = {"q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0, "q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0}


def run(path: str, threads: int, prompt: int, new: int) -> dict[str, object]:
    llama_cpp.llama_backend_init()
    given = llama_cpp.llama_model_default_params()
    given.use_extra_bufts = "--plain" not in sys.argv  # its AMX kernels crash on some virtual machines
    model = llama_cpp.llama_model_load_from_file(path.encode(), given)
    settings = llama_cpp.llama_context_default_params()
    settings.n_ctx, settings.n_batch, settings.n_ubatch = 1024, 512, 512
    settings.n_threads = settings.n_threads_batch = threads
    context = llama_cpp.llama_init_from_model(model, settings)
    decode(context, [1] * 8)  # the file is mapped and read
    llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
    started = time.perf_counter()
    decode(context, list(range(1, prompt + 1)))
    times = [time.perf_counter()]
    for _ in range(new):
        decode(context, [7])
        times.append(time.perf_counter())
    return {
        "prompt_seconds": times[0] - started,
        "token_seconds": [b - a for a, b in zip(times, times[1:], strict=False)],
    }


def decode(context: object, tokens: list[int]) -> None:
    """Processes tokens behind those before them; the logits of the last one are there when it returns."""
    array = (llama_cpp.llama_token * len(tokens))(*tokens)
    code = llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(array, len(tokens)))
    if code or not llama_cpp.llama_get_logits(context):
        raise SystemExit(f"llama_decode failed with {code}")


def quantize(source: str, target: str, name: str) -> dict[str, object]:
    settings = llama_cpp.llama_model_quantize_default_params()
    settings.ftype, settings.pure, settings.nthread = FORMATS[name], True, 2
    started = time.perf_counter()
    code = llama_cpp.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(settings))
    return {"seconds": time.perf_counter() - started, "code": int(code)}


if __name__ == "__main__":
    command, *given = sys.argv[1:]
    given = [part for part in given if part != "--plain"]
    numbers = [int(number) for number in given[1:]] if command == "run" else []
    print(json.dumps(run(given[0], *numbers) if numbers else quantize(*given)))

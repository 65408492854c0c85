"""genz-llm: every operation the longer of its compute and its memory time; one after the other."""

from __future__ import annotations

import json
from typing import Any

from crosscheck.cases import CONTEXT, TINYLLAMA, Case
from crosscheck.environments import GENZ, Runner

PHASES = ("decode", "prefill")


def study(cases: tuple[Case, ...], run: Runner) -> dict[str, dict[str, Any]]:
    """Case -> its operations with their cycles, and the total."""
    found: dict[str, dict[str, Any]] = {}
    for case in cases:
        if case.name in PHASES:
            request: dict[str, Any] = {"model": model(), "phase": case.name, "context": CONTEXT}
        else:
            (product,) = case.products
            request = {"product": {"rows": product.rows, "inner": product.inner, "columns": product.columns}}
        found[case.name] = parse(run(GENZ, case.name, request))
    return found


def model() -> dict[str, Any]:
    """TinyLlama in genz's names; num_ffi is the number of matrices before the activation: gate and up."""
    config = json.loads(TINYLLAMA.read_text())
    return {
        "model": "tinyllama-1.1b",
        "vocab_size": config["vocab_size"],
        "hidden_size": config["hidden_size"],
        "intermediate_size": config["intermediate_size"],
        "num_ffi": 2,
        "num_decoder_layers": config["num_hidden_layers"],
        "num_attention_heads": config["num_attention_heads"],
        "num_key_value_heads": config["num_key_value_heads"],
    }


def parse(answer: dict[str, Any]) -> dict[str, Any]:
    """Operations that take time, cycles rounded to a thousandth: genz computes seconds and back."""
    lines = [
        {
            "name": line["name"],
            "count": line["count"],
            **{part: round(line[part], 3) for part in ("cycles", "compute", "memory")},
        }
        for line in answer["lines"]
        if line["cycles"] > 0
    ]
    total = round(sum(line["count"] * line["cycles"] for line in lines), 3)
    if abs(total - answer["total"]) > 1:
        raise ValueError(f"genz: the operations add up to {total}, not to {answer['total']}")
    return {"lines": lines, "total": total}

"""What `slmc inspect` shows of a model that is not compiled: what it is, and what it costs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from math import prod
from typing import Any

from rich.console import Console
from rich.markup import escape

from compiler.analysis.model_costs import ModelCosts, model_costs
from compiler.driver import check_context
from compiler.program import Program
from compiler.schemes import SHOWN, Scheme, find_scheme
from simulator.report.render import quantity
from slmc.tables import table_of

_INDEX = re.compile(r"\.\d+(?=\.|$)")


def describe_model(program: Program, context: int) -> dict[str, Any]:
    """Parameters, work and bytes per token at the end of `context` positions, memory by scheme, weights, config.

    Tied weights count once as parameters; bytes are those of the compiled program, which stores a tied head apart. Raises
    CompileError for a context the model cannot have.
    """
    check_context(program, context)
    costs = model_costs(program)
    macs = {
        "matrices": costs.matrix_macs,
        "attention": costs.attention_macs(context),
        "recurrent": costs.recurrent_macs,
    }
    return {
        "source": program.source,
        "architecture": program.architecture,
        "parameters": costs.parameters,
        "active_parameters": costs.active_parameters,
        "virtual_weights": program.virtual_weights,
        "max_positions": program.max_positions,
        "stop_tokens": list(program.stop_tokens),
        "tokenizer": program.tokenizer_json is not None,
        "chat_template": program.chat_template is not None,
        "context": context,
        "macs_per_token": macs,
        "flops_per_token": 2 * sum(macs.values()),
        "not_counted": sorted(costs.uncounted),
        "schemes": {scheme.name: scheme_costs(costs, scheme, context) for scheme in map(find_scheme, SHOWN)},
        "config": program.config,
        "weights": list(weights_of(program)),
        "notes": program.notes,
    }


def scheme_costs(costs: ModelCosts, scheme: Scheme, context: int) -> dict[str, int]:
    """Bytes of one scheme."""
    weights, cache = costs.weight_bytes(scheme), costs.cache_bytes(scheme, context)
    return {
        "weight_bytes": weights,
        "kv_bytes_per_token": costs.cache_bytes_per_token(scheme),
        "kv_bytes": cache,
        "state_bytes": costs.state_bytes,
        "memory_bytes": weights + cache + costs.state_bytes,
        "read_bytes_per_token": costs.weight_bytes_read(scheme)
        + costs.cache_bytes_read(scheme, context)
        + costs.state_bytes,
    }


def weights_of(program: Program) -> Iterator[dict[str, Any]]:
    """Every weight with its shape, its type in the checkpoint and the weight it is tied to."""
    store = program.weights
    for name in store.names():
        yield {
            "name": name,
            "shape": list(store.shape(name)),
            "dtype": store.storage_dtype(name),
            "stored": store.stored_type(name),
            "parameters": prod(store.shape(name)),
            "alias_of": store.alias_of(name),
        }


def show_model(description: dict[str, Any], console: Console) -> None:
    d = description
    active = "" if d["active_parameters"] == d["parameters"] else f", {d['active_parameters']:,} active per token"
    console.print(f"[bold]{escape(d['source'])}[/]: {d['architecture']}, {d['parameters']:,} parameters{active}")
    for key in ("max_positions", "stop_tokens", "tokenizer", "chat_template"):
        console.print(f"  {key}: {d[key]}")
    if d["virtual_weights"]:
        console.print("  weights: virtual, there is no checkpoint here")
    for note in d["notes"]:
        console.print(f"  note: {escape(note)}")
    console.print()
    _show_costs(d, console)
    config = [(key, json.dumps(value)) for key, value in d["config"].items()]
    if config:
        console.print(table_of("Config", ("field", "value"), config))
    columns = ("weight", "count#", "shape", "stored", "parameters#", "tied")
    console.print(table_of("Weights", columns, grouped(d["weights"])))


def _show_costs(d: dict[str, Any], console: Console) -> None:
    macs = d["macs_per_token"]
    recurrent = f", {quantity(macs['recurrent'], 'MAC')} in recurrence" if macs["recurrent"] else ""
    console.print(
        f"One token at the end of {d['context']:,} positions: {quantity(d['flops_per_token'], 'FLOP')} "
        f"({quantity(macs['matrices'], 'MAC')} with weights, {quantity(macs['attention'], 'MAC')} in attention{recurrent})"
    )
    if d["not_counted"]:
        console.print(f"  not counted: {', '.join(d['not_counted'])}")
    rows = [
        (
            name,
            *(
                quantity(costs[key], "B")
                for key in (
                    "weight_bytes",
                    "kv_bytes_per_token",
                    "kv_bytes",
                    "memory_bytes",
                    "read_bytes_per_token",
                )  # fmt: skip
            ),
        )
        for name, costs in d["schemes"].items()
    ]
    columns = ("scheme", "weights#", "KV per token#", f"KV of {d['context']:,}#", "memory#", "read per token#")
    console.print(table_of("Memory", columns, rows))


def grouped(weights: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """One row for the weights that differ in their indices alone: `layers.{0..21}.q.weight`."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for weight in weights:
        tied = None if weight["alias_of"] is None else _INDEX.sub(".{}", weight["alias_of"])
        key = (_INDEX.sub(".{}", weight["name"]), tuple(weight["shape"]), weight["stored"], tied)
        groups.setdefault(key, []).append(weight)
    return [
        (
            name,
            len(members),
            list(shape),
            dtype,
            sum(member["parameters"] for member in members),
            f"= {tied}" if tied else "",
        )
        for (name, shape, dtype, tied), members in groups.items()
    ]

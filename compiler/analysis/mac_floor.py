"""The fewest cycles in which an array can do the multiply-accumulates of a prompt: what prefill is compared with."""

from __future__ import annotations

from compiler.analysis.model_costs import Cache, ModelCosts, Part
from compiler.analysis.predict_engines import beats_per_row
from compiler.dialects.slm import EXPERT, LAYER
from compiler.lowering.builder import element_bytes
from compiler.schemes import ROUTING, Scheme
from compiler.sizes import padded
from isa.machine import Machine


def mac_floor_cycles(costs: ModelCosts, scheme: Scheme, machine: Machine, tokens: int) -> float:
    """Multiply-accumulates of a causal prompt of `tokens`, to its first token, over the array's size times the rate of their types.

    Matrices outside the layers are those of the head, which sees the last token. Heads are padded to the array's columns.
    """
    products = sum(matrix_beats(part, scheme, machine) * (tokens if is_of_all(part) else 1) for part in costs.parts)
    attention = sum(attention_beats(cache, scheme, machine, tokens) for cache in costs.caches)
    return (products + attention) / (machine.mxu_rows * machine.mxu_columns)


def is_of_all(part: Part) -> bool:
    return LAYER in part.key or EXPERT in part.key


def matrix_beats(part: Part, scheme: Scheme, machine: Machine) -> int:
    """Of one token, in multiply-accumulates of the fastest type."""
    if part.role not in ("matrix", "router"):
        return 0
    matrix = ROUTING if part.role == "router" else scheme.matrix_of(part.key)
    terms = part.columns // 2 if matrix.weights.sparse else part.columns
    return part.rows * terms * part.per_token * beats(machine, matrix.weights.element, matrix.inputs)


def attention_beats(cache: Cache, scheme: Scheme, machine: Machine, tokens: int) -> int:
    """Scores and weighted values of a whole prompt."""
    seen = sum(cache.seen(position + 1) for position in range(tokens))
    head_dim = padded(cache.head_dim, machine.mxu_columns)
    return 2 * cache.layers * cache.query_heads * head_dim * seen * beats(machine, scheme.attention, scheme.cache)


def beats(machine: Machine, *types: str) -> int:
    """What a multiply-accumulate of these types takes, in those of int8: the wider one counts."""
    return beats_per_row(machine.core, 8 * max(element_bytes(one) for one in types))

"""The least cycles of a prompt's multiply-accumulates, against sums by hand."""

from __future__ import annotations

from math import ceil

import pytest

from compiler.analysis.mac_floor import mac_floor_cycles
from compiler.analysis.model_costs import model_costs
from compiler.schemes import find_scheme
from isa.machine import load_machine
from tests.end_to_end.e2e_support import tiny_program

HIDDEN, HEADS, KV_HEADS, HEAD_DIM, WIDTH, VOCABULARY, LAYERS = 24, 3, 1, 6, 20, 67, 2


@pytest.mark.parametrize(("scheme", "matrix_beats"), [("w8a8", 1), ("w8a16", 2), ("fp32", 4)])
def test_by_hand(scheme: str, matrix_beats: int) -> None:
    machine, tokens = load_machine("edge"), 5
    columns = machine.mxu_columns
    attention_beats = 4 if scheme == "fp32" else 2
    layer = HIDDEN * (HEADS + 2 * KV_HEADS) * HEAD_DIM + HEADS * HEAD_DIM * HIDDEN + 3 * HIDDEN * WIDTH
    pairs = sum(range(1, tokens + 1))
    attention = 2 * LAYERS * HEADS * ceil(HEAD_DIM / columns) * columns * pairs * attention_beats
    work = (LAYERS * layer * tokens + HIDDEN * VOCABULARY) * matrix_beats + attention
    costs = model_costs(tiny_program(num_hidden_layers=LAYERS))
    assert mac_floor_cycles(costs, find_scheme(scheme), machine, tokens) == work / (machine.mxu_rows * columns)

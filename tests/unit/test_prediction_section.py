"""The section PRED: what is written is read, steps between known ones are linear, faults are refused."""

from __future__ import annotations

import pytest

from compiler.analysis.predict_section import positions
from compiler.lowering.plan import TilePlan
from isa.canonical_json import canonical_json
from isa.prediction import PredictedOperator, PredictedStep, Prediction

STEPS = (
    PredictedStep(1, 0, True, 100, 10),
    PredictedStep(1, 10, True, 200, 10),
    PredictedStep(128, 0, False, 1000, 10),
    PredictedStep(128, 256, False, 3000, 10),
    PredictedStep(128, 0, True, 1100, 10),
    PredictedStep(128, 256, True, 3100, 10),
)
OPERATOR = PredictedOperator("linear a.slm:1:2", 90, {"DML": 80, "DMS": 0, "MXU": 7, "VPU": 1}, 640, "DML")
PREDICTION = Prediction(STEPS, {"decode": (OPERATOR,)})


def test_round_trip() -> None:
    assert Prediction.from_bytes(PREDICTION.to_bytes()) == PREDICTION


def test_positions_in_between_are_linear() -> None:
    assert PREDICTION.cycles(1, 5, True) == 150
    assert PREDICTION.decode_cycles(9, 2) == 190 + 200


@pytest.mark.parametrize(("tokens", "position", "is_last"), [(1, 11, True), (2, 0, True), (1, 0, False)])
def test_nothing_is_said_beyond_what_is_known(tokens: int, position: int, is_last: bool) -> None:
    assert PREDICTION.cycles(tokens, position, is_last) is None


def test_a_prompt_is_the_sum_of_its_chunks() -> None:
    assert PREDICTION.prefill_cycles(256, 128) == 1000 + 2100
    assert PREDICTION.prefill_cycles(200, 128) is None
    assert PREDICTION.decode_cycles(10, 2) is None


def test_another_schema_is_ignored() -> None:
    assert Prediction.from_bytes(canonical_json({"schema": 2, "anything": 0})) is None


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"schema": 1},
        {"schema": 1, "steps": 5, "operators": {}},
        {"schema": 1, "steps": [[0, 0, 1, 1, 1]], "operators": {}},
        {"schema": 1, "steps": [[1, 0, 2, 1, 1]], "operators": {}},
        {"schema": 1, "steps": [[1, 0, 1, -1, 1]], "operators": {}},
        {"schema": 1, "steps": [], "operators": {"other": []}},
        {"schema": 1, "steps": [], "operators": {"decode": [["a", 1, [1, 2, 3], 1, "DML"]]}},
        {"schema": 1, "steps": [], "operators": {"decode": [["a", 1, [1, 2, 3, 4], 1, "magic"]]}},
    ],
)
def test_faults_are_refused(document: object) -> None:
    with pytest.raises(ValueError, match="predict|expected a list|whether a step"):
        Prediction.from_bytes(canonical_json(document))


def test_chunks_are_predicted_where_they_begin() -> None:
    plan = TilePlan(context=1024, chunk=88, strip_bytes=1, kv_heads=1, key_tile=32)
    assert positions(plan, 1) == [0, 512, 1023]
    assert positions(plan, 88) == [0, 512, 856]
    assert positions(plan, 80) == [176, 688, 944]
    assert positions(TilePlan(context=96, chunk=88, strip_bytes=1, kv_heads=1, key_tile=32), 80) == []

"""The band of an energy's uncertainty: forms, what is refused, and that no text is slow or breaks it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isa.machine import builtin_machines, load_machine
from isa.uncertainty import LARGEST_FACTOR, band_of


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("+-50 %", 0.5, 1.5),
        ("+-12.5 %: one rail", 0.875, 1.125),
        ("-30 % / +100 %", 0.7, 2.0),
        ("-0 % / + 300 %", 1.0, 4.0),
        ("-60 % / +150 %; maxima, one rail", 0.4, 2.5),
        ("x 0.3 to x 3; clock tree not included", 0.3, 3.0),
        ("x 0.3 to x 2: strong function of temperature and cell", 0.3, 2.0),
        ("none", 1.0, 1.0),
    ],
)
def test_what_a_text_says(text: str, low: float, high: float) -> None:
    assert band_of(text) == pytest.approx((low, high))


@pytest.mark.parametrize(
    "text",
    [
        "", "about half", "50 %", "+-50", "+-150 %", "+-50 % or so", "-30 %", "+30 % / -10 %", "x 2 to x 3", "x 0.1 to x 0.9",
        "x 3 to x 0.3", "x 0 to x 9999", "+-1e3 %", "none of it", "x to x", "+-\u0665\u0660 %",
    ],
)  # fmt: skip
def test_what_is_no_band(text: str) -> None:
    with pytest.raises(ValueError, match="begins with a band"):
        band_of(text)


@given(st.one_of(st.text(max_size=600), st.from_regex(r"(\+-|-|x) ?[0-9.]{0,600} ?(%|to x)[ :/+%0-9]{0,40}")))
def test_any_text_is_a_band_that_holds_one_or_refused(text: str) -> None:
    try:
        band = band_of(text)
    except ValueError:
        return
    assert 0 <= band.low <= 1 <= band.high <= LARGEST_FACTOR


@pytest.mark.parametrize("name", builtin_machines())
def test_every_energy_of_a_machine_has_a_band(name: str) -> None:
    for place, row in load_machine(name).energy_rows():
        assert row.band.low < 1 < row.band.high or "-0 %" in (row.uncertainty or ""), place

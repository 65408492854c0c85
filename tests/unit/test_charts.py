"""Charts: axes, labels that keep apart, and files that any reader of SVG can read."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slmc.charts.labels import RADIUS, Box, place_labels
from slmc.charts.scales import LinearScale, LogScale
from slmc.charts.scatter import LEFT, PANEL_HEIGHT, PANEL_WIDTH, TOP, Axis, Point, scatter
from tests.golden.make_chart import FILE, example

SVG = "{http://www.w3.org/2000/svg}"
NUMBERS = st.floats(-1e9, 1e9) | st.floats(-1e300, 1e300)


def parsed(text: str) -> ElementTree.Element:
    """The document; a reader that refuses document types and entities must accept it."""

    def refuse(*_: object) -> None:
        raise AssertionError("a document type or an entity")

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.Parse(text, True)
    return ElementTree.fromstring(text)


@given(st.lists(NUMBERS, min_size=1, max_size=9))
def test_a_linear_axis_holds_0_and_all_values(values: list[float]) -> None:
    scale = LinearScale.of(values)
    ticks = scale.ticks
    assert 2 <= len(ticks) <= 9
    lowest = min(0.0, *values)
    assert ticks[0] <= lowest + 1e-9 * (ticks[-1] - ticks[0])
    assert all(-1e-9 <= scale.place(value) <= 1 + 1e-9 for value in (0.0, *values, *ticks))
    assert all(later > earlier for earlier, later in zip(ticks, ticks[1:], strict=False))


@given(st.lists(st.floats(0, 1e9, allow_subnormal=False), min_size=1, max_size=9))
def test_a_logarithmic_axis_holds_all_values_and_sets_0_apart(values: list[float]) -> None:
    scale = LogScale.of(values)
    assert all(-1e-9 <= scale.place(value) <= 1 + 1e-9 for value in values)
    assert scale.has_zero == (0 in values)
    assert (0.0 in scale.ticks) == (0 in values)
    if 0 in values:
        assert scale.place(0) == 0 and scale.place(10.0**scale.low) > 0.05


def test_axes_of_known_values() -> None:
    assert LinearScale.of([3.0, 11.5]).ticks == (0, 2, 4, 6, 8, 10, 12)
    assert LinearScale.of([0.0]).ticks == LinearScale.of([]).ticks == (0, 0.5, 1)
    assert LogScale.of([]).ticks == (1, 10)
    assert LinearScale.of([-1.0, 1.0]).place(0) == 0.5
    scale = LogScale.of([0.02, 5.0])
    assert scale.ticks == (0.01, 0.1, 1.0, 10.0)
    assert scale.place(0.1) == pytest.approx(1 / 3)
    assert LogScale.of([1.0]).ticks == (1, 10)


def test_labels_of_a_crowd_keep_apart() -> None:
    area = Box(0, 0, 400, 300)
    points = [(20.0 + number % 3, 30.0 + number) for number in range(16)]
    boxes = place_labels(points, [f"w4a8-kv{number}" for number in range(16)], area)
    marks = [Box(x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS) for x, y in points]
    for number, box in enumerate(boxes):
        assert area.contains(box)
        assert not any(box.overlaps(other) for other in boxes[number + 1 :])
        assert not any(box.overlaps(mark) for mark in marks)


@given(st.lists(st.tuples(st.floats(0, 90), st.floats(0, 90), st.text(max_size=40)), max_size=12))
def test_every_label_gets_a_box_of_its_width(points: list[tuple[float, float, str]]) -> None:
    texts = [text for _, _, text in points]
    boxes = place_labels([(x, y) for x, y, _ in points], texts, Box(0, 0, 90, 90))
    assert [round((box.right - box.left) / 6.4) for box in boxes] == [len(text) for text in texts]


def test_the_golden_picture() -> None:
    assert example() == FILE.read_text(encoding="utf-8"), "python -m tests.golden.make_chart writes it anew"


def test_points_stand_where_the_axes_say() -> None:
    axis = Axis("x", LinearScale(0, 10, 5), str)
    root = parsed(scatter("t", [Point("a", 5, (2.5, 10)), Point("b", 0, (0, 5), True)], axis, [axis, axis]))
    circles = [(float(c.get("cx", "")), float(c.get("cy", "")), c.get("class")) for c in root.iter(f"{SVG}circle")]
    second = LEFT + PANEL_WIDTH + 36
    assert circles == [
        (LEFT + PANEL_WIDTH / 4, TOP + PANEL_HEIGHT / 2, "point"),
        (LEFT, TOP + PANEL_HEIGHT, "hollow"),
        (second + PANEL_WIDTH, TOP + PANEL_HEIGHT / 2, "point"),
        (second + PANEL_WIDTH / 2, TOP + PANEL_HEIGHT, "hollow"),
    ]


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_text_gives_a_file_that_can_be_read(label: str, title: str) -> None:
    axis = Axis(title, LinearScale(0, 1, 1), str)
    root = parsed(scatter(title, [Point(label, 0.5, (0.5,))], axis, [axis], [label]))
    assert root.tag == f"{SVG}svg"
    assert sum(element.tag == f"{SVG}circle" for element in root.iter()) == 1


def test_markup_in_a_label_is_text(tmp_path: Path) -> None:
    texts = [element.text for element in parsed(example()).iter(f"{SVG}text")]
    assert '<b>&" ' in texts
    assert "prefers-color-scheme: dark" in example()

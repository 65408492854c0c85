"""Panels of labelled points side by side, as an SVG file that is readable on light and dark pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from isa.errors import printable
from slmc.charts.labels import GAP, LINE_HEIGHT, Box, place_labels
from slmc.charts.scales import Scale

PANEL_WIDTH, PANEL_HEIGHT = 400.0, 340.0
LEFT, TOP, BETWEEN, RIGHT, BELOW = 78.0, 56.0, 36.0, 24.0, 76.0
STYLE = """
text { font: 11px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #24292f }
.title { font-size: 14px; font-weight: 600 }
.axis { font-size: 12px }
.page { fill: #ffffff }
.frame { fill: none; stroke: #8c959f }
.grid { stroke: #d8dee4 }
.leader { stroke: #8c959f; stroke-width: 0.7 }
.point { fill: #0969da; stroke: #ffffff }
.hollow { fill: none; stroke: #0969da; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.page { fill: #0d1117 }
.frame, .leader { stroke: #7d8590 }
.grid { stroke: #30363d }
.point { fill: #58a6ff; stroke: #0d1117 }
.hollow { stroke: #58a6ff }
}
"""


@dataclass(frozen=True)
class Axis:
    """A scale with its name, and how its ticks are written."""

    name: str
    scale: Scale
    text: Callable[[float], str]


@dataclass(frozen=True)
class Point:
    """A label and its values: y, and x in each panel. is_hollow: a circle, for the one that others are compared with."""

    label: str
    y: float
    xs: tuple[float, ...]
    is_hollow: bool = False


def scatter(title: str, points: Sequence[Point], y: Axis, xs: Sequence[Axis], notes: Sequence[str] = ()) -> str:
    """The SVG text: one panel per axis of `xs`, which share the y axis. Notes are lines below."""
    width = LEFT + len(xs) * PANEL_WIDTH + (len(xs) - 1) * BETWEEN + RIGHT
    height = TOP + PANEL_HEIGHT + BELOW + LINE_HEIGHT * len(notes)
    size = {"width": _number(width), "height": _number(height), "viewBox": f"0 0 {_number(width)} {_number(height)}"}
    root = ElementTree.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size, "role": "img"})
    ElementTree.SubElement(root, "title").text = printable(title)
    ElementTree.SubElement(root, "style").text = STYLE
    _add(root, "rect", "page", width=width, height=height)
    _text(root, LEFT, TOP - 26, title, "title", "start")
    for number, x in enumerate(xs):
        left = LEFT + number * (PANEL_WIDTH + BETWEEN)
        area = Box(left, TOP, left + PANEL_WIDTH, TOP + PANEL_HEIGHT)
        _axes(root, area, x, y, is_first=number == 0)
        _points(root, area, points, [(x.scale.place(point.xs[number]), y.scale.place(point.y)) for point in points])
    for line, note in enumerate(notes):
        _text(root, LEFT, TOP + PANEL_HEIGHT + BELOW - 12 + LINE_HEIGHT * line, note, None, "start")
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _axes(root: ElementTree.Element, area: Box, x: Axis, y: Axis, is_first: bool) -> None:
    """Frame, grid, ticks and names of a panel; the first one has the numbers of the shared axis."""
    for value in x.scale.ticks:
        at = area.left + x.scale.place(value) * PANEL_WIDTH
        _add(root, "line", "grid", x1=at, x2=at, y1=area.top, y2=area.bottom)
        _text(root, at, area.bottom + 16, x.text(value), None, "middle")
    for value in y.scale.ticks:
        at = area.bottom - y.scale.place(value) * PANEL_HEIGHT
        _add(root, "line", "grid", x1=area.left, x2=area.right, y1=at, y2=at)
        if is_first:
            _text(root, area.left - 6, at + 4, y.text(value), None, "end")
    _add(root, "rect", "frame", x=area.left, y=area.top, width=PANEL_WIDTH, height=PANEL_HEIGHT)
    _text(root, (area.left + area.right) / 2, area.bottom + 36, x.name, "axis", "middle")
    if is_first:
        middle = (area.top + area.bottom) / 2
        text = _text(root, 16, middle, y.name, "axis", "middle")
        text.set("transform", f"rotate(-90 16 {_number(middle)})")


def _points(
    root: ElementTree.Element, area: Box, points: Sequence[Point], places: Sequence[tuple[float, float]]
) -> None:
    """Points with their labels, and a line to a label that is not beside its point."""
    at = [(area.left + x * PANEL_WIDTH, area.bottom - y * PANEL_HEIGHT) for x, y in places]
    boxes = place_labels(at, [printable(point.label) for point in points], area)
    for (x, y), box in zip(at, boxes, strict=True):
        near = box.left if box.left > x else box.right
        middle = (box.top + box.bottom) / 2
        if abs(middle - y) > LINE_HEIGHT / 2:
            _add(root, "line", "leader", x1=x, y1=y, x2=near, y2=middle)
    for point, (x, y), box in zip(points, at, boxes, strict=True):
        _add(root, "circle", "hollow" if point.is_hollow else "point", cx=x, cy=y, r=4.0)
        is_right = box.left >= x + GAP - 0.01
        _text(
            root, box.left if is_right else box.right, box.bottom - 3, point.label, None, "start" if is_right else "end"
        )


def _add(root: ElementTree.Element, tag: str, style: str | None, **places: float) -> ElementTree.Element:
    attributes = {} if style is None else {"class": style}
    return ElementTree.SubElement(root, tag, attributes | {name: _number(value) for name, value in places.items()})


def _text(
    root: ElementTree.Element, x: float, y: float, text: str, style: str | None, anchor: str
) -> ElementTree.Element:
    element = _add(root, "text", style, x=x, y=y)
    element.set("text-anchor", anchor)
    element.text = printable(text)
    return element


def _number(value: float) -> str:
    """One digit behind the point, where there is one: the same text on every computer."""
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")

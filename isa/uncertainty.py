"""The band of an energy: what the text of its uncertainty begins with, as two factors of its value."""

from __future__ import annotations

import re
from typing import NamedTuple

WANTED = 'uncertainty that begins with a band such as "+-50 %", "-30 % / +100 %" or "x 0.3 to x 3"'
LARGEST_FACTOR = 1000.0
_NUMBER = r"([0-9]{1,4}(?:\.[0-9]{1,4})?)"
_FORMS = (
    re.compile(rf"\+- ?{_NUMBER} %(?![^:;,])"),
    re.compile(rf"- ?{_NUMBER} % / \+ ?{_NUMBER} %(?![^:;,])"),
    re.compile(rf"x {_NUMBER} to x {_NUMBER}(?![^:;,])"),
)


class Band(NamedTuple):
    """The true value lies between `low` and `high` times the stated one."""

    low: float
    high: float


def band_of(text: str) -> Band:
    """Of a text that states percentages down and up, or two factors; what follows behind : ; or , is for people. "none" is exact.

    Raises ValueError for another text and for a band that does not hold 1.
    """
    if text == "none":
        return Band(1.0, 1.0)
    for form in _FORMS:
        found = form.match(text)
        if found is None:
            continue
        down, up = (float(number) for number in (*found.groups(), *found.groups())[:2])
        band = Band(down, up) if text.startswith("x") else Band(1 - down / 100, 1 + up / 100)
        if 0 <= band.low <= 1 <= band.high <= LARGEST_FACTOR:
            return band
    raise ValueError(f"{WANTED}, found {text[:40]!r}")

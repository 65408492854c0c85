"""For all tests: hypothesis draws the same examples every time, so that a run says something about the code and not about luck."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("same", derandomize=True, database=None, deadline=None)
settings.load_profile("same")

"""What goes wrong between host and device."""

from __future__ import annotations


class SessionError(Exception):
    """A request the host cannot make: what was expected and what came."""

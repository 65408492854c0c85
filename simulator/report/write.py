"""Writes a report as JSON."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from simulator.report.model import Report


def write_json(report: Report, path: str | Path) -> None:
    """The file appears complete or not at all. Raises OSError."""
    target = Path(path)
    partial = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}.partial")
    text = json.dumps(report.to_json(), indent=1, allow_nan=False) + "\n"
    try:
        with partial.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)

"""JSON with one spelling per value (sorted keys, no spaces, UTF-8, no NaN), for hashes and sections of executables."""

from __future__ import annotations

import json
from typing import Any


def canonical_json(value: Any) -> bytes:
    """The canonical bytes. Raises ValueError (or TypeError) for what JSON or UTF-8 cannot hold."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def parse_canonical_json(data: bytes, limit_bytes: int) -> Any:
    """The value of canonical JSON. Raises ValueError for anything else, also for values spelled in another way."""
    if len(data) > limit_bytes:
        raise ValueError(f"{len(data)} bytes of JSON, at most {limit_bytes} are read")
    try:
        value = json.loads(data.decode("utf-8"))
        canonical = canonical_json(value)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not valid JSON: {type(error).__name__}") from None
    if canonical != data:
        raise ValueError("JSON is not in canonical form (sorted unique keys, no spaces)")
    return value

"""JSON with one spelling per value (sorted keys, no spaces, ASCII, no NaN), for hashes and sections of executables."""

from __future__ import annotations

import json
from typing import Any


def canonical_json(value: Any) -> bytes:
    """The canonical bytes. Raises ValueError (or TypeError) for what JSON cannot hold."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def parse_canonical_json(data: bytes, limit_bytes: int) -> Any:
    """The value of canonical JSON. Raises ValueError for anything else, also for values spelled in another way."""
    if len(data) > limit_bytes:
        raise ValueError(f"{len(data)} bytes of JSON, at most {limit_bytes} are read")
    try:
        value = json.loads(data.decode("ascii"))
        canonical = canonical_json(value)
        # Lone surrogates pass JSON but cannot be printed or stored.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not valid JSON: {type(error).__name__}") from None
    if canonical != data:
        raise ValueError("JSON is not in canonical form (sorted unique keys, no spaces)")
    return value

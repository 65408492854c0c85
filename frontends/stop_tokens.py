"""Which tokens end a generated text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from frontends.errors import FrontendError, show
from frontends.files import read_json_object

GENERATION_FILE = "generation_config.json"
FIELD = "eos_token_id"
MAX_STOP_TOKENS = 64
MAX_TOKEN_ID = 2**31 - 1


def read_stop_tokens(directory: Path | None, config: Mapping[str, Any], config_name: str) -> tuple[int, ...]:
    """`eos_token_id` of generation_config.json, else of the config: a token id, a list of them, or nothing."""
    if directory is not None and (directory / GENERATION_FILE).exists():
        path = directory / GENERATION_FILE
        value = read_json_object(path).get(FIELD)
        if value is not None:
            return _token_ids(value, str(path))
    value = config.get(FIELD)
    return () if value is None else _token_ids(value, config_name)


def _token_ids(value: object, file: str) -> tuple[int, ...]:
    items = cast(list[object], value) if isinstance(value, list) else [value]
    ids = tuple(item for item in items if isinstance(item, int) and not isinstance(item, bool))
    if len(ids) != len(items) or len(ids) > MAX_STOP_TOKENS or any(not 0 <= item <= MAX_TOKEN_ID for item in ids):
        raise FrontendError(f"{FIELD} must be a token id or a list of them, found {show(value)}", file)
    return ids

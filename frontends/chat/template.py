"""The chat template of a Hugging Face directory, and the special tokens that it may write."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from frontends.errors import FrontendError, show
from frontends.files import MIB, read_json_object, read_text

TEMPLATE_FILE, CONFIG_FILE, FIELD = "chat_template.jinja", "tokenizer_config.json", "chat_template"
MAX_TEMPLATE_BYTES = MIB
DEFAULT_NAME = "default"


def read_chat_files(directory: Path) -> tuple[str | None, dict[str, str]]:
    """The template, None if there is none, and texts by name, `bos_token`.

    A file chat_template.jinja comes before the field of tokenizer_config.json, which is a template or a list of named
    ones. Raises FrontendError.
    """
    path = directory / CONFIG_FILE
    config = read_json_object(path, large_integers=True) if path.exists() else {}
    template_path = directory / TEMPLATE_FILE
    if template_path.exists():
        return read_text(template_path, MAX_TEMPLATE_BYTES), _special_tokens(config)
    return _template(config.get(FIELD), str(path)), _special_tokens(config)


def _template(value: object, file: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    templates: dict[str, str] = {}
    for item in cast(list[object], value) if isinstance(value, list) else [value]:
        entry = cast(dict[str, object], item) if isinstance(item, dict) else {}
        name, template = entry.get("name"), entry.get("template")
        if not isinstance(name, str) or not isinstance(template, str):
            expected = "a template or a list of {name, template}"
            raise FrontendError(f"{FIELD} must be {expected}, found {show(value)}", file)
        templates[name] = template
    if DEFAULT_NAME in templates or len(templates) != 1:
        return templates.get(DEFAULT_NAME)
    return next(iter(templates.values()))


def _special_tokens(config: dict[str, Any]) -> dict[str, str]:
    """Fields like `bos_token`: a text, or a record with its text in `content`."""
    tokens: dict[str, str] = {}
    for name, value in config.items():
        text = cast(dict[str, object], value).get("content") if isinstance(value, dict) else value
        if name.endswith("_token") and isinstance(text, str):
            tokens[name] = text
    return tokens

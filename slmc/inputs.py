"""Values of options: token lists and `name=value` pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import click

MAX_TOKENS = 1 << 20
MAX_FILE_BYTES = 16 << 20
MAX_TOKEN = 2**31 - 1


class TokenList(click.ParamType[list[int], Any]):
    """`1,2,3`, or `@ids.json`: a file with a JSON list of ids."""

    name = "ids"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        if isinstance(value, list):
            return cast(list[int], value)
        text = str(value)
        items = self._from_file(text[1:], param, ctx) if text.startswith("@") else text.split(",")
        if not 1 <= len(items) <= MAX_TOKENS:
            self.fail(f"expected 1 to {MAX_TOKENS} token ids, found {len(items)}", param, ctx)
        return [self._token(item, param, ctx) for item in items]

    def _from_file(self, name: str, param: click.Parameter | None, ctx: click.Context | None) -> list[object]:
        try:
            with Path(name).open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
        except (OSError, ValueError) as error:
            self.fail(f"cannot read {name!r}: {getattr(error, 'strerror', None) or error}", param, ctx)
        if len(data) > MAX_FILE_BYTES:
            self.fail(f"{name!r} has more than {MAX_FILE_BYTES} bytes", param, ctx)
        try:
            document: object = json.loads(data)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, list):
            self.fail(f"{name!r} is not a JSON list of token ids, such as [1, 2, 3]", param, ctx)
        return cast(list[object], document)

    def _token(self, item: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = item.strip() if isinstance(item, str) else item
        if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= 10:
            text = int(text)
        if not isinstance(text, int) or isinstance(text, bool) or not 0 <= text <= MAX_TOKEN:
            self.fail(f"expected token ids such as 1,2,3, found {str(item)[:40]!r}", param, ctx)
        return text


class Setting(click.ParamType[tuple[str, str], Any]):
    """`name=value`."""

    name = "name=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return cast(tuple[str, str], value)
        name, separator, setting = str(value).partition("=")
        if not separator or not name:
            self.fail(f"expected name=value, found {str(value)[:40]!r}", param, ctx)
        return name, setting


TOKENS = TokenList()
SETTING = Setting()

"""Mixed schemes: a TOML file with a base and rules for weights by name.

base = "w4a8-g64-kv8"        # everything that no rule names
[[rule]]
match = "layers.0.*"         # names as `slmc inspect` prints them; * ? [..] as in file names; the first rule that fits wins
scheme = "w8a8"              # only what it says of matrices counts: weights and their inputs
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from compiler.errors import CompileError

MAX_FILE_BYTES = 1 << 20
MAX_RULES = 1024


class RuleEntry(BaseModel):
    """One `[[rule]]`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    match: str = Field(min_length=1, max_length=200, pattern=r"^[^={},:]+$")
    scheme: str = Field(min_length=1, max_length=100)


class SchemeFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", strict=True)
    base: str = Field(min_length=1, max_length=100)
    rule: list[RuleEntry] = Field(default_factory=list[RuleEntry], max_length=MAX_RULES)


def read_scheme_file(path: Path) -> SchemeFile:
    """Raises CompileError, with the place where it can be said, for a file that is not such a TOML file."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise CompileError(error.strerror or str(error), str(path)) from error
    if len(data) > MAX_FILE_BYTES:
        raise CompileError(f"a scheme file has at most {MAX_FILE_BYTES} bytes", str(path))
    try:
        return SchemeFile.model_validate(tomllib.loads(data.decode("utf-8")))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CompileError(str(error), str(path)) from error
    except RecursionError as error:
        raise CompileError("it nests too deeply", str(path)) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise CompileError(
            f"{place}: {first['msg']}", str(path), 'base = "..", [[rule]] with match and scheme'
        ) from error

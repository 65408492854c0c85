"""Machine descriptions: a system of cores, memories and links, read from TOML. docs/machines.md says how to write one.

Values are reached as `machine.core.mxu.rows.value`; the properties of Machine give the ones the compiler asks for.
"""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from collections.abc import Iterator
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from isa.errors import did_you_mean, show
from isa.machine_core import STAND_INS, Core
from isa.machine_errors import MachineError, explain
from isa.machine_memory import Memory
from isa.machine_numbers import EnergyRow, Strict, Text

HASH_BYTES = 8
MAX_FILE_BYTES = 1 << 20


class Link(Strict):
    """A connection between cores: reserved, no machine has one today."""

    name: Text


class Machine(Strict):
    """A system. Exactly one core and one memory are supported now; the lists are there for systems of several."""

    schema_version: Literal[1] = Field(alias="schema")
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
    description: Text
    cores: list[Core]
    memories: list[Memory]
    links: list[Link]

    @field_validator("cores", "memories")
    @classmethod
    def _exactly_one(cls, items: list[object]) -> list[object]:
        if len(items) != 1:
            raise ValueError(f"exactly one entry (systems of several are not supported yet), found {len(items)}")
        return items

    @field_validator("links")
    @classmethod
    def _no_links(cls, items: list[object]) -> list[object]:
        if items:
            raise ValueError(f"an empty list (links are not supported yet), found {len(items)}")
        return items

    @model_validator(mode="after")
    def _has_enough_in_flight(self) -> Machine:
        """With fewer the time of a transfer depends on each single response, which the timing model does not follow."""
        needed, core = math.ceil(self.memory.response_bytes), self.core
        for name, engine in (("dml", core.dml), ("dms", core.dms)):
            if engine.outstanding_bytes.value < needed:
                raise ValueError(
                    f"cores[0].{name}.outstanding_bytes of at least {needed}, which memories[0] moves during one response "
                    f"(the timing of fewer is not modelled), found {engine.outstanding_bytes.value}"
                )
        return self

    @staticmethod
    def from_canonical(data: object) -> Machine:
        """The machine of `json.loads(canonical_json())`. Raises MachineError."""
        return _validated(data, "machine")

    def canonical_json(self) -> str:
        """Sorted keys, no white space, sources included: equal machines give equal text."""
        data = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)

    @cached_property
    def hash(self) -> bytes:
        """The first 8 bytes of the SHA-256 of the canonical JSON; binds an executable to its machine."""
        return hashlib.sha256(self.canonical_json().encode("ascii")).digest()[:HASH_BYTES]

    @property
    def core(self) -> Core:
        return self.cores[0]

    @property
    def memory(self) -> Memory:
        return self.memories[0]

    @property
    def clock_hz(self) -> int:
        return self.core.clock_hz.value

    @property
    def sram_bytes(self) -> int:
        return self.core.sram.size_bytes.value

    @property
    def smem_bytes(self) -> int:
        return self.core.seq.smem_bytes.value

    @property
    def mxu_rows(self) -> int:
        """n per pass."""
        return self.core.mxu.rows.value

    @property
    def mxu_columns(self) -> int:
        """k per pass."""
        return self.core.mxu.columns.value

    @property
    def vpu_lanes(self) -> int:
        return self.core.vpu.lanes.value

    @property
    def dram_capacity_bytes(self) -> int:
        return self.memory.capacity_bytes.value

    @property
    def dram_stripe_bytes(self) -> int:
        """Regions start at multiples of this: all channels x all banks x one row."""
        memory = self.memory
        return memory.channels.value * memory.banks.value * memory.row_bytes.value

    @property
    def dram_bytes_per_cycle(self) -> float:
        """Peak, per cycle of the core, before refresh."""
        return self.memory.peak_bytes_per_second / self.clock_hz

    def energy_rows(self) -> Iterator[tuple[str, EnergyRow]]:
        """Every row with its dotted name, such as ("mac.i8_i8", row) and ("dram.read", row)."""
        yield from _rows("", self.core.energy)
        yield from _rows("dram.", self.memory.energy)


def _rows(prefix: str, table: Strict) -> Iterator[tuple[str, EnergyRow]]:
    for name, item in table:
        item = getattr(table, STAND_INS[name]) if item is None else item
        if isinstance(item, EnergyRow):
            yield prefix + name, item
        else:
            yield from _rows(f"{prefix}{name}.", item)


def builtin_machines() -> tuple[str, ...]:
    """Names of the machines that ship with the package, sorted."""
    folder = resources.files("isa") / "machines"
    return tuple(sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml")))


def load_machine(name_or_path: str | Path) -> Machine:
    """A built-in machine by name ("edge"), or any by the path of its TOML file.

    Raises MachineError, one line that names file, key, what was expected and what was found.
    """
    place = str(name_or_path)
    if place in builtin_machines():
        text = (resources.files("isa") / "machines" / f"{place}.toml").read_text("utf-8")
        return parse_machine(text, f"{place}.toml")
    if isinstance(name_or_path, str) and not place.endswith(".toml"):
        known = builtin_machines()
        raise MachineError(
            f"unknown machine {show(place)}: expected one of {', '.join(known)}, or the path of a .toml file",
            hint=did_you_mean(place, known),
        )
    return parse_machine(_read_bounded(Path(name_or_path)), place)


def parse_machine(text: str, place: str) -> Machine:
    """The machine a TOML text describes; `place` names the text in errors. Raises MachineError."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MachineError(f"not TOML: {error}", place) from None
    except (RecursionError, ValueError, OverflowError) as error:
        raise MachineError(f"not TOML: {type(error).__name__}", place) from None
    return _validated(data, place)


def _read_bounded(path: Path) -> str:
    try:
        if not path.is_file():
            raise MachineError("no such file; `slmc machines` lists the built-in machines", str(path))
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise MachineError(f"cannot be read: {reason}", str(path)) from None
    if len(data) > MAX_FILE_BYTES:
        raise MachineError(f"expected a machine description of at most {MAX_FILE_BYTES} bytes, found more", str(path))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MachineError(
            f"expected UTF-8 text, found byte {data[error.start]:#04x} at {error.start}", str(path)
        ) from None


def _validated(data: object, place: str) -> Machine:
    try:
        return Machine.model_validate(data)
    except ValidationError as error:
        raise explain(place, error) from None
    except RecursionError:
        raise MachineError("expected tables nested a few levels deep, found deeper nesting", place) from None

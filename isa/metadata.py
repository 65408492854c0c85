"""The JSON sections of an executable: symbols, debug map, META, virtual weights. Reading validates; a fault is a ValueError."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from isa.abi import MAX_STOP_TOKENS
from isa.canonical_json import canonical_json, parse_canonical_json
from isa.container_format import MACHINE_HASH_BYTES, MAX_JSON_BYTES, MAX_REGION_BYTES, MAX_STATEMENT_BYTES
from isa.spec import Region

SYMBOL_REGIONS = ("TEXT", *(region.name for region in Region))
MAX_COUNT = 2**31 - 1
META_REGIONS = ("KV", "IO", "SCRATCH")


@dataclass(frozen=True, slots=True)
class Symbol:
    """A named range of TEXT or the Region named `region`; offset and size in bytes, relative to it. `kind` is free."""

    name: str
    region: str
    offset: int
    size_bytes: int
    kind: str


def symbols_to_bytes(symbols: Sequence[Symbol]) -> bytes:
    """The SYM section. Raises ValueError for a symbol a reader would refuse."""
    rows = [[s.name, s.region, s.offset, s.size_bytes, s.kind] for s in symbols]
    data = canonical_json({"symbols": rows})
    symbols_from_bytes(data)
    return data


def symbols_from_bytes(data: bytes) -> list[Symbol]:
    """The symbols of a SYM section, in file order."""
    document = _object(parse_canonical_json(data, MAX_JSON_BYTES), "symbols", {"symbols"})
    return [_symbol(row) for row in _list(document["symbols"], "symbols")]


def _symbol(row: Any) -> Symbol:
    values = _list(row, "symbol")
    if len(values) != 5:
        raise ValueError(f"a symbol has 5 values, got {len(values)}")
    name, region, offset, size_bytes, kind = values
    if region not in SYMBOL_REGIONS:
        raise ValueError(f"symbol region is not one of {' '.join(SYMBOL_REGIONS)}")
    return Symbol(
        _text(name, "symbol name"),
        region,
        _integer(offset, "symbol offset", 0, MAX_REGION_BYTES),
        _integer(size_bytes, "symbol size", 0, MAX_REGION_BYTES),
        _text(kind, "symbol kind"),
    )


def _no_places() -> NDArray[np.int32]:
    return np.empty(0, np.int32)


@dataclass(eq=False)
class DebugMap:
    """Where instructions come from. `location_of_pc`, `operator_of_pc`: int32 [instructions], an index or -1 for none.

    `descriptors` maps the name or SMEM address of a descriptor constant to the tensor it describes.
    """

    locations: list[str] = field(default_factory=list[str])
    operators: list[str] = field(default_factory=list[str])
    location_of_pc: NDArray[np.int32] = field(default_factory=_no_places)
    operator_of_pc: NDArray[np.int32] = field(default_factory=_no_places)
    descriptors: dict[str, str] = field(default_factory=dict[str, str])

    @staticmethod
    def empty(instructions: int) -> DebugMap:
        """A map that knows nothing about a text of this length."""
        return DebugMap(
            location_of_pc=np.full(instructions, -1, np.int32), operator_of_pc=np.full(instructions, -1, np.int32)
        )

    def location(self, pc: int) -> str | None:
        """The source location of an instruction."""
        return _name_at(self.locations, self.location_of_pc, pc)

    def operator(self, pc: int) -> str | None:
        """The operator an instruction belongs to."""
        return _name_at(self.operators, self.operator_of_pc, pc)

    def to_bytes(self) -> bytes:
        """The DBG section. Raises ValueError for a map a reader would refuse."""
        document = {
            "locations": self.locations,
            "operators": self.operators,
            "location_of_pc": self.location_of_pc.tolist(),
            "operator_of_pc": self.operator_of_pc.tolist(),
            "descriptors": self.descriptors,
        }
        data = canonical_json(document)
        DebugMap.from_bytes(data)
        return data

    @staticmethod
    def from_bytes(data: bytes) -> DebugMap:
        """The map of a DBG section."""
        keys = {"locations", "operators", "location_of_pc", "operator_of_pc", "descriptors"}
        document = _object(parse_canonical_json(data, MAX_JSON_BYTES), "debug map", keys)
        locations = [_text(text, "location") for text in _list(document["locations"], "locations")]
        operators = [_text(text, "operator") for text in _list(document["operators"], "operators")]
        descriptors = _object(document["descriptors"], "descriptors")
        return DebugMap(
            locations,
            operators,
            _indices(document["location_of_pc"], "location_of_pc", len(locations)),
            _indices(document["operator_of_pc"], "operator_of_pc", len(operators)),
            {name: _text(tensor, "descriptor") for name, tensor in descriptors.items()},
        )


def _name_at(names: list[str], places: NDArray[np.int32], pc: int) -> str | None:
    if not 0 <= pc < len(places) or places[pc] < 0:
        return None
    return names[places[pc]]


def _indices(value: Any, what: str, count: int) -> NDArray[np.int32]:
    items = [_integer(item, what, -1, count - 1) for item in _list(value, what)]
    return np.array(items, np.int32)


@dataclass(frozen=True, slots=True)
class VirtualWeights:
    """What a WEIGHTS section with SectionFlag.VIRTUAL says: the size of region WEIGHT, and in words what would fill it.

    No instruction of a timing-only run reads a weight, so such a program is timed without them; SYM says what lies where.
    """

    size_bytes: int
    fill: str

    def to_bytes(self) -> bytes:
        """The section. Raises ValueError for a statement a reader would refuse."""
        data = canonical_json({"fill": self.fill, "size_bytes": self.size_bytes})
        VirtualWeights.from_bytes(data)
        return data

    @staticmethod
    def from_bytes(data: bytes) -> VirtualWeights:
        """The statement of a section."""
        document = _object(parse_canonical_json(data, MAX_STATEMENT_BYTES), "the statement", {"fill", "size_bytes"})
        size_bytes = _integer(document["size_bytes"], "size_bytes", 0, MAX_REGION_BYTES)
        return VirtualWeights(size_bytes, _text(document["fill"], "fill"))


def machine_hash(machine: Any) -> bytes:
    """What binds a program to a machine: the first 8 bytes of the SHA-256 of the canonical description."""
    return hashlib.sha256(canonical_json(machine)).digest()[:MACHINE_HASH_BYTES]


def meta_from_bytes(data: bytes, expected_machine_hash: bytes) -> dict[str, Any]:
    """The META section, validated. Keys beyond those listed in docs/isa.md are kept as they are."""
    meta = _object(parse_canonical_json(data, MAX_JSON_BYTES), "META")
    for key in ("model", "scheme"):
        _text(_member(meta, key), key)
    for key in ("context", "chunk", "vocabulary"):
        _integer(_member(meta, key), key, 1, MAX_COUNT)
    regions = _object(_member(meta, "regions"), "regions", set(META_REGIONS))
    for name, size_bytes in regions.items():
        _integer(size_bytes, f"regions.{name}", 0, MAX_REGION_BYTES)
    stop_tokens = _list(_member(meta, "stop_tokens"), "stop_tokens")
    if len(stop_tokens) > MAX_STOP_TOKENS:
        raise ValueError(f"{len(stop_tokens)} stop tokens, the mailbox holds {MAX_STOP_TOKENS}")
    for token in stop_tokens:
        _integer(token, "stop token", 0, MAX_COUNT)
    if _member(meta, "tokenizer") is not None:
        _text(meta["tokenizer"], "tokenizer")
    _check_chat(meta.get("chat"))
    for line in _list(meta.get("conversions", []), "conversions"):
        _text(line, "conversions")
    if machine_hash(_object(_member(meta, "machine"), "machine")) != expected_machine_hash:
        raise ValueError("the machine description does not have the header's machine hash")
    return meta


def _check_chat(value: Any) -> None:
    if value is None:
        return
    chat = _object(value, "chat", {"template", "special_tokens"})
    _text(chat["template"], "chat.template")
    for name, text in _object(chat["special_tokens"], "chat.special_tokens").items():
        _text(text, f"chat.special_tokens.{name}")


def _member(document: dict[str, Any], key: str) -> Any:
    if key not in document:
        raise ValueError(f"key '{key}' is missing")
    return document[key]


def _object(value: Any, what: str, keys: set[str] | None = None) -> dict[str, Any]:
    """The value as an object; with `keys`, exactly these."""
    if not isinstance(value, dict):
        raise ValueError(f"{what} is not an object")
    document = cast(dict[str, Any], value)
    if keys is not None and document.keys() != keys:
        raise ValueError(f"{what} has not exactly the keys {' '.join(sorted(keys))}")
    return document


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{what} is not a list")
    return cast(list[Any], value)


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{what} is not a string")
    return value


def _integer(value: Any, what: str, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{what} is not an integer in [{low}, {high}]")
    return value

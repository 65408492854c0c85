"""What is in an executable besides its instructions: weights tensor by tensor, tables, symbols, META. output.py writes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from xdsl.dialects.builtin import ArrayAttr, DenseArrayBase, DictionaryAttr, IntegerAttr, ModuleOp, StringAttr

from compiler.dialects.slm import EXPERT, MixtureOp, stored_name
from compiler.emit.conversions import conversions_of
from compiler.emit.packing import Bytes, Part, pack
from compiler.emit.parallel import in_order, usable_threads
from compiler.emit.recipes import Recipe
from compiler.emit.tables import table_content
from compiler.emit.text import entry_points
from compiler.errors import CompileError
from compiler.images import image_shape
from compiler.lowering.encoder import PIXELS
from compiler.lowering.images import PLACES
from compiler.lowering.plan import TilePlan
from compiler.program import Program, WeightStore
from compiler.transforms.allocate_dram import LOGITS_ATTRIBUTE, PLACES_ATTRIBUTE, REGIONS_ATTRIBUTE
from isa.container import Symbol, VirtualWeights
from isa.machine import Machine
from isa.spec import Feature

Progress = Callable[[int, int], None]
ALL_EXPERTS = "*"  # in the name of what holds a weight of every expert
MAX_SOURCE_CHARACTERS = 255


@dataclass(frozen=True)
class Place:
    """One thing in DRAM, for one layer (-1: not per layer)."""

    region: str
    what: DictionaryAttr
    layer: int
    offset: int
    size_bytes: int

    @property
    def name(self) -> str:
        """What a person calls it."""
        parts = [
            value.data for key in ("name", "key", "kind") if isinstance(value := self.what.data.get(key), StringAttr)
        ]
        part = self.what.data.get("part")
        name = stored_name(parts[0], self.layer, None).replace(EXPERT, ALL_EXPERTS) if parts else self.region
        return f"{name}.{part.data}" if isinstance(part, StringAttr) else name


def places_of(module: ModuleOp) -> list[Place]:
    """Everything that lies in DRAM, in the order of its offsets."""
    found: list[Place] = []
    entries = module.attributes[PLACES_ATTRIBUTE]
    for entry in entries if isinstance(entries, ArrayAttr) else ():
        region, what, size, offsets = (entry.data[key] for key in ("region", "what", "size_bytes", "offsets"))
        layers = what.data.get("layers")
        numbers = list(layers.get_values()) if isinstance(layers, DenseArrayBase) else [-1]
        for layer, offset in zip(numbers, offsets.get_values(), strict=True):
            found.append(Place(region.data, what, int(layer), int(offset), size.value.data))
    return sorted(found, key=lambda place: place.offset)


def region_sizes(module: ModuleOp) -> dict[str, int]:
    sizes = module.attributes[REGIONS_ATTRIBUTE]
    if not isinstance(sizes, DictionaryAttr):
        raise TypeError(f"{REGIONS_ATTRIBUTE} is missing")
    return {name: size.value.data for name, size in sizes.data.items() if isinstance(size, IntegerAttr)}


def weight_parts(places: list[Place], weights: WeightStore) -> Iterator[tuple[int, Part]]:
    """What makes the bytes of each place, with the number of the place."""
    for number, place in enumerate(places):
        for part in pack(Recipe.of(place.what), weights, place.layer):
            yield number, part


def weight_chunks(places: list[Place], program: Program, total: int, progress: Progress | None) -> Iterator[Bytes]:
    """The WEIGHT region from its first byte to its last; few tensors are in memory at a time. Threads make parts side by side."""
    position = 0
    made = in_order(weight_parts(places, program.weights), usable_threads())
    for number, parts in groupby(made, itemgetter(0)):
        place = places[number]
        if place.offset > position:
            yield np.zeros(place.offset - position, np.uint8)
        written = place.offset
        for _, chunks in parts:
            written += sum(map(len, chunks))
            yield from chunks
        if written != place.offset + place.size_bytes:
            raise CompileError(f"weight {place.name} has {written - place.offset} bytes, {place.size_bytes} expected")
        position = written
        if progress is not None:
            progress(position, total)
    if position < total:
        yield np.zeros(total - position, np.uint8)


def statement_of(program: Program, scheme: str, size_bytes: int) -> VirtualWeights:
    """What stands in the executable instead of the WEIGHT region of a program with virtual weights."""
    source = Path(program.source).name[:MAX_SOURCE_CHARACTERS]
    return VirtualWeights(
        size_bytes, f"the tensors of a checkpoint of {source}, packed for scheme {scheme} as SYM says"
    )


def table_region(places: list[Place], size_bytes: int) -> Bytes:
    region = np.zeros(size_bytes, np.uint8)
    for place in places:
        region[place.offset : place.offset + place.size_bytes] = table_content(place.what)
    return region


def meta_of(module: ModuleOp, program: Program, machine: Machine, scheme: str) -> dict[str, Any]:
    """META: what the host and the report need to know."""
    plan, sizes = TilePlan.of(module), region_sizes(module)
    logits = module.attributes[LOGITS_ATTRIBUTE]
    return {
        "model": program.architecture,
        "source": Path(program.source).name,
        "config": program.config,
        "scheme": scheme,
        "conversions": conversions_of(
            [(Recipe.of(place.what), place.layer) for place in places_of(module) if place.region == "weight"],
            program.weights,
        ),
        "context": plan.context,
        "chunk": plan.chunk,
        "plan": vars(plan),
        "vocabulary": vocabulary_of(program),
        "routed": is_routed(program),
        "regions": {"KV": sizes["kv"], "IO": sizes["io"], "SCRATCH": sizes["scratch"]},
        "logits_offset": logits.value.data if isinstance(logits, IntegerAttr) else 0,
        "entry": entry_points(module),
        "machine": json.loads(machine.canonical_json()),
        "stop_tokens": list(program.stop_tokens),
        "tokenizer": None if program.tokenizer_json is None else program.tokenizer_json.decode(),
        "chat": None
        if program.chat_template is None
        else {"template": program.chat_template, "special_tokens": dict(program.special_tokens)},
        "oversize": sum(sizes.values()) > machine.dram_capacity_bytes,
        **image_meta(module, program),
    }


def image_meta(module: ModuleOp, program: Program) -> dict[str, Any]:
    """META's key `image` of a model that takes one: sizes, where in IO the host writes, how a picture becomes pixels."""
    shape = image_shape(program.module)
    if shape is None:
        return {}
    inputs = {place.name: place.offset for place in places_of(module) if place.region == "io"}
    offsets = {"pixels_offset": inputs[PIXELS], "places_offset": inputs[PLACES]}
    return {"image": {**vars(shape), **offsets, "processing": program.image_processing}}


def is_routed(program: Program) -> bool:
    """Whether experts are chosen by values, so that nobody knows before which weights a token needs."""
    return any(isinstance(op, MixtureOp) and op.chosen is not None for op in program.module.walk())


def vocabulary_of(program: Program) -> int:
    """The number of logits."""
    for op in program.module.walk():
        if op.name == "func.func":
            outputs: Any = op.properties["function_type"]
            return int(outputs.outputs.data[0].get_shape()[-1])
    raise CompileError("the program has no function")


def symbols_of(places: list[Place]) -> list[Symbol]:
    return [
        Symbol(
            place.name,
            place.region.upper(),
            place.offset,
            place.size_bytes,
            "tensor" if place.region != "kv" else "state",
        )
        for place in places
    ]


def features_of(weights: list[Place]) -> Feature:
    """What a program with these weights needs of the hardware."""
    is_sparse = any(Recipe.of(place.what).format.sparse for place in weights)
    return Feature.SPARSE if is_sparse else Feature(0)

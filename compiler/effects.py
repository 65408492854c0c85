"""Whether ops have effects, looked up once for each kind of op: xDSL asks all traits of every op at every visit."""

from __future__ import annotations

from functools import cache

from xdsl.ir import Operation
from xdsl.traits import IsTerminator, MemoryEffect, NoMemoryEffect, RecursiveMemoryEffect, SymbolOpInterface
from xdsl.transforms.dead_code_elimination import would_be_trivially_dead


@cache
def effects_of(kind: type[Operation]) -> bool | None:
    """Whether ops of a kind have effects; None: those of the ops inside. Reads count, since no dialect of the pipeline has ops that only
    read (a test looks)."""
    traits = kind.get_traits_of_type(MemoryEffect)
    if any(isinstance(trait, RecursiveMemoryEffect) for trait in traits):
        return None
    return not traits or not all(isinstance(trait, NoMemoryEffect) for trait in traits)


@cache
def is_terminator(kind: type[Operation]) -> bool:
    return kind.has_trait(IsTerminator)


@cache
def stays(kind: type[Operation]) -> bool | None:
    """Whether ops of a kind stay although nothing reads them; None: that depends on the ops inside."""
    if is_terminator(kind) or kind.has_trait(SymbolOpInterface):
        return True
    return effects_of(kind)


def is_needed(op: Operation) -> bool:
    """Whether an op stays although nothing reads it."""
    answer = stays(type(op))
    return not would_be_trivially_dead(op) if answer is None else answer

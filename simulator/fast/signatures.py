"""What a trace costs depends on where its pointers lie, but seldom: the costs of all its pointers are a signature, which has a name."""

from __future__ import annotations

from simulator.fast.compiled import compiled, inlined
from simulator.fast.descriptors import mixed
from simulator.fast.layout import Block, Core
from simulator.fast.lookup import enter, find_cost_at
from simulator.fast.trace_layout import MAX_ITEMS, MAX_SIGNATURES, Signature, Trace

UNKNOWN = -1
BY_PLACES, BY_COSTS = 0, 1


@compiled
def signature_of(s: Block, row: int) -> int:
    """The name of the costs of a trace with its sources at `places`, 0 if it has no pointers; UNKNOWN if one was never paid."""
    keys = s.traces[row, Trace.KEYS]
    if keys == 0:
        return 0
    value = hash_of_places(s, row, keys)
    table, place = s.signature_table, value & s.signature_table.size - 1
    while table[place] > 0:
        found = table[place] - 1
        if s.signatures[found, Signature.TRACE] == row and has_places(s, found, keys):
            return s.signatures[found, Signature.ALIKE]
        place = place + 1 & table.size - 1
    return add_signature(s, row, keys, value)


@inlined
def hash_of_places(s: Block, row: int, keys: int) -> int:
    value = mixed(BY_PLACES, row)
    for number in range(keys):
        value = mixed(value, s.places[number])
    return value


@inlined
def has_places(s: Block, found: int, keys: int) -> bool:
    at, number = s.signatures[found, Signature.PLACES], 0
    while number < keys and s.items[at + number] == s.places[number]:
        number += 1
    return number == keys


@compiled
def add_signature(s: Block, row: int, keys: int, value: int) -> int:
    """A row for these places, alike one with the same costs if there is any."""
    core, items, new = s.core, s.items, s.core[Core.SIGNATURES]
    pointers, pointer = s.traces[row, Trace.POINTERS + 1], s.traces[row, Trace.POINTERS]
    if new == MAX_SIGNATURES or core[Core.ITEMS] + keys + pointers > MAX_ITEMS:
        core[Core.STALE] = 1
        return UNKNOWN
    first = core[Core.ITEMS]
    at, costs = first + keys, mixed(BY_COSTS, row)
    for number in range(keys):
        items[first + number] = s.places[number]
    for _ in range(pointers):
        cost = find_cost_at(s, items[pointer], s.places[items[pointer + 1]] + items[pointer + 2])
        if cost == 0:
            return UNKNOWN
        items[at], costs = cost, mixed(costs, cost)
        pointer, at = pointer + 3, at + 1
    core[Core.ITEMS], core[Core.SIGNATURES] = at, new + 1
    s.signatures[new, Signature.TRACE], s.signatures[new, Signature.PLACES] = row, first
    enter(s.signature_table, value, new)
    alike = find_costs(s, row, new, costs, keys, pointers)
    if alike == 0:
        alike = new + 1
        enter(s.signature_table, costs, new)
    else:
        core[Core.ITEMS] = first + keys
    s.signatures[new, Signature.ALIKE] = alike
    return alike


@compiled
def find_costs(s: Block, row: int, new: int, value: int, keys: int, pointers: int) -> int:
    """The row and one of the first signature of the trace with the same costs as a new one, or 0."""
    table, items, own = s.signature_table, s.items, s.signatures[new, Signature.PLACES] + keys
    place = value & table.size - 1
    while table[place] > 0:
        found, same = table[place] - 1, 0
        at = s.signatures[found, Signature.PLACES] + keys
        is_first = found != new and s.signatures[found, Signature.ALIKE] == found + 1
        if is_first and s.signatures[found, Signature.TRACE] == row:
            while same < pointers and items[at + same] == items[own + same]:
                same += 1
            if same == pointers:
                return s.signatures[found, Signature.ALIKE]
        place = place + 1 & table.size - 1
    return 0

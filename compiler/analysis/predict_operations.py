"""From a tile op and the descriptors of its views to its cost, memoised by everything the cost depends on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from xdsl.ir import Operation, SSAValue

from compiler.analysis.predict_engines import EngineCost, EngineForms, vector_kind
from compiler.analysis.predict_timeline import Span
from compiler.dialects import tile
from isa.descriptor import Descriptor
from isa.spec import BY_MNEMONIC, READ_ONLY_REGIONS, TD_OPERANDS, Region

GRANULES = {Region.SMEM: 8}
GRANULE_BYTES = 64
INDEX_BYTES = 4  # the list of a vtopk ends with an index behind its last value

Operands = Callable[[Any], tuple[SSAValue | None, ...]]
OPERANDS: dict[type[Operation], tuple[str, Operands]] = {
    tile.LoadOp: ("ld", lambda op: (op.target, op.source)),
    tile.StoreOp: ("st", lambda op: (op.target, op.source)),
    tile.MmOp: ("mm", lambda op: (op.c, op.a, op.b)),
    tile.MmgOp: ("mmg", lambda op: (op.c, op.a, op.b, op.scales)),
    tile.VbinOp: ("vbin", lambda op: (op.target, op.a, op.b)),
    tile.VmadOp: ("vmad", lambda op: (op.target, op.a, op.b, op.c)),
    tile.VunOp: ("vun", lambda op: (op.target, op.a)),
    tile.VredOp: ("vred", lambda op: (op.target, op.a)),
    tile.VsmxOp: ("vsmx", lambda op: (op.p, op.s, op.ml)),
    tile.VtopkOp: ("vtopk", lambda op: (op.list, op.a)),
    tile.VrngOp: ("vrng", lambda op: (op.target,)),
}
"""Mnemonic, and the views in the order ta, tb, tc, td."""
REDUCTIONS = ("vred", "vtopk")


class EngineForm:
    """An engine op, taken apart once: its row of the instruction table, and its views with their operand names, ta tb tc td."""

    def __init__(self, op: Operation) -> None:
        self.op, self.mnemonic = op, OPERANDS[type(op)][0]
        self.row = BY_MNEMONIC[self.mnemonic]
        named = views_of(op)
        self.names = tuple([name for name, _ in named])
        self.views = tuple([id(view) for _, view in named])
        """Their identities."""


@dataclass(frozen=True)
class Execution:
    """An engine op on certain tensors: its cost, what the interlock compares, and the region of its DRAM operand."""

    tds: tuple[Descriptor, ...]
    cost: EngineCost
    spans: list[Span]
    region: int


class OperationCosts:
    """Costs of tile ops on one machine.

    memo: by the identity of the form, which is kept with the cost, and where the tensors are. seen: by the identities of the form, which
    the memo has, and of the descriptors, which are kept, too. Nothing else can get the identity of what is kept.
    """

    def __init__(self, forms: EngineForms) -> None:
        self.forms = forms
        self.memo: dict[object, tuple[EngineForm, EngineCost]] = {}
        self.seen: dict[tuple[int, ...], Execution] = {}

    def of(self, form: EngineForm, tds: tuple[Descriptor, ...]) -> Execution:
        key = id(form), *map(id, tds)
        found = self.seen.get(key)
        if found is None:
            region = next((int(td.region) for td in tds if td.region < Region.SRAM), 0)
            found = self.seen[key] = Execution(tds, self.cost(form, tds), spans_of(form, tds), region)
        return found

    def cost(self, form: EngineForm, tds: tuple[Descriptor, ...]) -> EngineCost:
        period = self.forms.dram.period_bytes
        places = [td.base % period if td.region < Region.SRAM else td.region for td in tds]
        key = id(form), *places, *[(td.extents, td.strides) for td in tds]
        found = self.memo.get(key)
        if found is None:
            found = self.memo[key] = form, self.computed(form, dict(zip(form.names, tds, strict=True)))
        return found[1]

    def computed(self, form: EngineForm, tds: dict[str, Descriptor]) -> EngineCost:
        """`tds`: the descriptors by operand name."""
        op, ta = form.op, tds["ta"]
        if isinstance(op, tile.LoadOp):
            return self.forms.copy(ta, tds["tb"], write=False)
        if isinstance(op, tile.StoreOp):
            return self.forms.copy(tds["tb"], ta, write=True)
        if isinstance(op, tile.MmOp | tile.MmgOp):
            return self.forms.matrix(ta, tds["tb"], tds["tc"], tds.get("td"), op.accumulate is not None)
        kind = vector_kind(form.mnemonic, getattr(op.properties.get("function"), "data", ""))
        reduces = form.mnemonic in REDUCTIONS
        sources, results = ([tds[name] for name in names if name in tds] for names in (form.row.reads, form.row.writes))
        return self.forms.vector(kind, tds["tb" if reduces else "ta"].elements, sources, results, reduces)


def spans_of(form: EngineForm, tds: tuple[Descriptor, ...]) -> list[Span]:
    """What the interlock compares; regions that nobody writes are left out."""
    spans: list[Span] = []
    for name, td in zip(form.names, tds, strict=True):
        writes = name in form.row.writes
        if td.region in READ_ONLY_REGIONS or not (writes or name in form.row.reads):
            continue
        low, high = td.interval()
        high += INDEX_BYTES if writes and isinstance(form.op, tile.VtopkOp) else 0
        granule = GRANULES.get(td.region, GRANULE_BYTES)
        spans.append((int(td.region), low // granule * granule, -(-high // granule) * granule, writes))
    return spans


def views_of(op: Operation) -> list[tuple[str, SSAValue]]:
    """(operand name, view) of an engine op."""
    values = OPERANDS[type(op)][1](op)
    return [(name, value) for name, value in zip(TD_OPERANDS, values, strict=False) if value is not None]

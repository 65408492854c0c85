"""What compiler/effects.py takes for granted of the dialects of the pipeline."""

from __future__ import annotations

from xdsl.traits import MemoryEffect, NoMemoryEffect, RecursiveMemoryEffect

from compiler.driver import make_context


def test_no_op_only_reads_or_allocates() -> None:
    """Such ops are unnecessary where nobody reads their results, and may be merged: that needs more than effects_of says."""
    kinds = [kind for dialect in make_context().loaded_dialects for kind in dialect.operations]
    others = [
        f"{kind.name} has {type(trait).__name__}"
        for kind in kinds
        for trait in kind.get_traits_of_type(MemoryEffect)
        if not isinstance(trait, NoMemoryEffect | RecursiveMemoryEffect)
    ]
    assert others == []
    assert {"tile.view", "slmq.strips", "scf.for", "func.func", "isa.mm"} <= {kind.name for kind in kinds}

"""Walks over all ops of a part of the IR that take less time than those of xDSL, whose generators hand each op through all levels."""

from __future__ import annotations

from typing import TypeVar

from xdsl.ir import Operation

Found = TypeVar("Found", bound=Operation)


def ops_in(root: Operation) -> list[Operation]:
    """The op itself and all ops inside, in pre-order: those that are there now, whatever the caller makes of them."""
    found = [root]
    append = found.append

    def walk(op: Operation) -> None:
        for region in op.regions:
            for block in region.blocks:
                inner = block.first_op
                while inner is not None:
                    append(inner)
                    if inner.regions:
                        walk(inner)
                    inner = inner.next_op

    walk(root)
    return found


def ops_of(kind: type[Found], root: Operation) -> list[Found]:
    """Those of one kind. Definitions of ops are final: an op is of a kind, or it is not."""
    return [op for op in ops_in(root) if type(op) is kind]

"""cse: an op without effects that repeats another one is replaced by it, and one that nothing reads disappears.

    %a = tile.view %b in sram + 0 as f32 ..             %a = tile.view %b in sram + 0 as f32 ..
    %c = tile.view %b in sram + 0 as f32 ..        ->   tile.vun "sqrt" %a, %a
    tile.vun "sqrt" %a, %c
What is known around a region is known inside. xDSL's pass of this name makes the same of our dialects; it hashes all attributes of an op
several times, and every try of choose-tiling runs it. Here attributes get numbers, by which ops are compared.
"""

from __future__ import annotations

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Attribute, Block, Operation
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter
from xdsl.traits import IsolatedFromAbove

from compiler.effects import effects_of, is_terminator

Key = tuple[object, ...]


class Numbers:
    """Equal attributes have the same number."""

    def __init__(self) -> None:
        self.equal: dict[Attribute, int] = {}
        self.same: dict[int, tuple[int, Attribute]] = {}
        """By identity, with the attribute, so that nothing else gets its identity."""

    def of(self, attribute: Attribute) -> int:
        known = self.same.get(id(attribute))
        if known is None:
            known = self.equal.setdefault(attribute, len(self.equal)), attribute
            self.same[id(attribute)] = known
        return known[0]


class Merging:
    """One run of the pass. known: by what they are, the ops that dominate the place of the walk; those with regions may differ in these.
    repeated: ops to erase, in the end, so that all uses are as they were until then."""

    def __init__(self) -> None:
        self.known: dict[Key, list[Operation]] = {}
        self.repeated: list[Operation] = []
        self.number = Numbers().of

    def regions(self, op: Operation) -> bool:
        """Of an op; whether the ops inside have no effects."""
        isolated = op.has_trait(IsolatedFromAbove)
        outer = self.known
        if isolated:
            self.known = {}
        without_effects = [self.block(region.block) for region in op.regions if len(region.blocks) == 1]
        self.known = outer
        return all(without_effects) and all(len(region.blocks) < 2 for region in op.regions)

    def block(self, block: Block) -> bool:
        """Whether its ops have no effects. Nothing in it is known behind it."""
        without_effects = True
        added: list[Key] = []
        for op in block.ops:
            effects = effects_of(type(op))
            if op.regions:
                inside = self.regions(op)
                effects = not inside if effects is None else effects
            without_effects = without_effects and not effects
            if not effects and not is_terminator(type(op)):
                self.operation(op, added)
        for key in reversed(added):
            self.known[key].pop()
        return without_effects

    def operation(self, op: Operation, added: list[Key]) -> None:
        """`added` gets the key of one that is new."""
        if all(result.first_use is None for result in op.results):
            self.repeated.append(op)
            return
        key = self.key(op)
        known = self.known.setdefault(key, [])
        for other in known:
            if all(a.is_structurally_equivalent(b) for a, b in zip(op.regions, other.regions, strict=True)):
                for result, same in zip(op.results, other.results, strict=True):
                    result.replace_all_uses_with(same)
                self.repeated.append(op)
                return
        known.append(op)
        added.append(key)

    def key(self, op: Operation) -> Key:
        """Equal for ops that are equal but for their regions."""
        number = self.number
        return (
            type(op),
            len(op.regions),
            frozenset([(name, number(value)) for name, value in op.properties.items()]),
            frozenset([(name, number(value)) for name, value in op.attributes.items()]) if op.attributes else None,
            tuple([id(value) for value in op.operands]),
            tuple([number(result.type) for result in op.results]),
        )


class CsePass(ModulePass):
    """See the module docstring."""

    name = "cse"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        merging = Merging()
        merging.regions(op)
        for repeated in merging.repeated:
            Rewriter.erase_op(repeated)

"""The operands of an elementwise instruction as its kernel sees them: a scalar is a tensor of one value with strides 0."""

from __future__ import annotations

from typing import NamedTuple

from isa.descriptor import Descriptor
from isa.encoding import Decoded
from isa.spec import ELEMENT_BITS, PACKED_4BIT, Dtype, Flag
from simulator.fast.kernels.abi import Arg
from simulator.fast.kernels.emit import Code
from simulator.fast.kernels.lanes import Value
from simulator.fast.kernels.loops import Loop, loops, merged

SOURCE_NAMES = ("tb", "tc", "td")


class Operands(NamedTuple):
    """`scalar`: place of the scalar of flags I and X among the sources, or -1."""

    target: Descriptor
    sources: tuple[Descriptor, ...]
    scalar: int

    @property
    def copies_bits(self) -> bool:
        """Of vun.mov: whether it makes no NaN canonical."""
        data, target = self.sources[0], self.target
        return target.dtype == data.dtype and (target.dtype != Dtype.I4 or target.glog2 == data.glog2)

    @property
    def loops(self) -> list[Loop]:
        """Over the elements, in the order of the descriptors."""
        return loops(self.target.extents, self.target.strides, *(source.strides for source in self.sources))


def elementwise_operands(instruction: Decoded, operands: dict[str, Descriptor]) -> Operands:
    """Of vbin, vmad or vun."""
    target = operands["ta"]
    scalar = -1
    if instruction.fl & (Flag.I | Flag.X):
        scalar = 0 if instruction.row.mnemonic == "vun" else 1
    named = [operands[name] for name in SOURCE_NAMES if name in operands]
    if scalar >= 0:
        named.insert(scalar, Descriptor(0, target.region, Dtype.F32, target.extents, (0, 0, 0, 0)))
    return Operands(target, tuple(named), scalar)


def nest_with_rows(operands: Operands) -> list[Loop] | None:
    """The loops, innermost first, if there is one along which the elements of the target follow each other, and those of each source
    too, or are one and the same, or are f32.
    """
    described = (operands.target, *operands.sources)
    if any(d.dtype in PACKED_4BIT for d in described):
        return None
    sizes = tuple(ELEMENT_BITS[d.dtype] // 8 for d in described)
    nest = merged(sorted(operands.loops, key=lambda loop: abs(loop.steps[0])))
    if not nest:
        return [Loop(1, sizes)]
    rows = [loop for loop in nest if loop.steps[0] == sizes[0] and _are_readable(loop, operands.sources)]
    if not rows:
        return None

    def fitness(loop: Loop) -> tuple[int, int]:
        return sum(step in (0, size) for step, size in zip(loop.steps, sizes, strict=True)), loop.extent

    row = max(rows, key=fitness)
    nest.remove(row)
    return [row, *nest]


def _are_readable(loop: Loop, sources: tuple[Descriptor, ...]) -> bool:
    pairs = zip(loop.steps[1:], sources, strict=True)
    return all(d.dtype == Dtype.F32 or step in (0, ELEMENT_BITS[d.dtype] // 8) for step, d in pairs)


def any_nest(operands: Operands) -> list[Loop]:
    """The loops, innermost first. Nibbles follow each other in dimension 0 only, which is the innermost loop then."""
    if any(d.dtype in PACKED_4BIT for d in (operands.target, *operands.sources)):
        first, *others = operands.loops
        return [first, *merged(others)]
    return merged(operands.loops) or [Loop(1, (0,) * (1 + len(operands.sources)))]


def source_bases(code: Code, count: int, scalar: Value) -> list[Value]:
    """Addresses of the sources. A scalar lies in the arguments."""
    bases = [code.argument(place) for place in (Arg.TB, Arg.TC, Arg.TD)[:count]]
    literal = code.arguments + 8 * int(Arg.SCALAR)
    return [scalar.equals(place).choose(literal, base) for place, base in enumerate(bases)]

"""TileBuilder: writes tile, arith and scf ops at an insertion point. Index values are Python ints as long as they are known."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from xdsl.dialects import arith, scf
from xdsl.dialects.builtin import DictionaryAttr, FloatAttr, LocationAttr, UnitAttr, f32
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.rewriter import InsertPoint, Rewriter

from compiler.attributes import INDEX, SEGMENT_SIZES, index_number, number, numbers, segment_sizes, text
from compiler.dialects import tile
from compiler.errors import CompileError
from compiler.locations import source_of
from isa.descriptor import dense_strides
from isa.spec import ELEMENT_BITS

Index = int | SSAValue
DIMENSIONS = 4  # of a tensor descriptor
BUFFER, VIEW = tile.BufferType(), tile.ViewType()


def element_bytes(dtype: str) -> int:
    return ELEMENT_BITS[tile.DTYPES[dtype]] // 8


@dataclass(frozen=True)
class Place:
    """Where views of a value start: a buffer, or a DRAM region name, plus an offset in bytes."""

    space: str
    buffer: SSAValue | None = None
    offset: Index = 0


class TileBuilder:
    """Appends ops to the end of a block; every op gets the current location."""

    def __init__(self, block: Block, location: LocationAttr):
        self.block = block
        self.location = location
        self.home: Block | None = None
        self.takes_turns = True
        """Whether streams are marked, so that double-buffer makes pairs of them."""

    def insert(self, op: Operation) -> Operation:
        op.location = self.location
        Rewriter.insert_op(op, InsertPoint.at_end(self.block))
        return op

    def make(
        self,
        kind: type[Operation],
        operands: Sequence[SSAValue] = (),
        properties: Mapping[str, Attribute] | None = None,
        results: Sequence[Attribute] = (),
    ) -> Operation:
        """Appends an op. The constructors of ops sort their operands out first, which takes longer than all else: a program has thousands
        of ops, and is lowered a dozen times."""
        op = kind.create(operands=operands, properties=properties or {}, result_types=results, location=self.location)
        self.block.add_op(op)
        return op

    def make_sized(
        self,
        kind: type[Operation],
        operands: Sequence[Sequence[SSAValue]],
        properties: Mapping[str, Attribute],
        results: Sequence[Attribute] = (),
    ) -> Operation:
        """The same of an op with optional or repeated operands: the operands of each definition."""
        sizes = {SEGMENT_SIZES: segment_sizes(tuple([len(part) for part in operands]))}
        return self.make(kind, [value for part in operands for value in part], {**properties, **sizes}, results)

    # Scalars

    def value(self, index: Index) -> SSAValue:
        """An SSA value; constants are made where they are needed and merged by cse later."""
        if isinstance(index, SSAValue):
            return index
        return self.make(arith.ConstantOp, (), {"value": index_number(index)}, (INDEX,)).results[0]

    def _binary(self, kind: type[Operation], a: Index, b: Index) -> SSAValue:
        return self.make(kind, (self.value(a), self.value(b)), None, (INDEX,)).results[0]

    def add(self, a: Index, b: Index) -> Index:
        if isinstance(a, int) and isinstance(b, int):
            return a + b
        if a == 0 or b == 0:
            return b if a == 0 else a
        return self._binary(arith.AddiOp, a, b)

    def sub(self, a: Index, b: Index) -> Index:
        if isinstance(a, int) and isinstance(b, int):
            return a - b
        return a if b == 0 else self._binary(arith.SubiOp, a, b)

    def mul(self, a: Index, b: Index) -> Index:
        if isinstance(a, int) and isinstance(b, int):
            return a * b
        if a == 0 or b == 0:
            return 0
        if a == 1 or b == 1:
            return b if a == 1 else a
        return self._binary(arith.MuliOp, a, b)

    def div(self, a: Index, b: Index) -> Index:
        """Of numbers that are not negative."""
        if b == 1:
            return a
        return a // b if isinstance(a, int) and isinstance(b, int) else self._binary(arith.DivSIOp, a, b)

    def rem(self, a: Index, b: int) -> Index:
        return a % b if isinstance(a, int) else self._binary(arith.RemSIOp, a, b)

    def least(self, a: Index, b: Index) -> Index:
        if isinstance(a, int) and isinstance(b, int):
            return min(a, b)
        return self._binary(arith.MinSIOp, a, b)

    def greatest(self, a: Index, b: Index) -> Index:
        if isinstance(a, int) and isinstance(b, int):
            return max(a, b)
        return self._binary(arith.MaxSIOp, a, b)

    # Buffers and views

    def alloc(
        self, label: str, size_bytes: int, space: str = "sram", stream: bool = False, carried: bool = False
    ) -> SSAValue:
        properties: dict[str, Attribute] = {
            "label": text(label),
            "space": text(space),
            "size_bytes": number(max(size_bytes, 1)),
        }
        if stream and self.takes_turns:
            properties["stream"] = UnitAttr()
        if carried:
            properties["carried"] = UnitAttr()
        with self.inside(self.block if self.home is None or stream else self.home):
            return self.make(tile.AllocOp, (), properties, (BUFFER,)).results[0]

    def renew(self, buffer: SSAValue) -> None:
        self.make(tile.RenewOp, (buffer,))

    @contextmanager
    def keeping_buffers(self) -> Generator[None]:
        """Buffers that are allocated meanwhile live from here on, outside of the loop that is about to be built: its turns overlap,
        and what one of them has left may not be the memory of the next one's."""
        outer, self.home = self.home, self.block
        yield
        self.home = outer

    def view(
        self,
        place: Place,
        dtype: str,
        extents: Sequence[Index],
        strides: Sequence[Index] | None = None,
        offset: Index = 0,
        *,
        group: int = 0,
        sparse: bool = False,
        blocked: bool = False,
    ) -> SSAValue:
        """A descriptor; extents and byte strides innermost first, padded to four. Dense strides need static extents.

        group: elements that share a scale, for i4 those stored together. sparse: 2:4 sparse rows. blocked: rows of
        weights or of their scales in blocks of 16, the stride of dimension 1 is from block to block.
        """
        if strides is None:
            sizes = [extent if isinstance(extent, int) else 0 for extent in extents[:-1]]
            if any(size == 0 for size in sizes):
                raise ValueError("dense strides of a view with dynamic inner extents")
            strides = dense_strides(tile.DTYPES[dtype], (*sizes, 1))[: len(extents)]
        if len(extents) > DIMENSIONS:
            raise CompileError(f"a tensor of {len(extents)} dimensions has no descriptor", source_of(self.location))
        base = self.add(place.offset, offset)
        static = base if isinstance(base, int) else 0
        full_extents = [*extents, *[1] * (4 - len(extents))]
        full_strides = [*strides, *[0] * (4 - len(strides))]
        properties: dict[str, Attribute] = {"group": number(group)} if group else {}
        if sparse:
            properties["sparse"] = UnitAttr()
        if blocked:
            properties["blocked"] = UnitAttr()
        properties["space"], properties["dtype"] = text(place.space), text(dtype)
        properties["static_base"] = number(static)
        properties["extents"] = numbers(tuple([_static(value) for value in full_extents]))
        properties["strides"] = numbers(tuple([_static(value) for value in full_strides]))
        operands = (
            [] if place.buffer is None else [place.buffer],
            [] if isinstance(base, int) else [base],
            [value for value in full_extents if not isinstance(value, int)],
            [value for value in full_strides if not isinstance(value, int)],
        )
        return self.make_sized(tile.ViewOp, operands, properties, (VIEW,)).results[0]

    def place(self, kind: type[Operation], what: Mapping[str, Attribute], layer: SSAValue | None) -> SSAValue:
        """The DRAM offset of a weight, state or table."""
        return self.make(
            kind, () if layer is None else (layer,), {"what": DictionaryAttr(dict(what))}, (INDEX,)
        ).results[0]

    # Engine ops

    def load(self, target: SSAValue, source: SSAValue) -> None:
        self.make(tile.LoadOp, (target, source))

    def store(self, target: SSAValue, source: SSAValue) -> None:
        self.make(tile.StoreOp, (target, source))

    def mm(self, c: SSAValue, a: SSAValue, b: SSAValue, accumulate: bool = False) -> None:
        properties: dict[str, Attribute] = {"accumulate": UnitAttr()} if accumulate else {}
        self.make(tile.MmOp, (c, a, b), properties)

    def mmg(self, c: SSAValue, a: SSAValue, b: SSAValue, scales: SSAValue, accumulate: bool = False) -> None:
        properties: dict[str, Attribute] = {"accumulate": UnitAttr()} if accumulate else {}
        self.make(tile.MmgOp, (c, a, b, scales), properties)

    def vbin(self, function: str, target: SSAValue, a: SSAValue, b: SSAValue | float, scalar: SSAValue | None = None):
        """b is a view or a constant, unless `scalar` gives fp32 bits."""
        operands, properties = _last_source(function, b, scalar)
        self.make_sized(tile.VbinOp, ([target], [a], *operands), properties)

    def scale_by_bits(self, target: SSAValue, a: SSAValue, bits: SSAValue) -> None:
        """target = a * (the fp32 number whose bits are in a scalar)."""
        self.vbin("mul", target, a, 0.0, bits)

    def invert(self, target: SSAValue, a: SSAValue, numerator: float = 1.0) -> None:
        """target = numerator / a, in another buffer than a: the left side of a division is a view, and this one's memory."""
        self.vun("mov", target, numerator)
        self.vbin("div", target, target, a)

    def vmad(
        self,
        function: str,
        target: SSAValue,
        a: SSAValue,
        b: SSAValue | float,
        c: SSAValue,
        scalar: SSAValue | None = None,
    ) -> None:
        operands, properties = _last_source(function, b, scalar)
        self.make_sized(tile.VmadOp, ([target], [a], [c], *operands), properties)

    def vun(self, function: str, target: SSAValue, a: SSAValue | float) -> None:
        operands, properties = _last_source(function, a, None)
        self.make_sized(tile.VunOp, ([target], *operands), properties)

    def vred(self, function: str, target: SSAValue, a: SSAValue) -> None:
        self.make(tile.VredOp, (target, a), {"function": text(function)})

    # SMEM and control

    def lds(self, width: int, address: Index = 0, buffer: SSAValue | None = None, displacement: int = 0) -> SSAValue:
        static = displacement + (address if isinstance(address, int) else 0)
        operands = ([] if buffer is None else [buffer], [] if isinstance(address, int) else [address])
        properties = {"width": number(width), "displacement": number(static)}
        return self.make_sized(tile.LdsOp, operands, properties, (INDEX,)).results[0]

    def sts(
        self, width: int, value: Index, address: Index = 0, buffer: SSAValue | None = None, displacement: int = 0
    ) -> None:
        static = displacement + (address if isinstance(address, int) else 0)
        where = ([] if buffer is None else [buffer], [] if isinstance(address, int) else [address])
        properties = {"width": number(width), "displacement": number(static)}
        self.make_sized(tile.StsOp, ([self.value(value)], *where), properties)

    def event(self, kind: int, value: Index) -> None:
        self.make(tile.EventOp, (self.value(value),), {"kind": number(kind)})

    def mark(self, label: int, value: Index) -> None:
        self.make(tile.MarkOp, (self.value(value),), {"label": number(label)})

    def compare(self, predicate: str, a: Index, b: Index) -> SSAValue:
        """An i1: `eq ne slt sle sgt sge`."""
        return self.insert(arith.CmpiOp(self.value(a), self.value(b), predicate)).results[0]

    @contextmanager
    def inside(self, block: Block) -> Generator[None]:
        outer, self.block = self.block, block
        yield
        self.block = outer

    def loop(
        self, low: Index, high: Index, step: int, body: Callable[[SSAValue, list[SSAValue]], Sequence[Index]],
        carried: Sequence[Index] = (),
    ) -> list[SSAValue]:  # fmt: skip
        """scf.for; the body gets the index and the carried values and returns the next ones."""
        start = [self.value(value) for value in carried]
        block = Block(arg_types=[INDEX] * (1 + len(start)))
        bounds = [self.value(low), self.value(high), self.value(step)]
        with self.inside(block):
            following = [self.value(value) for value in body(block.args[0], list(block.args[1:]))]
            self.insert(scf.YieldOp(*following))
        op = scf.ForOp(bounds[0], bounds[1], bounds[2], start, Region(block))
        return list(self.insert(op).results)

    def when(self, condition: SSAValue, then: Callable[[], None], otherwise: Callable[[], None] | None = None) -> None:
        """scf.if without results."""
        blocks: list[Block] = []
        for body in (then, otherwise):
            block = Block()
            if body is not None:
                with self.inside(block):
                    body()
                    self.insert(scf.YieldOp())
                blocks.append(block)
        regions = [Region(block) for block in blocks]
        self.insert(scf.IfOp(condition, [], regions[0], regions[1] if otherwise is not None else Region()))


def place_of(b: TileBuilder, view: SSAValue) -> Place:
    """Where a view of SRAM begins. Raises ValueError for another value."""
    op = view.owner
    if not isinstance(op, tile.ViewOp) or op.buffer is None or op.space.data != "sram":
        raise ValueError("expected a view of SRAM")
    static = op.static_base.value.data
    return Place("sram", op.buffer, static if op.base is None else b.add(op.base, static))


def rows_of_view(b: TileBuilder, view: SSAValue, first: Index, count: Index) -> SSAValue:
    """`count` rows of a view of rows in SRAM, [columns, rows], from one on."""
    place, op = place_of(b, view), view.owner
    assert isinstance(op, tile.ViewOp)
    columns, strides = op.full_extents()[0], op.full_strides()[:2]
    return b.view(place, op.dtype.data, [columns, count], list(strides), b.mul(first, strides[1]))


def select(b: TileBuilder, condition: SSAValue, yes: Index, no: Index) -> SSAValue:
    """A value by condition, through scf.if: branches are all the ISA has."""
    blocks = Block(), Block()
    for block, value in zip(blocks, (yes, no), strict=True):
        with b.inside(block):
            b.insert(scf.YieldOp(b.value(value)))
    op = scf.IfOp(condition, [INDEX], Region(blocks[0]), Region(blocks[1]))
    return b.insert(op).results[0]


def _static(value: Index) -> int:
    return value if isinstance(value, int) else tile.DYNAMIC


def _last_source(
    function: str, source: SSAValue | float, scalar: SSAValue | None
) -> tuple[tuple[list[SSAValue], list[SSAValue]], dict[str, Attribute]]:
    """Operands (view, scalar) and properties of a vector op."""
    properties: dict[str, Attribute] = {"function": text(function)}
    if scalar is not None:
        return ([], [scalar]), properties
    if isinstance(source, SSAValue):
        return ([source], []), properties
    properties["constant"] = FloatAttr(source, f32)
    return ([], []), properties

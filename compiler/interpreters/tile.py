"""Interpreter of the tile level: runs the device program op by op on bytes of memory, before or after buffers have places.

It starts behind allocate-dram, when DRAM has content. The host side is that of isa/abi.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects import arith, scf
from xdsl.dialects.builtin import DenseArrayBase, FloatAttr, IntegerAttr, ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, SSAValue

from compiler.dialects import tile
from compiler.emit.executable import places_of, region_sizes, table_region, weight_chunks
from compiler.images import ImageInput
from compiler.interpreters import tile_compute as compute
from compiler.interpreters.errors import InterpreterError
from compiler.interpreters.tile_memory import F32, Bytes, View, copy
from compiler.lowering.encoder import PIXELS
from compiler.lowering.images import PLACES
from compiler.program import ENCODER, Program
from compiler.transforms.allocate_dram import LAYER_TABLE_ATTRIBUTE, LOGITS_ATTRIBUTE
from isa.abi import EVENT_TOKEN, NO_IMAGE_ROW, Mailbox, RunFlag
from isa.spec import SMEM_BYTES

Value = int | bool | View
MOST_SRAM_BYTES = 1 << 28


def dram_of(module: ModuleOp, program: Program, rows: int, vocabulary: int) -> dict[str, Bytes]:
    """The DRAM regions a module expects; IO has room for the logits of `rows` positions."""
    places, sizes = places_of(module), region_sizes(module)
    weights = [p for p in places if p.region == "weight"]
    packed = list(weight_chunks(weights, program, sizes["weight"], None))
    return {
        "weight": np.concatenate(packed) if packed else np.zeros(0, np.uint8),
        "table": table_region([p for p in places if p.region == "table"], sizes["table"]),
        "kv": np.zeros(sizes["kv"], np.uint8),
        "io": np.zeros(sizes["io"] + rows * vocabulary * 4, np.uint8),
        "scratch": np.zeros(sizes["scratch"], np.uint8),
    }


NONSENSE = 0x5A
"""Bytes of memory that has no content any more."""


class TileInterpreter:
    """Runs the functions of a module, `generate` and an image's encoder. `dram`: bytes by region name."""

    def __init__(self, module: ModuleOp, dram: dict[str, Bytes]):
        self.module, self.dram = module, dram
        self.functions = {op.sym_name.data: op for op in module.walk() if isinstance(op, FuncOp)}
        self.smem = np.zeros(SMEM_BYTES, np.uint8)
        self.sram = np.zeros(0, np.uint8)
        self.buffers: dict[SSAValue, tuple[Bytes, int]] = {}
        self.values: dict[SSAValue, Value] = {}
        self.events: list[tuple[int, int]] = []
        for op in module.walk():
            if isinstance(op, tile.AllocOp):
                self.buffers[op.result] = self.place(op)

    def renew(self, op: tile.RenewOp) -> None:
        """Others may have had the memory: what is read without being written anew must not look right."""
        array, base = self.buffers[op.buffer]
        assert isinstance(op.buffer.owner, tile.AllocOp)
        array[base : base + op.buffer.owner.size_bytes.value.data] = NONSENSE

    def place(self, op: tile.AllocOp) -> tuple[Bytes, int]:
        """The bytes of a buffer: within SRAM or SMEM if it has an offset, else memory of its own."""
        size = op.size_bytes.value.data
        if op.offset is None:
            array, base = np.zeros(size, np.uint8), 0
        elif op.space.data == "smem":
            array, base = self.smem, op.offset.value.data
        else:
            base = op.offset.value.data
            if len(self.sram) < base + size <= MOST_SRAM_BYTES:
                self.grow(base + size)
            array = self.sram
        if op.label.data == "layer_table":
            words = self.module.attributes[LAYER_TABLE_ATTRIBUTE]
            if isinstance(words, DenseArrayBase):
                content = np.array(words.get_values(), np.int64).view(np.uint8)
                array[base : base + len(content)] = content
        return array, base

    def grow(self, size_bytes: int) -> None:
        larger = np.zeros(size_bytes, np.uint8)
        for value, (array, base) in self.buffers.items():
            if array is self.sram:
                self.buffers[value] = (larger, base)
        self.sram = larger

    # The host

    def word(self, word: Mailbox, value: int | None = None) -> int:
        """Reads or writes a mailbox word."""
        place = self.smem[word.address : word.address + 8].view(np.int64)
        if value is not None:
            place[0] = value
        return int(place[0])

    def run(self, name: str) -> None:
        with np.errstate(all="ignore"):
            self.block(self.functions[name].body.block)

    def show(self, image: ImageInput | None) -> None:
        """Writes the places of a prompt and its image to IO, and encodes the image; without one, no place is taken."""
        inputs = {place.name: place for place in places_of(self.module) if place.region == "io"}
        if not inputs:
            return
        whole = inputs[PLACES]
        places = self.dram["io"][whole.offset : whole.offset + whole.size_bytes].view(np.int32)
        places[:] = NO_IMAGE_ROW
        if image is not None:
            places[: len(image.places)] = image.places
            start = inputs[PIXELS].offset
            self.dram["io"][start : start + image.pixels.nbytes] = image.pixels.reshape(-1).view(np.uint8)
            self.run(ENCODER)

    def generate(self, prompt: Sequence[int], count: int) -> tuple[list[int], F32]:
        """Greedy tokens, and the logits of all positions processed [positions, vocabulary]."""
        logits = self.module.attributes[LOGITS_ATTRIBUTE]
        offset = logits.value.data if isinstance(logits, IntegerAttr) else 0
        self.dram["io"][: 4 * len(prompt)] = np.array(prompt, np.int32).view(np.uint8)
        settings = {
            Mailbox.N_TOKENS: len(prompt),
            Mailbox.MAX_NEW: count,
            Mailbox.FLAGS: int(RunFlag.DUMP_ALL),
            Mailbox.LOGITS_OFFSET: offset,
        }
        for word, value in settings.items():
            self.word(word, value)
        self.run("generate")
        tokens = [value for kind, value in self.events if kind == EVENT_TOKEN]
        rows = len(prompt) + count - 1
        return tokens, self.dram["io"][offset:].view(np.float32).reshape(-1)[:].reshape(rows, -1)

    # Ops

    def block(self, block: Block) -> Sequence[Value]:
        """Runs a block; the operands of its terminator."""
        for op in block.ops:
            if isinstance(op, scf.YieldOp | scf.ConditionOp | ReturnOp):
                return [self.values[operand] for operand in op.operands]
            HANDLERS[type(op)](self, op)
        return []

    def number(self, value: SSAValue) -> int:
        found = self.values[value]
        if isinstance(found, View):
            raise InterpreterError("a view where a number is expected")
        return int(found)

    def seen(self, value: SSAValue) -> View:
        found = self.values[value]
        if not isinstance(found, View):
            raise InterpreterError("a number where a view is expected")
        return found

    def view(self, op: tile.ViewOp) -> None:
        base = op.static_base.value.data + (self.number(op.base) if op.base is not None else 0)
        array = self.dram.get(op.space.data, self.smem)
        if op.buffer is not None:
            array, start = self.buffers[op.buffer]
            base += start
        extents, strides = (
            tuple(value if isinstance(value, int) else self.number(value) for value in values)
            for values in (op.full_extents(), op.full_strides())
        )
        forms = op.sparse is not None, op.blocked is not None
        self.values[op.result] = View(array, base, op.dtype.data, extents, strides, op.group_size, *forms)

    def source(self, view: SSAValue | None, scalar: SSAValue | None, constant: FloatAttr | None) -> View | float:
        if view is not None:
            return self.seen(view)
        if scalar is not None:
            return float(np.array([self.number(scalar) & 0xFFFFFFFF], np.uint32).view(np.float32)[0])
        return float(constant.value.data) if constant is not None else 0.0

    def vbin(self, op: tile.VbinOp) -> None:
        b = compute.value_of(self.source(op.b, op.scalar, op.constant))
        self.seen(op.target).write(compute.BINARY[op.function.data](self.seen(op.a).read(), b))

    def vmad(self, op: tile.VmadOp) -> None:
        product: F32 = self.seen(op.a).read() * compute.value_of(self.source(op.b, op.scalar, op.constant))
        self.seen(op.target).write(compute.MAD[op.function.data](product, self.seen(op.c).read()))

    def smem_word(self, op: tile.LdsOp | tile.StsOp) -> NDArray[Any]:
        """The bytes that lds or sts touches."""
        array, base = self.buffers[op.buffer] if op.buffer is not None else (self.smem, 0)
        start = base + op.displacement.value.data + (self.number(op.address) if op.address is not None else 0)
        if not 0 <= start <= len(array) - op.width.value.data:
            raise InterpreterError(f"SMEM access at {start}")
        return array[start : start + op.width.value.data]

    def lds(self, op: tile.LdsOp) -> None:
        data = self.smem_word(op).tobytes()
        self.values[op.result] = int.from_bytes(data, "little", signed=len(data) == 8)

    def sts(self, op: tile.StsOp) -> None:
        place = self.smem_word(op)
        value = self.number(op.value) & ((1 << 8 * len(place)) - 1)
        place[...] = np.frombuffer(value.to_bytes(len(place), "little"), np.uint8)

    def for_loop(self, op: scf.ForOp) -> None:
        low, high, step = (self.number(value) for value in (op.lb, op.ub, op.step))
        carried: Sequence[Value] = [self.values[value] for value in op.iter_args]
        block = op.body.block
        for index in range(low, high, step):
            self.values.update(zip(block.args, (index, *carried), strict=True))
            carried = self.block(block)
        self.values.update(zip(op.results, carried, strict=True))

    def while_loop(self, op: scf.WhileOp) -> None:
        carried: Sequence[Value] = [self.values[value] for value in op.arguments]
        while True:
            self.values.update(zip(op.before_region.block.args, carried, strict=True))
            condition, *passed = self.block(op.before_region.block)
            if not condition:
                self.values.update(zip(op.results, passed, strict=True))
                return
            self.values.update(zip(op.after_region.block.args, passed, strict=True))
            carried = self.block(op.after_region.block)

    def if_else(self, op: scf.IfOp) -> None:
        region = op.true_region if self.values[op.cond] else op.false_region
        results = self.block(region.block) if region.blocks else []
        self.values.update(zip(op.results, results, strict=True))

    def constant(self, op: arith.ConstantOp) -> None:
        self.values[op.result] = op.value.value.data if isinstance(op.value, IntegerAttr) else 0

    def compare(self, op: arith.CmpiOp) -> None:
        a, b = self.number(op.lhs), self.number(op.rhs)
        self.values[op.result] = (a == b, a != b, a < b, a <= b, a > b, a >= b)[op.predicate.value.data]


def arithmetic(function: Callable[[int, int], int]) -> Callable[[TileInterpreter, Any], None]:
    def run(t: TileInterpreter, op: Operation) -> None:
        a, b = (t.number(value) for value in op.operands)
        t.values[op.results[0]] = function(a, b)

    return run


def quotient(a: int, b: int) -> int:
    """Truncates towards zero, as the hardware does."""
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def remainder(a: int, b: int) -> int:
    return abs(a) % abs(b) * (1 if a >= 0 else -1)


Handler = Callable[[TileInterpreter, Any], None]
HANDLERS: dict[type[Operation], Handler] = {
    arith.ConstantOp: TileInterpreter.constant,
    arith.CmpiOp: TileInterpreter.compare,
    arith.AddiOp: arithmetic(lambda a, b: a + b),
    arith.SubiOp: arithmetic(lambda a, b: a - b),
    arith.MuliOp: arithmetic(lambda a, b: a * b),
    arith.DivSIOp: arithmetic(quotient),
    arith.RemSIOp: arithmetic(remainder),
    arith.MinSIOp: arithmetic(min),
    arith.MaxSIOp: arithmetic(max),
    scf.ForOp: TileInterpreter.for_loop,
    scf.WhileOp: TileInterpreter.while_loop,
    scf.IfOp: TileInterpreter.if_else,
    tile.AllocOp: lambda t, op: None,
    tile.RenewOp: TileInterpreter.renew,
    tile.ViewOp: TileInterpreter.view,
    tile.LdsOp: TileInterpreter.lds,
    tile.StsOp: TileInterpreter.sts,
    tile.LoadOp: lambda t, op: copy(t.seen(op.target), t.seen(op.source)),
    tile.StoreOp: lambda t, op: copy(t.seen(op.target), t.seen(op.source)),
    tile.MmOp: lambda t, op: compute.mm(t.seen(op.c), t.seen(op.a), t.seen(op.b), op.accumulate is not None),
    tile.MmgOp: lambda t, op: compute.mmg(
        t.seen(op.c), t.seen(op.a), t.seen(op.b), t.seen(op.scales), op.accumulate is not None
    ),
    tile.VbinOp: TileInterpreter.vbin,
    tile.VmadOp: TileInterpreter.vmad,
    tile.VunOp: lambda t, op: compute.vun(op.function.data, t.seen(op.target), t.source(op.a, op.scalar, op.constant)),
    tile.VredOp: lambda t, op: compute.vred(op.function.data, t.seen(op.target), t.seen(op.a)),
    tile.VsmxOp: lambda t, op: compute.vsmx(
        t.seen(op.p), t.seen(op.s), t.seen(op.ml), t.number(op.first), t.number(op.window)
    ),
    tile.VtopkOp: lambda t, op: compute.vtopk(t.seen(op.list), t.seen(op.a), t.number(op.index)),
    tile.VrngOp: lambda t, op: compute.vrng(
        t.seen(op.target), t.number(op.first), t.number(op.second), t.number(op.key)
    ),
    tile.EventOp: lambda t, op: t.events.append((op.kind.value.data, t.number(op.value))),
    tile.MarkOp: lambda t, op: None,
}

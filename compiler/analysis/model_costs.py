"""What a model costs before it is compiled: parameters, multiply-accumulates, bytes of weights and of the KV cache.

It reads the slm level and the schemes. What lies in DRAM after compilation is larger by padding only: strips and granules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation

from compiler.conversion.routing import routers
from compiler.dialects import slm
from compiler.dialects.slm import EXPERT, LAYER
from compiler.errors import CompileError
from compiler.locations import source_of
from compiler.lowering.attention import cache_capacity, full_blocks
from compiler.lowering.builder import element_bytes
from compiler.lowering.int4_cache import Int4Layout
from compiler.program import ENCODER, Program, WeightStore
from compiler.schemes import Scheme
from isa.spec import KV_BLOCK

SCALE_BYTES = 4  # f32: of a row of an int8 matrix, of an int8 cache entry
STATE_BYTES = 4  # f32 in every scheme
VECTOR_BYTES = 4  # norms and biases are f32 in every scheme
PER_ELEMENT_OPS = (
    slm.RmsNormOp, slm.LayerNormOp, slm.RopeOp, slm.ActivationOp, slm.ConstantOp, slm.TensorOp, slm.PositionsOp,
    slm.SinusoidOp, slm.SoftmaxOp, slm.ReduceSumOp, slm.TopKOp, slm.ColumnOp, slm.AddOp, slm.SubOp, slm.MulOp, slm.DivOp,
    slm.ReplaceOp, slm.L2NormalizeOp,
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """A weight as an operation reads it: `stored` of it are in memory for that, `per_token` are read for each token.

    role: matrix [rows, columns], router (a matrix that decides a top_k, f32 in every scheme), table [rows, columns] of which
    a token reads one row, or vector [columns].
    """

    key: str
    role: str
    rows: int
    columns: int
    stored: int
    per_token: int


@dataclass(frozen=True)
class Cache:
    """The keys and values of one attention: `layers` times 2 x heads x head_dim elements per position."""

    layers: int
    query_heads: int
    heads: int
    head_dim: int
    window: int | None

    def seen(self, context: int) -> int:
        """Positions that a query at the end of `context` positions attends to."""
        return context if self.window is None else min(context, self.window)

    def entry_bytes(self, scheme: Scheme) -> int:
        """Key and value of one position, all heads and layers; in int4 on average of a full block."""
        if scheme.cache == "i4":
            return self.layers * Int4Layout(self.heads, self.head_dim, 1).position_bytes
        scale = SCALE_BYTES if scheme.cache == "i8" else 0
        return self.elements * element_bytes(scheme.cache) + 2 * self.layers * self.heads * scale

    @property
    def elements(self) -> int:
        """Of key and value of one position, all heads and layers."""
        return 2 * self.layers * self.heads * self.head_dim

    def stored_bytes(self, scheme: Scheme, context: int) -> int:
        """Of whole blocks, of a window no more than it needs; an int4 cache has a block in the attention's type besides."""
        if scheme.cache != "i4":
            return self.entry_bytes(scheme) * cache_capacity(context, self.window)
        window = None if self.window is None or self.window >= context else self.window
        full = full_blocks(context, window) * self.entry_bytes(scheme)
        return KV_BLOCK * (full + self.elements * element_bytes(scheme.attention))

    def read_bytes(self, scheme: Scheme, context: int) -> int:
        """What a query at the end of `context` positions reads; of an int4 cache, those of its own block are not quantised."""
        seen = self.seen(context)
        if scheme.cache != "i4":
            return self.entry_bytes(scheme) * seen
        recent = min(seen, (context - 1) % KV_BLOCK + 1)
        recent_bytes = recent * self.elements * element_bytes(scheme.attention)
        return recent_bytes + (seen - recent) * self.entry_bytes(scheme)


@dataclass(frozen=True)
class State:
    """What one recurrent operation carries from token to token: `elements` f32 in each layer, and its work for a token."""

    layers: int
    elements: int
    macs: int


@dataclass
class ModelCosts:
    """Of one token, if not said otherwise; `uncounted` names operations whose work is not in the numbers."""

    parameters: int = 0
    active_parameters: int = 0
    parts: list[Part] = field(default_factory=list[Part])
    caches: list[Cache] = field(default_factory=list[Cache])
    states: list[State] = field(default_factory=list[State])
    uncounted: set[str] = field(default_factory=set[str])

    @property
    def matrix_macs(self) -> int:
        return sum(
            part.rows * part.columns * part.per_token for part in self.parts if part.role in ("matrix", "router")
        )

    def attention_macs(self, context: int) -> int:
        """Scores and weighted values of a token that is the last of `context` positions."""
        return sum(2 * c.layers * c.query_heads * c.head_dim * c.seen(context) for c in self.caches)

    @property
    def recurrent_macs(self) -> int:
        return sum(state.layers * state.macs for state in self.states)

    @property
    def state_bytes(self) -> int:
        """Of all recurrent states; a token reads and writes them once."""
        return sum(state.layers * state.elements * STATE_BYTES for state in self.states)

    def weight_bytes(self, scheme: Scheme) -> int:
        """All weights as the scheme stores them; a tied head is stored apart from the table."""
        return sum(part.stored * part_bytes(part, scheme) for part in self.parts)

    def weight_bytes_read(self, scheme: Scheme) -> int:
        """What one token reads of them: one row of a table, of experts only the chosen ones."""
        return sum(
            part.per_token * part_bytes(part, scheme) // (part.rows if part.role == "table" else 1)
            for part in self.parts
        )

    def cache_bytes_per_token(self, scheme: Scheme) -> int:
        """What a token adds to the KV cache, an int4 one when its block is full."""
        return sum(cache.entry_bytes(scheme) for cache in self.caches)

    def cache_bytes(self, scheme: Scheme, context: int) -> int:
        """The KV cache of a context as it is laid out."""
        return sum(cache.stored_bytes(scheme, context) for cache in self.caches)

    def cache_bytes_read(self, scheme: Scheme, context: int) -> int:
        """What a token at the end of a context reads of the KV cache."""
        return sum(cache.read_bytes(scheme, context) for cache in self.caches)


def part_bytes(part: Part, scheme: Scheme) -> int:
    """One layer's (and one expert's) weight in a scheme."""
    elements = part.rows * part.columns
    if part.role in ("vector", "router"):
        return elements * VECTOR_BYTES
    if part.role == "table":
        return elements * element_bytes(scheme.table)
    weights = scheme.matrix_of(part.key).weights
    return part.rows * (weights.row_bytes(part.columns) + weights.scale_bytes(part.columns))


@dataclass(frozen=True)
class Times:
    """How often the operations of a block are there: `stored` copies of their weights, of which a token runs `per_token`."""

    stored: int = 1
    per_token: int = 1

    def times(self, stored: int, per_token: int) -> Times:
        return Times(self.stored * stored, self.per_token * per_token)


def model_costs(program: Program) -> ModelCosts:
    """Raises CompileError for an operation with regions that is not known here."""
    costs = ModelCosts(parameters=stored_parameters(program.weights))
    stored: set[tuple[str, int]] = set()
    deciding = routers(program.module)
    for op, times in operations(program.module):
        if isinstance(op, slm.AttentionOp):
            _, query_heads, head_dim = slm.shape_of(op.q)
            window = None if op.window is None else op.window.value.data
            costs.caches.append(Cache(times.per_token, query_heads, slm.shape_of(op.k)[1], head_dim, window))
        elif isinstance(op, slm.CausalConvOp | slm.SelectiveScanOp):
            costs.states.append(state_of(op, times.per_token))
        elif times.per_token and not isinstance(op, (slm.LinearOp, slm.EmbeddingOp, *PER_ELEMENT_OPS)):
            costs.uncounted.add(op.name)
        for key, role, rows, columns in weights_of(op):
            scope = (key, id(op.parent) if LAYER in key else 0)
            first = 0 if scope in stored else times.stored if LAYER in key or EXPERT in key else 1
            kind = "router" if role == "matrix" and op in deciding else role
            costs.parts.append(Part(key, kind, rows, columns, first, times.per_token))
            stored.add(scope)
    idle = sum(max(0, part.stored - part.per_token) * part.rows * part.columns for part in costs.parts)
    costs.active_parameters = costs.parameters - idle
    return costs


def stored_parameters(weights: WeightStore) -> int:
    """Numbers in the checkpoint; tied weights count once."""
    return sum(prod(weights.shape(name)) for name in weights.names() if weights.alias_of(name) is None)


def operations(module: ModuleOp) -> Iterator[tuple[Operation, Times]]:
    """The operations with how often each is stored and run: the encoder of an image is stored, and no token runs it."""
    for function in [op for op in module.ops if isinstance(op, FuncOp)]:
        is_encoder = function.sym_name.data == ENCODER
        yield from repeated(function.body.block, Times(per_token=0) if is_encoder else Times())


def repeated(block: Block, times: Times) -> Iterator[tuple[Operation, Times]]:
    """The operations of a block, of the layers and of the mixtures in it, each with how often it is there."""
    for op in block.ops:
        if isinstance(op, slm.LayersOp):
            for kind in range(len(op.kinds)):
                count = op.layer_kinds.count(kind)
                yield from repeated(op.body(kind), times.times(count, count))
        elif isinstance(op, slm.MixtureOp):
            chosen = op.count if op.chosen is None else slm.shape_of(op.chosen)[-1]
            yield from repeated(op.block, times.times(op.count, chosen))
        elif op.regions:
            raise CompileError(f"the costs of {op.name} are not known", source_of(op.location))
        elif not isinstance(op, slm.YieldOp | ReturnOp):
            yield op, times


def state_of(op: slm.CausalConvOp | slm.SelectiveScanOp, layers: int) -> State:
    """A convolution of K taps keeps K - 1 rows; an entry of a scan's [m, N] takes one MAC to decay and add, one to be read."""
    if isinstance(op, slm.CausalConvOp):
        channels, taps = op.weight.shape
        return State(layers, channels * (taps - 1), channels * taps)
    entries = prod(slm.shape_of(op.a))
    return State(layers, entries, 2 * entries)


def weights_of(op: Operation) -> Iterator[tuple[str, str, int, int]]:
    """Key, role, rows and columns of each weight an operation reads."""
    for name, weight in op.properties.items():
        if not isinstance(weight, slm.WeightAttr):
            continue
        if name == "weight" and isinstance(op, slm.LinearOp):
            yield weight.key.data, "matrix", prod(slm.shape_of(op.result)[1:]), prod(slm.shape_of(op.x)[1:])
        elif name == "weight" and isinstance(op, slm.EmbeddingOp):
            yield weight.key.data, "table", weight.shape[0], prod(weight.shape[1:])
        else:
            yield weight.key.data, "vector", 1, prod(weight.shape)

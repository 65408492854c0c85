"""Norms: over the last dimensions of each row; weights and biases are loaded once per norm and broadcast over the rows."""

from __future__ import annotations

from math import prod

from xdsl.ir import Operation, SSAValue

from compiler.dialects import slm, slmq, tile
from compiler.dialects.slm import row_shape
from compiler.dialects.slm.norms import NormBase
from compiler.lowering.builder import Index, Place, TileBuilder, place_of
from compiler.lowering.spilling import blocks_view, staged_view
from compiler.lowering.tensors import load_vector, vector_place
from compiler.lowering.values import Lowering, Tensor, VectorKey

Vectors = dict[VectorKey, Place]


def load_norm_vector(low: Lowering, weight: slm.WeightAttr, label: str, offset: float = 0.0) -> Place:
    """A weight in f32, plus a constant, in SRAM: where it was loaded ahead, or loaded now."""
    ahead = low.vectors_ahead.pop((weight, offset), None)
    return ahead or load_vector(low, vector_place(low, weight, offset), prod(weight.shape), label)


def norms_of(region: slmq.RowsOp | slmq.StripsOp) -> list[NormBase]:
    return [member for member in region.body.block.ops if isinstance(member, NormBase)]


def load_vectors(low: Lowering, region: slmq.RowsOp | slmq.StripsOp) -> Vectors:
    """The weights of a region's norms, each once."""
    found: Vectors = {}
    for norm in norms_of(region):
        for weight, offset, label in norm_vectors(norm):
            found[weight, offset] = load_norm_vector(low, weight, label, offset)
    return found


def norm_vectors(op: NormBase) -> list[tuple[slm.WeightAttr, float, str]]:
    """(weight, constant added to it, label) of what a norm loads."""
    if isinstance(op, slmq.RmsNormOp):
        return [(op.weight, op.offset.value.data, "norm_weight")]
    assert isinstance(op, slmq.LayerNormOp)
    weights = [(op.weight, 0.0, "norm_weight")]
    return weights if op.bias is None else [*weights, (op.bias, 0.0, "norm_bias")]


def sum_and_root(b: TileBuilder, sums: SSAValue, squares: SSAValue | None, size: int, eps: SSAValue) -> None:
    """sqrt(sum(squares) * (1/size) + eps); None: they are summed up."""
    if squares is not None:
        b.vred("sum", sums, squares)
    b.vmad("mad", sums, sums, 1 / size, eps)
    b.vun("sqrt", sums, sums)


class Norm:
    """The views of one norm: `source` and `target` rows with the normalised dimensions as one, of `size` elements. `like_source`: the
    target in the order of the source, which may lie in blocks.

    The dimensions with weights of their own, right before that one, count as one too.
    """

    def __init__(self, low: Lowering, op: NormBase):
        x, axes = low.values[op.x], op.axes.value.data
        outer, own = x.shape[: len(x.shape) - axes - op.owners], x.shape[len(x.shape) - axes - op.owners : -axes]
        self.low, self.size = low, prod(x.shape[-axes:])
        self.owners = prod(own)
        self.shape = (*outer, *([self.owners] if own else []), self.size)
        result = low.result(op.result, "normed")
        low.values[op.result] = result
        self.x, self.target = x, low.view(result, self.shape)
        if x.block:
            blocks = x.columns // x.block
            self.source = blocks_view(low, x, (0, x.rows), 0, blocks)
            self.like_source = staged_view(low, result.place, x, x.row_bytes, x.rows, blocks)
        else:
            self.source, self.like_source = low.view(x, self.shape), self.target
        self.begun = low.squares.get(op)
        self._sums = self.begun or low.new("norm", "f32", (*self.shape[:-1], 1), low.rows)

    def inverse_root_mean(self, eps: float) -> SSAValue:
        """1 / sqrt(sum(target) * (1/d) + eps) for each sum, broadcast over the normalised dimension of x. The
        sums may be there.

        eps waits in memory: a product and a sum in one instruction are sooner done than two that wait for each other.
        """
        low, b, r = self.low, self.low.builder, self.low.view(self._sums)
        addends, ones = low.filled(self._sums, eps, "eps"), low.filled(self._sums, 1.0)
        sum_and_root(b, r, self.target if self.begun is None else None, self.size, low.view(addends))
        inverse, x = low.divide(ones, self._sums), self.x
        if x.block:
            return b.view(inverse.place, "f32", [x.block, x.rows, x.columns // x.block], [0, 4, 0])
        return low.stretched(inverse, self.shape)

    def vector(self, weight: slm.WeightAttr, label: str, offset: float = 0.0) -> SSAValue:
        """A weight in f32, plus a constant, loaded into SRAM and broadcast over the rows."""
        b = self.low.builder
        place = self.low.vectors.get((weight, offset)) or load_norm_vector(self.low, weight, label, offset)
        strides = [4, *[0] * (len(self.shape) - 1), 0]
        if self.owners > 1:
            strides[1] = self.size * 4
        return b.view(place, "f32", [*reversed(self.shape), self.low.rows], strides)


def lower_rms_norm(low: Lowering, op: slmq.RmsNormOp) -> None:
    """y = (x * (1 / sqrt(sum(x*x) * (1/d) + eps))) * w."""
    b, norm = low.builder, Norm(low, op)
    weight = norm.vector(op.weight, "norm_weight", op.offset.value.data)
    b.vbin("mul", norm.like_source, norm.source, norm.source)
    b.vbin("mul", norm.like_source, norm.source, norm.inverse_root_mean(op.eps.value.data))
    b.vbin("mul", norm.target, norm.target, weight)


def reads_blocks(value: SSAValue) -> bool:
    """Whether all that is done to a value of one dimension is a norm that can read it where its columns lie in blocks."""
    return value.has_one_use() and all(
        isinstance(use.operation, slmq.RmsNormOp) and len(row_shape(value)) == 1 for use in value.uses
    )


def lower_layer_norm(low: Lowering, op: slmq.LayerNormOp) -> None:
    """m = sum(x) * (1/d); c = x - m; y = (c * (1 / sqrt(sum(c*c) * (1/d) + eps))) * w + b.

    x - m is computed twice: keeping it beside its squares would take another buffer of the size of x. Of rows that were only brought here
    for this it takes their place.
    """
    b, norm = low.builder, Norm(low, op)
    weight = norm.vector(op.weight, "norm_weight")
    bias = None if op.bias is None else norm.vector(op.bias, "norm_bias")
    mean = None if norm.begun is not None else mean_of(low, norm.source, norm.shape)
    centred = norm.source if mean is None or is_copy(low, op) else norm.target
    if mean is not None:
        b.vbin("sub", centred, norm.source, mean)
        b.vbin("mul", norm.target, centred, centred)
    inverse = norm.inverse_root_mean(op.eps.value.data)
    if mean is not None and centred is norm.target:
        b.vbin("sub", centred, norm.source, mean)
    b.vbin("mul", norm.target, centred, inverse)
    if bias is None:
        b.vbin("mul", norm.target, norm.target, weight)
    else:
        b.vmad("mad", norm.target, norm.target, weight, bias)


def is_copy(low: Lowering, op: slmq.LayerNormOp) -> bool:
    """Whether the rows are there for the norm alone."""
    return op.x in low.copies and len(list(op.x.uses)) == 1


def mean_of(low: Lowering, rows: SSAValue, shape: tuple[int, ...]) -> SSAValue:
    """sum(x) * (1/d) of each row, broadcast over the normalised dimension."""
    mean = low.new("mean", "f32", (*shape[:-1], 1), low.rows)
    low.builder.vred("sum", low.view(mean), rows)
    low.builder.vbin("mul", low.view(mean), low.view(mean), 1 / shape[-1])
    return low.stretched(mean, shape)


def centre_rows(low: Lowering, op: slmq.LayerNormOp, sums: Tensor, mean: Tensor | None) -> None:
    """The first half of a layer norm of whole rows, in place: c = x - m, and sum(c*c), which is the product of c with itself. The mean
    may be known."""
    b, x = low.builder, low.values[op.x]
    rows, shape = low.view(x, (x.columns,)), (x.columns,)
    b.vbin("sub", rows, rows, mean_of(low, rows, shape) if mean is None else low.stretched(mean, shape))
    each = b.view(x.place, "f32", [x.columns, 1, low.rows], [4, x.row_bytes, x.row_bytes])
    b.mm(b.view(sums.place, "f32", [1, 1, low.rows], [4, 4, 4]), each, each)


def is_head_norm(op: Operation) -> bool:
    """Whether an op normalises each head by itself, all with the same weights."""
    return isinstance(op, slmq.RmsNormOp) and op.axes.value.data == 1 and not op.owners and len(row_shape(op.x)) > 1


def lower_head_norm(
    low: Lowering,
    op: slmq.RmsNormOp,
    weight: Place,
    heads: Index,
    views: tuple[SSAValue, SSAValue, SSAValue],
    most: int,
) -> None:
    """lower_rms_norm of `heads` heads, at most `most`, of each row. `views`: of the columns of x, which are overwritten, of its squares,
    and of the result."""
    b, size = low.builder, row_shape(op.x)[-1]
    x, squares, target = (by_heads(b, view, size, heads) for view in views)

    def numbers(label: str, number: float | None = None) -> tuple[SSAValue, SSAValue]:
        """A number for each head, and its view stretched to the head."""
        place = Place("sram", b.alloc(label, low.most_rows * most * 4))
        one, all_of_head = (
            b.view(place, "f32", [inner, heads, low.rows], [stride, 4, most * 4])
            for inner, stride in ((1, 4), (size, 0))
        )
        if number is not None:
            b.vun("mov", one, number)
        return one, all_of_head

    b.vbin("mul", squares, x, x)
    eps, _ = numbers("eps", op.eps.value.data)
    inverse, stretched = numbers("inverse", 1.0)
    root, _ = numbers("norm")
    sum_and_root(b, root, squares, size, eps)
    b.vbin("div", inverse, inverse, root)
    b.vbin("mul", x, x, stretched)
    b.vbin("mul", target, x, b.view(weight, "f32", [size, heads, low.rows], [4, 0, 0]))


def by_heads(b: TileBuilder, view: SSAValue, size: int, heads: Index) -> SSAValue:
    """Columns of f32 rows, [columns, rows], as heads of them."""
    op = view.owner
    assert isinstance(op, tile.ViewOp)
    strides, rows = op.full_strides(), op.full_extents()[1]
    return b.view(place_of(b, view), "f32", [size, heads, rows], [4, size * 4, strides[1]])

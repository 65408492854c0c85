"""Quantised weights and products with them against tests/unit/numerics_reference.py: the interpreter, the packer's rounding, matmul."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from xdsl.context import Context
from xdsl.dialects.builtin import Builtin
from xdsl.dialects.func import Func
from xdsl.parser import Parser

from compiler.dialects.slm import Slm
from compiler.dialects.slmq import Slmq
from compiler.errors import CompileError
from compiler.formats import Quantized, WeightFormat
from compiler.interpreters import slmq_formats
from compiler.interpreters.slmq import SlmqInterpreter
from compiler.program import Rows
from compiler.quantization import rounding
from tests.unit import numerics_reference as reference

SETTINGS = settings(deadline=None, derandomize=True, database=None, max_examples=60)
FORMATS = [
    "i8", "i8-s24", "i8-g32", "i8-g64", "i8-g128", "i8-g32-s24", "i8-g64-s24",
    "i4-g32", "i4-g64", "i4-g128", "i4-g32-zp", "i4-g64-zp", "i4-g128-zp", "i4-g32-s24", "i4-g64-s24", "i4-g128-s24",
    "e2m1-g32", "e4m3-g32",
]  # fmt: skip
F16_LARGEST = 65504.0


def form_of(form: WeightFormat) -> reference.Form:
    return reference.Form(form.element, form.group, form.offsets, form.sparse)


def special_rows(random: np.random.Generator, columns: int, width: int) -> NDArray[np.float32]:
    """Rows that rounding is known to fail at."""
    rows = np.zeros((12, columns), np.float32)
    rows[1] = -0.0
    rows[2] = 0.37  # equal values: ties in sparsity, no span for offsets
    rows[3] = random.integers(-15, 16, columns) / 2  # ties of q, where the scale is 1
    rows[3, ::width] = 7
    rows[4] = random.normal(size=columns) * 2e-7  # scales below the least normal f16
    rows[5] = random.normal(size=columns) * 1e-9  # scales that are 0 in f16
    rows[6] = random.normal(size=columns) * 2.0 ** random.integers(-30, 12, columns)
    rows[7] = 5 + random.random(columns)  # far from zero: the offset is rounded up
    rows[9] = random.normal(size=columns) * 1e-42  # subnormal in f32
    rows[10] = random.integers(-64, 65, columns) / np.float32(
        16
    )  # ties of microscaled elements, whose scale is 1 where 4 <= a < 8
    rows[11] = random.integers(-960, 961, columns) / np.float32(2)  # the same for 256 <= a < 512
    rows[8, :: max(1, columns // 5)] = random.normal(size=len(rows[8, :: max(1, columns // 5)]))
    return rows


@st.composite
def matrices(draw: st.DrawFn) -> tuple[NDArray[np.float32], WeightFormat, np.random.Generator]:
    """A matrix [N, K] that the format takes."""
    form = WeightFormat.of(draw(st.sampled_from(FORMATS)))
    unit = form.group or (8 if form.sparse else 1)
    columns = unit * draw(st.integers(1, 3 if unit > 8 else 11))
    if unit == 1:
        columns += draw(st.integers(0, 90))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows = special_rows(random, columns, form.group or columns)
    more = random.normal(size=(draw(st.integers(1, 6)), columns)) * 10.0 ** draw(st.integers(-6, 3))
    return np.concatenate([rows, more.astype(np.float32)]), form, random


def bits(values: Any) -> NDArray[np.uint32]:
    return np.ascontiguousarray(values, np.float32).view(np.uint32)


def assert_stored(expected: reference.Stored, q: Any, scales: Any, offsets: Any) -> None:
    """Equal numbers; the sign of an offset of zero is open."""
    is_read = expected.form.element in reference.MICROSCALED and q.dtype != np.uint8  # numbers, not codes
    numbers = [reference.numbers_of(expected, n) for n in range(len(expected.q))] if is_read else expected.q
    np.testing.assert_array_equal(q, numbers)
    if scales.dtype == np.uint8:
        scales = [[2.0 ** (int(code) - 127) for code in row] for row in scales]
    np.testing.assert_array_equal(np.asarray(scales, np.float32).reshape(len(q), -1), expected.scales)
    if expected.form.offsets:
        np.testing.assert_array_equal(np.asarray(offsets, np.float32), expected.offsets)
    else:
        assert offsets is None or not offsets.size


@SETTINGS
@given(matrices())
def test_weights_from_values(case: tuple[NDArray[np.float32], WeightFormat, np.random.Generator]) -> None:
    """The packer and the interpreter round each for itself, both as the page says."""
    matrix, form, _ = case
    expected = reference.quantize_weight(matrix, form_of(form))
    with np.errstate(all="ignore"):
        packed = rounding.quantize(matrix, form, "w")
        read = slmq_formats.quantize_weight(matrix, form)
    stored_as = {"f32": np.float32, "f16": np.float16, "e8m0": np.uint8}[form.scale_element]
    assert packed.q.dtype == (np.uint8 if form.is_microscaled else np.int8) and packed.scales.dtype == stored_as
    assert_stored(expected, packed.q, packed.scales, packed.offsets)
    assert_stored(expected, read.q, read.scales, read.offsets)
    if form.sparse:
        assert read.kept.tolist() == [reference.terms_of(row, True) for row in expected.q]


@SETTINGS
@given(matrices())
def test_values_of_a_quantised_matrix(case: tuple[NDArray[np.float32], WeightFormat, np.random.Generator]) -> None:
    matrix, form, _ = case
    stored = reference.quantize_weight(matrix, form_of(form))
    expected = np.zeros(matrix.shape, np.float32)
    for n in range(len(matrix)):
        for k, q in enumerate(reference.numbers_of(stored, n)):
            j = k // form.group if form.group else 0
            scale = stored.scales[n][j]
            value = np.float32(q) * scale
            expected[n, k] = np.float32(q + 8) * scale + stored.offsets[n][j] if form.offsets else value
    found = rounding.quantize(matrix, form, "w").values()
    np.testing.assert_array_equal(bits(found), bits(expected))


def inputs_of(random: np.random.Generator, columns: int) -> NDArray[np.float32]:
    x = (random.normal(size=(4, columns)) * 2.0 ** random.integers(-8, 8, (4, columns))).astype(np.float32)
    x[1] = 0
    x[2] = random.integers(-3, 4, columns)
    return x


@settings(SETTINGS, max_examples=40)
@given(matrices(), st.sampled_from(["i8", "bf16", "f16"]))
def test_products(case: tuple[NDArray[np.float32], WeightFormat, np.random.Generator], kind: str) -> None:
    matrix, form, random = case
    kind = kind if kind in form.inputs else "bf16"
    x = inputs_of(random, matrix.shape[1])
    stored = reference.quantize_weight(matrix, form_of(form))
    expected = reference.product_matrix(x, kind, stored)
    with np.errstate(all="ignore"):
        rows = [reference.quantize_input(row) for row in x] if kind == "i8" else []
        given_x: NDArray[Any] = (
            np.array([row[0] for row in rows], np.int8)
            if kind == "i8"
            else np.array(
                [[reference.bf16(v) if kind == "bf16" else reference.f16(v) for v in row] for row in x], np.float32
            )
        )
        sums = None
        if form.offsets:
            plain = given_x.tolist() if kind == "i8" else list(given_x)
            sums = np.array([reference.group_sums(row, form.group) for row in plain], np.float32)
        weight = slmq_formats.QuantizedWeight.of(quantized(stored, form))
        found = slmq_formats.matmul_quantized(given_x, weight, form.group, sums)
        if kind == "i8":
            found = found * np.array([[row[1]] for row in rows], np.float32)
    np.testing.assert_array_equal(bits(found), bits(expected))


def quantized(stored: reference.Stored, form: WeightFormat) -> Quantized:
    scales = np.array(stored.scales, np.float32)
    if form.is_microscaled:
        codes = [[int(math.log2(s)) + 127 for s in row] for row in stored.scales]
        return Quantized(form, np.array(stored.q, np.uint8), np.array(codes, np.uint8))
    return Quantized(
        form, np.array(stored.q, np.int8), scales[:, 0] if form.per_row else scales.astype(np.float16),
        np.array(stored.offsets, np.float16) if form.offsets else None,
    )  # fmt: skip


class Weights:
    """A weight store of given arrays, and of one matrix that is stored in its format."""

    def __init__(self, arrays: dict[str, NDArray[np.float32]], stored: Quantized | None = None):
        self.arrays, self.stored = arrays, stored

    def names(self) -> list[str]:
        return list(self.arrays)

    def shape(self, name: str) -> tuple[int, ...]:
        return self.arrays[name].shape

    def storage_dtype(self, name: str) -> str:
        return "f32"

    def alias_of(self, name: str) -> str | None:
        return None

    def integer_format(self, name: str) -> WeightFormat | None:
        return self.stored.format if name == "w" and self.stored is not None else None

    def quantized(self, name: str) -> Quantized | None:
        return self.stored if name == "w" else None

    def load(self, name: str) -> NDArray[np.float32]:
        return self.arrays[name]

    def rows_of(self, name: str) -> Rows:
        return self.arrays[name].__getitem__


def run_matmul(
    x: NDArray[np.float32], kind: str, form: WeightFormat, weights: Weights, rows: int
) -> NDArray[np.float32]:
    """slmq.matmul with what belongs to its input, with a bias, in the slmq interpreter; the rows of x are an embedding table."""
    tokens, columns = x.shape
    weights.arrays["e"] = x
    given_type = f"tensor<?x{columns}x{kind}>"
    lines = [
        f'%e = slmq.embed %t, #slm.weight<"e", tensor<{tokens}x{columns}xf32>> as "f32" : tensor<?xi32> -> tensor<?x{columns}xf32>'
    ]
    operands, types = "%q", given_type
    if kind == "i8":
        lines.append(f"%q, %s = slmq.quantize %e axes 1 : tensor<?x{columns}xf32> -> {given_type}, tensor<?x1xf32>")
        operands, types = "%q scale %s", f"{given_type} scale tensor<?x1xf32>"
    else:
        lines.append(f"%q = slmq.round %e : tensor<?x{columns}xf32> -> {given_type}")
    if form.offsets:
        sums = f"tensor<?x{columns // form.group}xf32>"
        lines.append(f"%z = slmq.group_sums %q by {form.group} : {given_type} -> {sums}")
        operands, types = f"{operands} sums %z", f"{types} sums {sums}"
    weight = f'#slm.weight<"w", tensor<{rows}x{columns}xf32>> as "{form}" bias #slm.weight<"b", tensor<{rows}xf32>>'
    lines.append(f"%r = slmq.matmul {operands}, {weight} : {types} -> tensor<?x{rows}xf32>")
    body = "\n".join(lines)
    text = f"func.func @forward(%t: tensor<?xi32>) -> tensor<?x{rows}xf32> {{ {body} func.return %r : tensor<?x{rows}xf32> }}"
    context = Context()
    for dialect in (Builtin, Func, Slm, Slmq):
        context.load_dialect(dialect)
    module = Parser(context, text).parse_module()
    module.verify()
    return SlmqInterpreter(module, weights, 512).run(list(range(tokens)))  # type: ignore[arg-type]


@pytest.mark.parametrize(("text", "kind"), [(text, kind) for text in FORMATS for kind in WeightFormat.of(text).inputs])
def test_matmul_of_the_interpreter(text: str, kind: str) -> None:
    form = WeightFormat.of(text)
    random = np.random.default_rng(sum(text.encode()))
    columns = 2 * form.group or 88
    matrix = np.concatenate(
        [special_rows(random, columns, form.group or columns), random.normal(size=(6, columns))]
    ).astype(np.float32)
    x, bias = inputs_of(random, columns), random.normal(size=len(matrix)).astype(np.float32)
    expected = reference.product_matrix(x, kind, reference.quantize_weight(matrix, form_of(form)), bias)
    found = run_matmul(x, kind, form, Weights({"w": matrix, "b": bias}), len(matrix))
    np.testing.assert_array_equal(bits(found), bits(expected))


@pytest.mark.parametrize("kind", ["i8", "bf16"])
@pytest.mark.parametrize("text", ["i8-g32", "i4-g32", "i4-g32-zp"])
def test_matmul_of_stored_blocks(text: str, kind: str) -> None:
    """Every q of the element occurs, also the least one, and scales of either sign: what a GGUF file may hold."""
    form = WeightFormat.of(text)
    random = np.random.default_rng(7)
    bound = 128 if form.element == "i8" else 8
    q = random.integers(-bound, bound, (5, 96)).astype(np.int8)
    q[0] = -bound
    scales, offsets = (random.normal(size=(5, 3)).astype(np.float16) for _ in range(2))
    scales[1, 1] = 0
    stored = Quantized(form, q, scales, offsets if form.offsets else None)
    number = reference.Stored(
        form_of(form), q.tolist(), list(scales.astype(np.float32)), list(offsets.astype(np.float32))
    )
    x, bias = inputs_of(random, 96), random.normal(size=5).astype(np.float32)
    found = run_matmul(x, kind, form, Weights({"w": np.zeros((5, 96), np.float32), "b": bias}, stored), 5)
    np.testing.assert_array_equal(bits(found), bits(reference.product_matrix(x, kind, number, bias)))


@pytest.mark.parametrize("element", ["e2m1", "e4m3"])
def test_matmul_of_stored_codes(element: str) -> None:
    """Every code that is a number and every scale below 255; sums may overflow."""
    form = WeightFormat(element, 32)
    random = np.random.default_rng(8)
    numbers = [code for code in range(16 if element == "e2m1" else 256) if reference.element(code, element) is not None]
    q = np.resize(np.array(numbers, np.uint8), (255, 32))
    scales = np.arange(255, dtype=np.uint8)[:, None]
    number = reference.Stored(
        reference.Form(element, 32), q.tolist(), [[np.float32(2.0 ** (int(s) - 127))] for s in scales[:, 0]], []
    )
    x, bias = inputs_of(random, 32), np.zeros(255, np.float32)
    weights = Weights({"w": np.zeros((255, 32), np.float32), "b": bias}, Quantized(form, q, scales))
    found = run_matmul(x, "bf16", form, weights, 255)
    np.testing.assert_array_equal(bits(found), bits(reference.product_matrix(x, "bf16", number, bias)))


def test_nan_codes_and_scales() -> None:
    """They are known as such, and reach the products."""
    form = WeightFormat("e4m3", 32)
    q, scales = np.zeros((3, 32), np.uint8), np.full((3, 1), 127, np.uint8)
    assert Quantized(form, q, scales).is_finite()
    q[0, 5] = 0xFF
    scales[1] = 255
    assert not Quantized(form, q[:1], scales[:1]).is_finite() and not Quantized(form, q[1:2], scales[1:2]).is_finite()
    stored = Quantized(form, q, scales)
    weights = Weights({"w": np.zeros((3, 32), np.float32), "b": np.zeros(3, np.float32)}, stored)
    found = run_matmul(np.ones((1, 32), np.float32), "bf16", form, weights, 3)
    assert np.isnan(found).tolist() == [[True, True, False]] and np.isnan(stored.values()).any(axis=1).tolist() == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("text", ["i8-g32", "i4-g32", "i4-g64-zp", "i4-g32-s24"])
def test_scales_too_large_for_f16(text: str) -> None:
    form = WeightFormat.of(text)
    levels = 15 if form.offsets else reference.BITS[form.element]
    matrix = np.zeros((3, 64), np.float32)
    matrix[2, 40] = F16_LARGEST * levels
    rounding.quantize(matrix, form, "w")
    matrix[2, 40] = F16_LARGEST * levels * 1.001
    with pytest.raises(reference.TooLarge):
        reference.quantize_weight(matrix, form_of(form))
    with pytest.raises(CompileError, match=r'^weight "layers.1.q" has numbers too large for the f16 scales of groups$'):
        rounding.quantize(matrix, form, "layers.1.q")


def test_an_offset_too_large_for_f16() -> None:
    matrix = np.full((1, 32), -7e4, np.float32)
    with pytest.raises(CompileError, match=r'^weight "w" has numbers too large for the f16 scales of groups$'):
        rounding.quantize(matrix, WeightFormat.of("i4-g32-zp"), "w")


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("i4-g64", 96, "groups of 64 do not divide its 96 columns; groups of 32 would"),
        ("i4-g128", 192, "groups of 128 do not divide its 192 columns; groups of 32 or 64 would"),
        ("i8-g32", 40, "groups of 32 do not divide its 40 columns; no group does"),
        ("i8-s24", 36, "2:4 sparsity takes columns by eights, and it has 36"),
    ],
)
def test_shapes_that_a_format_does_not_take(text: str, columns: int, message: str) -> None:
    with pytest.raises(CompileError) as caught:
        rounding.quantize(np.ones((2, columns), np.float32), WeightFormat.of(text), "q")
    assert caught.value.message == f'weight "q": {message}'

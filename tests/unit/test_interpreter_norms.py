"""Norms, learned positions and sinusoids of both interpreters, against scalar forms written from the definitions."""

import math

import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import Builtin, DictionaryAttr, IntegerAttr, StringAttr, i64
from xdsl.dialects.func import Func
from xdsl.parser import Parser

from compiler.dialects.slm import Slm
from compiler.dialects.slmq import Slmq
from compiler.emit.tables import table_bytes, table_content
from compiler.interpreters.errors import InterpreterError
from compiler.interpreters.slm import interpret_slm
from compiler.interpreters.slmq import SlmqInterpreter
from compiler.interpreters.slmq_functions import round_bf16
from compiler.program import Program

F = np.float32
TOKENS = [0, 8, 3]
CONTEXT = 300


class Weights:
    """A WeightStore over a dictionary."""

    def __init__(self, arrays):
        self.arrays = {name: np.asarray(array, np.float32) for name, array in arrays.items()}

    def names(self):
        return list(self.arrays)

    def shape(self, name):
        return self.arrays[name].shape

    def storage_dtype(self, name):
        return "f32"

    def alias_of(self, name):
        return None

    def integer_format(self, name):
        return None

    def quantized(self, name):
        return None

    def load(self, name):
        return self.arrays[name]


def parsed(body, result):
    context = Context()
    for dialect in (Builtin, Func, Slm, Slmq):
        context.load_dialect(dialect)
    text = f"func.func @forward(%t: tensor<?xi32>) -> {result} {{ {body} func.return %r : {result} }}"
    module = Parser(context, text).parse_module()
    module.verify()
    return module


def run_slm(body, result, arrays, tokens=TOKENS):
    return interpret_slm(Program(parsed(body, result), Weights(arrays), "test", {}), tokens)


def run_slmq(body, result, arrays, tokens=TOKENS, chunk=256):
    return SlmqInterpreter(parsed(body, result), Weights(arrays), CONTEXT).run(tokens, chunk)


def assert_same_bits(found, expected):
    found, expected = np.asarray(found, np.float32), np.asarray(expected, np.float32)
    np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))


def scalar_sum(terms):
    """Section 2 of docs/numerics.md, by the letter."""
    terms = [*terms, *[F(0)] * (-len(terms) % 32)]
    total = F(0)
    for first in range(0, len(terms), 32):
        level = terms[first : first + 32]
        for half in (16, 8, 4, 2, 1):
            level = [level[i] + level[i + half] for i in range(half)]
        total = total + level[0]
    return total


def exact_layer_norm(row, weight, bias, eps):
    """Section 8, one number at a time."""
    inverse = F(1 / len(row))
    mean = scalar_sum(list(row)) * inverse
    centred = [x - mean for x in row]
    root = np.sqrt(scalar_sum([c * c for c in centred]) * inverse + F(eps))
    scaled = [(c * (F(1) / root)) * w for c, w in zip(centred, weight, strict=True)]
    return scaled if bias is None else [s + b for s, b in zip(scaled, bias, strict=True)]


def real_layer_norm(row, weight, bias, eps):
    """The definition, in float64."""
    mean = math.fsum(row) / len(row)
    variance = math.fsum((x - mean) ** 2 for x in row) / len(row)
    return [(x - mean) / math.sqrt(variance + eps) * w + b for x, w, b in zip(row, weight, bias, strict=True)]


RNG = np.random.default_rng(3)
TABLE = (RNG.normal(size=(9, 3, 40)) * 2.0 ** RNG.integers(-6, 6, size=(9, 3, 40)) + 0.7).astype(np.float32)
EMBED = {
    "slm": '%e = slm.embedding %t, #slm.weight<"e", tensor<9x3x40xf32>> : tensor<?xi32> -> tensor<?x3x40xf32>',
    "slmq": '%e = slmq.embed %t, #slm.weight<"e", tensor<9x3x40xf32>> as "f32" : tensor<?xi32> -> tensor<?x3x40xf32>',
}
FORMS = {  # name: what follows the weights, shape of weight and bias
    "each head alike": ("axes 1", (40,)),
    "each head its own": ("axes 1 per 1", (3, 40)),
    "all heads together": ("axes 2", (120,)),
}


def layer_norm(dialect, form, shape, has_bias, eps):
    size = "x".join(map(str, shape))
    bias = f'bias #slm.weight<"b", tensor<{size}xf32>>' if has_bias else ""
    norm = f'#slm.weight<"w", tensor<{size}xf32>> {bias} eps {eps} {form} : tensor<?x3x40xf32>'
    return f"{EMBED[dialect]} %r = {dialect}.layer_norm %e, {norm}"


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("has_bias", [True, False])
def test_layer_norm(name, has_bias):
    form, shape = FORMS[name]
    w, b = (RNG.normal(size=shape).astype(np.float32) for _ in range(2))
    arrays = {"e": TABLE, "w": w, "b": b}
    found_slm, found_slmq = (
        run(layer_norm(dialect, form, shape, has_bias, 0.01), "tensor<?x3x40xf32>", arrays).reshape(3, *shape_of(name))
        for run, dialect in ((run_slm, "slm"), (run_slmq, "slmq"))
    )
    rows = TABLE[TOKENS].reshape(3, *shape_of(name))
    weight, bias = (np.broadcast_to(v.reshape(-1, rows.shape[2]), rows.shape[1:]) for v in (w, b))
    for t in range(3):
        for head in range(rows.shape[1]):
            row = rows[t, head]
            exact = exact_layer_norm(row, weight[head], bias[head] if has_bias else None, 0.01)
            assert_same_bits(found_slmq[t, head], exact)
            numbers = [list(map(float, v)) for v in (row, weight[head], bias[head] * has_bias)]
            np.testing.assert_allclose(found_slm[t, head], real_layer_norm(*numbers, 0.01), rtol=0, atol=2e-6)


def shape_of(name):
    """Rows and their length within one token."""
    return (1, 120) if name == "all heads together" else (3, 40)


def test_layer_norm_of_equal_numbers_is_the_bias():
    table = np.full((9, 3, 40), 0.1, np.float32)
    b = RNG.normal(size=40).astype(np.float32)
    body = layer_norm("slmq", "axes 1", (40,), True, 0.01)
    found = run_slmq(body, "tensor<?x3x40xf32>", {"e": table, "w": np.ones(40), "b": b})
    np.testing.assert_allclose(found, np.broadcast_to(b, found.shape), atol=1e-4)


def test_rms_norm_per_head():
    w = RNG.normal(size=(3, 40)).astype(np.float32)
    norm = '#slm.weight<"w", tensor<3x40xf32>> eps 0.01 offset 1.0 axes 1 per 1 : tensor<?x3x40xf32>'
    found_slm, found_slmq = (
        run(f"{EMBED[d]} %r = {d}.rms_norm %e, {norm}", "tensor<?x3x40xf32>", {"e": TABLE, "w": w})
        for run, d in ((run_slm, "slm"), (run_slmq, "slmq"))
    )
    for t, token in enumerate(TOKENS):
        for head in range(3):
            row = TABLE[token, head]
            root = np.sqrt((scalar_sum([x * x for x in row]) * F(1 / 40)) + F(0.01))
            expected = [(x * (F(1) / root)) * (v + F(1)) for x, v in zip(row, w[head], strict=True)]
            assert_same_bits(found_slmq[t, head], expected)
            np.testing.assert_allclose(found_slm[t, head], expected, rtol=2e-5)


POSITIONS = RNG.normal(size=(265, 6)).astype(np.float32)


@pytest.mark.parametrize("element", ["f32", "bf16"])
@pytest.mark.parametrize("chunk", [256, 7])
def test_position_rows(element, chunk):
    body = f'%r = slmq.position_rows #slm.weight<"p", tensor<265x6xf32>> as "{element}" offset 2 : tensor<?x6xf32>'
    found = run_slmq(body, "tensor<?x6xf32>", {"p": POSITIONS}, [1] * 260, chunk)
    expected = POSITIONS[2:262]
    assert_same_bits(found, expected if element == "f32" else round_bf16(expected))


LOOKED_UP = """
    %p = slm.positions 2 : tensor<?xi32>
    %r = slm.embedding %p, #slm.weight<"p", tensor<265x6xf32>> : tensor<?xi32> -> tensor<?x6xf32>
"""


def test_positions_are_looked_up_in_a_table():
    found = run_slm(LOOKED_UP, "tensor<?x6xf32>", {"p": POSITIONS}, [1] * 20)
    np.testing.assert_array_equal(found, POSITIONS[2:22])


def test_positions_beyond_the_table_are_named():
    with pytest.raises(InterpreterError, match=r"positions must be 0 \.\. 264, found 2 \.\. 265"):
        run_slm(LOOKED_UP, "tensor<?x6xf32>", {"p": POSITIONS}, [1] * 264)
    body = '%r = slmq.position_rows #slm.weight<"p", tensor<265x6xf32>> as "f32" offset 2 : tensor<?x6xf32>'
    assert len(run_slmq(body, "tensor<?x6xf32>", {"p": POSITIONS}, [1] * 263)) == 263
    with pytest.raises(InterpreterError, match="position 263 is beyond a table of 265 rows"):
        run_slmq(body, "tensor<?x6xf32>", {"p": POSITIONS}, [1] * 264)


def expected_sinusoid(position, columns):
    """The formula of docs/slm-language.md, one number at a time."""
    half = columns // 2
    angles = [position * 10000.0 ** (-j / (half - 1)) for j in range(half)]
    return [math.sin(a) for a in angles] + [math.cos(a) for a in angles]


def described(**numbers):
    return DictionaryAttr({"kind": StringAttr("sinusoid")} | {k: IntegerAttr(v, i64) for k, v in numbers.items()})


@pytest.mark.parametrize("columns", [4, 10])
def test_sinusoid(columns):
    result, tokens = f"tensor<?x{columns}xf32>", [1] * 270
    found = run_slmq(f"%r = slmq.sinusoid offset 2 : {result}", result, {}, tokens, 7)
    body = f"%p = slm.positions 2 : tensor<?xi32> %r = slm.sinusoid %p : tensor<?xi32> -> {result}"
    model = run_slm(body, result, {}, tokens)
    table = described(columns=columns, first=2, positions=270)
    stored = table_content(table).view(np.float32).reshape(270, columns)
    assert table_bytes(table) == 270 * columns * 4
    for position in (0, 1, 255, 256, 269):
        expected = np.array(expected_sinusoid(position + 2, columns))
        for rows in (found, model, stored):
            np.testing.assert_allclose(rows[position], expected, rtol=0, atol=6e-8)
    assert_same_bits(stored, found)


@pytest.mark.parametrize("what", [described(columns=8, first=0), DictionaryAttr({"kind": StringAttr("cube")})])
def test_descriptions_that_are_no_table(what):
    for function in (table_bytes, table_content):
        with pytest.raises(ValueError, match="table"):
            function(what)

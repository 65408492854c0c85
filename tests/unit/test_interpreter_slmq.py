"""The slmq interpreter: each operation through a module, chunks, generation, and the published vectors at fp32."""

from pathlib import Path

import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import Builtin
from xdsl.dialects.func import Func
from xdsl.parser import Parser

from compiler.dialects.slm import Slm
from compiler.dialects.slmq import Slmq
from compiler.interpreters.errors import InterpreterError
from compiler.interpreters.rotary import rotary_tables
from compiler.interpreters.sampling import SamplerSettings, sample_token
from compiler.interpreters.slmq import SlmqInterpreter
from compiler.interpreters.slmq import weights as prepared_weights
from compiler.interpreters.slmq_functions import round_bf16
from compiler.transforms.add_sampling import AddSamplingPass
from compiler.transforms.convert_slm_to_slmq import ConvertSlmToSlmqPass
from compiler.transforms.fuse_strips import FuseStripsPass
from frontends import load_program

PUBLISHED = Path(__file__).parents[1] / "golden" / "published"
F = np.float32
SCHEMES = ("fp32", "bf16", "w8a8", "w8a8-kv8")
PROMPT = [3, 1, 4, 1, 5, 9, 2, 6]


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


def run_ops(body, result, arrays, tokens=(0, 1, 2)):
    """The value %r of type `result` that operations on tokens %t compute."""
    text = f"func.func @forward(%t: tensor<?xi32>) -> {result} {{ {body} func.return %r : {result} }}"
    context = Context()
    for dialect in (Builtin, Func, Slm, Slmq):
        context.load_dialect(dialect)
    module = Parser(context, text).parse_module()
    module.verify()
    return SlmqInterpreter(module, Weights(arrays), 512).run(list(tokens))


def assert_same_bits(found, expected):
    found, expected = np.asarray(found, np.float32), np.asarray(expected, np.float32)
    np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))


def scalar_sum(terms):
    terms = [*terms, *[F(0)] * (-len(terms) % 32)]
    total = F(0)
    for first in range(0, len(terms), 32):
        level = terms[first : first + 32]
        for half in (16, 8, 4, 2, 1):
            level = [level[i] + level[i + half] for i in range(half)]
        total = total + level[0]
    return total


EMBED = '%e = slmq.embed %t, #slm.weight<"e", tensor<9x2x4xf32>> as "FORMAT" : tensor<?xi32> -> tensor<?x2x4xf32> '
TABLE = np.random.default_rng(1).normal(size=(9, 2, 4)).astype(np.float32)


@pytest.mark.parametrize("element", ["f32", "bf16"])
def test_embed(element):
    body = EMBED.replace("%e", "%r").replace("FORMAT", element)
    expected = TABLE[[8, 0, 8]]
    found = run_ops(body, "tensor<?x2x4xf32>", {"e": TABLE}, [8, 0, 8])
    assert_same_bits(found, expected if element == "f32" else round_bf16(expected))


def test_quantize_and_int8_matmul_with_bias_over_two_dimensions():
    body = (
        EMBED.replace("FORMAT", "f32")
        + """
    %q, %s = slmq.quantize %e axes 2 : tensor<?x2x4xf32> -> tensor<?x2x4xi8>, tensor<?x1xf32>
    %r = slmq.matmul %q scale %s, #slm.weight<"w", tensor<6x8xf32>> as "i8" bias #slm.weight<"b", tensor<6xf32>>
        : tensor<?x2x4xi8> scale tensor<?x1xf32> -> tensor<?x3x2xf32>
    """
    )
    rng = np.random.default_rng(2)
    w, b = rng.normal(size=(6, 8)).astype(np.float32), rng.normal(size=6).astype(np.float32)
    found = run_ops(body, "tensor<?x3x2xf32>", {"e": TABLE, "w": w, "b": b})
    for t in range(3):
        x = TABLE[t].reshape(-1)
        sx = max(abs(x)) * F(1 / 127)
        for n in range(6):
            sw = max(abs(w[n])) * F(1 / 127)
            exact = sum(round(float(x[k] * (F(127) / max(abs(x))))) * round(float(w[n, k] / sw)) for k in range(8))
            assert_same_bits(found[t].reshape(-1)[n], ((F(exact) * sw) * sx) + b[n])


@pytest.mark.parametrize("element", ["f32", "bf16"])
def test_float_matmul(element):
    x = "%e" if element == "f32" else "%x"
    body = (
        EMBED.replace("FORMAT", "f32")
        + f"""
    %x = slmq.round %e : tensor<?x2x4xf32> -> tensor<?x2x4xbf16>
    %r = slmq.matmul {x}, #slm.weight<"w", tensor<40x8xf32>> as "{element}"
        : tensor<?x2x4x{element}> -> tensor<?x40xf32>
    """
    )
    w = np.random.default_rng(3).normal(size=(40, 8)).astype(np.float32)
    found = run_ops(body, "tensor<?x40xf32>", {"e": TABLE, "w": w})
    rounded = (lambda v: v) if element == "f32" else round_bf16
    for t in range(3):
        row = rounded(TABLE[t]).reshape(-1)
        assert_same_bits(
            found[t], [scalar_sum([a * b for a, b in zip(row, rounded(w)[n], strict=True)]) for n in range(40)]
        )


def test_elementwise_operations_broadcast_and_strips_run_inline():
    body = (
        EMBED.replace("FORMAT", "f32")
        + """
    %r = slmq.strips 8 {
      %a = slmq.scale %e by 0.1 : tensor<?x2x4xf32>
      %n = slmq.rms_norm %e, #slm.weight<"w", tensor<4xf32>> eps 0.001 offset 1.0 axes 1 : tensor<?x2x4xf32>
      %b = slmq.mul %a, %n : tensor<?x2x4xf32>, tensor<?x2x4xf32> -> tensor<?x2x4xf32>
      %c = slmq.sub %b, %e : tensor<?x2x4xf32>, tensor<?x2x4xf32> -> tensor<?x2x4xf32>
      %d = slmq.div %c, %a : tensor<?x2x4xf32>, tensor<?x2x4xf32> -> tensor<?x2x4xf32>
      %f = slmq.activation "relu" %d : tensor<?x2x4xf32>
      %g = slmq.add %f, %e : tensor<?x2x4xf32>, tensor<?x2x4xf32> -> tensor<?x2x4xf32>
      slmq.yield %g : tensor<?x2x4xf32>
    } : tensor<?x2x4xf32>
    """
    )
    w = np.array([0.5, -1, 2, 0], np.float32)
    found = run_ops(body, "tensor<?x2x4xf32>", {"e": TABLE, "w": w})
    for t in range(3):
        for head in range(2):
            row = TABLE[t, head]
            root = np.sqrt((scalar_sum([v * v for v in row]) * F(0.25)) + F(0.001))
            for j, e in enumerate(row):
                a = e * F(0.1)
                d = ((a * ((e * (F(1) / root)) * (w[j] + F(1)))) - e) / a
                assert_same_bits(found[t, head, j], max(d, F(0)) + e)


def test_rope_continues_at_the_position_of_the_chunk():
    body = EMBED.replace("FORMAT", "f32") + "%r = slmq.rope %e, #slm.rotary<4, 50.0, 0, 0, {}> : tensor<?x2x4xf32>"
    tokens = [token % 9 for token in range(260)]
    found = run_ops(body, "tensor<?x2x4xf32>", {"e": TABLE}, tokens)
    text = Parser(loaded_context(), "#slm.rotary<4, 50.0, 0, 0, {}>").parse_attribute()
    cos, sin = rotary_tables(text, 260, 512)
    for position in (0, 255, 256, 259):
        for j in range(2):
            x1, x2 = TABLE[tokens[position], 1, [j, j + 2]]
            c, s = cos[position, j], sin[position, j]
            assert_same_bits(found[position, 1, [j, j + 2]], [(x1 * c) - (x2 * s), (x2 * c) + (x1 * s)])


def loaded_context():
    context = Context()
    for dialect in (Builtin, Slm):
        context.load_dialect(dialect)
    return context


def converted(name, scheme, sampling=False):
    program = load_program(PUBLISHED / name)
    ConvertSlmToSlmqPass(scheme=scheme).apply(Context(), program.module)
    if sampling:
        AddSamplingPass().apply(Context(), program.module)
        FuseStripsPass().apply(Context(), program.module)
    program.module.verify()
    return SlmqInterpreter(program.module, program.weights, min(512, program.max_positions or 512))


@pytest.mark.parametrize("directory", sorted(p.parent for p in PUBLISHED.glob("*/golden.npz")), ids=lambda p: p.name)
def test_fp32_gives_the_published_logits_and_tokens(directory):
    with np.load(directory / "golden.npz", allow_pickle=False) as golden:
        tokens, logits, greedy = golden["tokens"].tolist(), golden["logits"], golden["greedy"].tolist()
        greedy_logits = golden["greedy_logits"]
    run = converted(directory.name, "fp32")
    np.testing.assert_allclose(run.run(tokens), logits, rtol=0, atol=2e-4)
    run.reset()
    generation = run.generate(tokens, len(greedy))
    assert generation.tokens == greedy
    np.testing.assert_allclose(generation.logits, greedy_logits, rtol=0, atol=2e-4)


def test_quantised_schemes_stay_near_the_published_logits():
    with np.load(PUBLISHED / "biases" / "golden.npz", allow_pickle=False) as golden:
        tokens, logits = golden["tokens"].tolist(), golden["logits"]
    for scheme, least in (("bf16", 0.9999), ("w8a8", 0.997), ("w8a8-kv8", 0.997)):
        found = converted("biases", scheme).run(tokens)
        assert not np.array_equal(found, logits)
        assert np.corrcoef(found.ravel(), logits.ravel())[0, 1] > least


@pytest.mark.parametrize("scheme", SCHEMES)
def test_chunks_do_not_change_bits(scheme):
    with np.load(PUBLISHED / "long_prompt" / "golden.npz", allow_pickle=False) as golden:
        tokens = golden["tokens"].tolist()[:270]
    run = converted("long_prompt", scheme)
    whole = run.run(tokens)
    states = {key: state.keys.copy() for key, state in run.states.items()}
    assert len(states) == 2
    for chunk in (1, 127, 129):
        run.reset()
        assert_same_bits(run.run(tokens, chunk), whole)
        for key, keys in states.items():
            np.testing.assert_array_equal(run.states[key].keys, keys)


@pytest.mark.parametrize("scheme", ["bf16", "w8a8-kv8"])
@pytest.mark.parametrize("length", [1, 2, 127, 128, 129, 250])
def test_prefill_and_decode_equal_a_longer_prefill(scheme, length):
    run = converted("tied", scheme)
    prompt = [(7 * i) % 300 for i in range(length)]
    generation = run.generate(prompt, 10)
    run.reset()
    rows = run.run(prompt + generation.tokens[:-1])
    assert_same_bits(np.array(generation.logits), rows[length - 1 :])


@pytest.mark.parametrize(
    "settings", [SamplerSettings(), SamplerSettings(0.8, seed=5), SamplerSettings(1.2, 20, 0.9, 6)]
)
def test_a_module_that_samples_and_fused_strips_give_the_same(settings):
    plain, sampling = converted("gqa", "w8a8"), converted("gqa", "w8a8", sampling=True)
    expected, found = (run.generate(PROMPT, 12, settings) for run in (plain, sampling))
    assert plain.sampled is None
    assert sampling.sampled == found.tokens[-1]
    assert found.tokens == expected.tokens
    assert_same_bits(np.array(found.logits), np.array(expected.logits))
    again = SamplerSettings(settings.temperature, settings.top_k, settings.top_p, settings.seed)
    for step, (token, row) in enumerate(zip(found.tokens, found.logits, strict=True)):
        assert token == sample_token(row, again, len(PROMPT) - 1 + step)


def test_selected_rows_are_all_or_the_last():
    run = converted("gqa", "bf16", sampling=True)
    whole = run.run(PROMPT)
    assert whole.shape == (len(PROMPT), 181)
    run.reset()
    assert_same_bits(run.run(PROMPT, all_rows=False), whole[-1:])


def test_generation_stops_at_stop_tokens_and_at_the_context():
    run = converted("gqa", "fp32")
    tokens = run.generate(PROMPT, 8).tokens
    run.reset()
    first = tokens.index(tokens[3])
    assert run.generate(PROMPT, 8, stop_tokens=[tokens[3]]).tokens == tokens[: first + 1]
    program = load_program(PUBLISHED / "gqa")
    ConvertSlmToSlmqPass(scheme="fp32").apply(Context(), program.module)
    short = SlmqInterpreter(program.module, program.weights, len(PROMPT) + 2)
    assert short.generate(PROMPT, 8).tokens == tokens[:3]


def test_prepared_weights_stay_within_their_bound(monkeypatch):
    expected = converted("gqa", "w8a8").run(PROMPT)
    monkeypatch.setattr(prepared_weights, "CACHE_BYTES", 20_000)
    run = converted("gqa", "w8a8")
    assert_same_bits(run.run(PROMPT), expected)
    kept = sum(array.nbytes for arrays in run.prepared.kept.values() for array in arrays)
    assert kept == run.prepared.kept_bytes <= 20_000


@pytest.mark.parametrize(
    ("tokens", "message"),
    [([], "found 0 tokens"), ([181], "0 .. 180"), ([-1], "0 .. 180")],
)
def test_wrong_tokens_are_named(tokens, message):
    with pytest.raises(InterpreterError, match=message):
        converted("gqa", "fp32").run(tokens)


def test_a_sequence_may_not_exceed_the_context():
    run = converted("gqa", "fp32")
    run.run([1] * 500)
    with pytest.raises(InterpreterError, match="513 tokens are more than the context of 512"):
        run.run([1] * 13)
    assert len(run.run([1] * 12)) == 12


def test_a_sequence_that_outgrows_its_rotary_tables_starts_again():
    """Every step equals a fresh run of the whole sequence; the published original length is 32."""
    with np.load(PUBLISHED / "phi3_crossing" / "golden.npz", allow_pickle=False) as golden:
        tokens = [*golden["tokens"].tolist(), *golden["greedy"].tolist()]
    run, fresh = converted("phi3_crossing", "w8a8-kv8"), converted("phi3_crossing", "w8a8-kv8")
    assert run.restarts == (32,)
    done = 0
    for end in (5, 31, 32, 33, 34, 42):
        fresh.reset()
        assert_same_bits(run.run(tokens[done:end]), fresh.run(tokens[:end], chunk=7)[done:])
        assert run.position == end
        done = end


def test_dynamic_scaling_beyond_its_positions_is_refused():
    program = load_program(PUBLISHED / "dynamic_rope")
    ConvertSlmToSlmqPass(scheme="fp32").apply(Context(), program.module)
    with pytest.raises(InterpreterError, match="dynamic rope scaling is not defined for a context of 65"):
        SlmqInterpreter(program.module, program.weights, 65)


def test_operations_of_other_levels_are_named():
    program = load_program(PUBLISHED / "gqa")
    with pytest.raises(InterpreterError, match="slm.embedding"):
        SlmqInterpreter(program.module, program.weights, 512).run([1])
    with pytest.raises(InterpreterError, match="context"):
        SlmqInterpreter(program.module, program.weights, 0)

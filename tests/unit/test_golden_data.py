"""The committed golden vectors are whole, worth comparing with, and right.

Right: a plain NumPy forward pass in float64, written from the definition of the architecture, gives the same
logits from the committed config and weights. It shares no code with the package or with `transformers`. It knows
the Llama family with Mistral's windows and Mixtral; the vectors of the others rest on `transformers` and on the package
agreeing with it.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.test_frontend_published_layer_norm import VARIANTS as LAYER_NORM_FAMILIES

PUBLISHED = Path(__file__).parents[1] / "golden" / "published"
LLAMA_VARIANTS = (
    "bf16",
    "biases",
    "dynamic_rope",
    "gqa",
    "head_dim",
    "linear_rope",
    "llama3_rope",
    "long_prompt",
    "longrope_factor",
    "mha",
    "mqa",
    "odd_sizes",
    "sharded",
    "small_eps",
    "tied",
    "transformers5",
    "transformers5_llama3",
    "untied",
    "yarn_mscale",
    "yarn_options",
    "yarn_rope",
)
FAMILIES = {  # name: model_type
    "gemma": "gemma",
    "gemma2": "gemma2",
    "gemma3": "gemma3_text",
    "gemma3_linear": "gemma3_text",
    "granite": "granite",
    "granite_minicpm": "granite",
    "mixtral": "mixtral",
    "mixtral_top1": "mixtral",
    "mixtral_window": "mixtral",
    "mistral_long_window": "mistral",
    "mistral_window": "mistral",
    "olmo2": "olmo2",
    "phi3": "phi3",
    "phi3_beyond": "phi3",
    "phi3_crossing": "phi3",
    "phi3_longrope": "phi3",
    "phi4_mini_crossing": "phi3",
    "qwen2": "qwen2",
    "qwen2_window": "qwen2",
    "qwen3": "qwen3",
    "smollm3": "smollm3",
}
RECURRENT = {"lfm2": "lfm2", "lfm2_biases": "lfm2", "mamba": "mamba", "mamba_biases": "mamba"}
MIXTURES = ("mixtral", "mixtral_top1", "mixtral_window")
VARIANTS = (*LLAMA_VARIANTS, *FAMILIES, *LAYER_NORM_FAMILIES, *RECURRENT)
NEW_TOKENS = 16
MIN_MARGIN = 1e-3
MIN_ROUTING_MARGIN = 1e-3
MAX_TOTAL_BYTES = 20_000_000
MAX_DISTANCE = 1e-4  # from float64; the tests of the package allow 2e-4 from the vectors
ITEM_BYTES = {"F32": 4, "BF16": 2}


def read_config(name: str) -> dict[str, Any]:
    return json.loads((PUBLISHED / name / "config.json").read_text(encoding="utf-8"))


def text_config(name: str) -> dict[str, Any]:
    """The part of a config that is about tokens."""
    config = read_config(name)
    return config.get("text_config", config)


def read_golden(name: str) -> dict[str, np.ndarray]:
    with np.load(PUBLISHED / name / "golden.npz", allow_pickle=False) as arrays:
        return {key: arrays[key] for key in arrays.files}


def read_header(path: Path) -> dict[str, dict[str, Any]]:
    """The tensor table of a safetensors file, after checking that offsets cover the data exactly."""
    data = path.read_bytes()
    header_bytes = int.from_bytes(data[:8], "little")
    tensors = json.loads(data[8 : 8 + header_bytes])
    tensors.pop("__metadata__", None)
    end = 0
    for entry in sorted(tensors.values(), key=lambda entry: entry["data_offsets"]):
        start, stop = entry["data_offsets"]
        assert start == end
        assert stop - start == math.prod(entry["shape"]) * ITEM_BYTES[entry["dtype"]]
        end = stop
    assert end == len(data) - 8 - header_bytes
    return tensors


def read_tensors(name: str) -> dict[str, dict[str, Any]]:
    """The tensor tables of all weight files of a variant; no tensor may occur twice."""
    tensors: dict[str, dict[str, Any]] = {}
    for path in sorted((PUBLISHED / name).glob("*.safetensors")):
        header = read_header(path)
        assert not tensors.keys() & header.keys()
        tensors |= header
    return tensors


def read_weights(name: str) -> dict[str, np.ndarray]:
    """All tensors of a variant in float64."""
    weights: dict[str, np.ndarray] = {}
    for path in sorted((PUBLISHED / name).glob("*.safetensors")):
        data = path.read_bytes()
        body = data[8 + int.from_bytes(data[:8], "little") :]
        for key, entry in read_header(path).items():
            raw = body[slice(*entry["data_offsets"])]
            if entry["dtype"] == "BF16":  # the upper half of a float32
                values = (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
            else:
                values = np.frombuffer(raw, "<f4")
            weights[key] = values.reshape(entry["shape"]).astype(np.float64)
    return weights


def inverse_frequencies(config: dict[str, Any], head_dim: int) -> np.ndarray:
    """RoPE frequencies [head_dim / 2] in radians per position, after scaling."""
    hub = {"rope_theta": config.get("rope_theta")} | (config.get("rope_scaling") or {})
    rope = config.get("rope_parameters", hub)
    kind = rope.get("rope_type", rope.get("type", "default"))
    frequencies = rope["rope_theta"] ** (-np.arange(0, head_dim, 2) / head_dim)
    if kind in ("default", "dynamic"):  # dynamic: within the positions of the config
        return frequencies
    if kind == "linear":
        return frequencies / rope["factor"]
    if kind == "longrope":  # the vectors lie beyond the original length
        return frequencies / rope["long_factor"]
    turns = rope["original_max_position_embeddings"] * frequencies / (2 * np.pi)
    if kind == "yarn":
        return yarn_frequencies(rope, frequencies, turns)
    assert kind == "llama3"
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    kept = np.clip((turns - low) / (high - low), 0, 1)
    return kept * frequencies + (1 - kept) * frequencies / rope["factor"]


def yarn_frequencies(rope: dict[str, Any], frequencies: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """From f to f / factor, linear in the index between those that make beta_fast and beta_slow turns."""
    indices = np.arange(len(frequencies))
    per_index = np.log(turns[0] / turns[1])  # the logarithm of turns falls linearly
    first, last = (
        np.log(turns[0] / rope.get(key, default)) / per_index for key, default in (("beta_fast", 32), ("beta_slow", 1))
    )
    if rope.get("truncate", True):
        first, last = np.floor(first), np.ceil(last)
    first, last = max(first, 0), min(last, 2 * len(indices) - 1)
    divided = np.clip((indices - first) / (last - first), 0, 1)
    return frequencies * (1 - divided) + frequencies / rope["factor"] * divided


def attention_factor(config: dict[str, Any]) -> float:
    """What cos and sin are multiplied with."""
    rope = config.get("rope_parameters", config.get("rope_scaling")) or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    if "attention_factor" in rope or kind not in ("yarn", "longrope"):
        return rope.get("attention_factor", 1.0)
    if kind == "longrope":
        return math.sqrt(1 + math.log(rope["factor"]) / math.log(rope["original_max_position_embeddings"]))
    scales = [rope[key] for key in ("mscale", "mscale_all_dim")] if "mscale" in rope else [1, 0]
    above, below = (1 + scale * math.log(rope["factor"]) / 10 for scale in scales)
    return above / below


def rotate(x: np.ndarray, angles: np.ndarray, factor: float) -> np.ndarray:
    """RoPE of x [positions, heads, head_dim] by angles [positions, head_dim / 2]; halves form the pairs."""
    first, second = np.split(x, 2, axis=-1)
    cos, sin = factor * np.cos(angles)[:, None], factor * np.sin(angles)[:, None]
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


def attend(q: np.ndarray, k: np.ndarray, v: np.ndarray, window: int | None) -> np.ndarray:
    """Causal attention of q [positions, heads, head_dim] on grouped k and v; [positions, heads * head_dim].

    A window of w leaves the w keys that end with the position's own.
    """
    positions, heads, head_dim = q.shape
    group = heads // k.shape[1]
    mixed = np.empty_like(q)
    for head in range(heads):
        scores = q[:, head] @ k[:, head // group].T / math.sqrt(head_dim)
        scores[np.triu_indices(positions, 1)] = -np.inf
        if window is not None:
            scores[np.tril_indices(positions, -window)] = -np.inf
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed[:, head] = weights / weights.sum(axis=-1, keepdims=True) @ v[:, head // group]
    return mixed.reshape(positions, -1)


def choose_experts(logits: np.ndarray, count: int) -> np.ndarray:
    """Weights [positions, experts] that are 0 but for the `count` largest router logits [positions, experts]."""
    order = np.argsort(-logits, axis=-1)
    best = np.take_along_axis(logits, order, axis=-1)
    assert (best[:, count - 1] - best[:, count]).min() > MIN_ROUTING_MARGIN
    chosen = np.exp(np.where(logits >= best[:, count - 1 : count], logits, -np.inf) - best[:, :1])
    return chosen / chosen.sum(axis=-1, keepdims=True)


def llama_logits(config: dict[str, Any], weights: dict[str, np.ndarray], tokens: np.ndarray) -> np.ndarray:
    """Logits [positions, vocab] of tokens [positions] in float64."""

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        mean_square = (x * x).mean(axis=-1, keepdims=True)
        return x / np.sqrt(mean_square + config["rms_norm_eps"]) * weights[f"{name}.weight"]

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ weights[f"{name}.weight"].T + weights.get(f"{name}.bias", 0.0)

    def gated(h: np.ndarray, gate: str, up: str, down: str) -> np.ndarray:
        x = linear(h, gate)
        return linear(x / (1 + np.exp(-x)) * linear(h, up), down)

    def feed_forward(h: np.ndarray, prefix: str) -> np.ndarray:
        if "num_local_experts" not in config:
            return gated(h, *(f"{prefix}.mlp.{n}_proj" for n in ("gate", "up", "down")))
        prefix += ".block_sparse_moe"
        shares = choose_experts(linear(h, f"{prefix}.gate"), config["num_experts_per_tok"])
        experts = (gated(h, *(f"{prefix}.experts.{e}.w{n}" for n in (1, 3, 2))) for e in range(shares.shape[1]))
        return sum(share[:, None] * expert for share, expert in zip(shares.T, experts, strict=True))

    positions = len(tokens)
    head_dim = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    angles, factor = np.outer(np.arange(positions), inverse_frequencies(config, head_dim)), attention_factor(config)
    embedding = weights["model.embed_tokens.weight"]
    x = embedding[tokens]
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}"
        h = norm(x, f"{prefix}.input_layernorm")
        q, k, v = (linear(h, f"{prefix}.self_attn.{n}_proj").reshape(positions, -1, head_dim) for n in "qkv")
        mixed = attend(rotate(q, angles, factor), rotate(k, angles, factor), v, config.get("sliding_window"))
        x = x + linear(mixed, f"{prefix}.self_attn.o_proj")
        h = norm(x, f"{prefix}.post_attention_layernorm")
        x = x + feed_forward(h, prefix)
    return norm(x, "model.norm") @ weights.get("lm_head.weight", embedding).T


def expected_norms(config: dict[str, Any], head_dim: int) -> dict[str, int]:
    """Names and lengths of the norms of a layer, by model_type."""
    hidden, kind = config["hidden_size"], config["model_type"]
    names = ["input_layernorm", "post_attention_layernorm"]
    if kind in ("gemma2", "gemma3_text"):
        names += ["pre_feedforward_layernorm", "post_feedforward_layernorm"]
    if kind == "olmo2":
        names = ["post_attention_layernorm", "post_feedforward_layernorm"]
    norms = dict.fromkeys(names, hidden)
    if kind in ("qwen3", "gemma3_text"):
        norms |= {"self_attn.q_norm": head_dim, "self_attn.k_norm": head_dim}
    if kind == "olmo2":
        heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
        norms |= {"self_attn.q_norm": heads * head_dim, "self_attn.k_norm": kv_heads * head_dim}
    return norms


def expected_linears(config: dict[str, Any], head_dim: int) -> dict[str, tuple[int, int, bool]]:
    """Rows, columns and presence of a bias of the matrices of a layer, by model_type."""
    hidden, ffn, kind = config["hidden_size"], config["intermediate_size"], config["model_type"]
    heads = config["num_attention_heads"]
    q_width, kv_width = heads * head_dim, config.get("num_key_value_heads", heads) * head_dim
    attention_bias, mlp_bias = config.get("attention_bias", False), config.get("mlp_bias", False)
    linears = {"self_attn.o_proj": (hidden, q_width, attention_bias), "mlp.down_proj": (hidden, ffn, mlp_bias)}
    if kind == "mixtral":
        del linears["mlp.down_proj"]
        linears["block_sparse_moe.gate"] = (config["num_local_experts"], hidden, False)
        for expert in range(config["num_local_experts"]):
            for name, shape in (("w1", (ffn, hidden)), ("w2", (hidden, ffn)), ("w3", (ffn, hidden))):
                linears[f"block_sparse_moe.experts.{expert}.{name}"] = (*shape, False)
    if kind == "phi3":
        linears["self_attn.qkv_proj"] = (q_width + 2 * kv_width, hidden, False)
        linears["mlp.gate_up_proj"] = (2 * ffn, hidden, False)
        return linears
    for name, rows in (("q", q_width), ("k", kv_width), ("v", kv_width)):
        linears[f"self_attn.{name}_proj"] = (rows, hidden, attention_bias or kind == "qwen2")
    for name in ("gate", "up") if kind != "mixtral" else ():
        linears[f"mlp.{name}_proj"] = (ffn, hidden, mlp_bias)
    return linears


def shapes_of_mamba(config: dict[str, Any]) -> dict[str, list[int]]:
    """Names and shapes of a Mamba checkpoint, from its config."""
    hidden, vocab, inner = config["hidden_size"], config["vocab_size"], config["intermediate_size"]
    rank, entries = config["time_step_rank"], config["state_size"]
    shapes = {"backbone.embeddings.weight": [vocab, hidden], "backbone.norm_f.weight": [hidden]}
    for layer in range(config["num_hidden_layers"]):
        prefix = f"backbone.layers.{layer}."
        shapes[f"{prefix}norm.weight"] = [hidden]
        linears = {
            "in_proj": (2 * inner, hidden, config["use_bias"]),
            "x_proj": (rank + 2 * entries, inner, False),
            "dt_proj": (inner, rank, True),
            "out_proj": (hidden, inner, config["use_bias"]),
        }
        for name, (rows, columns, biased) in linears.items():
            shapes[f"{prefix}mixer.{name}.weight"] = [rows, columns]
            shapes |= {f"{prefix}mixer.{name}.bias": [rows]} if biased else {}
        shapes[f"{prefix}mixer.conv1d.weight"] = [inner, 1, config["conv_kernel"]]
        shapes |= {f"{prefix}mixer.conv1d.bias": [inner]} if config["use_conv_bias"] else {}
        shapes |= {f"{prefix}mixer.A_log": [inner, entries], f"{prefix}mixer.D": [inner]}
    return shapes


def shapes_of_lfm2(config: dict[str, Any]) -> dict[str, list[int]]:
    """Names and shapes of an LFM2 checkpoint, from its config."""
    hidden, heads, biased = config["hidden_size"], config["num_attention_heads"], config["conv_bias"]
    kv_width = hidden // heads * config["num_key_value_heads"]
    ffn = config.get("block_ff_dim", config.get("intermediate_size"))
    if config["block_auto_adjust_ff_dim"]:
        ffn = -(-(2 * ffn // 3) // config["block_multiple_of"]) * config["block_multiple_of"]
    shapes = {"model.embed_tokens.weight": [config["vocab_size"], hidden], "model.embedding_norm.weight": [hidden]}
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        shapes |= {f"{prefix}{name}.weight": [hidden] for name in ("operator_norm", "ffn_norm")}
        shapes |= {f"{prefix}feed_forward.{name}.weight": [ffn, hidden] for name in ("w1", "w3")}
        shapes[f"{prefix}feed_forward.w2.weight"] = [hidden, ffn]
        if layer in config["full_attn_idxs"]:
            widths = {"q_proj": hidden, "k_proj": kv_width, "v_proj": kv_width, "out_proj": hidden}
            shapes |= {f"{prefix}self_attn.{name}.weight": [rows, hidden] for name, rows in widths.items()}
            shapes |= {f"{prefix}self_attn.{name}_layernorm.weight": [hidden // heads] for name in "qk"}
            continue
        for name, rows in (("in_proj", 3 * hidden), ("out_proj", hidden)):
            shapes[f"{prefix}conv.{name}.weight"] = [rows, hidden]
            shapes |= {f"{prefix}conv.{name}.bias": [rows]} if biased else {}
        shapes[f"{prefix}conv.conv.weight"] = [hidden, 1, config["conv_L_cache"]]
        shapes |= {f"{prefix}conv.conv.bias": [hidden]} if biased else {}
    return shapes


def expected_shapes(config: dict[str, Any]) -> dict[str, list[int]]:
    """Names and shapes of a checkpoint, from its config."""
    own = {"mamba": shapes_of_mamba, "lfm2": shapes_of_lfm2}.get(config["model_type"])
    if own is not None:
        head = (
            {} if config["tie_word_embeddings"] else {"lm_head.weight": [config["vocab_size"], config["hidden_size"]]}
        )
        return own(config) | head
    hidden, vocab = config["hidden_size"], config["vocab_size"]
    head_dim = config.get("head_dim") or hidden // config["num_attention_heads"]
    shapes = {"model.embed_tokens.weight": [vocab, hidden], "model.norm.weight": [hidden]}
    if not config["tie_word_embeddings"]:
        shapes["lm_head.weight"] = [vocab, hidden]
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        for norm, length in expected_norms(config, head_dim).items():
            shapes[f"{prefix}{norm}.weight"] = [length]
        for linear, (rows, columns, has_bias) in expected_linears(config, head_dim).items():
            shapes[f"{prefix}{linear}.weight"] = [rows, columns]
            if has_bias:
                shapes[f"{prefix}{linear}.bias"] = [rows]
    return shapes


def margins(rows: np.ndarray) -> np.ndarray:
    """Distance of the best from the second-best logit in each row."""
    best = np.sort(rows.astype(np.float64), axis=-1)[:, -2:]
    return best[:, 1] - best[:, 0]


def test_directories_are_the_known_variants():
    assert sorted(path.parent.name for path in PUBLISHED.glob("*/config.json")) == sorted(VARIANTS)


def test_total_size_is_small():
    paths = [path for path in PUBLISHED.glob("*/*") if path.suffix != ".pyc"]
    assert sum(path.stat().st_size for path in paths) < MAX_TOTAL_BYTES


@pytest.mark.parametrize("name", VARIANTS)
def test_tensors_match_the_config(name: str):
    """Shapes of the families with layer norm are checked by loading them."""
    config, tensors = read_config(name), read_tensors(name)
    if name not in LAYER_NORM_FAMILIES:
        assert {key: entry["shape"] for key, entry in tensors.items()} == expected_shapes(config)
    declared = config.get("dtype", config.get("torch_dtype"))
    assert {entry["dtype"] for entry in tensors.values()} == {{"float32": "F32", "bfloat16": "BF16"}[declared]}


@pytest.mark.parametrize("name", VARIANTS)
def test_vectors_have_the_documented_types_and_shapes(name: str):
    config, golden = text_config(name), read_golden(name)
    vocab, positions = config["vocab_size"], len(golden["tokens"])
    assert {key: (array.dtype.name, array.shape) for key, array in golden.items()} == {
        "tokens": ("int32", (positions,)),
        "logits": ("float32", (positions, vocab)),
        "greedy": ("int32", (NEW_TOKENS,)),
        "greedy_logits": ("float32", (NEW_TOKENS, vocab)),
    }
    assert (
        24
        <= positions
        <= config.get("max_position_embeddings", config.get("n_positions", positions + NEW_TOKENS)) - NEW_TOKENS
    )
    for tokens in (golden["tokens"], golden["greedy"]):
        assert tokens.min() >= 0
        assert tokens.max() < vocab


@pytest.mark.parametrize("name", VARIANTS)
def test_greedy_decoding_is_unambiguous(name: str):
    config, golden = text_config(name), read_golden(name)
    assert np.isfinite(golden["logits"]).all()
    assert np.isfinite(golden["greedy_logits"]).all()
    assert margins(golden["greedy_logits"]).min() > MIN_MARGIN
    np.testing.assert_array_equal(golden["greedy_logits"].argmax(axis=-1), golden["greedy"])
    np.testing.assert_allclose(golden["greedy_logits"][0], golden["logits"][-1], rtol=0, atol=2e-5)
    assert config["eos_token_id"] not in golden["greedy"]


@pytest.mark.parametrize("name", VARIANTS)
def test_logits_have_a_spread_that_shows_errors(name: str):
    golden = read_golden(name)
    assert 1 < golden["logits"].std() < 5
    assert len(set(golden["greedy"].tolist())) >= 6


def test_families_have_their_model_type():
    for name, model_type in (FAMILIES | LAYER_NORM_FAMILIES | RECURRENT).items():
        assert read_config(name)["model_type"] == model_type
    assert {read_config(name)["model_type"] for name in LLAMA_VARIANTS} == {"llama"}


@pytest.mark.parametrize("name", [*LLAMA_VARIANTS, *MIXTURES, "mistral_long_window", "mistral_window"])
def test_float64_forward_pass_gives_the_logits(name: str):
    golden = read_golden(name)
    tokens = np.concatenate([golden["tokens"], golden["greedy"][:-1]])
    logits = llama_logits(read_config(name), read_weights(name), tokens)
    prompt = len(golden["tokens"])
    np.testing.assert_allclose(logits[:prompt], golden["logits"], rtol=0, atol=MAX_DISTANCE)
    np.testing.assert_allclose(logits[prompt - 1 :], golden["greedy_logits"], rtol=0, atol=MAX_DISTANCE)


def test_sharded_index_names_every_tensor_in_its_file():
    index = json.loads((PUBLISHED / "sharded" / "model.safetensors.index.json").read_text(encoding="utf-8"))
    where = {key: path.name for path in (PUBLISHED / "sharded").glob("*.safetensors") for key in read_header(path)}
    assert index["weight_map"] == where
    assert len(set(where.values())) > 1


def test_variants_differ_in_what_their_names_promise():
    configs = {name: read_config(name) for name in VARIANTS}
    assert configs["gqa"]["num_attention_heads"] > configs["gqa"]["num_key_value_heads"] > 1
    assert configs["mqa"]["num_key_value_heads"] == 1
    assert "num_key_value_heads" not in configs["mha"]
    assert configs["tied"]["tie_word_embeddings"] and not configs["untied"]["tie_word_embeddings"]
    head_dim = configs["head_dim"]
    assert head_dim["head_dim"] * head_dim["num_attention_heads"] != head_dim["hidden_size"]
    assert configs["linear_rope"]["rope_scaling"] == {"type": "linear", "factor": 2.0}
    scaling = configs["llama3_rope"]["rope_scaling"]
    assert scaling["rope_type"] == "llama3"
    assert scaling["original_max_position_embeddings"] < len(read_golden("llama3_rope")["tokens"])
    assert configs["biases"]["attention_bias"] and configs["biases"]["mlp_bias"]
    assert configs["small_eps"]["rms_norm_eps"] == 1e-6
    assert len(read_golden("long_prompt")["tokens"]) > 256
    for name in ("transformers5", "transformers5_llama3"):
        assert {"rope_parameters", "dtype"} <= configs[name].keys()
        assert not {"rope_theta", "rope_scaling", "torch_dtype"} & configs[name].keys()


def test_family_variants_differ_in_what_their_names_promise():
    configs = {name: read_config(name) for name in FAMILIES}
    for name in ("gemma2", "gemma3", "mixtral_window", "phi3", "qwen2_window"):
        assert configs[name]["sliding_window"] < len(read_golden(name)["tokens"]) // 2
    for name in ("gemma", "qwen3"):
        assert configs[name]["head_dim"] * configs[name]["num_attention_heads"] != configs[name]["hidden_size"]
    assert set(configs["smollm3"]["no_rope_layers"]) == {0, 1}
    for name in ("phi3_crossing", "phi4_mini_crossing"):
        prompt, original = len(read_golden(name)["tokens"]), configs[name]["original_max_position_embeddings"]
        assert prompt <= original < prompt + NEW_TOKENS - 1
    assert configs["phi3_beyond"]["original_max_position_embeddings"] < len(read_golden("phi3_beyond")["tokens"])
    assert configs["mistral_window"]["sliding_window"] < 8
    assert 256 < configs["mistral_long_window"]["sliding_window"] < len(read_golden("mistral_long_window")["tokens"])
    assert configs["qwen2_window"]["use_sliding_window"] and not configs["qwen2"]["use_sliding_window"]
    assert configs["mixtral_top1"]["num_experts_per_tok"] == 1
    multipliers = ("attention_multiplier", "embedding_multiplier", "logits_scaling", "residual_multiplier")
    assert 1 not in [configs["granite"][name] for name in multipliers]
    for name in FAMILIES:
        weights = read_weights(name)
        assert all(array.std() > 0.1 for key, array in weights.items() if key.endswith(("norm.weight", ".bias")))


def test_layer_norm_variants_differ_in_what_their_names_promise():
    configs = {name: read_config(name) for name in LAYER_NORM_FAMILIES}
    for name in ("phi_qk_norm", "stablelm_parallel"):
        assert configs[name]["qk_layernorm"]
        assert configs[name]["num_attention_heads"] > configs[name]["num_key_value_heads"]
    assert not configs["gpt_neox_sequential"]["use_parallel_residual"]
    assert not configs["opt_350m"]["do_layer_norm_before"]
    assert configs["opt_350m"]["word_embed_proj_dim"] != configs["opt_350m"]["hidden_size"]
    assert not configs["opt_no_bias"]["enable_bias"]
    assert configs["gpt2"]["n_inner"] is None
    assert configs["gpt2_scaled"]["scale_attn_by_inverse_layer_idx"]
    pad = configs["kosmos2"]["text_config"]["pad_token_id"]
    assert pad not in np.concatenate([read_golden("kosmos2")[key] for key in ("tokens", "greedy")])


def softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(x, 0)


def silu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))


def convolve(x: np.ndarray, weights: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Depthwise over x [positions, channels]: the last tap is the row itself."""
    kernel = weights[f"{name}.weight"][:, 0]
    y = np.zeros_like(x) + weights.get(f"{name}.bias", 0.0)
    for back in range(kernel.shape[1]):
        y[back:] += x[: len(x) - back] * kernel[:, -1 - back]
    return y


def mamba_logits(config: dict[str, Any], weights: dict[str, np.ndarray], tokens: np.ndarray) -> np.ndarray:
    """Logits [positions, vocab] of tokens [positions] in float64."""

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        return (
            x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + config["layer_norm_epsilon"]) * weights[f"{name}.weight"]
        )

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ weights[f"{name}.weight"].T + weights.get(f"{name}.bias", 0.0)

    rank, entries = config["time_step_rank"], config["state_size"]
    x = weights["backbone.embeddings.weight"][tokens]
    for layer in range(config["num_hidden_layers"]):
        mixer = f"backbone.layers.{layer}.mixer"
        u, gate = np.split(linear(norm(x, f"backbone.layers.{layer}.norm"), f"{mixer}.in_proj"), 2, axis=-1)
        u = silu(convolve(u, weights, f"{mixer}.conv1d"))
        low, b, c = np.split(linear(u, f"{mixer}.x_proj"), [rank, rank + entries], axis=-1)
        dt = softplus(linear(low, f"{mixer}.dt_proj"))
        a, state, y = -np.exp(weights[f"{mixer}.A_log"]), 0.0, np.empty_like(u)
        for t in range(len(tokens)):
            state = np.exp(dt[t][:, None] * a) * state + (dt[t] * u[t])[:, None] * b[t]
            y[t] = (state * c[t]).sum(axis=-1)
        x = x + linear((y + weights[f"{mixer}.D"] * u) * silu(gate), f"{mixer}.out_proj")
    head = weights.get("lm_head.weight", weights["backbone.embeddings.weight"])
    return norm(x, "backbone.norm_f") @ head.T


@pytest.mark.parametrize("name", [name for name, kind in RECURRENT.items() if kind == "mamba"])
def test_float64_scan_gives_the_logits(name: str):
    golden = read_golden(name)
    tokens = np.concatenate([golden["tokens"], golden["greedy"][:-1]])
    logits, prompt = mamba_logits(read_config(name), read_weights(name), tokens), len(golden["tokens"])
    np.testing.assert_allclose(logits[:prompt], golden["logits"], rtol=0, atol=MAX_DISTANCE)
    np.testing.assert_allclose(logits[prompt - 1 :], golden["greedy_logits"], rtol=0, atol=MAX_DISTANCE)


def test_recurrent_variants_differ_in_what_their_names_promise():
    configs = {name: read_config(name) for name in RECURRENT}
    assert configs["lfm2_biases"]["conv_bias"] and not configs["lfm2"]["conv_bias"]
    assert "layer_types" in configs["lfm2_biases"] and "layer_types" not in configs["lfm2"]
    assert len({config["conv_L_cache"] for name, config in configs.items() if "lfm2" in name}) == 2
    assert configs["mamba_biases"]["use_bias"] and not configs["mamba"]["use_bias"]
    assert configs["mamba"]["use_conv_bias"] and not configs["mamba_biases"]["use_conv_bias"]
    assert configs["mamba_biases"]["state_size"] > 32 >= configs["mamba"]["state_size"]  # more than a quantum of sum_fp
    assert {config["tie_word_embeddings"] for config in configs.values()} == {True, False}

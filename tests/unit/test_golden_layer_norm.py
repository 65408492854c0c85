"""The golden vectors of the families with layer norm against float64 NumPy, written from the definitions of the architectures.

Nothing here is shared with the package or with `transformers`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.unit.test_frontend_published_layer_norm import VARIANTS
from tests.unit.test_golden_data import MAX_DISTANCE, read_config, read_golden, read_weights

Config = dict[str, Any]
Array = np.ndarray


class Model:
    """A checkpoint's tensors in float64, and the parts that all families have."""

    def __init__(self, name: str):
        self.config, self.weights = read_config(name), read_weights(name)
        self.eps = self.config.get("layer_norm_eps", self.config.get("layer_norm_epsilon", 1e-5))

    def tensor(self, name: str) -> Array:
        return self.weights[name]

    def norm(self, x: Array, name: str) -> Array:
        """Layer norm over the last dimension."""
        normed = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + self.eps)
        return normed * self.weights[f"{name}.weight"] + self.weights.get(f"{name}.bias", 0.0)

    def linear(self, x: Array, name: str) -> Array:
        return x @ self.weights[f"{name}.weight"].T + self.weights.get(f"{name}.bias", 0.0)

    def stored_in_out(self, x: Array, name: str) -> Array:
        return x @ self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def turned(self, x: Array, share: float) -> Array:
        """Rotary embedding of the first `share` of each head; x [positions, heads, head_dim]."""
        stored = self.config.get("rope_parameters", self.config)
        theta = stored.get("rope_theta", stored.get("rotary_emb_base"))
        dim = int(x.shape[2] * share)
        angles = np.outer(np.arange(len(x)), theta ** (-np.arange(0, dim, 2) / dim))
        first, second = np.split(x[..., :dim], 2, axis=-1)
        rotated = (first + 1j * second) * np.exp(1j * angles)[:, None]
        return np.concatenate([rotated.real, rotated.imag, x[..., dim:]], axis=-1)


def erf(x: Array) -> Array:
    return np.array([math.erf(value) for value in x.ravel()]).reshape(x.shape)


def activation(kind: str, x: Array) -> Array:
    match kind:
        case "relu":
            return np.maximum(x, 0)
        case "silu":
            return x / (1 + np.exp(-x))
        case "gelu":
            return x * (1 + erf(x / math.sqrt(2))) / 2
        case _:  # the tanh forms
            return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def heads(x: Array, count: int) -> Array:
    return x.reshape(len(x), count, -1)


def attend(q: Array, k: Array, v: Array) -> Array:
    """Causal attention; q [positions, heads, head_dim], k and v with as many heads or fewer; heads side by side."""
    k, v = (np.repeat(x, q.shape[1] // x.shape[1], axis=1) for x in (k, v))
    scores = np.einsum("thd,shd->hts", q, k) / math.sqrt(q.shape[2])
    scores[:, ~np.tri(len(q), dtype=bool)] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return np.einsum("hts,shd->thd", weights / weights.sum(-1, keepdims=True), v).reshape(len(q), -1)


def phi(m: Model, tokens: Array) -> Array:
    c = m.config
    count, kv_count = c["num_attention_heads"], c.get("num_key_value_heads") or c["num_attention_heads"]
    share = c.get("rope_parameters", c)["partial_rotary_factor"]
    x = m.tensor("model.embed_tokens.weight")[tokens]
    for layer in range(c["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        h = m.norm(x, at + "input_layernorm")
        q, k, v = (
            heads(m.linear(h, f"{at}self_attn.{n}_proj"), count if n == "q" else kv_count) for n in ("q", "k", "v")
        )
        if c["qk_layernorm"]:
            q, k = m.norm(q, at + "self_attn.q_layernorm"), m.norm(k, at + "self_attn.k_layernorm")
        attended = m.linear(attend(m.turned(q, share), m.turned(k, share), v), at + "self_attn.dense")
        fed = m.linear(activation(c["hidden_act"], m.linear(h, at + "mlp.fc1")), at + "mlp.fc2")
        x = x + attended + fed
    return m.linear(m.norm(x, "model.final_layernorm"), "lm_head")


def stablelm(m: Model, tokens: Array) -> Array:
    c = m.config
    x = m.tensor("model.embed_tokens.weight")[tokens]
    for layer in range(c["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        h = m.norm(x, at + "input_layernorm")
        counts = {"q": c["num_attention_heads"], "k": c["num_key_value_heads"], "v": c["num_key_value_heads"]}
        q, k, v = (heads(m.linear(h, f"{at}self_attn.{n}_proj"), count) for n, count in counts.items())
        if c["qk_layernorm"]:
            q, k = (
                np.stack([m.norm(x[:, i], f"{at}self_attn.{n}_layernorm.norms.{i}") for i in range(counts[n])], axis=1)
                for n, x in (("q", q), ("k", k))
            )
        share = c["partial_rotary_factor"]
        attended = m.linear(attend(m.turned(q, share), m.turned(k, share), v), at + "self_attn.o_proj")
        if not c["use_parallel_residual"]:
            h = m.norm(x + attended, at + "post_attention_layernorm")
        gated = activation("silu", m.linear(h, at + "mlp.gate_proj")) * m.linear(h, at + "mlp.up_proj")
        x = x + attended + m.linear(gated, at + "mlp.down_proj")
    head = "model.embed_tokens" if c["tie_word_embeddings"] else "lm_head"
    return m.linear(m.norm(x, "model.norm"), head)


def gpt_neox(m: Model, tokens: Array) -> Array:
    c = m.config
    x = m.tensor("gpt_neox.embed_in.weight")[tokens]
    for layer in range(c["num_hidden_layers"]):
        at = f"gpt_neox.layers.{layer}."
        fused = m.linear(m.norm(x, at + "input_layernorm"), at + "attention.query_key_value")
        q, k, v = np.split(heads(fused, c["num_attention_heads"]), 3, axis=-1)
        turned = (m.turned(q, c["rotary_pct"]), m.turned(k, c["rotary_pct"]))
        attended = m.linear(attend(*turned, v), at + "attention.dense")
        h = m.norm(x if c["use_parallel_residual"] else x + attended, at + "post_attention_layernorm")
        fed = m.linear(activation(c["hidden_act"], m.linear(h, at + "mlp.dense_h_to_4h")), at + "mlp.dense_4h_to_h")
        x = x + attended + fed
    head = "gpt_neox.embed_in" if c["tie_word_embeddings"] else "embed_out"
    return m.linear(m.norm(x, "gpt_neox.final_layer_norm"), head)


def opt(m: Model, tokens: Array) -> Array:
    c, at = m.config, "model.decoder."
    first = c["do_layer_norm_before"]
    x = m.tensor(at + "embed_tokens.weight")[tokens]
    if f"{at}project_in.weight" in m.weights:
        x = m.linear(x, at + "project_in")
    x = x + m.tensor(at + "embed_positions.weight")[np.arange(len(tokens)) + 2]
    for layer in range(c["num_hidden_layers"]):
        at = f"model.decoder.layers.{layer}."
        h = m.norm(x, at + "self_attn_layer_norm") if first else x
        qkv = (heads(m.linear(h, f"{at}self_attn.{n}_proj"), c["num_attention_heads"]) for n in ("q", "k", "v"))
        x = x + m.linear(attend(*qkv), at + "self_attn.out_proj")
        x = x if first else m.norm(x, at + "self_attn_layer_norm")
        h = m.norm(x, at + "final_layer_norm") if first else x
        x = x + m.linear(activation(c["activation_function"], m.linear(h, at + "fc1")), at + "fc2")
        x = x if first else m.norm(x, at + "final_layer_norm")
    at = "model.decoder."
    if first and not c["_remove_final_layer_norm"]:
        x = m.norm(x, at + "final_layer_norm")
    x = m.linear(x, at + "project_out") if f"{at}project_out.weight" in m.weights else x
    return m.linear(x, at + "embed_tokens")


def gpt2(m: Model, tokens: Array) -> Array:
    c = m.config
    x = m.tensor("transformer.wte.weight")[tokens] + m.tensor("transformer.wpe.weight")[: len(tokens)]
    for layer in range(c["n_layer"]):
        at = f"transformer.h.{layer}."
        fused = m.stored_in_out(m.norm(x, at + "ln_1"), at + "attn.c_attn")
        q, k, v = (heads(part, c["n_head"]) for part in np.split(fused, 3, axis=-1))
        if c.get("scale_attn_by_inverse_layer_idx"):
            q = q / (layer + 1)
        x = x + m.stored_in_out(attend(q, k, v), at + "attn.c_proj")
        h = m.stored_in_out(m.norm(x, at + "ln_2"), at + "mlp.c_fc")
        x = x + m.stored_in_out(activation(c["activation_function"], h), at + "mlp.c_proj")
    return m.linear(m.norm(x, "transformer.ln_f"), "transformer.wte")


def kosmos2(m: Model, tokens: Array) -> Array:
    c = m.config["text_config"]
    m.eps = c["layer_norm_eps"]
    half = c["embed_dim"] // 2
    frequencies = np.exp(-math.log(10000) / (half - 1) * np.arange(half))
    angles = np.outer(np.arange(len(tokens)) + c["pad_token_id"] + 1, frequencies)
    x = m.tensor("text_model.model.embed_tokens.weight")[tokens] * math.sqrt(c["embed_dim"])
    x = x + np.concatenate([np.sin(angles), np.cos(angles)], axis=-1)
    for layer in range(c["layers"]):
        at = f"text_model.model.layers.{layer}."
        h = m.norm(x, at + "self_attn_layer_norm")
        qkv = (heads(m.linear(h, f"{at}self_attn.{n}_proj"), c["attention_heads"]) for n in ("q", "k", "v"))
        x = x + m.linear(m.norm(attend(*qkv), at + "self_attn.inner_attn_ln"), at + "self_attn.out_proj")
        h = activation(c["activation_function"], m.linear(m.norm(x, at + "final_layer_norm"), at + "ffn.fc1"))
        x = x + m.linear(m.norm(h, at + "ffn.ffn_layernorm"), at + "ffn.fc2")
    return m.linear(m.norm(x, "text_model.model.layer_norm"), "text_model.model.embed_tokens")


FORMS = {"phi": phi, "stablelm": stablelm, "gpt_neox": gpt_neox, "opt": opt, "gpt2": gpt2, "kosmos-2": kosmos2}


@pytest.mark.parametrize("name", VARIANTS)
def test_float64_forward_pass_gives_the_logits(name: str) -> None:
    golden = read_golden(name)
    tokens = np.concatenate([golden["tokens"], golden["greedy"][:-1]])
    logits, prompt = FORMS[VARIANTS[name]](Model(name), tokens), len(golden["tokens"])
    np.testing.assert_allclose(logits[:prompt], golden["logits"], rtol=0, atol=MAX_DISTANCE)
    np.testing.assert_allclose(logits[prompt - 1 :], golden["greedy_logits"], rtol=0, atol=MAX_DISTANCE)

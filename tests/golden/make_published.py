"""Writes the golden vectors of the published implementations (Hugging Face `transformers`).

Each variant of `published/variants.py` becomes a directory `tests/golden/published/<name>/` with a tiny random
checkpoint of its family (config.json and safetensors, in the layout of a model hub) and `golden.npz`:

    tokens         int32   [positions]         the prompt
    logits         float32 [positions, vocab]  logits at every prompt position
    greedy         int32   [16]                the tokens of greedy decoding after the prompt
    greedy_logits  float32 [16, vocab]         the row that produced each of these tokens

The logits come from the *written directory*, read back by `from_pretrained`: float32, eager attention, one
thread, the whole sequence in one forward pass (no KV cache). `generate` with its cache must give the same tokens and
the same rows: where longrope factors change on the way, that is what dropping the cache is for.

A seed is taken only if the vectors are worth comparing with (see `accept`): no near tie in greedy decoding, no
stop token, no near tie in the choice of an expert, float32 rounding well under the tolerance of the tests, and every
common mistake in reading the config (wrong eps, activation, RoPE base, ignored scaling, ignored biases) visible well above that tolerance.

Run it in an environment with the extra `published`; it takes less than a minute:

    python tests/golden/make_published.py [--only NAME] [--out DIRECTORY]
"""

import argparse
import copy
import json
import math
import shutil
from pathlib import Path

import numpy as np
import safetensors
import torch
import transformers
from published.variants import VARIANTS, Config, Variant, hub_config
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, PreTrainedModel
from transformers.pytorch_utils import Conv1D

EAGER = {"attn_implementation": "eager", "experts_implementation": "eager"}
NEW_TOKENS = 16
MIN_MARGIN = 1e-2  # ten times what the tests ask for
MIN_ROUTING_MARGIN = 1e-3  # of the last chosen expert's router logit, from the first that is not: far above rounding
MIN_DISTINCT_TOKENS = 6  # greedy decoding that repeats one token tests little
MAX_ROUNDING = 2e-5  # a tenth of the tolerance of the tests, 2e-4
MAX_CACHED_DISTANCE = 1e-4  # of the rows of `generate`, which adds in another order
MAX_SEEDS = 200
# Of a scan: from states that forget at once to states that remember the whole prompt.
SCAN_RANGES = {".A_log": (-2.0, 2.5), ".D": (0.5, 1.5), ".dt_proj.bias": (-6.0, 0.5)}
RMS_EPS_FIELDS = ("rms_norm_eps", "norm_eps")
ACTIVATION_FIELDS = ("hidden_activation", "hidden_act", "activation_function")  # the first one of a config is read
FINAL_NORMS = (
    "model.norm.weight", "model.final_layernorm.weight", "gpt_neox.final_layer_norm.weight",
    "model.decoder.final_layer_norm.weight", "transformer.ln_f.weight", "text_model.model.layer_norm.weight",
    "model.embedding_norm.weight", "backbone.norm_f.weight",
)  # fmt: skip
GAINS = {
    "q_proj": 1.4,
    "k_proj": 1.4,
    "query_key_value": 1.4,
    "c_attn": 1.4,
    "lm_head": 2.0,
    "embed_out": 2.0,
    "gate": 2.0,
}


def common_mistakes(config: Config) -> tuple[Config, ...]:
    """Wrong readings of any config, which every variant must show, of the fields that it has."""
    if "text_config" in config:
        inner = config["text_config"]
        return tuple({"text_config": inner | mistake} for mistake in common_mistakes(inner))
    wrong: list[Config] = [{eps: 1e-6 if config[eps] == 1e-5 else 1e-5} for eps in RMS_EPS_FIELDS if eps in config]
    activation = next((field for field in ACTIVATION_FIELDS if field in config), None)
    if activation is not None:
        wrong.append({activation: "gelu_new" if config[activation] == "gelu" else "gelu_python"})  # tanh or erf
    if "rope_theta" in config:
        wrong.append({"rope_theta": 2 * config["rope_theta"]})
    return tuple(wrong)


def file_dtype(variant: Variant) -> torch.dtype:
    """The type of the weights in the safetensors file."""
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[hub_config(variant)["torch_dtype"]]


def empty_model(config: Config) -> PreTrainedModel:
    """A model in float32 with eager attention and experts; the caller sets its weights."""
    # transformers rewrites the scaling dictionary in place; a copy keeps the variant as it is.
    fields = copy.deepcopy(config)
    kind = fields.pop("model_type")
    model = model_class(config).from_config(AutoConfig.for_model(kind, **fields), **EAGER)
    return model.to(torch.float32).eval()


def model_class(config: Config) -> type[AutoModelForCausalLM] | type[AutoModelForImageTextToText]:
    """A config with a part for text belongs to a model that takes images as well."""
    return AutoModelForImageTextToText if "text_config" in config else AutoModelForCausalLM


def text_config(model: PreTrainedModel) -> transformers.PreTrainedConfig:
    """The config of what reads and writes tokens."""
    return model.config.get_text_config()


def fill(model: PreTrainedModel, variant: Variant, generator: torch.Generator) -> None:
    """Sets random weights: attention scores and logits get a spread of 1 to 5 whatever the sizes are.

    Embeddings are small so that eps matters in the first norm; the norm before the output makes up for
    that when the output matrix is the embedding.
    """
    hidden, embedding_std = text_config(model).hidden_size, variant.embedding_std
    tied = model.config.tie_word_embeddings
    final_norm_scale = 2.0 / (embedding_std * math.sqrt(hidden)) if tied else 1.0
    final_norm_scale *= getattr(model.config, "logits_scaling", 1.0)
    stored_offset = 1.0 if model.config.model_type.startswith("gemma") else 0.0  # these norms multiply by 1 + w
    for name, parameter in model.named_parameters():
        owner = model.get_submodule(name.rpartition(".")[0])
        if isinstance(owner, torch.nn.Embedding):
            parameter.normal_(0.0, embedding_std, generator=generator)
        elif (
            name.endswith(("norm.weight", "norm_f.weight"))
            or isinstance(owner, torch.nn.LayerNorm)
            and name.endswith("weight")
        ):
            scale = final_norm_scale if name in FINAL_NORMS else 1.0
            parameter.uniform_(0.5 * scale, 1.5 * scale, generator=generator).sub_(stored_offset)
        elif name.rpartition("mixer")[2] in SCAN_RANGES:
            parameter.uniform_(*SCAN_RANGES[name.rpartition("mixer")[2]], generator=generator)
        elif name.endswith(".bias"):
            parameter.normal_(0.0, 0.3, generator=generator)
        else:
            gain = GAINS.get(name.split(".")[-2], 1.2) * variant.gain
            inputs = parameter.shape[0] if isinstance(owner, Conv1D) else parameter[0].numel()
            parameter.normal_(0.0, gain / math.sqrt(inputs), generator=generator)


def random_prompt(length: int, vocab_size: int, generator: torch.Generator) -> torch.Tensor:
    """Random token ids [length], int64, that include the first and the last row of the embedding."""
    tokens = torch.randint(0, vocab_size, (length,), generator=generator)
    tokens[0] = 1
    tokens[length // 3] = 0
    tokens[length // 2] = vocab_size - 1
    return tokens


def forward(model: PreTrainedModel, tokens: torch.Tensor) -> torch.Tensor:
    """Logits [positions, vocab] of `tokens` [positions] in one pass without a cache."""
    return language_part(model)(input_ids=tokens[None], use_cache=False).logits[0]


def language_part(model: PreTrainedModel) -> PreTrainedModel:
    """What reads and writes tokens: a model that takes images insists on one, its text part does not."""
    return model.text_model if model.config.model_type == "kosmos-2" else model


def decode_greedily(model: PreTrainedModel, prompt: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The next 16 tokens [16] and the rows of logits that chose them [16, vocab]."""
    tokens, rows = prompt, []
    for _ in range(NEW_TOKENS):
        rows.append(forward(model, tokens)[-1])
        tokens = torch.cat([tokens, rows[-1].argmax()[None]])
    return tokens[len(prompt) :], torch.stack(rows)


def smallest_margin(rows: torch.Tensor) -> float:
    """The smallest distance of the best from the second-best logit over `rows` [n, vocab]."""
    best = rows.topk(2, dim=-1).values
    return float((best[:, 0] - best[:, 1]).min())


def smallest_routing_margin(model: PreTrainedModel, tokens: torch.Tensor) -> float:
    """The same for the choice of experts: over all tokens and layers, infinite without experts."""
    margins = [math.inf]

    def measure(router: torch.nn.Module, _: object, output: tuple[torch.Tensor, ...]) -> None:
        best = output[0].topk(router.top_k + 1, dim=-1).values
        margins.append(float((best[:, -2] - best[:, -1]).min()))

    routers = [module for module in model.modules() if type(module).__name__.endswith("TopKRouter")]
    hooks = [router.register_forward_hook(measure) for router in routers]
    forward(model, tokens)
    for hook in hooks:
        hook.remove()
    return min(margins)


def smallest_mistake(variant: Variant, model: PreTrainedModel, prompt: torch.Tensor, greedy: torch.Tensor) -> float:
    """How far the least visible wrong reading of the config moves the logits of the prompt, or of all tokens."""
    config, weights = hub_config(variant), model.state_dict()
    tried = [(mistake, prompt) for mistake in common_mistakes(config) + variant.mistakes]
    tried += [(mistake, torch.cat([prompt, greedy])) for mistake in variant.late_mistakes]
    moved = []
    for mistake, tokens in tried:
        wrong = empty_model(config | mistake)
        wrong.load_state_dict(weights, strict=False)  # not strict: a mistake may drop the biases
        moved.append(float((forward(wrong, tokens) - forward(model, tokens)).abs().max()))
    if variant.shows_eps and any(isinstance(module, torch.nn.LayerNorm) for module in model.modules()):
        moved.append(float((forward(with_other_eps(model), prompt) - forward(model, prompt)).abs().max()))
    return min(moved)


def with_other_eps(model: PreTrainedModel) -> PreTrainedModel:
    """A copy whose layer norms add another eps: some configs do not name it."""
    other = copy.deepcopy(model)
    for module in other.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.eps = 1e-6 if module.eps == 1e-5 else 1e-5
    return other


def rounding(config: Config, model: PreTrainedModel, tokens: torch.Tensor) -> float:
    """How far float32 is from float64 matrix products (norms and softmax stay in float32 in the library)."""
    exact = empty_model(config)
    exact.load_state_dict(model.state_dict())
    torch.set_default_dtype(torch.float64)  # some masks are made in the default type
    wide = forward(exact.double(), tokens)
    torch.set_default_dtype(torch.float32)
    return float((wide - forward(model, tokens)).abs().max())


def counts_positions(model: PreTrainedModel) -> bool:
    """Whether positions depend on which tokens are padding, although nothing is masked."""
    return model.config.model_type == "kosmos-2"


def accept(variant: Variant, model: PreTrainedModel, prompt: torch.Tensor) -> Config | None:
    """The figures of a usable seed for README.md, or None."""
    greedy, rows = decode_greedily(model, prompt)
    margin = smallest_margin(rows)
    if margin < MIN_MARGIN or len(set(greedy.tolist())) < MIN_DISTINCT_TOKENS:
        return None
    if text_config(model).eos_token_id in greedy:
        return None
    # Some models do not count padding as a position: a pad token within the text would be something else.
    if counts_positions(model) and text_config(model).pad_token_id in torch.cat([prompt, greedy]):
        return None
    if smallest_routing_margin(model, torch.cat([prompt, greedy])) < MIN_ROUTING_MARGIN:
        return None
    error = rounding(hub_config(variant), model, torch.cat([prompt, greedy]))
    mistake = smallest_mistake(variant, model, prompt, greedy)
    if error > MAX_ROUNDING or mistake < variant.min_mistake:
        return None
    return {"margin": margin, "rounding": error, "mistake": mistake, "spread": float(rows.std())}


def search(variant: Variant) -> tuple[PreTrainedModel, torch.Tensor, Config]:
    """The model [weights rounded to the dtype of the file], prompt and figures of the first usable seed."""
    for seed in range(MAX_SEEDS):
        generator = torch.Generator().manual_seed(seed)
        model = empty_model(hub_config(variant))
        fill(model, variant, generator)
        for parameter in model.parameters():
            parameter.copy_(parameter.to(file_dtype(variant)))
        prompt = random_prompt(variant.prompt_length, text_config(model).vocab_size, generator)
        figures = accept(variant, model, prompt)
        if figures is not None:
            return model, prompt, {"seed": seed} | figures
    raise SystemExit(f"{variant.name}: no usable seed below {MAX_SEEDS}")


def write_checkpoint(variant: Variant, model: PreTrainedModel, directory: Path) -> None:
    """config.json in the dialect of the variant, and the weights in its dtype."""
    shutil.rmtree(directory, ignore_errors=True)
    model.to(file_dtype(variant)).save_pretrained(directory, max_shard_size=variant.max_shard_size)
    (directory / "generation_config.json").unlink(missing_ok=True)  # nothing here reads it
    if variant.dialect == "hub":
        text = json.dumps(hub_config(variant), indent=2, sort_keys=True)
        (directory / "config.json").write_text(text + "\n", encoding="utf-8")


def write_golden(directory: Path, prompt: torch.Tensor) -> None:
    """golden.npz from the checkpoint in `directory`, as the published implementation reads it."""
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    reader = model_class(config)
    model = reader.from_pretrained(directory, dtype=torch.float32, local_files_only=True, **EAGER).eval()
    greedy, rows = decode_greedily(model, prompt)
    generated = language_part(model).generate(
        prompt[None],
        attention_mask=torch.ones_like(prompt[None]),
        max_new_tokens=NEW_TOKENS,
        do_sample=False,
        pad_token_id=0,
        output_logits=True,
        return_dict_in_generate=True,
    )
    if generated.sequences[0, len(prompt) :].tolist() != greedy.tolist():
        raise SystemExit(f"{directory.name}: generate() disagrees with greedy decoding without a cache")
    distance = float((torch.cat(generated.logits) - rows).abs().max())
    if distance > MAX_CACHED_DISTANCE:
        raise SystemExit(f"{directory.name}: logits of generate() are {distance:.1e} from those without a cache")
    if smallest_margin(rows) < MIN_MARGIN:
        raise SystemExit(f"{directory.name}: the written checkpoint is not the one searched for")
    np.savez(
        directory / "golden.npz",
        tokens=prompt.numpy().astype(np.int32),
        logits=forward(model, prompt).numpy(),
        greedy=greedy.numpy().astype(np.int32),
        greedy_logits=rows.numpy(),
    )


def readme_row(variant: Variant, figures: Config) -> str:
    """One row of the table in README.md."""
    return (
        f"| `{variant.name}` | {variant.purpose} | {variant.prompt_length} | {figures['seed']} "
        f"| {figures['spread']:.1f} | {figures['margin']:.3f} | {figures['mistake']:.4f} "
        f"| {figures['rounding']:.1e} |"
    )


def readme(rows: list[str]) -> str:
    """The text of README.md with one row per variant."""
    table = "\n".join(rows)
    return f"""# Golden vectors of the published implementations

Tiny random checkpoints of each family and what `transformers` computes from them. This directory is
written by `tests/golden/make_published.py` from the tables beside this file; do not edit anything else by hand.

    pip install -e '.[published]'
    python tests/golden/make_published.py

Made with transformers {transformers.__version__}, torch {torch.__version__}, safetensors {safetensors.__version__},
numpy {np.__version__}: float32, eager attention, one thread, no KV cache. The first usable seed is taken, and a second
run gives the same files. Another CPU or version may differ in the last bits of the logits;
the weights and prompts depend on the seed only.

Each directory holds `config.json`, the weights and `golden.npz`:

| array | dtype and shape | contents |
|---|---|---|
| `tokens` | int32 [positions] | the prompt |
| `logits` | float32 [positions, vocab] | logits at every position of the prompt |
| `greedy` | int32 [{NEW_TOKENS}] | the tokens of greedy decoding after the prompt; never the stop token |
| `greedy_logits` | float32 [{NEW_TOKENS}, vocab] | the rows that produced these tokens; row 0 = last row of `logits` |

The tests compare with a tolerance of 2e-4. The last columns show that this is meaningful:

- spread: standard deviation of `greedy_logits`.
- margin: smallest distance of the best from the second-best logit in greedy decoding (at least {MIN_MARGIN:g}).
  Where experts are chosen, the router logits of the last chosen and the first other one differ by {MIN_ROUTING_MARGIN:g} at least.
- mistake: how far the least visible wrong reading of the config moves a logit of the prompt, or of prompt and greedy tokens
  where it shows no earlier (at least 0.02, or 0.001 where tanh and erf GELU must differ).
  Tried for each variant: eps 1e-5 for 1e-6 or the reverse (where norms come first), erf GELU for any other activation,
  tanh GELU for that, a doubled RoPE base.
  Tried where it applies: ignored or different RoPE scaling, a default RoPE base, ignored attention or FFN biases, no
  eps, a window one key longer or ignored, factors of longrope exchanged, no softcap, ignored multipliers, another score
  scale, RoPE in all layers, one expert more or fewer for each token, more or less of a head rotated, no q and k norms,
  branches in parallel or not, positions that begin elsewhere.
- rounding: distance of float32 from float64 matrix products (at most {MAX_ROUNDING:g}).

The library computes RoPE angles in float32, and the rounding column leaves them so. `tests/unit/test_golden_data.py`
repeats the forward pass of the Llama variants in float64 NumPy with float64 angles: the distance is about 2e-5, and
6e-5 for `long_prompt`, whose angles reach 315.

| variant | what it is for | prompt | seed | spread | margin | mistake | rounding |
|---|---|---|---|---|---|---|---|
{table}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the golden vectors of the published implementation.")
    parser.add_argument("--only", metavar="NAME", help="write this variant alone and leave README.md as it is")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "published", metavar="DIRECTORY")
    arguments = parser.parse_args()
    chosen = [variant for variant in VARIANTS if arguments.only in (None, variant.name)]
    if not chosen:
        parser.error(f"no variant {arguments.only!r}; there are: {', '.join(v.name for v in VARIANTS)}")
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    rows: list[str] = []
    with torch.no_grad():
        for variant in chosen:
            model, prompt, figures = search(variant)
            directory = arguments.out / variant.name
            write_checkpoint(variant, model, directory)
            write_golden(directory, prompt)
            rows.append(readme_row(variant, figures))
            print(rows[-1], flush=True)
    if arguments.only is None:
        (arguments.out / "README.md").write_text(readme(rows), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Trains the storyteller: a byte-level BPE tokenizer and a small Llama model, on stories of the grammar.

Needs torch and transformers (the optional extra `published`). The same seed and thread count give the same files.
Run `python train.py`: seven and a half million tokens, about half an hour on one core.
"""

import argparse
import json
import math
import os
import time
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from batches import IGNORED, VOCABULARY_TOKENS, WINDOW, SingleStories, Windows, copy_weights, things
from safetensors.torch import load_file, save_file
from stories import generate
from story_words import BOYS, GIRLS
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

END = "<|endoftext|>"
HERE = Path(__file__).resolve().parent
TOKENIZER_SEED, HELD_OUT_SEED = 2, 3
FINAL_RATE, WARMUP_STEPS = 1e-4, 100


class Stage(NamedTuple):
    """One run of the optimizer: its stories, its length in steps, and whether it starts from the saved model.

    `single_share` is the part of the steps that may have one story per row; a resumed stage uses every other step
    of it for full windows.
    """

    resumes: bool
    story_seed: int
    steps: int
    peak_rate: float
    single_share: float


STAGES = (Stage(False, 1, 2800, 3e-3, 0.6), Stage(True, 101, 1000, 1.5e-3, 0.8))
CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "head_dim": 64,
    "hidden_act": "silu",
    "hidden_size": 256,
    "initializer_range": 0.02,
    "intermediate_size": 640,
    "max_position_embeddings": WINDOW,
    "mlp_bias": False,
    "model_type": "llama",
    "num_attention_heads": 4,
    "num_hidden_layers": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "use_cache": True,
    "vocab_size": VOCABULARY_TOKENS,
}


def write_json(path: Path, value: object) -> None:
    """Writes a JSON file with stable formatting."""
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def train_tokenizer(directory: Path, stories: int) -> Tokenizer:
    """Trains the byte-level BPE tokenizer on stories of the training split and writes its files."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_TOKENS,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((s.text for s in islice(generate("train", TOKENIZER_SEED), stories)), trainer)
    if tokenizer.get_vocab_size() > VOCABULARY_TOKENS or tokenizer.token_to_id(END) != 0:
        raise SystemExit("the tokenizer does not fit the model configuration")
    tokenizer.save(str(directory / "tokenizer.json"))
    settings = {
        "add_prefix_space": False,
        "bos_token": END,
        "clean_up_tokenization_spaces": False,
        "eos_token": END,
        "model_max_length": WINDOW,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    write_json(directory / "tokenizer_config.json", settings)
    return tokenizer


def write_held_out(directory: Path, tokenizer: Tokenizer, minimum_tokens: int) -> int:
    """Writes held-out stories, each after an end-of-text token, and returns the number of tokens."""
    parts, tokens = [END], 1
    for story in generate("heldout", HELD_OUT_SEED):
        parts.append(story.text + END)
        tokens += len(tokenizer.encode(parts[-1]).ids)
        if tokens >= minimum_tokens:
            break
    (directory / "heldout.txt").write_text("".join(parts), encoding="utf-8")
    return tokens


def make_model() -> LlamaForCausalLM:
    """The untrained model in float32."""
    names = set(CONFIG) - {"architectures", "torch_dtype", "model_type", "rope_scaling", "rope_theta"}
    config = LlamaConfig(
        **{name: CONFIG[name] for name in names},
        rope_parameters={"rope_type": "default", "rope_theta": CONFIG["rope_theta"]},
    )
    return LlamaForCausalLM(config)


def mean_loss(
    model: LlamaForCausalLM, batch: tuple[torch.Tensor, torch.Tensor], weights: torch.Tensor | None
) -> torch.Tensor:
    """Mean next-token loss of a batch, computed with bfloat16 matrix products."""
    inputs, targets = batch
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(input_ids=inputs, use_cache=False).logits
    return torch.nn.functional.cross_entropy(
        logits.float().flatten(0, 1), targets.flatten(), weight=weights, ignore_index=IGNORED
    )


def learning_rate(step: int, stage: Stage) -> float:
    """Linear warm-up, then half a cosine from the peak rate to FINAL_RATE."""
    if step < WARMUP_STEPS:
        return stage.peak_rate * (step + 1) / WARMUP_STEPS
    progress = (step - WARMUP_STEPS) / max(1, stage.steps - WARMUP_STEPS)
    return FINAL_RATE + (stage.peak_rate - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * progress))


def make_optimizer(model: LlamaForCausalLM) -> torch.optim.AdamW:
    """AdamW, with weight decay on matrices only."""
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=FINAL_RATE, betas=(0.9, 0.95))


def save_model(directory: Path, model: LlamaForCausalLM) -> None:
    """Writes the weights in bfloat16 under their hub names; the tied output head is not stored."""
    tensors = {
        name: value.detach().to(torch.bfloat16).contiguous()
        for name, value in model.state_dict().items()
        if name != "lm_head.weight"
    }
    partial = directory / "model.safetensors.partial"
    save_file(tensors, str(partial), metadata={"format": "pt"})
    os.replace(partial, directory / "model.safetensors")
    write_json(directory / "config.json", CONFIG)
    write_json(directory / "generation_config.json", {"bos_token_id": 0, "eos_token_id": 0})


def load_model(directory: Path) -> LlamaForCausalLM:
    """The model of an earlier run in float32."""
    model = make_model()
    missing, unexpected = model.load_state_dict(load_file(str(directory / "model.safetensors")), strict=False)
    if unexpected or missing != ["lm_head.weight"]:
        raise SystemExit(f"unfit model file: missing {missing}, unexpected {unexpected}")
    model.tie_weights()
    return model


def train(directory: Path, tokenizer: Tokenizer, stage: Stage, seed: int) -> None:
    """Trains one stage and writes the model at the end."""
    torch.manual_seed(seed)
    model = load_model(directory) if stage.resumes else make_model()
    print(f"{sum(p.numel() for p in model.parameters())} parameters, {stage.steps} steps", flush=True)
    optimizer, start, running = make_optimizer(model), time.monotonic(), 0.0
    stories = generate("train", stage.story_seed)
    singles, windows = SingleStories(tokenizer, stories, seed), Windows(tokenizer, stories, seed)
    weights = copy_weights(tokenizer, [*GIRLS, *BOYS, *(things() if stage.resumes else ())])
    for step in range(stage.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, stage)
        single = step < stage.steps * stage.single_share and not (stage.resumes and step % 2)
        loss = mean_loss(model, singles.batch() if single else windows.batch(), weights if single else None)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        running += loss.item()
        if (step + 1) % 50 == 0:
            print(f"step {step + 1} loss {running / 50:.4f} {time.monotonic() - start:.0f} s", flush=True)
            running = 0.0
    save_model(directory, model)


def main() -> None:
    """Writes tokenizer, held-out text and model."""
    parser = argparse.ArgumentParser(description="Trains the storyteller.")
    parser.add_argument("--output", type=Path, default=HERE)
    parser.add_argument("--stage", type=int, choices=(1, 2), help="only this stage; 2 starts from the saved model")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tokenizer-stories", type=int, default=8000)
    parser.add_argument("--held-out-tokens", type=int, default=26000)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.output.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(options.output, options.tokenizer_stories)
    held_out = write_held_out(options.output, tokenizer, options.held_out_tokens)
    print(f"{tokenizer.get_vocab_size()} tokens in the vocabulary, {held_out} held-out tokens", flush=True)
    for number, stage in enumerate(STAGES, 1):
        if options.stage in (None, number):
            train(options.output, tokenizer, stage, options.seed)


if __name__ == "__main__":
    main()

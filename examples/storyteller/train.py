"""Trains the storyteller: a byte-level BPE tokenizer and a small Llama model, on stories of the grammar.

Needs torch and transformers (the optional extra `published`). The same seed and thread count give the same files.
Run `python train.py`: five and a half million tokens, about 20 minutes on one core.
"""

import argparse
import json
import math
import os
import random
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from stories import Story, generate
from story_words import BOYS, GIRLS
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

END = "<|endoftext|>"
HERE = Path(__file__).resolve().parent
TRAIN_SEED, TOKENIZER_SEED, HELD_OUT_SEED = 1, 2, 3
VOCABULARY_TOKENS = 2048
WINDOW, WINDOWS_PER_BATCH, STORIES_PER_BATCH = 512, 4, 8
# The share of the steps with one story per row, and the loss weight of names in these steps.
SINGLE_SHARE, NAME_WEIGHT = 0.6, 3.0
IGNORED = -100
PEAK_RATE, FINAL_RATE, WARMUP_STEPS = 3e-3, 1e-4, 100
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


def encode_story(tokenizer: Tokenizer, story: str) -> list[int]:
    """The token ids of a story, with the end-of-text token before and after."""
    return [0, *tokenizer.encode(story).ids, 0]


class SingleStories:
    """Batches with one story per row, for the first part of the training.

    With nothing else in sight, the model soon learns to look back for the name and the wanted thing. In half of the
    rows the end-of-text token before the story is left out, because a user's opening comes without it too.
    """

    def __init__(self, tokenizer: Tokenizer, stories: Iterator[Story], seed: int) -> None:
        self.tokenizer, self.stories, self.rng = tokenizer, stories, random.Random(seed)

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and targets [STORIES_PER_BATCH, T], int64; padded targets are IGNORED."""
        stories = islice(self.stories, STORIES_PER_BATCH)
        rows = [encode_story(self.tokenizer, s.text)[self.rng.randrange(2) :] for s in stories]
        length = max(len(row) for row in rows) - 1
        inputs = torch.zeros(len(rows), length, dtype=torch.int64)
        targets = torch.full_like(inputs, IGNORED)
        for index, row in enumerate(rows):
            inputs[index, : len(row) - 1] = torch.tensor(row[:-1])
            targets[index, : len(row) - 1] = torch.tensor(row[1:])
        return inputs[:, :WINDOW], targets[:, :WINDOW]


class Windows:
    """Batches of full windows cut from the endless stream of stories, for the second part of the training.

    Three windows in four start anywhere; the others start exactly at the first word of a story.
    """

    def __init__(self, tokenizer: Tokenizer, stories: Iterator[Story], seed: int) -> None:
        self.tokenizer, self.stories, self.rng = tokenizer, stories, random.Random(seed)
        self.buffer: list[int] = []

    def window(self) -> list[int]:
        """The next WINDOW + 1 tokens."""
        while len(self.buffer) < 3 * WINDOW:
            self.buffer += encode_story(self.tokenizer, next(self.stories).text)[:-1]
        if self.rng.random() < 0.25:
            self.buffer = self.buffer[self.buffer.index(0) + 1 :]
        window, self.buffer = self.buffer[: WINDOW + 1], self.buffer[WINDOW:]
        return window

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and targets [WINDOWS_PER_BATCH, WINDOW], int64."""
        windows = torch.tensor([self.window() for _ in range(WINDOWS_PER_BATCH)])
        return windows[:, :-1], windows[:, 1:]


def name_weights(tokenizer: Tokenizer) -> torch.Tensor:
    """Loss weight of each token id [VOCABULARY_TOKENS]: names, which must be copied, weigh more."""
    weights = torch.ones(VOCABULARY_TOKENS)
    for name in (*GIRLS, *BOYS):
        for text in (name, " " + name):
            ids = tokenizer.encode(text).ids
            if len(ids) == 1:
                weights[ids[0]] = NAME_WEIGHT
    return weights


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


def learning_rate(step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine from PEAK_RATE to FINAL_RATE."""
    if step < WARMUP_STEPS:
        return PEAK_RATE * (step + 1) / WARMUP_STEPS
    progress = (step - WARMUP_STEPS) / max(1, steps - WARMUP_STEPS)
    return FINAL_RATE + (PEAK_RATE - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * progress))


def make_optimizer(model: LlamaForCausalLM) -> torch.optim.AdamW:
    """AdamW, with weight decay on matrices only."""
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=PEAK_RATE, betas=(0.9, 0.95))


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


def train(directory: Path, tokenizer: Tokenizer, steps: int, seed: int) -> None:
    """Trains for a number of steps and writes the model at the end."""
    torch.manual_seed(seed)
    model = make_model()
    print(f"{sum(p.numel() for p in model.parameters())} parameters, {steps} steps", flush=True)
    optimizer, start, running = make_optimizer(model), time.monotonic(), 0.0
    stories = generate("train", TRAIN_SEED)
    singles, windows = SingleStories(tokenizer, stories, seed), Windows(tokenizer, stories, seed)
    weights = name_weights(tokenizer)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps)
        first_part = step < steps * SINGLE_SHARE
        batch = singles.batch() if first_part else windows.batch()
        loss = mean_loss(model, batch, weights if first_part else None)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        running += loss.item()
        if (step + 1) % 50 == 0:
            seconds = time.monotonic() - start
            print(f"step {step + 1} loss {running / 50:.4f} {seconds:.0f} s", flush=True)
            running = 0.0
    save_model(directory, model)


def main() -> None:
    """Writes tokenizer, held-out text and model."""
    parser = argparse.ArgumentParser(description="Trains the storyteller.")
    parser.add_argument("--output", type=Path, default=HERE)
    parser.add_argument("--steps", type=int, default=2800, help="optimizer steps of about 2000 tokens")
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
    train(options.output, tokenizer, options.steps, options.seed)


if __name__ == "__main__":
    main()

"""Trains the storyteller: a byte-level BPE tokenizer and a small Llama model, on stories of the grammar.

Needs torch and transformers (the optional extra `published`). The same seed and thread count give the same files.
Run `python train.py`: eight million tokens, about 25 minutes on one core.
"""

import argparse
import json
import math
import os
import random
import time
from itertools import islice
from pathlib import Path

import torch
from safetensors.torch import save_file
from stories import generate
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

END = "<|endoftext|>"
HERE = Path(__file__).resolve().parent
TRAIN_SEED, TOKENIZER_SEED, HELD_OUT_SEED = 1, 2, 3
VOCABULARY_TOKENS = 2048
WINDOW, BATCH = 512, 4
PEAK_RATE, FINAL_RATE, WARMUP_STEPS = 2e-3, 1e-4, 100
CONFIG = {
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


class Windows:
    """Batches of token windows cut from the endless stream of training stories.

    Three windows in four start anywhere; the others start exactly at the first word of a story, without the
    end-of-text token before it, because a user's opening comes without that token too.
    """

    def __init__(self, tokenizer: Tokenizer, seed: int) -> None:
        self.stories = generate("train", TRAIN_SEED)
        self.tokenizer = tokenizer
        self.rng = random.Random(seed)
        self.buffer: list[int] = []

    def window(self) -> list[int]:
        """The next WINDOW + 1 tokens."""
        while len(self.buffer) < 3 * WINDOW:
            self.buffer += [0, *self.tokenizer.encode(next(self.stories).text).ids]
        if self.rng.random() < 0.25:
            self.buffer = self.buffer[self.buffer.index(0) + 1 :]
        window, self.buffer = self.buffer[: WINDOW + 1], self.buffer[WINDOW:]
        return window

    def batch(self) -> torch.Tensor:
        """Token ids [BATCH, WINDOW + 1], int64."""
        return torch.tensor([self.window() for _ in range(BATCH)])


def make_model() -> LlamaForCausalLM:
    """The untrained model in float32."""
    names = set(CONFIG) - {"architectures", "torch_dtype", "model_type", "rope_scaling", "rope_theta"}
    config = LlamaConfig(
        **{name: CONFIG[name] for name in names},
        rope_parameters={"rope_type": "default", "rope_theta": CONFIG["rope_theta"]},
    )
    return LlamaForCausalLM(config)


def mean_loss(model: LlamaForCausalLM, batch: torch.Tensor) -> torch.Tensor:
    """Mean next-token loss of a batch [B, T + 1], computed with bfloat16 matrix products."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(input_ids=batch[:, :-1], use_cache=False).logits
    return torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), batch[:, 1:].flatten())


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
    optimizer, windows, start, running = make_optimizer(model), Windows(tokenizer, seed), time.monotonic(), 0.0
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps)
        loss = mean_loss(model, windows.batch())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        running += loss.item()
        if (step + 1) % 50 == 0:
            seconds = time.monotonic() - start
            speed = (step + 1) * BATCH * WINDOW / seconds
            print(f"step {step + 1} loss {running / 50:.4f} {seconds:.0f} s {speed:.0f} tokens/s", flush=True)
            running = 0.0
    save_model(directory, model)


def main() -> None:
    """Writes tokenizer, held-out text and model."""
    parser = argparse.ArgumentParser(description="Trains the storyteller.")
    parser.add_argument("--output", type=Path, default=HERE)
    parser.add_argument("--steps", type=int, default=4000, help="optimizer steps of 2048 tokens")
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

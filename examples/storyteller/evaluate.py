"""Measures the storyteller with transformers: perplexity of held-out and of training stories, and sample stories.

Needs torch and transformers (the optional extra `published`). Run `python evaluate.py` to print the numbers and the
samples and to write `perplexity_reference.json`.
"""

import argparse
import hashlib
import json
import math
from itertools import islice
from pathlib import Path

import torch
from batches import WINDOW
from stories import generate
from train import END, HERE, STAGES
from transformers import AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast

PROTOCOL = (
    "heldout.txt is tokenised as a whole (it begins with <|endoftext|>, and each story ends with it; nothing is "
    "added). The ids are cut into consecutive windows of 512 tokens that do not overlap; the rest is dropped. Each "
    "window is evaluated alone from position 0: tokens 1 to 511 are predicted, token 0 is not. nll_mean is the mean "
    "over all predicted tokens of the natural-log loss, perplexity is its exponential. The bfloat16 weights are "
    "evaluated in float32 by transformers."
)


def mean_nll(model: LlamaForCausalLM, ids: list[int]) -> tuple[float, int, int]:
    """Mean loss per predicted token in nats, the number of predicted tokens, and the number of windows."""
    windows = [ids[start : start + WINDOW] for start in range(0, len(ids) - WINDOW + 1, WINDOW)]
    total, count = 0.0, 0
    for window in windows:
        batch = torch.tensor([window])
        with torch.no_grad():
            logits = model(input_ids=batch).logits
        loss = torch.nn.functional.cross_entropy(logits[0, :-1].double(), batch[0, 1:], reduction="sum")
        total += loss.item()
        count += WINDOW - 1
    return total / count, count, len(windows)


def training_ids(tokenizer: PreTrainedTokenizerFast, minimum_tokens: int) -> list[int]:
    """The first stories that the model was trained on, laid out like heldout.txt."""
    ids = [0]
    for story in islice(generate("train", STAGES[0].story_seed), minimum_tokens):
        ids += tokenizer.encode(story.text + END)
        if len(ids) >= minimum_tokens:
            break
    return ids


def tell(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, opening: str, temperature: float) -> str:
    """One story from an opening; greedy if the temperature is 0."""
    torch.manual_seed(1)
    sampling = {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}
    ids = tokenizer(opening, return_tensors="pt").input_ids
    mask = torch.ones_like(ids)
    with torch.no_grad():
        # The mixin asks for a writable device, which no model of transformers has.
        output = model.generate(  # pyright: ignore[reportAttributeAccessIssue]
            ids, attention_mask=mask, max_length=WINDOW, pad_token_id=0, **sampling
        )
    return str(tokenizer.decode(output[0], skip_special_tokens=True))


def main() -> None:
    """Prints the numbers and samples, and writes the reference file."""
    parser = argparse.ArgumentParser(description="Evaluates the storyteller.")
    parser.add_argument("--directory", type=Path, default=HERE)
    parser.add_argument("--opening", action="append")
    options = parser.parse_args()
    directory: Path = options.directory
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = LlamaForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    held_out = tokenizer.encode((directory / "heldout.txt").read_text(encoding="utf-8"))
    nll, tokens, windows = mean_nll(model, held_out)
    train_nll, train_tokens, _ = mean_nll(model, training_ids(tokenizer, len(held_out)))
    reference = {
        "protocol": PROTOCOL,
        "tokens": tokens,
        "windows": windows,
        "window": WINDOW,
        "nll_mean": nll,
        "perplexity": math.exp(nll),
        "train_tokens": train_tokens,
        "train_nll_mean": train_nll,
        "train_perplexity": math.exp(train_nll),
        "model_sha256": hashlib.sha256((directory / "model.safetensors").read_bytes()).hexdigest(),
        "heldout_sha256": hashlib.sha256((directory / "heldout.txt").read_bytes()).hexdigest(),
    }
    (directory / "perplexity_reference.json").write_text(json.dumps(reference, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(reference, indent=2))
    for opening in options.opening or ["Once upon a time"]:
        for temperature in (0.0, 0.8):
            print(f"\n--- {opening!r}, temperature {temperature}\n\n{tell(model, tokenizer, opening, temperature)}")


if __name__ == "__main__":
    main()

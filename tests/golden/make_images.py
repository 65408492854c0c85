"""Writes the golden vectors of a published model that sees: KOSMOS-2 of Hugging Face `transformers`, tiny and random.

`tests/golden/images/kosmos2/` becomes a checkpoint directory as on a model hub (config.json, safetensors, tokenizer.json,
preprocessor_config.json), with a picture and `golden.npz`:

    pixels         float32 [3, 28, 28]         what the published processor makes of picture.png
    tokens         int32   [positions]         the ids it makes of PROMPT with the picture
    mask           int32   [positions]         1 where a row of the image takes the place of a token
    logits         float32 [positions, vocab]  with the picture
    plain_tokens, plain_logits                 the same of a prompt without a picture
    greedy         int32   [16]                the tokens of greedy decoding after the prompt with the picture
    greedy_logits  float32 [16, vocab]         the row that produced each of these tokens

Logits come from the written directory, read back: float32, eager attention, one thread, no KV cache; `generate` with its
cache must give the same tokens. A seed is taken only if greedy decoding has no near tie and common mistakes in reading
the config or the image are visible (MISTAKES). Run it in an environment with the extra `published` and Pillow:

    python tests/golden/make_images.py [--out DIRECTORY]
"""

import argparse
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers.utils
import transformers.utils.import_utils

# The processor is that of Pillow: a torchvision that does not go with this torch would fail when it is imported.
transformers.utils.is_torchvision_available = transformers.utils.import_utils.is_torchvision_available = lambda: False

from PIL import Image  # noqa: E402
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers  # noqa: E402
from transformers import Kosmos2Config, Kosmos2ForConditionalGeneration, PreTrainedTokenizerFast  # noqa: E402
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil  # noqa: E402
from transformers.models.kosmos2.processing_kosmos2 import Kosmos2Processor  # noqa: E402

Config = dict[str, Any]
PROMPT = "<grounding>An image of a fox"
PLAIN_PROMPT = "the quick brown fox by a fire"
NEW_TOKENS = 16
LATENTS = 5
MIN_MARGIN = 1e-2
MIN_DISTINCT_TOKENS = 5
SPECIAL_TOKENS = 4
MIN_MISTAKE = 2e-3  # ten times the tolerance of the tests
MAX_SEEDS = 200
SENTENCES = (
    "An image of a snowman warming himself by a fire",
    "the quick brown fox jumps over the lazy dog",
    "a picture of two children who play in the garden",
)

PREPROCESSOR: Config = {
    "crop_size": {"height": 28, "width": 28},
    "do_center_crop": True,
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor",
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_processor_type": "CLIPImageProcessor",
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "processor_class": "Kosmos2Processor",
    "resample": 3,
    "rescale_factor": 0.00392156862745098,
    "size": {"shortest_edge": 28},
}


def model_config(vocabulary: int) -> Config:
    """Hub-style fields of a tiny KOSMOS-2."""
    return {
        "architectures": ["Kosmos2ForConditionalGeneration"],
        "latent_query_num": LATENTS,
        "model_type": "kosmos-2",
        "text_config": {
            "activation_function": "gelu",
            "add_cross_attention": False,
            "attention_heads": 4,
            "bos_token_id": 0,
            "embed_dim": 48,
            "eos_token_id": 2,
            "ffn_dim": 72,
            "layer_norm_eps": 1e-5,
            "layers": 2,
            "max_position_embeddings": 512,
            "model_type": "kosmos_2_text_model",
            "pad_token_id": 1,
            "scale_embedding": True,
            "vocab_size": vocabulary,
        },
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
        "vision_config": {
            "hidden_act": "quick_gelu",
            "hidden_size": 40,
            "image_size": 28,
            "intermediate_size": 56,
            "layer_norm_eps": 1e-5,
            "model_type": "kosmos_2_vision_model",
            "num_attention_heads": 4,
            "num_channels": 3,
            "num_hidden_layers": 2,
            "patch_size": 7,
        },
    }


def wrong_vision(**fields: Any) -> Config:
    return {"vision_config": model_config(1)["vision_config"] | fields}


MISTAKES = (
    wrong_vision(hidden_act="gelu"),
    wrong_vision(layer_norm_eps=1e-4),
    wrong_vision(num_attention_heads=2),
)


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A SentencePiece-like unigram tokenizer, as KOSMOS-2 has."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=96, special_tokens=special, unk_token="<unk>")
    tokenizer.train_from_iterator(SENTENCES * 20, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>"
    )


def make_picture() -> Image.Image:
    """Coloured waves and a transparent corner, wider than high."""
    y, x = np.mgrid[0:40, 0:60].astype(np.float64)
    waves = [np.sin(x / 7 + k) * np.cos(y / (5 + k)) * 110 + 128 for k in range(3)]
    alpha = np.where((x > 40) & (y > 25), 90.0, 255.0)
    return Image.fromarray(np.stack([*waves, alpha], axis=-1).astype(np.uint8), "RGBA")


def empty_model(config: Config) -> Kosmos2ForConditionalGeneration:
    made = Kosmos2ForConditionalGeneration._from_config(
        Kosmos2Config(**json.loads(json.dumps(config))), attn_implementation="eager"
    )
    return made.to(torch.float32).eval()


def fill(model: Kosmos2ForConditionalGeneration, generator: torch.Generator) -> None:
    """Random weights with which the image decides what is said, and both norms and biases matter."""
    for name, parameter in model.named_parameters():
        if name.endswith("layer_norm.weight") or "norm" in name and name.endswith(".weight") or "_ln.weight" in name:
            scale = 8.0 if name == "text_model.model.layer_norm.weight" else 1.0
            parameter.uniform_(0.5 * scale, 1.5 * scale, generator=generator)
        elif name.endswith(".bias"):
            parameter.normal_(0.0, 0.3, generator=generator)
        elif name.endswith("embed_tokens.weight"):
            parameter.normal_(0.0, 0.03, generator=generator)
        elif parameter.dim() == 4:
            parameter.normal_(0.0, 0.1 / math.sqrt(parameter[0].numel()), generator=generator)
        elif parameter.dim() == 2 and "embedding" not in name and "latent" not in name:
            parameter.normal_(0.0, 2.2 / math.sqrt(parameter.shape[1]), generator=generator)
        else:
            parameter.normal_(0.0, 0.1, generator=generator)


def logits_of(
    model: Kosmos2ForConditionalGeneration, tokens: torch.Tensor, pixels: torch.Tensor | None, mask: torch.Tensor
) -> torch.Tensor:
    """Logits [positions, vocab] of tokens [positions] in one pass without a cache."""
    if pixels is None:
        return model.text_model(input_ids=tokens[None], use_cache=False).logits[0]
    padded = torch.zeros_like(tokens)
    padded[: len(mask)] = mask
    return model(
        pixel_values=pixels, input_ids=tokens[None], image_embeds_position_mask=padded[None], use_cache=False
    ).logits[0]


def decode_greedily(
    model: Kosmos2ForConditionalGeneration, tokens: torch.Tensor, pixels: torch.Tensor, mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    rows: list[torch.Tensor] = []
    for _ in range(NEW_TOKENS):
        rows.append(logits_of(model, tokens, pixels, mask)[-1])
        tokens = torch.cat([tokens, rows[-1].argmax()[None]])
    return tokens[-NEW_TOKENS:], torch.stack(rows)


def smallest_margin(rows: torch.Tensor) -> float:
    best = rows.topk(2, dim=-1).values
    return float((best[:, 0] - best[:, 1]).min())


def smallest_mistake(
    config: Config,
    model: Kosmos2ForConditionalGeneration,
    tokens: torch.Tensor,
    pixels: torch.Tensor,
    mask: torch.Tensor,
) -> float:
    """How far the least visible wrong reading moves a logit."""
    right = logits_of(model, tokens, pixels, mask)
    moved: list[float] = []
    for mistake in MISTAKES:
        wrong = empty_model(config | mistake)
        wrong.load_state_dict(model.state_dict())
        moved.append(float((logits_of(wrong, tokens, pixels, mask) - right).abs().max()))
    others = (pixels.flip(-1), pixels.transpose(-1, -2), pixels * 1.01)
    moved += [float((logits_of(model, tokens, other, mask) - right).abs().max()) for other in others]
    return min(moved)


def search(config: Config, tokens: torch.Tensor, pixels: torch.Tensor, mask: torch.Tensor) -> tuple[Any, int]:
    for seed in range(MAX_SEEDS):
        model = empty_model(config)
        fill(model, torch.Generator().manual_seed(seed))
        greedy, rows = decode_greedily(model, tokens, pixels, mask)
        if smallest_margin(rows) < MIN_MARGIN or len(set(greedy.tolist())) < MIN_DISTINCT_TOKENS:
            continue
        if greedy.min() < SPECIAL_TOKENS:  # the published code gives a padding token no position
            continue
        if smallest_mistake(config, model, tokens, pixels, mask) >= MIN_MISTAKE:
            return model, seed
    raise SystemExit(f"no usable seed below {MAX_SEEDS}")


def write(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    make_picture().save(directory / "picture.png")
    processor = Kosmos2Processor(CLIPImageProcessorPil(**PREPROCESSOR), make_tokenizer(), num_patch_index_tokens=4)
    encoded = processor(
        text=PROMPT, images=Image.open(directory / "picture.png"), num_image_tokens=LATENTS, return_tensors="pt"
    )
    tokens, pixels = encoded["input_ids"][0], encoded["pixel_values"]
    mask = encoded["image_embeds_position_mask"][0]
    plain = torch.tensor(processor.tokenizer(PLAIN_PROMPT)["input_ids"])
    config = model_config(len(processor.tokenizer))
    model, seed = search(config, tokens, pixels, mask)
    model.save_pretrained(directory)
    (directory / "generation_config.json").unlink(missing_ok=True)
    processor.tokenizer.save_pretrained(directory)
    for name, fields in (("config.json", config), ("preprocessor_config.json", PREPROCESSOR)):
        (directory / name).write_text(json.dumps(fields, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    again = Kosmos2ForConditionalGeneration.from_pretrained(
        directory, dtype=torch.float32, attn_implementation="eager", local_files_only=True
    ).eval()
    greedy, rows = decode_greedily(again, tokens, pixels, mask)
    made = again.generate(
        pixel_values=pixels, input_ids=tokens[None], image_embeds_position_mask=mask[None],
        attention_mask=torch.ones_like(tokens[None]), max_new_tokens=NEW_TOKENS, do_sample=False,
    )  # fmt: skip
    if made[0, len(tokens) :].tolist() != greedy.tolist():
        raise SystemExit("generate() disagrees with greedy decoding without a cache")
    np.savez(
        directory / "golden.npz",
        pixels=pixels[0].numpy(),
        tokens=tokens.numpy().astype(np.int32),
        mask=mask.numpy().astype(np.int32),
        logits=logits_of(again, tokens, pixels, mask).numpy(),
        plain_tokens=plain.numpy().astype(np.int32),
        plain_logits=logits_of(again, plain, None, mask).numpy(),
        greedy=greedy.numpy().astype(np.int32),
        greedy_logits=rows.numpy(),
    )
    mistake = smallest_mistake(config, again, tokens, pixels, mask)
    print(
        f"seed {seed}, {len(tokens)} positions, margin {smallest_margin(rows):.3f}, spread {float(rows.std()):.1f}, "
        f"least visible mistake {mistake:.4f}, tokens {greedy.tolist()}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the golden vectors of a published model that sees.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images" / "kosmos2", metavar="DIRECTORY")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    with torch.no_grad():
        write(arguments.out)


if __name__ == "__main__":
    main()

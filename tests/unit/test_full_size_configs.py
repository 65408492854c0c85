"""The configs of examples/configs: the parameters of the published models, and modules that do not grow with the layers."""

from __future__ import annotations

from pathlib import Path

import pytest
from xdsl.parser import Parser

from compiler.driver import make_context
from compiler.program import Program
from frontends import Virtual, load_program
from slmc.model_inspection import describe_model

CONFIGS = Path(__file__).parents[2] / "examples" / "configs"
# Counted from the published implementation on the meta device, tied tensors once.
PARAMETERS = {
    "dolly-v2-3b": 2_775_086_080, "falcon3-1b": 1_669_408_768, "gemma-2-2b": 2_614_341_888, "gemma-2b": 2_506_172_416,
    "gemma-3-1b": 999_885_952, "gemma-7b": 8_537_680_896, "gpt2": 124_439_808, "granite-3.1-2b": 2_533_531_648,
    "kosmos-2": 1_664_485_376, "lfm2-1.2b": 1_170_340_608, "llama-3-8b": 8_030_261_248, "llama-3.2-1b": 1_235_814_400,
    "mamba-130m": 129_135_360, "minicpm-2b": 2_724_880_896, "mistral-7b-v0.1": 7_241_732_096,
    "mixtral-8x7b": 46_702_792_704, "mobilellm-125m": 124_635_456, "mobilellm-1b": 1_005_461_760,
    "olmo-2-1b": 1_484_916_736, "opt-13b": 12_853_473_280, "orca-2-7b": 6_738_440_192, "phi-1_5": 1_418_270_720,
    "phi-3-mini-4k": 3_821_079_552, "phi-3.5-mini": 3_821_079_552, "phi-4-mini": 3_836_021_760,
    "qwen2.5-0.5b": 494_032_768, "qwen2.5-1.5b": 1_543_714_304, "qwen3-0.6b": 596_049_920, "qwen3-1.7b": 1_720_574_976,
    "smollm2-1.7b": 1_711_376_384, "smollm2-135m": 134_515_008, "smollm3-3b": 3_075_098_624,
    "solar-10.7b": 10_731_524_096, "stablelm-2-1_6b": 1_644_515_328, "tinyllama-1.1b": 1_100_048_384,
}  # fmt: skip


# Bytes that one position adds to a bf16 KV cache, worked out from the published configs: 2 x layers x kv heads x head_dim x 2.
KV_BYTES = {
    "dolly-v2-3b": 327680, "falcon3-1b": 73728, "gemma-2-2b": 106496, "gemma-2b": 18432, "gemma-3-1b": 26624,
    "gemma-7b": 458752, "gpt2": 36864, "granite-3.1-2b": 81920, "kosmos-2": 196608, "lfm2-1.2b": 12288,
    "llama-3-8b": 131072, "llama-3.2-1b": 32768, "mamba-130m": 0, "minicpm-2b": 368640, "mistral-7b-v0.1": 131072,
    "mixtral-8x7b": 131072, "mobilellm-125m": 23040, "mobilellm-1b": 69120, "olmo-2-1b": 131072, "opt-13b": 819200,
    "orca-2-7b": 524288, "phi-1_5": 196608, "phi-3-mini-4k": 393216, "phi-3.5-mini": 393216, "phi-4-mini": 131072,
    "qwen2.5-0.5b": 12288, "qwen2.5-1.5b": 28672, "qwen3-0.6b": 114688, "qwen3-1.7b": 114688, "smollm2-1.7b": 196608,
    "smollm2-135m": 23040, "smollm3-3b": 73728, "solar-10.7b": 196608, "stablelm-2-1_6b": 196608, "tinyllama-1.1b": 22528,
}  # fmt: skip
ACTIVE = {"mixtral-8x7b": 12_879_925_248, "kosmos-2": 1_342_289_920}
"""Of all others every parameter is active. 2 of 8 experts of 3 x 4096 x 14336 in 32 layers: 46.7e9 - 6 x 32 x 176,160,768. No token
runs the encoder of images: 65037 x 2048 + 24 x 50,378,752 + 4096 are left."""


def load(name: str) -> Program:
    return load_program(CONFIGS / f"{name}.json", virtual=Virtual.IF_ABSENT)


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_parameters(name: str) -> None:
    program = load(name)
    shown = describe_model(program, 1024)
    assert shown["parameters"] == PARAMETERS[name]
    assert shown["active_parameters"] == ACTIVE.get(name, PARAMETERS[name])
    assert shown["schemes"]["bf16"]["kv_bytes_per_token"] == KV_BYTES[name]
    assert sum(weight["parameters"] for weight in shown["weights"] if weight["alias_of"] is None) == PARAMETERS[name]
    assert (shown["notes"], shown["not_counted"]) == ([], [])
    assert Parser(make_context(), str(program.module)).parse_module().is_structurally_equivalent(program.module)


def test_every_committed_config_has_a_count_and_a_row() -> None:
    assert {path.stem for path in CONFIGS.glob("*.json")} == set(PARAMETERS)
    rows = (line for line in (CONFIGS / "README.md").read_text().splitlines() if line.startswith("| `"))
    table = {cells[1].strip(" `"): cells[3].strip() for cells in (row.split("|") for row in rows)}
    assert table == {f"{name}.json": f"{count:,}" for name, count in PARAMETERS.items()}


def test_layers_are_rolled() -> None:
    """The size of the module does not depend on the number of layers."""
    sizes: dict[str, set[int]] = {}
    for name in PARAMETERS:
        program = load(name)
        sizes.setdefault(program.architecture, set()).add(len(list(program.module.walk())))
    assert len(sizes) >= 11
    assert {len(counts) for counts in sizes.values()} == {1}


def test_work_and_state_of_recurrent_layers() -> None:
    """mamba: 24 layers of 1536 channels, 4 taps and 16 states; lfm2: 10 short convolutions of 2048 channels and 3 taps."""
    mamba, lfm2 = describe_model(load("mamba-130m"), 1), describe_model(load("lfm2-1.2b"), 1)
    assert mamba["macs_per_token"]["recurrent"] == 24 * (1536 * 4 + 2 * 1536 * 16)
    assert mamba["schemes"]["w8a8"]["state_bytes"] == 4 * 24 * (1536 * 3 + 1536 * 16)
    assert lfm2["macs_per_token"]["recurrent"] == 10 * 2048 * 3
    assert lfm2["schemes"]["fp32"]["state_bytes"] == 4 * 10 * 2048 * 2

"""What is compared: matrix products, and TinyLlama as the list of its matrix products.

Sizes are those of the published config (examples/configs/tinyllama-1.1b.json).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent
ROOT = HERE.parent.parent
TINYLLAMA = ROOT / "examples" / "configs" / "tinyllama-1.1b.json"
MACHINE = HERE / "machine.toml"
CONTEXT = 512
"""Keys that a decoded token attends to, and tokens of the prompt that is prefilled."""


@dataclass(frozen=True, slots=True)
class Product:
    """`count` times [rows, inner] x [inner, columns], operands of one byte. `stored`: the right operand is a weight."""

    name: str
    rows: int
    inner: int
    columns: int
    count: int = 1
    stored: bool = True

    @property
    def shape(self) -> str:
        return f"{self.rows}x{self.inner}x{self.columns}"

    @property
    def macs(self) -> int:
        return self.count * self.rows * self.inner * self.columns

    @property
    def right_bytes(self) -> int:
        """Bytes of the right operand, all counts together."""
        return self.count * self.inner * self.columns

    @property
    def left_bytes(self) -> int:
        return self.count * self.rows * self.inner

    @property
    def result_bytes(self) -> int:
        return self.count * self.rows * self.columns


@dataclass(frozen=True, slots=True)
class Case:
    """One table of the page."""

    name: str
    title: str
    products: tuple[Product, ...]

    @property
    def macs(self) -> int:
        return sum(product.macs for product in self.products)


def tinyllama(rows: int) -> tuple[Product, ...]:
    """The products of `rows` tokens that attend to CONTEXT keys. The head reads the last row only.

    The heads that share a key-value head are rows of one product. No tool knows a causal mask: every row has all keys.
    """
    config: dict[str, Any] = json.loads(TINYLLAMA.read_text())
    width, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    heads, groups = config["num_attention_heads"], config["num_key_value_heads"]
    depth = width // heads
    shared = heads // groups * rows
    return (
        Product("q", rows, width, width, layers),
        Product("k, v", rows, width, groups * depth, 2 * layers),
        Product("scores", shared, depth, CONTEXT, layers * groups, stored=False),
        Product("values", shared, CONTEXT, depth, layers * groups, stored=False),
        Product("o", rows, width, width, layers),
        Product("gate, up", rows, width, inner, 2 * layers),
        Product("down", rows, inner, width, layers),
        Product("head", 1, width, config["vocab_size"]),
    )


def all_cases() -> tuple[Case, ...]:
    return (
        Case("gemm", "GEMM 128 x 2048 x 2048", (Product("product", 128, 2048, 2048),)),
        Case("gemv", "GEMV 1 x 2048 x 5632", (Product("product", 1, 2048, 5632),)),
        Case("decode", "TinyLlama-1.1B, one token at context 512", tinyllama(1)),
        Case("prefill", "TinyLlama-1.1B, prefill of 512 tokens", tinyllama(CONTEXT)),
    )

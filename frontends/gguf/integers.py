"""The block types of GGUF that are formats of the hardware: Q8_0, Q4_0, Q4_1, blocks of 32 with an f16 scale, and MXFP4.

Layout of the blocks: ggml-common.h of llama.cpp (block_q8_0: d, qs[32]; block_q4_0: d, qs[16]; block_q4_1: d, m, qs[16]; block_mxfp4: e,
qs[16]); element j < 16 of a 4-bit block is the low nibble of byte j, element j + 16 its high nibble; a weight is d * q, d * (nibble - 8),
d * nibble + m, and of MXFP4 that of the e8m0 scale e and an e2m1 code. (There ggml doubles the values of codes and halves the scale.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compiler.formats import Quantized, WeightFormat

BLOCK = 32
FORMATS = {
    "Q8_0": WeightFormat("i8", BLOCK),
    "Q4_0": WeightFormat("i4", BLOCK),
    "Q4_1": WeightFormat("i4", BLOCK, offsets=True),
    "MXFP4": WeightFormat("e2m1", BLOCK),
}
_FIELDS = {
    "Q8_0": [("d", "<f2"), ("qs", "i1", (32,))],
    "Q4_0": [("d", "<f2"), ("qs", "u1", (16,))],
    "Q4_1": [("d", "<f2"), ("m", "<f2"), ("qs", "u1", (16,))],
    "MXFP4": [("d", "u1"), ("qs", "u1", (16,))],
}
ZERO_NIBBLE = 8


def integers_of_blocks(rows: NDArray[np.uint8], kind: str) -> Quantized:
    """The matrix of rows [N, bytes] of whole blocks."""
    blocks = np.ascontiguousarray(rows).view(np.dtype(_FIELDS[kind]))
    values = blocks["qs"]
    if kind != "Q8_0":
        values = np.concatenate([values & 15, values >> 4], axis=-1)
    if kind == "MXFP4":
        return Quantized(FORMATS[kind], values.reshape(len(rows), -1), blocks["d"].copy())
    if kind != "Q8_0":
        values = values.astype(np.int8) - np.int8(ZERO_NIBBLE)
    offsets = blocks["m"].astype(np.float16) if kind == "Q4_1" else None
    return Quantized(FORMATS[kind], values.reshape(len(rows), -1), blocks["d"].astype(np.float16), offsets)

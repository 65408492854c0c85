"""The quantised blocks of GGUF in plain Python, one value at a time, from the layouts in ggml's `ggml-common.h` and
`ggml-quants.c` (https://github.com/ggml-org/llama.cpp/tree/master/ggml/src). It judges what the package makes of them."""

from __future__ import annotations

import struct
from collections.abc import Callable


def half(block: bytes, offset: int) -> float:
    return struct.unpack_from("<e", block, offset)[0]


def nibble(quants: bytes, index: int) -> int:
    """Of 32 values in 16 bytes: the first 16 are the low halves."""
    return quants[index] & 15 if index < 16 else quants[index - 16] >> 4


def q4_0(block: bytes) -> list[float]:
    return [half(block, 0) * (nibble(block[2:], i) - 8) for i in range(32)]


def q4_1(block: bytes) -> list[float]:
    return [half(block, 0) * nibble(block[4:], i) + half(block, 2) for i in range(32)]


def q5_0(block: bytes) -> list[float]:
    (fifth,) = struct.unpack_from("<I", block, 2)
    return [half(block, 0) * ((nibble(block[6:], i) | (fifth >> i & 1) << 4) - 16) for i in range(32)]


def q5_1(block: bytes) -> list[float]:
    (fifth,) = struct.unpack_from("<I", block, 4)
    return [half(block, 0) * (nibble(block[8:], i) | (fifth >> i & 1) << 4) + half(block, 2) for i in range(32)]


def q8_0(block: bytes) -> list[float]:
    return [half(block, 0) * quant for quant in struct.unpack_from("<32b", block, 2)]


def mxfp4(block: bytes) -> list[float]:
    """block_mxfp4: an exponent, then 32 codes; the table of ggml has twice the values and half the scale."""
    doubled = (0, 1, 2, 3, 4, 6, 8, 12)
    codes = [nibble(block[1:], i) for i in range(32)]
    return [2.0 ** (block[0] - 128) * doubled[code & 7] * (-1 if code & 8 else 1) for code in codes]


def q2_k(block: bytes) -> list[float]:
    """16 scales and minima of 4 bits; 64 bytes hold 2 bits of four values that are 32 apart, for each half of 128."""
    values: list[float] = []
    for i in range(256):
        scale = block[i // 16]
        quant = block[16 + i // 128 * 32 + i % 32] >> i % 128 // 32 * 2 & 3
        values.append(half(block, 80) * (scale & 15) * quant - half(block, 82) * (scale >> 4))
    return values


def q3_k(block: bytes) -> list[float]:
    """Like q2_k with a third bit in 32 mask bytes (0 means minus 4), and 16 signed scales of 6 bits."""
    packed = block[96:108]
    values: list[float] = []
    for i in range(256):
        s = i // 16
        low = packed[s] & 15 if s < 8 else packed[s - 8] >> 4
        scale = (low | (packed[8 + s % 4] >> s // 4 * 2 & 3) << 4) - 32
        quant = block[32 + i // 128 * 32 + i % 32] >> i % 128 // 32 * 2 & 3
        quant -= 0 if block[i % 32] >> i // 32 & 1 else 4
        values.append(half(block, 108) * scale * quant)
    return values


def scale_and_minimum(packed: bytes, s: int) -> tuple[int, int]:
    """Of eight 6-bit scales and eight 6-bit minima in 12 bytes."""
    if s < 4:
        return packed[s] & 63, packed[s + 4] & 63
    return packed[s + 4] & 15 | packed[s - 4] >> 6 << 4, packed[s + 4] >> 4 | packed[s] >> 6 << 4


def q4_k(block: bytes) -> list[float]:
    values: list[float] = []
    for i in range(256):
        scale, minimum = scale_and_minimum(block[4:16], i // 32)
        byte = block[16 + i // 64 * 32 + i % 32]
        quant = byte >> 4 if i % 64 >= 32 else byte & 15
        values.append(half(block, 0) * scale * quant - half(block, 2) * minimum)
    return values


def q5_k(block: bytes) -> list[float]:
    values: list[float] = []
    for i in range(256):
        scale, minimum = scale_and_minimum(block[4:16], i // 32)
        byte = block[48 + i // 64 * 32 + i % 32]
        quant = (byte >> 4 if i % 64 >= 32 else byte & 15) + (block[16 + i % 32] >> i // 32 & 1) * 16
        values.append(half(block, 0) * scale * quant - half(block, 2) * minimum)
    return values


def q6_k(block: bytes) -> list[float]:
    scales = struct.unpack_from("<16b", block, 192)
    values: list[float] = []
    for i in range(256):
        part, place = i // 128, i % 128
        low = block[part * 64 + place % 64]
        low = low >> 4 if place >= 64 else low & 15
        quant = (low | (block[128 + part * 32 + place % 32] >> place // 32 * 2 & 3) << 4) - 32
        values.append(half(block, 208) * scales[i // 16] * quant)
    return values


DEQUANTISE: dict[str, Callable[[bytes], list[float]]] = {
    "Q4_0": q4_0, "Q4_1": q4_1, "Q5_0": q5_0, "Q5_1": q5_1, "Q8_0": q8_0,
    "MXFP4": mxfp4,
    "Q2_K": q2_k, "Q3_K": q3_k, "Q4_K": q4_k, "Q5_K": q5_k, "Q6_K": q6_k,
}  # fmt: skip

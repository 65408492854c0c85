"""Closed forms that give back the tools' numbers: a gap counts as explained when its formula returns what the tool printed.

`tests/unit/test_comparison.py` compares them with every committed number.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from crosscheck import scalesim_buffer
from crosscheck.cases import Case, Product

ARRAY = 128
"""Rows and columns of the array."""
MACS_PER_CYCLE = ARRAY * ARRAY
DRAM_BYTES_PER_CYCLE = 64
SRAM_BYTES_PER_CYCLE = 2048
"""What genz is told of the scratchpad: 64 banks of 32 bytes."""
SKEW = ARRAY + ARRAY - 2
"""Cycles for which a wavefront fills an array and leaves it again."""
SCALESIM_IFMAP_BYTES = SCALESIM_OFMAP_BYTES = 1024 << 10


def tiles(size: int) -> int:
    return ceil(size / ARRAY)


def weight_tiles(product: Product) -> int:
    """128 x 128 pieces of the right operand, all counts together."""
    return product.count * tiles(product.inner) * tiles(product.columns)


def pipelined_cycles(product: Product) -> int:
    """A weight-stationary array whose tiles follow each other without a gap: each streams `rows`."""
    return weight_tiles(product) * product.rows


def scalesim_cycles(product: Product, dataflow: str) -> int:
    """Compute cycles, all counts together: folds one after the other, each with a fill and a drain of its own.

    Output-stationary ("os"): a fold is 128 x 128 results, streams `inner` and empties the array.
    Weight-stationary ("ws"): a fold takes in 128 rows of weights, then streams `rows` and empties the array.
    """
    if dataflow == "os":
        return product.count * tiles(product.rows) * tiles(product.columns) * (product.inner + SKEW)
    return weight_tiles(product) * (ARRAY + product.rows + SKEW)


def scalesim_os_parts(product: Product) -> dict[str, int]:
    """From the first request for DRAM to the last result there, all counts together; at most 128 rows.

    The left operand is padded to 128 rows. Results wait until the array has finished.
    """
    left = min(ARRAY * product.inner, SCALESIM_IFMAP_BYTES // 2)
    right = min(product.inner * tiles(product.columns) * ARRAY, scalesim_buffer.BUFFER_BYTES // 2)
    return {
        "prefetch": product.count * (max(left, right) // DRAM_BYTES_PER_CYCLE),
        "compute": scalesim_cycles(product, "os"),
        "stalls": product.count * scalesim_buffer.os_stalls(product.inner, product.columns),
        "writes": product.count * (ceil(product.rows * product.columns / DRAM_BYTES_PER_CYCLE) - 2),
    }


def scalesim_os_with_prefetch(product: Product) -> int:
    return sum(scalesim_os_parts(product).values())


def scalesim_ws_with_prefetch(product: Product) -> int:
    """As scalesim_os_with_prefetch, weight-stationary: slower than the DRAM, so that it never stalls with at most 128 rows.

    Partial sums leave the array after every fold; what waits in half of their buffer is written at the end.
    """
    left = min(product.rows * tiles(product.inner) * ARRAY, SCALESIM_IFMAP_BYTES // 2)
    right = min(product.inner * tiles(product.columns) * ARRAY, scalesim_buffer.BUFFER_BYTES // 2)
    prefetch = max(left, right) // DRAM_BYTES_PER_CYCLE
    partial_sums = tiles(product.inner) * product.rows * product.columns
    waits = min(partial_sums, SCALESIM_OFMAP_BYTES // 2) / DRAM_BYTES_PER_CYCLE
    is_all_there = partial_sums <= SCALESIM_OFMAP_BYTES // 2
    compute = scalesim_cycles(product, "ws") // product.count
    return product.count * (prefetch + compute - 1 + ceil(waits) - is_all_there)


SCALESIM_WITH_PREFETCH = {"os": scalesim_os_with_prefetch, "ws": scalesim_ws_with_prefetch}


def dram_cycles(size_bytes: float) -> float:
    return size_bytes / DRAM_BYTES_PER_CYCLE


def zigzag_bytes(case: Case) -> int:
    """What crosses the DRAM when each product reads both operands and writes its result, once."""
    return sum(product.left_bytes + product.right_bytes + product.result_bytes for product in case.products)


def genz_operations(case: Case) -> list[tuple[Product, str]]:
    """The operations that genz makes of a case, each with the operands that it keeps in the scratchpad: of L(eft), R(ight), O(utput).

    It joins matrices that read the same input, takes the lookup of the embedding for a product with the whole table and, in prefill,
    computes the head for all rows.
    """
    if len(case.products) == 1:
        return [(case.products[0], "")]
    by_name = {product.name: product for product in case.products}
    rows, layers, width = by_name["q"].rows, by_name["q"].count, by_name["q"].inner
    joined = {"q": width + 2 * by_name["k, v"].columns, "gate, up": 2 * by_name["gate, up"].columns}
    resident = dict.fromkeys(by_name, "LO" if rows == 1 else "") | {"head": ""}
    if rows > 1:
        resident |= {"scores": "O", "values": "L"}
    found: list[tuple[Product, str]] = []
    for name, product in by_name.items():
        if name in joined:
            found.append((replace(product, columns=joined[name], count=layers), resident[name]))
        elif name != "k, v":
            found.append((replace(product, rows=rows) if name == "head" else product, resident[name]))
    if rows > 1:
        head = by_name["head"]
        found.append((Product("embedding", rows, head.columns, width), ""))
    return found


def genz_cycles(product: Product, resident: str) -> float:
    """All counts: the longer of the MACs at full rate and of the bytes, those of resident operands at the scratchpad's bandwidth."""
    return max(product.macs / MACS_PER_CYCLE, genz_memory_cycles(product, resident))


def genz_memory_cycles(product: Product, resident: str) -> float:
    sizes = {"L": product.left_bytes, "R": product.right_bytes, "O": product.result_bytes}
    bandwidth = {name: SRAM_BYTES_PER_CYCLE if name in resident else DRAM_BYTES_PER_CYCLE for name in sizes}
    return sum(size / bandwidth[name] for name, size in sizes.items())

"""Runs one matrix product or a pass of a language model in genz-llm 0.0.16. Executed by the Python of genz's own environment.

    echo '{"product": {"rows": 128, "inner": 2048, "columns": 2048}}' | python genz_driver.py
    echo '{"model": {...}, "phase": "decode", "context": 512}' | python genz_driver.py

Prints the rows of its table (name, bound, cycles of compute and of memory, sizes) and the total as JSON.
"""

import json
import sys
import tempfile
from contextlib import redirect_stdout

from GenZ import ModelConfig, System, Unit, decode_moddeling, get_model_df, prefill_moddeling
from GenZ.Models.get_language_model import save_layers
from GenZ.Models.utils import OpType, ResidencyInfo

CLOCK_HZ = 1e9
MACS_PER_CYCLE = 128 * 128
DRAM_BYTES_PER_CYCLE = 64
SRAM_BYTES_PER_CYCLE = 64 * 32
COLUMNS = {"bound": "Bound", "cycles": "Cycles", "compute": "Compute cycle", "memory": "Memory cycle"}


def machine() -> System:
    """Bandwidths are given in units of 2^30 bytes, and the rate for bf16: int8 counts half the time of an operation."""
    gibibyte = 2**30
    return System(
        unit=Unit(),
        flops=MACS_PER_CYCLE * CLOCK_HZ / 1e12,
        onchip_mem_bw=SRAM_BYTES_PER_CYCLE * CLOCK_HZ / gibibyte,
        on_chip_mem_size=8,
        offchip_mem_bw=DRAM_BYTES_PER_CYCLE * CLOCK_HZ / gibibyte,
        off_chip_mem_size=4096,
        frequency=CLOCK_HZ / 1e6,
        bits="int8",
    )


def product_table(rows: int, inner: int, columns: int):
    """One GEMM whose operands and result lie in DRAM."""
    layer = ["product", columns, rows, inner, 1, 1, ResidencyInfo.All_offchip, OpType.GEMM]
    with tempfile.TemporaryDirectory() as folder:
        name = save_layers([layer], folder, "product")
        return get_model_df(name, machine(), Unit(), 1, data_path=folder, intermediate_on_chip=True)


def model_table(model: dict, phase: str, context: int):
    config = ModelConfig(**model)
    if phase == "prefill":
        return prefill_moddeling(config, 1, context, machine(), bits="int8")["model_df"]
    return decode_moddeling(config, 1, context, 0, 1, machine(), bits="int8")["model_df"]


def lines(table) -> list[dict]:
    """Rows of the table with how often each one counts; Repeat and EndRepeat enclose the layers."""
    times, found = 1, []
    for _, row in table.iterrows():
        if row["Op Type"] == "Repeat":
            times *= int(row["Dimension"])
        elif row["Op Type"] == "EndRepeat":
            times //= int(row["Dimension"])
        else:
            values = {key: row[column] if key == "bound" else float(row[column]) for key, column in COLUMNS.items()}
            found.append({"name": row["Layer Name"], "count": times, "dimension": str(row["Dimension"]), **values})
    return found


def main() -> None:
    request = json.load(sys.stdin)
    with redirect_stdout(sys.stderr):
        table = product_table(**request["product"]) if "product" in request else model_table(**request)
        found = lines(table)
    json.dump({"lines": found, "total": sum(line["count"] * line["cycles"] for line in found)}, sys.stdout)


if __name__ == "__main__":
    main()

"""Runs one matrix product in zigzag-dse 3.9.1. Executed by the Python of zigzag's own environment.

    echo '{"rows": 128, "inner": 2048, "columns": 2048}' | python zigzag_driver.py

The machine is that of machine.toml in terms of zigzag: weights stand in the array, double-buffered, and partial sums of 128 rows
beside it; operands come from an SRAM with a port each; everything starts and ends in a DRAM of 64 B/cycle. Prints parts of the latency
and the loops as JSON.
"""

import json
import logging
import sys
import tempfile
from pathlib import Path

import yaml
from zigzag import api
from zigzag.cost_model.cost_model import CostModelEvaluation

ARRAY = 128
BYTE = 8
SRAM_BYTES = 8 << 20
DRAM_BYTES = 4 << 30
ACCUMULATOR_ROWS = 128
DRAM_BYTES_PER_CYCLE = 64
A_PORT, B_PORT, C_PORT, DMA_PORT = 128, 256, 512, 128


def port(name: str, kind: str, width_bytes: int, *allocation: str) -> dict:
    return {
        "name": name,
        "type": kind,
        "bandwidth_min": BYTE,
        "bandwidth_max": width_bytes * BYTE,
        "allocation": list(allocation),
    }


def memory(size_bytes: int, operands: list[str], served: list[str], *ports: dict) -> dict:
    """Costs are energies and areas, which this study does not use."""
    cost = {"r_cost": 0, "w_cost": 0, "area": 0, "latency": 1}
    return {"size": size_bytes * BYTE, **cost, "operands": operands, "ports": list(ports), "served_dimensions": served}


def accelerator() -> dict:
    everything = [f"{operand}, {way}" for operand in ("I1", "I2") for way in ("fh", "tl")]
    everything += [f"O, {way}" for way in ("fh", "tl", "fl", "th")]
    both = ["D1", "D2"]
    return {
        "name": "comparison",
        "memories": {
            "weights": {
                **memory(2, ["I2"], [], port("r_port_1", "read", 1, "I2, tl"), port("w_port_1", "write", 1, "I2, fh")),
                "force_double_buffering": True,
            },
            "accumulator": memory(
                ACCUMULATOR_ROWS * 4,
                ["O"],
                ["D2"],
                port("r_port_1", "read", 4, "O, tl"),
                port("r_port_2", "read", 4, "O, th"),
                port("w_port_1", "write", 4, "O, fh"),
                port("w_port_2", "write", 4, "O, fl"),
            ),
            "sram": memory(
                SRAM_BYTES,
                ["I1", "I2", "O"],
                both,
                port("r_port_1", "read", A_PORT, "I1, tl"),
                port("r_port_2", "read", B_PORT, "I2, tl"),
                port("r_port_3", "read", C_PORT, "O, tl"),
                port("w_port_1", "write", C_PORT, "O, fl"),
                port("w_port_2", "write", DMA_PORT, "I1, fh", "I2, fh", "O, fh"),
                port("r_port_4", "read", DMA_PORT, "O, th"),
            ),
            "dram": memory(
                DRAM_BYTES,
                ["I1", "I2", "O"],
                both,
                port("rw_port_1", "read_write", DRAM_BYTES_PER_CYCLE, *everything),
            ),
        },
        "operational_array": {"unit_energy": 0, "unit_area": 1, "dimensions": both, "sizes": [ARRAY, ARRAY]},
    }


def workload(rows: int, inner: int, columns: int) -> list[dict]:
    return [
        {
            "id": 0,
            "name": "product",
            "operator_type": "Gemm",
            "equation": "O[d][k]+=I[d][c]*W[c][k]",
            "loop_dims": ["D", "C", "K"],
            "loop_sizes": [rows, inner, columns],
            "operand_precision": {"O": 32, "O_final": 8, "W": 8, "I": 8},
            "operand_source": {"I": 0, "W": 0},
        }
    ]


def mapping(inner: int, columns: int) -> list[dict]:
    return [
        {
            "name": "default",
            "spatial_mapping": {"D1": [f"K, {min(ARRAY, columns)}"], "D2": [f"C, {min(ARRAY, inner)}"]},
            "memory_operand_links": {"O": "O", "W": "I2", "I": "I1"},
        }
    ]


def leaves(evaluations):
    if isinstance(evaluations, (list, tuple)):
        for evaluation in evaluations:
            yield from leaves(evaluation)
    elif isinstance(evaluations, CostModelEvaluation):
        yield evaluations


def main() -> None:
    request = json.load(sys.stdin)
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        parts = {
            "workload": workload(**request),
            "accelerator": accelerator(),
            "mapping": mapping(request["inner"], request["columns"]),
        }
        files = {name: folder / f"{name}.yaml" for name in parts}
        for name, content in parts.items():
            files[name].write_text(yaml.safe_dump(content, sort_keys=False))
        _, _, evaluations = api.get_hardware_performance_zigzag(
            str(files["workload"]),
            str(files["accelerator"]),
            str(files["mapping"]),
            opt="latency",
            dump_folder=str(folder / "out"),
            loma_show_progress_bar=False,
        )
    (best,) = leaves(evaluations)
    json.dump(
        {
            "ideal": float(best.ideal_cycle),
            "temporal": float(best.ideal_temporal_cycle),
            "stalls": float(best.stall_slack_comb),
            "onloading": float(best.data_onloading_cycle),
            "offloading": float(best.data_offloading_cycle),
            "total": float(best.latency_total2),
            "loops": str(best.temporal_mapping),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()

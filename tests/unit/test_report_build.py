"""The report of a small hand-made run: headline numbers, attribution to operators, JSON, tables."""

import io
import json
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from isa.abi import EVENT_TOKEN
from isa.descriptor import Descriptor, dense_strides
from isa.machine import load_machine
from isa.metadata import DebugMap
from isa.spec import BY_MNEMONIC, FMT_BLOCKED, Dtype, Region
from simulator.report import build_report, render, write_json
from simulator.report.floor import bound_of
from simulator.report.model import Floor
from simulator.report.render import quantity
from simulator.timing import TimingModel

EDGE = load_machine("edge")
S = Region.SRAM
STATS_PAGE = Path(str(resources.files("isa"))).parent / "docs" / "stats.md"


def tensor(base, region, dtype, *extents, strides=None, fmt=0):
    extents = tuple(extents) + (1,) * (4 - len(extents))
    return Descriptor(base, region, dtype, extents, strides or dense_strides(dtype, extents), 0, fmt)


def linear(timing, pc):
    """128 KiB of int8 weights from DRAM, multiplied by one row of 1024: 131,072 MACs."""
    row = BY_MNEMONIC
    weights = {"strides": (0, 16 * 1024, 0, 0), "fmt": FMT_BLOCKED}
    source = tensor(0, Region.WEIGHT, Dtype.I8, 1024, 128)
    timing.engine(pc, row["ld"], 0, 0, (tensor(0, S, Dtype.I8, 1024, 128), source, None, None))
    a, c = tensor(1 << 18, S, Dtype.I8, 1024), tensor(1 << 19, S, Dtype.I32, 128)
    timing.engine(pc + 1, row["mm"], 0, 0, (c, a, tensor(0, S, Dtype.I8, 1024, 128, **weights), None))
    copy = tensor(256, Region.SMEM, Dtype.I32, 1)
    timing.engine(pc + 2, row["vun"], 0, 0, (copy, tensor(1 << 19, S, Dtype.I32, 1), None, None))
    timing.smem(pc + 3, row["lds"], 256, 264, False)


def program():
    debug = DebugMap(
        locations=["a.py:1"],
        operators=["linear", "sample"],
        location_of_pc=np.zeros(6, np.int32),
        operator_of_pc=np.array([0, 0, 1, 1, 1, -1], np.int32),
    )
    meta = {"model": "toy [x]", "scheme": "w8a8", "context": 64, "chunk": 8, "vocabulary": 128, "machine": {}}
    return SimpleNamespace(meta=meta, debug=debug, text=np.zeros(6, np.uint8))


@pytest.fixture
def timing():
    """Three tokens; the first one counts as prefill."""
    timing = TimingModel(EDGE)
    for token in range(3):
        timing.mark(5, 0, token % 2)
        linear(timing, 0)
        timing.event(4, EVENT_TOKEN, token)
    timing.halt(5)
    return timing


def test_the_headline_is_that_of_three_equal_tokens(timing):
    report = build_report(timing, program(), prompt_tokens=7)
    # Per token: load 2787, 12 for a refresh that began in idle cycles, latency 60; product 16 x 2 passes of 32 cycles, the
    # row of the last one, 24; copy 1 + 12, scalars.
    visible = 2787 + 12 + 60 + 16 * 2 * 32 + 1 + 24 + 1 + 12
    first = report.token_cycles[0]
    assert first == 1 + visible + 2
    assert report.time_to_first_token_cycles == first
    assert report.time_to_first_token_seconds == pytest.approx(first * 1e-9)
    assert (report.prompt_tokens, report.generated_tokens) == (7, 3)
    assert (report.prefill.tokens, report.decode.tokens, report.rest.tokens) == (1, 2, 0)
    assert report.prefill.cycles == first
    assert report.decode.cycles_per_token == pytest.approx((report.token_cycles[2] - first) / 2)
    assert report.decode.tokens_per_second == pytest.approx(1e9 / report.decode.cycles_per_token)
    assert report.decode.dram_bytes == 2 * (1 << 17)
    assert report.decode.macs == 2 * (1 << 17)
    assert report.decode.joules_per_token == pytest.approx(report.decode.joules / 2)
    assert report.total.watts == pytest.approx(report.total.joules / report.total.seconds)


def test_the_floor_is_the_dram(timing):
    decode = build_report(timing, None).decode
    assert decode.floor.dram == pytest.approx(2 * 2560 * 3906 / (3906 - 18.75 - 280 - 18.75))
    assert decode.floor.mxu == pytest.approx(2 * (1 << 17) / 4096)
    assert decode.floor.vpu == pytest.approx(2 / 64)
    assert decode.floor.cycles == decode.floor.dram
    assert decode.ratio_to_floor == pytest.approx(decode.cycles / decode.floor.dram)
    assert decode.bound == "memory"
    assert decode.utilisation["dram"] == pytest.approx(1 / decode.ratio_to_floor)


@pytest.mark.parametrize(
    ("floor", "cycles", "bound"),
    [
        ((60, 10, 1), 100, "memory"),
        ((10, 60, 1), 100, "compute"),
        ((10, 1, 60), 100, "compute"),
        ((40, 30, 30), 100, "latency"),
        ((0, 0, 0), 0, "none"),
    ],
)
def test_the_bound_is_the_resource_that_fills_half_of_the_time(floor, cycles, bound):
    assert bound_of(Floor(*floor, max(floor)), cycles) == bound


def test_work_belongs_to_operators(timing):
    report = build_report(timing, program())
    operators = {operator.name: operator for operator in report.operators}
    assert [operator.name for operator in report.operators] == ["linear", "sample", "(runtime)"]
    assert operators["linear"].busy_cycles == {"SEQ": 6, "DML": 3 * (2787 + 12), "DMS": 0, "MXU": 3 * 1024, "VPU": 0}
    assert operators["linear"].macs == 3 << 17
    assert operators["sample"].busy_cycles["VPU"] == 3
    assert operators["sample"].vpu_elements == 3
    assert operators["(runtime)"].executions == 4  # 3 marks and halt
    assert sum(operator.dram_bytes for operator in operators.values()) == report.total.dram_bytes
    dynamic = sum(joules for name, joules in report.total.energy.items() if not name.startswith("static"))
    assert sum(operator.joules for operator in operators.values()) == pytest.approx(dynamic)


def test_a_program_counter_outside_the_debug_map_is_runtime(timing):
    timing.scalar(1_000_000, BY_MNEMONIC["alu"])
    assert build_report(timing, program()).operators[-1].executions == 5


def test_power_over_time_is_the_energy_of_the_run(timing):
    report = build_report(timing, program())
    borders = [0, *(one.end_cycle for one in report.power)]
    assert [one.begin_cycle for one in report.power] == borders[:-1]
    assert borders[-1] == report.total.cycles and len(report.power) == 7  # 3 marks, 3 tokens, halt
    for component, joules in report.total.energy.items():
        spent = [one.watts[component] * (one.end_cycle - one.begin_cycle) / 1e9 for one in report.power]
        assert sum(spent) == pytest.approx(joules), component
    for one in report.power:
        assert one.total_watts == pytest.approx(sum(one.watts.values()))
        assert one.watts["static_sram"] == pytest.approx(0.329)


def test_the_energy_of_a_phase_has_a_band(timing):
    for phase in (build_report(timing, None).total, build_report(timing, None).decode):
        assert phase.energy_bands["total"].joules == pytest.approx(phase.joules)
        for band in phase.energy_bands.values():
            assert band.low <= band.joules <= band.high
        assert (
            phase.energy_bands["total"].low < 0.8 * phase.joules < 1.2 * phase.joules < phase.energy_bands["total"].high
        )


def test_sections_follow_the_marks(timing):
    report = build_report(timing, program())
    assert [(part.label, part.value, part.visits) for part in report.sections] == [(0, None, 1), (0, 0, 2), (0, 1, 1)]
    assert [part.macs for part in report.sections] == [0, 2 << 17, 1 << 17]


def test_bytes_are_counted_where_they_move(timing):
    report = build_report(timing, None)
    assert report.bytes_by_region["WEIGHT"] == {"read": 3 << 17, "write": 0}
    assert report.bytes_by_region["KV"] == {"read": 0, "write": 0}
    assert report.dram["bursts"] == 3 * 4096
    assert report.dram["row_hit_rate"] == pytest.approx(1 - 64 / 4096)
    assert report.macs_by_dtype["i8_i8"] == 3 << 17
    assert report.sram_bytes_by_port["dml"] == {"read": 0, "write": 3 << 17}
    assert report.sram_bytes_by_port["mxu_b"] == {"read": 3 << 17, "write": 0}


def test_an_empty_run_has_a_report():
    report = build_report(TimingModel(EDGE), None)
    assert (report.total.cycles, report.total.bound, report.total.ratio_to_floor) == (0, "none", None)
    assert report.time_to_first_token_cycles is None
    assert json.loads(json.dumps(report.to_json(), allow_nan=False))["schema"] == 1


def test_several_runs_have_a_prefill_each():
    timing = TimingModel(EDGE)
    for _ in range(2):
        linear(timing, 0)
        timing.event(4, EVENT_TOKEN, 1)
        timing.event(4, EVENT_TOKEN, 2)
        timing.halt(5)
    report = build_report(timing, None)
    assert (report.prefill.tokens, report.decode.tokens) == (2, 2)
    assert report.decode.cycles == 2


def test_the_json_file_is_complete_and_documented(timing, tmp_path):
    report = build_report(timing, program(), 7)
    path = tmp_path / "stats.json"
    path.write_text("old")
    write_json(report, path)
    assert json.loads(path.read_text()) == json.loads(json.dumps(report.to_json()))
    assert [entry.name for entry in tmp_path.iterdir()] == ["stats.json"]
    page = STATS_PAGE.read_text("utf-8")
    for key in fields(report.to_json()):
        assert f"`{key}`" in page, key


def fields(tree):
    """Names of fields, without those that are themselves data (regions, dtypes, reasons)."""
    data = {"waits", "bytes_by_region", "macs_by_dtype", "vpu_elements_by_class", "sram_bytes_by_port", "busy_cycles",
            "energy_bands", "watts"}  # fmt: skip
    for key, value in tree.items():
        yield key
        inner = value[0] if isinstance(value, list) and value else value
        if isinstance(inner, dict) and key not in data:
            yield from fields(inner)


def test_a_file_that_cannot_be_written_leaves_nothing_behind(timing, tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError):
        write_json(build_report(timing, None), tmp_path / "taken")
    assert [entry.name for entry in tmp_path.iterdir()] == ["taken"]


def rendered(report, width=120):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    render(report, console)
    return console.file.getvalue()


def test_the_tables_say_what_matters(timing):
    report = build_report(timing, program(), 7)
    text = rendered(report)
    assert "toy [x] w8a8 on edge (1 GHz)" in text
    assert "first token after 3.92 us for 7 prompt tokens" in text
    assert "memory-bound, 1.41 x the floor" in text
    for title in ("Time", "Engines", "DRAM", "Energy", "Operators", "Power over time", "By layer"):
        assert f"\n{title}" in text
    assert max(len(line) for line in text.splitlines()) <= 120


def test_a_narrow_terminal_cuts_no_number(timing):
    text = rendered(build_report(timing, program(), 7), 80)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "…" not in text
    assert "Operators" in text


def test_the_tables_of_an_empty_run():
    assert "on edge" in rendered(build_report(TimingModel(EDGE), None), 60)


def test_long_tables_are_cut():
    timing = TimingModel(EDGE)
    for layer in range(40):
        timing.mark(0, 3, layer)
    text = rendered(build_report(timing, None))
    assert "By mark 3" in text
    assert "... 29 more" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (51.2e9, "51.2 GB"),
        (0, "0 B"),
        (999.6, "1 kB"),
        (0.00434, "4.34 mB"),
        (3e-13, "0.3 pB"),
        (None, "-"),
        (-2e3, "-2 kB"),
    ],
)
def test_quantities_have_three_digits_and_a_prefix(value, text):
    assert quantity(value, "B") == text

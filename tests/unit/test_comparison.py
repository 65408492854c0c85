"""The study behind docs/comparison.md, without tools and network: parsing, closed forms against every committed number, the page."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
STUDY = ROOT / "benchmarks" / "comparison"
sys.path.insert(0, str(STUDY))

from crosscheck import cases, environments, formulas, genz, page, scalesim, scalesim_buffer, tables, zigzag  # noqa: E402

from isa.machine import load_machine  # noqa: E402

RESULTS, ANCHORS = page.load()
VIEWS = tables.views(RESULTS, load_machine(str(cases.MACHINE)))
COMPUTE_REPORT = (
    "LayerID, Total Cycles (incl. prefetch), Total Cycles, Stall Cycles, Overall Util %, Mapping Efficiency %, Compute Util %,\n"
    "0, 133514, 80267, 43436, 40.82375073193218, 100.0, 88.96611642050391,\n"
)


def product_of(run: str) -> tuple[str, cases.Product]:
    dataflow, shape = run.split("-")
    rows, inner, columns = map(int, shape.split("x"))
    return dataflow, cases.Product(run, rows, inner, columns)


def scalesim_driver(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The driver without the tool it imports."""
    stand_in = types.ModuleType("scalesim.scale_sim")
    stand_in.scalesim = None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "scalesim", types.ModuleType("scalesim"))
    monkeypatch.setitem(sys.modules, "scalesim.scale_sim", stand_in)
    spec = importlib.util.spec_from_file_location("scalesim_driver", environments.DRIVERS / "scalesim_driver.py")
    assert spec is not None and spec.loader is not None
    driver = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(driver)
    return driver


def test_page_is_rendered_from_committed_numbers() -> None:
    assert (ROOT / "docs" / "comparison.md").read_text() == page.render(RESULTS, ANCHORS), (
        "python benchmarks/comparison/run.py --render"
    )


@pytest.mark.parametrize("run", sorted(RESULTS["scalesim"]))
def test_closed_form_of_scalesim(run: str) -> None:
    dataflow, product = product_of(run)
    printed = RESULTS["scalesim"][run]
    assert formulas.scalesim_cycles(product, dataflow) == printed["compute"]
    if product.rows <= formulas.ARRAY:
        assert formulas.SCALESIM_WITH_PREFETCH[dataflow](product) == printed["with_prefetch"]
        stalls = scalesim_buffer.os_stalls(product.inner, product.columns) if dataflow == "os" else 0
        assert stalls == printed["stalls"]


@pytest.mark.parametrize("case", cases.all_cases(), ids=lambda case: case.name)
def test_closed_forms_of_zigzag_and_genz(case: cases.Case) -> None:
    for product in case.products:
        assert formulas.pipelined_cycles(product) == product.count * RESULTS["zigzag"][product.shape]["temporal"]
    operations = formulas.genz_operations(case)
    lines = RESULTS["genz"][case.name]["lines"]
    assert sorted(formulas.genz_cycles(*operation) for operation in operations) == pytest.approx(
        sorted(line["count"] * line["cycles"] for line in lines), abs=0.05
    )


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_bridges_end_at_the_tool(view: tables.CaseView) -> None:
    assert {bridge.tool for bridge in view.bridges} == {row.tool for row in view.memory} - {"slmc"}
    for bridge in view.bridges:
        assert bridge.cycles == pytest.approx(view.row_of[bridge.tool].cycles)
        assert bridge.schedule <= 0 and bridge.refresh <= 0, "no schedule is faster than its floor"


def test_cases_are_the_products_of_tinyllama() -> None:
    parameters = 22 * (2 * 2048 * 2048 + 2 * 2048 * 256 + 3 * 2048 * 5632) + 2048 * 32000
    decode = {case.name: case for case in cases.all_cases()}["decode"]
    assert sum(product.right_bytes for product in decode.products if product.stored) == parameters
    assert sum(product.right_bytes for product in decode.products if not product.stored) == 22 * 2 * 4 * 64 * 512


def test_machine_is_that_of_the_other_tools() -> None:
    machine = load_machine(str(cases.MACHINE))
    assert (machine.mxu_rows, machine.mxu_columns, machine.clock_hz) == (formulas.ARRAY, formulas.ARRAY, 10**9)
    assert machine.sram_bytes == 8 << 20
    assert machine.memory.peak_bytes_per_second == pytest.approx(formulas.DRAM_BYTES_PER_CYCLE * 1e9)
    sram = machine.core.sram
    assert sram.banks.value * sram.bank_bytes.value == formulas.SRAM_BYTES_PER_CYCLE


def test_reports_of_scalesim_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = tmp_path / "COMPUTE_REPORT.csv"
    report.write_text(COMPUTE_REPORT)
    compute = scalesim_driver(monkeypatch).read_report(report)
    assert compute["Total Cycles (incl. prefetch)"] == 133514
    detail = {
        "DRAM IFMAP Start Cycle": -4096.0,
        "DRAM Filter Start Cycle": -49152.0,
        "DRAM IFMAP Reads": 262144.0,
        "DRAM Filter Reads": 6291456.0,
        "DRAM OFMAP Writes": 262144.0,
    }
    parsed = scalesim.parse({"COMPUTE_REPORT": compute, "DETAILED_ACCESS_REPORT": detail})
    assert (parsed["compute"], parsed["stalls"], parsed["prefetch"]) == (36832, 43436, 49152)
    assert parsed["dram_reads"] == 262144 + 6291456


def test_numbers_of_zigzag_must_add_up() -> None:
    answer = {
        "ideal": 704,
        "temporal": 704,
        "stalls": 163200,
        "onloading": 16448,
        "offloading": 99,
        "total": 180451,
        "loops": "",
    }
    assert zigzag.parse(answer)["total"] == 180451
    with pytest.raises(ValueError, match="do not add up to 180452"):
        zigzag.parse(answer | {"total": 180452})


def test_operations_of_genz_must_add_up() -> None:
    line = {"name": "QKV", "count": 22, "cycles": 81922.25000000001, "compute": 320.0, "memory": 81922.25000000001}
    idle = {"name": "Logit Suf", "count": 22, "cycles": 0.0, "compute": 0.0, "memory": 0.0}
    parsed = genz.parse({"lines": [line, idle], "total": 22 * 81922.25})
    assert [found["name"] for found in parsed["lines"]] == ["QKV"]
    assert parsed["total"] == 22 * 81922.25
    with pytest.raises(ValueError, match="add up"):
        genz.parse({"lines": [line], "total": 1.0})


@pytest.mark.parametrize(
    "measurement", ANCHORS["measurements"], ids=lambda m: f"{m['hardware']} {m['model']} {m['format']}"
)
def test_published_speeds_are_possible(measurement: dict[str, Any]) -> None:
    assert 0 < page.with_fraction(measurement)["fraction"] < 1
    assert measurement["source"] in ANCHORS["sources"]
    assert {measurement["confidence"], measurement["peak_confidence"]} <= {"A", "B", "C"}


ECHO = "import json, sys; request = json.load(sys.stdin); print('noise'); print(json.dumps({'twice': 2 * request['number']}))"


@pytest.mark.parametrize("tool", environments.TOOLS, ids=lambda tool: tool.name)
def test_tools_are_pinned(tool: environments.Tool) -> None:
    lines = [line for line in tool.requirements.read_text().splitlines() if not line.startswith("#")]
    assert all(line.count("==") == 1 for line in lines)
    assert any(line.startswith(tool.name) and line.endswith(f"=={tool.version}") for line in lines)


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> environments.Tool:
    """A tool whose driver doubles a number, in an environment that is this one."""
    (tmp_path / "echo_driver.py").write_text(ECHO)
    (tmp_path / "echo.txt").write_text("echo==1")
    monkeypatch.setattr(environments, "DRIVERS", tmp_path)
    monkeypatch.setattr(environments, "REQUIREMENTS", tmp_path)
    programs = tmp_path / "echo" / "environment" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(sys.executable)
    return environments.Tool("echo", "1")


def test_runs_are_kept_until_something_changes(tool: environments.Tool, tmp_path: Path) -> None:
    assert environments.run_driver(tool, tmp_path, "run", {"number": 4}) == {"twice": 8}
    kept = tmp_path / "echo" / "runs" / "run.json"
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"result": {"twice": 9}}))
    assert environments.run_driver(tool, tmp_path, "run", {"number": 4}) == {"twice": 9}, "kept"
    assert environments.run_driver(tool, tmp_path, "run", {"number": 5}) == {"twice": 10}, "another request"
    assert json.loads(kept.read_text())["made_from"]["request"] == {"number": 5}


def test_a_driver_that_fails_leaves_nothing(
    tool: environments.Tool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        environments.run_driver(tool, tmp_path, "run", {})
    assert "KeyError: 'number'" in capsys.readouterr().err
    assert not (tmp_path / "echo" / "runs").exists()

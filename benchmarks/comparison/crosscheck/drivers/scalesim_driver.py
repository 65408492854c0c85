"""Runs one matrix product in scalesim 3.0.0. Executed by the Python of scalesim's own environment.

    echo '{"dataflow": "os", "rows": 128, "inner": 2048, "columns": 2048}' | python scalesim_driver.py

Prints the first lines of numbers of its three reports as JSON, unchanged.
"""

import csv
import json
import sys
import tempfile
from pathlib import Path

from scalesim.scale_sim import scalesim

KIB_OF_SRAM = {"ifmap": 1024, "filter": 6144, "ofmap": 1024}
DRAM_WORDS_PER_CYCLE = 64
REPORTS = ("COMPUTE_REPORT", "BANDWIDTH_REPORT", "DETAILED_ACCESS_REPORT")
LAYOUT_COLUMNS = 20

# The read bandwidth of the DRAM ports is the key ...SRAMBankBandwidth of the section layout; Bandwidth is that of the writes.
CONFIG = """
[general]
run_name = run
[run_presets]
InterfaceBandwidth = USER
UseRamulatorTrace = False
[architecture_presets]
ArrayHeight = 128
ArrayWidth = 128
IfmapSramSzkB = {ifmap}
FilterSramSzkB = {filter}
OfmapSramSzkB = {ofmap}
IfmapOffset = 0
FilterOffset = 100000000
OfmapOffset = 200000000
Dataflow = {dataflow}
Bandwidth = {words}
ReadRequestBuffer = 512
WriteRequestBuffer = 512
[layout]
IfmapCustomLayout = False
FilterCustomLayout = False
IfmapSRAMBankBandwidth = {words}
IfmapSRAMBankNum = 1
IfmapSRAMBankPort = 2
FilterSRAMBankBandwidth = {words}
FilterSRAMBankNum = 1
FilterSRAMBankPort = 2
[sparsity]
SparsitySupport = false
"""


def main() -> None:
    request = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / "config.cfg").write_text(
            CONFIG.format(**KIB_OF_SRAM, dataflow=request["dataflow"], words=DRAM_WORDS_PER_CYCLE)
        )
        shape = "{rows},{columns},{inner}".format(**request)
        (folder / "topology.csv").write_text(f"Layer,M,N,K,\nproduct,{shape},\n")
        columns = [str(index) for index in range(LAYOUT_COLUMNS)]
        (folder / "layout.csv").write_text(f"Layer,{','.join(columns)},\nproduct,{','.join(['1'] * LAYOUT_COLUMNS)},\n")
        tool = scalesim(
            save_disk_space=True,
            verbose=False,
            config=str(folder / "config.cfg"),
            topology=str(folder / "topology.csv"),
            layout=str(folder / "layout.csv"),
            input_type_gemm=True,
        )
        tool.run_scale(top_path=text)
        reports = {name: read_report(folder / "run" / f"{name}.csv") for name in REPORTS}
    json.dump(reports, sys.stdout)


def read_report(path: Path) -> dict[str, float]:
    """The first layer of a report: the name of a column to its number."""
    with path.open() as file:
        header, line = list(csv.reader(file))[:2]
    return {name.strip(): float(number) for name, number in zip(header, line, strict=True) if name.strip()}


if __name__ == "__main__":
    main()

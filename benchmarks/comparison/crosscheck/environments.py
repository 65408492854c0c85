"""An environment of its own for every tool, below a directory of the user's choice, and cached runs of the drivers in them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
DRIVERS = HERE / "drivers"
REQUIREMENTS = HERE.parent / "requirements"


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool from the package index; requirements/NAME.txt pins it and all that it stands on."""

    name: str
    version: str

    @property
    def requirements(self) -> Path:
        return REQUIREMENTS / f"{self.name}.txt"


SCALESIM = Tool("scalesim", "3.0.0")
ZIGZAG = Tool("zigzag", "3.9.1")
GENZ = Tool("genz", "0.0.16")
TOOLS = (SCALESIM, ZIGZAG, GENZ)


def install(tool: Tool, folder: Path) -> None:
    """Makes folder/NAME/environment unless it is there with these requirements. Raises CalledProcessError."""
    environment = folder / tool.name / "environment"
    stamp = environment / "requirements.txt"
    wanted = tool.requirements.read_text()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"installing {tool.name} {tool.version} into {environment}", file=sys.stderr)
    venv.create(environment, clear=True, with_pip=True)
    pip = (str(environment / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check")
    subprocess.run([*pip, "-r", str(tool.requirements)], check=True)
    stamp.write_text(wanted)


def run_driver(tool: Tool, folder: Path, name: str, request: dict[str, Any]) -> dict[str, Any]:
    """What drivers/TOOL_driver.py prints for a request. Kept in folder/TOOL/runs/NAME.json until request or driver change.

    Raises CalledProcessError.
    """
    driver = DRIVERS / f"{tool.name}_driver.py"
    made_from = {"requirements": _hash(tool.requirements), "driver": _hash(driver), "request": request}
    kept = folder / tool.name / "runs" / f"{name}.json"
    if kept.exists() and (content := json.loads(kept.read_text()))["made_from"] == made_from:
        return content["result"]
    print(f"{tool.name}: {name}", file=sys.stderr)
    answer = _execute(folder / tool.name / "environment" / "bin" / "python", driver, request)
    kept.parent.mkdir(parents=True, exist_ok=True)
    part = kept.with_suffix(".part")
    part.write_text(json.dumps({"made_from": made_from, "result": answer}, indent=1))
    part.replace(kept)
    return answer


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _execute(python: Path, driver: Path, request: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(
        [str(python), str(driver)], input=json.dumps(request), capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.stderr.write(done.stderr)
        raise subprocess.CalledProcessError(done.returncode, [str(python), str(driver)])
    return json.loads(done.stdout.splitlines()[-1])


Runner = Callable[[Tool, str, dict[str, Any]], dict[str, Any]]
"""(tool, name of the run, request) -> what the driver printed."""

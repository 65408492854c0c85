"""From records to results: tokens per second, joules per token, the bound and its distance to the floor. docs/stats.md."""

from simulator.report.build import build_report
from simulator.report.model import Report
from simulator.report.notes import notes_of
from simulator.report.render import render
from simulator.report.write import write_json

__all__ = ["Report", "build_report", "notes_of", "render", "write_json"]

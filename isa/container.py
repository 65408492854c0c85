"""The `.slx` executable: what compiler, simulator and tools use. Layout: isa/container_format.py, docs/isa.md."""

from isa.canonical_json import canonical_json
from isa.container_format import Section, SectionEntry, SectionFlag
from isa.container_reader import Executable, section_name
from isa.container_writer import ExecutableWriter
from isa.errors import ContainerError
from isa.metadata import DebugMap, Symbol, VirtualWeights, machine_hash, symbols_to_bytes

__all__ = [
    "ContainerError",
    "DebugMap",
    "Executable",
    "ExecutableWriter",
    "Section",
    "SectionEntry",
    "SectionFlag",
    "Symbol",
    "VirtualWeights",
    "canonical_json",
    "machine_hash",
    "section_name",
    "symbols_to_bytes",
]

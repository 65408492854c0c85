"""The executable as a file that is written while the program is compiled."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from xdsl.dialects.builtin import ModuleOp

from compiler.emit.beside import Beside
from compiler.emit.executable import (
    Progress,
    features_of,
    meta_of,
    places_of,
    region_sizes,
    statement_of,
    symbols_of,
    table_region,
    weight_chunks,
)
from compiler.emit.text import debug_map, encode_text, smem_image
from compiler.program import Program
from isa.canonical_json import canonical_json
from isa.container import ExecutableWriter, Section, symbols_to_bytes
from isa.machine import Machine
from isa.prediction import Prediction


class Output:
    """Context manager; an existing file is replaced only by a complete one.

    Weights are packed as soon as it is known where they lie, beside the passes that follow: both take seconds, and packing leaves
    Python's lock alone most of the time. Virtual weights are stated, not packed: the file holds their size.
    """

    def __init__(
        self, path: Path, program: Program, machine: Machine, scheme: str, progress: Progress | None = None
    ) -> None:
        self._path, self._program, self._machine, self._scheme = path, program, machine, scheme
        self._progress, self._stack = progress, ExitStack()

    def __enter__(self) -> Output:
        return self

    def begin(self, module: ModuleOp) -> None:
        """Begins with the weights, whose places in DRAM do not change any more."""
        weights, size_bytes = [p for p in places_of(module) if p.region == "weight"], region_sizes(module)["weight"]
        writer = ExecutableWriter(self._path, self._machine.hash, features_of(weights))
        self._writer = writer = self._stack.enter_context(writer)
        if self._program.virtual_weights:
            writer.virtual_weights(statement_of(self._program, self._scheme, size_bytes))
            return
        self._packing = beside = self._stack.enter_context(Beside())
        chunks = beside.until_stopped(weight_chunks(weights, self._program, size_bytes, self._progress))
        beside.start(lambda: writer.stream(Section.WEIGHTS, chunks))

    def finish(self, module: ModuleOp, prediction: Prediction | None) -> None:
        """The rest, of the module behind the last stage. Raises CompileError for weights that cannot be packed."""
        places, writer = places_of(module), self._writer
        tables = [place for place in places if place.region == "table"]
        sections = {
            Section.TEXT: encode_text(module),
            Section.SMEM: smem_image(module),
            Section.TABLE: table_region(tables, region_sizes(module)["table"]),
            Section.SYM: symbols_to_bytes(symbols_of(places)),
            Section.DBG: debug_map(module).to_bytes(),
            Section.META: canonical_json(meta_of(module, self._program, self._machine, self._scheme)),
        }
        if prediction is not None:
            sections[Section.PRED] = prediction.to_bytes()
        if not self._program.virtual_weights:
            self._packing.finish()
        for section, content in sections.items():
            writer.add(section, content)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

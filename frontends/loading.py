"""A checkpoint directory, a GGUF file, a config.json or a .slm file -> Program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, cast

from xdsl.dialects.builtin import ModuleOp

from compiler.dialects import slm
from compiler.program import Program, WeightStore
from frontends.architectures import SHARED_FILE, find_architecture, read_architecture
from frontends.configuration.declared import Scope, declare
from frontends.configuration.dialects import apply_dialects, read_fields, without_unread
from frontends.configuration.evaluator import Evaluator
from frontends.configuration.overrides import apply_overrides
from frontends.configuration.resolve import (
    Document,
    mentioned_fields,
    resolve_config,
    unread_error,
    unread_fields,
)
from frontends.errors import FrontendError
from frontends.image_processing import read_image_processing
from frontends.inputs import open_model
from frontends.language.checks import check
from frontends.language.syntax import ArchitectureFile, Table
from frontends.model_files import ModelFiles
from frontends.tracing.statements import trace
from frontends.weights.binding import (
    bind_own_names,
    bind_table,
    ignored_patterns,
    unused_error,
    unused_tensors,
)
from frontends.weights.checkpoint import TensorSource
from frontends.weights.formulas import tensor_formulas
from frontends.weights.rows import WeightRow, alias_targets, collect_rows
from frontends.weights.stores import CheckpointWeights, RandomWeights, VirtualWeights

POSITION_FIELDS = ("max_position_embeddings", "n_positions")
MAX_SEED = 2**63 - 1


class Virtual(Enum):
    """Whether to take weights as virtual: names and shapes without values."""

    NEVER = "never"
    IF_ABSENT = "if absent"
    ALWAYS = "always"


@dataclass(frozen=True)
class _Model:
    """A file with its config resolved and its weights declared."""

    file: ArchitectureFile
    shared: ArchitectureFile
    format: str
    config: dict[str, Any]
    scope: Scope
    evaluator: Evaluator


def load_program(
    path: Path,
    *,
    random_seed: int | None = None,
    virtual: Virtual = Virtual.NEVER,
    allow_unread: bool = False,
    overrides: Mapping[str, str] | None = None,
) -> Program:
    """Loads a Hugging Face directory or a GGUF file, or a bare config.json or .slm file with random or virtual weights.

    `random_seed` makes bf16 weights from a seed. `virtual`: whether weights may have shapes alone, enough to time a
    program. `allow_unread` turns config fields and tensors that the architecture does not read from errors into `notes`.
    `overrides` are config values by name, given as JSON or plain text. Raises FrontendError for anything wrong in the files.
    """
    if random_seed is not None and not 0 <= random_seed <= MAX_SEED:
        raise FrontendError(f"the seed of random weights must be between 0 and {MAX_SEED}, found {random_seed}")
    files = open_model(Path(path))
    without_values = _without_values(files, path, random_seed, virtual)
    notes: list[str] = []
    shared = read_architecture(SHARED_FILE)
    document, rows = apply_dialects(shared, files.document, files.format, files.tensors)
    file = files.own_file or find_architecture(document.values.get("model_type"), document.name)
    check(file)
    document, fixed = apply_overrides(file, document, overrides or {})
    config, evaluator = resolve_config(file, document, fixed)
    mentioned = mentioned_fields((file, shared))
    _report(_unread(file, files.document, mentioned | read_fields(rows, mentioned)), allow_unread, notes)
    model = _Model(file, shared, files.format, config, declare(file, evaluator, config), evaluator)
    if without_values:
        store: WeightStore = VirtualWeights(model.scope, _aliases(model))
    elif random_seed is not None:
        store = _random_weights(model, random_seed)
    elif files.quantized is not None:
        store = files.quantized(model.scope)
    else:
        assert files.tensors is not None
        store = _checkpoint_weights(model, files.tensors(), allow_unread, notes)
    module = trace(file, config, model.scope, store, evaluator)
    text = files.text()
    return Program(
        module=module,
        weights=store,
        architecture=file.architecture.name if file.architecture else file.source.name,
        config=without_unread(document, rows, mentioned).values,
        tokenizer_json=text.tokenizer_json,
        chat_template=text.chat_template,
        special_tokens=text.special_tokens,
        stop_tokens=text.stop_tokens,
        max_positions=_max_positions(document, module),
        source=str(path),
        image_processing=read_image_processing(Path(path) if Path(path).is_dir() else None),
        notes=[*notes, *text.notes],
        virtual_weights=without_values,
        scheme=files.scheme if random_seed is None and not without_values else None,
    )


def _unread(file: ArchitectureFile, document: Document, read: set[tuple[str, ...]]) -> FrontendError | None:
    unread = unread_fields(document.values, read)
    return unread_error(document, unread, read, file.source.name) if unread else None


def _report(error: FrontendError | None, allowed: bool, notes: list[str]) -> None:
    """Raises the error, or takes it down as a note if it is allowed."""
    if error is None:
        return
    if not allowed:
        raise error
    notes.append(error.remark())


def _without_values(files: ModelFiles, path: Path, random_seed: int | None, virtual: Virtual) -> bool:
    """Whether the weights are virtual. Raises FrontendError if there are none and nothing says what to take instead."""
    if random_seed is not None:
        if virtual == Virtual.ALWAYS:
            raise FrontendError("weights cannot be random and virtual at once", str(path))
        return False
    absent = files.tensors is None and files.quantized is None
    if absent and virtual == Virtual.NEVER:
        hint = "give a seed for random weights (--random-weights SEED), or time the model without any (--timing-only)"
        raise FrontendError("there are no weights beside this file", str(path), hint=hint)
    return virtual == Virtual.ALWAYS or absent


def _rows(model: _Model) -> dict[str, WeightRow]:
    """Weight path -> how the format's table says it is stored; nothing without a table."""
    table = model.file.tables.get(model.format)
    return {} if table is None else collect_rows(model.file, table, model.scope, model.config, model.evaluator)


def _aliases(model: _Model) -> dict[str, str]:
    """Weight path -> path of the weight whose storage it shares."""
    return alias_targets(_rows(model), model.evaluator)


def _random_weights(model: _Model, seed: int) -> RandomWeights:
    return RandomWeights(model.scope, _aliases(model), seed, tensor_formulas(_rows(model), model.evaluator))


def _checkpoint_weights(model: _Model, source: TensorSource, allow_unread: bool, notes: list[str]) -> CheckpointWeights:
    table = _table(model, source)
    if table is None:
        recipes = bind_own_names(model.scope, model.evaluator, source)
    else:
        recipes = bind_table(model.file, table, model.scope, model.config, model.evaluator, source)
    ignored = ignored_patterns(model.file, model.shared, checkpoint_format=model.format)
    unused = unused_tensors(source, recipes.values(), ignored)
    _report(unused_error(source, unused, model.file.source.name) if unused else None, allow_unread, notes)
    return CheckpointWeights(recipes, source)


def _table(model: _Model, source: TensorSource) -> Table | None:
    """The table of the format; None for a file without any, whose weights are stored under their own names."""
    tables = model.file.tables
    if tables and model.format not in tables:
        message = f"{model.file.source.name} does not say how a checkpoint of format {model.format} stores the weights"
        hint = (
            f"known are {', '.join(tables)}; for another one, write a .slm file with a table checkpoint {model.format}"
        )
        raise FrontendError(message, source.name, hint=hint)
    return tables.get(model.format)


def _max_positions(document: Document, module: ModuleOp) -> int:
    """The shortest of the config's context lengths and the learned position tables; 0 if there are none."""
    text = document.values.get("text_config")
    records = [document.values, cast(dict[str, Any], text) if isinstance(text, dict) else {}]
    values = [record.get(field) for record in records for field in POSITION_FIELDS]
    limits = [value for value in values if isinstance(value, int) and not isinstance(value, bool) and value > 0]
    for op in module.walk():
        if isinstance(op, slm.EmbeddingOp) and isinstance(op.tokens.owner, slm.PositionsOp):
            limits.append(op.weight.shape[0] - op.tokens.owner.offset.value.data)
    return min(limits, default=0)

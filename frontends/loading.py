"""A checkpoint directory, a config.json or a .slm file -> Program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from xdsl.dialects.builtin import ModuleOp

from compiler.dialects import slm
from compiler.program import Program, WeightStore
from frontends.architectures import SHARED_FILE, find_architecture, read_architecture
from frontends.configuration.declared import Scope, declare
from frontends.configuration.evaluator import Evaluator
from frontends.configuration.overrides import apply_overrides
from frontends.configuration.resolve import (
    Document,
    apply_dialects,
    mentioned_fields,
    no_tensor,
    resolve_config,
    unread_error,
    unread_fields,
)
from frontends.errors import FrontendError
from frontends.files import MIB, read_bytes, read_json_object, read_text
from frontends.image_processing import read_image_processing
from frontends.language.checks import check
from frontends.language.parser import MAX_SOURCE_CHARACTERS, parse
from frontends.language.source import SourceText
from frontends.language.syntax import ArchitectureFile
from frontends.stop_tokens import read_stop_tokens
from frontends.tracing.statements import trace
from frontends.weights.binding import (
    bind_own_names,
    bind_table,
    ignored_patterns,
    unused_error,
    unused_tensors,
)
from frontends.weights.checkpoint import open_checkpoint
from frontends.weights.rows import alias_targets, collect_rows
from frontends.weights.stores import CheckpointWeights, RandomWeights

HUGGING_FACE = "hf"
CONFIG_FILE, TOKENIZER_FILE = "config.json", "tokenizer.json"
MAX_TOKENIZER_BYTES = 64 * MIB
MAX_SEED = 2**63 - 1


@dataclass(frozen=True)
class _Inputs:
    """What the user gave: the config, a .slm file if there is one beside or instead of it, the checkpoint directory."""

    document: Document
    own_file: ArchitectureFile | None
    directory: Path | None
    notes: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class _Model:
    """A file with its config resolved and its weights declared."""

    file: ArchitectureFile
    shared: ArchitectureFile
    config: dict[str, Any]
    scope: Scope
    evaluator: Evaluator


def load_program(
    path: Path,
    *,
    random_seed: int | None = None,
    allow_unread: bool = False,
    overrides: Mapping[str, str] | None = None,
) -> Program:
    """Loads a Hugging Face directory, or a bare config.json or .slm file with random weights.

    `random_seed` makes bf16 weights from a seed; a path without weights needs it. `allow_unread` turns config fields
    and tensors that the architecture does not read from errors into `notes`. `overrides` are config values by name,
    given as JSON or plain text. Raises FrontendError for anything wrong in the files.
    """
    if random_seed is not None and not 0 <= random_seed <= MAX_SEED:
        raise FrontendError(f"the seed of random weights must be between 0 and {MAX_SEED}, found {random_seed}")
    inputs = _read_inputs(Path(path))
    if inputs.directory is None and random_seed is None:
        hint = "give a seed for random weights (--random-weights SEED)"
        raise FrontendError("there are no weights beside this file", str(path), hint=hint)
    shared = read_architecture(SHARED_FILE)
    document = apply_dialects(shared, inputs.document, HUGGING_FACE, no_tensor)
    file = inputs.own_file or find_architecture(document.values.get("model_type"), document.name)
    check(file)
    document, fixed = apply_overrides(file, document, overrides or {})
    config, evaluator = resolve_config(file, document, fixed)
    _check_unread(file, shared, inputs, allow_unread)
    model = _Model(file, shared, config, declare(file, evaluator, config), evaluator)
    if random_seed is not None:
        store: WeightStore = _random_weights(model, random_seed)
    else:
        store = _checkpoint_weights(model, cast(Path, inputs.directory), allow_unread, inputs.notes)
    module = trace(file, config, model.scope, store, evaluator)
    return Program(
        module=module,
        weights=store,
        architecture=file.architecture.name if file.architecture else file.source.name,
        config=document.values,
        tokenizer_json=_read_tokenizer(inputs.directory),
        stop_tokens=read_stop_tokens(inputs.directory, document.values, document.name),
        max_positions=_max_positions(document, module),
        source=str(path),
        image_processing=read_image_processing(inputs.directory),
        notes=inputs.notes,
    )


def _read_inputs(path: Path) -> _Inputs:
    if path.is_dir():
        own = sorted(path.glob("*.slm"))
        if len(own) > 1:
            raise FrontendError(f"there are {len(own)} .slm files in this directory, expected one", str(path))
        config_path = path / CONFIG_FILE
        if not config_path.exists():
            raise FrontendError(f"there is no {CONFIG_FILE} in this directory", str(path))
        document = Document(read_json_object(config_path), str(config_path))
        return _Inputs(document, _read_file(own[0]) if own else None, path)
    if not path.exists():
        raise FrontendError("there is no such file or directory", str(path))
    if path.suffix == ".slm":
        return _Inputs(Document({}, "the config"), _read_file(path), None)
    if path.suffix == ".json":
        return _Inputs(Document(read_json_object(path), str(path)), None, None)
    hint = "expected a Hugging Face directory, a config.json or a .slm file"
    raise FrontendError("this is not a checkpoint that can be read", str(path), hint=hint)


def _read_file(path: Path) -> ArchitectureFile:
    return parse(SourceText(path.name, read_text(path, MAX_SOURCE_CHARACTERS)))


def _check_unread(file: ArchitectureFile, shared: ArchitectureFile, inputs: _Inputs, allow_unread: bool) -> None:
    mentioned = mentioned_fields((file, shared))
    unread = unread_fields(inputs.document.values, mentioned)
    if not unread:
        return
    error = unread_error(inputs.document, unread, mentioned, file.source.name)
    if not allow_unread:
        raise error
    inputs.notes.append(error.headline())


def _random_weights(model: _Model, seed: int) -> RandomWeights:
    table = model.file.tables.get(HUGGING_FACE)
    if table is None:
        return RandomWeights(model.scope, {}, seed)
    rows = collect_rows(model.file, table, model.scope, model.config, model.evaluator)
    return RandomWeights(model.scope, alias_targets(rows, model.evaluator), seed)


def _checkpoint_weights(model: _Model, directory: Path, allow_unread: bool, notes: list[str]) -> CheckpointWeights:
    source = open_checkpoint(directory)
    table = model.file.tables.get(HUGGING_FACE)
    if table is None:
        recipes = bind_own_names(model.scope, model.evaluator, source)
    else:
        recipes = bind_table(model.file, table, model.scope, model.config, model.evaluator, source)
    ignored = ignored_patterns(model.file, model.shared, checkpoint_format=HUGGING_FACE)
    unused = unused_tensors(source, recipes.values(), ignored)
    if unused:
        error = unused_error(source, unused, model.file.source.name)
        if not allow_unread:
            raise error
        notes.append(error.headline())
    return CheckpointWeights(recipes, source)


def _read_tokenizer(directory: Path | None) -> bytes | None:
    if directory is None or not (directory / TOKENIZER_FILE).exists():
        return None
    return read_bytes(directory / TOKENIZER_FILE, MAX_TOKENIZER_BYTES)


def _max_positions(document: Document, module: ModuleOp) -> int:
    """The shortest of the config's context length and the learned position tables; 0 if there is neither."""
    text = document.values.get("text_config")
    records = [document.values, cast(dict[str, Any], text) if isinstance(text, dict) else {}]
    values = [record.get("max_position_embeddings") for record in records]
    limits = [value for value in values if isinstance(value, int) and not isinstance(value, bool) and value > 0]
    for op in module.walk():
        if isinstance(op, slm.EmbeddingOp) and isinstance(op.tokens.owner, slm.PositionsOp):
            limits.append(op.weight.shape[0] - op.tokens.owner.offset.value.data)
    return min(limits, default=0)

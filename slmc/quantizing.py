"""`slmc quantize`: a checkpoint to a directory of matrices in the formats of a scheme."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compiler.dialects import slm
from compiler.program import Program
from compiler.quantization.calibration import LEAST_TOKENS, MOST_TOKENS
from compiler.quantization.methods import Chain
from compiler.quantization.run import Prepared, prepare, produce
from compiler.quantization.sampling import write_text
from compiler.schemes import find_scheme
from frontends.files import read_text
from frontends.tokenizer import MAX_TEXT_CHARACTERS, TextTokenizer
from frontends.weights.quantized_record import Calibration, QuantizationRecord
from frontends.weights.quantized_writer import QuantizedDirectory, check_place
from slmc.building import Checkpoint, scheme_of
from slmc.errors import CommandError
from slmc.progress import Steps, steps

DEFAULT_TOKENS = 512
BYTES_PER_CHARACTER = 4


@dataclass(frozen=True)
class Request:
    """text: a file to calibrate on, None: the model writes one with the seed. tokens: how many of it; None: 512, or what the model
    has positions for if that is less."""

    scheme: str | None
    method: str = "rtn"
    text: Path | None = None
    tokens: int | None = None
    seed: int = 0


def quantize_checkpoint(checkpoint: Checkpoint, request: Request, output: Path, replace: bool = False) -> list[str]:
    """Writes the directory; the notes say what could not be done. Raises CommandError, CompileError, FrontendError, OSError."""
    chain = Chain.of(request.method)
    if not checkpoint.path.is_dir():
        hint = "convert a GGUF file to a Hugging Face directory first"
        raise CommandError("expected a directory with config.json and safetensors", hint, str(checkpoint.path))
    check_place(output, replace)
    program = checkpoint.load()
    scheme = find_scheme(scheme_of(program, request.scheme))
    with steps() as progress:
        tokens, calibration = _calibration(program, chain, request, progress)
        prepared = prepare(program, scheme, chain, tokens, progress)
        weights = prepared.job.weights
        shapes = {name: weights.shape(name) for name in weights.names()}
        with QuantizedDirectory(output, checkpoint.path, shapes, prepared.formats, prepared.dtypes) as directory:
            produce(prepared, directory)
            directory.finish(_record(prepared, scheme.name, calibration))
    unused = [f"method {chain.name} looks at no inputs: --text is not used"] if request.text and not tokens else []
    return [*program.notes, *unused, *prepared.job.notes]


def _record(prepared: Prepared, scheme: str, calibration: Calibration | None) -> QuantizationRecord:
    return QuantizationRecord(
        version=1,
        scheme=scheme,
        method=prepared.chain.name,
        calibration=calibration,
        formats={name: str(form) for name, form in prepared.formats.items()},
        aliases=prepared.aliases,
        notes=[note[:4096] for note in prepared.job.notes],
    )


def _calibration(
    program: Program, chain: Chain, request: Request, progress: Steps
) -> tuple[list[int], Calibration | None]:
    """The tokens, and what the record says of them; none if no method looks at inputs."""
    if not chain.needs_tokens:
        return [], None
    count = _token_count(program, request.tokens)
    if request.text is not None:
        tokens = _tokens_of(program, request.text)[:count]
        source = f"file {request.text.name}"
    else:
        progress.say("write calibration text")
        tokens = write_text(program, _start(program, request.seed), count, request.seed, progress.count)
        source = f"the model's own text, seed {request.seed}"
    vocabulary = _vocabulary(program)
    if max(tokens) >= vocabulary:
        raise CommandError(f"the tokenizer gives token {max(tokens)}, and the model has {vocabulary}")
    return tokens, Calibration(source=source, tokens=len(tokens))


def _token_count(program: Program, wanted: int | None) -> int:
    longest = min(MOST_TOKENS, program.max_positions or MOST_TOKENS)
    if wanted is None:
        return min(DEFAULT_TOKENS, longest)
    if wanted > longest:
        raise CommandError(f"calibration takes at most {longest} tokens of this model, found {wanted}")
    return wanted


def _tokens_of(program: Program, path: Path) -> list[int]:
    text = read_text(path, MAX_TEXT_CHARACTERS * BYTES_PER_CHARACTER)
    if not text.strip():
        raise CommandError("the calibration text is empty", place=str(path))
    if program.tokenizer_json is None:
        hint = "leave --text out: the model then writes a text itself"
        raise CommandError("the checkpoint has no tokenizer for the calibration text", hint, program.source)
    tokens = TextTokenizer(program.tokenizer_json, program.source).encode(text)
    if len(tokens) < LEAST_TOKENS:
        message = f"the calibration text is too short: expected at least {LEAST_TOKENS} tokens, found {len(tokens)}"
        raise CommandError(message, place=str(path))
    return tokens


def _start(program: Program, seed: int) -> list[int]:
    """What the tokenizer puts before every text, else a token drawn at random."""
    if program.tokenizer_json is not None:
        begin = TextTokenizer(program.tokenizer_json, program.source).encode("")
        if begin and max(begin) < _vocabulary(program):
            return begin[:1]
    return [int(np.random.default_rng(seed).integers(_vocabulary(program)))]


def _vocabulary(program: Program) -> int:
    """Rows of the table of tokens."""
    rows = [op.weight.shape[0] for op in program.module.walk() if isinstance(op, slm.EmbeddingOp)]
    return rows[0]

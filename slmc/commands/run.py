"""slmc run"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click

from frontends import Virtual
from isa.spec import MAX_TOPK
from simulator.session import MAX_THREADS, EngineName
from slmc.executables import Wanted, opened
from slmc.files import text_file
from slmc.inputs import TOKENS
from slmc.options import (
    FILE,
    check_chat,
    checkpoint_of,
    checkpoint_options,
    debug_option,
    target_options,
    timing_options,
)
from slmc.session import Session
from slmc.streaming import Request, check_folders, print_host_profile, print_report, stream, write_results


@click.command(no_args_is_help=True)
@click.argument("executable", type=FILE, metavar="OUT.slx|CHECKPOINT")
@click.option("--prompt", metavar="TEXT", help="The text to continue; generation ends at the model's stop tokens.")
@click.option("--chat", is_flag=True, help="The prompt is a message in the model's chat template; print the answer.")
@click.option("--system", metavar="TEXT", help="With --chat: a message to the model before the prompt.")
@click.option("--tokens", type=TOKENS, metavar="1,2,3|@ids.json", help="Token ids to continue; no stop tokens.")
@click.option("--image", type=FILE, metavar="FILE", help="A picture that stands before the text of the prompt.")
@click.option(
    "--image-at",
    type=click.IntRange(0),
    metavar="N",
    help="Where among --tokens the rows of the image begin; with --timing-only no file is needed.",
)
@click.option("-n", "--max-new", type=click.IntRange(1), metavar="N", help="Most tokens to generate.  [default: 128]")
@target_options(None)
@checkpoint_options
@timing_options
@click.option("--temperature", type=click.FloatRange(0), help="0 takes the most probable token.  [default: 0]")
@click.option("--top-k", type=click.IntRange(1, MAX_TOPK), help="Choose among the K most probable tokens.")
@click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), help="Choose among this much probability.")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True, help="Of the sampling.")
@click.option("--timing-only", is_flag=True, help="Time and energy without tensor values; tokens mean nothing.")
@click.option(
    "--engine",
    type=click.Choice(get_args(EngineName)),
    help="Both give the same; reference is slow and to be read.  [default: fast]",
)
@click.option(
    "--threads",
    type=click.IntRange(0, MAX_THREADS),
    default=0,
    show_default=True,
    help="Of the fast engine; 0: one per core. Results do not depend on it.",
)
@click.option(
    "--no-extrapolate",
    is_flag=True,
    help="With --timing-only, execute every instruction; the numbers are the same.",
)
@click.option("--prompt-length", type=click.IntRange(1), metavar="N", help="A prompt of N tokens, with --timing-only.")
@click.option(
    "--position",
    type=click.IntRange(0),
    metavar="N",
    help="With --timing-only: begin as if N tokens had been processed, to time a long context without its prompt.",
)
@click.option("--trace", type=FILE, help="Write what each engine works on when, for Perfetto (reference engine).")
@click.option("--commit-log", type=FILE, help="Write what each instruction changes (reference engine).")
@click.option("--host-profile", is_flag=True, help="Show where the time of this computer went (fast engine).")
@click.option("--logits", type=FILE, help="Write an .npz: tokens int32 [n], logits float32 [n, vocabulary].")
@click.option("--stats", type=FILE, help="Write the report as JSON (docs/stats.md).")
@debug_option
def run(
    executable: Path,
    prompt: str | None,
    chat: bool,
    system: str | None,
    tokens: list[int] | None,
    image: Path | None,
    image_at: int | None,
    max_new: int | None,
    machine: str | None,
    scheme: str | None,
    context: int | None,
    random_seed: int | None,
    settings: tuple[tuple[str, str], ...],
    allow_unread: bool,
    virtual_weights: bool,
    allow_oversize: bool,
    temperature: float | None,
    top_k: int | None,
    top_p: float | None,
    seed: int,
    timing_only: bool,
    engine: EngineName | None,
    no_extrapolate: bool,
    prompt_length: int | None,
    threads: int,
    trace: Path | None,
    commit_log: Path | None,
    position: int | None,
    host_profile: bool,
    logits: Path | None,
    stats: Path | None,
) -> None:
    """Generate tokens on the simulator. They are printed as they arrive, then time and energy.

    A checkpoint is compiled to a temporary file first. With --timing-only a config without weights needs none.
    """
    if sum(given is not None for given in (prompt, tokens, prompt_length)) != 1:
        raise click.UsageError("expected one of --prompt TEXT, --tokens IDS and --prompt-length N")
    if prompt_length is not None and not timing_only:
        raise click.UsageError("--prompt-length goes with --timing-only")
    if position is not None and not timing_only:
        raise click.UsageError("--position goes with --timing-only: the KV cache before it would have no values")
    if image is not None and chat:
        raise click.UsageError("--image does not go with --chat: a chat template does not say where an image stands")
    if (image is not None and prompt is None) != (image_at is not None) and not (timing_only and image is None):
        raise click.UsageError("--image goes with --prompt, or together with --image-at N with --tokens")
    if engine == "fast" and (trace or commit_log):
        raise click.UsageError("--trace and --commit-log need the reference engine")
    if host_profile and (engine == "reference" or trace or commit_log):
        raise click.UsageError("--host-profile is of the fast engine")
    if no_extrapolate and not timing_only:
        raise click.UsageError("--no-extrapolate goes with --timing-only: other runs execute every instruction")
    if logits is not None and timing_only:
        raise click.UsageError("a run with --timing-only has no logits to write")
    if virtual_weights and not timing_only:
        raise click.UsageError("--virtual-weights have no values to run with: they go with --timing-only")
    if allow_oversize and not timing_only:
        raise click.UsageError("--allow-oversize goes with --timing-only: there is no memory to run it in")
    check_chat(chat, system, prompt is not None, "--prompt")
    check_folders(trace, commit_log, logits, stats)
    given = prompt if prompt is not None else tokens if tokens is not None else [0] * (prompt_length or 0)
    sampling = (temperature, top_k or 0, 1.0 if top_p is None else top_p, seed)
    request = Request(given, max_new, *sampling, chat=chat, system=system, image=image, image_at=image_at)
    absent = Virtual.IF_ABSENT if timing_only else Virtual.NEVER
    virtual = Virtual.ALWAYS if virtual_weights else absent
    source = checkpoint_of(executable, random_seed, settings, allow_unread, virtual)
    with opened(source, Wanted(machine, scheme, context, allow_oversize)) as program:
        with text_file(trace) as trace_file, text_file(commit_log) as log_file:
            session = Session(
                program,
                timing_only=timing_only,
                position=position or 0,
                seed=seed,
                engine=engine,
                extrapolate=not no_extrapolate,
                threads=threads,
                trace=trace_file,
                commit_log=log_file,
                profile_host=host_profile,
            )
            generated = stream(session, request, keep_logits=logits is not None)
            left_out = session.close()
            if left_out:
                click.echo(f"note: {left_out:,} events are not in the trace", err=True)
        write_results(session, generated, logits, stats)
        print_report(session)
        if host_profile:
            print_host_profile(session)

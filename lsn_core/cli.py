"""The command line: `python -m lsn_core VERB …`.

Every verb exits with 0 when it did what was asked, 1 when `verify` found a fault, 2 on bad input with
one sentence on standard error, and 130 when stopped by Ctrl-C. Heavy libraries are imported by the
verbs that need them, so that `--help` and the reading verbs answer at once.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from lsn_core.errors import LsnError
from lsn_core.languages import PAPER_LANGUAGES

DEFAULT_ATLAS = "masks/mine"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise LsnError(f"{message[:1].upper()}{message[1:].rstrip('.')}; see '{self.prog} --help'.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        arguments = _parser().parse_args(argv)
        return arguments.run(arguments)
    except LsnError as error:
        print(f"lsn_core: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"lsn_core: {error.filename or 'a file'}: {error.strerror or error}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "\nlsn_core: stopped; what was finished is kept, and the same command goes on from there.",
            file=sys.stderr,
        )
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m lsn_core",
        description="Find the sub-network of each language in a multilingual model, and what they share.",
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True, parser_class=_Parser)
    _add_discover(verbs)
    _add_overlap(verbs)
    _add_tree(verbs)
    _add_inspect(verbs)
    _add_verify(verbs)
    _add_pretrain(verbs)
    return parser


# --- discover ---------------------------------------------------------------------------------------


def _add_discover(verbs: Any) -> None:
    verb = verbs.add_parser("discover", help="find the sub-network of each language and cache it in an atlas")
    verb.add_argument("--model", required=True, help="'demo', a hub name, or a folder in the hub's layout")
    verb.add_argument("--task", default="mlm", help="mlm (default)")
    verb.add_argument(
        "--languages", nargs="+", default=list(PAPER_LANGUAGES), metavar="L", help="language codes"
    )
    verb.add_argument(
        "--data", default="cldr", metavar="SOURCE", help="'cldr' (embedded, default) or a local folder"
    )
    verb.add_argument(
        "--method", nargs="+", default=["imp"], metavar="METHOD", help="imp (default), oneshot, random, base"
    )
    verb.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="N")
    verb.add_argument(
        "--rounds", type=int, default=9, metavar="N", help="rounds of 10 %% of the weights each (default 9)"
    )
    length = verb.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, metavar="N", help="training steps a round (default 100)")
    length.add_argument(
        "--epochs", type=float, metavar="X", help="passes a round over the largest language's training lines"
    )
    verb.add_argument(
        "--atlas", default=DEFAULT_ATLAS, metavar="DIR", help=f"where tickets go (default {DEFAULT_ATLAS})"
    )
    verb.add_argument("--jobs", type=int, metavar="N", help="processes (default: one a core, one with a GPU)")
    training = verb.add_argument_group("training")
    training.add_argument("--batch-size", type=int, metavar="N", help="sentences a step (default 16)")
    training.add_argument("--learning-rate", type=float, metavar="X", help="at the first step (default 2e-4)")
    training.add_argument(
        "--max-length", type=int, metavar="N", help="word pieces a sentence at most (default 64)"
    )
    training.add_argument(
        "--train-lines", type=int, metavar="N", help="training sentences used at most (default 4096)"
    )
    training.add_argument(
        "--score-lines", type=int, metavar="N", help="test sentences scored at most (default 300)"
    )
    training.add_argument(
        "--precision", choices=("bf16", "fp32"), help="arithmetic of the matrix products (default bf16)"
    )
    training.add_argument(
        "--device", default="auto", help="cpu, cuda, cuda:1 … (default: a GPU where there is one)"
    )
    training.add_argument(
        "--threads", type=int, default=1, metavar="N", help="threads a process on the CPU (default 1)"
    )
    verb.set_defaults(run=_discover)


def _discover(arguments: argparse.Namespace) -> int:
    from lsn_core.discovery.config import Recipe, Training

    settings = {
        name: getattr(arguments, name)
        for name in (
            "steps",
            "batch_size",
            "learning_rate",
            "max_length",
            "train_lines",
            "score_lines",
            "precision",
        )
        if getattr(arguments, name) is not None
    }
    for name, allowed in (("threads", 1), ("jobs", 1)):
        if getattr(arguments, name) is not None and getattr(arguments, name) < allowed:
            raise LsnError(
                f"The option --{name} is {getattr(arguments, name)}; it must be at least {allowed}."
            )
    for seed in arguments.seeds:
        if not 0 <= seed < 2**31:
            raise LsnError(
                f"The option --seeds holds {seed}; a seed is a whole number from 0 to {2**31 - 1}."
            )
    # Checked before anything heavy is loaded, so that a slip answers at once.
    for method in arguments.method:
        Recipe(arguments.task, method, rounds=arguments.rounds, training=Training(**settings))

    from lsn_core.data.source import SPLITS, open_source

    methods = [method for method in dict.fromkeys(arguments.method) if method != "base"]
    source = open_source(arguments.data)
    # The base masks belong to the model alone: with them only, no language is looked at.
    languages = list(dict.fromkeys(arguments.languages)) if methods else []
    for language in languages:
        for split in SPLITS:
            source.corpus(language, split)
    if arguments.epochs is not None and languages:
        settings["steps"] = _steps_of_epochs(arguments.epochs, Training(**settings), source, languages)

    import torch

    from lsn_core.analysis.card import write_card
    from lsn_core.analysis.tables import refresh
    from lsn_core.discovery.pool import run_jobs, told
    from lsn_core.discovery.runs import Setup, TicketJob, Workshop

    recipes = [
        Recipe(arguments.task, method, source.name, arguments.rounds, training=Training(**settings))
        for method in methods
    ]
    jobs = [
        TicketJob(recipe, language, seed)
        for recipe in recipes
        for seed in dict.fromkeys(arguments.seeds)
        for language in languages
    ]
    device = _device(arguments.device)
    setup = Setup(
        arguments.atlas,
        arguments.model,
        arguments.task,
        arguments.data,
        device,
        arguments.threads,
        Training(**settings).max_length,
    )
    cores = max(1, _usable_cores() // arguments.threads)
    processes = min(arguments.jobs or (cores if device == "cpu" else 1), max(1, len(jobs)))

    workshop = Workshop(setup, jobs)
    info = workshop.bench.loaded.info
    _say(
        f"{info['name']}: {info['layers']} layers, {info['prunable_weights']:,} prunable weights; "
        f"{len(jobs)} tickets into {workshop.atlas.path}"
    )
    if workshop.bench.loaded.untrained:
        _say(f"note: the checkpoint has no head for task {arguments.task!r}; it starts from random weights")
    try:
        workshop.base()
        with _Meter(jobs) as meter:
            run_jobs(workshop, setup, jobs, processes, meter.on_event)
    except torch.OutOfMemoryError as error:
        raise LsnError(told(error)) from error
    finally:
        # Also after a stop: what is finished shows in the tables.
        refresh(workshop.atlas)
        write_card(workshop.atlas)
    _say(meter.summary())
    return 0


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _steps_of_epochs(epochs: float, training: Any, source: Any, languages: Sequence[str]) -> int:
    if not epochs > 0 or math.isinf(epochs):
        raise LsnError(f"The option --epochs is {epochs}; it must be above 0.")
    lines = min(training.train_lines, max(len(source.corpus(language, "train")) for language in languages))
    return math.ceil(epochs * lines / training.batch_size)


def _device(name: str) -> str:
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda", "mps"):
            raise RuntimeError(f"no training on {device.type}")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise LsnError(
            f"The device {name!r} cannot be used here; give cpu, or leave --device out."
        ) from error
    return str(device)


class _Meter:
    """Progress on a terminal (with the time left), and a line a finished ticket anywhere."""

    def __init__(self, jobs: Sequence[Any]) -> None:
        from tqdm import tqdm

        self._done: dict[Any, int] = {}
        self._made, self._cached, self._jobs = 0, 0, len(jobs)
        self._bar = tqdm(
            total=sum(job.steps for job in jobs),
            unit="step",
            disable=None if sys.stderr.isatty() else True,
            dynamic_ncols=True,
            smoothing=0.02,
            bar_format="{percentage:3.0f}%|{bar}| {desc} · {rate_fmt} · {remaining} left",
        )

    def __enter__(self) -> _Meter:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def on_event(self, event: Any) -> None:
        job = event.job
        done = event.value if event.kind == "step" else job.steps
        first = job not in self._done
        advance = done - self._done.get(job, 0)
        self._done[job] = done
        if event.kind == "cached" or (first and advance > 1):
            # Found on disk, not computed now: it must not count towards the speed.
            self._bar.total -= advance
            self._bar.refresh()
        else:
            self._bar.update(advance)
        if event.kind == "step":
            rounds = done // job.recipe.training.steps
            self._bar.set_description_str(
                f"{job}, {min(rounds, job.recipe.rounds)}/{job.recipe.rounds} rounds", refresh=False
            )
            return
        self._made += event.kind == "made"
        self._cached += event.kind == "cached"
        if event.kind == "made":
            self._bar.clear()
            _say(f"  {self._made + self._cached}/{self._jobs} {job}")

    def summary(self) -> str:
        return f"{self._made} tickets made, {self._cached} were there already."


# --- overlap and tree -------------------------------------------------------------------------------


def _add_selection(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--atlas", required=True, metavar="DIR")
    verb.add_argument("--task", metavar="T", help="only tickets of this task")
    verb.add_argument(
        "--sparsity", type=float, default=0.5, metavar="S", help="share of weights removed (default 0.5)"
    )


def _check_sparsity(value: float) -> None:
    if not 0 < value < 1:
        raise LsnError(f"The option --sparsity is {value:g}; it must lie between 0 and 1.")


def _add_overlap(verbs: Any) -> None:
    verb = verbs.add_parser("overlap", help="how much each pair of tickets shares, as CSV")
    _add_selection(verb)
    verb.add_argument("--by", default="total", choices=("total", "stack", "layer", "component", "matrix"))
    verb.add_argument("--method", default="imp", help="tickets of this method (default imp)")
    verb.add_argument("--out", metavar="FILE.csv", help="write here rather than to standard output")
    verb.set_defaults(run=_overlap)


def _overlap(arguments: argparse.Namespace) -> int:
    from lsn_core.analysis.overlap import overlap
    from lsn_core.masks.atlas import Atlas

    _check_sparsity(arguments.sparsity)
    atlas = Atlas.open(arguments.atlas)
    _warn_of_problems(atlas)
    table = overlap(atlas, arguments.task, arguments.sparsity, arguments.by, arguments.method)
    _write(table.to_csv(index=False), arguments.out)
    return 0


def _add_tree(verbs: Any) -> None:
    verb = verbs.add_parser("tree", help="which languages group together, as a Newick tree")
    _add_selection(verb)
    verb.add_argument("--distance", default="jaccard", choices=("jaccard", "neutrality"))
    verb.add_argument("--out", metavar="FILE.nwk", help="write here rather than to standard output")
    verb.set_defaults(run=_tree)


def _tree(arguments: argparse.Namespace) -> int:
    from lsn_core.analysis.trees import tree
    from lsn_core.masks.atlas import Atlas

    _check_sparsity(arguments.sparsity)
    atlas = Atlas.open(arguments.atlas)
    _warn_of_problems(atlas)
    result = tree(atlas, arguments.task, arguments.sparsity, arguments.distance)
    _write(result.newick() + "\n", arguments.out)
    _say(f"cophenetic correlation {result.cophenetic:.3f}")
    return 0


# --- inspect and verify -----------------------------------------------------------------------------


def _add_inspect(verbs: Any) -> None:
    verb = verbs.add_parser("inspect", help="what an atlas holds")
    verb.add_argument("atlas", metavar="DIR")
    verb.set_defaults(run=_inspect)


def _inspect(arguments: argparse.Namespace) -> int:
    from lsn_core.masks.atlas import Atlas

    atlas = Atlas.open(arguments.atlas)
    _warn_of_problems(atlas)
    model = atlas.model
    print(f"atlas   {atlas.name}")
    print(f"model   {model['name']} ({model['family']}, revision {model['revision']})")
    print(f"weights {atlas.layout.size:,} prunable in {len(atlas.layout.matrices)} matrices")
    headers = atlas.headers()
    print(f"tickets {len(headers)}")
    for header in headers:
        key = header.key
        main = [s for s in header.scores if s.metric == header.scores[0].metric]
        scores = "  ".join(f"{s.sparsity:.0%}:{s.value:.3f}" for s in main)
        label = "base" if key.method == "base" else f"{key.task} {key.language} {key.method} seed {key.seed}"
        metric = (
            f"{main[0].metric}  {scores}"
            if main
            else f"levels {', '.join(f'{x:.0%}' for x in header.levels)}"
        )
        print(f"  {label:<24} {header.content_hash[:12]}  {metric}")
    return 0


def _add_verify(verbs: Any) -> None:
    verb = verbs.add_parser("verify", help="read every byte of an atlas and say what is damaged or stale")
    verb.add_argument("atlas", metavar="DIR")
    verb.set_defaults(run=_verify)


def _verify(arguments: argparse.Namespace) -> int:
    from lsn_core.masks.atlas import Atlas

    atlas = Atlas.open(arguments.atlas)
    problems = atlas.verify()
    for problem in problems:
        print(problem.message)
    print(f"{len(atlas.headers())} tickets read, {len(problems)} problems.")
    return 1 if problems else 0


def _warn_of_problems(atlas: Any) -> None:
    for problem in atlas.problems():
        _say(f"left out: {problem.message}")


# --- pretrain ---------------------------------------------------------------------------------------


def _add_pretrain(verbs: Any) -> None:
    verb = verbs.add_parser("pretrain", help="make the embedded model again from the embedded text")
    verb.add_argument("--out", required=True, metavar="DIR")
    verb.add_argument("--steps", type=int, metavar="N", help="training steps (default: as it is shipped)")
    verb.set_defaults(run=_pretrain)


def _pretrain(arguments: argparse.Namespace) -> int:
    import torch
    from tqdm import tqdm

    from lsn_core.data.source import open_source
    from lsn_core.tasks.pretrain import PretrainConfig, pretrain

    if arguments.steps is not None and arguments.steps < 1:
        raise LsnError(f"The option --steps is {arguments.steps}; it must be at least 1.")
    config = PretrainConfig() if arguments.steps is None else PretrainConfig(steps=arguments.steps)
    torch.use_deterministic_algorithms(True, warn_only=True)
    with tqdm(total=config.steps, unit="step", disable=None) as bar:

        def on_step(done: int, total: int, loss: float) -> None:
            bar.update(done - bar.n)
            if done % 100 == 0:
                bar.set_postfix(loss=f"{loss:.2f}")
                if not sys.stderr.isatty():
                    _say(f"step {done}/{total}, loss {loss:.3f}")

        pretrain(open_source("cldr"), PAPER_LANGUAGES, Path(arguments.out), config, on_step)
    print((Path(arguments.out) / "CARD.md").read_text(encoding="utf-8"))
    return 0


# --- output -----------------------------------------------------------------------------------------


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _write(text: str, out: str | None) -> None:
    if out is None:
        sys.stdout.write(text)
        return
    from lsn_core.masks.files import atomic_write_bytes

    if not Path(out).name or Path(out).is_dir():
        raise LsnError(f"The option --out is {out!r}; give the name of a file.")
    atomic_write_bytes(Path(out), text.encode())

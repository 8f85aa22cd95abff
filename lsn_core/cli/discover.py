"""The verb `discover`."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from typing import Any

from lsn_core.cli.meter import Meter
from lsn_core.cli.options import (
    add_machine,
    add_training,
    check_machine,
    check_seeds,
    given_training,
    processes_for,
    usable_device,
)
from lsn_core.cli.output import say
from lsn_core.errors import LsnError
from lsn_core.languages import PAPER_LANGUAGES

DEFAULT_ATLAS = "masks/mine"


def add_verbs(verbs: Any) -> None:
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
        "--method",
        nargs="+",
        default=["imp"],
        metavar="METHOD",
        help="imp (default), oneshot, random (with the imp it is matched to), base",
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
    add_training(
        training,
        {
            "batch_size": 16,
            "learning_rate": "2e-4",
            "max_length": 64,
            "train_lines": 4096,
            "score_lines": 300,
            "precision": "bf16",
        },
    )
    add_machine(training)
    verb.set_defaults(run=_discover)


def _discover(arguments: argparse.Namespace) -> int:
    from lsn_core.discovery.config import Recipe, Training

    settings = given_training(arguments)
    check_machine(arguments)
    check_seeds(arguments.seeds)
    # Checked before anything heavy is loaded, so that a slip answers at once.
    for method in arguments.method:
        Recipe(arguments.task, method, rounds=arguments.rounds, training=Training(**settings))

    from lsn_core.data.source import SPLITS, open_source
    from lsn_core.tasks.registry import task_named

    kind = task_named(arguments.task).kind
    methods = _methods(arguments.method)
    source = open_source(arguments.data)
    # The base masks belong to the model alone: with them only, no language is looked at.
    languages = list(dict.fromkeys(arguments.languages)) if methods else []
    for language in languages:
        for split in SPLITS:
            source.corpus(language, split, kind)
    if arguments.epochs is not None and languages:
        settings["steps"] = _steps_of_epochs(arguments.epochs, Training(**settings), source, languages, kind)

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
    device = usable_device(arguments.device)
    setup = Setup(
        arguments.atlas,
        arguments.model,
        arguments.task,
        arguments.data,
        device,
        arguments.threads,
        Training(**settings).max_length,
    )
    processes = processes_for(arguments, device, len(jobs))

    workshop = Workshop(setup, jobs)
    info = workshop.bench.loaded.info
    say(
        f"{info['name']}: {info['layers']} layers, {info['prunable_weights']:,} prunable weights; "
        f"{len(jobs)} tickets into {workshop.atlas.path}"
    )
    if workshop.bench.loaded.untrained:
        say(f"note: the checkpoint has no head for task {arguments.task!r}; it starts from random weights")
    try:
        workshop.base()
        with Meter(jobs) as meter:
            run_jobs(workshop, setup, jobs, processes, meter.on_event)
    except torch.OutOfMemoryError as error:
        raise LsnError(told(error)) from error
    finally:
        # Also after a stop: what is finished shows in the tables.
        refresh(workshop.atlas)
        write_card(workshop.atlas)
    say(meter.summary())
    return 0


def _methods(asked: Sequence[str]) -> list[str]:
    """The methods that need training, `random` last: it is matched to `imp`, which it brings with it."""
    methods = [method for method in dict.fromkeys(asked) if method not in ("base", "random")]
    if "random" not in asked:
        return methods
    return [*methods, *(() if "imp" in methods else ("imp",)), "random"]


def _steps_of_epochs(epochs: float, training: Any, source: Any, languages: Sequence[str], kind: str) -> int:
    if not epochs > 0 or math.isinf(epochs):
        raise LsnError(f"The option --epochs is {epochs}; it must be above 0.")
    lines = min(
        training.train_lines, max(len(source.corpus(language, "train", kind)) for language in languages)
    )
    return math.ceil(epochs * lines / training.batch_size)

"""The verb `discover`."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsn_core.cli.journal import Journal
from lsn_core.cli.meter import Meter
from lsn_core.cli.options import (
    add_machine,
    add_processes,
    add_training,
    check_machine,
    check_seeds,
    crew_for,
    given_training,
)
from lsn_core.cli.output import say
from lsn_core.discovery.config import SCOPES, Recipe, Training, default_scope
from lsn_core.discovery.criteria import CRITERIA
from lsn_core.discovery.plan import Plan, trained_methods, wanted
from lsn_core.discovery.presets import PRESETS, Preset, preset_named
from lsn_core.errors import LsnError
from lsn_core.languages import PAPER_LANGUAGES
from lsn_core.masks.layout import Layout

if TYPE_CHECKING:
    from lsn_core.discovery.pool import Event
    from lsn_core.discovery.runs import Setup, TicketJob
    from lsn_core.models.loading import LoadedModel

DEFAULT_ATLAS = "masks/mine"
_DEFAULTS = {"task": "mlm", "data": "cldr", "languages": PAPER_LANGUAGES, "rounds": 9}


def add_verbs(verbs: Any) -> None:
    verb = verbs.add_parser("discover", help="find the sub-network of each language and cache it in an atlas")
    verb.add_argument(
        "--preset",
        metavar="NAME",
        help=f"settings of a paper, options beside it come first: {', '.join(PRESETS)}",
    )
    verb.add_argument("--model", help="'demo', a hub name, or a folder in the hub's layout")
    verb.add_argument("--task", help="mlm (default), pos, ner, nli")
    verb.add_argument(
        "--languages", nargs="+", metavar="L", help="language codes (default: the paper's eleven)"
    )
    verb.add_argument(
        "--data",
        metavar="SOURCE",
        help="'cldr' (embedded, default), hub:wikipedia, hub:wikiann, hub:xnli, hub:OWNER/NAME or a local folder",
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
        "--rounds", type=int, metavar="N", help="rounds of 10 %% of the weights each (default 9)"
    )
    verb.add_argument(
        "--criterion",
        default="magnitude",
        metavar="NAME",
        help=f"what a weight's score is: {', '.join(CRITERIA)} (default magnitude)",
    )
    verb.add_argument(
        "--scope",
        metavar="PART",
        help=f"which weights are compared, those of each part alone: {', '.join(SCOPES)} "
        "(default global; stack for a model with encoder and decoder)",
    )
    verb.add_argument(
        "--calibration-batches",
        type=int,
        default=16,
        metavar="N",
        help="training batches shown to a criterion that looks at gradients or inputs (default 16)",
    )
    length = verb.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, metavar="N", help="training steps a round (default 100)")
    length.add_argument(
        "--epochs", type=float, metavar="X", help="passes a round over the largest language's training lines"
    )
    verb.add_argument(
        "--atlas", default=DEFAULT_ATLAS, metavar="DIR", help=f"where tickets go (default {DEFAULT_ATLAS})"
    )
    add_processes(verb)
    verb.add_argument(
        "--dry-run", action="store_true", help="say what it would cost, and write no ticket and no atlas"
    )
    verb.add_argument(
        "--progress",
        metavar="FILE",
        help="a file (JSON) to keep up to date with how far it is, for onlookers",
    )
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
            "accumulate": 1,
        },
    )
    add_machine(training)
    verb.set_defaults(run=_discover)


def _discover(arguments: argparse.Namespace) -> int:
    if arguments.progress is None:
        return _find(arguments, None)
    with Journal(arguments.progress) as journal:
        return _find(arguments, journal)


def _find(arguments: argparse.Namespace, journal: Journal | None) -> int:
    preset = _settle(arguments)
    settings = given_training(arguments)
    check_machine(arguments)
    check_seeds(arguments.seeds)

    def recipe(method: str, data: str, scope: str) -> Recipe:
        return Recipe(
            arguments.task,
            method,
            data,
            arguments.rounds,
            arguments.criterion,
            scope,
            training=Training(**settings),
            calibration_batches=arguments.calibration_batches,
        )

    # Checked before anything heavy is loaded, so that a slip answers at once.
    for method in arguments.method:
        recipe(method, arguments.data, arguments.scope or "global")

    from lsn_core.data.opening import open_source
    from lsn_core.data.source import SPLITS
    from lsn_core.tasks.registry import task_named

    kind = task_named(arguments.task).kind
    methods = trained_methods(arguments.method)
    source = open_source(arguments.data)
    # The base masks belong to the model alone: with them only, no language is looked at.
    languages = list(dict.fromkeys(arguments.languages)) if methods else []
    # Languages that the source does not list come first: they are refused before anything is fetched.
    listed = set(source.languages(kind)) if languages else set()
    for language in sorted(languages, key=listed.__contains__):
        for split in SPLITS:
            source.corpus(language, split, kind)
    if arguments.epochs is not None and languages:
        settings["steps"] = _steps_of_epochs(arguments.epochs, Training(**settings), source, languages, kind)

    import torch

    from lsn_core.analysis.publish import publish
    from lsn_core.discovery.pool import told
    from lsn_core.discovery.runs import Setup, TicketJob, Workshop

    def jobs_over(layout: Layout) -> list[TicketJob]:
        scope = arguments.scope or default_scope(layout)
        return [
            TicketJob(recipe(key.method, source.name, scope), key.language, key.seed)
            for key in wanted(arguments.task, methods, languages, arguments.seeds)
        ]

    setup = Setup(
        arguments.atlas,
        arguments.model,
        arguments.task,
        arguments.data,
        "cpu",
        arguments.threads,
        Training(**settings).max_length,
    )
    if preset is not None:
        say(f"preset {arguments.preset}: {preset.note}")
    if arguments.dry_run:
        _rehearse(setup, jobs_over)
        return 0

    with crew_for(arguments) as crew:
        setup = replace(setup, device=crew.device)
        workshop = Workshop(setup, jobs_over)
        jobs = workshop.jobs
        there = [job for job in jobs if workshop.atlas.has(job.key)]
        _say_plan(workshop.bench.loaded, arguments.task, workshop.atlas.path, jobs, there)
        team = crew.hire(setup, workshop.bench, Training(**settings), len(jobs))
        if team.note:
            say(team.note)
        try:
            workshop.base()
            if journal is not None:
                journal.plan(jobs, there, workshop.scores)
            with Meter(jobs, there, Training(**settings).steps, team.size) as meter:

                def on_event(event: Event) -> None:
                    meter.on_event(event)
                    if journal is not None:
                        journal.on_event(event)

                team.run(workshop, jobs, on_event)
        except torch.OutOfMemoryError as error:
            raise LsnError(told(error)) from error
        finally:
            # Also after a stop: what is finished shows in the tables.
            publish(workshop.atlas)
    say(meter.summary())
    return 0


def _settle(arguments: argparse.Namespace) -> Preset | None:
    """Fill in the options that were not given, from the preset and then from the defaults; return the preset.

    Raises LsnError when there is no such preset, or neither a preset nor a model.
    """
    preset = None if arguments.preset is None else preset_named(arguments.preset)
    settled: dict[str, Any] = {}
    if preset is not None:
        settled = {name: getattr(preset, name) for name in ("model", "task", "data", "languages", "rounds")}
        settled |= preset.training
        if arguments.steps is None and arguments.epochs is None:
            settled |= {"steps": preset.steps, "epochs": preset.epochs}
    for name, value in (_DEFAULTS | settled).items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    if arguments.model is None:
        raise LsnError("The option --model is missing; give a model, such as 'demo', or a --preset.")
    return preset


def _rehearse(setup: Setup, jobs_over: Callable[[Layout], Sequence[TicketJob]]) -> None:
    """Say what a run would do. Model, text and an atlas that is there are looked at; nothing is written."""
    from lsn_core.discovery.runs import equipment
    from lsn_core.masks.atlas import ATLAS_FILE, Atlas

    _, _, loaded = equipment(setup)
    jobs: Sequence[TicketJob] = jobs_over(loaded.layout)
    there: list[TicketJob] = []
    folder = Path(setup.atlas)
    if (folder / ATLAS_FILE).exists():
        atlas = Atlas.open_or_create(folder, loaded.info, loaded.layout)
        for job in jobs:
            atlas.check_recipe(job.key, job.recipe.to_dict())
        there = [job for job in jobs if atlas.has(job.key)]
    _say_plan(loaded, setup.task, folder, jobs, there)
    say("dry run: nothing was trained and nothing was written.")


def _say_plan(
    loaded: LoadedModel, task: str, atlas: Path, jobs: Sequence[TicketJob], there: Sequence[TicketJob]
) -> None:
    info = loaded.info
    say(
        f"{info['name']}: {info['layers']} layers, {info['prunable_weights']:,} prunable weights; "
        f"{len(jobs)} tickets into {atlas}"
    )
    if loaded.untrained:
        say(f"note: the checkpoint has no head for task {task!r}; it starts from random weights")
    missing = tuple(job.key for job in jobs if job not in there)
    say(Plan(len(jobs), missing, jobs[0].recipe if jobs else Recipe(task)).sentence())


def _steps_of_epochs(epochs: float, training: Any, source: Any, languages: Sequence[str], kind: str) -> int:
    if not epochs > 0 or math.isinf(epochs):
        raise LsnError(f"The option --epochs is {epochs}; it must be above 0.")
    lines = min(
        training.train_lines, max(len(source.corpus(language, "train", kind)) for language in languages)
    )
    return math.ceil(epochs * lines / training.batch_size)

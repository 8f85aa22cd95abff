"""The verb `transfer`."""

from __future__ import annotations

import argparse
from typing import Any

from lsn_core.cli.meter import Meter
from lsn_core.cli.options import (
    add_machine,
    add_training,
    check_machine,
    check_seeds,
    check_sparsity,
    given_training,
    model_of,
    open_atlas,
    processes_for,
    source_of,
    usable_device,
)
from lsn_core.cli.output import say
from lsn_core.errors import LsnError


def add_verbs(verbs: Any) -> None:
    verb = verbs.add_parser("transfer", help="how well a sub-network serves another language or task")
    verb.add_argument("--atlas", required=True, metavar="DIR")
    verb.add_argument("--task", required=True, metavar="T", help="what is learned and scored")
    verb.add_argument("--sparsity", required=True, type=float, metavar="S", help="share of weights removed")
    verb.add_argument(
        "--kind",
        default="mask",
        choices=("mask", "zero-shot", "task"),
        help="mask (default): the source's mask learns from the target; zero-shot: from the source; "
        "task: the mask of --source-task learns --task",
    )
    verb.add_argument("--source-task", metavar="T2", help="with --kind task: the task that the masks are of")
    verb.add_argument("--languages", nargs="+", metavar="L", help="language codes (default: all there are)")
    verb.add_argument("--seeds", nargs="+", type=int, metavar="N", help="default: all there are")
    verb.add_argument(
        "--data", metavar="SOURCE", help="the text that the tickets were made from (needed for a folder)"
    )
    verb.add_argument("--model", metavar="M", help="the atlas's model (needed for a folder)")
    verb.add_argument("--jobs", type=int, metavar="N", help="processes (default: one a core, one with a GPU)")
    training = verb.add_argument_group("training (by default as the atlas's tickets of the task)")
    training.add_argument("--steps", type=int, metavar="N", help="training steps a network")
    add_training(training)
    add_machine(training)
    verb.set_defaults(run=_transfer)


def _transfer(arguments: argparse.Namespace) -> int:
    check_sparsity(arguments.sparsity)
    check_machine(arguments)
    check_seeds(arguments.seeds or ())
    atlas = open_atlas(arguments.atlas)

    import torch

    from lsn_core.analysis.card import write_card
    from lsn_core.analysis.tables import refresh
    from lsn_core.discovery.pool import run_jobs, told
    from lsn_core.discovery.transfer import TransferSetup, TransferWorkshop, plan_transfer
    from lsn_core.masks.cells import TRANSFER, rebuild
    from lsn_core.tasks.registry import task_named

    task_named(arguments.task)
    jobs = plan_transfer(
        atlas,
        arguments.kind,
        arguments.task,
        arguments.sparsity,
        given_training(arguments),
        arguments.languages,
        arguments.seeds,
        arguments.source_task,
    )
    device = usable_device(arguments.device)
    setup = TransferSetup(
        arguments.atlas,
        model_of(atlas, arguments.model),
        arguments.task,
        source_of(atlas, arguments.data, arguments.task),
        device,
        arguments.threads,
        jobs[0].training.max_length,
    )
    workshop = TransferWorkshop(setup, jobs)
    cells = sum(len(job.targets) for job in jobs)
    say(
        f"{atlas.model['name']}: {len(jobs)} networks, {cells} cells of table {TRANSFER.name} in {atlas.path}"
    )
    try:
        workshop.base()
        with Meter(jobs, what="networks") as meter:
            run_jobs(workshop, setup, jobs, processes_for(arguments, device, len(jobs)), meter.on_event)
    except torch.OutOfMemoryError as error:
        raise LsnError(told(error)) from error
    finally:
        # Also after a stop: what is finished shows in the table.
        refresh(workshop.atlas)
        found = rebuild(workshop.atlas, TRANSFER)
        write_card(workshop.atlas)
    for problem in found.problems:
        say(f"left out: {problem.message}")
    if found.stale:
        say(f"left out: {found.stale} cells of tickets that have changed or are gone")
    say(meter.summary())
    return 0

"""The verb `transfer`."""

from __future__ import annotations

import argparse
from typing import Any

from lsn_core.cli.networks import add_networks, run_networks
from lsn_core.cli.options import check_machine, check_seeds, check_sparsity, given_training, open_atlas


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
    add_networks(verb)
    verb.set_defaults(run=_transfer)


def _transfer(arguments: argparse.Namespace) -> int:
    check_sparsity(arguments.sparsity)
    check_machine(arguments)
    check_seeds(arguments.seeds or ())
    atlas = open_atlas(arguments.atlas)

    from lsn_core.discovery.transfer import TransferSetup, TransferWorkshop, plan_transfer
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
    run_networks(arguments, atlas, jobs, TransferSetup, TransferWorkshop)
    return 0

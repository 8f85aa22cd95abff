"""The verb `retrieve`."""

from __future__ import annotations

import argparse
from typing import Any

from lsn_core.cli.meter import Meter
from lsn_core.cli.options import (
    add_machine,
    check_machine,
    check_seeds,
    check_sparsity,
    model_of,
    open_atlas,
    usable_device,
)
from lsn_core.cli.output import say, say_left_out
from lsn_core.errors import LsnError


def add_verbs(verbs: Any) -> None:
    verb = verbs.add_parser(
        "retrieve", help="how often a translation is a sentence's nearest neighbour, layer by layer"
    )
    verb.add_argument("--atlas", required=True, metavar="DIR")
    verb.add_argument(
        "--data", required=True, metavar="SOURCE", help="parallel text: 'cldr' (embedded) or a local folder"
    )
    verb.add_argument("--task", metavar="T", help="the task that the masks are of (default: the only one)")
    verb.add_argument(
        "--sparsity", type=float, default=0.5, metavar="S", help="share of weights removed (default 0.5)"
    )
    verb.add_argument("--languages", nargs="+", metavar="L", help="language codes (default: all there are)")
    verb.add_argument("--seeds", nargs="+", type=int, metavar="N", help="default: all that are there")
    verb.add_argument(
        "--lines", type=int, default=300, metavar="N", help="sentences a language at most (default 300)"
    )
    verb.add_argument(
        "--max-length", type=int, default=64, metavar="N", help="word pieces a sentence at most (default 64)"
    )
    verb.add_argument("--model", metavar="M", help="the atlas's model (needed for a folder)")
    verb.add_argument("--jobs", type=int, metavar="N", help="processes (default: one a core, one with a GPU)")
    add_machine(verb)
    verb.set_defaults(run=_retrieve)


def _retrieve(arguments: argparse.Namespace) -> int:
    check_sparsity(arguments.sparsity)
    check_machine(arguments)
    check_seeds(arguments.seeds or ())
    if arguments.max_length < 4:
        raise LsnError(f"The option --max-length is {arguments.max_length}; it must be at least 4.")
    atlas = open_atlas(arguments.atlas)

    import torch

    from lsn_core.analysis.publish import publish
    from lsn_core.discovery.crew import processes_for
    from lsn_core.discovery.pool import run_jobs, told
    from lsn_core.discovery.retrieval import RetrievalSetup, plan_networks
    from lsn_core.masks.cells import RETRIEVAL, rebuild

    task, languages, networks = plan_networks(
        atlas, arguments.task, arguments.sparsity, arguments.languages, arguments.seeds
    )
    device = usable_device(arguments.device)
    setup = RetrievalSetup(
        arguments.atlas,
        model_of(atlas, arguments.model),
        task,
        arguments.data,
        device,
        arguments.threads,
        arguments.max_length,
        arguments.lines,
        languages,
    )
    workshop = setup.open()
    with atlas.lock("retrieval", timeout=0):
        encodings, pairs, done = workshop.plan(networks)
        say(
            f"{atlas.model['name']}: {len(languages)} languages, {len(networks)} networks; {len(encodings)} "
            f"encodings and {len(pairs)} comparisons to do, {done} comparisons were there already"
        )
        try:
            with Meter([*encodings, *pairs], what="encodings and comparisons") as meter:
                processes = processes_for(device, arguments.threads, arguments.jobs, len(encodings))
                run_jobs(workshop, [setup] * processes, encodings, meter.on_event)
                run_jobs(workshop, [setup], pairs, meter.on_event)
            workshop.tidy()
        except torch.OutOfMemoryError as error:
            raise LsnError(told(error)) from error
        finally:
            # Also after a stop: what is finished shows in the table.
            found = rebuild(workshop.atlas, RETRIEVAL)
            publish(workshop.atlas)
    say_left_out(found, "comparisons")
    say(meter.summary())
    return 0

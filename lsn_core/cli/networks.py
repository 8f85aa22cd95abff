"""What the verbs that train and score networks share: their options, and the run itself."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lsn_core.cli.meter import Meter
from lsn_core.cli.options import (
    add_machine,
    add_processes,
    add_training,
    crew_for,
    model_of,
    source_of,
)
from lsn_core.cli.output import say, say_left_out
from lsn_core.errors import LsnError
from lsn_core.masks.atlas import Atlas

if TYPE_CHECKING:
    from lsn_core.discovery.networks import NetworkJob, NetworkWorkshop
    from lsn_core.discovery.runs import Setup


def add_networks(verb: argparse.ArgumentParser) -> None:
    """Add the options on which networks are trained, and how."""
    verb.add_argument("--languages", nargs="+", metavar="L", help="language codes (default: all there are)")
    verb.add_argument("--seeds", nargs="+", type=int, metavar="N", help="default: all there are")
    verb.add_argument(
        "--data", metavar="SOURCE", help="the text that the tickets were made from (needed for a folder)"
    )
    verb.add_argument("--model", metavar="M", help="the atlas's model (needed for a folder)")
    add_processes(verb)
    training = verb.add_argument_group("training (by default as the atlas's tickets of the task)")
    training.add_argument("--steps", type=int, metavar="N", help="training steps a network")
    add_training(training)
    add_machine(training)


def run_networks(
    arguments: argparse.Namespace,
    atlas: Atlas,
    jobs: Sequence[NetworkJob],
    setup_of: type[Setup],
    workshop_of: type[NetworkWorkshop],
) -> None:
    """Do the jobs, keep what is finished also after a stop, and say what was done.

    Raises LsnError when a job cannot be done, and KeyboardInterrupt when stopped.
    """
    import torch

    from lsn_core.analysis.publish import publish
    from lsn_core.discovery.pool import told
    from lsn_core.masks.cells import rebuild

    with crew_for(arguments) as crew:
        setup = setup_of(
            arguments.atlas,
            model_of(atlas, arguments.model),
            arguments.task,
            source_of(atlas, arguments.data, arguments.task),
            crew.device,
            arguments.threads,
            jobs[0].training.max_length,
        )
        workshop: NetworkWorkshop[Any] = workshop_of(setup, jobs)
        table = workshop.table
        cells = sum(len(job.targets) for job in jobs)
        say(
            f"{atlas.model['name']}: {len(jobs)} networks, {cells} cells of table {table.name} in {atlas.path}"
        )
        team = crew.hire(setup, workshop.bench, jobs[0].training, len(jobs))
        if team.note:
            say(team.note)
        try:
            workshop.base()
            with Meter(jobs, what="networks") as meter:
                team.run(workshop, jobs, meter.on_event)
        except torch.OutOfMemoryError as error:
            raise LsnError(told(error)) from error
        finally:
            # Also after a stop: what is finished shows in the table.
            found = rebuild(workshop.atlas, table)
            publish(workshop.atlas)
    say_left_out(found, "cells")
    say(meter.summary())

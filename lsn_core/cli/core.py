"""The verb `core`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from lsn_core.cli.networks import add_networks, run_networks
from lsn_core.cli.options import (
    TRAINING_OPTIONS,
    add_selection,
    check_machine,
    check_seeds,
    given_training,
    open_selected,
)
from lsn_core.cli.output import say, write
from lsn_core.errors import LsnError
from lsn_core.languages import in_paper_order
from lsn_core.masks.atlas import Atlas

if TYPE_CHECKING:
    from lsn_core.analysis.core_scores import CoreScores
    from lsn_core.analysis.cores import Membership

_TO_SCORE = ("seeds", "data", "model", "jobs", "cluster", "device", "threads", *TRAINING_OPTIONS)


def add_verbs(verbs: Any) -> None:
    verb = verbs.add_parser(
        "core",
        help="how many weights are kept by exactly k of n languages, and what the core scores, as CSV",
        description="By how many languages the weights are kept: a row for each part of the model and each "
        "number k of languages, with the number and share of weights that exactly k keep, and the shares "
        "expected of independent languages and of languages with only the pretrained magnitudes in common. "
        "With --score the core is trained on each of its languages from the pretrained weights and scored, "
        "beside the language's own sub-network, the dense model, as many weights drawn by lot and as many of "
        "the largest pretrained ones; the scores are kept in the atlas's table core, and the rows are theirs.",
    )
    add_selection(verb, needs_task=True)
    verb.add_argument(
        "--at-least", type=int, required=True, metavar="K", help="languages that keep a weight of the core"
    )
    verb.add_argument("--method", default="imp", help="tickets of this method (default imp)")
    verb.add_argument(
        "--seed", type=int, metavar="N", help="tickets of this seed (default the lowest that all have)"
    )
    verb.add_argument("--out", metavar="FILE.csv", help="write here rather than to standard output")
    verb.add_argument(
        "--score", action="store_true", help="train the core and score it, with the options below"
    )
    add_networks(verb)
    verb.set_defaults(run=_core, **{f"default_{name}": verb.get_default(name) for name in _TO_SCORE})


def _core(arguments: argparse.Namespace) -> int:
    from lsn_core.analysis.cores import check_at_least, core_tickets, membership, membership_table

    _check_options(arguments)
    atlas = open_selected(arguments)
    if arguments.score:
        return _score(arguments, atlas)
    choice = (
        atlas,
        arguments.task,
        arguments.sparsity,
        arguments.seed,
        arguments.method,
        arguments.languages,
    )
    check_at_least(arguments.at_least, len(core_tickets(*choice)))
    found = membership(*choice)
    write(membership_table(found).to_csv(index=False), arguments.out)
    say(_in_words(found, arguments.at_least))
    return 0


def _check_options(arguments: argparse.Namespace) -> None:
    """Raise LsnError when an option does not go with, or without, --score."""
    if arguments.score:
        if arguments.seed is not None:
            raise LsnError("The option --seed goes without --score; give --seeds.")
        if arguments.method != "imp":
            raise LsnError(f"Only the core of imp tickets is scored; leave --method {arguments.method} out.")
        check_machine(arguments)
        check_seeds(arguments.seeds or ())
        return
    for name in _TO_SCORE:
        if getattr(arguments, name) != getattr(arguments, f"default_{name}"):
            raise LsnError(f"The option --{name.replace('_', '-')} goes with --score only.")


def _score(arguments: argparse.Namespace, atlas: Atlas) -> int:
    from lsn_core.analysis.core_scores import WhichCore, core_rows, core_scores, rows_of_core
    from lsn_core.discovery.core import CoreSetup, CoreWorkshop, plan_core
    from lsn_core.tasks.registry import task_named

    task_named(arguments.task)
    jobs = plan_core(
        atlas,
        arguments.task,
        arguments.sparsity,
        arguments.at_least,
        given_training(arguments),
        arguments.languages,
        arguments.seeds,
    )
    run_networks(arguments, atlas, jobs, CoreSetup, CoreWorkshop)
    members = in_paper_order({job.learns for job in jobs})
    which = WhichCore(arguments.task, arguments.sparsity, members, arguments.at_least)
    rows = core_rows(Atlas.open(atlas.path))
    mine = rows_of_core(rows, which)
    mine = mine[mine["seed"].isin({job.seed for job in jobs})]
    write(mine.drop(columns=["tickets", "settings", "cell"]).to_csv(index=False), arguments.out)
    say(_score_in_words(core_scores(rows, which, {job.seed for job in jobs})))
    return 0


def _score_in_words(found: CoreScores) -> str:
    """One sentence on the means; the table has the rest."""
    networks = found.networks
    names = {"own": "own sub-network", "random": "random", "base": "base", "dense": "dense"}
    beside = ", ".join(
        f"{words} {networks.mean(name):.3f}" for name, words in names.items() if networks.known(name)
    )
    return (
        f"The core of {found.which} keeps {round(found.kept['core']):,} weights and scores "
        f"{networks.mean('core'):.3f} ({networks.metric}); {beside} (means over {len(networks.languages)} "
        f"languages and seeds {', '.join(map(str, networks.seeds))})."
    )


def _in_words(found: Membership, k: int) -> str:
    """One sentence on the core: its size, and what size it would have anyway."""
    size, n = found.layout.size, len(found.tickets)

    def amount(weights: float) -> str:
        return f"{round(weights):,} ({weights / size:.1%})"

    against = "what the pretrained magnitudes alone would give is unknown without a base ticket"
    if found.reference_kept is not None:
        reference = found.expected_by_reference()[k:].sum()
        against = f"the pretrained magnitudes alone would give {amount(reference)}"
    chance, key = found.expected_by_chance()[k:].sum(), found.tickets[0]
    return (
        f"At least {k} of {n} languages keep {amount(found.at_least(k).sum())} of {size:,} weights; "
        f"{against}, chance {amount(chance)} (task {key.task}, {key.method}, seed {key.seed}, "
        f"sparsity {found.sparsity:g})."
    )

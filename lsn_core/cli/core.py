"""The verb `core`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from lsn_core.cli.options import add_selection, open_selected
from lsn_core.cli.output import say, write

if TYPE_CHECKING:
    from lsn_core.analysis.cores import Membership


def add_verbs(verbs: Any) -> None:
    verb = verbs.add_parser(
        "core",
        help="how many weights are kept by exactly k of n languages, as CSV",
        description="By how many languages the weights are kept: a row for each part of the model and each "
        "number k of languages, with the number and share of weights that exactly k keep, and the shares "
        "expected of independent languages and of languages with only the pretrained magnitudes in common.",
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
    verb.set_defaults(run=_core)


def _core(arguments: argparse.Namespace) -> int:
    from lsn_core.analysis.cores import check_at_least, core_tickets, membership, membership_table

    atlas = open_selected(arguments)
    choice = (atlas, arguments.task, arguments.sparsity, arguments.seed, arguments.method)
    check_at_least(arguments.at_least, len(core_tickets(*choice)))
    found = membership(*choice)
    write(membership_table(found).to_csv(index=False), arguments.out)
    say(_in_words(found, arguments.at_least))
    return 0


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

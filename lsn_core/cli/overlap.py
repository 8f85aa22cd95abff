"""The verbs `overlap` and `tree`."""

from __future__ import annotations

import argparse
from typing import Any

from lsn_core.cli.options import add_selection, open_selected
from lsn_core.cli.output import say, write


def add_verbs(verbs: Any) -> None:
    _add_overlap(verbs)
    _add_tree(verbs)


def _add_overlap(verbs: Any) -> None:
    verb = verbs.add_parser("overlap", help="how much each pair of tickets shares, as CSV")
    add_selection(verb)
    verb.add_argument("--by", default="total", choices=("total", "stack", "layer", "component", "matrix"))
    verb.add_argument("--method", default="imp", help="tickets of this method (default imp)")
    verb.add_argument("--out", metavar="FILE.csv", help="write here rather than to standard output")
    verb.set_defaults(run=_overlap)


def _overlap(arguments: argparse.Namespace) -> int:
    from lsn_core.analysis.overlap import overlap

    atlas = open_selected(arguments)
    table = overlap(atlas, arguments.task, arguments.sparsity, arguments.by, arguments.method)
    write(table.to_csv(index=False), arguments.out)
    return 0


def _add_tree(verbs: Any) -> None:
    verb = verbs.add_parser("tree", help="which languages group together, as a Newick tree")
    add_selection(verb)
    verb.add_argument("--distance", default="jaccard", choices=("jaccard", "neutrality"))
    verb.add_argument("--out", metavar="FILE.nwk", help="write here rather than to standard output")
    verb.set_defaults(run=_tree)


def _tree(arguments: argparse.Namespace) -> int:
    from lsn_core.analysis.trees import tree

    atlas = open_selected(arguments)
    result = tree(atlas, arguments.task, arguments.sparsity, arguments.distance)
    write(result.newick() + "\n", arguments.out)
    say(f"cophenetic correlation {result.cophenetic:.3f}")
    return 0

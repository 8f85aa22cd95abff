"""What cores score after training: the rows of the table ``core`` as networks side by side."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lsn_core.analysis.networks import NetworkScores
from lsn_core.analysis.words import keepers_words
from lsn_core.errors import LsnError
from lsn_core.languages import in_paper_order
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.cells import CORE, read_rows
from lsn_core.masks.ticket import SPARSITY_TOLERANCE

NETWORKS = ("core", "own", "random", "base", "dense")
"""The networks of a core's score; the words of the table, but that the core itself has a name here."""
OF_NO_CORE = ("own", "dense")


@dataclass(frozen=True)
class WhichCore:
    """The core that was scored: the weights that at least so many of the members keep at a sparsity."""

    task: str
    sparsity: float
    members: tuple[str, ...]
    at_least: int

    def __str__(self) -> str:
        return f"{keepers_words(self.at_least, len(self.members))} at {self.sparsity:.0%}"


@dataclass(frozen=True, eq=False)
class CoreScores:
    """A core's scores beside those of its controls; ``kept`` are the weights of each network, mean over languages
    and seeds, by name; only those that were measured."""

    which: WhichCore
    networks: NetworkScores
    kept: dict[str, float]


def core_rows(atlas: Atlas) -> pd.DataFrame:
    """The rows of the table ``core`` whose tickets are those that are here; empty when there is no table.

    Columns as in ``masks.cells.CORE``. Raises CorruptFile when the table is damaged.
    """
    return read_rows(atlas, CORE)


def scored_cores(rows: pd.DataFrame, task: str) -> Iterator[WhichCore]:
    """The cores of a task that have a score, by sparsity, members and number of languages."""
    mine = rows[(rows["task"] == task) & (rows["control"] == "")]
    places = set(zip(mine["sparsity"], mine["members"], mine["at_least"], strict=True))
    for sparsity, members, at_least in sorted(places):
        yield WhichCore(task, float(sparsity), tuple(members.split()), int(at_least))


def rows_of_core(rows: pd.DataFrame, which: WhichCore) -> pd.DataFrame:
    """The rows of one core and of what stands beside it, in the order of ``rows``."""
    members = rows["members"].map(lambda names: set(names.split()) == set(which.members)).astype(bool)
    mine = members & (rows["at_least"] == which.at_least)
    beside = rows["control"].isin(OF_NO_CORE)
    near = (rows["sparsity"] - which.sparsity).abs() <= SPARSITY_TOLERANCE
    of_a_member = rows["target"].isin(which.members)
    return rows[(rows["task"] == which.task) & near & of_a_member & (mine | beside)]


def core_scores(rows: pd.DataFrame, which: WhichCore, seeds: Collection[int] | None = None) -> CoreScores:
    """One core of the rows that ``core_rows`` returns; ``seeds`` are those to use (all with the core's score).

    Raises LsnError when the core was not scored with any of these seeds.
    """
    mine = rows_of_core(rows, which)
    scored = mine[mine["control"] == ""]
    if seeds is not None:
        scored = scored[scored["seed"].isin(list(seeds))]
    if scored.empty:
        raise LsnError(f"the core of {which} (task {which.task}) has no score with these seeds")
    numbers = tuple(sorted(set(scored["seed"].tolist())))
    metric = scored["metric"].iloc[0]
    mine = mine[(mine["metric"] == metric) & mine["seed"].isin(numbers)]
    languages = in_paper_order(set(which.members))
    found, kept = {}, {}
    for name in NETWORKS:
        chosen = mine[mine["control"] == ("" if name == "core" else name)]
        grid = np.full((len(numbers), len(languages)), np.nan)
        for seed, target, value in zip(chosen["seed"], chosen["target"], chosen["value"], strict=True):
            grid[numbers.index(seed), languages.index(target)] = value
        found[name] = grid
        if len(chosen):
            kept[name] = float(chosen["kept"].mean())
    return CoreScores(which, NetworkScores(metric, languages, numbers, found), kept)

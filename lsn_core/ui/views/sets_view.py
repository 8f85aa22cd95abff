"""The set view of the Neutral core page: which languages keep what the others remove."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lsn_core.analysis.calibration import find_scope
from lsn_core.analysis.sets import MAX_LANGUAGES, set_table
from lsn_core.analysis.words import over_seeds
from lsn_core.ui import states, store
from lsn_core.ui.controls import GROUPS
from lsn_core.ui.figures import Described
from lsn_core.ui.views.core_view import Core, reading
from lsn_core.viz.drawing import Drawn
from lsn_core.viz.labels import SEED_LINES
from lsn_core.viz.sets import SetColumn, sets_figure
from lsn_core.viz.words.sets import sets_sentence

SHOWN = 15  # columns; more are not readable on a small screen


@dataclass(frozen=True)
class Sets:
    """The sets of the languages of `core`, one row each in `table`; those to be drawn in `columns`, largest first."""

    core: Core
    groups: bool
    table: pd.DataFrame
    columns: tuple[SetColumn, ...]


def count(core: Core, which: str) -> Sets:
    """The sets of languages that keep weights of the part that is looked at, means over seeds.

    Raises CannotDraw with more languages than sets are counted of.
    """
    if core.n > MAX_LANGUAGES:
        raise states.CannotDraw(states.too_many_languages(core.n, MAX_LANGUAGES))
    scope = find_scope(core.view.atlas.layout, core.part.single)
    with reading() as progress:
        found = [store.set_sizes(core.view, seed, scope, progress) for seed in core.seeds]
    patterns = np.unique(np.concatenate([sets.patterns for sets in found]))
    tables = [
        set_table(sets, members, scope.matrices, patterns)
        for sets, members in zip(found, core.found, strict=True)
    ]
    weights = np.array([table["weights"] for table in tables])
    table = tables[0][["languages", "size"]].assign(
        weights=weights.mean(axis=0),
        lowest=weights.min(axis=0),
        highest=weights.max(axis=0),
        reference=np.mean([table["reference"] for table in tables], axis=0),
        independence=np.mean([table["independence"] for table in tables], axis=0),
    )
    table = table.sort_values("weights", ascending=False, kind="stable").reset_index(drop=True)
    groups = which == GROUPS
    least, most = (2, core.n - 2) if groups else (1, core.n - 1)
    drawn = table[table["size"].between(least, most)].head(SHOWN)
    numbers = drawn[["weights", "lowest", "highest", "reference", "independence"]].to_numpy(dtype=float)
    columns = tuple(
        SetColumn(tuple(code for code in core.view.languages if code in names.split()), *row)
        for names, row in zip(drawn["languages"], numbers.tolist(), strict=True)
    )
    return Sets(core, groups, table, columns)


def sentence(sets: Sets) -> str:
    """The line above the figure."""
    core = sets.core
    found, matrices = core.found, find_scope(core.view.atlas.layout, core.part.single).matrices
    counts = np.mean([one.counts[:, matrices].sum(axis=1) for one in found], axis=0)
    expected = [one.expected_by_reference()[1:-1][:, matrices].sum() for one in found]
    size = int(core.view.atlas.layout.sizes[matrices].sum())
    return sets_sentence(
        core.view.languages,
        core.part.where,
        size,
        counts.tolist(),
        float(np.mean(expected)),
        sets.columns,
        sets.groups,
    )


def figure(sets: Sets) -> tuple[Drawn, Described]:
    """The sets that keep most weights, without those of all and of no language; CannotDraw where there is none."""
    core, view = sets.core, sets.core.view
    if not sets.columns:
        raise states.CannotDraw(states.no_sets(core.part.where))
    parts = [
        "core-sets",
        view.atlas.name,
        view.task,
        view.method,
        f"{100 * view.sparsity:g}",
        core.part.single,
    ]
    about = Described(
        name="-".join(part.replace(" ", "-").replace("/", "-") for part in parts),
        alt=f"Dots of the weights that exactly the languages of a set keep, {len(sets.columns)} sets, with the "
        "languages of each below. " + sentence(sets).replace("**", ""),
        how=f"A column is a set of languages (strong dots below); above it the weights {core.part.where} that exactly "
        f"these keep and all others remove, on a logarithmic scale. The {len(sets.columns)} largest"
        + (f", of 2 to {core.n - 2} languages" if sets.groups else "")
        + ", without those that all keep or all remove, which are far larger; the table has all sets. Pretrained "
        "weights alone: if all that the languages had in common were the sizes of the pretrained weights. "
        f"{over_seeds(core.seeds, SEED_LINES)}. Atlas {view.atlas.name}, model {view.atlas.model['name']}.",
        table=sets.table,
    )
    return sets_figure(sets.columns, view.languages, view.theme), about

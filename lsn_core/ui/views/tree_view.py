"""What the Language tree page shows."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lsn_core.analysis.trees import Tree, build_tree
from lsn_core.errors import LsnError
from lsn_core.ui import states, store
from lsn_core.ui.controls import Part
from lsn_core.ui.figures import Described
from lsn_core.ui.view import View
from lsn_core.ui.views import overlap_view
from lsn_core.viz.dendrogram import STRONG_SUPPORT, tree_figure
from lsn_core.viz.measures import DISTANCES, JACCARD, NEUTRALITY
from lsn_core.viz.words.overlap import tree_sentence

DISTANCE_WORDS = {NEUTRALITY.token: "neutrality", JACCARD.token: "Jaccard overlap"}


def with_distance(view: View) -> View:
    """The view with a measure that can be a distance: neutrality stays, any other becomes Jaccard.

    Differences from chance or from the reference order pairs much as Jaccard does, but have no fixed top to
    be distant from.
    """
    return view if view.measure is NEUTRALITY else dataclasses.replace(view, measure=JACCARD)


def build(view: View, part: Part, linkage: str) -> Tree:
    """The view's tree, by the view's measure. Raises CannotDraw where a distance is undefined."""
    try:
        return build_tree(store.matrix(view, view.measure.key, part.single), linkage)
    except LsnError as error:
        raise states.CannotDraw(states.no_tree(str(error))) from error


def sentence(tree: Tree, view: View) -> str:
    """The line above the figure."""
    inner = tree.clades()[:-1]
    words = DISTANCE_WORDS[view.measure.token]
    if tree.support is None:
        return tree_sentence(len(tree.labels), tree.cophenetic, None, len(inner), words)
    firm = [
        sorted(clade, key=tree.labels.index)
        for clade, share in zip(inner, tree.support[:-1], strict=True)
        if share >= STRONG_SUPPORT
    ]
    return tree_sentence(len(tree.labels), tree.cophenetic, firm, len(inner) - len(firm), words)


def figure(tree: Tree, view: View, part: Part) -> tuple[go.Figure, Described]:
    """The tree and what goes with it."""
    axis = DISTANCES[view.measure.token]
    fig = tree_figure(tree.labels, tree.linkage, tree.order, tree.support, view.theme, axis)
    about = Described(
        name=overlap_view.file_name(view, f"tree-{tree.method}", part.single),
        alt=f"Tree of {len(tree.labels)} languages: {tree.newick()}",
        how=f"{tree.method.capitalize()} linkage of {axis}, weights counted {part.where}, leaves ordered "
        "so that neighbours are alike. The number at a join, where there is room for it, is the share of 400 "
        "resamples of seeds and matrices, in per cent, that have this very group; below "
        f"{100 * STRONG_SUPPORT:.0f} the group is pale. Atlas {view.atlas.name}, model "
        f"{view.atlas.model['name']}.",
        table=table(tree),
    )
    return fig, about


def table(tree: Tree) -> pd.DataFrame:
    """One row a clade: its languages, the distance at which it joins, its support."""
    clades = tree.clades()
    return pd.DataFrame(
        {
            "languages": [" ".join(sorted(clade, key=tree.labels.index)) for clade in clades],
            "size": [len(clade) for clade in clades],
            "distance": tree.linkage[:, 2],
            "support": np.full(len(clades), np.nan) if tree.support is None else tree.support,
        }
    )

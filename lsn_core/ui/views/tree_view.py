"""What the Language tree page shows."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from lsn_core.analysis.tree_comparison import Comparison, crossings, untangled
from lsn_core.analysis.trees import Group, Tree, cut, cut_height
from lsn_core.errors import LsnError
from lsn_core.languages import family_tree, in_family_order, language, leaves, relatives
from lsn_core.ui import states, store
from lsn_core.ui.controls import Clade, Part
from lsn_core.ui.figures import Described
from lsn_core.ui.view import View
from lsn_core.ui.views import overlap_view
from lsn_core.viz.dendrogram import HEIGHT_DIGITS, Cut, merges, shown_heights, tree_figure
from lsn_core.viz.drawing import Drawn
from lsn_core.viz.labels import listed, plain_name, signed
from lsn_core.viz.measures import DISTANCES, JACCARD, NEUTRALITY
from lsn_core.viz.tanglegram import tanglegram_figure
from lsn_core.viz.words.tree import (
    ESTABLISHED,
    FIRM,
    comparison_sentence,
    cut_sentence,
    support_words,
    tree_sentence,
)

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
        return store.tree(view, linkage, part.single, view.languages)
    except LsnError as error:
        raise states.CannotDraw(states.no_tree(str(error))) from error


def sentence(tree: Tree, view: View) -> str:
    """The line above the figure, on the tree."""
    inner = tree.clades()[:-1]
    words = DISTANCE_WORDS[view.measure.token]
    if tree.support is None:
        return tree_sentence(len(tree.labels), tree.cophenetic, None, len(inner), words)
    firm = [
        sorted(clade, key=tree.labels.index)
        for clade, share in zip(inner, tree.support[:-1], strict=True)
        if share >= FIRM
    ]
    return tree_sentence(len(tree.labels), tree.cophenetic, firm, len(inner) - len(firm), words)


def cut_words(tree: Tree, groups: int) -> str:
    """The line above the figure, on the cut."""
    return cut_sentence(cut(tree, groups))


def clades(tree: Tree) -> list[Clade]:
    """The tree's groups of fewer than all languages, each from top to bottom as drawn, the smallest first."""
    drawn = [tree.labels[leaf] for leaf in tree.order]
    return sorted((tuple(c for c in drawn if c in clade) for clade in tree.clades()[:-1]), key=len)


def clade_words(tree: Tree, view: View, chosen: Clade) -> str:
    """One group in words: who is in it, where it joins, how well it is supported."""
    row = tree.clades().index(frozenset(chosen))
    share = float("nan") if tree.support is None else float(tree.support[row])
    return (
        f"**{listed(chosen, most=12)}** join at {DISTANCES[view.measure.token]} = {tree.linkage[row, 2]:.{HEIGHT_DIGITS}f}; "
        f"{support_words(share)}."
    )


def figure(tree: Tree, view: View, part: Part, groups: int, chosen: Clade | None) -> tuple[Drawn, Described]:
    """The tree and what goes with it."""
    axis = DISTANCES[view.measure.token]
    fig = tree_figure(
        tree.labels,
        tree.linkage,
        tree.order,
        tree.support,
        view.theme,
        axis,
        _drawn_cut(tree, groups),
        chosen or (),
    )
    about = Described(
        name=overlap_view.file_name(view, f"tree-{tree.method}", part.single),
        alt=f"Tree of {len(tree.labels)} languages: {tree.newick()}",
        how=f"{tree.method.capitalize()} linkage of {axis}, weights counted {part.where}, leaves ordered "
        "so that neighbours are alike. The number at a join, where there is room for it, is its support: the share of "
        "400 resamples of seeds and matrices, in per cent, that have this very group. Below "
        f"{100 * FIRM:.0f} the group is thin and faint, below {100 * ESTABLISHED:.0f} it is not established. The dashed "
        "line is the cut, midway between the joins on its two sides; each of its groups of several languages has a "
        f"colour. A click on a join chooses its group.{_start(tree, axis)} Atlas {view.atlas.name}, model {view.atlas.model['name']}.",
        table=table(tree, cut(tree, groups)),
    )
    return fig, about


def _start(tree: Tree, axis: str) -> str:
    """Where the axis begins, if not at 0."""
    start, _ = shown_heights(merges(tree.linkage, tree.order))
    return (
        ""
        if start == 0
        else f" Stems are cut short: the axis begins at {axis} = {start:.{HEIGHT_DIGITS}f}, not at 0."
    )


def table(tree: Tree, groups: tuple[Group, ...]) -> pd.DataFrame:
    """One row a clade: its languages, the distance at which it joins, its support, the group of the cut it is in
    (from the top, from 1; empty above the cut)."""
    found = tree.clades()
    inside = [
        next((number for number, group in enumerate(groups, 1) if clade <= set(group.labels)), None)
        for clade in found
    ]
    return pd.DataFrame(
        {
            "languages": [" ".join(sorted(clade, key=tree.labels.index)) for clade in found],
            "size": [len(clade) for clade in found],
            "distance": tree.linkage[:, 2],
            "support": np.full(len(found), np.nan) if tree.support is None else tree.support,
            "cut_group": pd.array(inside, dtype="Int64"),
        }
    )


def known_families(view: View, part: Part, linkage: str, tree: Tree) -> Tree | None:
    """The tree of those languages whose family is known; None where they are fewer than three."""
    known = tuple(code for code in tree.labels if relatives(code))
    if len(known) < 3:
        return None
    return tree if known == tree.labels else store.tree(view, linkage, part.single, known)


def families_note(tree: Tree, known: Tree | None) -> str:
    """Which languages are left out of the comparison with the families; empty when none is."""
    left_out = [code for code in tree.labels if known is None or code not in known.labels]
    if known is None:
        return (
            "The family tree has fewer than three of these languages, so that there is nothing to compare: "
            f"the family of {listed(left_out)} {'is' if len(left_out) == 1 else 'are'} not looked at here."
        )
    if not left_out:
        return ""
    return f"Left out, because the family is not known here: {listed(left_out, most=12)}."


def comparison_words(found: Comparison) -> str:
    """The line above the tanglegram."""
    return comparison_sentence(found)


@dataclasses.dataclass(frozen=True)
class Number:
    """One of the numbers beside the tanglegram, as written, with what it means."""

    name: str
    text: str
    help: str


def numbers(known: Tree, found: Comparison, crossed: int) -> list[Number]:
    """The measures of likeness, and how well the tree fits its own distances."""
    pairs = found.labels * (found.labels - 1) // 2
    return [
        Number(
            "Robinson–Foulds",
            f"{found.robinson_foulds:.2f}" if np.isfinite(found.robinson_foulds) else "–",
            f"Of all the groups in the two trees ({found.groups} measured, {found.reference_groups} families), the "
            "share that only one of them has: 0 is the same groups, 1 none in common. As the measured tree joins two "
            f"at a time and families join several at once, it cannot come below {found.lowest:.2f} here.",
        ),
        Number(
            "Baker's gamma",
            signed(found.gamma, 2) if np.isfinite(found.gamma) else "–",
            "Rank correlation, over pairs of languages, of how late the two trees join them: 1 is the same order, near 0 "
            "unrelated. Unlike Robinson–Foulds, it also sees groups that are almost the same.",
        ),
        Number(
            "Cophenetic correlation",
            f"{known.cophenetic:.2f}" if np.isfinite(known.cophenetic) else "–",
            "How well the measured tree itself follows the measured distances, which no tree can do in full: 1 is "
            "perfectly. It says nothing about families.",
        ),
        Number(
            "Lines that cross",
            f"{crossed} of {pairs}",
            "Pairs of languages whose lines cross in the figure. How many do depends on how the joins are turned, which "
            "means nothing in a tree; so this is no measure of likeness.",
        ),
    ]


def turned(known: Tree, untangle: bool) -> Tree:
    """The tree as the tanglegram draws it."""
    return untangled(known, in_family_order(known.labels)) if untangle else known


def crossed(drawn: Tree) -> int:
    """How many pairs of lines cross between the tree as drawn and the family tree."""
    return crossings([drawn.labels[leaf] for leaf in drawn.order], in_family_order(drawn.labels))


def tanglegram(
    drawn: Tree, tree: Tree, view: View, part: Part, groups: int, untangle: bool, found: Comparison
) -> tuple[Drawn, Described]:
    """The tree as drawn beside the family tree, coloured as the cut of the whole tree."""
    families = family_tree(drawn.labels)
    fig = tanglegram_figure(
        drawn.labels,
        drawn.linkage,
        drawn.order,
        drawn.support,
        families,
        view.theme,
        _drawn_cut(tree, groups),
    )
    drawn_as = (
        "turned so that as few lines cross as the tree allows" if untangle else "ordered as in the tree above"
    )
    about = Described(
        name=overlap_view.file_name(view, f"families-{tree.method}", part.single),
        alt=f"The measured tree beside the family tree of {len(drawn.labels)} languages; {crossed(drawn)} pairs of "
        "lines cross.",
        how=f"Left: the measured tree, {drawn_as}; colours are the groups of the cut, weak groups are thin and faint. Right: the "
        "families as Glottolog has them, names of branches under the languages; its lengths mean nothing. p: the "
        f"share of {'all ' if found.exact else ''}{found.permutations:,} ways to shuffle the names that make the trees "
        "as alike as they are or more, adjusted for two tests.",
        table=_sides(drawn, list(leaves(families))),
    )
    return fig, about


def _drawn_cut(tree: Tree, groups: int) -> Cut:
    return Cut([group.labels for group in cut(tree, groups)], cut_height(tree, groups))


def _sides(drawn: Tree, right: list[str]) -> pd.DataFrame:
    """One row a language: its place from the top on either side, its branch and family."""
    left = [drawn.labels[leaf] for leaf in drawn.order]
    return pd.DataFrame(
        {
            "language": left,
            "name": [plain_name(code) for code in left],
            "place_measured": range(1, len(left) + 1),
            "place_families": [right.index(code) + 1 for code in left],
            "branch": [relatives(code) for code in left],
            "family": [language(code).family for code in left],
        }
    )

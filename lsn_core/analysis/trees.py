"""Trees of languages: linkage of their distances, how far they can be trusted, the groups of a cut."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import nan
from typing import Literal, cast, get_args

import numpy as np
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from lsn_core.analysis.calibration import LanguageMatrix, language_matrix
from lsn_core.analysis.counts import load_counts
from lsn_core.errors import LsnError
from lsn_core.masks.atlas import Atlas

DISTANCES = ("jaccard", "neutrality")
Linkage = Literal["average", "single", "complete", "weighted", "ward"]
LINKAGES: tuple[str, ...] = get_args(Linkage)

Clade = frozenset[str]


@dataclass(frozen=True, eq=False)
class Tree:
    """A tree of n labels.

    ``linkage`` (n-1, 4) is scipy's: two nodes joined, their distance, the number of leaves; node n+k is
    made by row k. ``order`` holds the labels' indices from left to right, neighbours as near as the tree
    allows. ``cophenetic`` is the correlation between the distances and those read off the tree (NaN when all
    are equal). ``support`` (n-1,) is, for the clade that each row makes, the share of the resampled trees
    that have it, None when nothing could be resampled. ``method`` names the linkage.
    """

    labels: tuple[str, ...]
    linkage: np.ndarray
    order: tuple[int, ...]
    cophenetic: float
    support: np.ndarray | None
    method: str

    def clades(self) -> list[Clade]:
        """The labels under each inner node, in the order of ``linkage``; the last is all of them."""
        return _clades(self.linkage, self.labels)

    def heights(self) -> np.ndarray:
        """The distance at which every two labels are joined, (n, n) in the order of ``labels``."""
        return squareform(hierarchy.cophenet(self.linkage))

    def newick(self) -> str:
        """The tree in Newick form, in leaf order.

        Branch lengths are such that two leaves lie as far apart along the tree as the distance at which they
        are joined. Where there is support, inner nodes other than the root are named by it (0..1).
        """
        place = {leaf: position for position, leaf in enumerate(self.order)}
        texts = [_quoted(label) for label in self.labels]
        leftmost = [place[leaf] for leaf in range(len(self.labels))]
        heights = [0.0] * len(self.labels)
        for row, (left, right, distance, _) in enumerate(self.linkage.tolist()):
            children = sorted((int(left), int(right)), key=leftmost.__getitem__)
            branches = [f"{texts[child]}:{distance / 2 - heights[child]:.9g}" for child in children]
            is_root = row == len(self.linkage) - 1
            name = "" if self.support is None or is_root else f"{self.support[row]:.3g}"
            texts.append(f"({','.join(branches)}){name}")
            leftmost.append(leftmost[children[0]])
            heights.append(distance / 2)
        return texts[-1] + ";"


def tree(
    atlas: Atlas,
    task: str | None = None,
    sparsity: float = 0.5,
    distance: str = "jaccard",
    linkage: str = "average",
    method: str = "imp",
    scope: str = "total",
    languages: Sequence[str] | None = None,
    seeds: Collection[int] | None = None,
    replicates: int = 400,
    rng_seed: int = 0,
) -> Tree:
    """The tree of an atlas's languages by distance 1 - J or 1 - N, with clade support.

    Raises LsnError when there are fewer than three languages, several tasks and none chosen, an unknown
    distance or linkage, or neutrality that is undefined for want of a second seed.
    """
    if distance not in DISTANCES:
        raise LsnError(f"there is no distance {distance!r}; choose one of {', '.join(DISTANCES)}")
    counts = load_counts(atlas, sparsity, task, method)
    tasks = sorted({key.task for key in counts.tickets})
    if len(tasks) > 1:
        raise LsnError(f"atlas {atlas.name} has several tasks; choose one of {', '.join(tasks)}")
    matrix = language_matrix(counts, distance, scope, languages, seeds, replicates, rng_seed)
    return build_tree(matrix, linkage)


def build_tree(matrix: LanguageMatrix, linkage: str = "average") -> Tree:
    """The tree by distance 1 - value, and the support of its clades in the matrix's replicates.

    Values above 1 (a neutrality can be) are a distance of 0. Replicates in which a value is undefined are
    left out; there is no support when none is left. Raises LsnError with fewer than three languages, on an
    undefined value or an unknown linkage.
    """
    if linkage not in LINKAGES:
        raise LsnError(f"there is no linkage {linkage!r}; choose one of {', '.join(LINKAGES)}")
    labels = matrix.languages
    if len(labels) < 3:
        raise LsnError(f"a tree needs three languages at least, and here are {len(labels)}")
    distances = _distances(matrix.value)
    if np.isnan(distances).any():
        row, column = (side[np.isnan(distances)][0] for side in np.triu_indices(len(labels), 1))
        needed = "masks that keep some weights"
        if matrix.measure == "neutrality":
            needed = "a base ticket, and two seeds of each language that are more alike than the reference"
        raise LsnError(
            f"the {matrix.measure} of {labels[row]} and {labels[column]} is undefined, so there is no tree; "
            f"it needs {needed}"
        )
    joined = _joined(distances, linkage, optimal_ordering=True)
    constant = np.ptp(distances) == 0 or np.ptp(hierarchy.cophenet(joined)) == 0
    cophenetic = float("nan") if constant else float(hierarchy.cophenet(joined, distances)[0])
    order = tuple(int(leaf) for leaf in hierarchy.leaves_list(joined))
    support = _support(_clades(joined, labels), matrix.replicates, labels, linkage)
    return Tree(labels, joined, order, cophenetic, support, linkage)


@dataclass(frozen=True)
class Group:
    """What a cut leaves together: labels in leaf order, and the support of the clade (NaN: unknown, or one
    label alone, which is no clade)."""

    labels: tuple[str, ...]
    support: float


def cut(tree: Tree, groups: int) -> tuple[Group, ...]:
    """The tree cut into so many groups, by undoing its last ``groups - 1`` joins; in leaf order.

    Raises LsnError when there are fewer labels, or no group is asked for.
    """
    count = len(tree.labels)
    if not 1 <= groups <= count:
        raise LsnError(f"a tree of {count} languages is cut into 1 to {count} groups, not {groups}")
    nodes: dict[int, tuple[int, ...]] = {leaf: (leaf,) for leaf in range(count)}
    for row, (left, right) in enumerate(tree.linkage[: count - groups, :2].astype(int)):
        nodes[count + row] = nodes.pop(left) + nodes.pop(right)
    place = {leaf: position for position, leaf in enumerate(tree.order)}
    found = []
    for node, members in nodes.items():
        known = node >= count and tree.support is not None
        support = float(tree.support[node - count]) if known and tree.support is not None else nan
        found.append((sorted(members, key=place.__getitem__), support))
    found.sort(key=lambda entry: place[entry[0][0]])
    return tuple(Group(tuple(tree.labels[leaf] for leaf in members), share) for members, share in found)


def cut_height(tree: Tree, groups: int) -> float:
    """A height at which a line crosses the tree so that ``cut`` into so many groups comes out.

    Half-way between the last join that is kept and the first that is undone. No line does it where the two
    are at one height; theirs is given then. Raises LsnError as ``cut`` does.
    """
    count = len(tree.labels)
    if not 1 <= groups <= count:
        raise LsnError(f"a tree of {count} languages is cut into 1 to {count} groups, not {groups}")
    heights = [0.0, *tree.linkage[:, 2].tolist()]
    if groups == 1:
        return 1.02 * heights[-1]
    return (heights[count - groups] + heights[count - groups + 1]) / 2


def _distances(value: np.ndarray) -> np.ndarray:
    """Condensed distances 1 - value, not below 0."""
    return np.maximum(1 - value[np.triu_indices(len(value), 1)], 0)


def _joined(distances: np.ndarray, linkage: str, optimal_ordering: bool = False) -> np.ndarray:
    return hierarchy.linkage(distances, cast(Linkage, linkage), optimal_ordering=optimal_ordering)


def _clades(joined: np.ndarray, labels: Sequence[str]) -> list[Clade]:
    nodes: list[Clade] = [frozenset([label]) for label in labels]
    for left, right in joined[:, :2].astype(int):
        nodes.append(nodes[left] | nodes[right])
    return nodes[len(labels) :]


def _support(
    clades: Sequence[Clade], replicates: np.ndarray, labels: Sequence[str], linkage: str
) -> np.ndarray | None:
    distances = [found for found in map(_distances, replicates) if not np.isnan(found).any()]
    if not distances:
        return None
    seen = [set(_clades(_joined(found, linkage), labels)) for found in distances]
    return np.array([np.mean([clade in others for others in seen]) for clade in clades])


def _quoted(label: str) -> str:
    """A Newick label: in quotes when it holds a character that means something in Newick."""
    return label if re.fullmatch(r"[^\s()\[\]{}:;,'_]+", label) else "'" + label.replace("'", "''") + "'"

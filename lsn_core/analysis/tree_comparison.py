"""A tree beside a reference tree: how alike the two are, whether by more than chance, and how lines between
them cross."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lsn_core.analysis.statistics import adjusted_p_values, mantel, permutation_p_value
from lsn_core.analysis.trees import Clade, Tree
from lsn_core.errors import LsnError
from lsn_core.languages import Nested, leaves


@dataclass(frozen=True)
class Comparison:
    """A tree beside a reference tree over the same labels.

    ``groups`` and ``reference_groups`` count the clades of more than one label and fewer than all that each
    has, ``shared`` those that both have. ``robinson_foulds`` is the share of all these that only one of the two
    has: 0 for the same clades, 1 for none in common; ``lowest`` is what it cannot come below, as one tree has
    more clades than the other. ``gamma`` is Baker's. The p-values are one-sided, of ``permutations``
    permutations of the labels (``exact``: of all there are), adjusted for there being two; NaN where
    a measure is undefined.
    """

    labels: int
    groups: int
    reference_groups: int
    shared: int
    robinson_foulds: float
    lowest: float
    gamma: float
    p_robinson_foulds: float
    p_gamma: float
    permutations: int
    exact: bool


def compare(tree: Tree, reference: Nested, permutations: int = 9999, rng_seed: int = 0) -> Comparison:
    """How alike a tree and a reference tree are, and whether they are more so than with permuted labels.

    A permutation keeps the shapes of both trees. That of Baker's gamma is Mantel's test on the stages at which
    labels are joined. The same ``rng_seed`` gives the same answer. Raises LsnError when the two are over different
    labels or over fewer than three.
    """
    labels = _same_labels(tree, reference)
    mine, theirs = (_membership(item, labels) for item in (tree, reference))
    shared = int(_shared(mine, theirs[None])[0])
    total = len(mine) + len(theirs)
    undefined = not len(mine) or not len(theirs)

    def likeness(orders: np.ndarray) -> np.ndarray:
        return _shared(mine, np.moveaxis(theirs[:, orders], 1, 0))

    p_shared, drawn, exact = permutation_p_value(
        likeness, shared, len(labels), permutations, "greater", rng_seed, cells=max(total * len(labels), 1)
    )
    stage, reference_stage = (_square(_stages(item, labels), len(labels)) for item in (tree, reference))
    found = mantel(stage, reference_stage, "spearman", permutations, "greater", rng_seed)
    p_values = adjusted_p_values([np.nan if undefined else p_shared, found.p_value])
    return Comparison(
        labels=len(labels),
        groups=len(mine),
        reference_groups=len(theirs),
        shared=shared,
        robinson_foulds=float("nan") if undefined else (total - 2 * shared) / total,
        lowest=float("nan") if undefined else abs(len(mine) - len(theirs)) / total,
        gamma=found.correlation,
        p_robinson_foulds=float(p_values[0]),
        p_gamma=float(p_values[1]),
        permutations=drawn,
        exact=exact,
    )


def crossings(first: Sequence[str], second: Sequence[str]) -> int:
    """How many pairs of straight lines cross that join the same labels in two columns.

    Raises LsnError when the columns do not hold the same labels, each once.
    """
    place = {label: position for position, label in enumerate(second)}
    if sorted(first) != sorted(place) or len(place) != len(second):
        raise LsnError("lines between two columns need the same labels in both, each once")
    places = np.array([place[label] for label in first])
    return int(np.triu(places[:, None] > places[None, :], 1).sum())


def untangled(tree: Tree, beside: Sequence[str]) -> Tree:
    """The same tree with its nodes turned so that lines to the labels in the order ``beside`` cross least.

    Whether the lines of two labels cross is decided by the node that joins them alone, so the best turn of each node
    on its own is the best of all. A node is left as it is where turning it gains nothing. Raises LsnError when
    ``beside`` holds other labels than the tree.
    """
    if sorted(beside) != sorted(tree.labels):
        raise LsnError("a tree can be untangled only against an order of its own labels")
    target = {label: position for position, label in enumerate(beside)}
    drawn = {leaf: position for position, leaf in enumerate(tree.order)}
    orders: list[list[int]] = [[leaf] for leaf in range(len(tree.labels))]
    for left, right in tree.linkage[:, :2].astype(int):
        children = sorted((orders[left], orders[right]), key=lambda order: min(drawn[leaf] for leaf in order))
        upper, lower = (np.array([target[tree.labels[leaf]] for leaf in order]) for order in children)
        crossed = int((upper[:, None] > lower[None, :]).sum())
        if crossed > upper.size * lower.size - crossed:
            children.reverse()
        orders.append(children[0] + children[1])
    return replace(tree, order=tuple(orders[-1]))


def robinson_foulds(first: Tree | Nested, second: Tree | Nested) -> int:
    """The number of clades that one of two rooted trees has and the other has not (Robinson & Foulds 1981).

    Each is a ``Tree`` or nested tuples such as ``languages.family_tree`` gives. Raises LsnError when they are
    over different labels.
    """
    labels = _same_labels(first, second)
    return len(_proper(first, len(labels)) ^ _proper(second, len(labels)))


def bakers_gamma(first: Tree | Nested, second: Tree | Nested) -> float:
    """Spearman correlation between the stages at which two trees join each two labels (Baker 1974).

    A ``Tree`` joins at a height, nested tuples at a depth. 1 for trees that join in the same order, near 0
    for unrelated ones; NaN when one of them joins all at once. Raises LsnError when they are over different
    labels.
    """
    from scipy.stats import spearmanr  # takes half a second to import, which a page should not wait for

    labels = _same_labels(first, second)
    mine, theirs = _stages(first, labels), _stages(second, labels)
    if np.ptp(mine) == 0 or np.ptp(theirs) == 0:
        return float("nan")
    return float(spearmanr(mine, theirs).statistic)


def _labels(item: Tree | Nested) -> list[str]:
    return list(item.labels) if isinstance(item, Tree) else list(leaves(item))


def _same_labels(first: Tree | Nested, second: Tree | Nested) -> list[str]:
    mine, theirs = sorted(_labels(first)), sorted(_labels(second))
    if mine != theirs:
        alone = sorted(set(mine) ^ set(theirs)) or ["a label that comes twice"]
        raise LsnError(f"the two trees are not over the same languages: {', '.join(alone)}")
    return mine


def _proper(item: Tree | Nested, count: int) -> set[Clade]:
    """The clades of more than one label and fewer than all."""
    found = item.clades() if isinstance(item, Tree) else _nested_clades(item)
    return {clade for clade in found if 1 < len(clade) < count}


def _nested_clades(item: Nested) -> list[Clade]:
    if isinstance(item, str):
        return []
    return [frozenset(leaves(item)), *(clade for child in item for clade in _nested_clades(child))]


def _stages(item: Tree | Nested, labels: Sequence[str]) -> np.ndarray:
    """The stage at which each two labels are joined, condensed, later ones higher."""
    pairs = np.triu_indices(len(labels), 1)
    if isinstance(item, Tree):
        places = [item.labels.index(label) for label in labels]
        return item.heights()[np.ix_(places, places)][pairs]
    clades = _nested_clades(item)
    depth = np.array([[sum({a, b} <= clade for clade in clades) for b in labels] for a in labels])
    return -depth[pairs].astype(np.float64)


def _membership(item: Tree | Nested, labels: Sequence[str]) -> np.ndarray:
    """Which labels each proper clade holds, bool (clades, labels)."""
    clades = _proper(item, len(labels))
    rows = [[label in clade for label in labels] for clade in clades]
    return np.array(rows, dtype=bool).reshape(len(clades), len(labels))


def _shared(mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """How many clades (m, n) are also among (b, c, n), for each of the b."""
    common = mine.astype(np.float32) @ theirs.astype(np.float32).transpose(0, 2, 1)
    same = (common == mine.sum(axis=1)[:, None]) & (common == theirs.sum(axis=2)[:, None, :])
    return same.sum(axis=(1, 2))


def _square(stages: np.ndarray, count: int) -> np.ndarray:
    matrix = np.zeros((count, count))
    matrix[np.triu_indices(count, 1)] = stages
    return matrix + matrix.T

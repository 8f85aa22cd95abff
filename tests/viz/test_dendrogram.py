"""Trees are drawn as the linkage says, in one trace a kind of branch."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.cluster.hierarchy import dendrogram, leaves_list, linkage
from scipy.spatial.distance import pdist

from lsn_core.viz.dendrogram import branches, merges, shown_heights, tree_figure
from lsn_core.viz.theme import LIGHT

CODES = ("en", "de", "fr", "es", "ar", "sw")


def random_linkage(count: int, seed: int, method: str = "average") -> np.ndarray:
    points = np.random.default_rng(seed).normal(size=(count, 3))
    return linkage(pdist(points), method, optimal_ordering=True)


@pytest.mark.parametrize("seed", range(12))
def test_branches_are_those_of_scipy(seed: int) -> None:
    method = ("average", "single", "complete")[seed % 3]
    tree = random_linkage(4 + seed, seed, method)
    across, heights = branches(merges(tree, leaves_list(tree)))
    mine = set()
    for start in range(0, len(across), 5):
        xs, ys = across[start : start + 4], heights[start : start + 4]
        assert across[start + 4] is None
        mine.add(tuple(round(float(v), 9) for v in (*xs, *ys)))
    reference = dendrogram(tree, no_plot=True)
    theirs = {
        tuple(round(float(v), 9) for v in (*(x / 10 - 0.5 for x in xs), *ys))
        for xs, ys in zip(reference["icoord"], reference["dcoord"], strict=True)
    }
    assert mine == theirs


def test_leaves_of_a_merge_are_in_drawn_order() -> None:
    tree = random_linkage(7, 3)
    joined = merges(tree, leaves_list(tree))
    assert joined[-1].leaves == tuple(leaves_list(tree))


def test_order_must_be_a_permutation() -> None:
    with pytest.raises(ValueError, match="each of the 4 leaves once"):
        merges(random_linkage(4, 0), [0, 1, 2, 2])


def test_thousand_leaves_are_four_traces() -> None:
    tree = random_linkage(1000, 0)
    fig = tree_figure([f"x{k}" for k in range(1000)], tree, leaves_list(tree), None, LIGHT, "distance")
    assert len(fig.data) == 3


def test_weak_clades_are_pale_and_the_whole_tree_has_no_number() -> None:
    tree = random_linkage(6, 1)
    support = [1.0, 0.2, 0.9, 0.1, 1.0]
    fig = tree_figure(CODES, tree, leaves_list(tree), support, LIGHT, "1 − Jaccard")
    lines = {trace.name: trace for trace in fig.data}
    assert len(lines["weak clades"].x) == 2 * 5
    assert len(lines["clades"].x) == 3 * 5
    assert lines["weak clades"].line.color == LIGHT.pale
    numbers = lines["support"].text
    assert numbers[-1] == ""
    assert set(numbers) <= {"", " 100", " 20", " 90", " 10"}
    assert "found again in 20 % of the resamples" in lines["support"].customdata[1][1]


def test_without_support_nothing_is_said_about_it() -> None:
    tree = random_linkage(6, 1)
    fig = tree_figure(CODES, tree, leaves_list(tree), None, LIGHT, "1 − Jaccard")
    lines = {trace.name: trace for trace in fig.data}
    assert len(lines["weak clades"].x) == 0
    assert not any(lines["support"].text)


def test_names_stand_beside_their_leaves_in_both_scripts() -> None:
    tree = random_linkage(6, 2)
    order = leaves_list(tree)
    fig = tree_figure(CODES, tree, order, None, LIGHT, "1 − Jaccard")
    labels = fig.layout.yaxis.ticktext
    assert labels[list(order).index(4)].startswith("Arabic<br>")
    assert "العربية" in labels[list(order).index(4)]
    assert labels[list(order).index(0)] == "English"


def test_long_stems_are_cut_but_all_joins_are_shown() -> None:
    tree = np.array([[0, 1, 0.50, 2], [2, 3, 0.52, 3]])
    low, high = shown_heights(merges(tree, [0, 1, 2]))
    assert 0.4 < low < 0.5
    assert high == 0.52
    flat = np.array([[0, 1, 0.0, 2], [2, 3, 0.0, 3]])
    assert shown_heights(merges(flat, [0, 1, 2])) == (0.0, 1.0)

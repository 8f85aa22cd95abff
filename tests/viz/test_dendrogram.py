"""Trees are drawn as the linkage says, in one trace a kind of branch."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import pytest
from scipy.cluster.hierarchy import dendrogram, leaves_list, linkage
from scipy.spatial.distance import pdist

from lsn_core.viz.colour import contrast
from lsn_core.viz.dendrogram import THIN, Cut, branches, fainter, merges, shown_heights, tree_figure
from lsn_core.viz.theme import DARK, LIGHT, Theme

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


def test_thousand_leaves_are_three_traces() -> None:
    tree = random_linkage(1000, 0)
    fig = tree_figure([f"x{k}" for k in range(1000)], tree, leaves_list(tree), None, LIGHT, "distance")
    assert len(fig.data) == 3


def test_hundred_leaves_in_many_groups_are_few_traces() -> None:
    tree = random_linkage(100, 0)
    order = leaves_list(tree)
    codes = [f"x{k}" for k in range(100)]
    groups = [[codes[leaf] for leaf in order[start : start + 10]] for start in range(0, 100, 10)]
    support = np.random.default_rng(0).random(99)
    fig = tree_figure(codes, tree, order, support, LIGHT, "distance", Cut(groups, 1.0), groups[0])
    assert len(fig.data) <= 2 * (len(LIGHT.kinds) + 1) + 2


def drawn_pieces(fig: go.Figure, colour: str) -> int:
    """How many brackets are drawn in a colour."""
    traces = [trace for trace in fig.data if trace.name == "branches" and trace.line.color == colour]
    return sum(len(trace.x) // 5 for trace in traces)


def one(fig: go.Figure, name: str) -> go.Scatter:
    (found,) = [trace for trace in fig.data if trace.name == name]
    return found


def test_weak_clades_are_faint_and_the_whole_tree_has_no_number() -> None:
    tree = random_linkage(6, 1)
    support = [1.0, 0.2, 0.9, 0.1, 1.0]
    fig = tree_figure(CODES, tree, leaves_list(tree), support, LIGHT, "1 − Jaccard")
    assert drawn_pieces(fig, fainter(LIGHT.ink, LIGHT)) == 2
    assert {t.line.width for t in fig.data if t.line.color == fainter(LIGHT.ink, LIGHT)} == {THIN}
    assert drawn_pieces(fig, LIGHT.ink) == 3
    numbers = one(fig, "support").text
    assert numbers[-1] == ""
    assert set(numbers) <= {"", " 100", " 20", " 90", " 10"}
    assert "not established: in 20 % of the resamples" in one(fig, "clades").text[1]


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_faint_is_seen_and_fainter(theme: Theme) -> None:
    for colour in (theme.ink, *theme.kinds):
        own, faint = (contrast(each, theme.background) for each in (colour, fainter(colour, theme)))
        assert 3.0 <= faint <= own


def test_languages_alone_have_stems_of_one_colour_up_to_their_joins() -> None:
    cut = Cut([["en", "de"], ["fr"], ["es"], ["ar"], ["sw"]], 0.25)
    fig = tree_figure(CODES, TREE, range(6), [1, 0.2, 1, 0.9, 1], LIGHT, "x", cut)
    stems = one(fig, "languages alone")
    assert list(stems.y) == [2, 2, None, 3, 3, None, 4, 4, None, 5, 5, None]
    assert list(stems.x) == [0, 0.3, None, 0, 0.3, None, 0, 0.6, None, 0, 0.6, None]
    assert stems.line.color == LIGHT.ink


def test_no_number_is_struck_by_the_line_of_the_cut() -> None:
    heights = TREE[:, 2]
    support = [0.9, 0.8, 0.7, 0.6, 1.0]
    groups = [["en", "de", "fr", "es"], ["ar", "sw"]]
    join = int(np.argmax(heights[:-1]))
    before, behind = (
        tree_figure(CODES, TREE, range(6), support, LIGHT, "x", Cut(groups, heights[join] + step))
        for step in (1e-3, -1e-3)
    )
    assert one(before, "support").text[join] == f" {100 * support[join]:.0f}"
    assert one(behind, "support").text[join] == ""


def test_without_support_nothing_is_said_about_it() -> None:
    tree = random_linkage(6, 1)
    fig = tree_figure(CODES, tree, leaves_list(tree), None, LIGHT, "1 − Jaccard")
    assert drawn_pieces(fig, LIGHT.ink) == 5
    assert not any(one(fig, "support").text)
    assert "support unknown" in one(fig, "clades").text[0]


TREE = np.array([[0, 1, 0.2, 2], [2, 3, 0.3, 2], [6, 7, 0.5, 4], [4, 5, 0.6, 2], [8, 9, 0.9, 6]])


def test_a_cut_colours_its_groups_and_leaves_what_is_above_in_ink() -> None:
    cut = Cut([["en", "de", "fr", "es"], ["ar", "sw"]], 0.7)
    fig = tree_figure(CODES, TREE, range(6), [1, 1, 1, 0.4, 1], LIGHT, "x", cut)
    first, second = LIGHT.kinds[:2]
    assert (drawn_pieces(fig, first), drawn_pieces(fig, LIGHT.ink)) == (3, 1)
    assert drawn_pieces(fig, second) == 0
    assert drawn_pieces(fig, fainter(second, LIGHT)) == 1
    (line,) = fig.layout.shapes
    assert line.x0 == line.x1 == 0.7
    assert fig.layout.annotations[0].text == "2 groups"
    crossed = [merge for merge in merges(TREE, range(6)) if merge.height > line.x0]
    assert len(crossed) == len(cut.groups) - 1
    alone = tree_figure(CODES, TREE, range(6), None, LIGHT, "x", Cut([[*CODES]], 1.0))
    assert drawn_pieces(alone, LIGHT.ink) == 5
    assert not alone.layout.shapes


def test_every_clade_carries_its_languages_under_the_pointer() -> None:
    fig = tree_figure(CODES, TREE, range(6), None, LIGHT, "x", chosen=("sw", "ar"))
    points = one(fig, "clades")
    assert list(points.customdata) == ["en.de", "fr.es", "en.de.fr.es", "ar.sw", ".".join(CODES)]
    assert points.marker.opacity == points.selected.marker.opacity == points.unselected.marker.opacity == 0
    assert "English, German, French, Spanish" in points.text[2]
    assert "x = 0.5000" in points.text[2]
    (frame,) = fig.layout.shapes
    assert (frame.x0, frame.y0, frame.y1) == (0.6, pytest.approx(3.58), pytest.approx(5.42))


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

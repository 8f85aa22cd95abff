"""Two trees face to face: every language's line joins its two places."""

from __future__ import annotations

import numpy as np

from lsn_core.languages import family_tree, leaves
from lsn_core.viz.dendrogram import Cut
from lsn_core.viz.tanglegram import nested_nodes, tanglegram_figure
from lsn_core.viz.theme import DARK, LIGHT

CODES = ("ur", "en", "hi", "de", "sw", "fa")
TREE = np.array([[0, 1, 0.2, 2], [2, 3, 0.3, 2], [6, 7, 0.5, 4], [4, 5, 0.6, 2], [8, 9, 0.9, 6]])
FAMILIES = family_tree(CODES)


def test_nodes_of_a_nested_tree_stand_over_their_children() -> None:
    nodes = nested_nodes((("a", "b", "c"), "d"))
    assert [node.leaves for node in nodes] == [("a", "b", "c"), ("a", "b", "c", "d")]
    inner, root = nodes
    assert (inner.places, inner.heights, inner.height, inner.middle) == ((0, 1, 2), (0, 0, 0), 1, 1)
    assert (root.places, root.heights, root.height, root.middle) == ((1, 3), (1, 0), 2, 2)


def test_lines_join_each_language_with_itself() -> None:
    cut = Cut([["ur", "en", "hi", "de"], ["sw"], ["fa"]], 0.55)
    fig = tanglegram_figure(CODES, TREE, range(6), None, FAMILIES, LIGHT, cut)
    right = list(leaves(FAMILIES))
    ends, colours = {}, {}
    for trace in (trace for trace in fig.data if trace.name == "lines"):
        for start in range(0, len(trace.x), 5):
            first, last = trace.y[start], trace.y[start + 3]
            ends[CODES[int(first)]] = right[int(last)]
            colours[CODES[int(first)]] = trace.line.color
    assert ends == {code: code for code in CODES}
    assert colours == dict.fromkeys(["ur", "en", "hi", "de"], LIGHT.kinds[0]) | dict.fromkeys(
        ["sw", "fa"], LIGHT.quiet
    )


def test_right_tree_is_mirrored_and_named() -> None:
    fig = tanglegram_figure(CODES, TREE, range(6), None, FAMILIES, DARK)
    left, right = fig.layout.xaxis.range, fig.layout.xaxis3.range
    assert left[0] > left[1]
    assert right[0] < right[1]
    (marks,) = [trace for trace in fig.data if trace.name == "family groups"]
    names = [text.split("</b>")[0].removeprefix("<b>") for text in marks.text]
    assert names == ["Germanic", "Indo-Iranian", "Indo-Iranian", "Indo-European", "No common family known"]
    labels = [note.text for note in fig.layout.annotations]
    assert "Urdu<br><span style='font-size:11px'>اردو</span>" in labels
    assert "Urdu<br><span style='font-size:11px'>Indo-Iranian</span>" in labels

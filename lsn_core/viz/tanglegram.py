"""Two trees face to face over the same languages, with a line from each language to itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lsn_core.languages import Nested, language, leaves, relatives
from lsn_core.viz.dendrogram import (
    Cut,
    branch_styles,
    draw_branches,
    draw_lone_stems,
    group_colours,
    merges,
    shown_heights,
)
from lsn_core.viz.drawing import Drawing, Drawn, scatter
from lsn_core.viz.labels import family_label, hover_names, language_label
from lsn_core.viz.theme import Theme, axis, drawing

ROW = 40  # px
MARGIN = 44  # px above and below
TREE = 0.17  # of the width, for each tree
STUB = 0.3  # of the width between the trees, for the names on each side


@dataclass(frozen=True)
class Node:
    """A node of a nested tree: where its children are across the leaves and how high, and its own height.

    A leaf is at height 0, an inner node one above its highest child.
    """

    places: tuple[float, ...]
    heights: tuple[float, ...]
    height: float
    leaves: tuple[str, ...]

    @property
    def middle(self) -> float:
        """Where the branch goes on from."""
        return (self.places[0] + self.places[-1]) / 2


def nested_nodes(tree: Nested) -> list[Node]:
    """The inner nodes of a nested tree with its leaves from 0 on, children before their parents."""
    place = {leaf: float(k) for k, leaf in enumerate(leaves(tree))}
    found: list[Node] = []

    def visit(part: Nested) -> tuple[float, float]:
        if isinstance(part, str):
            return place[part], 0.0
        ends = [visit(child) for child in part]
        node = Node(
            places=tuple(end[0] for end in ends),
            heights=tuple(end[1] for end in ends),
            height=1.0 + max(end[1] for end in ends),
            leaves=tuple(leaves(part)),
        )
        found.append(node)
        return node.middle, node.height

    visit(tree)
    return found


def tanglegram_figure(
    languages: Sequence[str],
    linkage: np.ndarray,
    order: Sequence[int],
    support: Sequence[float] | np.ndarray | None,
    families: Nested,
    theme: Theme,
    cut: Cut | None = None,
) -> Drawn:
    """The measured tree at the left, the tree of families mirrored at the right.

    Args:
        languages: n codes.
        linkage: (n-1, 4) scipy linkage over them; `order` its leaves from top to bottom.
        support: of each join, or None; weak clades are faint as in `dendrogram.tree_figure`.
        families: a nested tree over the same codes, drawn in its own order.
        cut: gives lines and branches the colours of its groups.
    """
    count = len(languages)
    fig = drawing(theme, height=count * ROW + 2 * MARGIN, hoverdistance=20)
    left = [languages[leaf] for leaf in order]
    right = list(leaves(families))
    joined = merges(linkage, order)
    shares = [None] * len(joined) if support is None else [float(share) for share in support]
    draw_branches(fig, joined, branch_styles(joined, shares, languages, cut, theme))
    draw_lone_stems(fig, joined, languages, cut, theme)
    nodes = nested_nodes(families)
    _mirrored(fig, nodes, theme)
    _lines(fig, left, right, cut, theme)
    for codes, label, edge in ((left, language_label, "left"), (right, family_label, "right")):
        for place, code in enumerate(codes):
            fig.add_annotation(
                x=0.0 if edge == "left" else 1.0,
                y=place,
                xref="x2",
                yref="y",
                text=label(code),
                showarrow=False,
                xanchor=edge,
                align=edge,
                bgcolor=theme.background,
                borderpad=1,
                font={"size": 12, "color": theme.ink},
            )
    for title, x, anchor in (("measured", 0.0, "left"), ("families", 1.0, "right")):
        fig.add_annotation(
            x=x,
            y=1.0,
            xref="paper",
            yref="paper",
            text=title,
            showarrow=False,
            xanchor=anchor,
            yanchor="bottom",
            yshift=8,
            font={"size": 12, "color": theme.quiet},
        )
    floor, top = shown_heights(joined)
    height = max(node.height for node in nodes)
    fig.update_layout(
        margin={"t": MARGIN, "b": 8},
        xaxis=axis(
            theme, domain=[0, TREE], range=[top + 0.04 * (top - floor), floor], visible=False, anchor="y"
        ),
        xaxis2=axis(theme, domain=[TREE, 1 - TREE], range=[0, 1], visible=False, anchor="y"),
        xaxis3=axis(theme, domain=[1 - TREE, 1], range=[0, 1.1 * height], visible=False, anchor="y"),
        yaxis=axis(theme, range=[count - 0.5, -0.5], visible=False),
    )
    return fig.figure()


def _mirrored(fig: Drawing, nodes: Sequence[Node], theme: Theme) -> None:
    """The tree of families with its root at the right, and a mark with its name at each node."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    for node in nodes:
        xs += [node.height, node.height, None]
        ys += [node.places[0], node.places[-1], None]
        for place, height in zip(node.places, node.heights, strict=True):
            xs += [height, node.height, None]
            ys += [place, place, None]
    fig.add_trace(
        scatter(
            x=xs,
            y=ys,
            xaxis="x3",
            mode="lines",
            line={"color": theme.ink, "width": 2},
            hoverinfo="skip",
            name="families",
        )
    )
    fig.add_trace(
        scatter(
            x=[node.height for node in nodes],
            y=[node.middle for node in nodes],
            xaxis="x3",
            mode="markers",
            marker={"size": 8, "color": theme.ink, "line": {"color": theme.background, "width": 1.5}},
            text=[f"<b>{_name(node.leaves)}</b><br>{hover_names(node.leaves)}" for node in nodes],
            hovertemplate="%{text}<extra></extra>",
            name="family groups",
        )
    )


def _name(codes: Sequence[str]) -> str:
    """What related languages have in common: their branch, their family, or nothing."""
    for names in ({relatives(code) for code in codes}, {language(code).family for code in codes}):
        if len(names) == 1:
            return str(next(iter(names)))
    return "No common family known"


def _lines(fig: Drawing, left: Sequence[str], right: Sequence[str], cut: Cut | None, theme: Theme) -> None:
    """A line a language, one trace a colour."""
    colour = dict.fromkeys(left, theme.quiet) | group_colours(cut, theme)
    for each in dict.fromkeys(colour.values()):
        xs: list[float | None] = []
        ys: list[float | None] = []
        for place, code in enumerate(left):
            if colour[code] == each:
                xs += [0.0, STUB, 1 - STUB, 1.0, None]
                ys += [place, place, right.index(code), right.index(code), None]
        fig.add_trace(
            scatter(
                x=xs,
                y=ys,
                xaxis="x2",
                mode="lines",
                line={"color": each, "width": 1.5},
                hoverinfo="skip",
                name="lines",
            )
        )

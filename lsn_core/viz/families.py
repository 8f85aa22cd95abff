"""Which languages are relatives, as a thin band of colours beside a figure's languages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lsn_core.languages import FAMILY_TREE, language, leaves, relatives
from lsn_core.viz.drawing import Drawing, heatmap, scatter
from lsn_core.viz.labels import plain_name
from lsn_core.viz.theme import Theme, legend

UNKNOWN = "family unknown"
LEGEND = 46  # px, room for the names of the branches above a figure

BRANCHES = tuple(dict.fromkeys(name for name in map(relatives, leaves(FAMILY_TREE)) if name))
"""The branches that have a colour; each has its own, whatever languages are on screen."""


def branch_name(code: str) -> str:
    """The language's branch as it stands in the legend."""
    return relatives(code) or UNKNOWN


def branch_colour(name: str, theme: Theme) -> str:
    """The colour of a branch; grey for an unknown family."""
    return theme.kinds[BRANCHES.index(name) % len(theme.kinds)] if name in BRANCHES else theme.missing


def add_band(fig: Drawing, languages: Sequence[str], theme: Theme, xaxis: str, yaxis: str = "y") -> None:
    """A cell a language, from the top, in the colour of its branch; `xaxis` is the band's own axis."""
    names = [branch_name(code) for code in languages]
    drawn = list(dict.fromkeys(names))
    steps = [
        [place / len(drawn), branch_colour(name, theme)]
        for k, name in enumerate(drawn)
        for place in (k, k + 1)
    ]
    fig.add_trace(
        heatmap(
            z=np.array([[drawn.index(name)] for name in names], dtype=np.float32),
            zmin=-0.5,
            zmax=len(drawn) - 0.5,
            colorscale=steps,
            showscale=False,
            ygap=1,
            text=[[_about(code)] for code in languages],
            hovertemplate="%{text}<extra></extra>",
            name="families",
            xaxis=xaxis,
            yaxis=yaxis,
        )
    )


def add_legend(fig: Drawing, languages: Sequence[str], theme: Theme) -> None:
    """The names of the branches that are on screen, above the figure; every other trace stays out of it."""
    fig.update_traces(showlegend=False)
    shown = set(map(branch_name, languages))
    for name in (name for name in (*BRANCHES, UNKNOWN) if name in shown):
        fig.add_trace(
            scatter(
                x=[None],
                y=[None],
                mode="markers",
                marker={"symbol": "square", "size": 10, "color": branch_colour(name, theme)},
                hoverinfo="skip",
                name=name,
                showlegend=True,
            )
        )
    fig.update_layout(
        showlegend=True,
        legend=legend(theme),
    )


def _about(code: str) -> str:
    known = relatives(code)
    return f"<b>{plain_name(code)}</b><br>{known}, {language(code).family}" if known else UNKNOWN

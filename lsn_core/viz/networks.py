"""Scores of several networks side by side, language by language, with the range over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lsn_core.viz.drawing import Drawn, scatter
from lsn_core.viz.labels import plain_name
from lsn_core.viz.theme import Theme, axis, drawing, legend, title

ROW = 54  # px, a language
APART = 0.18  # of a row, between one network's mark and the next
MARKS = (
    ("circle", "first"),
    ("diamond", "both"),
    ("square", "second"),
    ("x-thin-open", "quiet"),
    ("circle-open", "ink"),
)
"""Symbol and the theme's colour of each network, told apart by shape too."""


def networks_figure(
    languages: Sequence[str],
    scores: Mapping[str, np.ndarray],
    metric: str,
    digits: int,
    theme: Theme,
) -> Drawn:
    """A row a language with a mark a network, the first one on top: mean over seeds, a line over their range.

    Args:
        languages: n codes.
        scores: up to five names of networks with (S, n) scores, seed by language; NaN is left out.
        metric: what the scores are, for the axis.
    """
    fig = drawing(theme, height=len(languages) * ROW + 130, showlegend=True, hoverdistance=30)
    offsets = APART * (np.arange(len(scores)) - (len(scores) - 1) / 2)
    for (name, values), (symbol, colour), offset in zip(scores.items(), MARKS, offsets, strict=False):
        known = [place for place in range(len(languages)) if np.isfinite(values[:, place]).any()]
        means, low, high = (
            np.array([measure(values[:, place]) for place in known])
            for measure in (np.nanmean, np.nanmin, np.nanmax)
        )
        ink = getattr(theme, colour)
        fig.add_trace(
            scatter(
                x=means,
                y=np.array(known) + offset,
                mode="markers",
                name=name,
                marker={"symbol": symbol, "size": 8, "color": ink, "line": {"width": 1.5, "color": ink}},
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": high - means,
                    "arrayminus": means - low,
                    "color": ink,
                    "thickness": 1.5,
                    "width": 0,
                    "visible": bool((high > low).any()),
                },
                customdata=[
                    f"{plain_name(languages[place])}, {name}: {mean:.{digits}f}"
                    + (f" ({least:.{digits}f} to {most:.{digits}f} over seeds)" if most > least else "")
                    for place, mean, least, most in zip(known, means, low, high, strict=True)
                ],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
    for place in range(1, len(languages)):
        fig.add_hline(y=place - 0.5, line={"color": theme.line, "width": 1}, layer="below")
    fig.update_layout(
        legend=legend(theme),
        xaxis=axis(theme, showgrid=True, nticks=6, title=title(theme, metric)),
        yaxis=axis(
            theme,
            tickmode="array",
            tickvals=list(range(len(languages))),
            ticktext=[plain_name(code) for code in languages],
            range=[len(languages) - 0.5, -0.5],
            ticks="",
        ),
    )
    return fig.figure()

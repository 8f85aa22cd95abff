"""Dots: a mean a row with its seeds beside it, and two quantities against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lsn_core.viz.drawing import Drawn, scatter
from lsn_core.viz.labels import plain_name, signed
from lsn_core.viz.theme import Theme, axis, drawing, title
from lsn_core.viz.ticks import signed_ticks

ROW = 30  # px
SCATTER_HEIGHT = 340  # px
KEY = "large: mean, rings: single seeds"
ROOM = 0.06  # of the range of values, left free on either side


@dataclass(frozen=True)
class Dots:
    """A row: its name, its mean, the value of each seed, and what else there is to say of it."""

    name: str
    value: float
    by_seed: Mapping[int, float] = field(default_factory=dict)
    note: str = ""


def dots_figure(
    rows: Sequence[Dots], label: str, digits: int, theme: Theme, differences: bool = False
) -> Drawn:
    """A large dot a row for the mean, small rings on top for the seeds; rows without a value are left out.

    `label` is for the axis; `differences` draws a line at zero and writes values with their sign.
    """
    known = [row for row in rows if np.isfinite(row.value)]
    fig = drawing(theme, height=(len(known) + 1) * ROW + 90, hoverdistance=30)

    def written(value: float) -> str:
        return signed(value, digits) if differences else f"{value:.{digits}f}"

    rings = [
        (value, place, seed)
        for place, row in enumerate(known)
        if len(row.by_seed) > 1
        for seed, value in row.by_seed.items()
        if np.isfinite(value)
    ]
    fig.add_trace(
        scatter(
            x=[row.value for row in known],
            y=list(range(len(known))),
            mode="markers+text",
            marker={"size": 11, "color": theme.first},
            text=[written(row.value) for row in known],
            textposition="top center",
            textfont={"size": 11, "color": theme.ink},
            cliponaxis=False,
            customdata=[f"{row.name}<br>{written(row.value)}{_below(row.note)}" for row in known],
            hovertemplate="%{customdata}<extra></extra>",
            name="mean",
        )
    )
    fig.add_trace(
        scatter(
            x=[value for value, _, _ in rings],
            y=[place for _, place, _ in rings],
            mode="markers",
            marker={"size": 6, "color": theme.background, "line": {"width": 1.5, "color": theme.quiet}},
            text=[f"{known[place].name}<br>seed {seed}: {written(value)}" for value, place, seed in rings],
            hovertemplate="%{text}<extra></extra>",
            name="seeds",
        )
    )
    if differences:
        fig.add_vline(x=0, line={"color": theme.quiet, "width": 1, "dash": "dash"}, layer="below")
    low, high = _range(
        [row.value for row in known] + [value for value, _, _ in rings] + [0.0] * differences, digits
    )
    fig.update_layout(
        xaxis=axis(
            theme,
            range=[low, high],
            showgrid=True,
            title=title(theme, f"{label}<br>{KEY}" if rings else label),
            **(signed_ticks(low, high, 5) if differences else {"nticks": 5}),
        ),
        yaxis=axis(
            theme,
            tickmode="array",
            tickvals=list(range(len(known))),
            ticktext=[row.name for row in known],
            range=[len(known) - 0.4, -0.9],
        ),
    )
    return fig.figure()


@dataclass(frozen=True)
class Marked:
    """A point of a scatter: the source and target that it stands for, and where it lies."""

    cell: tuple[str, str]
    x: float
    y: float


def scatter_figure(
    points: Sequence[Marked],
    titles: tuple[str, str],
    digits: tuple[int, int],
    theme: Theme,
    chosen: tuple[str, str] | None = None,
) -> Drawn:
    """One point an ordered pair of languages, with a line at zero; `titles` and `digits` are for x and y."""
    fig = drawing(theme, height=SCATTER_HEIGHT, hoverdistance=30)
    known = [point for point in points if np.isfinite([point.x, point.y]).all()]
    same = {"marker": {"opacity": 0.8}}
    fig.add_trace(
        scatter(
            x=[point.x for point in known],
            y=[point.y for point in known],
            mode="markers",
            marker={"size": 9, "color": theme.first, "opacity": 0.8},
            selected=same,
            unselected=same,
            customdata=[list(point.cell) for point in known],
            text=[
                f"<b>{plain_name(point.cell[0])} → {plain_name(point.cell[1])}</b><br>"
                f"{titles[0]}: {point.x:.{digits[0]}f}<br>{titles[1]}: {signed(point.y, digits[1])}"
                for point in known
            ],
            hovertemplate="%{text}<extra></extra>",
            name="pairs",
        )
    )
    marked = [point for point in known if point.cell == chosen]
    fig.add_trace(
        scatter(
            x=[point.x for point in marked],
            y=[point.y for point in marked],
            mode="markers",
            marker={"symbol": "circle-open", "size": 16, "color": theme.accent, "line": {"width": 2.5}},
            hoverinfo="skip",
            name="chosen",
        )
    )
    fig.add_hline(y=0, line={"color": theme.quiet, "width": 1, "dash": "dash"}, layer="below")
    low, high = _range([0.0, *(point.y for point in known)], digits[1])
    fig.update_layout(
        xaxis=axis(
            theme,
            range=_range([point.x for point in known], digits[0]),
            nticks=5,
            showline=True,
            title=title(theme, titles[0]),
        ),
        yaxis=axis(
            theme, range=[low, high], showgrid=True, title=title(theme, titles[1]), **signed_ticks(low, high)
        ),
    )
    return fig.figure()


def _range(values: Sequence[float], digits: int) -> list[float]:
    if not values:
        return [0.0, 1.0]
    low, high = min(values), max(values)
    room = max(ROOM * (high - low), 2 * 10.0**-digits)
    return [low - room, high + room]


def _below(note: str) -> str:
    return f"<br>{note}" if note else ""

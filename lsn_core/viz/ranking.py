"""The most and the least alike pairs, each with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lsn_core.viz.drawing import Drawn, scatter
from lsn_core.viz.labels import plain_name
from lsn_core.viz.theme import Theme, axis, drawing, title

ROW = 30  # px
FOOT = 80  # px, room for the axis and what stands over the rows
FEWEST_EACH = 4  # pairs at either end


@dataclass(frozen=True)
class RankedPair:
    """A pair of languages with its value and the 95 % interval of it (NaN where unknown)."""

    languages: tuple[str, str]
    value: float
    low: float
    high: float


def each_in(height: float) -> int:
    """How many pairs at either end make a figure of about this height, in pixels; never fewer than a few."""
    return max(FEWEST_EACH, int((height - FOOT) // ROW - 2) // 2)


def extremes(pairs: Sequence[RankedPair], each: int = 6) -> list[RankedPair]:
    """The `each` most and the `each` least alike pairs, most alike first; all of them if there are few."""
    known = sorted((p for p in pairs if np.isfinite(p.value)), key=lambda p: -p.value)
    return known if len(known) <= 2 * each else known[:each] + known[-each:]


def ranking_figure(
    pairs: Sequence[RankedPair],
    left_out: int,
    levels: dict[str, float],
    label: str,
    digits: int,
    theme: Theme,
) -> Drawn:
    """Dots with intervals, a pair a row, and a dashed line at each level in reach.

    `left_out` pairs between the upper and the lower half of the list are not drawn; a gap says so.
    """
    count = len(pairs)
    half = count // 2 if left_out else count
    places = [k + (1 if k >= half else 0) for k in range(count)]
    fig = drawing(theme, height=(count + 1) * ROW + FOOT)
    low = min(float(np.nanmin([p.low, p.value])) for p in pairs)
    high = max(float(np.nanmax([p.high, p.value])) for p in pairs)
    drawn = []
    for (name, level), colour in zip(levels.items(), (theme.second, theme.both), strict=False):
        if np.isfinite(level) and low - 3 * (high - low) <= level <= high + 3 * (high - low):
            low, high = min(low, level), max(high, level)
            fig.add_shape(
                type="line",
                x0=level,
                x1=level,
                y0=0,
                y1=1,
                yref="paper",
                line={"color": colour, "width": 1.5, "dash": "dash"},
            )
            drawn.append((name, level, colour))
        elif np.isfinite(level):
            label += f"<br>{name} {level:.{digits}f}<br>(off this scale)"
    for name, level, colour in drawn:
        fig.add_annotation(
            x=level,
            y=1,
            yref="paper",
            text=name,
            showarrow=False,
            yanchor="bottom",
            xanchor="left" if level < (low + high) / 2 else "right",
            font={"size": 11, "color": colour},
        )
    fig.add_trace(
        scatter(
            x=[p.value for p in pairs],
            y=places,
            mode="markers",
            marker={"size": 10, "color": theme.first},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [p.high - p.value for p in pairs],
                "arrayminus": [p.value - p.low for p in pairs],
                "color": theme.first,
                "thickness": 1.5,
                "width": 0,
            },
            customdata=[list(p.languages) for p in pairs],
            text=[
                f"{plain_name(p.languages[0])} – {plain_name(p.languages[1])}<br>"
                f"{p.value:.{digits}f} ({p.low:.{digits}f} to {p.high:.{digits}f})"
                for p in pairs
            ],
            hovertemplate="%{text}<extra></extra>",
        )
    )
    room = max(0.08 * (high - low), 3 * 10.0**-digits)
    ticks = [f"{plain_name(p.languages[0])} – {plain_name(p.languages[1])}" for p in pairs]
    if left_out:
        places.insert(half, half)
        ticks.insert(half, f"… {left_out} more …")
    fig.update_layout(
        margin={"t": 26},
        xaxis=axis(
            theme,
            range=[low - room, high + room],
            showgrid=True,
            nticks=5,
            title=title(theme, label),
        ),
        yaxis=axis(theme, tickmode="array", tickvals=places, ticktext=ticks, range=[max(places) + 0.6, -0.6]),
    )
    return fig.figure()

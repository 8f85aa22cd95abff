"""The set view: which languages keep weights that the others remove, a column a set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lsn_core.analysis.words import everyone
from lsn_core.viz.core import CHANCE, PRETRAINED
from lsn_core.viz.drawing import Drawn, scatter
from lsn_core.viz.labels import plain_name
from lsn_core.viz.theme import Theme, axis, drawing, legend, title
from lsn_core.viz.ticks import log_ticks

LANGUAGE_ROW = 20  # px
COUNTS = 220  # px
LEAST = 0.5  # weights; less than that is not drawn on the logarithmic scale


@dataclass(frozen=True)
class SetColumn:
    """A set of languages with the weights that exactly they keep: mean, lowest and highest seed; and what is
    expected, `reference` being NaN where unknown."""

    languages: tuple[str, ...]
    weights: float
    low: float
    high: float
    reference: float
    chance: float


def set_name(chosen: Sequence[str], every: Sequence[str]) -> str:
    """A set of languages in words, by those left out where they are few: "all but French"."""
    out = [code for code in every if code not in chosen]
    if not out:
        return everyone(len(every))
    if len(out) <= 2 < len(chosen):
        return f"all but {_and(out)}"
    return _and(chosen) if len(chosen) > 1 else f"only {plain_name(chosen[0])}"


def sets_figure(columns: Sequence[SetColumn], languages: Sequence[str], theme: Theme) -> Drawn:
    """Above, a dot a set on a logarithmic scale beside what is expected; below, its languages in strong dots.

    Args:
        columns: the sets, in the order they are drawn in.
        languages: all the languages, a row each.
    """
    rows = len(languages) * LANGUAGE_ROW
    fig = drawing(theme, height=COUNTS + rows + 90, showlegend=True, hoverdistance=30)
    places = list(range(len(columns)))
    names = [set_name(column.languages, languages) for column in columns]
    split = rows / (rows + COUNTS)
    for name, values, colour, symbol in (
        (CHANCE, [column.chance for column in columns], theme.quiet, "circle-open"),
        (PRETRAINED, [column.reference for column in columns], theme.second, "diamond"),
        ("measured", [column.weights for column in columns], theme.first, "circle"),
    ):
        known = [place for place in places if np.isfinite(values[place]) and values[place] >= LEAST]
        trace = scatter(
            x=known,
            y=[values[place] for place in known],
            mode="markers",
            name=name,
            marker={"symbol": symbol, "size": 9, "color": colour},
            customdata=[_words(names[place], columns[place]) for place in known],
            hovertemplate="%{customdata}<extra></extra>",
        )
        if name == "measured":
            trace["error_y"] = {
                "type": "data",
                "symmetric": False,
                "array": [columns[place].high - columns[place].weights for place in known],
                "arrayminus": [columns[place].weights - columns[place].low for place in known],
                "color": theme.first,
                "thickness": 1.5,
                "width": 0,
            }
        fig.add_trace(trace)
    cells = [(place, row) for place in places for row in range(len(languages))]
    inside = [languages[row] in columns[place].languages for place, row in cells]
    for there, colour in ((False, theme.line), (True, theme.ink)):
        mine = [cell for cell, member in zip(cells, inside, strict=True) if member == there]
        fig.add_trace(
            scatter(
                x=[place for place, _ in mine],
                y=[row for _, row in mine],
                yaxis="y2",
                mode="markers",
                marker={"size": 10, "color": colour},
                customdata=[_words(names[place], columns[place]) for place, _ in mine],
                hovertemplate="%{customdata}<extra></extra>",
                showlegend=False,
                name="in the set" if there else "not in the set",
            )
        )
    for place, column in enumerate(columns):
        members = [row for row, code in enumerate(languages) if code in column.languages]
        fig.add_shape(
            type="line",
            **{"x0": place, "x1": place, "y0": min(members), "y1": max(members), "yref": "y2"},
            line={"color": theme.ink, "width": 1.5},
        )
    fig.update_layout(
        legend=legend(theme),
        xaxis=axis(theme, range=[-0.6, len(columns) - 0.4], showticklabels=False, ticks="", anchor="y2"),
        yaxis=axis(
            theme,
            type="log",
            domain=[split + 0.03, 1],
            showgrid=True,
            tickformat=",~r",
            title=title(theme, "weights that exactly these keep<br>(logarithmic)"),
            **log_ticks(*_reach(columns)),
        ),
        yaxis2=axis(
            theme,
            domain=[0, split],
            range=[len(languages) - 0.5, -0.5],
            tickmode="array",
            tickvals=list(range(len(languages))),
            ticktext=[plain_name(code) for code in languages],
            ticks="",
        ),
    )
    return fig.figure()


def _reach(columns: Sequence[SetColumn]) -> tuple[float, float]:
    """The fewest and the most weights that are drawn."""
    values = np.array([[column.low, column.high, column.reference, column.chance] for column in columns])
    drawn = values[np.isfinite(values) & (values >= LEAST)]
    return (float(drawn.min()), float(drawn.max())) if drawn.size else (1.0, 1.0)


def _words(name: str, column: SetColumn) -> str:
    over = f" ({column.low:,.0f} to {column.high:,.0f} over seeds)" if column.high > column.low else ""
    lines = [f"<b>{name[:1].upper()}{name[1:]}</b>", f"{column.weights:,.0f} weights{over}"]
    if np.isfinite(column.reference):
        lines.append(f"{PRETRAINED}: {column.reference:,.0f}")
    return "<br>".join([*lines, f"{CHANCE}: {column.chance:,.0f}"])


def _and(codes: Sequence[str]) -> str:
    names = [plain_name(code) for code in codes]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

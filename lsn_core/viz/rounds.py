"""A discovery while it runs: which rounds are done, and the scores so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lsn_core.viz.colour import hex_colour
from lsn_core.viz.drawing import Drawn, heatmap
from lsn_core.viz.labels import language_label, plain_name
from lsn_core.viz.scores import REMOVED, Line, lines_figure
from lsn_core.viz.theme import Theme, axis, drawing, title

CELL = 34  # px, height of a row
FOOT = 62  # px, room for the labels below
SCORES_HEIGHT = 330  # px
LEGEND_ROW = 24  # px, about four names
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "star")


@dataclass(frozen=True)
class LanguageRounds:
    """The tickets of one language: of those that have each round, how many have done it or are in it, each (n,)."""

    language: str
    tickets: tuple[int, ...]
    done: tuple[int, ...]
    working: tuple[int, ...]


def rounds_figure(rows: Sequence[LanguageRounds], theme: Theme) -> Drawn:
    """Languages by rounds: a cell fills as its tickets get there, grey is not done yet, outlined is being trained.

    The first round trains the unpruned model, the k-th after it removes k tenths of the weights.
    """
    columns = len(rows[0].done)
    share = np.array([np.divide(row.done, np.maximum(row.tickets, 1)) for row in rows])
    fig = drawing(theme, height=CELL * len(rows) + FOOT)
    fig.add_trace(
        heatmap(
            z=share.astype(np.float32),
            zmin=0,
            zmax=1,
            colorscale=[(0, theme.missing), (1, theme.first)],
            showscale=False,
            xgap=2,
            ygap=2,
            text=[[_mark(row, k) for k in range(columns)] for row in rows],
            texttemplate="%{text}",
            textfont={"size": 12},
            customdata=[[_hover(row, k) for k in range(columns)] for row in rows],
            hovertemplate="%{customdata}<extra></extra>",
            name="rounds",
        )
    )
    for place, row in enumerate(rows):
        for column in np.flatnonzero(row.working):
            fig.add_shape(
                type="rect",
                x0=column - 0.45,
                x1=column + 0.45,
                y0=place - 0.44,
                y1=place + 0.44,
                line={"color": theme.accent, "width": 2.5},
            )
    fig.update_layout(
        xaxis=axis(
            theme,
            tickmode="array",
            tickvals=list(range(columns)),
            ticktext=[str(10 * k) for k in range(columns)],
            title=title(theme, REMOVED),
            range=[-0.5, columns - 0.5],
        ),
        yaxis=axis(
            theme,
            tickmode="array",
            tickvals=list(range(len(rows))),
            ticktext=[language_label(row.language) for row in rows],
            range=[len(rows) - 0.5, -0.5],
        ),
    )
    return fig.figure()


@dataclass(frozen=True)
class ScoreLine:
    """The scores of one language by one method: sparsity (0..1) to the value of each seed that is there."""

    language: str
    method: str
    values: Mapping[float, Sequence[float]]


def live_scores_figure(lines: Sequence[ScoreLine], metric: str, levels: int, theme: Theme) -> Drawn:
    """A line a language: the mean over its seeds so far at every sparsity, whiskers from lowest to highest.

    A language has one colour and one symbol. Of several methods, the first is drawn solid, the others dotted.
    `levels` is how many tenths of the weights will be removed, for the axis.
    """
    languages = list(dict.fromkeys(line.language for line in lines))
    methods = list(dict.fromkeys(line.method for line in lines))
    drawn = []
    for line in lines:
        place, first = languages.index(line.language), line.method == methods[0]
        name = plain_name(line.language) + ("" if first else f", {line.method}")
        symbol = SYMBOLS[place % len(SYMBOLS)]
        drawn.append(Line(name, line.values, _colour(place, theme), not first, symbol))
    return lines_figure(drawn, metric, theme, SCORES_HEIGHT + LEGEND_ROW * (len(lines) // 4), levels)


def _mark(row: LanguageRounds, column: int) -> str:
    done, tickets = row.done[column], row.tickets[column]
    if done == tickets:
        return "✓" if tickets else ""
    return f"{done}/{tickets}" if done else ""


def _hover(row: LanguageRounds, column: int) -> str:
    what = f"{10 * column} % removed" if column else "the unpruned model"
    text = f"<b>{plain_name(row.language)}</b>, {what}<br>{row.done[column]} of {row.tickets[column]} done"
    return f"{text}, {row.working[column]} being trained" if row.working[column] else text


def _colour(place: int, theme: Theme) -> str:
    """A colour of the eleven or more: hues far apart one after the other, bright and dark in turn."""
    dark, bright = (0.42, 0.62) if theme.name == "light" else (0.68, 0.86)
    return hex_colour(bright if place % 2 else dark, 0.13, (230 + 137.5 * place) % 360)

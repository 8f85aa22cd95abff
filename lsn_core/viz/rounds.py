"""A discovery while it runs: which rounds are done, and the scores so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from lsn_core.viz.colour import hex_colour
from lsn_core.viz.drawing import heatmap, scatter
from lsn_core.viz.labels import language_label, plain_name
from lsn_core.viz.theme import Theme, axis, drawing

CELL = 34  # px, height of a row
FOOT = 62  # px, room for the labels below
SCORES_HEIGHT = 330  # px
LEGEND_ROW = 24  # px, about four names
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "star")
REMOVED = "weights removed, % (0: the whole model)"


@dataclass(frozen=True)
class LanguageRounds:
    """The tickets of one language: of `tickets`, how many have done each round, and how many are in it, (n,)."""

    language: str
    tickets: int
    done: tuple[int, ...]
    working: tuple[int, ...]


def rounds_figure(rows: Sequence[LanguageRounds], theme: Theme) -> go.Figure:
    """Languages by rounds: a cell fills as its tickets get there, grey is not done yet, outlined is being trained.

    The first round trains the whole model, the k-th after it removes k tenths of the weights.
    """
    columns = len(rows[0].done)
    share = np.array([[done / row.tickets for done in row.done] for row in rows])
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
            title={"text": REMOVED, "font": {"color": theme.quiet, "size": 12}},
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


def live_scores_figure(lines: Sequence[ScoreLine], metric: str, levels: int, theme: Theme) -> go.Figure:
    """A line a language: the mean over its seeds so far at every sparsity, whiskers from lowest to highest.

    A language has one colour and one symbol. Of several methods, the first is drawn solid, the others dotted.
    `levels` is how many tenths of the weights will be removed, for the axis.
    """
    fig = drawing(theme, height=SCORES_HEIGHT + LEGEND_ROW * (len(lines) // 4), showlegend=True)
    languages = list(dict.fromkeys(line.language for line in lines))
    methods = list(dict.fromkeys(line.method for line in lines))
    for line in lines:
        place, first = languages.index(line.language), line.method == methods[0]
        x = sorted(line.values)
        means = np.array([np.mean(line.values[level]) for level in x])
        name = plain_name(line.language) + ("" if first else f", {line.method}")
        fig.add_trace(
            scatter(
                x=[100 * level for level in x],
                y=means,
                name=name,
                legendgroup=line.language,
                mode="lines+markers",
                line={"color": _colour(place, theme), "width": 2, "dash": "solid" if first else "dot"},
                marker={"symbol": SYMBOLS[place % len(SYMBOLS)], "size": 8},
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": [max(line.values[level]) - mean for level, mean in zip(x, means, strict=True)],
                    "arrayminus": [
                        mean - min(line.values[level]) for level, mean in zip(x, means, strict=True)
                    ],
                    "thickness": 1,
                    "width": 2,
                },
                customdata=[len(line.values[level]) for level in x],
                hovertemplate=f"{name}<br>%{{x:.0f}} % removed: %{{y:.3f}} (seeds so far: %{{customdata}})"
                "<extra></extra>",
            )
        )
    fig.update_layout(
        legend={
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1.02,
            "yanchor": "bottom",
            "font": {"size": 11, "color": theme.ink},
            "bgcolor": "rgba(0,0,0,0)",
        },
        xaxis=axis(
            theme,
            title={"text": REMOVED, "font": {"color": theme.quiet, "size": 12}},
            range=[-4, 10 * levels + 4],
            dtick=10 if levels < 5 else 20,
            showline=True,
        ),
        yaxis=axis(
            theme,
            title={"text": metric, "font": {"color": theme.quiet, "size": 12}},
            showgrid=True,
            nticks=6,
            rangemode="tozero",
        ),
    )
    return fig.figure()


def _mark(row: LanguageRounds, column: int) -> str:
    done = row.done[column]
    if done == row.tickets:
        return "✓"
    return f"{done}/{row.tickets}" if done else ""


def _hover(row: LanguageRounds, column: int) -> str:
    what = f"{10 * column} % removed" if column else "the whole model"
    text = f"<b>{plain_name(row.language)}</b>, {what}<br>{row.done[column]} of {row.tickets} done"
    return f"{text}, {row.working[column]} being trained" if row.working[column] else text


def _colour(place: int, theme: Theme) -> str:
    """A colour of the eleven or more: hues far apart one after the other, bright and dark in turn."""
    dark, bright = (0.42, 0.62) if theme.name == "light" else (0.68, 0.86)
    return hex_colour(bright if place % 2 else dark, 0.13, (230 + 137.5 * place) % 360)

"""Layers by components: one number for every part of a model, drawn as a map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lsn_core.viz.colour import readable_on
from lsn_core.viz.drawing import Drawn, heatmap, scatter
from lsn_core.viz.heatmap import Colours, coloraxis, frame
from lsn_core.viz.theme import Theme, axis, drawing, title

ROW = 30  # px, a layer
CELLS_UP_TO = 8  # columns; beyond it a cell is too narrow for its number on a small screen

Place = tuple[int, int]


def places_map(
    rows: Sequence[str],
    columns: Sequence[str],
    values: np.ndarray,
    hover: Sequence[Sequence[str]],
    shown: Colours,
    theme: Theme,
    keys: Sequence[Sequence[str]] | None = None,
    chosen: Place | None = None,
    row_title: str = "layer",
    column_title: str = "",
    sum_row: bool = True,
) -> Drawn:
    """One cell a layer and component, the last row and column set apart for all of them together.

    Args:
        rows: names of the layers, the last row of all of them together.
        columns: names of the components, the last column of all of them together.
        values: (rows, columns); NaN, where there is nothing to show, is grey.
        hover: (rows, columns) texts for the cells.
        shown: how values become colours.
        keys: (rows, columns), what a click on a cell carries; a click carries nothing without them.
        chosen: row and column of the cell to outline.
        row_title: what a row is.
        column_title: what a column is, where its name does not say it.
        sum_row: whether the last row is of all together, as the last column is.
    """
    inner = len(rows) * ROW
    fig = drawing(theme, height=inner + 150, hoverdistance=40)
    known = np.isfinite(values)
    for name, drawn, colours in (
        (
            "no such matrix",
            np.where(known, np.nan, 1.0),
            {"colorscale": [[0, theme.missing], [1, theme.missing]], "showscale": False},
        ),
        ("values", values, {"coloraxis": "coloraxis"}),
    ):
        fig.add_trace(
            heatmap(z=drawn.astype(np.float32), name=name, hoverinfo="skip", xgap=1, ygap=1, **colours)
        )
    cells = [(row, column) for row in range(len(rows)) for column in range(len(columns))]
    numbers = len(columns) <= CELLS_UP_TO
    hidden = {"marker": {"opacity": 0}}
    fig.add_trace(
        scatter(
            x=[column for _, column in cells],
            y=[row for row, _ in cells],
            mode="markers+text" if numbers else "markers",
            marker={"symbol": "square", "size": 24, "opacity": 0},
            selected=hidden,
            unselected=hidden,
            text=[shown.written(values[cell]) if known[cell] else "" for cell in cells],
            textfont={"size": 11, "color": [_ink(values[cell], shown, theme) for cell in cells]},
            customdata=None if keys is None else [keys[row][column] for row, column in cells],
            hovertext=[hover[row][column] for row, column in cells],
            hovertemplate="%{hovertext}<extra></extra>",
            name="cells",
        )
    )
    for end, across in ((len(columns) - 1.5, False), *([(len(rows) - 1.5, True)] if sum_row else [])):
        place = {"x0": -0.5, "x1": len(columns) - 0.5, "y0": end, "y1": end}
        if not across:
            place = {"x0": end, "x1": end, "y0": -0.5, "y1": len(rows) - 0.5}
        fig.add_shape(type="line", line={"color": theme.background, "width": 6}, layer="above", **place)
    if chosen is not None:
        frame(fig, *chosen, theme)
    fig.update_layout(
        coloraxis=coloraxis(shown, theme, below=74 / inner),
        xaxis=axis(
            theme,
            range=[-0.5, len(columns) - 0.5],
            tickmode="array",
            tickvals=list(range(len(columns))),
            ticktext=[broken(name) for name in columns],
            tickangle=0 if numbers else None,
            tickfont={"size": 11, "color": theme.ink},
            title=title(theme, column_title),
            ticks="",
        ),
        yaxis=axis(
            theme,
            range=[len(rows) - 0.5, -0.5],
            tickmode="array",
            tickvals=list(range(len(rows))),
            ticktext=list(rows),
            title=title(theme, row_title),
            ticks="",
        ),
    )
    return fig.figure()


def layer_mark(layer: str, several_stacks: bool) -> str:
    """A layer's short mark on the axis: its number, with the stack's initial where there are two stacks."""
    stack, dot, number = layer.partition(".")
    return f"{stack[:1] if several_stacks else ''}{number}" if dot else layer


def broken(name: str) -> str:
    """A component's name over several lines, for a narrow column."""
    return name.replace("-", "-<br>").replace(" ", "<br>")


def _ink(value: float, shown: Colours, theme: Theme) -> str:
    """Black or white, for a number on the cell's colour."""
    if not np.isfinite(value):
        return theme.ink
    stops = theme.balance if shown.diverging else theme.amount
    share = min(max((value - shown.low) / (shown.high - shown.low), 0.0), 1.0)
    return readable_on(stops[round(share * (len(stops) - 1))][1])

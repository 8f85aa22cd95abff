"""One weight matrix of a sub-network: as a picture, and by row, column or head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lsn_core.viz.drawing import Drawing, Drawn, heatmap, scatter
from lsn_core.viz.heatmap import Colours, around_zero, coloraxis
from lsn_core.viz.theme import Theme, axis, drawing, faint, legend, title

PICTURE = 340  # px
LINES = 280  # px
TICK_ROOM = 14  # px above a picture, for the upper half of the label of row 0
POINTS_UP_TO = 64  # rows, columns or heads that are drawn as large marks
BAND = 0.42  # share of the background that the band hides: 1.8 to one from it in either theme
LEAST_REACH = 1.0  # per cent that the strongest colour of a difference stands for at least


@dataclass(frozen=True)
class Line:
    """Densities of the rows, columns or heads of one sub-network's matrix, in per cent, and its name."""

    name: str
    percent: np.ndarray


def picture_figure(
    percent: np.ndarray,
    block: tuple[int, int],
    shape: tuple[int, int],
    shown: Colours,
    theme: Theme,
    heads: tuple[int, int] | None = None,
) -> Drawn:
    """A matrix averaged down to blocks, its first row at the top.

    Args:
        percent: (R, C), a number a block, in per cent.
        block: rows and columns of a block; those at the lower and right edge may be cut short.
        shape: rows and columns of the matrix.
        shown: how numbers become colours.
        heads: the axis that falls into attention heads (0 rows, 1 columns) and their number, to draw lines
            between them.
    """
    fig = drawing(theme, height=PICTURE)
    fig.update_layout(margin={"t": TICK_ROOM})
    down, across = (
        np.append(np.arange(0, extent, step), extent) - 0.5 for extent, step in zip(shape, block, strict=True)
    )
    number = f"{'+' if shown.signed else ''}.{shown.digits}f"
    fig.add_trace(
        heatmap(
            z=np.asarray(percent, dtype=np.float32),
            x=across.astype(np.float32),
            y=down.astype(np.float32),
            coloraxis="coloraxis",
            hovertemplate=f"around row %{{y:.0f}}, column %{{x:.0f}}: %{{z:{number}}} %<extra></extra>",
            name=shown.title,
        )
    )
    fig.update_layout(
        coloraxis=coloraxis(shown, theme, below=54 / (PICTURE - 110)),
        xaxis=axis(
            theme,
            range=[-0.5, shape[1] - 0.5],
            nticks=7,
            title=title(theme, "column: input"),
            constrain="domain",
        ),
        yaxis=axis(theme, range=[shape[0] - 0.5, -0.5], nticks=7, title=title(theme, "row: output")),
    )
    if heads is not None:
        _draw_between(fig, heads, shape, theme)
    return fig.figure()


def _draw_between(fig: Drawing, heads: tuple[int, int], shape: tuple[int, int], theme: Theme) -> None:
    """The lines between attention heads."""
    along, count = heads
    names = ("y", "x") if along == 0 else ("x", "y")
    for end in (np.arange(1, count) * (shape[along] / count) - 0.5).tolist():
        fig.add_shape(
            type="line",
            layer="above",
            line={"color": theme.quiet, "width": 0.75},
            **dict.fromkeys((f"{names[0]}0", f"{names[0]}1"), end),
            **{f"{names[1]}0": -0.5, f"{names[1]}1": shape[1 - along] - 0.5},
        )


def amount_colours(title: str, *pictures: np.ndarray) -> Colours:
    """One range of colours, in per cent, for pictures that are compared: their own, or all of 0 to 100."""
    values = np.concatenate([np.ravel(picture) for picture in pictures])
    low, high = float(np.floor(values.min())), float(np.ceil(values.max()))
    if high - low < LEAST_REACH:
        low, high = max(0.0, low - LEAST_REACH), min(100.0, high + LEAST_REACH)
    return Colours(title, low, high, False, 0 if high - low > 10 else 1)


def difference_colours(title: str, picture: np.ndarray) -> Colours:
    """The range of colours for differences in percentage points: zero in the middle."""
    return around_zero(title, picture, 1, LEAST_REACH)


def lines_figure(left: Line, right: Line | None, lot: tuple[float, float], what: str, theme: Theme) -> Drawn:
    """A mark a row, column or head (`what`), in the matrix's order, for one sub-network or two.

    `lot` is the band, in per cent, in which 95 of 100 marks of the first would lie were its weights drawn by
    lot.
    """
    count = len(left.percent)
    fig = drawing(theme, height=LINES, showlegend=True, hoverdistance=20)
    places = np.arange(count, dtype=np.float32)
    fig.add_trace(
        scatter(
            x=[-0.5, count - 0.5, count - 0.5, -0.5],
            y=[lot[0], lot[0], lot[1], lot[1]],
            fill="toself",
            mode="lines",
            line={"width": 0},
            fillcolor=faint(theme.quiet, BAND),
            hoverinfo="skip",
            name="95 % if drawn by lot",
        )
    )
    large = count <= POINTS_UP_TO
    # Rings of the second around dots of the first: where the two agree, both are seen.
    for line, marker in (
        (left, {"size": 9 if large else 3.5, "color": theme.first, "symbol": "circle"}),
        (
            right,
            {"size": 14 if large else 6, "color": theme.second, "symbol": "circle-open"}
            | {"line": {"width": 1.5 if large else 0.75}},
        ),
    ):
        if line is None:
            continue
        fig.add_trace(
            scatter(
                x=places,
                y=line.percent.astype(np.float32),
                mode="markers",
                name=line.name,
                marker=marker,
                hovertemplate=f"{line.name}, {what} %{{x}}: %{{y:.1f}} %<extra></extra>",
            )
        )
    fig.update_layout(
        legend=legend(theme) | {"itemsizing": "constant"},
        xaxis=axis(
            theme,
            range=[-0.5 - 0.02 * count, count - 0.5 + 0.02 * count],
            nticks=8,
            tickformat="d",
            title=title(theme, what),
        ),
        yaxis=axis(theme, showgrid=True, nticks=6, title=title(theme, "% of its weights kept")),
    )
    return fig.figure()

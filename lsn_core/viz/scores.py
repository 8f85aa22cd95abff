"""Scores by sparsity, one line a sub-network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lsn_core.viz.drawing import Drawn, scatter
from lsn_core.viz.theme import Theme, axis, drawing, legend, title

HEIGHT = 300  # px
REMOVED = "weights removed, % (0: the unpruned model)"


@dataclass(frozen=True)
class Line:
    """A line: the score of every seed that is there at each sparsity (0..1, 0 is the dense model), and how it is drawn.

    A `control` is drawn thin and dotted.
    """

    name: str
    values: Mapping[float, Sequence[float]]
    colour: str
    control: bool = False
    symbol: str = "circle"


def lines_figure(
    lines: Sequence[Line], metric: str, theme: Theme, height: float = HEIGHT, levels: int = 9
) -> Drawn:
    """The mean over seeds at every sparsity, whiskers from the lowest to the highest seed.

    `metric` is what the scores are, and `levels` how many tenths of the weights are removed at most, for the axes.
    """
    fig = drawing(theme, height=height, showlegend=True)
    for line in lines:
        reached = sorted(line.values)
        seeds = [np.array(line.values[level]) for level in reached]
        means = np.array([values.mean() for values in seeds])
        fig.add_trace(
            scatter(
                x=[100 * level for level in reached],
                y=means,
                name=line.name,
                mode="lines+markers",
                line={
                    "color": line.colour,
                    "width": 1.5 if line.control else 2.5,
                    "dash": "dot" if line.control else "solid",
                },
                marker={"symbol": line.symbol, "size": 6 if line.control else 8},
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": [values.max() - mean for values, mean in zip(seeds, means, strict=True)],
                    "arrayminus": [mean - values.min() for values, mean in zip(seeds, means, strict=True)],
                    "thickness": 1,
                    "width": 2,
                },
                customdata=[len(values) for values in seeds],
                hovertemplate=f"{line.name}<br>%{{x:.0f}} % removed: %{{y:.3f}} (seeds: %{{customdata}})"
                "<extra></extra>",
            )
        )
    fig.update_layout(
        legend=legend(theme),
        xaxis=axis(
            theme,
            title=title(theme, REMOVED),
            range=[-4, 10 * levels + 4],
            dtick=10 if levels < 5 else 20,
            showline=True,
        ),
        yaxis=axis(theme, title=title(theme, metric), showgrid=True, nticks=6, rangemode="tozero"),
    )
    return fig.figure()


def scores_figure(scores: pd.DataFrame, metric: str, theme: Theme) -> Drawn:
    """The sub-networks of two languages beside random ones.

    Args:
        scores: columns `name` (for the legend), `language_rank` (0 or 1: the colour), `control` (whether it
            is random), `sparsity` (0..1, 0 is the dense model), `value`; one row a seed.
        metric: what `value` is, for the axis.
    """
    colours = (theme.first, theme.second)
    lines = []
    for name, rows in scores.groupby("name", sort=False):
        values: dict[float, list[float]] = {}
        for sparsity, value in zip(rows["sparsity"], rows["value"], strict=True):
            values.setdefault(float(sparsity), []).append(float(value))
        colour = colours[int(rows["language_rank"].iloc[0])]
        lines.append(Line(str(name), values, colour, control=bool(rows["control"].iloc[0])))
    return lines_figure(lines, metric, theme)

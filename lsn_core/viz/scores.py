"""Scores of sub-networks by sparsity, beside the dense model and the random control."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from lsn_core.viz.drawing import scatter
from lsn_core.viz.theme import Theme, axis, drawing

HEIGHT = 300


def scores_figure(scores: pd.DataFrame, metric: str, theme: Theme) -> go.Figure:
    """One line a sub-network: its mean over seeds, whiskers from the lowest to the highest seed.

    Args:
        scores: columns `name` (for the legend), `language_rank` (0 or 1: the colour), `control` (whether it
            is random), `sparsity` (0..1, 0 is the dense model), `value`; one row a seed.
        metric: what `value` is, for the axis.
    """
    fig = drawing(theme, height=HEIGHT, showlegend=True)
    colours = (theme.first, theme.second)
    for name, rows in scores.groupby("name", sort=False):
        control = bool(rows["control"].iloc[0])
        colour = colours[int(rows["language_rank"].iloc[0])]
        seeds = rows.groupby("sparsity")["value"].agg(["mean", "min", "max", "count"]).reset_index()
        fig.add_trace(
            scatter(
                x=100 * seeds["sparsity"],
                y=seeds["mean"],
                name=str(name),
                mode="lines+markers",
                line={
                    "color": colour,
                    "width": 1.5 if control else 2.5,
                    "dash": "dot" if control else "solid",
                },
                marker={"size": 5 if control else 7},
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": seeds["max"] - seeds["mean"],
                    "arrayminus": seeds["mean"] - seeds["min"],
                    "thickness": 1,
                    "width": 2,
                },
                customdata=seeds["count"],
                hovertemplate=f"{name}<br>%{{x:.0f}} % removed: %{{y:.3f}} (%{{customdata}} "
                "seeds)<extra></extra>",
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
            title={"text": "weights removed, %", "font": {"color": theme.quiet, "size": 12}},
            range=[-4, 104],
            dtick=20,
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

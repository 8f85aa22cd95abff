"""The neutral core: by how many languages weights are kept, what each has alone, and where the core lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lsn_core.analysis.words import everyone
from lsn_core.viz.drawing import Drawing, Drawn, bar, scatter
from lsn_core.viz.heatmap import Colours
from lsn_core.viz.labels import plain_name
from lsn_core.viz.places import places_map
from lsn_core.viz.theme import Theme, axis, drawing, legend, title

PRETRAINED, CHANCE = "pretrained weights alone", "chance"
BARS = 340  # px
BESIDE = 230  # px, what the languages by themselves take up beside it, but for a row each
NUMBER_ROW = 24  # px, from the axis down to the row of numbers
BAR_ROW = 26  # px, a language
NUMBERS_UP_TO = 16  # bars; beyond it there is no room for a number under each
LEAST_REACH = 0.5  # percentage points that the strongest colour stands for at least


@dataclass(frozen=True)
class Measured:
    """A mean over seeds with the lowest and highest seed, and what is expected; arrays of one length.

    `reference` (the pretrained weights alone) is NaN where unknown.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    reference: np.ndarray
    chance: np.ndarray


def keepers_figure(percent: Measured, weights: np.ndarray, at_least: int, theme: Theme) -> Drawn:
    """A bar for each number of languages, 0 to n: the weights that exactly so many keep.

    Args:
        percent: (n+1,), in per cent of the weights of the part.
        weights: (n+1,), the same in weights, mean over seeds.
        at_least: the bars from here on are the core, and coloured.
    """
    ks = np.arange(len(weights))
    core = ks >= at_least
    spread = (percent.high > percent.low).any()
    height = max(BARS, (len(weights) - 1) * BAR_ROW + BESIDE)
    fig = drawing(theme, height=height, showlegend=True, hovermode="x unified", barmode="overlay")
    for name, colour, shown in (("in the core", theme.first, core), ("not in the core", theme.pale, ~core)):
        fig.add_trace(
            bar(
                x=ks[shown],
                y=percent.value[shown],
                name=name,
                width=0.72,
                marker={"color": colour},
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": (percent.high - percent.value)[shown],
                    "arrayminus": (percent.value - percent.low)[shown],
                    "color": theme.ink,
                    "thickness": 1,
                    "width": 2,
                    "visible": bool(spread),
                },
                customdata=[
                    f"{count:,.0f} weights, {bar_number(value)} %"
                    for count, value in zip(weights[shown], percent.value[shown], strict=True)
                ],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
    # The marks are seen on the bars too: one is rimmed, the other filled with the background.
    rimmed = _mark("diamond", 9, theme.second, theme.background, 1)
    filled = _mark("circle", 7, theme.background, theme.quiet, 1.5)
    for name, values, colour, dash, marker in (
        (PRETRAINED, percent.reference, theme.second, "dash", rimmed),
        (CHANCE, percent.chance, theme.quiet, "dot", filled),
    ):
        if np.isfinite(values).all():
            fig.add_trace(
                scatter(
                    x=ks,
                    y=values,
                    name=name,
                    mode="lines+markers",
                    line={"color": colour, "width": 1.5, "dash": dash},
                    marker=marker,
                    hovertemplate=f"{name} %{{y:.2f}} %<extra></extra>",
                )
            )
    top = np.nanmax([percent.high, percent.reference, percent.chance])
    numbers = len(ks) <= NUMBERS_UP_TO
    below = title(theme, "languages that keep a weight")
    if numbers:
        _numbers_under_bars(fig, percent, theme)
        below = title(theme, "languages that keep a weight; under each, the bar in %") | {
            "standoff": NUMBER_ROW
        }
    fig.update_layout(
        legend=legend(theme),
        xaxis=axis(
            theme,
            title=below,
            range=[-0.6, len(ks) - 0.4],
            tickmode="linear" if numbers else "auto",
            dtick=1 if numbers else None,
            unifiedhovertitle={"text": f"kept by exactly %{{x}} of {len(ks) - 1}"},
        ),
        yaxis=axis(
            theme,
            title=title(theme, "% of all weights, kept or not"),
            range=[0, 1.1 * top],
            showgrid=True,
            nticks=6,
        ),
    )
    return fig.figure()


def _mark(symbol: str, size: float, fill: str, rim: str, width: float) -> dict[str, object]:
    return {"symbol": symbol, "size": size, "color": fill, "line": {"color": rim, "width": width}}


def alone_figure(languages: Sequence[str], weights: Measured, shared: float, theme: Theme) -> Drawn:
    """A bar for each language, most first: the weights that it alone keeps, beside what is expected.

    Args:
        languages: n codes.
        weights: (n,), numbers of weights.
        shared: what all languages keep, which is told under the axis, not drawn: it is far larger.
    """
    order = np.argsort(-weights.value, kind="stable")
    names = [plain_name(languages[one]) for one in order]
    fig = drawing(theme, height=len(order) * BAR_ROW + 118, showlegend=True, bargap=0.35)
    value, low, high = (part[order] for part in (weights.value, weights.low, weights.high))
    fig.add_trace(
        bar(
            x=value,
            y=names,
            name="measured",
            orientation="h",
            marker={"color": theme.first},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": high - value,
                "arrayminus": value - low,
                "color": theme.ink,
                "thickness": 1,
                "width": 2,
                "visible": bool((high > low).any()),
            },
            customdata=[
                _alone_words(*entry)
                for entry in zip(
                    value, low, high, weights.reference[order], weights.chance[order], strict=True
                )
            ],
            hovertemplate="%{y}: %{customdata}<extra></extra>",
        )
    )
    top = float(np.max(weights.high, initial=0))
    if np.isfinite(weights.reference).all():
        top = max(top, float(weights.reference.max()))
        fig.add_trace(
            scatter(
                x=weights.reference[order],
                y=names,
                name=PRETRAINED,
                mode="markers",
                marker={"symbol": "diamond", "size": 8, "color": theme.second},
                hovertemplate=f"%{{y}}: {PRETRAINED} %{{x:,.0f}}<extra></extra>",
            )
        )
    fig.update_layout(
        legend=legend(theme),
        xaxis=axis(
            theme,
            title=title(
                theme,
                f"weights that no other language keeps<br>({everyone(len(languages))} keep {shared:,.0f})",
            ),
            range=[0, 1.06 * top or 1],
            showgrid=True,
            nticks=5,
            tickformat=",",
        ),
        yaxis=axis(theme, autorange="reversed", ticks=""),
    )
    return fig.figure()


def places_figure(
    rows: Sequence[str],
    columns: Sequence[str],
    difference: np.ndarray,
    hover: Sequence[Sequence[str]],
    theme: Theme,
) -> Drawn:
    """Layers by components: the core less its reference, zero in the middle of the colours.

    Args:
        rows: names of the layers, the last row of all of them together.
        columns: names of the components, the last column of all of them together.
        difference: (rows, columns), percentage points; NaN, where there is no such matrix, is grey.
        hover: (rows, columns) texts for the cells.
    """
    return places_map(rows, columns, difference, hover, difference_colours(difference), theme)


def difference_colours(difference: np.ndarray) -> Colours:
    """The range of colours for differences in percentage points: even on both sides of zero."""
    sizes = np.abs(difference[np.isfinite(difference)])
    reach = max(float(sizes.max(initial=0.0)), LEAST_REACH)
    return Colours("core − pretrained weights alone, percentage points", -reach, reach, True, 1, signed=True)


def bar_number(percent: float) -> str:
    """A percentage for under a bar: short, and never "0" for something."""
    for digits, floor in ((0, 9.95), (1, 0.095), (2, 0.005)):
        if percent >= floor:
            return f"{percent:.{digits}f}"
    return "0" if percent == 0 else "<0.01"


def _numbers_under_bars(fig: Drawing, percent: Measured, theme: Theme) -> None:
    """Each bar's number in a row under its name, where no mark of what is expected can cover it."""
    for k, value in enumerate(percent.value):
        fig.add_annotation(
            name="numbers",
            x=k,
            y=0,
            yref="paper",
            yshift=-NUMBER_ROW,
            yanchor="top",
            text=bar_number(value),
            showarrow=False,
            borderpad=0,
            font={"size": 10, "color": theme.quiet},
        )


def _alone_words(value: float, low: float, high: float, reference: float, chance: float) -> str:
    over = f" ({low:,.0f} to {high:,.0f} over seeds)" if high > low else ""
    expected = f"<br>{PRETRAINED}: {reference:,.0f}" if np.isfinite(reference) else ""
    return f"{value:,.0f} weights{over}{expected}<br>{CHANCE}: {chance:,.0f}"

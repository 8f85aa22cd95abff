"""Dendrograms from a scipy linkage: every branch of one kind in one trace, with gaps between the merges.

One trace with gaps draws a thousand leaves in a fifth of a second; a trace a merge takes many seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from lsn_core.viz.labels import language_label, plain_name
from lsn_core.viz.theme import Theme, axis, figure

STRONG_SUPPORT = 0.7  # below this share of the resamples a clade is drawn pale
LABEL_SHARE, LABEL_ROWS = 0.12, 0.6  # room of a support number: share of the heights, rows of leaves
ROW_HEIGHT = 40
MARGIN_HEIGHT = 96


@dataclass(frozen=True)
class Merge:
    """Two branches becoming one: where each is across the leaves, and how high each starts."""

    left: float
    right: float
    left_height: float
    right_height: float
    height: float
    leaves: tuple[int, ...]

    @property
    def middle(self) -> float:
        """Where the merged branch goes on from."""
        return (self.left + self.right) / 2


def merges(linkage: np.ndarray, order: Sequence[int]) -> list[Merge]:
    """The merges of a linkage matrix, lowest row first.

    Args:
        linkage: (n-1, 4) as scipy makes it: two cluster numbers, the distance, the number of leaves.
        order: the n leaves from first to last; leaf `order[k]` stands at place k.

    Raises:
        ValueError: `order` is not a permutation of the leaves of `linkage`.
    """
    count = len(linkage) + 1
    if sorted(int(leaf) for leaf in order) != list(range(count)):
        raise ValueError(f"the leaf order must hold each of the {count} leaves once")
    place = {int(leaf): float(k) for k, leaf in enumerate(order)}
    height = dict.fromkeys(range(count), 0.0)
    leaves: dict[int, tuple[int, ...]] = {leaf: (leaf,) for leaf in range(count)}
    result = []
    for row, (a, b, distance, _) in enumerate(linkage):
        first, second = sorted((int(a), int(b)), key=lambda node: place[node])
        merge = Merge(
            left=place[first],
            right=place[second],
            left_height=height[first],
            right_height=height[second],
            height=float(distance),
            leaves=leaves[first] + leaves[second],
        )
        node = count + row
        place[node], height[node], leaves[node] = merge.middle, merge.height, merge.leaves
        result.append(merge)
    return result


def branches(joined: Sequence[Merge]) -> tuple[list[float | None], list[float | None]]:
    """Places across the leaves and heights of the merges' brackets, with a gap after each."""
    across: list[float | None] = []
    heights: list[float | None] = []
    for merge in joined:
        across += [merge.left, merge.left, merge.right, merge.right, None]
        heights += [merge.left_height, merge.height, merge.height, merge.right_height, None]
    return across, heights


def tree_figure(
    languages: Sequence[str],
    linkage: np.ndarray,
    order: Sequence[int],
    support: Sequence[float] | np.ndarray | None,
    theme: Theme,
    distance_label: str,
) -> go.Figure:
    """A language tree lying on its side: root at the left, a language a line at the right.

    Clades found again in fewer than `STRONG_SUPPORT` of the resamples are pale; the number beside a clade
    is that share in per cent. With `support=None` nothing is said about it and every branch is drawn firm.
    """
    joined = merges(linkage, order)
    shares = [None] * len(joined) if support is None else [float(share) for share in support]
    firm = [m for m, s in zip(joined, shares, strict=True) if s is None or s >= STRONG_SUPPORT]
    weak = [m for m, s in zip(joined, shares, strict=True) if s is not None and not s >= STRONG_SUPPORT]
    count = len(languages)
    floor, top = shown_heights(joined)
    fig = figure(theme, height=count * ROW_HEIGHT + MARGIN_HEIGHT)
    for part, colour, name in ((weak, theme.pale, "weak clades"), (firm, theme.ink, "clades")):
        across, heights = branches(part)
        fig.add_trace(
            go.Scatter(
                x=heights,
                y=across,
                mode="lines",
                line={"color": colour, "width": 2},
                hoverinfo="skip",
                name=name,
            )
        )
    fig.add_trace(
        go.Scatter(
            x=[m.height for m in joined],
            y=[m.middle for m in joined],
            mode="markers+text" if support is not None else "markers",
            marker={
                "size": 9,
                "color": [theme.ink if s is None or s >= STRONG_SUPPORT else theme.pale for s in shares],
                "line": {"color": theme.background, "width": 1.5},
            },
            text=_support_numbers(joined, shares, (top - floor) * LABEL_SHARE),
            textposition="middle right",
            textfont={"size": 11, "color": theme.quiet},
            cliponaxis=False,
            customdata=[
                [", ".join(plain_name(languages[leaf]) for leaf in m.leaves), _support_words(s)]
                for m, s in zip(joined, shares, strict=True)
            ],
            hovertemplate=f"%{{customdata[0]}}<br>join at {distance_label} %{{x:.3f}}<br>%{{customdata[1]}}"
            "<extra></extra>",
            name="support",
        )
    )
    fig.update_layout(
        xaxis=axis(
            theme,
            range=[top + 0.06 * (top - floor), floor],
            title={"text": distance_label, "font": {"color": theme.quiet, "size": 12}},
            showline=True,
            ticks="outside",
            nticks=6,
        ),
        yaxis=axis(
            theme,
            range=[count - 0.5, -0.5],
            side="right",
            tickmode="array",
            tickvals=list(range(count)),
            ticktext=[language_label(languages[leaf]) for leaf in order],
        ),
    )
    return fig


def shown_heights(joined: Sequence[Merge]) -> tuple[float, float]:
    """From where to where heights are drawn: stems that are long without a join are cut short."""
    heights = [merge.height for merge in joined]
    low, high = min(heights, default=0.0), max(heights, default=1.0)
    if high <= 0:
        return 0.0, 1.0
    return max(0.0, low - 0.5 * max(high - low, 0.1 * high)), high


def _support_numbers(joined: Sequence[Merge], shares: Sequence[float | None], reach: float) -> list[str]:
    """The number beside each join, where there is room: no branch runs through it, and no other number.

    Of two joins too close for both, the better supported keeps its own. `reach` is the room a number takes
    along the heights. The whole tree is in every resample and has none.
    """
    texts = [""] * len(joined)
    taken: list[Merge] = []
    for index in sorted(range(len(joined)), key=lambda k: -(shares[k] or 0.0)):
        merge, share = joined[index], shares[index]
        crowded = any(
            abs(other.middle - merge.middle) < LABEL_ROWS and abs(other.height - merge.height) < reach
            for other in taken
        ) or any(
            0 < merge.height - other.height < reach
            and other.left - LABEL_ROWS / 2 < merge.middle < other.right + LABEL_ROWS / 2
            for other in joined
        )
        if share is None or np.isnan(share) or len(merge.leaves) > len(joined) or crowded:
            continue
        texts[index] = f" {100 * share:.0f}"
        taken.append(merge)
    return texts


def _support_words(share: float | None) -> str:
    if share is None or np.isnan(share):
        return "support unknown"
    return f"found again in {100 * share:.0f} % of the resamples"

"""Dendrograms from a scipy linkage: every branch of one kind in one trace, with gaps between the merges.

One trace with gaps draws a thousand leaves in a fifth of a second; a trace a merge takes many seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lsn_core.viz.colour import contrast, mixed
from lsn_core.viz.drawing import UNSEEN, Drawing, Drawn, scatter
from lsn_core.viz.labels import hover_names, language_label
from lsn_core.viz.theme import Theme, axis, drawing, title
from lsn_core.viz.words.tree import FIRM, support_words

FAINTER = 0.55  # how far a weak clade's colour goes towards the background,
LEAST_CONTRAST = 3.0  # and the contrast with it at which it stops
WIDTH, THIN = 2.5, 1.5  # px, of a branch and of a weak clade's
HEIGHT_DIGITS = 4  # of the distance at a join
LABEL_SHARE, LABEL_ROWS = 0.12, 0.6  # room of a support number: share of the heights, rows of leaves
ROW_HEIGHT, LOW_ROW_HEIGHT = 40, 24  # px, of names over own names, and of names alone
MARGIN_HEIGHT = 96
CUT_ROOM = 26  # px above the tree, for the words on the cut


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


@dataclass(frozen=True)
class Cut:
    """A cut through a tree: the groups it leaves, each as language codes, and the height of the line."""

    groups: Sequence[Sequence[str]]
    height: float


def tree_figure(
    languages: Sequence[str],
    linkage: np.ndarray,
    order: Sequence[int],
    support: Sequence[float] | np.ndarray | None,
    theme: Theme,
    distance_label: str,
    cut: Cut | None = None,
    chosen: Sequence[str] = (),
) -> Drawn:
    """A language tree lying on its side: root at the left, a language a line at the right.

    Clades found again in fewer than `FIRM` of the resamples are thin and faint; the number beside a clade
    is that share in per cent. With `support=None` nothing is said about it and every branch is drawn firm. A `cut`
    is a dashed line, and gives each group of several languages a colour; `chosen` languages are framed. Every clade
    carries its languages in a point that cannot be seen, larger than its mark: `customdata` is ``en.de.…``.
    """
    joined = merges(linkage, order)
    shares = [None] * len(joined) if support is None else [float(share) for share in support]
    styles = branch_styles(joined, shares, languages, cut, theme)
    count = len(languages)
    floor, top = shown_heights(joined)
    labels = [language_label(languages[leaf]) for leaf in order]
    row = ROW_HEIGHT if any("<br>" in label for label in labels) else LOW_ROW_HEIGHT
    fig = drawing(theme, height=count * row + MARGIN_HEIGHT + (CUT_ROOM if cut else 0), hoverdistance=30)
    line = max(cut.height, floor) if cut is not None and len(cut.groups) > 1 else None
    draw_branches(fig, joined, styles)
    draw_lone_stems(fig, joined, languages, cut, theme)
    fig.add_trace(
        scatter(
            x=[m.height for m in joined],
            y=[m.middle for m in joined],
            mode="markers+text" if support is not None else "markers",
            marker={
                "size": 9,
                "color": [style.colour for style in styles],
                "line": {"color": theme.background, "width": 1.5},
            },
            text=_support_numbers(joined, shares, (top - floor) * LABEL_SHARE, line),
            textposition="middle right",
            textfont={"size": 11, "color": theme.quiet},
            cliponaxis=False,
            hoverinfo="skip",
            name="support",
        )
    )
    hidden = {"marker": {"opacity": 0}}
    fig.add_trace(
        scatter(
            x=[m.height for m in joined],
            y=[m.middle for m in joined],
            mode="markers",
            marker={"size": 26, **UNSEEN},
            selected=hidden,
            unselected=hidden,
            cliponaxis=False,
            customdata=[".".join(languages[leaf] for leaf in m.leaves) for m in joined],
            text=[
                f"<b>{hover_names([languages[leaf] for leaf in m.leaves])}</b><br>join at {distance_label} = "
                f"{m.height:.{HEIGHT_DIGITS}f}<br>{support_words(np.nan if s is None else s)}"
                for m, s in zip(joined, shares, strict=True)
            ],
            hovertemplate="%{text}<extra></extra>",
            name="clades",
        )
    )
    fig.update_layout(
        xaxis=axis(
            theme,
            range=[top + 0.06 * (top - floor), floor],
            title=title(theme, distance_label),
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
            ticktext=labels,
        ),
    )
    if cut is not None and line is not None:
        _cut_line(fig, line, len(cut.groups), theme)
    _frame(fig, joined, languages, chosen, theme)
    return fig.figure()


@dataclass(frozen=True)
class Style:
    """How a branch is drawn; `width` is in pixels."""

    colour: str
    width: float


def branch_styles(
    joined: Sequence[Merge],
    shares: Sequence[float | None],
    languages: Sequence[str],
    cut: Cut | None,
    theme: Theme,
) -> list[Style]:
    """How each merge is drawn: in its group's colour (the theme's colours for kinds, again and again), else in ink;
    thin and faint where it is weak."""
    groups, of_language = _coloured(cut), group_colours(cut, theme)
    styles = []
    for merge, share in zip(joined, shares, strict=True):
        weak = share is not None and not share >= FIRM
        group = next(
            (each for each in groups if {languages[leaf] for leaf in merge.leaves} <= set(each)), None
        )
        colour = theme.ink if group is None else of_language[group[0]]
        styles.append(Style(fainter(colour, theme), THIN) if weak else Style(colour, WIDTH))
    return styles


def fainter(colour: str, theme: Theme) -> str:
    """The colour nearer to the theme's background, but not so near that it is hard to see."""
    steps = np.linspace(FAINTER, 0.0, 23).tolist()
    found = (mixed(colour, theme.background, step) for step in steps)
    return next((one for one in found if contrast(one, theme.background) >= LEAST_CONTRAST), colour)


def group_colours(cut: Cut | None, theme: Theme) -> dict[str, str]:
    """The colour of each language that a cut leaves in a group with others; the colours come round again."""
    return {
        code: theme.kinds[place % len(theme.kinds)]
        for place, group in enumerate(_coloured(cut))
        for code in group
    }


def _coloured(cut: Cut | None) -> list[Sequence[str]]:
    """The groups that have a colour: of several languages, where there is more than one group."""
    return [] if cut is None or len(cut.groups) < 2 else [group for group in cut.groups if len(group) > 1]


def draw_branches(fig: Drawing, joined: Sequence[Merge], styles: Sequence[Style]) -> None:
    """Branches with the root at the left, one trace a style."""
    for style in dict.fromkeys(styles):
        across, heights = branches([m for m, own in zip(joined, styles, strict=True) if own == style])
        fig.add_trace(
            scatter(
                x=heights,
                y=across,
                mode="lines",
                line={"color": style.colour, "width": style.width},
                hoverinfo="skip",
                name="branches",
            )
        )


def draw_lone_stems(
    fig: Drawing, joined: Sequence[Merge], languages: Sequence[str], cut: Cut | None, theme: Theme
) -> None:
    """The stems of languages that a cut leaves alone, all alike: how firm the join is where a stem ends says nothing
    of the one language."""
    alone = {group[0] for group in cut.groups if len(group) == 1} if cut and len(cut.groups) > 1 else set()
    heights: list[float | None] = []
    across: list[float | None] = []
    for place, leaf in enumerate(joined[-1].leaves if alone else ()):
        if languages[leaf] in alone:
            join = next(merge for merge in joined if leaf in merge.leaves)
            heights += [0.0, join.height, None]
            across += [place, place, None]
    if heights:
        fig.add_trace(
            scatter(
                x=heights,
                y=across,
                mode="lines",
                line={"color": theme.ink, "width": WIDTH},
                hoverinfo="skip",
                name="languages alone",
            )
        )


def shown_heights(joined: Sequence[Merge]) -> tuple[float, float]:
    """From where to where heights are drawn: stems that are long without a join are cut short."""
    heights = [merge.height for merge in joined]
    low, high = min(heights, default=0.0), max(heights, default=1.0)
    if high <= 0:
        return 0.0, 1.0
    return max(0.0, low - 0.5 * max(high - low, 0.1 * high)), high


def _support_numbers(
    joined: Sequence[Merge], shares: Sequence[float | None], reach: float, line: float | None
) -> list[str]:
    """The number beside each join, where there is room: no branch runs through it, nor the cut's line, and no other
    number.

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
        struck = line is not None and 0 < merge.height - line < reach
        if share is None or np.isnan(share) or len(merge.leaves) > len(joined) or crowded or struck:
            continue
        texts[index] = f" {100 * share:.0f}"
        taken.append(merge)
    return texts


def _cut_line(fig: Drawing, height: float, groups: int, theme: Theme) -> None:
    fig.add_shape(
        type="line",
        x0=height,
        x1=height,
        y0=0,
        y1=1,
        yref="paper",
        line={"color": theme.accent, "width": 1.5, "dash": "dash"},
    )
    fig.add_annotation(
        x=height,
        y=1,
        yref="paper",
        text=f"{groups} groups",
        showarrow=False,
        yanchor="bottom",
        font={"size": 11, "color": theme.accent},
    )
    fig.update_layout(margin={"t": CUT_ROOM})


def _frame(
    fig: Drawing, joined: Sequence[Merge], languages: Sequence[str], chosen: Sequence[str], theme: Theme
) -> None:
    """A frame around the chosen clade, from its join to its leaves."""
    for merge in joined:
        if {languages[leaf] for leaf in merge.leaves} == set(chosen):
            first = joined[-1].leaves.index(merge.leaves[0])
            fig.add_shape(
                type="rect",
                x0=merge.height,
                x1=0,
                y0=first - 0.42,
                y1=first + len(merge.leaves) - 1 + 0.42,
                xref="x",
                line={"color": theme.accent, "width": 1.5},
                fillcolor=theme.accent,
                opacity=0.12,
                layer="below",
            )

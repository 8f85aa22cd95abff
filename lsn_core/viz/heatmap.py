"""Languages by languages: one heatmap with its tree above, one with a direction, or one small heatmap a layer.

A click on a heatmap tells the page nothing, so a square point that cannot be seen lies on every cell and
carries the pair in its `customdata`: ``[row language, column language]``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lsn_core.viz.colour import BRIGHT_INK, DARK_INK, readable_on
from lsn_core.viz.dendrogram import branches, merges, shown_heights
from lsn_core.viz.drawing import UNSEEN, Drawing, Drawn, heatmap, scatter
from lsn_core.viz.families import LEGEND, add_band, add_legend
from lsn_core.viz.labels import language_label, plain_name, signed
from lsn_core.viz.theme import Theme, axis, drawing, title
from lsn_core.viz.ticks import signed_ticks

CELL = 40  # px, height of a row
LEAST_CELL, TWO_LINES = (
    18,
    32,
)  # px, of a row where there is little room, and of one that holds a name in two scripts
TREE, LOW_TREE = 90, 50  # px, room for the tree
FOOT = 104  # px, room for column labels and the colour bar
LEAST_TITLED = 160  # px, height of rows with a title beside them
TITLE = 22  # px, room for the title of the columns
NUMBERS_UP_TO = 16  # languages; beyond it a cell is too small for its number
ROOM = 2.5  # the range of colours, as a multiple of the range of values
WHOLE_TICKS = 10  # the range of colours from which its ticks are whole numbers
NARROWEST = 6  # the least range of colours, in units of the last digit written
PANEL_CELL = 15  # px, height of a row in a small multiple
PANEL_COLUMNS = 3
PANEL_TITLE = 26  # px, room for a small multiple's title
BAND, BAND_GAP = 0.028, 0.012  # of the width: the band of branches, and what is left free beside it
LEAST_PANEL = 96  # px, height of a small multiple of few languages


@dataclass(frozen=True)
class Colours:
    """How values become colours: the measure's name, the range shown, whether zero is the middle, and whether
    a number is written with its sign."""

    title: str
    low: float
    high: float
    diverging: bool
    digits: int
    signed: bool = False

    def written(self, value: float) -> str:
        """A value as it stands in a cell: with a true minus, and with a plus where differences are shown."""
        text = signed(value, self.digits)
        return text if self.signed else text.removeprefix("+")


def colours(title: str, values: np.ndarray, digits: int, whole: tuple[float, float] | None) -> Colours:
    """The range that shows `values` (any shape, NaN ignored) best and honestly.

    It leaves room on either side of the values, so that small differences do not look large, but does not
    leave the measure's natural range `whole` where the values lie in it. With values on either side of zero,
    zero is in the middle.
    """
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return Colours(title, 0.0, 1.0, False, digits)
    low, high = float(finite.min()), float(finite.max())
    if low < 0 < high:
        reach = max(-low, high)
        return Colours(title, -reach, reach, True, digits)
    width = max(ROOM * (high - low), NARROWEST * 10.0**-digits)
    start = (low + high - width) / 2
    if whole is not None and whole[0] <= low and high <= whole[1]:
        width = min(width, whole[1] - whole[0])
        start = min(max(start, whole[0]), whole[1] - width)
    return Colours(title, start, start + width, False, digits)


def around_zero(title: str, values: np.ndarray, digits: int, noise: float = float("nan")) -> Colours:
    """The range for differences: zero in the middle, whichever side of it `values` (NaN ignored) are on.

    It reaches as far as `noise` at least (NaN: unknown), so that noise does not look like a finding.
    """
    sizes = np.abs(np.asarray(values, dtype=float))
    sizes = sizes[np.isfinite(sizes)]
    least = max(NARROWEST / 2 * 10.0**-digits, float(np.nan_to_num(noise)))
    reach = max(float(sizes.max()) if len(sizes) else 0.0, least)
    return Colours(title, -reach, reach, True, digits, signed=True)


def overlap_heatmap(
    languages: Sequence[str],
    values: np.ndarray,
    hover: Sequence[Sequence[str]],
    shown: Colours,
    theme: Theme,
    linkage: np.ndarray | None = None,
    chosen: tuple[str, str] | None = None,
    room: float | None = None,
) -> Drawn:
    """The heatmap, languages in the order given, their branches in a band beside them, their tree above.

    Args:
        languages: n codes in the order they are drawn (the tree's leaf order where there is a tree).
        values: (n, n) in that order; NaN is drawn grey.
        hover: (n, n) texts for the cells, `<br>` between lines.
        linkage: scipy linkage whose leaf k is `languages[k]`, or None for no tree.
        chosen: the pair to outline.
        room: px that the figure may be high; rows and tree are made lower for it, as far as they stay readable.
    """
    count = len(languages)
    tree = 0 if linkage is None else TREE if room is None else LOW_TREE
    cell = CELL if room is None else min(CELL, max(LEAST_CELL, (room - tree - FOOT - LEGEND) / count))
    height = round(count * cell + tree + FOOT + LEGEND)
    fig = drawing(theme, height=height, hoverdistance=60)
    middle = 1.0 if not tree else count * cell / (count * cell + tree)
    name = language_label if cell >= TWO_LINES else plain_name
    fig.update_layout(
        coloraxis=coloraxis(shown, theme, below=46 / (height - FOOT - LEGEND)),
        xaxis=_cell_axis(theme, languages, list(languages), side="bottom", anchor="y")
        | {"domain": [BAND + BAND_GAP, 1]},
        xaxis2=_band_axis(theme),
        yaxis=_cell_axis(theme, languages, [name(code) for code in languages], reverse=True)
        | {"domain": [0, middle], "anchor": "x2"},
    )
    add_band(fig, languages, theme, "x2")
    _cells(fig, values, theme, numbers=count <= NUMBERS_UP_TO, shown=shown)
    if linkage is not None:
        joined = merges(linkage, range(count))
        across, heights = branches(joined)
        fig.add_trace(
            scatter(
                x=across,
                y=heights,
                yaxis="y2",
                mode="lines",
                line={"color": theme.quiet, "width": 1.5},
                hoverinfo="skip",
                name="tree",
            )
        )
        floor, top = shown_heights(joined)
        fig.update_layout(
            yaxis2=axis(
                theme,
                domain=[middle, 1],
                range=[floor, top + 0.06 * (top - floor)],
                visible=False,
                anchor="x",
            )
        )
    _points(fig, languages, hover, size=26)
    _outline(fig, languages, chosen, theme)
    add_legend(fig, languages, theme)
    return fig.figure()


def directed_heatmap(
    languages: Sequence[str],
    values: np.ndarray,
    hover: Sequence[Sequence[str]],
    shown: Colours,
    theme: Theme,
    row_title: str,
    column_title: str,
    chosen: tuple[str, str] | None = None,
    texts: Mapping[tuple[int, int], str] | None = None,
) -> Drawn:
    """A heatmap whose rows and columns mean different things, which its axes say.

    Arguments as for `overlap_heatmap`, but NaN is crossed out too, `chosen` is (row, column) and outlines that one
    cell, and `texts` gives the cells (row, column) that have words in place of their number.
    """
    count = len(languages)
    height = max(count * CELL, LEAST_TITLED) + FOOT + TITLE
    fig = drawing(theme, height=height, hoverdistance=60)
    names = [language_label(code) for code in languages]
    fig.update_layout(
        coloraxis=coloraxis(shown, theme, below=(46 + TITLE) / (height - FOOT - TITLE)),
        xaxis=_cell_axis(theme, languages, list(languages), side="bottom", anchor="y")
        | {"title": title(theme, column_title)},
        yaxis=_cell_axis(theme, languages, names, reverse=True) | {"title": title(theme, row_title)},
    )
    _cells(fig, values, theme, numbers=count <= NUMBERS_UP_TO, shown=shown, texts=texts)
    _crosses(fig, values, theme)
    _points(fig, languages, hover, size=26)
    _outline(fig, languages, chosen, theme, mirrored=False)
    return fig.figure()


def layer_heatmaps(
    languages: Sequence[str],
    panels: Mapping[str, np.ndarray],
    hover: Mapping[str, Sequence[Sequence[str]]],
    shown: Colours,
    theme: Theme,
    chosen: tuple[str, str] | None = None,
) -> Drawn:
    """Small multiples: one heatmap a scope, all on one colour scale and in one order of languages.

    Columns stand in the order of the rows and are not labelled again; nor is the band of branches, which stands
    beside the first of each row.

    `panels` maps a scope's title to (n, n) values, `hover` the same titles to the cells' texts.
    """
    count, rows = len(languages), -(-len(panels) // PANEL_COLUMNS)
    panel, gap = max(count * PANEL_CELL, LEAST_PANEL), 34
    inner = PANEL_TITLE + rows * panel + (rows - 1) * gap
    fig = drawing(theme, height=inner + FOOT + LEGEND, hoverdistance=30)
    fig.update_layout(coloraxis=coloraxis(shown, theme, below=18 / inner))
    start, spare = BAND + BAND_GAP, 0.041
    width = (1 - start - (PANEL_COLUMNS - 1) * spare) / PANEL_COLUMNS
    for index, (name, values) in enumerate(panels.items()):
        row, column = divmod(index, PANEL_COLUMNS)
        top = 1 - (PANEL_TITLE + row * (panel + gap)) / inner
        left = start + column * (width + spare)
        band = len(panels) + row + 1
        suffix = "" if index == 0 else str(index + 1)
        fig.update_layout(
            {
                f"xaxis{suffix}": _cell_axis(
                    theme, languages, [""] * count, anchor=f"y{suffix}", side="bottom"
                )
                | {"domain": [left, left + width]},
                f"yaxis{suffix}": _cell_axis(
                    theme,
                    languages,
                    list(languages) if column == 0 else [""] * count,
                    anchor=f"x{band}" if column == 0 else f"x{suffix}",
                    reverse=True,
                )
                | {"domain": [max(top - panel / inner, 0), top], "tickfont": {"size": 10}},
            }
        )
        place = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
        if column == 0:
            fig.update_layout({f"xaxis{band}": _band_axis(theme)})
            add_band(fig, languages, theme, f"x{band}", place["yaxis"])
        _cells(fig, values, theme, numbers=False, shown=shown, texts=None, **place)
        _points(fig, languages, hover[name], size=9, **place)
        _outline(fig, languages, chosen, theme, width=1.5, mirrored=True, **place)
        fig.add_annotation(
            text=name,
            x=left,
            y=top,
            xref="paper",
            yref="paper",
            xanchor="left",
            yanchor="bottom",
            showarrow=False,
            font={"size": 12, "color": theme.ink},
            yshift=3,
        )
    add_legend(fig, languages, theme)
    return fig.figure()


def _band_axis(theme: Theme) -> dict[str, object]:
    return axis(theme, domain=[0, BAND], range=[-0.5, 0.5], visible=False, anchor="y")


def coloraxis(shown: Colours, theme: Theme, below: float) -> dict[str, object]:
    """The colours of a figure's cells with their bar, which lies so far below the plot, in units of its height."""
    # Where ticks are whole numbers, digits after the point say nothing.
    digits = 0 if shown.high - shown.low >= WHOLE_TICKS else shown.digits
    marks = {"tickformat": f".{digits}f", "nticks": 5}
    if shown.signed:
        marks = signed_ticks(shown.low, shown.high)
    return {
        "colorscale": [list(stop) for stop in (theme.balance if shown.diverging else theme.amount)],
        "cmin": shown.low,
        "cmax": shown.high,
        "colorbar": {
            "orientation": "h",
            "thickness": 10,
            "len": 1.0,
            "x": 0.5,
            "y": -below,
            "yanchor": "top",
            "outlinewidth": 0,
            "tickfont": {"size": 11, "color": theme.quiet},
            **marks,
            "title": {"text": shown.title, "side": "top", "font": {"size": 12, "color": theme.quiet}},
        },
    }


def _cell_axis(
    theme: Theme, languages: Sequence[str], texts: Sequence[str], reverse: bool = False, **settings: object
) -> dict[str, object]:
    count = len(languages)
    return axis(
        theme,
        range=[count - 0.5, -0.5] if reverse else [-0.5, count - 0.5],
        tickmode="array",
        tickvals=list(range(count)),
        ticktext=list(texts),
        ticks="",
        **settings,
    )


def _cells(
    fig: Drawing,
    values: np.ndarray,
    theme: Theme,
    numbers: bool,
    shown: Colours,
    texts: Mapping[tuple[int, int], str] | None = None,
    **place: str,
) -> None:
    known = np.isfinite(values)
    fig.add_trace(
        heatmap(
            z=np.where(known, np.nan, 1.0).astype(np.float32),
            colorscale=[[0, theme.missing], [1, theme.missing]],
            showscale=False,
            hoverinfo="skip",
            xgap=1,
            ygap=1,
            name="no value",
            **place,
        )
    )
    fig.add_trace(
        heatmap(
            z=np.asarray(values, dtype=np.float32),
            coloraxis="coloraxis",
            hoverinfo="skip",
            xgap=1,
            ygap=1,
            name=shown.title,
            **place,
        )
    )
    if numbers:
        _numbers(fig, values, theme, shown, texts or {}, **place)


def _crosses(fig: Drawing, values: np.ndarray, theme: Theme) -> None:
    """A cross in every cell without a value: where zero is in the middle of the colours, it is nearly grey too."""
    rows, columns = np.nonzero(~np.isfinite(values))
    if len(rows):
        fig.add_trace(
            scatter(
                x=columns,
                y=rows,
                mode="markers",
                marker={"symbol": "x-thin-open", "size": 9, "color": theme.ink, "line": {"width": 1}},
                hoverinfo="skip",
                name="no value, crossed out",
            )
        )


def _numbers(
    fig: Drawing,
    values: np.ndarray,
    theme: Theme,
    shown: Colours,
    texts: Mapping[tuple[int, int], str],
    **place: str,
) -> None:
    """Each cell's number or text, dark on light cells and light on dark ones.

    Two clear heatmaps carry them, because a heatmap's text has one colour and fits its size to the cells;
    a blank in the cells of the other keeps the size of both the same.
    """
    stops = [colour for _, colour in (theme.balance if shown.diverging else theme.amount)]
    span = shown.high - shown.low
    share = np.clip((np.nan_to_num(values) - shown.low) / span, 0, 1)
    dark_ink = np.array([readable_on(colour) == DARK_INK for colour in stops])
    bright = dark_ink[np.rint(share * (len(stops) - 1)).astype(int)]
    known = np.isfinite(values)
    clear = [[0, "rgba(0,0,0,0)"], [1, "rgba(0,0,0,0)"]]
    for colour, cells in ((DARK_INK, known & bright), (BRIGHT_INK, known & ~bright)):
        text = [
            [
                texts.get((row, column), shown.written(values[row, column])) if cells[row, column] else " "
                for column in range(len(values))
            ]
            for row in range(len(values))
        ]
        fig.add_trace(
            heatmap(
                z=np.zeros(values.shape, dtype=np.float32),
                text=text,
                texttemplate="%{text}",
                textfont={"color": colour},
                colorscale=clear,
                showscale=False,
                hoverinfo="skip",
                name="numbers",
                **place,
            )
        )


def _points(
    fig: Drawing, languages: Sequence[str], hover: Sequence[Sequence[str]], size: int, **place: str
) -> None:
    rows, columns = np.indices((len(languages),) * 2, dtype=np.int32).reshape(2, -1)
    codes = np.array(languages)
    hidden = {"marker": {"opacity": 0}}
    fig.add_trace(
        scatter(
            x=columns,
            y=rows,
            mode="markers",
            marker={"symbol": "square", "size": size, **UNSEEN},
            selected=hidden,
            unselected=hidden,
            customdata=np.stack([codes[rows], codes[columns]], axis=1),
            text=np.array([text for row in hover for text in row], dtype=object),
            hovertemplate="%{text}<extra></extra>",
            name="cells",
            **place,
        )
    )


def _outline(
    fig: Drawing,
    languages: Sequence[str],
    chosen: tuple[str, str] | None,
    theme: Theme,
    width: float = 2.5,
    mirrored: bool = True,
    xaxis: str = "x",
    yaxis: str = "y",
) -> None:
    if chosen is None or not set(chosen) <= set(languages):
        return
    first, second = (languages.index(code) for code in chosen)
    cells = {(first, second), (second, first)} if mirrored else {(first, second)}
    for row, column in cells:
        frame(fig, row, column, theme, width, xref=xaxis, yref=yaxis)


def frame(fig: Drawing, row: int, column: int, theme: Theme, width: float = 2.5, **axes: str) -> None:
    """Outline a cell, with a line around the outline that sets it off from cells of any colour."""
    for colour, thickness in ((theme.background, 2.2 * width), (theme.accent, width)):
        fig.add_shape(
            type="rect",
            x0=column - 0.5,
            x1=column + 0.5,
            y0=row - 0.5,
            y1=row + 0.5,
            line={"color": colour, "width": thickness},
            layer="above",
            **axes,
        )


def hover_title(first: str, second: str) -> str:
    """First line of a cell's text."""
    if first == second:
        return f"<b>{plain_name(first)}</b>, one seed against another"
    return f"<b>{plain_name(first)} – {plain_name(second)}</b>"

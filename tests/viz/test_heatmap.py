"""The languages × languages figures."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import pytest
from scipy.cluster.hierarchy import linkage

from lsn_core.viz.families import BRANCHES, branch_colour
from lsn_core.viz.heatmap import around_zero, colours, layer_heatmaps, overlap_heatmap
from lsn_core.viz.theme import DARK, LIGHT

CODES = ["en", "ar", "sw"]
VALUES = np.array([[np.nan, 0.2, 0.4], [0.2, np.nan, np.nan], [0.4, np.nan, np.nan]])
TREE = np.array([[0, 1, 0.3, 2], [2, 3, 0.6, 3]])
HOVER = [[f"{a} {b}" for b in CODES] for a in CODES]


def named(fig: go.Figure, name: str) -> list[go.BaseTraceType]:
    return [trace for trace in fig.data if trace.name == name]


def heat(chosen: tuple[str, str] | None = None, tree: np.ndarray | None = TREE) -> go.Figure:
    return overlap_heatmap(
        CODES, VALUES, HOVER, colours("neutrality N", VALUES, 2, (0, 1)), LIGHT, tree, chosen
    )


def test_missing_is_grey_and_never_zero() -> None:
    fig = heat()
    (cells,) = named(fig, "neutrality N")
    (missing,) = named(fig, "no value")
    assert np.array_equal(np.isnan(cells.z), np.isnan(VALUES))
    assert np.array_equal(np.isnan(missing.z), ~np.isnan(VALUES))
    assert {colour for _, colour in missing.colorscale} == {LIGHT.missing}


def test_every_cell_carries_its_pair_under_the_pointer() -> None:
    (points,) = named(heat(), "cells")
    assert [list(pair) for pair in points.customdata] == [[a, b] for a in CODES for b in CODES]
    assert points.marker.opacity == 0
    assert points.selected.marker.opacity == points.unselected.marker.opacity == 0
    assert list(points.x[:4]) == [0, 1, 2, 0]
    assert list(points.y[:4]) == [0, 0, 0, 1]
    assert points.text[1] == "en ar"


def test_each_number_is_written_once() -> None:
    bright, dark = named(heat(), "numbers")
    written = [
        [a.strip() or b.strip() for a, b in zip(*rows, strict=True)]
        for rows in zip(bright.text, dark.text, strict=True)
    ]
    assert written == [["", "0.20", "0.40"], ["0.20", "", ""], ["0.40", "", ""]]
    for rows in zip(bright.text, dark.text, strict=True):
        assert not any(a.strip() and b.strip() for a, b in zip(*rows, strict=True))


def test_tree_stands_over_its_columns() -> None:
    fig = heat()
    (tree,) = named(fig, "tree")
    assert list(tree.x[:4]) == [0, 0, 1, 1]
    assert list(tree.x[5:9]) == [0.5, 0.5, 2, 2]
    assert fig.layout.xaxis.range == (-0.5, 2.5)
    assert fig.layout.yaxis.domain[1] == fig.layout.yaxis2.domain[0]
    assert not named(heat(tree=None), "tree")


def test_band_names_the_branch_of_each_language() -> None:
    codes = ["en", "ar", "de", "tlh"]
    values = np.zeros((4, 4))
    hover = [["x"] * 4] * 4
    fig = overlap_heatmap(codes, values, hover, colours("x", values, 2, None), LIGHT)
    (band,) = named(fig, "families")
    steps = dict(zip(range(3), [colour for _, colour in band.colorscale][::2], strict=True))
    drawn = [steps[int(value)] for value in np.ravel(band.z)]
    assert drawn[0] == drawn[2] == branch_colour("Germanic", LIGHT)
    assert drawn[1] == branch_colour("Semitic", LIGHT)
    assert drawn[3] == LIGHT.missing
    assert "Semitic, Afro-Asiatic" in band.text[1][0]
    legend = {trace.name: trace.marker.color for trace in fig.data if trace.showlegend}
    assert legend == {
        "Germanic": drawn[0], "Semitic": drawn[1], "family unknown": LIGHT.missing
    }  # fmt: skip
    assert fig.layout.yaxis.anchor == "x2"
    assert fig.layout.xaxis2.domain[1] < fig.layout.xaxis.domain[0]


def test_a_branch_has_one_colour_whatever_is_on_screen() -> None:
    for theme in (LIGHT, DARK):
        colours_of = [branch_colour(name, theme) for name in BRANCHES]
        assert len(set(colours_of)) == len(BRANCHES) == 7


def test_chosen_pair_is_outlined_on_both_sides() -> None:
    shapes = heat(("en", "sw")).layout.shapes
    assert {(shape.x0, shape.y0) for shape in shapes} == {(1.5, -0.5), (-0.5, 1.5)}
    halo, outline = shapes[:2]  # set off from cells of any colour
    assert (halo.line.color, outline.line.color) == (LIGHT.background, LIGHT.accent)
    assert halo.line.width > outline.line.width
    assert not heat(("en", "zz")).layout.shapes


def test_names_in_two_scripts() -> None:
    fig = heat()
    assert list(fig.layout.xaxis.ticktext) == CODES
    assert "العربية" in fig.layout.yaxis.ticktext[1]


@pytest.mark.parametrize(
    ("values", "whole", "low", "high", "diverging"),
    [
        ([0.1, 0.8], (0, 1), 0, 1, False),
        ([0.90, 0.94], (0, 1), pytest.approx(0.87), pytest.approx(0.97), False),
        ([0.89, 0.99], (0, 1), pytest.approx(0.75), 1, False),
        ([0.93], (0, 1), pytest.approx(0.90), pytest.approx(0.96), False),
        ([0.2, 1.6], (0, 1), pytest.approx(-0.85), pytest.approx(2.65), False),
        ([-0.4, 0.2], (0, 1), -0.4, 0.4, True),
        ([0.02, 0.04], None, pytest.approx(0), pytest.approx(0.06), False),
        ([np.nan], (0, 1), 0, 1, False),
        ([-0.3, -0.1], None, pytest.approx(-0.45), pytest.approx(0.05), False),
    ],
)
def test_range_of_colours(
    values: list[float], whole: tuple[float, float] | None, low: float, high: float, diverging: bool
) -> None:
    shown = colours("x", np.array(values), 2, whole)
    assert (shown.low, shown.high, shown.diverging) == (low, high, diverging)


def test_zero_is_the_middle_of_a_diverging_scale() -> None:
    values = np.array([[np.nan, -0.2], [0.6, np.nan]])
    fig = overlap_heatmap(["en", "fr"], values, HOVER, colours("x", values, 2, None), DARK)
    assert fig.layout.coloraxis.cmin == -fig.layout.coloraxis.cmax
    assert fig.layout.coloraxis.colorscale[0][1] == DARK.balance[0][1]


def test_negative_numbers_have_a_true_minus_and_zero_has_no_sign() -> None:
    values = np.array([[np.nan, -0.2], [0.6, np.nan]])
    plain, differences = colours("x", values, 2, None), around_zero("x", values, 2)
    assert [plain.written(value) for value in (-0.2, 0.0, 0.6)] == ["−0.20", "0.00", "0.60"]
    assert [differences.written(value) for value in (-0.2, 0.0, 0.6)] == ["−0.20", "0.00", "+0.60"]
    bar = overlap_heatmap(["en", "fr"], values, HOVER, differences, LIGHT).layout.coloraxis.colorbar
    assert list(bar.ticktext) == ["−0.6", "−0.4", "−0.2", "0", "+0.2", "+0.4", "+0.6"]


@pytest.mark.parametrize(("count", "room", "lines"), [(11, 425, 1), (3, 425, 2), (40, 425, 1)])
def test_little_room_makes_lower_rows(count: int, room: float, lines: int) -> None:
    codes = [*CODES, "de", "fr", "es", "ru", "fa", "ur", "hi", "zh", *(f"x{k}" for k in range(29))][:count]
    values = np.full((count, count), 0.5)
    tree = linkage(np.arange(count)[:, None], "single")
    shown = colours("x", values, 2, None)
    fig = overlap_heatmap(codes, values, [["h"] * count] * count, shown, LIGHT, tree, room=room)
    assert (fig.layout.height <= room) == (count <= 11)
    assert fig.layout.yaxis.ticktext[1].count("<br>") == lines - 1
    assert (
        fig.layout.height
        < overlap_heatmap(codes, values, [["h"] * count] * count, shown, LIGHT, tree).layout.height
    )


def test_small_multiples_share_scale_and_order() -> None:
    panels = {f"Layer {k}": VALUES + k / 10 for k in range(5)}
    shown = colours("x", np.stack(list(panels.values())), 2, None)
    fig = layer_heatmaps(CODES, panels, dict.fromkeys(panels, HOVER), shown, LIGHT, ("en", "sw"))
    heatmaps = named(fig, "x")
    assert len(heatmaps) == 5
    assert {trace.coloraxis for trace in heatmaps} == {"coloraxis"}
    assert [note.text for note in fig.layout.annotations] == list(panels)
    assert len([shape for shape in fig.layout.shapes if shape.line.color == LIGHT.accent]) == 2 * 5
    assert all(
        0 <= edge <= 1 for k in range(1, 6) for edge in fig.layout[f"yaxis{k if k > 1 else ''}"].domain
    )
    assert len(named(fig, "cells")) == 5
    bands = named(fig, "families")
    assert [band.yaxis for band in bands] == [heatmaps[0].yaxis, heatmaps[3].yaxis]
    assert len({band.xaxis for band in bands} | {trace.xaxis for trace in heatmaps}) == 7

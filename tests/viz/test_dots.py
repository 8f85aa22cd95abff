"""Dots with their seeds, scatters of ordered pairs, heatmaps with a direction."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import pytest

from lsn_core.viz.dots import KEY, Dots, Marked, dots_figure, scatter_figure
from lsn_core.viz.heatmap import around_zero, colours, directed_heatmap
from lsn_core.viz.labels import signed
from lsn_core.viz.theme import DARK, LIGHT

CODES = ["en", "ar", "sw"]
VALUES = np.array([[0.0, -0.01, 0.02], [-0.03, 0.0, np.nan], [-0.0001, 0.01, 0.0]])
HOVER = [[f"{a} {b}" for b in CODES] for a in CODES]


def named(fig: go.Figure, name: str) -> go.BaseTraceType:
    return next(trace for trace in fig.data if trace.name == name)


def written(fig: go.Figure) -> list[list[str]]:
    bright, dark = (trace.text for trace in fig.data if trace.name == "numbers")
    return [
        [a.strip() or b.strip() for a, b in zip(*rows, strict=True)]
        for rows in zip(bright, dark, strict=True)
    ]


def test_a_direction_is_kept_and_said() -> None:
    own = {(k, k): "own" for k in range(3)}
    shown = around_zero("x", VALUES, 3)
    fig = directed_heatmap(CODES, VALUES, HOVER, shown, DARK, "source", "target", ("en", "sw"), own)
    assert (fig.layout.yaxis.title.text, fig.layout.xaxis.title.text) == ("source", "target")
    (box,) = [shape for shape in fig.layout.shapes if shape.line.color == DARK.accent]
    assert (box.x0, box.y0) == (1.5, -0.5)
    assert written(fig) == [["own", "−0.010", "+0.020"], ["−0.030", "own", ""], ["0.000", "+0.010", "own"]]
    assert np.array_equal(np.isnan(named(fig, "no value").z), ~np.isnan(VALUES))
    crosses = named(fig, "no value, crossed out")
    assert (list(crosses.x), list(crosses.y)) == ([2], [1])


def test_rows_keep_room_for_their_title() -> None:
    heights = [
        directed_heatmap(
            CODES[:n], VALUES[:n, :n], HOVER, colours("x", VALUES, 2, None), LIGHT, "a", "b"
        ).layout.height
        for n in (2, 3)
    ]
    assert heights[0] == heights[1] >= 250


@pytest.mark.parametrize(
    ("values", "noise", "reach"),
    [([-0.02, -0.01], np.nan, 0.02), ([0.01], 0.03, 0.03), ([np.nan], np.nan, 0.003), ([0.04], 0.03, 0.04)],
)
def test_zero_is_in_the_middle_and_noise_is_pale(values: list[float], noise: float, reach: float) -> None:
    shown = around_zero("x", np.array(values), 3, noise)
    assert (shown.low, shown.high) == pytest.approx((-reach, reach))
    assert shown.diverging


@pytest.mark.parametrize(
    ("value", "text"), [(0.0124, "+0.012"), (-0.0124, "−0.012"), (-0.0004, "0.000"), (0.0, "0.000")]
)
def test_signs(value: float, text: str) -> None:
    assert signed(value, 3) == text


def test_rows_without_a_value_are_left_out() -> None:
    rows = [
        Dots("a", 0.4, {0: 0.3, 1: 0.5}),
        Dots("b", float("nan"), {0: float("nan")}),
        Dots("c", 0.2, {0: 0.2, 1: float("nan")}, "over 1 target"),
    ]
    fig = dots_figure(rows, "score", 3, LIGHT)
    assert list(fig.layout.yaxis.ticktext) == ["a", "c"]
    assert list(named(fig, "mean").x) == [0.4, 0.2]
    assert list(zip(named(fig, "seeds").x, named(fig, "seeds").y, strict=True)) == [
        (0.3, 0),
        (0.5, 0),
        (0.2, 1),
    ]
    assert "over 1 target" in named(fig, "mean").customdata[1]
    assert KEY in fig.layout.xaxis.title.text
    assert [trace.name for trace in fig.data] == ["mean", "seeds"]  # no mean hides the seeds that it is near
    low, high = fig.layout.xaxis.range
    assert low < 0.2 < 0.5 < high


def test_one_seed_has_no_rings_and_differences_have_a_zero() -> None:
    fig = dots_figure([Dots("a", -0.02, {0: -0.02})], "loss", 3, DARK, differences=True)
    assert not named(fig, "seeds").x
    assert fig.layout.xaxis.title.text == "loss"
    assert list(named(fig, "mean").text) == ["−0.020"]
    assert fig.layout.xaxis.range[1] > 0
    assert "0" in fig.layout.xaxis.ticktext
    assert len(fig.layout.shapes) == 1


def test_scatter_carries_its_cells_and_rings_the_chosen() -> None:
    points = [
        Marked(("en", "sw"), 0.9, -0.01),
        Marked(("sw", "en"), 0.9, 0.02),
        Marked(("en", "ar"), 0.8, np.nan),
    ]
    fig = scatter_figure(points, ("Jaccard", "loss"), (2, 3), LIGHT, ("sw", "en"))
    assert [list(cell) for cell in named(fig, "pairs").customdata] == [["en", "sw"], ["sw", "en"]]
    assert "<b>Swahili → English</b>" in named(fig, "pairs").text[1]
    assert "+0.020" in named(fig, "pairs").text[1]
    assert list(named(fig, "chosen").y) == [0.02]
    assert list(fig.layout.yaxis.ticktext) == ["−0.01", "0", "+0.01", "+0.02"]
    assert scatter_figure([], ("a", "b"), (2, 3), LIGHT).layout.xaxis.range == (0, 1)

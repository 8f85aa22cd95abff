"""The figures of the neutral core and their sentences."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import pytest

from lsn_core.viz.core import (
    Measured,
    alone_figure,
    bar_number,
    difference_colours,
    keepers_figure,
    places_figure,
)
from lsn_core.viz.theme import DARK, LIGHT, Theme
from lsn_core.viz.words.core import (
    CoreSize,
    alone_sentence,
    core_sentence,
    every_k_sentence,
    per_cent,
    places_sentence,
)

NOTHING = np.full(4, np.nan)


def measured(reference: np.ndarray | None = None) -> Measured:
    value = np.array([40.0, 12.0, 3.0, 45.0])
    expected = np.array([38.0, 12.5, 9.5, 40.0]) if reference is None else reference
    return Measured(value, value - 0.5, value + 0.5, expected, np.array([12.5, 37.5, 37.5, 12.5]))


def names(fig: go.Figure) -> list[str]:
    return [trace.name for trace in fig.data]


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_core_bars_are_told_from_the_others(theme: Theme) -> None:
    fig = keepers_figure(measured(), np.array([400, 120, 30, 450]), 2, theme)
    core, others = fig.data[:2]
    assert (list(core.x), list(others.x)) == ([2, 3], [0, 1])
    assert core.marker.color != others.marker.color
    assert core.customdata[0] == "30 weights, 3.0 %"
    assert list(core.error_y.array) == pytest.approx([0.5, 0.5])
    assert fig.layout.yaxis.range[1] > 45.5


def test_unknown_reference_is_not_drawn() -> None:
    fig = keepers_figure(measured(NOTHING), np.zeros(4), 3, LIGHT)
    assert "pretrained weights alone" not in names(fig)
    assert "chance" in names(fig)
    alone = alone_figure(["en", "de", "fr", "sw"], measured(NOTHING), 10.0, LIGHT)
    assert names(alone) == ["measured"]
    assert not any("nan" in text for text in alone.data[0].customdata)


def test_numbers_of_bars_stand_where_no_mark_can_cover_them() -> None:
    fig = keepers_figure(measured(), np.zeros(4), 3, LIGHT)
    numbers = [note for note in fig.layout.annotations if note.name == "numbers"]
    assert [(note.x, note.text) for note in numbers] == [(0, "40"), (1, "12"), (2, "3.0"), (3, "45")]
    assert all((note.yref, note.y, note.yanchor) == ("paper", 0, "top") for note in numbers)
    assert all(note.yshift < 0 for note in numbers)


def test_many_languages_have_no_numbers_under_bars() -> None:
    many = Measured(*(np.full(41, 100 / 41) for _ in range(5)))
    assert not keepers_figure(many, np.zeros(41), 40, LIGHT).layout.annotations


def test_languages_are_sorted_and_the_shared_told() -> None:
    fig = alone_figure(["en", "de", "fr", "sw"], measured(), 5000.0, LIGHT)
    assert list(fig.data[0].y) == ["Swahili", "English", "German", "French"]
    assert list(fig.data[1].x) == [40.0, 38.0, 12.5, 9.5]
    assert "all 4 languages keep 5,000" in fig.layout.xaxis.title.text


def test_places_without_a_matrix_are_grey_and_zero_is_in_the_middle() -> None:
    grid = np.array([[1.0, np.nan, 2.0], [3.0, 4.0, 3.5]])
    hover = [["a"] * 3] * 2
    fig = places_figure(["0", "all"], ["query", "pooler", "all"], grid, hover, LIGHT)
    grey, cells, points = fig.data
    assert np.array_equal(np.isnan(cells.z), np.isnan(grid))
    assert np.array_equal(np.isnan(grey.z), ~np.isnan(grid))
    assert fig.layout.coloraxis.cmin == -fig.layout.coloraxis.cmax == -4
    assert list(points.text) == ["+1.0", "", "+2.0", "+3.0", "+4.0", "+3.5"]
    wide = places_figure(["0"], ["x"] * 9, np.zeros((1, 9)), [["a"] * 9], LIGHT)
    assert wide.data[2].mode == "markers"


def test_tiny_differences_are_not_blown_up() -> None:
    assert difference_colours(np.array([0.001, -0.002, np.nan])).high == 0.5
    assert difference_colours(np.array([np.nan])).low == -0.5


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.001, "<0.01"), (0.04, "0.04"), (0.8, "0.8"), (9.96, "10"), (45.3, "45")]
)
def test_number_of_a_bar(value: float, text: str) -> None:
    assert bar_number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0.0 %"), (0.001, "less than 0.01 %"), (0.04, "0.04 %"), (89.41, "89.4 %"),
        (99.96, "99.96 %"), (99.999, "almost 100 %"), (100, "100.0 %"), (127.3, "127.3 %"),
    ],
)  # fmt: skip
def test_share_never_reads_as_nothing_or_as_all(value: float, text: str) -> None:
    assert per_cent(value) == text


def size(k: int, n: int = 11, **changes: object) -> CoreSize:
    parts = {
        "kept": 1000.0,
        "alike": True,
        "core": np.array([880.0, 900.0]),
        "reference": np.array([740.0, 740.0]),
        "chance": np.array([3.0, 3.0]),
    } | changes
    return CoreSize(n=n, k=k, **parts)  # type: ignore[arg-type]


def test_core_sentence() -> None:
    assert core_sentence(size(11), 0.5, "over the whole model") == (
        "Of the 1,000 weights that a sub-network keeps over the whole model with 50 % removed, all 11 languages "
        "keep **890**, that is **89.0 %** of them (mean over 2 seeds; 880 to 900, 88.0 % to 90.0 %); the pretrained "
        "weights alone would give 74.0 %, chance 0.3 %."
    )
    some = core_sentence(size(9, alike=False, core=np.array([1100.0])), 0.5, "in encoder layer 2")
    assert "1,000 weights on average in encoder layer 2. At least 9 of 11 languages keep **1,100**" in some
    assert "keep **1,100**, that is **110.0 %** as many;" in some
    assert some.endswith(
        "It may be more than 100 %, as no language need keep all of the weights that so many keep."
    )
    assert "both languages" in core_sentence(size(2, 2), 0.5, "here")
    assert "is unknown" in core_sentence(size(2, reference=np.full(2, np.nan)), 0.5, "here")
    assert "no language keeps a weight" in core_sentence(size(2, kept=0.0), 0.9, "here")


def test_every_k_is_told_and_disagreeing_seeds_are_not_taken_for_one_side() -> None:
    differences = np.array([[-5.0, 2.0, 3.0, -1.0, 1.0], [-6.0, 2.0, 3.0, 1.0, 0.0]])
    text = every_k_sentence(5, differences)
    assert "at least k of the 5 languages" in text
    assert "larger for k = 2 to 3, smaller for k = 1, neither, in all seeds alike, for k = 4 to 5." in text


def test_alone_sentence() -> None:
    text = alone_sentence({"en": 10, "sw": 30}, 1000.0, [50.0, 60.0], "here")
    assert "on average **20** weights here" in text
    assert "2.0 % of what it keeps: from 10 (English) to 30 (Swahili); the" in text
    assert text.endswith("would give 55.")
    assert "pretrained" not in alone_sentence({"en": 10, "sw": 30}, 1000.0, [np.nan] * 2, "here")
    assert alone_sentence({"en": 0, "sw": 0}, 0.0, [0.0], "here") == (
        "No language keeps a weight here that no other keeps."
    )


def test_places_sentence_leaves_out_what_is_undefined() -> None:
    places = {
        "the key of 0": np.array([-2.0, -1.0]),
        "the key of 1": np.array([4.0, 4.0]),
        "pooler": np.full(2, np.nan),
    }
    text = places_sentence("all 3 languages", places, np.array([-0.5, -0.3]))
    assert "is smaller than" in text
    assert "(−0.4 percentage points, over seeds −0.5 to −0.3 of what" in text
    assert "highest in the key of 1 (+4.0 percentage points)" in text
    assert "lowest in the key of 0 (−1.5 percentage points, over seeds −2.0 to −1.0)" in text
    nothing = np.full(2, np.nan)
    assert "anything to compare" in places_sentence("all 3 languages", {"pooler": nothing}, nothing)

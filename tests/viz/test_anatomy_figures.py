"""The figures of one sub-network taken apart, and their sentences."""

from __future__ import annotations

import numpy as np
import pytest

from lsn_core.viz.anatomy import Line, amount_colours, difference_colours, lines_figure, picture_figure
from lsn_core.viz.colour import contrast, mixed
from lsn_core.viz.heatmap import Colours
from lsn_core.viz.places import broken, layer_mark, places_map
from lsn_core.viz.theme import DARK, LIGHT, Theme
from lsn_core.viz.words.anatomy import (
    Kept,
    Shared,
    heads_sentence,
    kept_sentence,
    lines_sentence,
    place_name,
    shared_sentence,
)

NAN = float("nan")
AMOUNT = Colours("weights kept, %", 0, 100, False, 0)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_cells_of_a_picture_end_where_their_blocks_end(theme: Theme) -> None:
    percent = np.arange(12.0).reshape(3, 4)
    fig = picture_figure(percent, (4, 3), (10, 11), AMOUNT, theme)
    (cells,) = fig.data
    assert list(cells.y) == [-0.5, 3.5, 7.5, 9.5]
    assert list(cells.x) == [-0.5, 2.5, 5.5, 8.5, 10.5]
    assert np.array_equal(cells.z, percent)
    assert list(fig.layout.yaxis.range) == [9.5, -0.5]
    assert not fig.layout.shapes


@pytest.mark.parametrize(("along", "ends"), [(0, [2.5, 5.5, 8.5]), (1, [1.5, 3.5, 5.5])])
def test_lines_between_heads(along: int, ends: list[float]) -> None:
    fig = picture_figure(np.zeros((12, 8)), (1, 1), (12, 8), AMOUNT, LIGHT, (along, 4))
    across = "y" if along == 0 else "x"
    assert [shape[f"{across}0"] for shape in fig.layout.shapes] == ends
    assert all(shape[f"{across}0"] == shape[f"{across}1"] for shape in fig.layout.shapes)


def test_colours_of_compared_pictures_are_the_same_and_never_of_no_width() -> None:
    shown = amount_colours("kept", np.array([[12.4, 30.0]]), np.array([[55.1]]))
    assert (shown.low, shown.high, shown.diverging) == (12.0, 56.0, False)
    empty, full = (amount_colours("kept", np.full((2, 2), value)) for value in (0.0, 100.0))
    assert (empty.low, full.high) == (0.0, 100.0)
    assert empty.low < empty.high
    assert full.low < full.high
    apart = difference_colours("apart", np.array([[-3.0, 1.0]]))
    assert (apart.low, apart.high, apart.diverging) == (-3.0, 3.0, True)
    assert difference_colours("apart", np.zeros((2, 2))).high == 1.0


def test_lines_of_one_and_of_two() -> None:
    first, second = (
        Line("English", np.array([50.0, 40.0])),
        Line("French", np.array([51.0, 39.0])),
    )
    fig = lines_figure(first, second, (42.0, 48.0), "head", LIGHT)
    assert [trace.name for trace in fig.data] == ["95 % if drawn by lot", "English", "French"]
    assert (min(fig.data[0].y), max(fig.data[0].y)) == (42.0, 48.0)
    assert list(fig.data[2].y) == [51.0, 39.0]
    assert fig.data[1].marker.color != fig.data[2].marker.color
    assert fig.layout.xaxis.title.text == "head"
    assert len(lines_figure(first, None, (42.0, 48.0), "row", LIGHT).data) == 2


def test_map_carries_keys_and_outlines_the_chosen_cell() -> None:
    values = np.array([[10.0, 20.0], [30.0, NAN]])
    keys = [["a", ""], ["b", ""]]
    fig = places_map(
        ["0", "1"], ["query", "all"], values, [["h"] * 2] * 2, AMOUNT, LIGHT, keys, (1, 0), sum_row=False
    )
    grey, cells, points = fig.data
    assert np.array_equal(np.isnan(grey.z), ~np.isnan(values))
    assert np.array_equal(np.isnan(cells.z), np.isnan(values))
    assert list(points.customdata) == ["a", "", "b", ""]
    assert list(points.text) == ["10", "20", "30", ""]
    lines = [shape for shape in fig.layout.shapes if shape.type == "line"]
    (outline,) = [shape for shape in fig.layout.shapes if shape.line.color == LIGHT.accent]
    assert len(lines) == 1
    assert (outline.x0, outline.x1, outline.y0, outline.y1) == (-0.5, 0.5, 0.5, 1.5)


@pytest.mark.parametrize(
    ("layer", "several", "mark"),
    [("encoder.3", False, "3"), ("decoder.0", True, "d0"), ("none", True, "none"), ("all", False, "all")],
)
def test_mark_of_a_layer(layer: str, several: bool, mark: str) -> None:
    assert layer_mark(layer, several) == mark


def test_names_of_places() -> None:
    assert place_name("encoder.3", "query") == "the query matrix of encoder layer 3"
    assert place_name("none", "pooler") == "the pooler matrix"
    assert place_name("encoder.3", "feed-forward in") == "the feed-forward-in matrix of encoder layer 3"
    assert broken("feed-forward in") == "feed-<br>forward<br>in"


def test_kept_sentence() -> None:
    own = Kept("English", 50.0, 100.0, {"the a": 0.63, "the b": 0.38, "the c": 0.5})
    assert kept_sentence(own, 0.993) == (
        "**English** keeps **50.0 %** of all prunable weights; the fullest is the a (63.0 %), the emptiest the b "
        "(38.0 %). Of what it keeps, the pretrained weights alone would keep 99.3 % too."
    )
    assert kept_sentence(Kept("English", 1.0, 4.0, {"the a": 0.25}), NAN) == (
        "**English** keeps **25.0 %** of all prunable weights."
    )


def shared(left: float, right: float, both: float, **others: float) -> Shared:
    known = {"chance": 0.3, "reference": 0.8, "by_place": {}} | others
    return Shared(left, right, both, both / (left + right - both or NAN), **known)  # type: ignore[arg-type]


def test_shared_sentence() -> None:
    names = ("English", "French")
    places = {"the a": 0.9, "the b": 0.7, "the c": NAN}
    assert shared_sentence(names, shared(50, 50, 45, by_place=places)) == (  # type: ignore[arg-type]
        "Of the weights that either keeps, both keep **81.8 %**; the pretrained weights alone would give "
        "80.0 %, chance 30.0 %. They share most in the a (90.0 %) and least in the b (70.0 %)."
    )
    unknown = shared_sentence(names, shared(50, 50, 45, reference=NAN))
    assert "pretrained" not in unknown
    assert "; chance would give 30.0 %." in unknown
    assert shared_sentence(names, shared(20, 50, 19)).endswith(
        ". English keeps fewer weights than French, so that at most 40.0 % could be shared; of its weights, "
        "French keeps 95.0 %."
    )
    assert "French keeps fewer weights than English" in shared_sentence(names, shared(50, 20, 19))
    assert shared_sentence(names, shared(50, 50, 50)) == "Both keep the very same weights."
    assert "nothing to share" in shared_sentence(names, shared(0, 0, 0))
    assert "French keeps 0.0 %" in shared_sentence(names, shared(20, 50, 0))


def test_an_empty_sub_network_beside_another() -> None:
    text = shared_sentence(("Empty", "French"), shared(0, 50, 0, reference=NAN))
    assert text.startswith("Of the weights that either keeps, both keep **0.0 %**")
    assert "nan" not in text


def test_pretrained_alone_is_no_proper_name() -> None:
    text = shared_sentence(("Pretrained alone", "English"), shared(50, 20, 19))
    assert ". English keeps fewer weights than pretrained alone, so" in text
    assert "of its weights, pretrained alone keeps" in text
    text = shared_sentence(("Pretrained alone", "English"), shared(20, 50, 19))
    assert ". Pretrained alone keeps fewer weights than English, so" in text


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_band_is_told_from_the_background(theme: Theme) -> None:
    fig = lines_figure(Line("English", np.array([50.0])), None, (42.0, 48.0), "row", theme)
    share = float(fig.data[0].fillcolor.rstrip(")").rsplit(",", 1)[1])
    assert contrast(mixed(theme.background, theme.quiet, share), theme.background) >= 1.8


def test_lines_sentence() -> None:
    text = lines_sentence("English", "row", np.array([0.5, 0.9, 0.1]), 2 / 3)
    assert text == (
        "English keeps the largest share in row 1 (90.0 %) and the smallest in row 2 (10.0 %); 66.7 % of the rows "
        "lie outside the band, where 5 % would lie if its weights were drawn by lot."
    )
    assert lines_sentence("English", "head", np.full(3, 0.5), 0.0) == "Every head of English keeps 50.0 %."


def test_heads_sentence() -> None:
    heads = {"encoder layer 0": np.array([0.2, 0.3]), "encoder layer 1": np.array([0.6, 0.1])}
    assert heads_sentence("English", "key", heads) == (
        "English keeps the largest share of a head's key weights in head 0 of encoder layer 1 (60.0 %) and the "
        "smallest in head 1 of encoder layer 1 (10.0 %); there are 4 heads."
    )

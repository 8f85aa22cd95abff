"""Profiles of a pair, rankings, shares and scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lsn_core.viz.profile import Profile, component_profile, layer_profile, shown_range
from lsn_core.viz.ranking import RankedPair, each_in, extremes, ranking_figure
from lsn_core.viz.scores import scores_figure
from lsn_core.viz.shares import shares_figure
from lsn_core.viz.theme import DARK, LIGHT


def profile(scopes: tuple[str, ...] = ("encoder.0", "encoder.1", "encoder.2")) -> Profile:
    value = np.array([0.986, 0.988, 0.990])
    return Profile(
        scopes,
        value,
        value - 0.001,
        value + 0.001,
        {
            "pretrained alone": np.full(3, 0.985),
            "same language": np.array([0.991, 0.992, np.nan]),
            "chance": np.full(3, 0.333),
        },
    )


def test_rows_can_have_names_of_their_own() -> None:
    unknown = np.full(2, np.nan)
    found = Profile(
        ("en", "sw"),
        np.array([0.9, 0.8]),
        np.array([0.85, np.nan]),
        np.array([0.95, np.nan]),
        {},
        "mine",
        ("English", "Swahili"),
    )
    fig = component_profile(found, "Jaccard", 3, LIGHT)
    assert list(fig.layout.yaxis.ticktext) == ["English", "Swahili"]
    (dots,) = [trace for trace in fig.data if trace.name == "mine"]
    assert list(dots.customdata) == [" (0.850–0.950)", ""]
    bare = Profile(("encoder.0", "encoder.1"), np.array([0.9, 0.8]), unknown, unknown, {})
    (line,) = [trace for trace in layer_profile(bare, "Jaccard", 3, LIGHT).data if trace.name == "this pair"]
    assert list(line.customdata) == ["", ""]


def test_far_level_does_not_crush_the_scale_but_is_told() -> None:
    low, high = shown_range(profile())
    assert 0.98 < low < 0.985
    assert 0.992 < high < 0.995
    fig = layer_profile(profile(), "Jaccard", 3, LIGHT)
    names = [trace.name for trace in fig.data]
    assert "chance" not in names
    assert {"pretrained alone", "same language", "95 % interval", "this pair"} <= set(names)
    assert fig.layout.xaxis.title.text == "layer<br>chance 0.333<br>(off this scale)"


def test_near_levels_are_all_in_reach() -> None:
    value = np.array([0.4, 0.6])
    near = Profile(("a", "b"), value, value, value, {"0": np.zeros(2), "1": np.ones(2)})
    low, high = shown_range(near)
    assert low < 0
    assert high > 1


def test_profile_without_interval_has_no_band() -> None:
    value = np.array([0.5, 0.6])
    nothing = np.full(2, np.nan)
    fig = layer_profile(Profile(("encoder.0", "encoder.1"), value, nothing, nothing, {}), "J", 3, DARK)
    assert [trace.name for trace in fig.data] == ["this pair"]


def test_undefined_profile_can_be_drawn() -> None:
    nothing = np.full(2, np.nan)
    empty = Profile(("encoder.0", "encoder.1"), nothing, nothing, nothing, {"x": nothing})
    assert shown_range(empty) == (0, 1)
    assert len(layer_profile(empty, "J", 3, LIGHT).data) == 1


def test_layers_of_two_stacks_are_told_apart() -> None:
    fig = layer_profile(profile(("encoder.0", "decoder.0", "decoder.1")), "J", 3, LIGHT)
    assert list(fig.layout.xaxis.ticktext) == ["e0", "d0", "d1"]
    fig = layer_profile(profile(), "J", 3, LIGHT)
    assert list(fig.layout.xaxis.ticktext) == ["0", "1", "2"]


def test_components_have_dots_with_intervals() -> None:
    fig = component_profile(profile(("query", "key", "feed-forward in")), "J", 3, LIGHT)
    pair = next(trace for trace in fig.data if trace.name == "this pair")
    assert "chance 0.333<br>(off this scale)" in fig.layout.xaxis.title.text
    assert list(pair.error_x.array) == pytest.approx([0.001] * 3)
    assert list(fig.layout.yaxis.ticktext) == ["Query", "Key", "Feed-forward in"]


def pairs(count: int) -> list[RankedPair]:
    return [RankedPair(("en", f"x{k:02d}"), k / 100, k / 100 - 0.01, k / 100 + 0.01) for k in range(count)]


def test_extremes_are_the_ends_of_the_order() -> None:
    ends = extremes([*pairs(30), RankedPair(("en", "fr"), float("nan"), float("nan"), float("nan"))], each=2)
    assert [pair.languages[1] for pair in ends] == ["x29", "x28", "x01", "x00"]
    assert len(extremes(pairs(4), each=2)) == 4


def test_as_many_pairs_as_go_beside_a_figure() -> None:
    for height in (100, 400, 680, 922):
        each = each_in(height)
        fig = ranking_figure(extremes(pairs(60), each), 60 - 2 * each, {}, "N", 2, LIGHT)
        assert each == 4 or height - 60 <= fig.layout.height <= height


def test_ranking_tells_what_it_leaves_out() -> None:
    fig = ranking_figure(extremes(pairs(30)), 18, {"low": 0.0, "far": 50.0}, "N", 2, LIGHT)
    assert "… 18 more …" in fig.layout.yaxis.ticktext
    assert len(set(fig.layout.yaxis.tickvals)) == 13
    assert [note.text for note in fig.layout.annotations] == ["low"]
    assert fig.data[0].customdata[0] == ["en", "x29"]


def test_shares_add_up_and_name_the_languages() -> None:
    fig = shares_figure(("en", "sw"), {"both": 500.0, "first": 10.0, "second": 20.0, "neither": 470.0}, DARK)
    (bars,) = fig.data
    assert sum(bars.x) == pytest.approx(1)
    assert list(bars.y) == ["kept by both", "only English", "only Swahili", "removed by both"]
    assert bars.text[1] == "10 · 1.0 %"


def test_scores_are_means_with_the_range_of_seeds() -> None:
    rows = [
        ("English", 0, False, 0.5, 0.30),
        ("English", 0, False, 0.5, 0.40),
        ("English, random", 0, True, 0.5, 0.1),
    ]
    table = pd.DataFrame(rows, columns=["name", "language_rank", "control", "sparsity", "value"])
    fig = scores_figure(table, "accuracy", LIGHT)
    english, control = fig.data
    assert list(english.y) == [pytest.approx(0.35)]
    assert list(english.error_y.array) == [pytest.approx(0.05)]
    assert list(english.x) == [50]
    assert control.line.dash == "dot"
    assert control.line.color == english.line.color

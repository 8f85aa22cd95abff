"""The figures of a discovery while it runs."""

from __future__ import annotations

import numpy as np
import pytest

from lsn_core.viz.colour import contrast
from lsn_core.viz.rounds import LanguageRounds, ScoreLine, live_scores_figure, rounds_figure
from lsn_core.viz.theme import DARK, LIGHT, Theme

ROWS = [
    LanguageRounds("en", (2, 2, 2), (2, 1, 0), (0, 1, 0)),
    LanguageRounds("ar", (0, 2, 2), (0, 0, 0), (0, 0, 0)),
]


def test_cells_fill_as_tickets_get_there() -> None:
    fig = rounds_figure(ROWS, LIGHT)
    cells = fig.data[0]
    np.testing.assert_array_equal(cells.z, [[1, 0.5, 0], [0, 0, 0]])
    assert [list(row) for row in cells.text] == [["✓", "1/2", ""], ["", "", ""]]
    assert cells.customdata[0][1].endswith("10 % removed<br>1 of 2 done, 1 being trained")
    assert [(s.x0 < 1 < s.x1, s.y0 < 0 < s.y1) for s in fig.layout.shapes] == [(True, True)]
    assert fig.layout.xaxis.ticktext == ("0", "10", "20")


def test_a_round_that_no_ticket_has_is_not_done() -> None:
    """Random tickets alone: the whole model is trained for none of them."""
    fig = rounds_figure([LanguageRounds("en", (0, 1), (0, 1), (0, 0))], LIGHT)
    np.testing.assert_array_equal(fig.data[0].z, [[0, 1]])
    assert list(fig.data[0].text[0]) == ["", "✓"]
    assert fig.data[0].customdata[0][0].endswith("0 of 0 done")


def test_scores_of_seeds_are_averaged_and_their_range_shown() -> None:
    lines = [
        ScoreLine("en", "imp", {0.1: [0.4], 0.0: [0.5, 0.7]}),
        ScoreLine("sw", "imp", {0.0: [0.3]}),
        ScoreLine("en", "random", {0.0: [0.2]}),
    ]
    fig = live_scores_figure(lines, "accuracy", 9, LIGHT)
    english, swahili, random = fig.data
    assert list(english.x) == [0, 10]
    np.testing.assert_allclose(english.y, [0.6, 0.4])
    np.testing.assert_allclose(english.error_y.array, [0.1, 0])
    np.testing.assert_allclose(english.error_y.arrayminus, [0.1, 0])
    assert english.customdata == (2, 1)
    assert (random.name, random.line.dash, english.line.dash) == ("English, random", "dot", "solid")
    assert random.line.color == english.line.color != swahili.line.color
    assert random.marker.symbol == english.marker.symbol != swahili.marker.symbol


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_eleven_languages_are_told_apart_and_seen(theme: Theme) -> None:
    codes = ("en", "fr", "de", "zh", "ru", "es", "fa", "ur", "ar", "hi", "sw")
    fig = live_scores_figure([ScoreLine(code, "imp", {0.0: [0.5]}) for code in codes], "x", 9, theme)
    assert len({(line.line.color, line.marker.symbol) for line in fig.data}) == len(codes)
    assert len({line.line.color for line in fig.data}) == len(codes)
    assert all(contrast(line.line.color, theme.background) >= 3 for line in fig.data)

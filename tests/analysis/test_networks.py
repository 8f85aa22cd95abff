"""Networks held against each other: means over the same languages, and what is within the seeds' spread."""

from __future__ import annotations

import numpy as np
import pytest

from lsn_core.analysis.networks import NetworkScores


def _scores(**scores: list[list[float]]) -> NetworkScores:
    grids = {name: np.array(values) for name, values in scores.items()}
    seeds, languages = next(iter(grids.values())).shape
    return NetworkScores("accuracy", tuple("abc"[:languages]), tuple(range(seeds)), grids)


def test_difference_is_over_languages_that_every_seed_has_of_both() -> None:
    found = _scores(x=[[0.5, 0.4, np.nan], [0.6, 0.4, 0.9]], y=[[0.3, 0.5, 0.1], [0.4, 0.4, 0.1]])
    difference = found.difference("x", "y")
    assert difference.languages == 2
    assert difference.by_seed == pytest.approx({0: 0.05, 1: 0.1})
    assert difference.value == pytest.approx(0.075)
    assert difference.above == 1
    assert found.mean("x") == pytest.approx(np.mean([0.5, 0.6, 0.4, 0.4]))


@pytest.mark.parametrize(
    ("x", "y", "shown"),
    [
        ([[0.50], [0.51]], [[0.40], [0.40]], True),
        ([[0.50], [0.51]], [[0.495], [0.505]], False),  # seeds move both scores by more than the difference
        ([[0.50], [0.50]], [[0.49], [0.51]], False),  # seeds disagree on the sign
        ([[0.50], [0.60]], [[0.45], [0.45]], False),  # the difference itself moves by as much
        ([[0.50], [0.51]], [[0.49], [0.49]], False),  # more than the seeds' spread, but less than twice that
        ([[0.50]], [[0.40]], False),  # one seed
        ([[np.nan], [0.5]], [[0.4], [0.4]], False),  # nothing to compare
    ],
)
def test_what_seeds_change_by_as_much_is_not_shown(x: list, y: list, shown: bool) -> None:
    assert _scores(x=x, y=y).difference("x", "y").shown is shown
    assert _scores(x=x, y=y).difference("y", "x").shown is shown

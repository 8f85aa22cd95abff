"""Sentences say what the numbers say, and no more than their uncertainty allows."""

from __future__ import annotations

import numpy as np
import pytest

from lsn_core.viz.measures import (
    ABOVE_CHANCE,
    ABOVE_REFERENCE,
    JACCARD,
    MEASURES,
    NEUTRALITY,
    default_measure,
)
from lsn_core.viz.words import overlap as words
from lsn_core.viz.words.overlap import Estimate

CODES = ("en", "de", "sw")


def resampled(values: np.ndarray, spread: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(scale=spread, size=(400, *values.shape))
    return values + noise + noise.transpose(0, 2, 1)


VALUES = np.array([[1, 0.7, 0.5], [0.7, 1, 0.3], [0.5, 0.3, 1]])


def test_mean_is_over_pairs_of_different_languages() -> None:
    mean = words.pair_mean(VALUES, resampled(VALUES, 0.01))
    assert mean.value == pytest.approx(0.5)
    assert mean.low < 0.5 < mean.high
    assert mean.high - mean.low < 0.1


def test_undefined_cells_are_left_out() -> None:
    values = VALUES.copy()
    values[0, 1] = values[1, 0] = np.nan
    assert words.pair_mean(values, resampled(values, 0.01)).value == pytest.approx(0.4)
    nothing = np.full((3, 3), np.nan)
    assert np.isnan(words.pair_mean(nothing, resampled(nothing, 0)).value)
    assert words.pair_extremes(CODES, nothing, resampled(nothing, 0), seeds=2) is None


def test_no_interval_where_nothing_was_resampled() -> None:
    assert not words.pair_mean(VALUES, np.empty((0, 3, 3))).has_interval
    assert not words.pair_mean(VALUES, np.repeat(VALUES[None], 10, axis=0)).has_interval


def test_extremes_and_whether_they_differ() -> None:
    clear = words.pair_extremes(CODES, VALUES, resampled(VALUES, 0.01), seeds=2)
    assert clear is not None
    assert (clear.most, clear.least) == (("en", "de"), ("de", "sw"))
    assert clear.clear is True
    text = words.overlap_sentence(NEUTRALITY, 3, 0.5, "over the whole model", Estimate(0.5, 0.4, 0.6), clear)
    assert "English and German (0.70), least German and Swahili (0.30)" in text
    assert "noise alone would not" in text
    vague = words.pair_extremes(CODES, VALUES, resampled(VALUES, 0.5), seeds=2)
    text = words.overlap_sentence(NEUTRALITY, 3, 0.5, "over the whole model", Estimate(0.5), vague)
    assert "noise alone can" in text
    assert "interval" not in text
    unknown = words.pair_extremes(CODES, VALUES, np.empty((0, 3, 3)), seeds=1)
    assert unknown is not None
    assert unknown.clear is None


def test_ends_of_pure_noise_are_rarely_called_different() -> None:
    called = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        noise = rng.normal(scale=0.01, size=(401, 11, 11))
        noise = noise + noise.transpose(0, 2, 1)
        found = words.pair_extremes([f"x{k}" for k in range(11)], noise[0], noise[0] + noise[1:], seeds=50)
        assert found is not None
        called += bool(found.clear)
    assert called <= 20


def test_few_seeds_widen_the_noise() -> None:
    noise = np.zeros((100, 3, 3))
    noise[:, 0, 1] = np.linspace(0, 0.35, 100)
    noise = noise + noise.transpose(0, 2, 1)
    few, many = (words.pair_extremes(CODES, VALUES, VALUES + noise, seeds) for seeds in (2, 50))
    assert few is not None
    assert many is not None
    assert (few.clear, many.clear) == (False, True)


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.token)
def test_every_measure_has_its_sentences(measure: words.Measure) -> None:
    mean = Estimate(0.25, 0.2, 0.3)
    text = words.overlap_sentence(measure, 11, 0.4, "in encoder layer 2", mean, None)
    assert text.startswith("With 40 % of the weights removed, ")
    assert f"**{0.25:.{measure.digits}f}** (95 % interval {0.2:.{measure.digits}f} to" in text
    assert "in encoder layer 2" in text
    assert text.endswith(".")
    pair = words.pair_sentence(measure, ("en", "sw"), "over the whole model", mean)
    assert "English and Swahili" in pair
    assert "cannot be told" not in text + pair
    undefined = Estimate(float("nan"))
    assert "undefined" in words.overlap_sentence(measure, 11, 0.4, "here", undefined, None)
    assert "undefined" in words.pair_sentence(measure, ("en", "sw"), "here", undefined)


def test_intervals_that_hold_zero_or_one_are_told() -> None:
    around_zero, around_one = Estimate(0.1, -0.1, 0.3), Estimate(0.9, 0.7, 1.1)
    assert "cannot be told from 0" in words.pair_sentence(NEUTRALITY, ("en", "sw"), "here", around_zero)
    assert "cannot be told from 1" in words.pair_sentence(NEUTRALITY, ("en", "sw"), "here", around_one)
    assert "cannot be told from nothing" in words.pair_sentence(
        ABOVE_REFERENCE, ("en", "sw"), "here", around_zero
    )
    assert "(that is, less) than" in words.pair_sentence(ABOVE_CHANCE, ("en", "sw"), "here", Estimate(-0.1))


def test_parts_name_the_highest_and_the_lowest() -> None:
    text = words.parts_sentence(
        JACCARD, "layer", {"Encoder layer 0": 0.9, "Encoder layer 1": 0.7, "x": np.nan}
    )
    assert "highest in encoder layer 0 (0.9000) and lowest in encoder layer 1 (0.7000)" in text
    assert words.parts_sentence(JACCARD, "layer", {"Encoder layer 0": 0.9}) == ""


def test_default_measure_says_most_with_what_there_is() -> None:
    assert default_measure(True, 2) is NEUTRALITY
    assert default_measure(True, 1) is ABOVE_REFERENCE
    assert default_measure(False, 2) is ABOVE_CHANCE

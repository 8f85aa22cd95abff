"""Sentences on an upload: each says what its numbers say, and no more."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lsn_core.analysis.newcomer import Neighbours
from lsn_core.masks.ticket import TicketKey
from lsn_core.viz.words.upload import density_sentence, levels_sentence, neighbours_sentence

WHERE = "over the whole model"
THREE = Neighbours(
    languages=("en", "de", "sw"),
    seeds=np.array([2, 2, 2]),
    jaccard=np.array([0.91, 0.95, 0.97]),
    low=np.array([0.90, 0.94, 0.96]),
    high=np.array([0.92, 0.96, 0.98]),
    chance=np.full(3, 0.333),
    reference=np.full(3, 0.93),
    above=np.array([-0.02, 0.02, 0.04]),
    above_low=np.array([-0.03, 0.01, 0.03]),
    above_high=np.array([-0.01, 0.03, 0.05]),
    possible=np.array([1.0, 1.0, 1.0]),
    first_in=np.array([0.0, 0.02, 0.98]),
)


def only(*places: int, **changes: object) -> Neighbours:
    """Some of the languages, with other numbers."""
    chosen = {
        field.name: np.asarray(getattr(THREE, field.name))[list(places)]
        for field in dataclasses.fields(THREE)
    }
    return dataclasses.replace(THREE, **{**chosen, "languages": tuple(chosen["languages"]), **changes})


def test_most_alike_with_all_it_is_held_against() -> None:
    text = neighbours_sentence(THREE, WHERE, ())
    assert "most like that of **Swahili**" in text
    assert "over the whole model, both keep **0.970** (95 % interval 0.960 to 0.980)" in text
    assert (
        "pretrained weights alone would give 0.930 (two random sub-networks of these sizes would share 0.333)"
        in text
    )
    assert "**more than that**, by 0.0400 (95 % interval of the difference +0.0300 to +0.0500)" in text
    assert "Next is German with 0.950; in 98 % of the resamples" in text
    assert "weight for weight" not in text


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [
        (-0.01, 0.05, "**no more than that**, as far as can be told"),
        (-0.05, -0.01, "**less than that**"),
        (np.nan, np.nan, "more by 0.0400, and how sure that is is unknown"),
    ],
)
def test_more_only_where_the_interval_says_so(low: float, high: float, says: str) -> None:
    text = neighbours_sentence(
        only(0, 2, above_low=np.array([low] * 2), above_high=np.array([high] * 2)), WHERE, ()
    )
    assert says in text
    assert "**more than that**" not in text


@pytest.mark.parametrize(
    ("share", "says"),
    [
        (1.0, "in all of the resamples"),
        (0.6, "But that it is the first is **not firm**: it is so in 60 %"),
        (np.nan, "How firm that order is is unknown"),
    ],
)
def test_order_is_firm_only_where_resamples_say_so(share: float, says: str) -> None:
    assert says in neighbours_sentence(only(0, 2, first_in=np.array([1 - share, share])), WHERE, ())


def test_without_reference_none_is_told() -> None:
    unknown = np.full(2, np.nan)
    found = only(0, 2, reference=unknown, above=unknown, above_low=unknown, above_high=unknown)
    text = neighbours_sentence(found, WHERE, ())
    assert "what the pretrained weights alone would give is not known" in text
    assert "nan" not in text


def test_one_language_is_most_like_nobody() -> None:
    text = neighbours_sentence(only(0, first_in=np.array([1.0])), WHERE, ())
    assert "set beside that of **English**" in text
    assert "most like" not in text
    assert "Next" not in text
    assert "firm" not in text


def test_nothing_kept() -> None:
    unknown = np.full(2, np.nan)
    assert "nothing to compare" in neighbours_sentence(only(0, 1, jaccard=unknown), WHERE, ())


def test_copy_of_the_atlas_is_no_finding() -> None:
    text = neighbours_sentence(THREE, WHERE, (TicketKey("mlm", "sw", "imp", 1),))
    assert "the atlas's own sub-network of Swahili (seed 1)" in text
    assert "no finding" in text


def test_two_sparsities_are_told() -> None:
    assert levels_sentence(0.5004, 0.5, THREE, (0.5,)) == ""
    smaller = only(0, 1, possible=np.array([0.90, 0.91]))
    text = levels_sentence(0.45, 0.5, smaller, (0.3, 0.45, 0.5))
    assert "removes 45 % of the weights" in text
    assert "remove 50 %" in text
    assert "would reach 0.910 only" in text
    assert "takes both sparsities into account" in text
    unknown = dataclasses.replace(smaller, reference=np.full(2, np.nan))
    assert "no mask of them at 45 %." in levels_sentence(0.45, 0.5, unknown, (0.3, 0.5))
    assert "no mask of them at 45 % and 50 %." in levels_sentence(0.45, 0.5, unknown, ())


def test_where_it_keeps_most() -> None:
    text = density_sentence({"encoder.0": 51.0, "encoder.1": 20.44, "encoder.2": float("nan")})
    assert "encoder layer 0 (51.0 %)" in text
    assert "encoder layer 1 (20.4 %)" in text
    assert density_sentence({"encoder.0": 51.0}) == ""

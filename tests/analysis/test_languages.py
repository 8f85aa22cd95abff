from __future__ import annotations

import numpy as np
import pytest

from lsn_core.errors import LsnError
from lsn_core.languages import (
    COORDINATES,
    DISTANCE_KINDS,
    FAMILY_TREE,
    PAPER_LANGUAGES,
    Nested,
    family_tree,
    in_family_order,
    language,
    leaves,
    reference_distances,
    relatives,
)


def test_the_papers_languages_are_known_by_name() -> None:
    assert len(PAPER_LANGUAGES) == 11
    for code in PAPER_LANGUAGES:
        about = language(code)
        assert about.code == code
        assert about.family != "unknown"
        assert about.direction == ("rtl" if about.script == "Arabic" else "ltr")
    assert len({language(code).own_name for code in PAPER_LANGUAGES}) == 11


def test_other_languages_are_not_an_error() -> None:
    about = language("tlh")
    assert (about.code, about.name, about.own_name, about.family) == ("tlh", "tlh", "tlh", "unknown")


def test_the_family_tree_holds_each_language_once_under_its_family() -> None:
    assert sorted(leaves(FAMILY_TREE)) == sorted(PAPER_LANGUAGES)
    for child in FAMILY_TREE:
        assert len({language(code).family for code in leaves(child)}) == 1
    indo_european = FAMILY_TREE[0]
    for child in indo_european:
        assert len({language(code).branch for code in leaves(child)}) == 1


@pytest.mark.parametrize(
    ("languages", "expected"),
    [
        (("en", "fr", "sw", "zh"), (("en", "fr"), "zh", "sw")),
        (("en", "de", "fr"), (("en", "de"), "fr")),
        (("hi", "ur", "fa"), ("fa", ("ur", "hi"))),
        (("hi", "ur"), ("ur", "hi")),
        (("hi", "fa", "ru"), ("ru", ("fa", "hi"))),
        (("en", "de", "xx"), (("en", "de"), "xx")),
        (("ar", "xx", "sw"), ("ar", "sw", "xx")),
        (("xx", "yy"), ("xx", "yy")),
        (("en",), ("en",)),
        ((), ()),
        (PAPER_LANGUAGES, FAMILY_TREE),
    ],
)
def test_the_tree_is_cut_down_to_the_languages_at_hand(languages: tuple[str, ...], expected: Nested) -> None:
    assert family_tree(languages) == expected


def test_relatives_stand_together_and_the_unknown_last() -> None:
    order = in_family_order(("zz", "sw", "hi", "aa", "en", "zh", "ur", "de", "fa"))
    assert order == ("en", "de", "fa", "ur", "hi", "zh", "sw", "aa", "zz")
    assert [relatives(code) for code in ("en", "hi", "zh", "aa")] == [
        "Germanic",
        "Indo-Iranian",
        "Sinitic",
        None,
    ]


@pytest.mark.parametrize("kind", DISTANCE_KINDS)
def test_reference_distances_are_distances(kind: str) -> None:
    found = reference_distances(kind, PAPER_LANGUAGES)
    assert found.shape == (11, 11)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_array_equal(np.diag(found), 0)
    assert np.all(found >= 0)
    assert np.all(found[:, None, :] <= found[:, :, None] + found[None, :, :] + 1e-9)  # triangle inequality
    some = ("sw", "en", "hi")
    places = [PAPER_LANGUAGES.index(code) for code in some]
    np.testing.assert_array_equal(reference_distances(kind, some), found[np.ix_(places, places)])
    assert reference_distances(kind, ()).shape == (0, 0)


@pytest.mark.parametrize(
    ("kind", "one", "other", "expected"),
    [
        ("genealogy", "hi", "ur", 0.25),  # Indo-European, Indo-Iranian and Indo-Aryan of four levels
        ("genealogy", "hi", "fa", 0.5),
        ("genealogy", "en", "de", 0.5),
        ("genealogy", "en", "ru", 0.75),
        ("genealogy", "en", "sw", 1.0),
        ("genealogy", "ar", "zh", 1.0),
        ("script", "hi", "ur", 1.0),
        ("script", "fa", "ar", 0.0),
        ("script", "sw", "en", 0.0),
    ],
)
def test_reference_distances_by_hand(kind: str, one: str, other: str, expected: float) -> None:
    assert reference_distances(kind, (one, other))[0, 1] == expected


def test_genealogy_is_an_ultrametric_as_distances_in_a_tree_are() -> None:
    found = reference_distances("genealogy", PAPER_LANGUAGES)
    assert np.all(found[:, None, :] <= np.maximum(found[:, :, None], found[None, :, :]))


def test_geography_is_the_angle_between_points_on_a_sphere() -> None:
    north, east = np.radians([COORDINATES[code] for code in PAPER_LANGUAGES]).T
    points = np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)])
    angles = np.arccos(np.clip(points.T @ points, -1, 1))
    found = reference_distances("geography", PAPER_LANGUAGES)
    np.testing.assert_allclose(found, 6371 * angles, atol=1e-3)
    assert set(COORDINATES) == set(PAPER_LANGUAGES)


@pytest.mark.parametrize("kind", DISTANCE_KINDS)
def test_nothing_is_known_of_other_languages(kind: str) -> None:
    found = reference_distances(kind, ("en", "tlh", "fr", "qya"))
    known = ~np.isnan(found)
    expected = np.eye(4, dtype=bool)
    expected[0, 2] = expected[2, 0] = True
    np.testing.assert_array_equal(known, expected)


def test_another_kind_of_distance_is_refused() -> None:
    with pytest.raises(LsnError, match="genealogy, script, geography"):
        reference_distances("taste", PAPER_LANGUAGES)

"""Sentences about trees say what was measured and how firmly."""

from __future__ import annotations

import dataclasses

import pytest

from lsn_core.analysis.tree_comparison import Comparison
from lsn_core.analysis.trees import Group
from lsn_core.viz.words import tree as words

NAN = float("nan")
LIKE = Comparison(11, 9, 5, 4, 0.43, 0.29, 0.7, 0.001, 0.004, 9999, False)


@pytest.mark.parametrize(
    ("correlation", "said"), [(0.95, "closely"), (0.8, "roughly"), (0.5, "badly"), (NAN, "badly")]
)
def test_tree_says_how_well_it_fits(correlation: float, said: str) -> None:
    assert said in words.tree_sentence(5, correlation, [], 3, "neutrality")


def test_tree_names_firm_groups_smallest_first() -> None:
    firm = [["en", "de", "fr"], ["fa", "ur"]]
    text = words.tree_sentence(8, 0.9, firm, 1, "neutrality")
    assert "at least 70 % of the resamples: Persian and Urdu; English, German and French." in text
    assert "One other group is not, and is drawn thin and faint." in text
    assert "unknown" in words.tree_sentence(8, 0.9, None, 6, "neutrality")
    assert "No group" in words.tree_sentence(8, 0.9, [], 6, "neutrality")


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (1.0, "firm: in 100 %"),
        (0.7, "firm"),
        (0.69, "uncertain"),
        (0.5, "uncertain: in 50 %"),
        (0.49, "not established: in 49 %"),
        (NAN, "unknown"),
    ],
)
def test_support_in_words(share: float, said: str) -> None:
    assert words.support_words(share).startswith(said) or share != share


def test_cut_names_groups_and_languages_alone() -> None:
    groups = [
        Group(("sw",), NAN),
        Group(("en", "de"), 0.9),
        Group(("fa", "ur", "hi"), 0.3),
        Group(("zh",), NAN),
    ]
    text = words.cut_sentence(groups)
    assert text == (
        "**Cut into 4 groups**: English and German (firm: in 90 % of the resamples); Persian, Urdu and Hindi (not "
        "established: in 30 % of the resamples); Swahili and Chinese each alone."
    )
    weak = words.cut_sentence([Group(("sw",), NAN), Group(("en", "de"), 0.2)])
    assert "Swahili alone." in weak
    assert "may well group the languages differently" in weak


def test_cuts_that_say_little() -> None:
    assert "one group" in words.cut_sentence([Group(("en", "de"), 1.0)])
    assert "each of the 2 languages on its own" in words.cut_sentence(
        [Group(("en",), NAN), Group(("de",), NAN)]
    )
    many = [Group((f"a{k}", f"b{k}"), NAN) for k in range(9)]
    assert "; 3 more groups." in words.cut_sentence(many)
    large = words.cut_sentence([Group(("en",), NAN), Group(tuple(f"x{k}" for k in range(40)), 0.8)])
    assert "x4 and 35 more (firm" in large


def test_comparison_is_judged_by_its_tests() -> None:
    text = words.comparison_sentence(LIKE)
    assert "Of the 5 groups in the family tree, the measured tree has **4**." in text
    assert "**more like the family tree** than" in text
    assert "Robinson–Foulds distance 0.43, p = 0.001; Baker's gamma +0.70, p = 0.004" in text
    half = words.comparison_sentence(dataclasses.replace(LIKE, p_gamma=0.3))
    assert "**By Robinson–Foulds distance only**, it is" in half
    none = words.comparison_sentence(dataclasses.replace(LIKE, shared=0, p_gamma=0.3, p_robinson_foulds=1.0))
    assert "has **none**" in none
    assert "is **not shown**" in none
    star = words.comparison_sentence(dataclasses.replace(LIKE, reference_groups=0))
    assert "no family tree to stand beside" in star
    undefined = dataclasses.replace(LIKE, reference_groups=1, p_gamma=NAN, p_robinson_foulds=NAN)
    assert "undefined" in words.comparison_sentence(undefined)
    one = words.comparison_sentence(dataclasses.replace(undefined, p_gamma=0.2))
    assert "not shown" in one
    assert "Robinson" not in one

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import distance

from lsn_core.analysis import measures

seeds = st.integers(0, 2**32 - 1)


def counts(a: np.ndarray, b: np.ndarray) -> tuple[int, int, int]:
    return int(np.sum(a & b)), int(a.sum()), int(b.sum())


def two_masks(seed: int, size: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random(size) < rng.random(), rng.random(size) < rng.random()


@given(seeds)
def test_jaccard_and_dice_agree_with_scipy(seed: int) -> None:
    a, b = two_masks(seed)
    if a.any() or b.any():  # scipy calls two empty sets equal; here nothing shared of nothing is undefined
        assert measures.jaccard(*counts(a, b)) == pytest.approx(1 - distance.jaccard(a, b))
        assert measures.dice(*counts(a, b)) == pytest.approx(1 - distance.dice(a, b))


@given(seeds)
def test_kappa_agrees_with_the_agreement_table(seed: int) -> None:
    a, b = two_masks(seed)
    table = np.array([[np.sum((a == x) & (b == y)) for y in (0, 1)] for x in (0, 1)]) / a.size
    expected = float(table.sum(axis=1) @ table.sum(axis=0))
    kappa = measures.kappa(*counts(a, b), a.size)
    if expected == 1:
        assert np.isnan(kappa)
    else:
        assert kappa == pytest.approx((np.trace(table) - expected) / (1 - expected))


def test_kappa_of_a_textbook_case() -> None:
    # Two raters, 50 items: both yes 20, only the first 5, only the second 10, both no 15: kappa 0.4.
    assert measures.kappa(20, 25, 30, 50) == pytest.approx(0.4)


@given(seeds)
def test_bounds_and_symmetry(seed: int) -> None:
    a, b = two_masks(seed)
    i, kept_a, kept_b = counts(a, b)
    for measure in (measures.jaccard, measures.dice, measures.overlap_coefficient):
        value = measure(i, kept_a, kept_b)
        assert np.isnan(value) or 0 <= value <= 1
        np.testing.assert_equal(value, measure(i, kept_b, kept_a))
    jaccard, dice = measures.jaccard(i, kept_a, kept_b), measures.dice(i, kept_a, kept_b)
    np.testing.assert_allclose(dice, 2 * jaccard / (1 + jaccard))
    assert not measures.overlap_coefficient(i, kept_a, kept_b) < jaccard
    value = measures.kappa(i, kept_a, kept_b, a.size)
    assert np.isnan(value) or -1 - 1e-12 <= value <= 1 + 1e-12


@pytest.mark.parametrize(
    ("i", "a", "b", "n", "jaccard", "overlap", "dice", "kappa"),
    [
        (0, 0, 0, 10, np.nan, np.nan, np.nan, np.nan),
        (10, 10, 10, 10, 1, 1, 1, np.nan),
        (0, 0, 10, 10, 0, np.nan, 0, 0),
        (0, 5, 5, 10, 0, 0, 0, -1),
        (5, 5, 5, 10, 1, 1, 1, 1),
        (2, 2, 5, 10, 0.4, 1, 4 / 7, 0.4),
    ],
    ids=["empty", "full", "empty and full", "complements", "identical", "inside"],
)
def test_edges(
    i: int, a: int, b: int, n: int, jaccard: float, overlap: float, dice: float, kappa: float
) -> None:
    np.testing.assert_allclose(measures.jaccard(i, a, b), jaccard)
    np.testing.assert_allclose(measures.overlap_coefficient(i, a, b), overlap)
    np.testing.assert_allclose(measures.dice(i, a, b), dice)
    np.testing.assert_allclose(measures.kappa(i, a, b, n), kappa, atol=1e-12)


def subsets(places: range, size: int) -> list[set[int]]:
    return [set(chosen) for chosen in combinations(places, size)]


@pytest.mark.parametrize(("a", "b", "n"), [(2, 3, 6), (1, 5, 5), (0, 3, 4), (4, 4, 4)])
def test_chance_is_the_mean_over_all_masks(a: int, b: int, n: int) -> None:
    pairs = [len(first & second) for first in subsets(range(n), a) for second in subsets(range(n), b)]
    assert measures.expected_by_chance(a, b, n) == pytest.approx(np.mean(pairs))


@pytest.mark.parametrize(
    ("a1", "b1", "a0", "b0", "kept", "removed"),
    [(2, 3, 1, 2, 4, 3), (0, 2, 2, 0, 3, 3), (3, 3, 0, 0, 3, 2), (0, 0, 2, 1, 0, 4), (1, 2, 0, 0, 4, 0)],
)
def test_the_reference_is_the_mean_over_all_masks_that_use_it_so(
    a1: int, b1: int, a0: int, b0: int, kept: int, removed: int
) -> None:
    inside, outside = range(kept), range(kept, kept + removed)
    firsts = [x | y for x in subsets(inside, a1) for y in subsets(outside, a0)]
    seconds = [x | y for x in subsets(inside, b1) for y in subsets(outside, b0)]
    expected = np.mean([len(first & second) for first in firsts for second in seconds])
    assert measures.expected_by_reference(a1, b1, a0, b0, kept, removed) == pytest.approx(expected)


def test_expectations_are_summed_before_the_quotient_is_taken() -> None:
    # Two matrices of 10 and 40 weights. a = (5, 20), b = (4, 10): E = 5·4/10 + 20·10/40 = 2 + 5 = 7,
    # J = 7 / (25 + 14 - 7) = 7/32; the mean of the two matrices' own quotients would be (2/7 + 5/25) / 2.
    a, b, n = np.array([5, 20]), np.array([4, 10]), np.array([10, 40])
    assert measures.chance_jaccard(a, b, n) == pytest.approx(7 / 32)
    # R keeps (5, 20); a1 = (4, 15), a0 = (1, 5); b1 = (3, 8), b0 = (1, 2):
    # E = 4·3/5 + 1·1/5 + 15·8/20 + 5·2/20 = 2.4 + 0.2 + 6 + 0.5 = 9.1, J = 9.1 / (39 - 9.1).
    reference = measures.reference_jaccard([4, 15], [3, 8], [1, 5], [1, 2], [5, 20], [5, 20])
    assert reference == pytest.approx(9.1 / 29.9)


def test_a_reference_that_says_nothing_is_chance() -> None:
    # Masks that use R as they use the rest: the reference adds nothing to the densities.
    reference = measures.reference_jaccard([4, 8], [2, 4], [4, 8], [2, 4], [10, 20], [10, 20])
    assert reference == pytest.approx(measures.chance_jaccard([8, 16], [4, 8], [20, 40]))


def test_masks_equal_to_the_reference_are_all_it_explains() -> None:
    assert measures.reference_jaccard([10], [10], [0], [0], [10], [30]) == 1


@pytest.mark.parametrize(
    ("j", "reference", "ceiling", "expected"),
    [
        (0.6, 0.5, 0.7, 0.5),
        (0.5, 0.5, 0.7, 0.0),
        (0.7, 0.5, 0.7, 1.0),
        (0.4, 0.5, 0.7, -0.5),
        (0.8, 0.5, 0.7, 1.5),
        (0.6, 0.7, 0.7, np.nan),
        (0.6, 0.8, 0.7, np.nan),
        (np.nan, 0.5, 0.7, np.nan),
        (0.6, np.nan, 0.7, np.nan),
        (0.6, 0.5, np.nan, np.nan),
    ],
)
def test_neutrality(j: float, reference: float, ceiling: float, expected: float) -> None:
    np.testing.assert_allclose(measures.neutrality(j, reference, ceiling), expected)


def test_arrays_broadcast() -> None:
    i = np.array([[1, 2], [3, 4]])
    assert measures.jaccard(i, np.array([[5], [6]]), 7).tolist() == [[1 / 11, 2 / 10], [3 / 10, 4 / 9]]

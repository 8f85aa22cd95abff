from __future__ import annotations

import dataclasses
import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from skbio.stats.distance import mantel as skbio_mantel
from skbio.stats.distance import pwmantel

from lsn_core.analysis import statistics as module
from lsn_core.analysis.statistics import (
    ALTERNATIVES,
    CORRELATIONS,
    adjusted_p_values,
    correlation_interval,
    family_test,
    mantel,
    partial_mantel,
    transfer_mantel,
)
from lsn_core.errors import LsnError


def symmetric(n: int, seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).random((n, n))
    return (values + values.T) * (1 - np.eye(n))


def related(n: int, seed: int, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    first = symmetric(n, seed)
    return first, first + noise * symmetric(n, seed + 1000)


def with_gaps(matrix: np.ndarray, cells: list[tuple[int, int]]) -> np.ndarray:
    matrix = matrix.copy()
    for row, column in cells:
        matrix[row, column] = matrix[column, row] = np.nan
    return matrix


def correlate(x: np.ndarray, y: np.ndarray, method: str) -> float:
    used = ~(np.isnan(x) | np.isnan(y))
    test = stats.pearsonr if method == "pearson" else stats.spearmanr
    return float(test(x[used], y[used]).statistic)


def by_brute_force(
    x: np.ndarray, y: np.ndarray, method: str, alternative: str, directed: bool = False
) -> tuple[float, float]:
    """Correlation and p over every order of the labels, cell by cell."""
    n = len(x)
    cells = [(i, j) for i in range(n) for j in range(n) if (i != j if directed else i < j)]
    other = np.array([y[i, j] for i, j in cells])
    null = [
        correlate(np.array([x[order[i], order[j]] for i, j in cells]), other, method)
        for order in permutations(range(n))
    ]
    observed = null[0]
    reached = {
        "two-sided": [abs(value) >= abs(observed) - 1e-12 for value in null],
        "greater": [value >= observed - 1e-12 for value in null],
        "less": [value <= observed + 1e-12 for value in null],
    }[alternative]
    return observed, sum(reached) / len(null)


@pytest.mark.parametrize("method", CORRELATIONS)
@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_exact_mantel_is_every_order_of_the_labels(method: str, alternative: str) -> None:
    x, y = related(5, 3, noise=1.5)
    found = mantel(x, y, method, 999, alternative)
    observed, p_value = by_brute_force(x, y, method, alternative)
    assert found.correlation == pytest.approx(observed)
    assert found.p_value == pytest.approx(p_value)
    assert (found.permutations, found.exact, found.pairs, found.languages) == (119, True, 10, 5)
    assert (found.method, found.alternative) == (method, alternative)


@pytest.mark.parametrize("method", CORRELATIONS)
def test_exact_mantel_with_cells_left_out(method: str) -> None:
    x, y = related(5, 11, noise=1.0)
    x, y = with_gaps(x, [(0, 1)]), with_gaps(y, [(2, 3), (0, 4)])
    found = mantel(x, y, method, 999, "greater")
    observed, p_value = by_brute_force(x, y, method, "greater")
    assert found.correlation == pytest.approx(observed)
    assert found.p_value == pytest.approx(p_value)
    assert found.pairs == 7


def test_ties_share_their_rank() -> None:
    x, y = np.round(symmetric(5, 0), 1), np.round(symmetric(5, 1), 1)
    found = mantel(x, y, "spearman", 999)
    observed, p_value = by_brute_force(x, y, "spearman", "two-sided")
    assert (found.correlation, found.p_value) == (pytest.approx(observed), pytest.approx(p_value))


@pytest.mark.parametrize("method", CORRELATIONS)
@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_drawn_mantel_is_scikit_bios(method: str, alternative: str) -> None:
    x, y = related(9, 7, noise=2.0)
    found = mantel(x, y, method, 5000, alternative)
    correlation, p_value, n = skbio_mantel(x, y, method, 5000, alternative, seed=1)
    assert found.correlation == pytest.approx(correlation)
    assert found.languages == n
    assert not found.exact
    assert found.p_value == pytest.approx(p_value, abs=4 * math.sqrt(2 * 0.25 / 5000))


def test_many_matrices_have_the_correlations_of_scikit_bio() -> None:
    matrices = [symmetric(8, seed) for seed in range(4)]
    table = pwmantel([*matrices], method="spearman", permutations=0)
    for (one, other), row in table.iterrows():
        found = mantel(matrices[int(one)], matrices[int(other)], "spearman", 9)
        assert found.correlation == pytest.approx(row["statistic"])


def test_p_counts_the_given_order_and_the_seed_decides() -> None:
    x, y = related(12, 5, noise=0.01)
    found = mantel(x, y, permutations=199)
    assert found.p_value == 1 / 200
    x, y = symmetric(9, 1), symmetric(9, 2)
    assert mantel(x, y, rng_seed=4, permutations=500) == mantel(x, y, rng_seed=4, permutations=500)
    assert len({mantel(x, y, rng_seed=seed, permutations=500).p_value for seed in range(8)}) > 1


def test_p_is_uniform_where_nothing_is_shared() -> None:
    found = [
        mantel(symmetric(6, seed), symmetric(6, seed + 500), permutations=719).p_value for seed in range(150)
    ]
    assert stats.kstest(found, "uniform").pvalue > 0.01


def test_blocks_do_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = related(6, 2, noise=2.0)
    whole = mantel(x, y, permutations=719)
    monkeypatch.setattr(module, "_CELLS_A_BLOCK", 100)
    assert mantel(x, y, permutations=719) == whole


@given(st.integers(0, 10**6), st.permutations(range(6)))
def test_the_order_of_the_languages_and_the_diagonal_do_not_matter(seed: int, order: list[int]) -> None:
    x, y = related(6, seed, noise=1.0)
    found = mantel(x, y, permutations=719)
    places = np.ix_(order, order)
    again = mantel(x[places] + 7 * np.eye(6), y[places], permutations=719)
    assert again.correlation == pytest.approx(found.correlation)
    assert again.p_value == pytest.approx(found.p_value)
    assert mantel(y, x, permutations=719).p_value == pytest.approx(found.p_value)


@pytest.mark.parametrize("constant", [np.ones((5, 5)), np.full((5, 5), np.nan), 1 + 1e-15 * symmetric(5, 1)])
def test_a_constant_matrix_has_no_correlation(constant: np.ndarray) -> None:
    found = mantel(symmetric(5, 0), constant)
    assert math.isnan(found.correlation)
    assert math.isnan(found.p_value)
    assert found.permutations == 0
    assert found.pairs == (0 if np.isnan(constant[0, 0]) else 10)


def flat(matrix: np.ndarray, directed: bool = False) -> np.ndarray:
    return matrix[~np.eye(len(matrix), dtype=bool)] if directed else matrix[np.triu_indices(len(matrix), 1)]


def partial_correlation(x: np.ndarray, y: np.ndarray, z: np.ndarray, method: str) -> float:
    """From the three simple correlations (Yule 1907)."""
    xy, xz, yz = (correlate(a, b, method) for a, b in ((x, y), (x, z), (y, z)))
    return (xy - xz * yz) / math.sqrt((1 - xz**2) * (1 - yz**2))


@pytest.mark.parametrize("method", CORRELATIONS)
def test_partial_mantel_has_the_partial_correlation(method: str) -> None:
    x, y = related(7, 1)
    z = x + symmetric(7, 77)
    found = partial_mantel(x, y, z, method, 99)
    assert found.correlation == pytest.approx(partial_correlation(flat(x), flat(y), flat(z), method))
    assert found.method == method
    assert (found.pairs, found.languages) == (21, 7)
    gaps = with_gaps(x, [(0, 1)]), with_gaps(y, [(1, 2)]), with_gaps(z, [(3, 4), (0, 1)])
    used = ~np.isnan(sum(flat(part) for part in gaps))
    less = partial_mantel(*gaps, method, 99)
    assert less.pairs == 18
    assert less.correlation == pytest.approx(
        partial_correlation(*(flat(part)[used] for part in (x, y, z)), method)
    )


@pytest.mark.parametrize("method", CORRELATIONS)
def test_partial_mantel_permutes_residuals(method: str) -> None:
    """Residuals by least squares, put back into squares, and every order of the labels."""
    x, y = related(5, 21, noise=1.2)
    z = x + symmetric(5, 78)
    rows, columns = np.triu_indices(5, 1)
    squares = []
    for part in (x, y):
        values, control = flat(part), flat(z)
        if method == "spearman":
            values, control = stats.rankdata(values), stats.rankdata(control)
        line = np.polynomial.Polynomial.fit(control, values, 1)
        square = np.zeros((5, 5))
        square[rows, columns] = square[columns, rows] = values - line(control)
        squares.append(square)
    observed, p_value = by_brute_force(*squares, "pearson", "two-sided")
    found = partial_mantel(x, y, z, method, 999)
    assert (found.correlation, found.p_value) == (pytest.approx(observed), pytest.approx(p_value))
    assert found.exact


def test_what_a_control_explains_is_no_longer_found() -> None:
    z = symmetric(14, 0)
    x, y = z + 0.2 * symmetric(14, 1), z + 0.2 * symmetric(14, 2)
    assert mantel(x, y, permutations=999).p_value == 0.001
    assert abs(partial_mantel(x, y, z, permutations=999).correlation) < 0.25
    assert partial_mantel(x, y, z, permutations=999).p_value > 0.05
    nothing_left = partial_mantel(3 * z + 1, y, z, permutations=99)
    assert math.isnan(nothing_left.correlation)
    constant = partial_mantel(x, y, np.ones_like(z), permutations=99)
    assert constant.correlation == pytest.approx(mantel(x, y, permutations=9).correlation)


@pytest.mark.parametrize("method", CORRELATIONS)
@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_transfer_uses_both_directions_and_moves_labels_together(method: str, alternative: str) -> None:
    overlap = symmetric(5, 4)
    transfer = overlap + np.random.default_rng(9).random((5, 5))
    found = transfer_mantel(overlap, transfer, None, method, 999, alternative)
    observed, p_value = by_brute_force(overlap, transfer, method, alternative, directed=True)
    assert found.correlation == pytest.approx(observed)
    assert found.correlation == pytest.approx(correlate(flat(overlap, True), flat(transfer, True), method))
    assert found.p_value == pytest.approx(p_value)
    assert (found.pairs, found.permutations) == (20, 119)


def test_transfer_with_one_direction_missing_and_with_a_control() -> None:
    overlap = symmetric(6, 4)
    rng = np.random.default_rng(10)
    transfer, control = overlap + rng.random((6, 6)), rng.random((6, 6))
    transfer[1, 2] = np.nan
    assert transfer_mantel(overlap, transfer, permutations=9).pairs == 29
    found = transfer_mantel(overlap, transfer, control, permutations=719)
    used = ~np.isnan(flat(transfer, True))
    parts = (flat(part, True)[used] for part in (overlap, transfer, control))
    assert found.correlation == pytest.approx(partial_correlation(*parts, "pearson"))
    assert found.exact


def test_a_symmetric_transfer_is_the_plain_test() -> None:
    x, y = related(6, 30, noise=2.0)
    plain, both = mantel(x, y, permutations=719), transfer_mantel(x, y, permutations=719)
    assert both.correlation == pytest.approx(plain.correlation)
    assert both.p_value == pytest.approx(plain.p_value)
    assert both.pairs == 2 * plain.pairs


def family_brute_force(similarity: np.ndarray, families: list[str | None]) -> tuple[float, float]:
    n = len(similarity)

    def difference(order: tuple[int, ...]) -> float:
        within, between = [], []
        for i in range(n):
            for j in range(i):
                same = families[order[i]] is not None and families[order[i]] == families[order[j]]
                if not math.isnan(similarity[i, j]):
                    (within if same else between).append(similarity[i, j])
        return float(np.mean(within) - np.mean(between)) if within and between else math.inf

    null = [difference(order) for order in permutations(range(n))]
    return null[0], float(np.mean([value >= null[0] - 1e-12 for value in null]))


@pytest.mark.parametrize("gaps", [[], [(0, 1), (3, 4)]])
@pytest.mark.parametrize("families", [["a", "a", "b", "b", "b"], ["a", "a", None, None, "c"]])
def test_families_are_compared_over_every_order(families: list[str | None], gaps: list) -> None:
    similarity = symmetric(5, 8)
    if families[2] is not None:
        similarity = with_gaps(similarity, gaps)
    found = family_test(similarity, families, 999)
    difference, p_value = family_brute_force(similarity, families)
    assert found.difference == pytest.approx(difference)
    assert found.difference == pytest.approx(found.within - found.between)
    assert found.p_value == pytest.approx(p_value)
    assert found.exact
    assert found.pairs_within + found.pairs_between == np.sum(~np.isnan(flat(similarity)))


def test_families_that_hold_together_are_found() -> None:
    families = ["a"] * 5 + ["b"] * 4 + [None] * 3
    same = np.array([[one is not None and one == other for other in families] for one in families])
    found = family_test(symmetric(12, 0) / 4 + same, families, 999)
    assert found.p_value == 0.001
    assert found.pairs_within == 10 + 6
    assert family_test(symmetric(12, 0) / 4 - same, families, 999).p_value == 1


@pytest.mark.parametrize(
    ("families", "says"),
    [(["a"] * 5, "needs a pair"), ([None] * 5, "needs a pair"), (["a"] * 4, "4 families for 5")],
)
def test_families_that_cannot_be_compared_are_refused(families: list, says: str) -> None:
    with pytest.raises(LsnError, match=says):
        family_test(symmetric(5, 0), families)


def test_intervals_are_those_of_drawn_languages() -> None:
    x, y = related(9, 3, noise=1.0)
    found = correlation_interval(x, y, replicates=300, rng_seed=5)
    draws = np.random.default_rng(5).integers(9, size=(300, 9))
    values = []
    for draw in draws:
        cells = [(a, b) for k, a in enumerate(draw) for b in draw[k + 1 :] if a != b]
        values.append(correlate(np.array([x[c] for c in cells]), np.array([y[c] for c in cells]), "pearson"))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])))
    assert found.correlation == pytest.approx(correlate(flat(x), flat(y), "pearson"))
    assert (found.replicates, found.undefined, found.pairs) == (300, 0, 36)
    assert correlation_interval(x, y, replicates=300, rng_seed=5) == found
    narrow = correlation_interval(x, y, replicates=300, rng_seed=5, level=0.5)
    assert found.low < narrow.low < narrow.high < found.high


def test_intervals_for_a_matrix_with_a_direction_and_for_ranks() -> None:
    x = symmetric(8, 1)
    y = x + np.random.default_rng(2).random((8, 8))
    found = correlation_interval(x, y, directed=True, method="spearman", replicates=200)
    assert found.pairs == 56
    assert found.correlation == pytest.approx(correlate(flat(x, True), flat(y, True), "spearman"))
    assert found.low < found.correlation < found.high
    with pytest.raises(LsnError, match="not symmetric"):
        correlation_interval(x, y)


def test_there_is_no_interval_where_too_many_draws_have_no_correlation() -> None:
    x = symmetric(4, 1)
    y = with_gaps(np.ones((4, 4)), [(0, 2), (1, 3)])
    y[0, 1] = y[1, 0] = 2
    found = correlation_interval(x, y, replicates=200)
    assert not math.isnan(found.correlation)
    assert found.undefined > 0.05
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_benjamini_and_hochbergs_steps_by_hand() -> None:
    # sorted 0.005, 0.01, 0.03, 0.04 of 4 tests: times 4/1, 4/2, 4/3, 4/4, then the least from the right
    found = adjusted_p_values([[0.04, 0.01], [np.nan, 0.03], [0.005, np.nan]])
    np.testing.assert_allclose(found, [[0.04, 0.02], [np.nan, 0.04], [0.02, np.nan]])
    assert adjusted_p_values([]).shape == (0,)
    np.testing.assert_array_equal(adjusted_p_values([np.nan]), [np.nan])
    for bad in (-0.1, 1.1):
        with pytest.raises(LsnError, match="between 0 and 1"):
            adjusted_p_values([0.5, bad])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"first": np.ones((3, 4))}, r"shape \(3, 4\)"),
        ({"first": np.ones(5)}, r"shape \(5,\)"),
        ({"first": 1.0}, r"shape \(\)"),
        ({"second": symmetric(6, 0)}, r"shape \(6, 6\)"),
        ({"second": np.triu(symmetric(5, 0))}, "not symmetric"),
        ({"second": with_gaps(symmetric(5, 0), [(1, 2)]) + np.triu(symmetric(5, 1))}, "not symmetric"),
        ({"first": np.full((5, 5), np.inf)}, "infinite"),
        ({"first": symmetric(2, 0), "second": symmetric(2, 0)}, "three languages"),
        ({"method": "kendall"}, "pearson, spearman"),
        ({"alternative": "more"}, "two-sided, greater, less"),
        ({"permutations": 0}, "one permutation at least"),
    ],
)
def test_bad_input_is_one_sentence(change: dict, says: str) -> None:
    given = {"first": symmetric(5, 0), "second": symmetric(5, 1), **change}
    with pytest.raises(LsnError, match=says):
        mantel(**given)


def test_results_cannot_be_changed() -> None:
    found = mantel(symmetric(5, 0), symmetric(5, 1), permutations=9)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.p_value = 0.0  # type: ignore[misc]

"""Tests on matrices of languages: correlation of matrices, families, many tests at once.

The cells of a matrix of n languages are not independent, as each language is in many of them. So null
hypotheses are drawn by permuting the languages' labels, rows and columns together, never single cells, and
intervals by drawing languages. p = (1 + #{null at least as extreme}) / (B + 1) over B permutations (Phipson
& Smyth 2010); where all n! - 1 orders other than the given one are no more than was asked for, they are all
taken and p is exact. A permutation in which a statistic is undefined counts as extreme.

A cell that is NaN is left out, from every matrix of a test; results say how many were used. The diagonal is
never used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from itertools import permutations as every_order
from math import factorial, nan

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from lsn_core.errors import LsnError

CORRELATIONS = ("pearson", "spearman")
ALTERNATIVES = ("two-sided", "greater", "less")

_CELLS_A_BLOCK = 2**20
_ROUNDING = 1e-12
"""Statistics that differ by less are equal: the same cells in another order add up a little differently."""
_UNDEFINED_SHARE = 0.05
"""No interval is given where more than this share of the replicates is undefined: it would hide a tail."""


@dataclass(frozen=True)
class MantelTest:
    """A correlation of two matrices and its permutation test.

    ``pairs`` is the number of cells used: unordered pairs of languages, or ordered ones for a matrix with a
    direction. ``permutations`` is B; ``exact`` says whether these are all there are. ``correlation`` and
    ``p_value`` are NaN, and ``permutations`` 0, where a matrix is constant over the cells used.
    """

    correlation: float
    p_value: float
    languages: int
    pairs: int
    permutations: int
    exact: bool
    method: str
    alternative: str


@dataclass(frozen=True)
class FamilyTest:
    """Whether languages of one family are more alike than others.

    ``within`` and ``between`` are the mean similarities of ``pairs_within`` pairs of one family and of
    ``pairs_between`` others, ``difference`` the first minus the second; ``p_value`` is one-sided.
    """

    difference: float
    within: float
    between: float
    p_value: float
    pairs_within: int
    pairs_between: int
    permutations: int
    exact: bool


@dataclass(frozen=True)
class CorrelationInterval:
    """A correlation of two matrices and the interval, from ``low`` to ``high``, over draws of languages.

    ``undefined`` is the share of the replicates without a correlation; the bounds are NaN where it is above
    one in twenty.
    """

    correlation: float
    low: float
    high: float
    level: float
    languages: int
    pairs: int
    replicates: int
    undefined: float
    method: str


@dataclass(frozen=True)
class _Null:
    """How a null hypothesis is drawn; LsnError on an unknown alternative or no permutation."""

    permutations: int
    alternative: str
    rng_seed: int

    def __post_init__(self) -> None:
        _check_choice(self.alternative, ALTERNATIVES, "alternative")
        if self.permutations < 1:
            raise LsnError(f"a permutation test needs one permutation at least, not {self.permutations}")


def mantel(
    first: ArrayLike,
    second: ArrayLike,
    method: str = "pearson",
    permutations: int = 9999,
    alternative: str = "two-sided",
    rng_seed: int = 0,
) -> MantelTest:
    """Mantel's test (1967): are two symmetric (n, n) matrices correlated beyond chance?

    ``method`` is ``pearson`` or ``spearman``; ``alternative`` ``greater`` asks for a correlation above, ``less``
    below, that of permuted labels, ``two-sided`` for one further from 0. The same ``rng_seed`` gives the
    same answer. Raises LsnError with fewer than three languages, matrices that are not square, symmetric,
    finite and of one size, or an unknown method or alternative.
    """
    x, y = _matrices(first, second)
    return _mantel(x, y, False, method, _Null(permutations, alternative, rng_seed))


def partial_mantel(
    first: ArrayLike,
    second: ArrayLike,
    control: ArrayLike,
    method: str = "pearson",
    permutations: int = 9999,
    alternative: str = "two-sided",
    rng_seed: int = 0,
) -> MantelTest:
    """Are two symmetric matrices correlated beyond what a third one explains (Smouse, Long & Sokal 1986)?

    The correlation is the partial one: both matrices are regressed on ``control`` over the cells that all
    three have, and the residuals correlated. The null permutes the labels of the first matrix's residuals
    against the residuals of the second (method 3 of Legendre 2000). For ``spearman`` the cells are ranked
    first. Where both matrices are autocorrelated, as in space or descent, the test rejects too often
    (Guillot & Rousset 2013): read a small p as a hint. Arguments and errors otherwise as for ``mantel``.
    """
    x, y, z = _matrices(first, second, control)
    return _partial(x, y, z, False, method, _Null(permutations, alternative, rng_seed))


def transfer_mantel(
    overlap: ArrayLike,
    transfer: ArrayLike,
    control: ArrayLike | None = None,
    method: str = "pearson",
    permutations: int = 9999,
    alternative: str = "two-sided",
    rng_seed: int = 0,
) -> MantelTest:
    """Does one language's sub-network serve another the better, the more the two share?

    ``overlap`` (n, n) is symmetric; ``transfer`` (n, n) has a row a source and a column a target and is not.
    All n (n - 1) cells off the diagonal are used, so that both directions of a pair stand against its one
    overlap. The null permutes the labels of ``overlap``, rows and columns together: a language stays
    source and target in one. Scores of different targets are rarely on one scale (a task is harder in one
    language than in another); give each as a difference from the target's own score, so that the
    correlation is not about that. ``control`` (n, n), symmetric or not, is partialled out as in
    ``partial_mantel``. Arguments and errors otherwise as for ``mantel``.
    """
    x, y = _matrices(overlap, transfer, symmetric=(True, False))
    null = _Null(permutations, alternative, rng_seed)
    if control is None:
        return _mantel(x, y, True, method, null)
    _, z = _matrices(overlap, control, symmetric=(True, False))
    return _partial(x, y, z, True, method, null)


def family_test(
    similarity: ArrayLike,
    families: Sequence[str | None],
    permutations: int = 9999,
    rng_seed: int = 0,
) -> FamilyTest:
    """Are languages of one family more alike than languages of different ones?

    ``similarity`` (n, n) is symmetric, higher for more alike; ``families`` names each language's family (or
    branch, or script), None for one that is related to no other. The null permutes the families over the
    languages and asks how often the difference of the means is as large. Raises LsnError as ``mantel``
    does, or when no pair is within a family or none between families.
    """
    (x,) = _matrices(similarity)
    n = len(x)
    if len(families) != n:
        raise LsnError(f"there are {len(families)} families for {n} languages; give one a language")
    null = _Null(permutations, "greater", rng_seed)
    names = {name: number for number, name in enumerate(dict.fromkeys(families))}
    numbers = np.array([-1 - place if name is None else names[name] for place, name in enumerate(families)])
    rows, columns = _pairs(n, directed=False)
    cells = x[rows, columns]
    used = ~np.isnan(cells)
    rows, columns, cells = rows[used], columns[used], cells[used]

    def means(orders: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        related = numbers[orders[:, rows]] == numbers[orders[:, columns]]
        inside = related.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return inside, (related @ cells) / inside, (~related @ cells) / (len(cells) - inside)

    number, within, between = (float(part[0]) for part in means(np.arange(n)[None]))
    if not 0 < number < len(cells):
        raise LsnError("a comparison of families needs a pair of languages within one and a pair between two")

    def difference(orders: np.ndarray) -> np.ndarray:
        _, inside, outside = means(orders)
        return inside - outside

    observed = within - between
    tolerance = _ROUNDING * float(np.abs(cells).max())
    p_value, drawn, exact = _p_value(difference, observed, n, len(cells), null, tolerance)
    inside = int(number)
    return FamilyTest(observed, within, between, p_value, inside, len(cells) - inside, drawn, exact)


def permutation_p_value(
    statistic: Callable[[np.ndarray], np.ndarray],
    observed: float,
    labels: int,
    permutations: int = 9999,
    alternative: str = "two-sided",
    rng_seed: int = 0,
    cells: int = 1,
) -> tuple[float, int, bool]:
    """p of any statistic under permutation of so many labels, the number of permutations, whether they are all.

    ``statistic`` takes orders of the labels, int64 (b, labels), to its values (b,); ``cells`` says how many numbers it
    holds in memory for each. Raises LsnError on an unknown alternative or no permutation.
    """
    null = _Null(permutations, alternative, rng_seed)
    return _p_value(statistic, observed, labels, cells, null, _ROUNDING * max(1.0, abs(observed)))


def correlation_interval(
    first: ArrayLike,
    second: ArrayLike,
    directed: bool = False,
    method: str = "pearson",
    replicates: int = 2000,
    level: float = 0.95,
    rng_seed: int = 0,
) -> CorrelationInterval:
    """Percentile bootstrap of the correlation of two (n, n) matrices, over draws of languages.

    A replicate draws n languages with replacement, the same for rows and columns of both matrices; the cells
    of a language with itself are left out. So the interval covers which languages were looked at, not how
    well each cell was measured. ``directed`` says that ``second`` is not symmetric, as a transfer matrix, so
    that all cells off the diagonal count. Raises LsnError as ``mantel`` does, or on a level outside 0..1.
    """
    x, y = _matrices(first, second, symmetric=(True, not directed))
    _check_choice(method, CORRELATIONS, "correlation")
    if not 0 < level < 1 or replicates < 1:
        raise LsnError("an interval needs a level between 0 and 1 and at least one replicate")
    n = len(x)
    rows, columns = _pairs(n, directed)
    observed, pairs = _observed(x, y, rows, columns, method)
    rng = np.random.default_rng(rng_seed)
    drawn = []
    for size in _block_sizes(replicates, len(rows)):
        draws = rng.integers(n, size=(size, n))
        one, other = draws[:, rows], draws[:, columns]
        # A language drawn twice meets itself on the diagonal, which is NaN and so left out.
        drawn.append(_correlations(x[one, other], y[one, other], method))
    values = np.concatenate(drawn)
    undefined = float(np.isnan(values).mean())
    low = high = nan
    if not np.isnan(observed) and undefined <= _UNDEFINED_SHARE:
        low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return CorrelationInterval(observed, low, high, level, n, pairs, replicates, undefined, method)


def adjusted_p_values(p_values: ArrayLike) -> np.ndarray:
    """p-values of a family of tests, adjusted for their number (Benjamini & Hochberg 1995), same shape.

    Calling significant what lies below q keeps the expected share of false discoveries at q. NaN, a test
    that could not be made, stays NaN and counts for nothing. Raises LsnError on values outside 0..1.
    """
    from scipy.stats import false_discovery_control  # takes half a second to import

    values = np.array(p_values, dtype=np.float64)
    made = ~np.isnan(values)
    if np.any((values[made] < 0) | (values[made] > 1)):
        raise LsnError("a p-value lies between 0 and 1; one of these does not")
    if made.any():
        values[made] = false_discovery_control(values[made], method="bh")
    return values


def _mantel(x: np.ndarray, y: np.ndarray, directed: bool, method: str, null: _Null) -> MantelTest:
    _check_choice(method, CORRELATIONS, "correlation")
    n, how = len(x), method
    rows, columns = _pairs(n, directed)
    observed, pairs = _observed(x, y, rows, columns, method)
    if np.isnan(observed):
        return MantelTest(nan, nan, n, pairs, 0, False, method, null.alternative)
    fixed = y[rows, columns][None]
    if method == "spearman" and pairs == len(rows):
        # With no cell left out, a permutation moves ranks and changes none: rank once.
        x = _square(_ranks(x[rows, columns][None])[0], rows, columns, n, directed)
        fixed, how = _ranks(fixed), "pearson"

    def correlation(orders: np.ndarray) -> np.ndarray:
        return _correlations(x[orders[:, rows], orders[:, columns]], fixed, how)

    p_value, drawn, exact = _p_value(correlation, observed, n, len(rows), null, _ROUNDING)
    return MantelTest(observed, p_value, n, pairs, drawn, exact, method, null.alternative)


def _partial(
    x: np.ndarray, y: np.ndarray, z: np.ndarray, directed: bool, method: str, null: _Null
) -> MantelTest:
    _check_choice(method, CORRELATIONS, "correlation")
    n = len(x)
    rows, columns = _pairs(n, directed)
    cells = np.array([part[rows, columns] for part in (x, y, z)])
    cells[:, np.isnan(cells).any(axis=0)] = np.nan
    if method == "spearman":
        cells = _ranks(cells)
    first, second = (_square(_residuals(part, cells[2]), rows, columns, n, directed) for part in cells[:2])
    found = _mantel(first, second, directed, "pearson", null)
    return replace(found, method=method)


def _residuals(values: np.ndarray, control: np.ndarray) -> np.ndarray:
    """What a straight line on ``control`` leaves of the values, (P,); 0 where it leaves rounding alone."""
    used = ~np.isnan(values)
    left = np.full_like(values, np.nan)
    if not used.any():
        return left
    centred, other = values[used] - values[used].mean(), control[used] - control[used].mean()
    square = other @ other
    rest = centred - (other @ centred / square if square > 0 else 0.0) * other
    left[used] = rest if rest @ rest > _ROUNDING * (centred @ centred) else 0.0
    return left


def _observed(
    x: np.ndarray, y: np.ndarray, rows: np.ndarray, columns: np.ndarray, method: str
) -> tuple[float, int]:
    """The correlation over these cells, and the number of cells used."""
    one, other = x[rows, columns][None], y[rows, columns][None]
    return float(_correlations(one, other, method)[0]), int(np.sum(~np.isnan(one + other)))


def _correlations(x: np.ndarray, y: np.ndarray, method: str) -> np.ndarray:
    """Row by row over the cells that both have, (B, P) and (B or 1, P) to (B,); NaN for constant rows."""
    used = ~(np.isnan(x) | np.isnan(y))
    x, y = np.where(used, x, np.nan), np.where(used, y, np.nan)
    if method == "spearman":
        x, y = _ranks(x), _ranks(y)
    number = np.maximum(used.sum(axis=1, keepdims=True), 1)
    varies = np.ones(len(x), dtype=bool)
    centred = []
    for part in (x, y):
        low = np.min(part, axis=1, where=used, initial=np.inf)
        high = np.max(part, axis=1, where=used, initial=-np.inf)
        varies &= high - low > _ROUNDING * np.maximum(np.abs(low), np.abs(high))
        part = np.where(used, part, 0.0)
        centred.append(np.where(used, part - part.sum(axis=1, keepdims=True) / number, 0.0))
    x, y = centred
    scale = np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
    varies &= scale > 0
    return np.where(varies, np.clip((x * y).sum(axis=1) / np.where(varies, scale, 1.0), -1, 1), np.nan)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks within each row of (B, P), ties sharing their mean; NaN has none."""
    return pd.DataFrame(values).rank(axis=1).to_numpy()


def _p_value(
    statistic: Callable[[np.ndarray], np.ndarray],
    observed: float,
    n: int,
    cells: int,
    null: _Null,
    tolerance: float,
) -> tuple[float, int, bool]:
    """p, the number of permutations, and whether they are all; ``statistic`` takes orders (b, n) to (b,)."""
    exact = factorial(n) - 1 <= null.permutations
    number = factorial(n) - 1 if exact else null.permutations
    extreme = 0
    for orders in _orders(n, number, cells, exact, null.rng_seed):
        values = statistic(orders)
        if null.alternative == "two-sided":
            reached = np.abs(values) >= abs(observed) - tolerance
        elif null.alternative == "greater":
            reached = values >= observed - tolerance
        else:
            reached = values <= observed + tolerance
        extreme += int(np.sum(reached | np.isnan(values)))
    return (1 + extreme) / (number + 1), number, exact


def _orders(n: int, number: int, cells: int, exact: bool, rng_seed: int) -> Iterator[np.ndarray]:
    """Orders of n labels, int64 (b, n), in blocks: all but the given one, or drawn at random."""
    rng = np.random.default_rng(rng_seed)
    remaining = islice(every_order(range(n)), 1, None)
    for size in _block_sizes(number, cells):
        if exact:
            yield np.array(list(islice(remaining, size)), dtype=np.int64)
        else:
            yield rng.permuted(np.tile(np.arange(n), (size, 1)), axis=1)


def _block_sizes(number: int, cells: int) -> Iterator[int]:
    """Sizes that add up to ``number``, each of few enough replicates of so many cells to fit in memory."""
    largest = max(1, _CELLS_A_BLOCK // max(1, cells))
    return (min(largest, number - start) for start in range(0, number, largest))


def _pairs(n: int, directed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the cells: above the diagonal, or all off it for a matrix with a direction."""
    if not directed:
        rows, columns = np.triu_indices(n, 1)
        return rows, columns
    rows, columns = np.nonzero(~np.eye(n, dtype=bool))
    return rows, columns


def _square(values: np.ndarray, rows: np.ndarray, columns: np.ndarray, n: int, directed: bool) -> np.ndarray:
    """The (n, n) matrix with these cells, symmetric unless it has a direction."""
    matrix = np.full((n, n), np.nan)
    matrix[rows, columns] = values
    if not directed:
        matrix[columns, rows] = values
    return matrix


def _matrices(*values: ArrayLike, symmetric: Sequence[bool] | None = None) -> list[np.ndarray]:
    """Copies, float64, the diagonal NaN; LsnError unless square, of one size and as symmetric as said."""
    matrices = [np.array(value, dtype=np.float64) for value in values]
    n = len(matrices[0]) if matrices[0].ndim else 0
    for matrix, mirrored in zip(matrices, symmetric or [True] * len(matrices), strict=True):
        if matrix.shape != (n, n):
            raise LsnError(
                f"matrices of languages are square and of one size; here is one of shape {matrix.shape}"
            )
        if np.isinf(matrix).any():
            raise LsnError("a matrix of languages holds an infinite value; leave out a pair with NaN")
        np.fill_diagonal(matrix, np.nan)
        if mirrored and not np.allclose(matrix, matrix.T, rtol=1e-9, atol=1e-12, equal_nan=True):
            raise LsnError(
                "a matrix of languages is not symmetric; use transfer_mantel for one with a direction"
            )
    if n < 3:
        raise LsnError(f"a test on a matrix of languages needs three languages at least, and here are {n}")
    return matrices


def _check_choice(value: str, choices: Sequence[str], kind: str) -> None:
    if value not in choices:
        raise LsnError(f"there is no {kind} {value!r}; choose one of {', '.join(choices)}")

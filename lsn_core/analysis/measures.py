"""Measures of how much two masks share, from counts (the formulas of DESIGN.md, section 4).

Every function works element by element on arrays that broadcast, and gives NaN where the measure is
undefined. Counts are weights: ``i`` kept by both, ``a`` and ``b`` kept by each, ``n`` in all. Over more than
one matrix, give the sums of the counts: a measure is never a mean of measures. What is expected is summed
too: first the expected intersection of each matrix, then the measure of the sum.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def jaccard(i: ArrayLike, a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """Shared weights as a part of those kept by either, i / (a + b - i) (Jaccard 1901)."""
    i, a, b = _floats(i, a, b)
    return _ratio(i, a + b - i)


def overlap_coefficient(i: ArrayLike, a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """Shared weights as a part of the smaller mask, i / min(a, b) (Szymkiewicz-Simpson)."""
    i, a, b = _floats(i, a, b)
    return _ratio(i, np.minimum(a, b))


def dice(i: ArrayLike, a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """2 i / (a + b) (Dice 1945)."""
    i, a, b = _floats(i, a, b)
    return _ratio(2 * i, a + b)


def kappa(i: ArrayLike, a: ArrayLike, b: ArrayLike, n: ArrayLike) -> np.ndarray:
    """Agreement on kept and removed beyond what the two densities give by chance (Cohen 1960)."""
    i, a, b, n = _floats(i, a, b, n)
    observed = (n - a - b + 2 * i) / n
    by_chance = (a * b + (n - a) * (n - b)) / (n * n)
    return _ratio(observed - by_chance, 1 - by_chance)


def expected_by_chance(a: ArrayLike, b: ArrayLike, n: ArrayLike) -> np.ndarray:
    """Expected intersection of two random masks within one matrix, a b / n."""
    a, b, n = _floats(a, b, n)
    return a * b / n


def expected_by_reference(
    a1: ArrayLike, b1: ArrayLike, a0: ArrayLike, b0: ArrayLike, kept: ArrayLike, removed: ArrayLike
) -> np.ndarray:
    """Expected intersection, within one matrix, of masks with nothing in common but a reference mask R.

    ``a1`` and ``b1`` are the weights kept inside R, ``a0`` and ``b0`` those outside; ``kept`` is |R|,
    ``removed`` is |¬R|. a1 b1 / |R| + a0 b0 / |¬R|, an empty part counting nothing.
    """
    a1, b1, a0, b0, kept, removed = _floats(a1, b1, a0, b0, kept, removed)
    return a1 * b1 / np.maximum(kept, 1) + a0 * b0 / np.maximum(removed, 1)


def chance_jaccard(a: ArrayLike, b: ArrayLike, n: ArrayLike) -> np.ndarray:
    """The Jaccard index of two random masks of these densities; the last axis runs over the matrices."""
    a, b, n = _floats(a, b, n)
    return jaccard(expected_by_chance(a, b, n).sum(axis=-1), a.sum(axis=-1), b.sum(axis=-1))


def reference_jaccard(
    a1: ArrayLike, b1: ArrayLike, a0: ArrayLike, b0: ArrayLike, kept: ArrayLike, removed: ArrayLike
) -> np.ndarray:
    """The Jaccard index of masks that share only the reference; the last axis runs over the matrices."""
    a1, b1, a0, b0, kept, removed = _floats(a1, b1, a0, b0, kept, removed)
    expected = expected_by_reference(a1, b1, a0, b0, kept, removed).sum(axis=-1)
    return jaccard(expected, (a1 + a0).sum(axis=-1), (b1 + b0).sum(axis=-1))


def neutrality(j: ArrayLike, reference: ArrayLike, ceiling: ArrayLike) -> np.ndarray:
    """(J - J_ref) / (J_seed - J_ref): 0 no more alike than the pretrained magnitudes make any two languages,
    1 as alike as a language is to itself. NaN unless the ceiling J_seed lies above the reference."""
    j, reference, ceiling = _floats(j, reference, ceiling)
    room = ceiling - reference
    return _ratio(j - reference, np.where(room > 0, room, 0))


def _floats(*values: ArrayLike) -> tuple[np.ndarray, ...]:
    return tuple(np.asarray(value, dtype=np.float64) for value in values)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """The quotient, NaN where the denominator is zero."""
    with np.errstate(invalid="ignore"):
        return numerator / np.where(denominator == 0, np.nan, denominator)

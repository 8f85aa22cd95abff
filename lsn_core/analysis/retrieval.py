"""Sentence retrieval from vectors: how often is a sentence's translation its nearest neighbour?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lsn_core.errors import LsnError

NEIGHBOURS = 5

_BLOCK_BYTES = 2**26
"""Similarities held at once, beside what is kept of each sentence."""


def retrieval_accuracy(a: np.ndarray, b: np.ndarray, k: int = NEIGHBOURS) -> tuple[float, float]:
    """Accuracy at 1 of retrieving translations by the margin ratio, in both directions.

    ``a`` and ``b`` are (n, d): row i of one is the translation of row i of the other. Returns the share of
    the sentences of ``a`` whose best match in ``b`` is their own translation, and the same from ``b`` to
    ``a``. Errors as for ``margin_neighbours``, or when the arrays differ in length.
    """
    if len(a) != len(b):
        raise LsnError(f"aligned sentences come in equal numbers, and here are {len(a)} and {len(b)}")
    forward, backward = margin_neighbours(a, b, k)
    own = np.arange(len(a))
    return float(np.mean(forward == own)), float(np.mean(backward == own))


def margin_neighbours(a: np.ndarray, b: np.ndarray, k: int = NEIGHBOURS) -> tuple[np.ndarray, np.ndarray]:
    """For each row of ``a`` (n, d) its best match in ``b`` (m, d), int64 (n,), and the other way, (m,).

    The best match has the highest ratio margin (Artetxe & Schwenk 2019, section 3.1),
    cos(x, y) / (mean cosine of x to its k nearest in b / 2 + mean cosine of y to its k nearest in a / 2),
    which holds back sentences that are near to everything. All sentences are candidates; where there are
    fewer than k, all are neighbours; of equal margins the first is taken. Similarities are worked out in
    blocks, twice, so that memory grows with n + m and not with n m. Precision is that of the arrays, float32
    at the least.

    Raises LsnError when the arrays are not of vectors of one length, are empty, hold a zero vector or a value
    that is not finite, or when a sentence is on average turned away from its nearest neighbours, so that the
    ratio has no meaning.
    """
    if k < 1:
        raise LsnError(f"retrieval needs one neighbour at least, not {k}")
    a, b = _unit(a), _unit(b)
    if a.shape[1] != b.shape[1]:
        raise LsnError(f"the two sets of vectors have different lengths, {a.shape[1]} and {b.shape[1]}")
    near_a, near_b = _mean_nearest(a, b, k)
    if near_a.min() + near_b.min() <= 0:
        raise LsnError(
            "some sentences have no similar neighbour at all, so that the margin is undefined; "
            "check the vectors"
        )
    forward = np.empty(len(a), dtype=np.int64)
    backward, best = np.zeros(len(b), dtype=np.int64), np.full(len(b), -np.inf)
    for rows in _blocks(len(a), len(b), a.itemsize):
        margins = a[rows] @ b.T
        margins /= (near_a[rows, None] + near_b) / 2
        forward[rows] = margins.argmax(axis=1)
        top = margins.argmax(axis=0)
        values = margins[top, np.arange(len(b))]
        better = values > best  # on a tie the earlier block stays
        backward[better], best[better] = rows.start + top[better], values[better]
    return forward, backward


def _mean_nearest(a: np.ndarray, b: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean cosine of each row of ``a`` to its k nearest in ``b``, (n,), and the other way, (m,)."""
    rows_near = np.empty(len(a), dtype=a.dtype)
    columns_top = np.empty((0, len(b)), dtype=a.dtype)
    for rows in _blocks(len(a), len(b), a.itemsize):
        cosines = a[rows] @ b.T
        columns_top = _largest(np.concatenate([columns_top, _largest(cosines, k)]), k)
        rows_near[rows] = _largest(cosines.T, k).mean(axis=0)
    return rows_near, columns_top.mean(axis=0)


def _largest(values: np.ndarray, k: int) -> np.ndarray:
    """The k largest of each column, in any order, (min(k, n), m)."""
    return values if len(values) <= k else np.partition(values, len(values) - k, axis=0)[-k:]


def _blocks(rows: int, columns: int, itemsize: int) -> Iterator[slice]:
    length = max(1, _BLOCK_BYTES // (columns * itemsize))
    return (slice(start, min(start + length, rows)) for start in range(0, rows, length))


def _unit(vectors: np.ndarray) -> np.ndarray:
    """The vectors at length 1."""
    array = np.asarray(vectors)
    if array.ndim != 2 or array.size == 0 or array.dtype.kind not in "fiu":
        raise LsnError(f"sentence vectors are numbers (sentences, dimensions), not of shape {array.shape}")
    array = array.astype(np.result_type(array.dtype, np.float32), copy=False)
    if not np.isfinite(array).all():
        raise LsnError("a sentence vector holds a value that is not a finite number")
    largest = np.abs(array).max(axis=1, keepdims=True)
    if not largest.all():
        raise LsnError(f"the vector of sentence {int(np.argmin(largest))} is zero, so it has no direction")
    array = array / largest  # so that squares neither overflow nor vanish
    return array / np.linalg.norm(array, axis=1, keepdims=True)

"""How many weights every two of many masks share, matrix by matrix."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from lsn_core.errors import LsnError
from lsn_core.masks.mask import Mask

_BLOCK_BYTES = 2**19
"""One block of all masks: it and its working copy stay in a core's cache while every pair is counted."""
_WORDS_A_THREAD = 2**20
"""Words, over all masks, below which another thread costs more than it brings."""


def intersections(masks: Sequence[Mask], threads: int | None = None) -> np.ndarray:
    """Weights kept by both of every two masks, int64 (T, T, M); the diagonal holds the masks' own counts.

    The packed words are taken in blocks that fit a core's cache, so that each is read from memory once
    for all pairs. ``threads`` is the number of cores to use (all that the process may use when None).
    Raises LsnError when there is no mask or the layouts differ.
    """
    if not masks:
        raise LsnError("there are no masks to compare")
    layout = masks[0].layout
    if any(mask.layout != layout for mask in masks):
        raise LsnError("the masks are over different matrices; only masks of one model can be compared")
    rows = [mask.words for mask in masks]
    blocks = _blocks(layout.word_offsets, max(64, _BLOCK_BYTES // (8 * len(rows))))
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    useful = 1 + len(rows) * len(rows[0]) // _WORDS_A_THREAD
    workers = min(threads or available, useful, len(blocks))
    shares = [blocks[worker::workers] for worker in range(workers)]
    matrices = len(layout.matrices)
    with ThreadPoolExecutor(workers) as pool:
        upper = np.sum(list(pool.map(lambda share: _count(rows, share, matrices), shares)), axis=0)
    both = upper + np.triu(upper, 1).transpose(0, 2, 1)
    return np.ascontiguousarray(both.transpose(1, 2, 0))


def _blocks(word_offsets: np.ndarray, length: int) -> list[tuple[int, int, int]]:
    """(matrix, first word, end), each within one matrix and at most ``length`` words."""
    return [
        (matrix, start, min(start + length, int(word_offsets[matrix + 1])))
        for matrix in range(len(word_offsets) - 1)
        for start in range(int(word_offsets[matrix]), int(word_offsets[matrix + 1]), length)
    ]


def _count(rows: Sequence[np.ndarray], blocks: Sequence[tuple[int, int, int]], matrices: int) -> np.ndarray:
    """Counts over some blocks, int64 (M, T, T), on and above the diagonal."""
    total = len(rows)
    counts = np.zeros((matrices, total, total), dtype=np.int64)
    longest = max(stop - start for _, start, stop in blocks)
    block = np.empty((total, longest), dtype=np.uint64)
    shared = np.empty((total, longest), dtype=np.uint64)
    ones = np.empty((total, longest), dtype=np.uint8)
    for matrix, start, stop in blocks:
        width = stop - start
        for row, words in enumerate(rows):
            block[row, :width] = words[start:stop]
        for row in range(total):
            np.bitwise_and(block[row:, :width], block[row, :width], out=shared[row:, :width])
            np.bitwise_count(shared[row:, :width], out=ones[row:, :width])
            counts[matrix, row, row:] += ones[row:, :width].sum(axis=1, dtype=np.uint32)
    return counts

"""How many weights every two of many masks share, matrix by matrix."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numkong
import numpy as np

from lsn_core.errors import LsnError
from lsn_core.masks.layout import CHUNK_WORDS, Layout
from lsn_core.masks.mask import Mask
from lsn_core.masks.stored import StoredMask

_LINE_WORDS = 8
"""Words of a cache line. Rows a power of two apart would share few of the cache's sets; one line more spreads them."""
_BLOCKS_BYTES = 2**28
"""What the threads together may hold of the masks; with very many masks fewer threads work."""
_WORDS_A_THREAD = 2**20
"""Words, over all masks, below which another thread costs more than it brings."""


def intersections(masks: Sequence[Mask | StoredMask], threads: int | None = None) -> np.ndarray:
    """Weights kept by both of every two masks, int64 (T, T, M); the diagonal holds the masks' own counts.

    The masks are taken chunk by chunk, so that each is read once, from memory or from its file, for all pairs;
    no more than a chunk of every mask and thread is held. ``threads`` is the number of cores to use (all that the
    process may use when None). Raises LsnError when there is no mask, the layouts differ, or a file cannot be
    read; CorruptFile when a file is not the one that was written.
    """
    if not masks:
        raise LsnError("there are no masks to compare")
    layout = masks[0].layout
    if any(mask.layout != layout for mask in masks):
        raise LsnError("the masks are over different matrices; only masks of one model can be compared")
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    useful = 1 + len(masks) * int(layout.word_offsets[-1]) // _WORDS_A_THREAD
    roomy = max(1, _BLOCKS_BYTES // (8 * CHUNK_WORDS * len(masks)))
    workers = min(threads or available, useful, roomy, len(layout.chunks))
    shares = [range(worker, len(layout.chunks), workers) for worker in range(workers)]
    with ThreadPoolExecutor(workers) as pool:
        upper = np.triu(np.sum(list(pool.map(lambda share: _count(masks, layout, share), shares)), axis=0))
    both = upper + np.triu(upper, 1).transpose(0, 2, 1)
    return np.ascontiguousarray(both.transpose(1, 2, 0))


def _count(masks: Sequence[Mask | StoredMask], layout: Layout, numbers: Sequence[int]) -> np.ndarray:
    """Counts over some of the layout's chunks, int64 (M, T, T); right on and above the diagonal only."""
    total = len(masks)
    counts = np.zeros((len(layout.matrices), total, total), dtype=np.int64)
    longest = max(chunk.stop - chunk.start for chunk in layout.chunks)
    block = np.empty((total, longest + _LINE_WORDS), dtype=np.uint64)
    for number in numbers:
        matrix, start, stop = layout.chunks[number]
        for row, mask in enumerate(masks):
            mask.read_chunk(number, block[row, : stop - start])
        octets = block[:, : stop - start].view(np.uint8)
        counts[matrix] += np.asarray(numkong.dots_symmetric(octets, dtype="uint1"))
    return counts

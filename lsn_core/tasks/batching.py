"""Which items make up which batch, and how their rows are padded.

The choice is a pure function of the seed, so that a resumed run sees the same batches.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch

IGNORED = -100
"""The label of a place that has none; torch's losses leave it out by default."""

_CHUNK = 16
"""Batches drawn together and sorted by length, to waste little on padding."""


def stable_seed(*parts: object) -> int:
    """Return a 63-bit seed that depends on the parts alone, on every machine and in every process."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def training_batches(
    lengths: Sequence[int], batch_size: int, rng: np.random.Generator
) -> Iterator[list[int]]:
    """Yield index lists of `batch_size` items without end, each epoch a new order.

    Items of like length are put together within chunks of 16 batches. The last items of an epoch that
    do not fill a batch are carried into the next one. With fewer items than a batch, all of them are
    every batch.
    """
    sizes = np.asarray(lengths)
    if len(sizes) <= batch_size:
        while True:
            yield list(range(len(sizes)))
    pending = np.empty(0, dtype=np.int64)
    while True:
        pending = np.concatenate([pending, rng.permutation(len(sizes))])
        while len(pending) >= batch_size:
            chunk, pending = pending[: _CHUNK * batch_size], pending[_CHUNK * batch_size :]
            spare = len(chunk) % batch_size
            if spare:
                chunk, pending = chunk[:-spare], np.concatenate([chunk[-spare:], pending])
            ordered = chunk[np.argsort(sizes[chunk], kind="stable")].reshape(-1, batch_size)
            for row in ordered[rng.permutation(len(ordered))]:
                yield row.tolist()


def scoring_batches(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Yield every index once, in batches of like length."""
    order = np.argsort(np.asarray(lengths), kind="stable")
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size].tolist()


def pad(rows: Sequence[np.ndarray], filler: int) -> torch.Tensor:
    """Return rows of whole numbers as one tensor (rows, longest), shorter ones filled up at their end."""
    padded = np.full((len(rows), max(map(len, rows))), filler, dtype=np.int64)
    for place, row in enumerate(rows):
        padded[place, : len(row)] = row
    return torch.from_numpy(padded)

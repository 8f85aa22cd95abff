"""Which languages keep a weight: the number of weights that exactly the languages of a set keep.

Tickets are read one after another and leave one bit a weight, so that beside one ticket there are never more
than two bytes a weight in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lsn_core.analysis.cores import Membership, core_tickets
from lsn_core.errors import LsnError
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.layout import Layout
from lsn_core.masks.ticket import TicketKey

MAX_LANGUAGES = 16
"""More would need more than two bytes a weight, and have more sets than anyone can look at."""
SET_COLUMNS = ("languages", "size", "weights", "reference", "independence")


@dataclass(frozen=True, eq=False)
class KeeperSets:
    """The sets of languages that keep weights, in tickets of one seed.

    ``patterns`` is uint16 (P,), ascending: bit l is set where language l, in the order of ``languages``, is one
    of the set. ``counts`` is int64 (P, M): the weights of each matrix that the languages of the set keep and
    all others remove. Sets that keep nothing are left out; 0 is the set of no language.
    """

    languages: tuple[str, ...]
    patterns: np.ndarray
    counts: np.ndarray

    def over(self, matrices: np.ndarray) -> SetSizes:
        """The sets that keep weights of these matrices, and how many."""
        weights = self.counts[:, matrices].sum(axis=1)
        return SetSizes(self.languages, self.patterns[weights > 0], weights[weights > 0])

    def select(self, languages: Sequence[str]) -> KeeperSets:
        """The sets of some of the languages, in this order; LsnError when one is not among them."""
        missing = [code for code in languages if code not in self.languages]
        if missing:
            raise LsnError(f"there are no sets of language {missing[0]}")
        kept = [self.patterns >> self.languages.index(code) & 1 for code in languages]
        mine = sum((bits << bit for bit, bits in enumerate(kept)), np.zeros_like(self.patterns))
        patterns, places = np.unique(mine, return_inverse=True)
        counts = np.zeros((len(patterns), self.counts.shape[1]), dtype=np.int64)
        np.add.at(counts, places, self.counts)
        return KeeperSets(tuple(languages), patterns, counts)


@dataclass(frozen=True, eq=False)
class SetSizes:
    """The sets of languages that keep weights of one part of the model: ``weights`` is int64 (P,), ``patterns`` as in
    ``KeeperSets``."""

    languages: tuple[str, ...]
    patterns: np.ndarray
    weights: np.ndarray


def keeper_sets(
    atlas: Atlas,
    task: str,
    sparsity: float,
    seed: int | None = None,
    method: str = "imp",
    languages: Sequence[str] | None = None,
) -> KeeperSets:
    """The sets of languages that keep each weight; for the choice of tickets see ``core_tickets``.

    Raises LsnError with more than ``MAX_LANGUAGES`` languages.
    """
    keys = core_tickets(atlas, task, sparsity, seed, method, languages)
    if len(keys) > MAX_LANGUAGES:
        raise LsnError(f"sets are counted of {MAX_LANGUAGES} languages at most, not {len(keys)}")
    return sets_at(atlas, keys, [sparsity])[0]


def sets_at(
    atlas: Atlas,
    keys: Sequence[TicketKey],
    levels: Sequence[float],
    progress: Callable[[int, int], None] | None = None,
) -> list[KeeperSets]:
    """The sets of the tickets' languages, at most ``MAX_LANGUAGES``, for several sparsities that all of them have.

    Every ticket is read once; two bytes a weight and level are held. ``progress(done, total)`` is called before each
    ticket.
    """
    layout = atlas.layout
    keepers = np.zeros((len(levels), layout.size), dtype=np.uint16)
    for bit, key in enumerate(keys):
        if progress is not None:
            progress(bit, len(keys))
        ticket = atlas.ticket(key)
        places = [ticket.level_index(level) for level in levels]
        for index in range(len(layout.matrices)):
            matrix = layout.slice(index)
            survival = ticket.survival[matrix]
            for row, place in zip(keepers, places, strict=True):
                row[matrix] |= (survival > place).astype(np.uint16) << np.uint16(bit)
    return [_sets(layout, keys, row) for row in keepers]


def _sets(layout: Layout, keys: Sequence[TicketKey], keepers: np.ndarray) -> KeeperSets:
    by_matrix = [
        np.bincount(keepers[layout.slice(index)], minlength=1 << len(keys))
        for index in range(len(layout.matrices))
    ]
    counts = np.stack(by_matrix, axis=1)
    patterns = np.flatnonzero(counts.any(axis=1))
    return KeeperSets(tuple(key.language for key in keys), patterns.astype(np.uint16), counts[patterns])


def keepers_of(sets: KeeperSets) -> tuple[np.ndarray, np.ndarray]:
    """``counts`` and ``exclusive`` of the ``Membership`` of the sets' languages."""
    n = len(sets.languages)
    counts = np.zeros((n + 1, sets.counts.shape[1]), dtype=np.int64)
    np.add.at(counts, np.bitwise_count(sets.patterns), sets.counts)
    exclusive = np.stack([sets.counts[sets.patterns == 1 << bit].sum(axis=0) for bit in range(n)])
    return counts, exclusive


def expected_sets(found: Membership, patterns: np.ndarray, reference: bool) -> np.ndarray:
    """Weights that exactly the languages of each set would keep if they were independent, float64 (P, M).

    ``patterns`` are of the languages of ``found``. With ``reference`` they are independent within the base mask
    and, on its own, within what it removes: all that they have in common are the pretrained magnitudes; NaN
    without a base ticket. Otherwise they are independent throughout.
    """
    if not reference:
        return _independent(found.kept, found.layout.sizes, patterns)
    if found.in_reference is None or found.reference_kept is None:
        return np.full((len(patterns), len(found.layout.matrices)), np.nan)
    outside, removed = found.kept - found.in_reference, found.layout.sizes - found.reference_kept
    return _independent(found.in_reference, found.reference_kept, patterns) + _independent(
        outside, removed, patterns
    )


def set_table(
    sets: SetSizes, found: Membership, matrices: np.ndarray, patterns: np.ndarray | None = None
) -> pd.DataFrame:
    """Sets that keep weights of these matrices, which ``sets`` are over, with the columns ``SET_COLUMNS``; most weights
    first.

    ``languages`` are those of the set with spaces between, ``size`` is how many there are, ``weights`` what they
    alone keep; ``reference`` and ``independence`` are what is expected of languages that have only the pretrained
    magnitudes in common (NaN without a base ticket) and of independent ones. With ``patterns``, a row for each
    of them in their order, whether it keeps anything or not. Raises LsnError when ``found`` is of other languages.
    """
    if found.languages != sets.languages:
        raise LsnError("the sets and the counts are of other languages")
    chosen = sets.patterns if patterns is None else patterns
    weights = np.zeros(1 << len(sets.languages), dtype=np.int64)
    weights[sets.patterns] = sets.weights
    names = [
        [code for bit, code in enumerate(sets.languages) if pattern >> bit & 1] for pattern in chosen.tolist()
    ]
    table = pd.DataFrame(
        {
            "languages": [" ".join(codes) for codes in names],
            "size": [len(codes) for codes in names],
            "weights": weights[chosen],
            "reference": expected_sets(found, chosen, True)[:, matrices].sum(axis=1),
            "independence": expected_sets(found, chosen, False)[:, matrices].sum(axis=1),
        },
        columns=list(SET_COLUMNS),
    )
    if patterns is not None:
        return table
    table = table[table["weights"] > 0]
    return table.sort_values("weights", ascending=False, kind="stable").reset_index(drop=True)


def _independent(kept: np.ndarray, size: np.ndarray, patterns: np.ndarray) -> np.ndarray:
    """Expected weights of each set, float64 (P, M); ``kept`` is (n, M), ``size`` (M,)."""
    chances = kept / np.maximum(size, 1)
    product = np.broadcast_to(size.astype(np.float64), (len(patterns), len(size))).copy()
    for bit, chance in enumerate(chances):
        inside = (patterns >> bit & 1).astype(bool)
        product[inside] *= chance
        product[~inside] *= 1 - chance
    return product

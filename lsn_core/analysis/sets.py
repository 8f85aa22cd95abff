"""Which languages keep a weight: the number of weights that exactly the languages of a set keep.

Tickets are read one after another and leave one bit a weight, so that beside one ticket there are never more
than two bytes a weight in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lsn_core.analysis.cores import Membership, core_tickets
from lsn_core.errors import LsnError
from lsn_core.masks.atlas import Atlas

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
    layout = atlas.layout
    keepers = np.zeros(layout.size, dtype=np.uint16)
    for bit, ticket in enumerate(map(atlas.ticket, keys)):
        level = ticket.level_index(sparsity)
        for index in range(len(layout.matrices)):
            place = layout.slice(index)
            keepers[place] |= (ticket.survival[place] > level).astype(np.uint16) << np.uint16(bit)
    by_matrix = [
        np.bincount(keepers[layout.slice(index)], minlength=1 << len(keys))
        for index in range(len(layout.matrices))
    ]
    counts = np.stack(by_matrix, axis=1)
    patterns = np.flatnonzero(counts.any(axis=1))
    return KeeperSets(tuple(key.language for key in keys), patterns.astype(np.uint16), counts[patterns])


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
    sets: KeeperSets, found: Membership, matrices: np.ndarray, patterns: np.ndarray | None = None
) -> pd.DataFrame:
    """Sets that keep weights of these matrices, with the columns ``SET_COLUMNS``; most weights first.

    ``languages`` are those of the set with spaces between, ``size`` is how many there are, ``weights`` what they
    alone keep; ``reference`` and ``independence`` are what is expected of languages that have only the pretrained
    magnitudes in common (NaN without a base ticket) and of independent ones. With ``patterns``, a row for each
    of them in their order, whether it keeps anything or not. Raises LsnError when ``found`` is of other languages.
    """
    if found.languages != sets.languages:
        raise LsnError("the sets and the counts are of other languages")
    chosen = sets.patterns if patterns is None else patterns
    weights = np.zeros(1 << len(sets.languages), dtype=np.int64)
    weights[sets.patterns] = sets.counts[:, matrices].sum(axis=1)
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

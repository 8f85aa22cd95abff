"""The tables that an atlas keeps so that a page need not touch bits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd

from lsn_core.analysis.counts import OVERLAP_COLUMNS, OVERLAP_TABLE
from lsn_core.analysis.intersections import intersections
from lsn_core.errors import CorruptFile, LsnError, brief
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.mask import Mask
from lsn_core.masks.stored import Shelf, StoredMask
from lsn_core.masks.tables import conformed
from lsn_core.masks.ticket import SPARSITY_TOLERANCE
from lsn_core.masks.ticket_file import TicketHeader

SCORES_TABLE = "scores"
_SCORE_DTYPES = {
    **{"task": "str", "language": "str", "method": "str", "seed": "int64", "sparsity": "float64"},
    **{"metric": "str", "value": "float64", "count": "int64", "split": "str"},
}
SCORE_COLUMNS = tuple(_SCORE_DTYPES)

_ATTEMPTS = 20
_PACKED_BYTES = 2**32
"""Bytes of packed masks held at once, on disk for the most part; more levels are counted in several passes."""


def refresh(atlas: Atlas) -> bool:
    """Build and write the tables ``overlap`` and ``scores`` from the tickets that are intact.

    ``overlap`` has a row for every sparsity and every two tickets that have it (the base ticket and each
    ticket with itself among them): ``sparsity, ticket_a, ticket_b, intersection``, the last a list of the
    weights shared in each matrix, in layout order. Both tables carry the tickets' content hashes. Returns
    False when they were up to date already. An atlas without ticket files keeps the tables it shipped with.
    Raises LsnError when tickets are replaced all the time meanwhile.
    """
    with atlas.lock("tables"):
        if not atlas.has_bits or _up_to_date(atlas):
            return False
        for _ in range(_ATTEMPTS):
            headers = atlas.headers()
            try:
                rows = _overlap_rows(atlas, headers)
            except _Changed:
                continue
            stamps = {header.key.stem: header.content_hash for header in headers}
            atlas.write_table(OVERLAP_TABLE, rows, stamps)
            atlas.write_table(SCORES_TABLE, _scores(headers), stamps)
            return True
    raise LsnError(
        f"the tickets of atlas {atlas.name} change while they are counted; try again when they are done"
    )


class _Changed(Exception):
    """A ticket is not the one that it was when the counting began: counts under its stamp would be false."""


def scores_table(atlas: Atlas) -> pd.DataFrame:
    """All scores of an atlas's tickets, with the columns ``SCORE_COLUMNS``; sparsity 0 is the dense model."""
    if atlas.has_bits:
        return _scores(atlas.headers())
    found = atlas.read_table(SCORES_TABLE)
    if found is None:
        return _scores([])
    try:
        return conformed(found[0], _SCORE_DTYPES)
    except ValueError as error:
        raise CorruptFile(
            f"table {SCORES_TABLE} of atlas {atlas.name} is none of scores ({brief(error)}); rebuild it"
        ) from error


def _up_to_date(atlas: Atlas) -> bool:
    stamps = atlas.stamps()
    for name in (OVERLAP_TABLE, SCORES_TABLE):
        try:
            found = atlas.read_table(name)
        except LsnError:
            return False
        if found is None or found[1] != stamps:
            return False
    return True


def _overlap_rows(atlas: Atlas, headers: Sequence[TicketHeader]) -> pd.DataFrame:
    rows: list[tuple[float, str, str, np.ndarray]] = []
    for level, stems, masks in _masks_by_level(atlas, headers):
        shared = intersections(masks)
        first, second = np.triu_indices(len(stems))
        rows += [(level, stems[a], stems[b], shared[a, b]) for a, b in zip(first, second, strict=True)]
    return pd.DataFrame(rows, columns=list(OVERLAP_COLUMNS))


def _masks_by_level(
    atlas: Atlas, headers: Sequence[TicketHeader]
) -> Iterator[tuple[float, list[str], list[Mask | StoredMask]]]:
    """For each sparsity: the names and masks of the tickets that have it; as many levels a pass as fit."""
    levels = _distinct(level for header in headers for level in header.levels)
    mask_bytes = 8 * int(atlas.layout.word_offsets[-1])
    width = max(1, _PACKED_BYTES // (mask_bytes * max(1, len(headers))))
    for start in range(0, len(levels), width):
        passing = levels[start : start + width]
        found: dict[float, list[tuple[str, Mask | StoredMask]]] = {level: [] for level in passing}
        with Shelf() as shelf:
            for header in headers:
                shared = [level for level in passing if _near(level, header.levels)]
                if shared:
                    ticket = atlas.ticket(header.key)
                    if ticket.content_hash != header.content_hash:
                        raise _Changed
                    for level in shared:
                        found[level].append((header.key.stem, shelf.put(ticket.mask(level))))
            for level, pairs in found.items():
                yield level, [stem for stem, _ in pairs], [mask for _, mask in pairs]


def _distinct(levels: Iterator[float]) -> list[float]:
    distinct: list[float] = []
    for level in sorted(levels):
        if not distinct or level - distinct[-1] > SPARSITY_TOLERANCE:
            distinct.append(level)
    return distinct


def _near(level: float, levels: Sequence[float]) -> bool:
    return any(abs(level - other) <= SPARSITY_TOLERANCE for other in levels)


def _scores(headers: Sequence[TicketHeader]) -> pd.DataFrame:
    rows = [{**asdict(header.key), **asdict(score)} for header in headers for score in header.scores]
    frame = pd.DataFrame(rows, columns=list(SCORE_COLUMNS))
    return frame.astype({"seed": "int64", "sparsity": "float64", "value": "float64", "count": "int64"})

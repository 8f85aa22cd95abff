"""Counts of kept and shared weights: from an atlas's table, or from the masks themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lsn_core.analysis.intersections import intersections
from lsn_core.errors import CorruptFile, LsnError, brief
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.layout import Layout
from lsn_core.masks.stored import Shelf
from lsn_core.masks.tables import conformed
from lsn_core.masks.ticket import BASE_KEY, SPARSITY_TOLERANCE, TicketKey

OVERLAP_TABLE = "overlap"
OVERLAP_COLUMNS = ("sparsity", "ticket_a", "ticket_b", "intersection")
_OVERLAP_DTYPES = {"sparsity": "float64", "ticket_a": "str", "ticket_b": "str"}


@dataclass(frozen=True, eq=False)
class Counts:
    """Kept weights that tickets share at one sparsity, for every prunable matrix.

    ``pair`` is int64 (T, T, M), its diagonal the tickets' own counts. With a base mask R of the same
    sparsity, ``reference_kept`` is int64 (M,), |R|, and ``in_reference`` int64 (T, M), |A∩R|; without one
    both are None.
    """

    layout: Layout
    tickets: tuple[TicketKey, ...]
    sparsity: float
    pair: np.ndarray
    reference_kept: np.ndarray | None = None
    in_reference: np.ndarray | None = None

    @property
    def kept(self) -> np.ndarray:
        """Weights that each ticket keeps, int64 (T, M)."""
        return np.einsum("iim->im", self.pair)

    def select(self, tickets: Iterable[TicketKey]) -> Counts:
        """The counts of some tickets, in this order; LsnError when one is not among them."""
        chosen = tuple(tickets)
        places = {key: index for index, key in enumerate(self.tickets)}
        missing = [key for key in chosen if key not in places]
        if missing:
            raise LsnError(f"there are no counts of ticket {missing[0].stem} at sparsity {self.sparsity:g}")
        rows = np.array([places[key] for key in chosen], dtype=np.int64)
        inside = None if self.in_reference is None else self.in_reference[rows]
        pair = self.pair[np.ix_(rows, rows)]
        return Counts(self.layout, chosen, self.sparsity, pair, self.reference_kept, inside)


def catalogue(atlas: Atlas) -> dict[TicketKey, tuple[float, ...]]:
    """The tickets of an atlas and their sparsity levels; of one without bits, those in its overlap table."""
    if atlas.has_bits:
        return {header.key: header.levels for header in atlas.headers()}
    table = _overlap_table(atlas)
    if table is None:
        return {}
    own = table[table["ticket_a"] == table["ticket_b"]]
    found: dict[TicketKey, list[float]] = {}
    for stem, level in sorted(zip(own["ticket_a"], own["sparsity"], strict=True)):
        found.setdefault(TicketKey.from_stem(stem), []).append(float(level))
    return {key: tuple(found[key]) for key in sorted(found)}


def tickets_at(
    atlas: Atlas, sparsity: float, task: str | None = None, method: str = "imp"
) -> tuple[TicketKey, ...]:
    """The tickets of one method (and task) that have this sparsity; LsnError, naming what there is, when none has."""
    return _chosen(atlas, catalogue(atlas), sparsity, task, method)


def load_counts(atlas: Atlas, sparsity: float, task: str | None = None, method: str = "imp") -> Counts:
    """Counts of the atlas's tickets of one method (and task) that have this sparsity.

    They come from the table ``overlap`` where it was made from the very tickets that are here now (or where
    the atlas ships no tickets), otherwise from the masks. Raises LsnError, naming what there is, when no
    ticket fits.
    """
    there = catalogue(atlas)
    keys = _chosen(atlas, there, sparsity, task, method)
    has_base = _has_level(there.get(BASE_KEY, ()), sparsity)
    everyone = (*keys, BASE_KEY) if has_base and method != BASE_KEY.method else keys
    pair = _pairs_from_table(atlas, everyone, sparsity)
    if pair is None:
        with Shelf() as shelf:
            pair = intersections([shelf.put(atlas.ticket(key).mask(sparsity)) for key in everyone])
    if not has_base:
        return Counts(atlas.layout, keys, sparsity, pair)
    base = everyone.index(BASE_KEY)
    total = len(keys)
    return Counts(atlas.layout, keys, sparsity, pair[:total, :total], pair[base, base], pair[:total, base])


def _overlap_table(atlas: Atlas) -> pd.DataFrame | None:
    """The rows of the overlap table that hold for the tickets that are here, or None when there is no table.

    A damaged table is as good as none where the tickets are there to count again, and an error otherwise.
    """
    try:
        found = atlas.read_table(OVERLAP_TABLE)
        if found is not None:
            _check_overlap(found[0], atlas)
    except LsnError:
        if atlas.has_bits:
            return None
        raise
    if found is None:
        return None
    frame, stamps = found
    if not atlas.has_bits:
        return frame
    current = atlas.stamps()
    fresh = {stem for stem, stamp in stamps.items() if current.get(stem) == stamp}
    return frame[frame["ticket_a"].isin(fresh) & frame["ticket_b"].isin(fresh)]


def _check_overlap(frame: pd.DataFrame, atlas: Atlas) -> None:
    try:
        if tuple(frame.columns) != OVERLAP_COLUMNS:
            raise ValueError("it has other columns")
        conformed(frame[["sparsity", "ticket_a", "ticket_b"]], _OVERLAP_DTYPES)
        for stem in {*frame["ticket_a"], *frame["ticket_b"]}:
            TicketKey.from_stem(stem)
        matrices = len(atlas.layout.matrices)
        for row in frame["intersection"]:
            if not isinstance(row, np.ndarray) or row.dtype.kind not in "iu" or len(row) != matrices:
                raise ValueError("it does not count in each matrix of the model")
    except ValueError as error:  # LsnError is one
        raise _misfit(atlas, brief(error)) from error


def _misfit(atlas: Atlas, why: str) -> CorruptFile:
    return CorruptFile(
        f"table {OVERLAP_TABLE} of atlas {atlas.name} does not fit its model ({why}); rebuild it"
    )


def _pairs_from_table(atlas: Atlas, keys: Sequence[TicketKey], sparsity: float) -> np.ndarray | None:
    """The pairs' counts (T, T, M), or None when they have to be counted: the table lacks a pair, or cannot be true.

    Raises CorruptFile for the latter in an atlas without tickets.
    """
    table = _overlap_table(atlas)
    if table is None:
        return None
    places = {key.stem: index for index, key in enumerate(keys)}
    near = np.abs(table["sparsity"] - sparsity) <= SPARSITY_TOLERANCE
    rows = table[near & table["ticket_a"].isin(list(places)) & table["ticket_b"].isin(list(places))]
    pair = np.full((len(keys), len(keys), len(atlas.layout.matrices)), -1, dtype=np.int64)
    if len(rows):
        first, second = (rows[name].map(places).to_numpy() for name in ("ticket_a", "ticket_b"))
        pair[first, second] = pair[second, first] = np.stack(rows["intersection"].tolist())
    if np.any(pair > atlas.layout.sizes):
        if atlas.has_bits:
            return None
        raise _misfit(atlas, "it counts more weights than there are")
    return pair if np.all(pair >= 0) else None


def _has_level(levels: Sequence[float], sparsity: float) -> bool:
    return any(abs(level - sparsity) <= SPARSITY_TOLERANCE for level in levels)


def _chosen(
    atlas: Atlas,
    there: dict[TicketKey, tuple[float, ...]],
    sparsity: float,
    task: str | None,
    method: str,
) -> tuple[TicketKey, ...]:
    wanted = [key for key in there if key.method == method and task in (None, key.task)]
    keys = tuple(key for key in wanted if _has_level(there[key], sparsity))
    if not keys:
        raise LsnError(_nothing_there(atlas, there, wanted, sparsity, task, method))
    return keys


def _nothing_there(
    atlas: Atlas,
    there: dict[TicketKey, tuple[float, ...]],
    wanted: Sequence[TicketKey],
    sparsity: float,
    task: str | None,
    method: str,
) -> str:
    """One sentence on why there is nothing to count."""
    if not there:
        return f"atlas {atlas.name} has neither sound tickets nor a table of counts; discover some first"
    asked = f"{method} tickets" + (f" of task {task}" if task else "")
    if not wanted:
        kinds = sorted({f"{key.method} of task {key.task}" if key.task else key.method for key in there})
        return f"atlas {atlas.name} has no {asked}; it has {', '.join(kinds)}"
    levels = sorted({level for key in wanted for level in there[key]})
    return (
        f"atlas {atlas.name} has no {asked} at sparsity {sparsity:g}; "
        f"they have {', '.join(f'{level:g}' for level in levels)}"
    )

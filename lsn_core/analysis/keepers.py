"""The table ``keepers``: by how many languages, and by which, an atlas's weights are kept.

With it a page need not read a ticket a language. It has a row for every sparsity and every task, method and seed of
two or more languages, over all the languages that have them: ``task, method, seed, sparsity``; ``tickets``, their
stems in the paper's order of languages; ``counts`` and ``exclusive`` as in ``cores.Membership``, row by row; and
``sets``, for every part of the model (``parts``) and in it every set of the languages (as a pattern, see
``sets.KeeperSets``, from 0) the weights that exactly they keep, empty with more than ``sets.MAX_LANGUAGES`` languages.
Each row holds as long as its tickets do not change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lsn_core.analysis.cores import Membership, counted_membership, tallies_at
from lsn_core.analysis.counts import Counts
from lsn_core.analysis.sets import MAX_LANGUAGES, KeeperSets, SetSizes, keepers_of, sets_at
from lsn_core.errors import CorruptFile
from lsn_core.languages import in_paper_order
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.checks import is_real
from lsn_core.masks.layout import Layout, Scope
from lsn_core.masks.ticket import BASE_KEY, SPARSITY_TOLERANCE, TicketKey

KEEPERS_TABLE = "keepers"
KEEPERS_COLUMNS = ("task", "method", "seed", "sparsity", "tickets", "counts", "exclusive", "sets")

_MEMORY = 2**30
"""Bytes held at once while counting; more levels are counted in several passes."""


@dataclass(frozen=True, eq=False)
class ToldSets:
    """The sets of languages that keep weights of each part of a model: ``weights`` is (parts, 2**n), by pattern."""

    languages: tuple[str, ...]
    labels: tuple[str, ...]
    weights: np.ndarray

    def over(self, label: str) -> SetSizes | None:
        """Those of the part with this label; None where it is not one of the parts that are told of."""
        if label not in self.labels:
            return None
        weights = self.weights[self.labels.index(label)].astype(np.int64)
        patterns = np.flatnonzero(weights)
        return SetSizes(self.languages, patterns.astype(np.uint16), weights[patterns])


def parts(layout: Layout) -> list[Scope]:
    """The parts of a model whose sets the table has: the whole, stacks, layers, components; not single matrices."""
    return [scope for by in ("total", "stack", "layer", "component") for scope in layout.scopes(by)]


@dataclass(frozen=True)
class _Group:
    """Tickets of one task, method and seed, in the paper's order of languages, and sparsities that all have."""

    keys: tuple[TicketKey, ...]
    levels: tuple[float, ...]


def refresh_keepers(atlas: Atlas) -> bool:
    """Build and write the table from the tickets that are intact; rows whose tickets are as they were stay.

    Returns False when it was up to date. An atlas without ticket files keeps the table it shipped with.
    """
    with atlas.lock("tables"):
        stamps = {stem: stamp for stem, stamp in atlas.stamps().items() if stem != BASE_KEY.stem}
        found = _read(atlas)
        if not atlas.has_bits or (found is not None and found.whole and found.stamps == stamps):
            return False
        fresh = {} if found is None else _rows(found, stamps)
        rows = []
        for group in _groups(atlas):
            stems = tuple(key.stem for key in group.keys)
            missing = [level for level in group.levels if (stems, _token(level)) not in fresh]
            rows += [fresh[stems, _token(level)] for level in group.levels if level not in missing]
            rows += _counted(atlas, group.keys, missing)
        frame = pd.DataFrame(rows, columns=list(KEEPERS_COLUMNS))
        order = ["task", "method", "seed", "sparsity"]
        atlas.write_table(KEEPERS_TABLE, frame.sort_values(order, ignore_index=True), stamps)
        return True


def read_keepers(atlas: Atlas) -> pd.DataFrame:
    """The rows of the table that hold for the tickets that are here; without a sound table, none."""
    found = _read(atlas)
    if found is None:
        return pd.DataFrame(columns=list(KEEPERS_COLUMNS))
    if not atlas.has_bits:
        return found.rows
    rows = _rows(found, atlas.stamps())
    return pd.DataFrame(list(rows.values()), columns=list(KEEPERS_COLUMNS))


def keepers_row(table: pd.DataFrame, counts: Counts) -> tuple[Membership, ToldSets | None] | None:
    """What the table knows of the counts' tickets, one a language: None where it has no row of just these in this
    order. The sets are None with more languages than sets are counted of."""
    stems = [key.stem for key in counts.tickets]
    near = table[(table["sparsity"] - counts.sparsity).abs() <= SPARSITY_TOLERANCE]
    for row in near.to_dict("records"):
        if list(row["tickets"]) == stems:
            n, matrices = len(stems), len(counts.layout.matrices)
            keepers = np.asarray(row["counts"], dtype=np.int64).reshape(n + 1, matrices)
            alone = np.asarray(row["exclusive"], dtype=np.int64).reshape(n, matrices)
            sets = None
            if n <= MAX_LANGUAGES:
                labels = tuple(scope.label for scope in parts(counts.layout))
                languages = tuple(key.language for key in counts.tickets)
                sets = ToldSets(languages, labels, np.asarray(row["sets"]).reshape(len(labels), 1 << n))
            return counted_membership(counts, keepers, alone), sets
    return None


@dataclass(frozen=True, eq=False)
class _Read:
    """What a table has: its sound rows, whether these are all, and the stamps of the tickets it was made from."""

    rows: pd.DataFrame
    whole: bool
    stamps: Mapping[str, str]


def _read(atlas: Atlas) -> _Read | None:
    """What the table has; None without a sound table, as the tickets can be counted again."""
    try:
        found = atlas.read_table(KEEPERS_TABLE)
    except CorruptFile:
        return None
    if found is None or tuple(found[0].columns) != KEEPERS_COLUMNS:
        return None
    frame, stamps = found
    scopes = parts(atlas.layout)
    sound = np.array([_is_sound(row, atlas.layout, scopes) for row in frame.to_dict("records")], dtype=bool)
    return _Read(frame[sound], bool(sound.all()), stamps)


def _is_sound(row: Mapping[Any, Any], layout: Layout, scopes: Sequence[Scope]) -> bool:
    """Whether a row can be what was counted: its numbers fit the model, its parts (`scopes`), its languages and each
    other."""
    tickets, sizes = row["tickets"], layout.sizes
    if not isinstance(tickets, np.ndarray) or not all(isinstance(stem, str) for stem in tickets):
        return False
    if not is_real(row["sparsity"]) or not 0 <= row["sparsity"] <= 1:
        return False
    n, matrices = len(tickets), len(sizes)
    with_sets = n <= MAX_LANGUAGES
    lengths = {
        "counts": (n + 1) * matrices,
        "exclusive": n * matrices,
        "sets": len(scopes) << n if with_sets else 0,
    }
    for name, length in lengths.items():
        values = row[name]
        if not isinstance(values, np.ndarray) or values.shape != (length,):
            return False
        if length and (values.dtype.kind not in "iu" or not 0 <= values.min() <= values.max() <= layout.size):
            return False
    counts = row["counts"].reshape(n + 1, matrices).astype(np.int64)
    alone = row["exclusive"].reshape(n, matrices).astype(np.int64)
    if (
        n < 2
        or not np.array_equal(counts.sum(axis=0), sizes)
        or not np.array_equal(alone.sum(axis=0), counts[1])
    ):
        return False
    if not with_sets:
        return True
    sizes_of_sets = np.bitwise_count(np.arange(1 << n))
    of_parts = zip(scopes, row["sets"].reshape(len(scopes), 1 << n), strict=True)
    return all(
        np.array_equal(
            np.bincount(sizes_of_sets, weights=weights, minlength=n + 1),
            counts[:, scope.matrices].sum(axis=1),
        )
        for scope, weights in of_parts
    )


def _rows(found: _Read, current: Mapping[str, str]) -> dict[tuple[tuple[str, ...], str], dict[str, Any]]:
    """The rows whose tickets are the same as when they were counted, by tickets and sparsity."""
    fresh = {stem for stem, stamp in found.stamps.items() if current.get(stem) == stamp}
    rows: list[dict[str, Any]] = [
        {str(name): value for name, value in row.items()} for row in found.rows.to_dict("records")
    ]
    return {
        (tuple(row["tickets"]), _token(row["sparsity"])): row for row in rows if set(row["tickets"]) <= fresh
    }


def _groups(atlas: Atlas) -> Iterator[_Group]:
    """The tickets that rows are of; levels that not all of a group's languages have are groups of their own."""
    members: dict[tuple[str, str, int, str], dict[str, TicketKey]] = {}
    for header in atlas.headers():
        key = header.key
        if key != BASE_KEY:
            for level in header.levels:
                members.setdefault((key.task, key.method, key.seed, _token(level)), {})[key.language] = key
    levels: dict[tuple[TicketKey, ...], list[float]] = {}
    for (*_, token), of_language in members.items():
        keys = tuple(of_language[code] for code in in_paper_order(set(of_language)))
        if len(keys) > 1:
            levels.setdefault(keys, []).append(float(token))
    for keys, reached in levels.items():
        yield _Group(keys, tuple(sorted(reached)))


def _counted(atlas: Atlas, keys: Sequence[TicketKey], levels: Sequence[float]) -> Iterator[dict[str, Any]]:
    """The rows of these tickets; as many levels a pass as fit."""
    width = max(1, _MEMORY // (2 * atlas.layout.size))
    for start in range(0, len(levels), width):
        passing = levels[start : start + width]
        if len(keys) <= MAX_LANGUAGES:
            scopes = parts(atlas.layout)
            found = [(*keepers_of(each), _over(each, scopes)) for each in sets_at(atlas, keys, passing)]
        else:
            found = [(*each, np.empty(0, np.int64)) for each in tallies_at(atlas, keys, passing)]
        for level, (counts, exclusive, sets) in zip(passing, found, strict=True):
            first = keys[0]
            yield {
                "task": first.task,
                "method": first.method,
                "seed": first.seed,
                "sparsity": level,
                "tickets": [key.stem for key in keys],
                "counts": _small(counts),
                "exclusive": _small(exclusive),
                "sets": _small(sets),
            }


def _over(sets: KeeperSets, scopes: Sequence[Scope]) -> np.ndarray:
    """The weights of each part of the model that each set of languages keeps, int64 (parts, 2**n)."""
    weights = np.zeros((len(scopes), 1 << len(sets.languages)), dtype=np.int64)
    for row, scope in zip(weights, scopes, strict=True):
        row[sets.patterns] = sets.counts[:, scope.matrices].sum(axis=1)
    return weights


def _small(values: np.ndarray) -> np.ndarray:
    """Whole numbers in a row, four bytes each: no model has more weights than ``MAX_WEIGHTS``, 2**31."""
    return values.ravel().astype(np.uint32)


def _token(level: float) -> str:
    """A sparsity as it is told from others."""
    return f"{level:.9f}"

"""Reading atlases for pages, each thing once.

What is remembered is keyed by content hashes: Streamlit would hash a big array from a sample of it, and take
two masks that differ in one bit for the same.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from lsn_core.analysis import provenance
from lsn_core.analysis.calibration import LanguageMatrix, language_matrix
from lsn_core.analysis.cores import Membership, counted_membership, membership
from lsn_core.analysis.counts import OVERLAP_TABLE, Counts, catalogue, load_counts
from lsn_core.analysis.keepers import KEEPERS_TABLE, ToldSets, keepers_row, read_keepers
from lsn_core.analysis.overlap import overlap_table
from lsn_core.analysis.provenance import Origin
from lsn_core.analysis.sets import MAX_LANGUAGES, KeeperSets, SetSizes, keepers_of, sets_at
from lsn_core.analysis.tables import scores_table
from lsn_core.analysis.tree_comparison import Comparison, compare
from lsn_core.analysis.trees import Tree, build_tree
from lsn_core.errors import LsnError
from lsn_core.languages import family_tree
from lsn_core.masks.atlas import ATLAS_FILE, Atlas, find_atlases
from lsn_core.masks.cells import CORE, TRANSFER, CellTable, read_rows
from lsn_core.masks.layout import Scope
from lsn_core.masks.mask import Mask
from lsn_core.masks.ticket import SPARSITY_TOLERANCE, Ticket, TicketKey
from lsn_core.ui.catalogue import Catalogue
from lsn_core.ui.kept import Kept
from lsn_core.ui.memory import give_back
from lsn_core.ui.uploads import Upload
from lsn_core.ui.view import View

ROOT_VARIABLE = "LSN_MASKS"
ATLAS_VARIABLE = "LSN_ATLAS"
SHOWN_FIRST = ("e5-small", "demo")
"""The shipped atlases: that of the real model before that of the embedded one."""


def masks_root(root: Path) -> Path:
    """The folder of the atlases: `root`, unless the variable LSN_MASKS names another."""
    return Path(os.environ.get(ROOT_VARIABLE) or root)


def atlas_folders(root: Path) -> dict[str, Path]:
    """Name to folder of every atlas that may be shown: those under the root, and the one asked for by path.

    The root is `root` unless the variable LSN_MASKS names another. No path ever comes from a visitor.
    """
    found = {path.resolve().name: path for path in find_atlases(masks_root(root))}
    asked = os.environ.get(ATLAS_VARIABLE, "")
    if asked and asked not in found and (Path(asked) / ATLAS_FILE).exists():
        found[Path(asked).resolve().name] = Path(asked)
    return found


def default_atlas(folders: dict[str, Path]) -> str:
    """The atlas to open with: LSN_ATLAS (a name or a path), else one of `SHOWN_FIRST`, else the first."""
    asked = os.environ.get(ATLAS_VARIABLE, "")
    for name in (asked, Path(asked).resolve().name if asked else "", *SHOWN_FIRST):
        if name in folders:
            return name
    return next(iter(folders))


def open_atlas(path: Path) -> Atlas:
    """The atlas in a folder, opened once for as long as its description stays the same.

    Raises LsnError when it cannot be read.
    """
    return _open_atlas(str(path), _signature(path / ATLAS_FILE))


@st.cache_resource(show_spinner=False, max_entries=16)
def _open_atlas(path: str, signature: str) -> Atlas:
    return Atlas.open(path)


def read_catalogue(atlas: Atlas) -> Catalogue:
    """What the atlas holds."""
    return Catalogue.of(catalogue(atlas))


def stamp(atlas: Atlas) -> str:
    """One hash for all that the atlas's intact tickets hold; of an atlas without bits, for its table."""
    lines = [
        str(atlas.path.resolve()),
        *(f"{stem} {digest}" for stem, digest in sorted(atlas.stamps().items())),
    ]
    if not atlas.has_bits:
        lines.append(_signature(atlas.path / f"{OVERLAP_TABLE}.parquet"))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def tables_are_old(atlas: Atlas) -> bool:
    """Whether the counts were made from other tickets than are here, so that pages count bits."""
    return _tables_are_old(atlas, stamp(atlas), _signature(atlas.path / f"{OVERLAP_TABLE}.parquet"))


@st.cache_data(show_spinner=False, max_entries=16)
def _tables_are_old(_atlas: Atlas, stamp: str, signature: str) -> bool:
    if not _atlas.has_bits:
        return False
    try:
        found = _atlas.read_table(OVERLAP_TABLE)
    except LsnError:
        return True
    return found is None or any(found[1].get(stem) != digest for stem, digest in _atlas.stamps().items())


def counts(view: View) -> Counts:
    """Counts of kept and shared weights for the view's task, method and sparsity."""
    key = ("counts", view.sparsity, view.task, view.method)
    if key not in view.found:
        view.found[key] = _counts(view.atlas, view.stamp, *key[1:])
    found: Counts = view.found[key]
    return found


@st.cache_resource(show_spinner="Counting shared weights …", max_entries=32)
def _counts(_atlas: Atlas, stamp: str, sparsity: float, task: str, method: str) -> Counts:
    found = load_counts(_atlas, sparsity, task, method)
    give_back()
    return found


def matrix(
    view: View,
    measure: str,
    scope: str = "total",
    languages: tuple[str, ...] | None = None,
    replicates: int = 400,
) -> LanguageMatrix:
    """A measure (by its name in `analysis.calibration`) for the view's languages, or for some of them.

    Another order of the view's languages is the same matrix with its rows and columns moved.
    """
    wanted = languages or view.languages
    computed = view.languages if set(wanted) == set(view.languages) else wanted
    source = (view.stamp, view.sparsity, view.task, view.method)
    key = (source, measure, scope, computed, view.seeds, replicates)
    if key not in view.found:
        view.found[key] = _matrices().get(
            key,
            lambda: _small(language_matrix(counts(view), measure, scope, computed, view.seeds, replicates)),
        )
    found: LanguageMatrix = view.found[key]
    return found if wanted == computed else _reordered(found, wanted)


def _small(found: LanguageMatrix) -> LanguageMatrix:
    """The same in half the memory: what is told of replicates never needs more than seven digits."""
    return dataclasses.replace(found, replicates=found.replicates.astype(np.float32))


def _reordered(found: LanguageMatrix, languages: tuple[str, ...]) -> LanguageMatrix:
    places = np.array([found.languages.index(code) for code in languages])
    cells = np.ix_(places, places)
    return dataclasses.replace(
        found,
        languages=languages,
        value=found.value[cells],
        low=found.low[cells],
        high=found.high[cells],
        replicates=found.replicates[:, places[:, None], places[None, :]],
    )


@st.cache_resource(show_spinner=False)
def _matrices() -> Kept[LanguageMatrix]:
    return Kept(96 * 2**20, lambda found: found.replicates.nbytes + found.value.nbytes)


def tree(view: View, linkage: str, scope: str, languages: tuple[str, ...]) -> Tree:
    """The tree of these languages by the view's measure. Raises LsnError where a distance is undefined."""
    found = matrix(view, view.measure.key, scope, languages)
    source = (view.stamp, view.sparsity, view.task, view.method, view.measure.key, scope)
    return _tree(found, source, languages, view.seeds, linkage)


@st.cache_resource(show_spinner="Resampling the tree …", max_entries=256)
def _tree(
    _matrix: LanguageMatrix,
    source: tuple[str, float, str, str, str, str],
    languages: tuple[str, ...],
    seeds: tuple[int, ...],
    linkage: str,
) -> Tree:
    return build_tree(_matrix, linkage)


def beside_families(tree: Tree) -> Comparison:
    """A tree beside the family tree of its languages, all of a known family."""
    return _beside_families(tree, tree.newick())


@st.cache_data(show_spinner="Comparing with the family tree …", max_entries=256)
def _beside_families(_tree: Tree, newick: str) -> Comparison:
    return compare(_tree, family_tree(_tree.labels))


def pair_table(view: View, pair: tuple[str, str], by: str) -> pd.DataFrame:
    """The contract's overlap table of two languages' tickets with the view's seeds."""
    found = counts(view)
    keys = [key for key in found.tickets if key.language in pair and key.seed in view.seeds]
    return overlap_table(found.select(keys), by)


Progress = Callable[[int, int], None]
"""Called with how many sub-networks have been read, and of how many."""


def members(view: View, seed: int, progress: Progress | None = None) -> Membership:
    """By how many of the view's languages each weight is kept, in the tickets of one seed.

    From the atlas's table where it knows just these languages, otherwise from the masks. Raises LsnError where a
    language has none of that seed, or the atlas has no masks.
    """
    told = _told(view, seed)
    if told is not None:
        return told[0]
    if len(_all_of_seed(view, seed)) <= MAX_LANGUAGES:
        return counted_membership(_counts_of(view, seed), *keepers_of(sets(view, seed, progress)))
    choice = (view.task, view.sparsity, seed, view.method, view.languages)
    return _kept_members().get(
        (view.stamp, *choice), lambda: membership(view.atlas, *choice, progress=progress)
    )


def set_sizes(view: View, seed: int, scope: Scope, progress: Progress | None = None) -> SetSizes:
    """Which of the view's languages keep the weights of a part of the model, in the tickets of one seed; as `members`."""
    told = _told(view, seed)
    sizes = told[1].over(scope.label) if told is not None and told[1] is not None else None
    return sizes if sizes is not None else sets(view, seed, progress).over(scope.matrices)


def sets(view: View, seed: int, progress: Progress | None = None) -> KeeperSets:
    """Which of the view's languages keep each weight, counted from the masks of one seed.

    All languages of the seed are read, so that others can be looked at afterwards without reading again.
    """
    keys = _all_of_seed(view, seed)
    found = _kept_sets().get(
        (view.stamp, view.sparsity, keys),
        lambda: sets_at(view.atlas, keys, [view.sparsity], progress)[0],
    )
    return found.select(view.languages)


def _told(view: View, seed: int) -> tuple[Membership, ToldSets | None] | None:
    """What the atlas's table says of the view's languages with one seed; None where it says nothing."""
    signature = _signature(view.atlas.path / f"{KEEPERS_TABLE}.parquet")
    choice = (view.task, view.sparsity, seed, view.method, view.languages)
    return _told_before(view, view.stamp, signature, choice)


@st.cache_resource(show_spinner=False, max_entries=128)
def _told_before(
    _view: View, stamp: str, signature: str, choice: tuple[str, float, int, str, tuple[str, ...]]
) -> tuple[Membership, ToldSets | None] | None:
    return keepers_row(_keepers(_view.atlas, stamp, signature), _counts_of(_view, choice[2]))


@st.cache_resource(show_spinner=False, max_entries=4)
def _keepers(_atlas: Atlas, stamp: str, signature: str) -> pd.DataFrame:
    found = read_keepers(_atlas)
    give_back()
    return found


def _counts_of(view: View, seed: int) -> Counts:
    """The counts of the view's languages' tickets of one seed."""
    return counts(view).select(TicketKey(view.task, code, view.method, seed) for code in view.languages)


def _all_of_seed(view: View, seed: int) -> tuple[TicketKey, ...]:
    """The tickets of all languages that have one of this seed and the view's task, method and sparsity."""
    return tuple(key for key in _all_keys_at(view, view.sparsity) if key.seed == seed)


@st.cache_resource(show_spinner=False)
def _kept_sets() -> Kept[KeeperSets]:
    return Kept(32 * 2**20, lambda sets: sets.counts.nbytes)


@st.cache_resource(show_spinner=False)
def _kept_members() -> Kept[Membership]:
    return Kept(32 * 2**20, lambda found: found.counts.nbytes + found.kept.nbytes + found.exclusive.nbytes)


def keys_at(view: View, level: float) -> tuple[TicketKey, ...]:
    """The view's tickets (its task, method, languages and seeds) that have this sparsity."""
    return tuple(
        key for key in _all_keys_at(view, level) if key.language in view.languages and key.seed in view.seeds
    )


def masks_at(view: View, level: float) -> dict[TicketKey, Mask]:
    """The masks at a sparsity of all tickets of the view's task and method that have it."""
    return _masks_at(view.atlas, view.stamp, level, _all_keys_at(view, level))


def _all_keys_at(view: View, level: float) -> tuple[TicketKey, ...]:
    there = view.catalogue.tickets.items()
    return tuple(
        sorted(
            key
            for key, levels in there
            if (key.task, key.method) == (view.task, view.method) and level in levels
        )
    )


@st.cache_resource(show_spinner="Reading the sub-networks of the atlas …", max_entries=1)
def _masks_at(_atlas: Atlas, stamp: str, level: float, keys: tuple[TicketKey, ...]) -> dict[TicketKey, Mask]:
    found = {key: _atlas.ticket(key).mask(level) for key in keys}
    give_back()
    return found


def siblings(view: View) -> list[Atlas]:
    """The other atlases over the same matrices as the view's; one that cannot be read is passed over here,
    as it says so itself when it is chosen."""
    found = []
    for name, folder in view.folders.items():
        if name == view.atlas.name:
            continue
        try:
            other = open_atlas(folder)
        except LsnError:
            continue
        if other.layout == view.atlas.layout:
            found.append(other)
    return found


def mask(atlas: Atlas, key: TicketKey, level: float) -> Mask:
    """One mask of an atlas; LsnError where it is not there, or not what was written."""
    return _mask(atlas, key.stem, level, atlas.header(key).content_hash)


@st.cache_resource(show_spinner="Reading the masks …", max_entries=24)
def _mask(_atlas: Atlas, stem: str, level: float, content_hash: str) -> Mask:
    found = _atlas.ticket(TicketKey.from_stem(stem)).mask(level)
    give_back()
    return found


def uploaded_mask(upload: Upload) -> Mask:
    """The mask of an upload, remembered for its owner alone."""
    return _uploaded_mask(upload.ticket, upload.ticket.content_hash)


@st.cache_resource(show_spinner="Reading the upload …", max_entries=8, scope="session")
def _uploaded_mask(_ticket: Ticket, content_hash: str) -> Mask:
    return _ticket.mask(_ticket.levels[0])


def origin(view: View) -> Origin:
    """Where the numbers of the view's sub-networks come from."""
    keys = [
        key
        for key in view.catalogue.tickets
        if (key.task, key.method) == (view.task, view.method)
        and key.language in view.languages
        and key.seed in view.seeds
    ]
    return provenance.origin(view.atlas, keys, view.sparsity)


def scores(view: View) -> pd.DataFrame:
    """All scores of the atlas for the view's task."""
    table = scores_table(view.atlas)
    return table[table["task"] == view.task]


def transfer(atlas: Atlas) -> tuple[pd.DataFrame, bool]:
    """The transfer measured with the sub-networks that are here, and whether there is a table at all.

    Raises CorruptFile when the table is damaged.
    """
    signature = _signature(atlas.path / f"{TRANSFER.name}.parquet")
    return _rows(atlas, TRANSFER, TRANSFER.name, stamp(atlas), signature), bool(signature)


def core_rows(atlas: Atlas) -> pd.DataFrame:
    """What cores of the sub-networks that are here scored; CorruptFile when the table is damaged."""
    return _rows(atlas, CORE, CORE.name, stamp(atlas), _signature(atlas.path / f"{CORE.name}.parquet"))


def has_transfer(view: View, pair: tuple[str, str]) -> bool:
    """Whether transfer from the first to the second language was measured at the view's sparsity. A table
    that cannot be read has none: the Transfer page says why."""
    try:
        table, _ = transfer(view.atlas)
    except LsnError:
        return False
    rows = table[(table["task"] == view.task) & (table["source"] == pair[0]) & (table["target"] == pair[1])]
    return bool(((rows["sparsity"] - view.sparsity).abs() <= SPARSITY_TOLERANCE).any())


@st.cache_data(show_spinner=False, max_entries=16)
def _rows(_atlas: Atlas, _table: CellTable, name: str, stamp: str, signature: str) -> pd.DataFrame:
    return read_rows(_atlas, _table)


def _signature(path: Path) -> str:
    """Changes when the file does; empty when there is none."""
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}"

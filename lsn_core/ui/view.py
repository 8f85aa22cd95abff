"""What the side bar decides for every page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lsn_core.masks.atlas import Atlas
from lsn_core.ui.catalogue import Catalogue
from lsn_core.viz.measures import Measure
from lsn_core.viz.theme import Theme

SIDE_CONTROLS = frozenset({"task", "method", "sparsity", "languages", "measure", "seeds"})
"""The controls of the side bar by their names in the address; that of the atlas, which every page heeds, apart."""


@dataclass(frozen=True)
class View:
    """One atlas and what of it is looked at; `languages` and `seeds` are those shown, never empty.

    `stamp` is a hash over the atlas's contents, to remember results by; `folders` holds every atlas that may
    be shown, by name.
    """

    atlas: Atlas
    folders: Mapping[str, Path]
    stamp: str
    catalogue: Catalogue
    task: str
    method: str
    sparsity: float
    languages: tuple[str, ...]
    languages_chosen: bool
    seeds: tuple[int, ...]
    measure: Measure
    theme: Theme

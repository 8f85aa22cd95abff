"""What the side bar decides for every page."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
    be shown, by name. `found` is what this run has asked for already, by all that it hangs on: Streamlit's caches take
    a millisecond to find a thing again.
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
    found: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)

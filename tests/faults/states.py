"""What an atlas holds after something went wrong, and that nothing in it is wrong."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors import safe_open

from lsn_core.analysis.counts import catalogue, load_counts
from lsn_core.analysis.intersections import intersections
from lsn_core.analysis.tables import scores_table
from lsn_core.errors import LsnError
from lsn_core.masks.atlas import ATLAS_FILE, Atlas
from lsn_core.masks.cells import CORE, TRANSFER, gather
from lsn_core.masks.ticket import BASE_KEY

_LAGGING = "was not made from the tickets that are here now"


@dataclass(frozen=True)
class Held:
    """What is done and kept: tickets by content hash, rounds of unfinished tickets, measured cells."""

    tickets: dict[str, str] = field(default_factory=dict)
    rounds: dict[str, int] = field(default_factory=dict)
    cells: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()

    def keeps(self, earlier: Held) -> bool:
        """Whether all that was kept then is kept now."""
        kept = earlier.tickets.items() <= self.tickets.items() and earlier.cells <= self.cells
        return kept and all(
            stem in self.tickets or self.rounds.get(stem, 0) >= done for stem, done in earlier.rounds.items()
        )


def sound(folder: Path) -> Held:
    """What the atlas holds; AssertionError when anything in it is damaged, or shown as it is not.

    A table that lags behind the tickets is no damage: it says so, and is not shown.
    """
    if not (folder / ATLAS_FILE).exists():
        return Held()
    atlas = Atlas.open(folder)
    assert atlas.problems() == []
    lagging = [problem for problem in atlas.verify() if _LAGGING not in problem.message]
    assert lagging == []
    _shows_what_is_there(atlas)
    cells = set()
    for table in (TRANSFER, CORE):
        found = gather(atlas, table)
        assert found.problems == ()
        cells |= set(found.frame["cell"])
    visible = (file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))
    files = {str(file.relative_to(folder)) for file in visible if ".locks" not in file.parts}
    return Held(atlas.stamps(), _rounds(folder), frozenset(cells), frozenset(files))


def _rounds(folder: Path) -> dict[str, int]:
    done = {}
    for file in folder.glob("runs/*/rounds.safetensors"):
        with safe_open(file, framework="np") as saved:
            done[file.parent.name] = json.loads(saved.metadata()["lsn"])["rounds_done"]
    return done


def _shows_what_is_there(atlas: Atlas) -> None:
    """Counts and scores that a page would show are those of the masks and headers, whatever the tables say."""
    there = catalogue(atlas)
    for level in sorted({level for key, levels in there.items() if key != BASE_KEY for level in levels}):
        try:
            counts = load_counts(atlas, level)
        except LsnError:
            continue  # none of the method there yet
        counted = intersections([atlas.ticket(key).mask(level) for key in counts.tickets])
        np.testing.assert_array_equal(counts.pair, counted)
    of_headers = [score.value for header in atlas.headers() for score in header.scores]
    assert scores_table(atlas)["value"].tolist() == of_headers

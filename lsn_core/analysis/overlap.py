"""The table of overlaps between tickets: the columns of the public contract (DESIGN.md, section 5)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lsn_core.analysis import measures
from lsn_core.analysis.calibration import ceilings, expectations, scope_weights
from lsn_core.analysis.counts import Counts, load_counts
from lsn_core.errors import LsnError
from lsn_core.masks.atlas import Atlas

COLUMNS = (
    *("task_a", "language_a", "seed_a", "task_b", "language_b", "seed_b", "sparsity", "scope", "size"),
    *(
        "count_a",
        "count_b",
        "intersection",
        "union",
        "jaccard",
        "chance",
        "reference",
        "ceiling",
        "neutrality",
    ),
)


def overlap(
    atlas: Atlas, task: str | None = None, sparsity: float = 0.5, by: str = "total", method: str = "imp"
) -> pd.DataFrame:
    """How much every two tickets of an atlas share: one row an unordered pair and a part of the model.

    ``task`` None takes all tasks; ``by`` is ``total``, ``stack``, ``layer``, ``component`` or ``matrix``. For
    the columns see ``overlap_table``. Raises LsnError when fewer than two tickets fit, or on an unknown
    ``by``.
    """
    return overlap_table(load_counts(atlas, sparsity, task, method), by)


def overlap_table(counts: Counts, by: str = "total") -> pd.DataFrame:
    """The table of ``overlap`` from counts, with the columns ``COLUMNS``; pairs in the order of the tickets.

    ``size``, ``count_a``, ``count_b``, ``intersection`` and ``union`` are numbers of weights. ``chance`` and
    ``reference`` are the Jaccard indices expected from the densities alone and from the base mask alone.
    ``ceiling`` is the mean of the two languages' mean Jaccard index between seeds, each within its own
    task; it is NaN where one of them has a single seed. ``neutrality`` is NaN where the ceiling or the
    reference is, or where the ceiling does not lie above the reference.
    """
    if len(counts.tickets) < 2:
        found = ", ".join(key.stem for key in counts.tickets) or "none"
        raise LsnError(f"overlap needs two tickets at least, and here is {found}")
    scopes = counts.layout.scopes(by)
    sums = expectations(counts).summed(scope_weights(scopes, counts.layout))
    every_jaccard = sums.jaccard()
    groups = [(key.task, key.language) for key in counts.tickets]
    own = ceilings(every_jaccard, groups)
    top = np.array([own[group] for group in groups])
    first, second = np.triu_indices(len(groups), 1)
    jaccard = every_jaccard[first, second]
    reference = sums.reference_jaccard()[first, second]
    ceiling = (top[first] + top[second]) / 2
    shared, count_a, count_b = sums.observed[first, second], sums.kept[first], sums.kept[second]
    numbers = {
        "size": np.broadcast_to(sums.size, shared.shape),
        "count_a": count_a,
        "count_b": count_b,
        "intersection": shared,
        "union": count_a + count_b - shared,
    }
    pairs, parts = shared.shape
    return pd.DataFrame(
        {
            **_names(counts, "a", np.repeat(first, parts)),
            **_names(counts, "b", np.repeat(second, parts)),
            "sparsity": np.full(pairs * parts, counts.sparsity),
            "scope": [scope.label for scope in scopes] * pairs,
            **{name: np.rint(column).astype(np.int64).ravel() for name, column in numbers.items()},
            "jaccard": jaccard.ravel(),
            "chance": sums.chance_jaccard()[first, second].ravel(),
            "reference": reference.ravel(),
            "ceiling": ceiling.ravel(),
            "neutrality": measures.neutrality(jaccard, reference, ceiling).ravel(),
        },
        columns=list(COLUMNS),
    )


def _names(counts: Counts, side: str, rows: np.ndarray) -> dict[str, list[str] | list[int]]:
    keys = [counts.tickets[row] for row in rows]
    return {
        f"task_{side}": [key.task for key in keys],
        f"language_{side}": [key.language for key in keys],
        f"seed_{side}": [key.seed for key in keys],
    }

"""The dashboard's main figures from an atlas, for a notebook: no server, no browser, no Streamlit.

Each function gives a Plotly figure, which a notebook shows by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache

import plotly.graph_objects as go

from lsn_core.analysis.calibration import LanguageMatrix, language_matrix
from lsn_core.analysis.counts import Counts, load_counts
from lsn_core.analysis.trees import build_tree
from lsn_core.errors import LsnError
from lsn_core.languages import in_paper_order
from lsn_core.masks.atlas import Atlas
from lsn_core.viz import dendrogram, overlap_map, profile
from lsn_core.viz.measures import DISTANCES, MEASURES, Measure, default_measure
from lsn_core.viz.theme import LIGHT, Theme


def overlap_figure(
    atlas: Atlas,
    task: str = "mlm",
    sparsity: float = 0.5,
    measure: str | None = None,
    scope: str = "total",
    languages: Sequence[str] | None = None,
    seeds: Collection[int] | None = None,
    method: str = "imp",
    theme: Theme = LIGHT,
) -> go.Figure:
    """How much every two languages share, as a map with the tree of the languages above it.

    `measure` is neutrality, above-reference, above-chance or jaccard; for None, the one that says most with
    the tickets there are. `scope` is total, encoder, encoder.3, query or a matrix's name. Raises LsnError
    where there is no such measure or scope, or no ticket of what was asked for.
    """
    counts = load_counts(atlas, sparsity, task, method)
    chosen = _measure(measure, counts, seeds)
    matrices = _matrices(counts, languages, seeds)
    order, linkage, _ = overlap_map.language_order(matrices, chosen, scope)
    return overlap_map.language_map(matrices, chosen, scope, order, linkage, theme)


def tree_figure(
    atlas: Atlas,
    task: str = "mlm",
    sparsity: float = 0.5,
    measure: str = "neutrality",
    linkage: str = "average",
    scope: str = "total",
    languages: Sequence[str] | None = None,
    seeds: Collection[int] | None = None,
    method: str = "imp",
    theme: Theme = LIGHT,
) -> go.Figure:
    """Which languages group together, by distance 1 − neutrality or 1 − jaccard, and how firmly.

    Raises LsnError on another measure, an unknown linkage, fewer than three languages or an undefined distance.
    """
    if measure not in DISTANCES:
        raise LsnError(f"a tree is by {' or '.join(DISTANCES)}, not by {measure!r}")
    found = language_matrix(load_counts(atlas, sparsity, task, method), measure, scope, languages, seeds)
    tree = build_tree(found, linkage)
    return dendrogram.tree_figure(
        tree.labels, tree.linkage, tree.order, tree.support, theme, DISTANCES[measure]
    )


def layers_figure(
    atlas: Atlas,
    first: str,
    second: str,
    task: str = "mlm",
    sparsity: float = 0.5,
    measure: str | None = None,
    seeds: Collection[int] | None = None,
    method: str = "imp",
    theme: Theme = LIGHT,
) -> go.Figure:
    """How much two languages share in each layer, beside what it is judged against.

    Raises LsnError as `overlap_figure` does.
    """
    counts = load_counts(atlas, sparsity, task, method)
    chosen = _measure(measure, counts, seeds)
    scopes = [scope.label for scope in atlas.layout.scopes("layer")]
    matrices = _matrices(counts, (first, second), seeds)
    found = overlap_map.pair_profile(matrices, chosen, (first, second), scopes)
    return profile.layer_profile(found, chosen.axis, chosen.digits, theme)


def _measure(token: str | None, counts: Counts, seeds: Collection[int] | None) -> Measure:
    if token is None:
        used = {key.seed for key in counts.tickets if seeds is None or key.seed in seeds}
        return default_measure(counts.reference_kept is not None, len(used))
    for measure in MEASURES:
        if measure.token == token:
            return measure
    tokens = ", ".join(measure.token for measure in MEASURES)
    raise LsnError(f"there is no measure {token!r} to draw; choose one of {tokens}")


def _matrices(
    counts: Counts, languages: Sequence[str] | None, seeds: Collection[int] | None
) -> overlap_map.Matrices:
    """Matrices computed when they are asked for, each once."""
    everyone = tuple(languages or in_paper_order({key.language for key in counts.tickets}))

    @cache
    def matrix(
        measure: str, scope: str, languages: tuple[str, ...] | None = None, replicates: int = 400
    ) -> LanguageMatrix:
        return language_matrix(counts, measure, scope, languages or everyone, seeds, replicates)

    return matrix

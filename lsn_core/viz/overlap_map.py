"""The overlap of languages from measured matrices to figures: the clustered map, and one pair over the layers.

Where the matrices come from is the caller's business (`Matrices`): a page remembers them, a notebook computes
them when they are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Protocol

import numpy as np

from lsn_core.analysis.calibration import LanguageMatrix
from lsn_core.analysis.trees import build_tree
from lsn_core.errors import LsnError
from lsn_core.viz import heatmap
from lsn_core.viz.drawing import Drawn
from lsn_core.viz.measures import ABOVE_CHANCE, JACCARD, NEUTRALITY, Measure
from lsn_core.viz.profile import Profile
from lsn_core.viz.theme import Theme
from lsn_core.viz.words.overlap import Estimate

Pair = tuple[str, str]

REPLICATES = 200  # for each part of a profile; enough for the ends of a 95 % interval to two digits


class Matrices(Protocol):
    """Gives a measure (by its name in `analysis.calibration`) for every two languages.

    For `languages` None, all that are looked at, in an order of its own.
    """

    def __call__(
        self, measure: str, scope: str, languages: tuple[str, ...] | None = None, replicates: int = 400
    ) -> LanguageMatrix: ...


def language_order(
    matrices: Matrices, measure: Measure, scope: str
) -> tuple[tuple[str, ...], np.ndarray | None, str]:
    """The languages in leaf order, the tree over them with leaf k for language k, and words on the two."""
    for name, distance in (("neutrality", "1 − neutrality"), ("jaccard", "1 − Jaccard")):
        if name == "neutrality" and measure is not NEUTRALITY:
            continue
        try:
            tree = build_tree(matrices(name, scope, replicates=0), "average")
        except LsnError:
            continue
        place = {leaf: position for position, leaf in enumerate(tree.order)}
        linkage = tree.linkage.copy()
        count = len(tree.labels)
        for column in (0, 1):
            linkage[:, column] = [place[int(node)] if node < count else node for node in linkage[:, column]]
        words = f"Languages are ordered by the tree above them (average linkage of {distance})."
        return tuple(tree.labels[leaf] for leaf in tree.order), linkage, words
    return matrices("jaccard", scope, replicates=0).languages, None, "Languages stand in a fixed order."


def language_map(
    matrices: Matrices,
    measure: Measure,
    scope: str,
    order: tuple[str, ...],
    linkage: np.ndarray | None,
    theme: Theme,
    chosen: Pair | None = None,
    room: float | None = None,
) -> Drawn:
    """The heatmap of one scope in the order and under the tree of `language_order`, in `room` pixels of height."""
    found = matrices(measure.key, scope, order)
    hover = cell_texts(matrices, measure, found)
    shown = colours(measure, found.value)
    return heatmap.overlap_heatmap(order, drawn(found, measure), hover, shown, theme, linkage, chosen, room)


def drawn(found: LanguageMatrix, measure: Measure) -> np.ndarray:
    """Values as drawn: the diagonal of neutrality is 1 by definition and says nothing."""
    values = np.array(found.value)
    if measure is NEUTRALITY:
        np.fill_diagonal(values, np.nan)
    return values


def colours(measure: Measure, values: np.ndarray) -> heatmap.Colours:
    """The colours for one matrix (n, n) or several (k, n, n) on one scale."""
    different = np.array(values)
    if measure is NEUTRALITY:
        index = np.arange(values.shape[-1])
        different[..., index, index] = np.nan
    return heatmap.colours(measure.bar, different, measure.digits, measure.whole)


def cell_texts(matrices: Matrices, measure: Measure, found: LanguageMatrix) -> list[list[str]]:
    """What is told of each cell: its value and interval, and what it is judged against."""
    chance, reference, jaccard = (
        matrices(key, found.scope, found.languages, replicates=0)
        for key in ("chance", "reference", "jaccard")
    )
    digits, languages = measure.digits, found.languages
    value, low, high = (part.tolist() for part in (found.value, found.low, found.high))
    others = [(reference.value.tolist(), "pretrained alone"), (chance.value.tolist(), "chance")]
    if measure is not JACCARD:
        others.insert(0, (jaccard.value.tolist(), "Jaccard"))

    def numbers(a: int, b: int) -> str:
        lines = []
        if a != b or measure is not NEUTRALITY:
            lines.append(f"{measure.name}: {_number(value[a][b], digits)}")
        if isfinite(low[a][b]):
            lines.append(f"95 % interval {low[a][b]:.{digits}f} to {high[a][b]:.{digits}f}")
        lines += [f"{name}: {_number(values[a][b], JACCARD.digits)}" for values, name in others]
        return "<br>".join(lines)

    of_pair = [
        [numbers(a, b) for b in range(a + 1)] for a in range(len(languages))
    ]  # the same either way round
    return [
        [
            f"{heatmap.hover_title(first, second)}<br>{of_pair[max(a, b)][min(a, b)]}"
            for b, second in enumerate(languages)
        ]
        for a, first in enumerate(languages)
    ]


def estimate(found: LanguageMatrix, first: str, second: str) -> Estimate:
    """One pair's value and interval."""
    cell = found.languages.index(first), found.languages.index(second)
    return Estimate(float(found.value[cell]), float(found.low[cell]), float(found.high[cell]))


def reference_marks(measure: Measure, jaccard_levels: Mapping[str, float]) -> dict[str, float]:
    """Where "pretrained alone" and "same language" lie on a measure's own axis."""
    reference, chance, same = (jaccard_levels[n] for n in ("Pretrained alone", "Chance", "Same language"))
    if measure is NEUTRALITY:
        return {"pretrained alone": 0.0, "same language": 1.0}
    origin = {"jaccard": 0.0, "excess": chance, "jaccard-reference": reference}[measure.key]
    return {"pretrained alone": reference - origin, "same language": same - origin}


def pair_profile(matrices: Matrices, measure: Measure, pair: Pair, scopes: Sequence[str]) -> Profile:
    """The measure for the pair in each scope, and the levels it is judged against."""
    found = [estimate(matrices(measure.key, scope, pair, REPLICATES), *pair) for scope in scopes]
    levels: dict[str, list[float]] = {}
    for scope in scopes:
        jaccard, chance, reference = (
            matrices(key, scope, pair, replicates=0).value for key in ("jaccard", "chance", "reference")
        )
        known = {
            "Pretrained alone": float(reference[0, 1]),
            "Chance": float(chance[0, 1]),
            "Same language": float(np.diagonal(jaccard).mean()),
        }
        marks = reference_marks(measure, known)
        if measure is JACCARD:
            marks["chance"] = known["Chance"]
        if measure is ABOVE_CHANCE:
            marks["chance"] = 0.0
        for name, value in marks.items():
            levels.setdefault(name, []).append(value)
    return Profile(
        scopes=tuple(scopes),
        value=np.array([entry.value for entry in found]),
        low=np.array([entry.low for entry in found]),
        high=np.array([entry.high for entry in found]),
        levels={name: np.array(values) for name, values in levels.items()},
    )


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if isfinite(value) else "undefined"

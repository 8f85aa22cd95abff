"""What an atlas shows, question by question: one table of measured answers with intervals and tests.

The questions are those of the study: what is shared beyond the pretrained weights, in which layers and
components; whether related languages share more; whether what two languages share says how well one's
sub-network serves the other. Whatever the answer, it stands in the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from math import nan
from typing import Any

import numpy as np
import pandas as pd

from lsn_core.analysis.calibration import LanguageMatrix, language_matrix
from lsn_core.analysis.counts import Counts, catalogue, load_counts
from lsn_core.analysis.statistics import adjusted_p_values, family_test, mantel
from lsn_core.languages import DISTANCE_KINDS, language, reference_distances
from lsn_core.masks.atlas import Atlas

FINDINGS_TABLE = "findings"

NEUTRALITY = "neutrality"
RELATIVES = "relatives"
DISTANCE = "distance"
ALPHA = 0.05


@dataclass(frozen=True)
class Finding:
    """One answer.

    ``question`` is ``neutrality`` (``subject``: a scope; ``value``: the mean neutrality over pairs of
    languages), ``relatives`` (``subject``: a measure; ``value``: how much more pairs of one branch have of it
    than other pairs) or ``distance`` (``subject``: a kind of distance between languages; ``value``: Spearman
    correlation of neutrality with it over pairs). ``low`` and ``high`` bound a 95 % interval over seeds and
    matrices; ``p`` is that of a permutation test of the languages' labels, ``p_adjusted`` the same for the
    number of tests in the atlas (Benjamini & Hochberg 1995); NaN where there is none. ``pairs`` counts the
    pairs of languages.
    """

    task: str
    sparsity: float
    question: str
    subject: str
    value: float
    low: float
    high: float
    p: float
    pairs: int
    p_adjusted: float = nan


def findings(atlas: Atlas, sparsity: float = 0.5, method: str = "imp") -> pd.DataFrame:
    """All findings of an atlas at one sparsity: a row each, with the fields of ``Finding`` as columns.

    A task without two seeds of three languages, or without this level, has none.
    """
    rows: list[Finding] = []
    for task in sorted({key.task for key in catalogue(atlas) if key.method == method}):
        if not any(np.isclose(level, sparsity) for level in _levels(atlas, task, method)):
            continue
        counts = load_counts(atlas, sparsity, task, method)
        rows += _of_task(counts, task, sparsity)
    frame = pd.DataFrame([asdict(row) for row in rows], columns=list(Finding.__dataclass_fields__))
    frame["p_adjusted"] = adjusted_p_values(frame["p"].to_numpy(dtype=np.float64))
    return frame


def _levels(atlas: Atlas, task: str, method: str) -> set[float]:
    found = catalogue(atlas)
    return {
        level for key, levels in found.items() if (key.task, key.method) == (task, method) for level in levels
    }


def _of_task(counts: Counts, task: str, sparsity: float) -> Iterator[Finding]:
    for by in ("total", "layer", "component"):
        for scope in counts.layout.scopes(by):
            matrix = language_matrix(counts, "neutrality", scope.label)
            if scope.label == "total":
                total = matrix
            yield _mean_of_pairs(matrix, task, sparsity)
    n = len(total.languages)
    pairs = n * (n - 1) // 2
    if n < 4 or np.isnan(total.value).any():
        return
    branches = [_branch(code) for code in total.languages]
    if len(set(branches) - {None}) < len([b for b in branches if b]):
        test = family_test(total.value, branches)
        yield Finding(task, sparsity, RELATIVES, "neutrality", test.difference, nan, nan, test.p_value, pairs)
    for kind in DISTANCE_KINDS:
        found = mantel(total.value, reference_distances(kind, total.languages), "spearman")
        yield Finding(task, sparsity, DISTANCE, kind, found.correlation, nan, nan, found.p_value, found.pairs)


def _branch(code: str) -> str | None:
    """The branch of the language's family, or the family where it has none here."""
    about = language(code)
    return about.branch if about.family != "unknown" else None


def _mean_of_pairs(matrix: LanguageMatrix, task: str, sparsity: float) -> Finding:
    first, second = np.triu_indices(len(matrix.languages), 1)
    values, drawn = matrix.value[first, second], matrix.replicates[:, first, second]
    low = high = nan
    if values.size and not np.isnan(values).any():
        means = drawn.mean(axis=1)
        means = means[~np.isnan(means)]
        if means.size >= 0.95 * len(drawn):
            low, high = np.quantile(means, [0.025, 0.975]).tolist()
    value = float(values.mean()) if values.size else nan
    return Finding(task, sparsity, NEUTRALITY, matrix.scope, value, low, high, nan, values.size)


def sentences(frame: pd.DataFrame, name: Callable[[str], str] = str) -> Iterator[str]:
    """The findings of a table in words, task by task, in Markdown; ``name`` words a scope's label."""
    for (task, sparsity), rows in frame.groupby(["task", "sparsity"], sort=False):
        yield f"**{task}**, {sparsity:.0%} of the weights removed: {_shared(rows[rows['question'] == NEUTRALITY], name)}"
        yield from map(_relatives, rows[rows["question"] == RELATIVES].itertuples())
        distances = rows[rows["question"] == DISTANCE]
        if len(distances):
            yield _distances(distances)


def _shared(rows: pd.DataFrame, name: Callable[[str], str]) -> str:
    whole = rows["subject"] == "total"
    total = rows[whole].iloc[0]
    if np.isnan(total["value"]):
        return "neutrality is undefined, as not every language has two seeds that are more alike than the reference."
    text = f"neutrality is {_with_interval(total)}, mean over {total['pairs']} pairs of languages."
    by_layer = rows["subject"].str.contains(".", regex=False)
    for part, chosen in (("layer", by_layer), ("component", ~by_layer & ~whole)):
        found = rows[chosen].dropna(subset=["value"]).sort_values("value", kind="stable")
        if len(found) > 1:
            bottom, top = found.iloc[0], found.iloc[-1]
            apart = top["low"] > bottom["high"]
            text += (
                f" By {part} it runs from {_with_interval(bottom)} ({name(bottom['subject'])}) to {_with_interval(top)} "
                f"({name(top['subject'])}); these two intervals {'do not overlap' if apart else 'overlap'}."
            )
    return text


def _with_interval(row: pd.Series) -> str:
    interval = "" if np.isnan(row["low"]) else f" [{row['low']:.3f}, {row['high']:.3f}]"
    return f"{row['value']:.3f}{interval}"


def _relatives(row: Any) -> str:
    return (
        f"Between languages of one branch {row.subject} is {abs(row.value):.3f} {'higher' if row.value > 0 else 'lower'} "
        f"than between others ({_judged(row)})."
    )


def _distances(rows: pd.DataFrame) -> str:
    parts = [f"{row.subject} (ρ = {row.value:+.2f}, {_judged(row)})" for row in rows.itertuples()]
    return "Does neutrality fall with the distance between languages? Mantel tests: " + "; ".join(parts) + "."


def _judged(row: Any) -> str:
    if np.isnan(row.p):
        return "not testable"
    verdict = "" if row.p_adjusted < ALPHA else ", so not shown"
    return f"p = {row.p:.3f}, {row.p_adjusted:.3f} adjusted for the number of tests{verdict}"

"""What an atlas shows, question by question: one table of measured answers with intervals and tests.

The questions are those of the study: what is shared beyond the pretrained weights, in which layers and
components; whether related languages share more; whether what two languages share says how well one's
sub-network serves the other. Whatever the answer, it stands in the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from math import nan
from typing import Any

import numpy as np
import pandas as pd

from lsn_core.analysis.across_tasks import across_tasks
from lsn_core.analysis.calibration import LanguageMatrix, language_matrix
from lsn_core.analysis.core_scores import core_scores, scored_cores
from lsn_core.analysis.counts import Counts, catalogue, load_counts
from lsn_core.analysis.networks import CLEAR
from lsn_core.analysis.statistics import (
    adjusted_p_values,
    correlation_interval,
    family_test,
    mantel,
    transfer_mantel,
)
from lsn_core.analysis.transfer import transfer_matrix
from lsn_core.analysis.words import keepers_words
from lsn_core.errors import CorruptFile, LsnError, brief
from lsn_core.languages import DISTANCE_KINDS, reference_distances, relatives
from lsn_core.masks import cells
from lsn_core.masks.atlas import TABLE_STAMP, Atlas
from lsn_core.masks.tables import conformed

FINDINGS_TABLE = "findings"
VERSION = "4"
"""Raise it when findings or card say something else of the same atlas, so that they are made anew."""

NEUTRALITY = "neutrality"
RELATIVES = "relatives"
DISTANCE = "distance"
TRANSFER = "transfer"
CORE = "core"
ACROSS = "across tasks"
READING = (
    "Neutrality: 0 is nothing shared beyond the pretrained weights, 1 as alike as a language is to itself with another "
    "seed. [low, high]: 95% interval. ρ: Spearman's rank correlation, -1 to 1. p: how often chance alone reaches as "
    "much; then the same, adjusted for the number of tests."
)
"""How to read the findings in words."""
OWN = "a language's two tasks"
OTHERS = "two languages' two tasks"
SAME_TASK = "two languages' same task"
ALPHA = 0.05


@dataclass(frozen=True)
class Finding:
    """One answer.

    ``question`` is ``across tasks`` (``task``: two tasks; ``subject``: between which sub-networks, or how much
    higher between a language's own than between those; ``value``: mean neutrality, or difference), ``core``
    (``subject``: a network, of which core; ``value``: how much that core scores above it after training; ``low``
    and ``high``: less and plus twice what seeds change, NaN with one seed; ``pairs``: languages), ``neutrality`` (``subject``: a scope; ``value``: the mean neutrality over pairs of
    languages), ``relatives`` (``subject``: a measure; ``value``: how much more pairs of one branch have of it
    than other pairs), ``distance`` (``subject``: a kind of distance between languages; ``value``: Spearman
    correlation of neutrality with it over pairs) or ``transfer`` (``subject``: a measure, or a measure ``given
    genealogy``; ``value``: Spearman correlation of it with what a target loses by the source's mask, over
    ordered pairs; ``low`` and ``high`` over draws of languages). ``low`` and ``high`` bound a 95 % interval, of a neutrality over seeds and
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


_DTYPES = {
    name: {"str": "str", "float": "float64", "int": "int64"}[str(kind.type)]
    for name, kind in Finding.__dataclass_fields__.items()
}


def findings(atlas: Atlas, sparsity: float = 0.5, method: str = "imp") -> pd.DataFrame:
    """All findings of an atlas at one sparsity: a row each, with the fields of ``Finding`` as columns.

    A task without two languages, or without this level, has none.
    """
    rows: list[Finding] = []
    transfers, scored = (cells.intact_rows(atlas, table) for table in (cells.TRANSFER, cells.CORE))
    for task in sorted({key.task for key in catalogue(atlas) if key.method == method}):
        if not any(np.isclose(level, sparsity) for level in _levels(atlas, task, method)):
            continue
        counts = load_counts(atlas, sparsity, task, method)
        if method == "imp":
            rows += _of_cores(scored, task, sparsity)
        if len({key.language for key in counts.tickets}) < 2:
            continue
        rows += _of_task(counts, task, sparsity)
        if not transfers.empty:
            rows += _of_transfer(transfers, language_matrix(counts, "jaccard", replicates=0), task, sparsity)
    rows += _between_tasks(atlas, sparsity, method)
    frame = pd.DataFrame([asdict(row) for row in rows], columns=list(Finding.__dataclass_fields__))
    frame["p_adjusted"] = adjusted_p_values(frame["p"].to_numpy(dtype=np.float64))
    return frame


def sources(atlas: Atlas) -> dict[str, str]:
    """What findings and card are made from: the tickets' stamps, those of the tables of cells, the version."""
    names = (cells.TRANSFER.name, cells.CORE.name, cells.RETRIEVAL.name)
    of_tables = {f"{TABLE_STAMP}{name}": atlas.table_stamp(name) for name in names}
    return {**atlas.stamps(), **of_tables, "version:findings": VERSION}


def write_findings(atlas: Atlas, found: pd.DataFrame, made_from: Mapping[str, str]) -> None:
    """Write the findings as a table of the atlas, stamped with what they were made from."""
    atlas.write_table(FINDINGS_TABLE, found, made_from)


def findings_stamps(atlas: Atlas) -> dict[str, str] | None:
    """What the findings were made from; None when there are none that can be read."""
    try:
        if read_findings(atlas) is None:
            return None
        found = atlas.read_table(FINDINGS_TABLE)
    except LsnError:
        return None
    return None if found is None else found[1]


def read_findings(atlas: Atlas) -> pd.DataFrame | None:
    """The findings that were written, None when there are none; CorruptFile when the table is damaged."""
    found = atlas.read_table(FINDINGS_TABLE)
    if found is None:
        return None
    try:
        frame = conformed(found[0], _DTYPES)
        for _ in sentences(frame):  # an answer that cannot be said is none that was written
            pass
    except (ValueError, LookupError) as error:
        raise CorruptFile(
            f"table {FINDINGS_TABLE} of atlas {atlas.name} is none of findings ({brief(error)}); "
            "remove it, and it is made again"
        ) from error
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
    branches = [relatives(code) for code in total.languages]
    if len(set(branches) - {None}) < len([b for b in branches if b]):
        test = family_test(total.value, branches)
        yield Finding(task, sparsity, RELATIVES, "neutrality", test.difference, nan, nan, test.p_value, pairs)
    for kind in DISTANCE_KINDS:
        found = mantel(total.value, reference_distances(kind, total.languages), "spearman")
        yield Finding(task, sparsity, DISTANCE, kind, found.correlation, nan, nan, found.p_value, found.pairs)


def _of_transfer(rows: pd.DataFrame, matrix: LanguageMatrix, task: str, sparsity: float) -> Iterator[Finding]:
    """Whether overlap says how well a mask serves another language, alone and beside their relatedness."""
    mine = rows[(rows["kind"] == "mask") & (rows["task"] == task) & np.isclose(rows["sparsity"], sparsity)]
    names = matrix.languages
    if mine.empty or len(names) < 4:
        return
    loss = transfer_matrix(mine, "mask", task, sparsity, languages=names).loss()
    genealogy = reference_distances("genealogy", names)
    overlap = matrix.value.copy()
    np.fill_diagonal(overlap, np.nan)
    if np.count_nonzero(~np.isnan(overlap + loss)) < len(names):
        return
    found = transfer_mantel(overlap, loss, method="spearman")
    interval = correlation_interval(overlap, loss, directed=True, method="spearman")
    measure = matrix.measure
    yield Finding(
        task,
        sparsity,
        TRANSFER,
        measure,
        found.correlation,
        interval.low,
        interval.high,
        found.p_value,
        found.pairs,
    )
    partial = transfer_mantel(overlap, loss, genealogy, method="spearman")
    yield Finding(
        task,
        sparsity,
        TRANSFER,
        f"{measure} given genealogy",
        partial.correlation,
        nan,
        nan,
        partial.p_value,
        partial.pairs,
    )


def _of_cores(rows: pd.DataFrame, task: str, sparsity: float) -> Iterator[Finding]:
    """How much every core that was trained scores above what it is held against."""
    for which in scored_cores(rows, task):
        if not np.isclose(which.sparsity, sparsity):
            continue
        networks = core_scores(rows, which).networks
        for name in ("own", "random", "base", "dense"):
            found = networks.difference("core", name) if networks.known(name) else None
            if found is not None and found.languages:
                subject = f"{name}, {which.at_least} of {' '.join(which.members)}"
                room = CLEAR * found.spread
                low, high = found.value - room, found.value + room
                yield Finding(task, sparsity, CORE, subject, found.value, low, high, nan, found.languages)


def _between_tasks(atlas: Atlas, sparsity: float, method: str) -> Iterator[Finding]:
    """For every two tasks: is a language closer to itself in the other task than other languages are?"""
    tasks = sorted(
        {
            key.task
            for key, levels in catalogue(atlas).items()
            if key.method == method and any(np.isclose(level, sparsity) for level in levels)
        }
    )
    if len(tasks) < 2:
        return
    counts = load_counts(atlas, sparsity, None, method)
    for first, second in combinations(tasks, 2):
        found = across_tasks(counts, first, second)
        if found is None:
            continue
        n = len(found.languages)
        for subject, one, p, pairs in (
            (OWN, found.own, nan, n),
            (OTHERS, found.others, nan, n * (n - 1)),
            (SAME_TASK, found.same_task, nan, n * (n - 1)),
            (f"{OWN} − {OTHERS}", found.above_others, found.p, n),
            (f"{OWN} − {SAME_TASK}", found.above_same_task, nan, n),
        ):
            task = f"{first} and {second}"
            yield Finding(task, sparsity, ACROSS, subject, one.value, one.low, one.high, p, pairs)


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
        start = f"**{task}**, {sparsity:.0%} of the weights removed:"
        across = rows[rows["question"] == ACROSS]
        if len(across):
            yield f"{start} {_across({row['subject']: row for _, row in across.iterrows()})}"
            continue
        yield f"{start} {_shared(rows[rows['question'] == NEUTRALITY], name)}"
        yield from map(_relatives, rows[rows["question"] == RELATIVES].itertuples())
        distances = rows[rows["question"] == DISTANCE]
        if len(distances):
            yield _distances(distances)
        yield from map(_transfer, rows[rows["question"] == TRANSFER].itertuples())
        yield from map(_core, rows[rows["question"] == CORE].itertuples())


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
    verdict = "" if _shown(row) else "; no evidence for a difference"
    return (
        f"Between languages of one branch {row.subject} is {abs(row.value):.3f} {'higher' if row.value > 0 else 'lower'} "
        f"than between others ({_tested(row)}{verdict})."
    )


def _distances(rows: pd.DataFrame) -> str:
    parts = "; with ".join(map(_distance, rows.itertuples()))
    return f"Does neutrality fall with the distance between languages? By Mantel tests, with {parts}."


def _distance(row: Any) -> str:
    answer = _answer(row, "yes" if row.value < 0 else "no, it rises")
    return f"{row.subject}: {answer} (ρ = {row.value:+.2f}, {_tested(row)})"


def _transfer(row: Any) -> str:
    interval = "" if np.isnan(row.low) else f" [{row.low:+.2f}, {row.high:+.2f}]"
    answer = _answer(row, f"yes, the more is shared, the {'better' if row.value > 0 else 'worse'}")
    return (
        f"Does overlap say how well one language's mask serves another? {answer.capitalize()}: {row.subject.capitalize()} "
        f"against the change of score has ρ = {row.value:+.2f}{interval} over {row.pairs} ordered pairs ({_tested(row)})."
    )


def _core(row: Any) -> str:
    name, _, which = row.subject.partition(", ")
    k, _, members = which.partition(" of ")
    beside = {
        "own": "a language's own sub-network",
        "random": "as many weights drawn by lot",
        "base": "as many of the largest pretrained weights",
        "dense": "the unpruned model",
    }[name]
    text = (
        f"Trained by itself, what {keepers_words(int(k), len(members.split()))} keep scores {abs(row.value):.3f} "
        f"{'higher' if row.value > 0 else 'lower'} than {beside}"
    )
    if np.isnan(row.low):
        return f"{text}; with one seed, how much of that is noise is unknown."
    verdict = "" if row.low > 0 or row.high < 0 else "; no evidence for a difference"
    return f"{text} (seeds change scores by up to {(row.value - row.low) / CLEAR:.3f}{verdict})."


def _across(rows: Mapping[str, pd.Series]) -> str:
    """Between two tasks; ``rows`` by subject."""
    own, others, same = (rows[name] for name in (OWN, OTHERS, SAME_TASK))
    text = (
        f"between the sub-networks that one language has for the two tasks, neutrality is {_with_interval(own)}, mean over "
        f"{own['pairs']} languages; between those of two languages for the two tasks {_with_interval(others)}; between "
        f"those of two languages for the same task {_with_interval(same)}."
    )
    above = rows[f"{OWN} − {OTHERS}"]
    text += (
        f" Across tasks, a language is closer to itself than to others by {_signed_interval(above)} "
        f"({_tested(above)}{'' if _shown(above) else '; no evidence for it'}). "
    )
    apart = rows[f"{OWN} − {SAME_TASK}"]
    if not apart["low"] > 0 and not apart["high"] < 0:
        return f"{text}There is no evidence on whether task or language sets sub-networks further apart ({_signed_interval(apart)})."
    further, less = ("language", "task") if apart["value"] > 0 else ("task", "language")
    return f"{text}Another {further} sets sub-networks further apart than another {less} ({_signed_interval(apart)})."


def _signed_interval(row: pd.Series) -> str:
    interval = "" if np.isnan(row["low"]) else f" [{row['low']:+.3f}, {row['high']:+.3f}]"
    return f"{row['value']:+.3f}{interval}"


def _shown(row: Any) -> bool:
    """Whether a test says that there is something; also where there was no test, of which ``_tested`` tells."""
    return bool(np.isnan(row.p) or row.p_adjusted < ALPHA)


def _answer(row: Any, shown: str) -> str:
    """The answer to a question, ``shown`` being the one where a test says that there is something."""
    if np.isnan(row.p):
        return "not testable"
    return shown if _shown(row) else "no evidence for it"


def _tested(row: Any) -> str:
    if np.isnan(row.p):
        return "not testable"
    return f"p {_p_value(row.p)}, {_p_value(row.p_adjusted).removeprefix('= ')} adjusted"


def _p_value(value: float) -> str:
    """A p-value to three digits; it is never zero."""
    return f"= {value:.3f}" if value >= 0.0005 else "< 0.001"

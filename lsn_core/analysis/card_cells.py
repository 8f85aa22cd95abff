"""The parts of an atlas's card that tell of its tables of cells: transfer, cores and retrieval."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from lsn_core.analysis.core_scores import CoreScores, core_scores, scored_cores
from lsn_core.analysis.networks import Difference
from lsn_core.analysis.transfer import CONTROLS, TransferMatrix, transfer_matrix
from lsn_core.analysis.words import over_seeds

_SHOWN_DONORS = 3
_SPREAD = ", with the lowest and highest in brackets"  # of several seeds


def spread(values: np.ndarray) -> str:
    """Mean of the values that were measured, and their range where there are several; empty without any."""
    values = values[~np.isnan(values)]
    if not len(values):
        return ""
    between = f" ({values.min():.3f}–{values.max():.3f})" if len(values) > 1 else ""
    return f"{values.mean():.3f}{between}"


def transfer_lines(rows: pd.DataFrame, task: str) -> Iterator[str]:
    """Lines on every transfer to a task; ``rows`` as ``transfer_rows`` returns. None without one."""
    mine = rows[rows["task"] == task]
    for kind, lines in (("mask", _mask_lines), ("zero-shot", _zero_shot_lines), ("task", _task_lines)):
        chosen = mine[mine["kind"] == kind]
        places = sorted(set(zip(chosen["source_task"], chosen["sparsity"], strict=True)))
        for source_task, sparsity in places:
            yield ""
            yield from lines(transfer_matrix(chosen, kind, task, sparsity, source_task))


def _mask_lines(matrix: TransferMatrix) -> Iterator[str]:
    level = f"{matrix.sparsity:.0%}"
    yield f"### Transfer of masks at {level}"
    yield ""
    yield (
        f"{matrix.metric} of each language's network trained and scored on its own text: the unpruned model (`dense`), the "
        f"sub-network that `imp` found, and the controls (`random`: as many weights in every matrix; `base`: the "
        f"largest pretrained weights). {over_seeds(matrix.seeds, _SPREAD)}."
    )
    yield ""
    yield from _own_table(matrix)
    yield ""
    yield from _where_not_better(matrix)
    n = len(matrix.languages)
    apart = ~np.eye(n, dtype=bool)
    change = matrix.loss()[apart]
    change = change[~np.isnan(change)]
    if not len(change):
        return
    yield (
        f"- With another language's sub-network instead of its own, a language scores {change.mean():+.3f} on "
        f"average (lowest {change.min():+.3f}, highest {change.max():+.3f}; {len(change)} of {n * (n - 1)} pairs "
        "measured): mean off the diagonal minus the target's diagonal."
    )
    yield from _beside(matrix, apart, "another language's sub-network")
    donors = matrix.donors()
    best = ", ".join(f"{code} ({value:+.3f})" for code, value in donors.head(_SHOWN_DONORS).items())
    yield f"- Best donors, by the mean change of the others' scores with their sub-network: {best}."


def _zero_shot_lines(matrix: TransferMatrix) -> Iterator[str]:
    yield f"### Zero-shot transfer at {matrix.sparsity:.0%}"
    yield ""
    n = len(matrix.languages)
    apart = ~np.eye(n, dtype=bool)
    own, other = np.diagonal(matrix.value), matrix.value[apart]
    yield (
        f"- {matrix.metric} on a language's own text when its sub-network learned from it: "
        f"{_mean_of(own)}; on another language's text, without learning from that: {_mean_of(other)} "
        f"({_named(matrix.seeds)}, {int((~np.isnan(other)).sum())} of {n * (n - 1)} pairs measured)."
    )
    yield from _beside(matrix, apart, "a sub-network on another language's text")


def _task_lines(matrix: TransferMatrix) -> Iterator[str]:
    yield f"### Transfer of masks of task `{matrix.source_task}` at {matrix.sparsity:.0%}"
    yield ""
    own = np.eye(len(matrix.languages), dtype=bool)
    yield (
        f"- {matrix.metric} of a language's `{matrix.source_task}` sub-network trained for `{matrix.task}`: "
        f"{_mean_of(matrix.value[own])} over {len(matrix.languages)} languages, {_named(matrix.seeds)}."
    )
    yield from _beside(matrix, own, "it")


def _own_table(matrix: TransferMatrix) -> Iterator[str]:
    columns: Mapping[str, np.ndarray] = {
        "dense": _diagonals(matrix.controls["dense"]),
        "imp": _diagonals(matrix.by_seed),
        "random": _diagonals(matrix.controls["random"]),
        "base": _diagonals(matrix.controls["base"]),
    }
    columns = {name: column for name, column in columns.items() if not np.isnan(column).all()}
    yield from _language_table(matrix.languages, columns)


def _language_table(languages: Sequence[str], columns: Mapping[str, np.ndarray]) -> Iterator[str]:
    """A row a language; ``columns`` are names and scores, (S, n), seed by language."""
    yield "| language | " + " | ".join(columns) + " |"
    yield "| --- " * (len(columns) + 1) + "|"
    for place, language in enumerate(languages):
        cells = (spread(column[:, place]) for column in columns.values())
        yield f"| {language} | " + " | ".join(cells) + " |"


def _where_not_better(matrix: TransferMatrix) -> Iterator[str]:
    """Say plainly where the sub-network does not beat a control."""
    for control in ("random", "base"):
        difference = np.diagonal(matrix.difference(control))
        known = ~np.isnan(difference)
        if not known.any():
            continue
        worse = [
            f"{code} ({value:+.3f})"
            for code, value in zip(matrix.languages, difference, strict=True)
            if value <= 0
        ]
        yield (
            f"- `imp` scores above `{control}` in {int((difference > 0).sum())} of {int(known.sum())} languages "
            f"(mean difference {difference[known].mean():+.3f})"
            + (f"; it does not in {', '.join(worse)}." if worse else ".")
        )


def _beside(matrix: TransferMatrix, chosen: np.ndarray, what: str) -> Iterator[str]:
    """Compare the chosen cells with every control beside them."""
    parts = []
    for control in CONTROLS:
        values = matrix.difference(control)[chosen]
        values = values[~np.isnan(values)]
        if len(values):
            parts.append(f"{values.mean():+.3f} against `{control}` (above it in {np.mean(values > 0):.0%})")
    if parts:
        yield f"- Mean difference of {what}: {', '.join(parts)}."


def core_lines(rows: pd.DataFrame, task: str) -> Iterator[str]:
    """Lines on every core of a task that was scored; ``rows`` as ``core_rows`` returns. None without one."""
    for which in scored_cores(rows, task):
        yield ""
        yield from _core_lines(core_scores(rows, which))


def _core_lines(found: CoreScores) -> Iterator[str]:
    networks, which = found.networks, found.which
    members = ", ".join(which.members)
    yield f"### Score of the core of {which}"
    yield ""
    yield (
        f"{networks.metric} of the core ({members}; {found.kept['core']:,.0f} weights) trained "
        "and scored on each of its languages from the pretrained weights, beside the unpruned model (`dense`), the language's "
        "own sub-network, and as many weights as the core: `random`, drawn by lot in every matrix; `base`, the "
        f"largest pretrained ones. {over_seeds(networks.seeds, _SPREAD)}."
    )
    yield ""
    columns = {
        name: networks.scores[name]
        for name in ("dense", "own", "core", "random", "base")
        if networks.known(name)
    }
    yield from _language_table(networks.languages, columns)
    yield ""
    for name, words in (
        ("own", "a language's own sub-network"),
        ("dense", "the unpruned model"),
        ("random", "`random`"),
        ("base", "`base`"),
    ):
        if networks.known(name):
            yield f"- The core against {words}: {difference_words(networks.difference('core', name))}."


def difference_words(found: Difference) -> str:
    """A difference with that of every seed, and whether it is more than seeds differ by."""
    if not found.languages:
        return "not measured"
    by_seed = ", ".join(f"{value:+.3f} with seed {seed}" for seed, value in found.by_seed.items())
    verdict = ""
    if len(found.by_seed) == 1:
        verdict = "; with one seed, how much of that is noise is unknown"
    elif not found.shown:
        verdict = "; no evidence for a difference, as it is less than twice what seeds change"
    return (
        f"{found.value:+.3f} ({by_seed}; above it in {found.above} of {found.languages} languages){verdict}"
    )


def retrieval_lines(rows: pd.DataFrame) -> Iterator[str]:
    """Lines on the retrieval table (columns as in ``masks.cells.RETRIEVAL``); none when it is empty."""
    placed = rows[rows["task"] != ""]
    for task, sparsity in sorted(set(zip(placed["task"], placed["sparsity"], strict=True))):
        near = np.isclose(rows["sparsity"], sparsity)
        mine = rows[
            ((rows["task"] == task) & near)
            | ((rows["method"] == "base") & near)
            | (rows["method"] == "dense")
        ]
        yield from ("", f"## Retrieval with masks of `{task}` at {sparsity:.0%}", "")
        languages = sorted(set(placed[(placed["task"] == task) & near[rows["task"] != ""]]["source"]))
        mine = mine[mine["source"].isin(languages) & mine["target"].isin(languages)]
        yield from _layer_table(mine, languages)


def _layer_table(rows: pd.DataFrame, languages: Sequence[str]) -> Iterator[str]:
    means = rows.groupby(["layer", "method"])["accuracy"].mean().unstack("method")
    means = means[[name for name in ("dense", "imp", "base", "random") if name in means]]
    yield (
        f"How often the nearest neighbour of a sentence (margin ratio, mean states of its pieces) is its "
        f"translation, among {_listed(sorted(set(rows['count'])))} sentences: mean over ordered pairs of "
        f"{len(languages)} languages and over seeds, without any training, each language under its own mask. "
        "Layer 0 is the embeddings."
    )
    yield ""
    yield "| layer | " + " | ".join(means.columns) + " |"
    yield "| --- " * (len(means.columns) + 1) + "|"
    for layer, values in means.iterrows():
        cells = ("" if np.isnan(value) else f"{value:.3f}" for value in values)
        yield f"| {layer} | " + " | ".join(cells) + " |"
    yield ""
    best = ", ".join(
        f"`{name}` layer {column.idxmax()} ({column.max():.3f})" for name, column in means.items()
    )
    yield f"- Best layer: {best}."


def _diagonals(cube: np.ndarray) -> np.ndarray:
    """The diagonal of every seed, (S, n)."""
    return np.diagonal(cube, axis1=1, axis2=2)


def _mean_of(values: np.ndarray) -> str:
    known = values[~np.isnan(values)]
    return f"{known.mean():.3f}" if len(known) else "not measured"


def _named(seeds: Sequence[int]) -> str:
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {_listed(seeds)}"


def _listed(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))

"""How well sub-networks serve other languages: the transfer table as matrices of source by target."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from lsn_core.analysis.networks import NetworkScores
from lsn_core.errors import LsnError
from lsn_core.languages import in_paper_order
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.cells import TRANSFER, read_rows
from lsn_core.masks.ticket import SPARSITY_TOLERANCE

CONTROLS = ("dense", "random", "base")


@dataclass(frozen=True)
class Average:
    """A mean over ``count`` cells, each the mean over its seeds; NaN where there is no cell.

    ``by_seed`` holds the mean of each seed over the ``shared`` cells that all seeds have, so that seeds can be
    compared.
    """

    value: float
    by_seed: Mapping[int, float]
    count: int
    shared: int


@dataclass(frozen=True, eq=False)
class TransferMatrix:
    """Scores of one transfer; NaN where nothing was measured.

    ``by_seed`` is float64 (S, n, n): seed, source, target; ``controls`` holds for each control the scores
    that stand beside it, float64 (S, n, n) as well. In a mask or task transfer a control learns from the
    target, and is the same for every source; in a zero-shot transfer it learns from the source. In a transfer
    between tasks source and target are one language, so that all is NaN off the diagonal.
    """

    kind: str
    task: str
    source_task: str
    sparsity: float
    metric: str
    languages: tuple[str, ...]
    seeds: tuple[int, ...]
    by_seed: np.ndarray
    controls: Mapping[str, np.ndarray]

    @property
    def value(self) -> np.ndarray:
        """Source by target, (n, n): the mean over the seeds that were measured."""
        return _mean(self.by_seed)

    @property
    def own(self) -> np.ndarray:
        """What each target scores with its own sub-network, beside every cell of its column: (S, n, n)."""
        return np.broadcast_to(np.diagonal(self.by_seed, axis1=1, axis2=2)[:, None, :], self.by_seed.shape)

    def of_seed(self, seed: int) -> TransferMatrix:
        """The same with this seed alone."""
        only = slice(self.seeds.index(seed), self.seeds.index(seed) + 1)
        controls = {name: cube[only] for name, cube in self.controls.items()}
        return replace(self, seeds=(seed,), by_seed=self.by_seed[only], controls=controls)

    def between_languages(self, cube: np.ndarray) -> Average:
        """The average of ``cube`` (S, n, n) over the cells off the diagonal that were measured here."""
        served = np.where(np.isnan(self.by_seed), np.nan, cube)
        apart = served[:, ~np.eye(len(self.languages), dtype=bool)]
        shared = apart[:, ~np.isnan(apart).any(axis=0)]
        seeds = {seed: _nanmean(row) for seed, row in zip(self.seeds, shared, strict=True)}
        means = _mean(apart)
        return Average(_nanmean(means), seeds, int((~np.isnan(means)).sum()), shared.shape[1])

    @property
    def complete(self) -> bool:
        """Whether every seed has the same cells, so that all that is made from them can be compared."""
        known = ~np.isnan(self.by_seed)
        return bool((known == known[0]).all())

    def seed_noise(self) -> float:
        """How far two seeds of a language's own sub-network differ in score: the mean over languages and
        pairs of seeds; NaN with one seed."""
        own = np.diagonal(self.by_seed, axis1=1, axis2=2)
        first, second = np.triu_indices(len(own), 1)
        return _nanmean(np.abs(own[first] - own[second]))

    def control(self, name: str) -> np.ndarray:
        """A control's scores, (n, n), mean over seeds; LsnError when there is no such control."""
        return _mean(self._control(name))

    def difference(self, name: str) -> np.ndarray:
        """Sub-network minus control, (n, n): the mean over the seeds in which both were measured."""
        return _mean(self.by_seed - self._control(name))

    def loss(self) -> np.ndarray:
        """What each target loses with another's sub-network instead of its own, (n, n): cell minus the
        diagonal cell of its column, mean over the seeds that have both; 0 on the diagonal."""
        return _mean(self.by_seed - self.own)

    def donors(self) -> pd.Series:
        """How well each language's sub-network serves the others: the mean ``loss`` over the targets other
        than itself, best first; languages without a measured target are left out."""
        apart = np.where(np.eye(len(self.languages), dtype=bool), np.nan, self.loss())
        means = pd.Series([_nanmean(row) for row in apart], index=list(self.languages)).dropna()
        return means.sort_values(ascending=False, kind="stable")

    def _control(self, name: str) -> np.ndarray:
        if name not in self.controls:
            raise LsnError(f"there is no control {name!r}; choose one of {', '.join(self.controls)}")
        return self.controls[name]


def transfer_rows(atlas: Atlas) -> pd.DataFrame:
    """The rows of the transfer table whose tickets are those that are here; empty when there is no table.

    Columns as in ``masks.cells.TRANSFER``. Raises CorruptFile when the table is damaged.
    """
    return read_rows(atlas, TRANSFER)


def transfer_matrix(
    rows: pd.DataFrame,
    kind: str,
    task: str,
    sparsity: float,
    source_task: str | None = None,
    metric: str | None = None,
    languages: Sequence[str] | None = None,
    seeds: Collection[int] | None = None,
) -> TransferMatrix:
    """One transfer of the rows that ``transfer_rows`` returns.

    ``source_task`` is by default the task itself; for the kind ``task``, the only one that there is.
    ``metric`` is by default the task's own score; ``languages`` gives the order (all, the
    paper's first), ``seeds`` those to use (all). Raises LsnError, naming what there is, when nothing fits.
    """
    mine = rows[(rows["kind"] == kind) & (rows["task"] == task)]
    if mine.empty:
        there = sorted({f"{k} of task {t}" for k, t in zip(rows["kind"], rows["task"], strict=True)})
        raise LsnError(
            f"there is no {kind} transfer of task {task}; there is {', '.join(there) or 'none at all'}"
        )
    sources = sorted(set(mine["source_task"]))
    if source_task is None:
        if kind == "task" and len(sources) > 1:
            raise LsnError(f"there are transfers from several tasks; choose one of {', '.join(sources)}")
        source_task = sources[0]
    mine = mine[mine["source_task"] == source_task]
    near = mine[(mine["sparsity"] - sparsity).abs() <= SPARSITY_TOLERANCE]
    if near.empty:
        levels = ", ".join(f"{level:g}" for level in sorted(set(mine["sparsity"])))
        raise LsnError(
            f"there is no {kind} transfer of task {task} from {source_task} at sparsity {sparsity:g}; "
            f"there is {levels or 'none'}"
        )
    metric = metric or near["metric"].iloc[0]
    chosen = near[near["metric"] == metric]
    if seeds is not None:
        chosen = chosen[chosen["seed"].isin(list(seeds))]
    found = tuple(languages) if languages is not None else in_paper_order(set(chosen["target"]))
    numbers = tuple(sorted(set(chosen["seed"].tolist())))
    if not found or not numbers:
        raise LsnError(f"there is no {kind} transfer of task {task} with metric {metric!r} and these seeds")
    cells = {
        control: _cube(chosen[chosen["control"] == control], found, numbers, kind, control)
        for control in ("", *CONTROLS)
    }
    own = cells.pop("")
    return TransferMatrix(kind, task, source_task, sparsity, metric, found, numbers, own, cells)


def _cube(
    rows: pd.DataFrame, languages: Sequence[str], seeds: Sequence[int], kind: str, control: str
) -> np.ndarray:
    """Seed by source by target, NaN where there is no row; a control without a source stands for all."""
    place = {code: index for index, code in enumerate(languages)}
    cube = np.full((len(seeds), len(languages), len(languages)), np.nan)
    for source, target, number, value in zip(
        rows["source"], rows["target"], rows["seed"], rows["value"], strict=True
    ):
        if target not in place:
            continue
        seed, column = seeds.index(number), place[target]
        if source:
            if source in place:
                cube[seed, place[source], column] = value
        elif kind == "task":
            cube[seed, column, column] = value
        else:
            cube[seed, :, column] = value
    return cube


def _mean(cube: np.ndarray) -> np.ndarray:
    """Mean over the first axis of what is not NaN; NaN where nothing is."""
    known = ~np.isnan(cube)
    count = known.sum(axis=0)
    total = np.where(known, cube, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _nanmean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def task_transfer(
    rows: pd.DataFrame,
    task: str,
    source_task: str,
    sparsity: float,
    languages: Sequence[str],
    seeds: Collection[int],
) -> NetworkScores | None:
    """A transfer between tasks as networks side by side; None where nothing of these languages and seeds is.

    ``rows`` as ``transfer_rows`` returns. The networks are ``other`` (a language's sub-network for the source
    task), ``own`` (that for the task itself, where a mask transfer with the same settings has it), and the
    controls.
    """
    between = rows[(rows["kind"] == "task") & (rows["source_task"] == source_task)]
    settings = set(between.loc[between["task"] == task, "settings"])
    own = rows[(rows["kind"] == "mask") & (rows["source"] == rows["target"]) & (rows["control"] == "")]
    whole = pd.concat([between, own[own["settings"].isin(settings)].assign(control="own")])
    near = (whole["sparsity"] - sparsity).abs() <= SPARSITY_TOLERANCE
    mine = whole[(whole["task"] == task) & near & whole["seed"].isin(list(seeds))]
    found = mine[(mine["control"] == "") & mine["target"].isin(list(languages))]
    if found.empty:
        return None
    mine = mine[mine["metric"] == found["metric"].iloc[0]]
    there = tuple(code for code in languages if code in set(found["target"]))
    numbers = tuple(sorted(set(found["seed"].tolist())))
    scores = {}
    for name, control in {"other": "", "own": "own", **{name: name for name in CONTROLS}}.items():
        chosen = mine[(mine["control"] == control) & mine["target"].isin(there) & mine["seed"].isin(numbers)]
        scores[name] = np.full((len(numbers), len(there)), np.nan)
        for seed, target, value in zip(chosen["seed"], chosen["target"], chosen["value"], strict=True):
            scores[name][numbers.index(seed), there.index(target)] = value
    return NetworkScores(found["metric"].iloc[0], there, numbers, scores)

"""Is a language's sub-network for one task closer to its own for another task than to other languages'?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from math import factorial, nan

import numpy as np

from lsn_core.analysis.calibration import group_neutrality
from lsn_core.analysis.counts import Counts

_EXACT = 5040  # permutations up to which all are looked at
_DRAWN = 9999
_UNDEFINED_SHARE = 0.05


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval over seeds and matrices (NaN where there is none)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class AcrossTasks:
    """Neutrality between the sub-networks of n languages for two tasks.

    ``own``: between a language's two sub-networks; ``others``: between those of two languages for the two
    tasks; ``same_task``: between those of two languages for one task. ``above_others`` and ``above_same_task``
    are ``own`` less these. ``p`` is that of the former by permuting the languages' labels in one of the
    tasks, NaN with fewer than four languages.
    """

    languages: tuple[str, ...]
    own: Estimate
    others: Estimate
    same_task: Estimate
    above_others: Estimate
    above_same_task: Estimate
    p: float


def across_tasks(counts: Counts, first: str, second: str, replicates: int = 400) -> AcrossTasks | None:
    """Compare two tasks over the languages that have both; None with fewer than two, or without neutrality.

    ``counts`` are of tickets of both tasks at one sparsity, of one method.
    """
    there = [{key.language for key in counts.tickets if key.task == task} for task in (first, second)]
    languages = tuple(
        code for code in dict.fromkeys(k.language for k in counts.tickets) if all(code in t for t in there)
    )
    n = len(languages)
    if n < 2:
        return None
    groups = [(task, code) for task in (first, second) for code in languages]
    value, drawn = group_neutrality(counts, groups, replicates)
    if np.isnan(value).any():
        return None
    found = np.array(_means(value, n))
    resampled = np.array([_means(one, n) for one in drawn])
    values = [*found, found[0] - found[1], found[0] - found[2]]
    samples = [*resampled.T, resampled[:, 0] - resampled[:, 1], resampled[:, 0] - resampled[:, 2]]
    own, others, same_task, above_others, above_same_task = (
        _estimate(float(one), many) for one, many in zip(values, samples, strict=True)
    )
    p = _permutation(value[:n, n:])
    return AcrossTasks(languages, own, others, same_task, above_others, above_same_task, p)


def _means(value: np.ndarray, n: int) -> tuple[float, float, float]:
    """Means of a (2n, 2n) neutrality: one language's two tasks; two languages' two tasks; two languages, one task."""
    cross, apart = value[:n, n:], ~np.eye(n, dtype=bool)
    same = np.concatenate([value[:n, :n][apart], value[n:, n:][apart]])
    return float(np.diagonal(cross).mean()), float(cross[apart].mean()), float(same.mean())


def _estimate(value: float, drawn: np.ndarray) -> Estimate:
    known = drawn[~np.isnan(drawn)]
    if len(known) < (1 - _UNDEFINED_SHARE) * len(drawn) or not len(known):
        return Estimate(value, nan, nan)
    low, high = np.quantile(known, [0.025, 0.975]).tolist()
    return Estimate(value, min(low, value), max(high, value))


def _permutation(cross: np.ndarray) -> float:
    """The share of permutations, the observed one among them, whose diagonal has as high a mean as that of ``cross``."""
    n = len(cross)
    if n < 4:
        return nan
    rows = np.arange(n)
    if factorial(n) <= _EXACT:
        means = np.array([cross[rows, list(order)].mean() for order in permutations(range(n))])
        return float(np.mean(means >= means[0] - 1e-12))
    rng = np.random.default_rng(0)
    means = np.array([cross[rows, rng.permutation(n)].mean() for _ in range(_DRAWN)])
    observed = np.diagonal(cross).mean()
    return float((1 + np.sum(means >= observed - 1e-12)) / (_DRAWN + 1))

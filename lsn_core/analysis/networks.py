"""Scores of several networks side by side, language by language and seed by seed, and what they differ by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, nan

import numpy as np

CLEAR = 2.0
"""How many times what seeds change a difference must be to be shown: with two seeds, their spread comes out small."""


@dataclass(frozen=True)
class Difference:
    """By how much one network scores above another: the mean over ``languages`` of the means over seeds.

    ``by_seed`` is over the same languages for every seed. ``spread`` is what seeds change: the most that the
    difference, or the mean score of either network, moves from seed to seed; NaN with one seed. ``above`` counts
    the languages in which the mean over seeds is positive. ``value`` is NaN where there is no language that both
    were measured in with every seed.
    """

    value: float
    by_seed: Mapping[int, float]
    spread: float
    languages: int
    above: int

    @property
    def shown(self) -> bool:
        """Whether there is a difference to speak of: it is more than ``CLEAR`` times what seeds change, so that all
        agree on its sign. With one seed nothing is shown, as its spread is unknown."""
        return isfinite(self.spread) and abs(self.value) > CLEAR * self.spread


@dataclass(frozen=True, eq=False)
class NetworkScores:
    """What several networks score on the same languages; ``scores`` maps their names to float64 (S, n), seed by
    language, NaN where nothing was measured."""

    metric: str
    languages: tuple[str, ...]
    seeds: tuple[int, ...]
    scores: Mapping[str, np.ndarray]

    def mean(self, name: str) -> float:
        """A network's mean over languages and seeds, of the languages with every seed; NaN without one."""
        whole = self.scores[name][:, ~np.isnan(self.scores[name]).any(axis=0)]
        return float(whole.mean()) if whole.size else nan

    def known(self, name: str) -> bool:
        """Whether anything of a network was measured."""
        return name in self.scores and not bool(np.isnan(self.scores[name]).all())

    def difference(self, name: str, other: str) -> Difference:
        """How far a network scores above another, over the languages in which every seed has both."""
        both = np.stack([self.scores[name], self.scores[other], self.scores[name] - self.scores[other]])
        whole = both[:, :, ~np.isnan(both).any(axis=(0, 1))]
        if not whole.size:
            return Difference(nan, {}, nan, 0, 0)
        means = whole.mean(axis=2)
        spread = float(np.ptp(means, axis=1).max()) if len(self.seeds) > 1 else nan
        by_seed = dict(zip(self.seeds, means[2].tolist(), strict=True))
        above = int((whole[2].mean(axis=0) > 0).sum())
        return Difference(float(means[2].mean()), by_seed, spread, whole.shape[2], above)

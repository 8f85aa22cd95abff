"""One mask from elsewhere beside the languages of an atlas: how alike they are, and against what."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lsn_core.analysis import measures
from lsn_core.analysis.calibration import draw_seeds, interval
from lsn_core.errors import LsnError
from lsn_core.languages import in_paper_order
from lsn_core.masks.mask import Mask
from lsn_core.masks.ticket import Ticket, TicketKey

SAME_LEVEL = 0.0005
"""Sparsities that differ by no more are one: the level of an imported mask has three decimals."""


@dataclass(frozen=True, eq=False)
class Meeting:
    """The weights that a mask shares with each of T tickets at one sparsity, in each of M matrices.

    ``own`` (M,), ``kept`` (T, M) and ``shared`` (T, M) are numbers of weights, ``size`` (M,) all there are.
    ``expected`` (T, M) is the intersection that the pretrained magnitudes alone would give, NaN where unknown.
    """

    tickets: tuple[TicketKey, ...]
    own: np.ndarray
    kept: np.ndarray
    shared: np.ndarray
    size: np.ndarray
    expected: np.ndarray

    @property
    def identical(self) -> tuple[TicketKey, ...]:
        """The tickets that keep exactly the mask's weights."""
        total = self.shared.sum(axis=1)
        alike = (total == self.own.sum()) & (total == self.kept.sum(axis=1))
        return tuple(key for key, same in zip(self.tickets, alike, strict=True) if same)

    def without(self, tickets: Collection[TicketKey]) -> Meeting:
        """The same without some tickets."""
        rows = [row for row, key in enumerate(self.tickets) if key not in tickets]
        left = tuple(self.tickets[row] for row in rows)
        return Meeting(left, self.own, self.kept[rows], self.shared[rows], self.size, self.expected[rows])


def nearest_level(sparsity: float, levels: Sequence[float]) -> float:
    """The level closest to a sparsity, the lower of two that are as close; LsnError when there is none."""
    if not levels:
        raise LsnError("there is no sparsity to compare at")
    return min(sorted(levels), key=lambda level: round(abs(level - sparsity), 9))


def base_mask(base: Ticket | None, sparsity: float) -> Mask | None:
    """The base mask of this sparsity, None when there is none."""
    if base is None:
        return None
    near = nearest_level(sparsity, base.levels)
    return base.mask(near) if abs(near - sparsity) <= SAME_LEVEL else None


def strata(base: Ticket | None, sparsity: float, level: float) -> tuple[Mask, ...] | None:
    """The weights in groups of alike pretrained magnitude, for a mask of ``sparsity`` and tickets of ``level``.

    With one sparsity the groups are the base mask R and the rest, as everywhere else. With two, each mask is
    cut at a threshold of its own, so both base masks are needed: the groups are what both keep, what the one or
    the other keeps alone, and what neither does. None when the base masks of either sparsity are not there: with
    the other alone, masks that are cut at different thresholds would look less alike than magnitudes make them.
    """
    first, second = base_mask(base, level), base_mask(base, sparsity)
    if first is None or second is None:
        return None
    if first == second:
        return first, ~first
    return first & second, first - second, second - first, ~(first | second)


def meet(mask: Mask, tickets: Mapping[TicketKey, Mask], groups: Sequence[Mask] | None) -> Meeting:
    """Count what a mask shares with each ticket's mask.

    ``groups`` are those of ``strata``: within each, masks that have nothing in common but the pretrained
    magnitudes are independent, so that E[i] = sum over the groups G of |A∩G| |B∩G| / |G|. Raises LsnError when
    there is no ticket or the layouts differ.
    """
    if not tickets:
        raise LsnError("there is no sub-network to compare with")
    keys, masks = tuple(tickets), list(tickets.values())
    kept = np.stack([other.counts for other in masks])
    shared = np.stack([(mask & other).counts for other in masks])
    size = mask.layout.sizes.astype(np.float64)
    expected = np.full(shared.shape, np.nan)
    if groups is not None:
        expected = np.zeros(shared.shape)
        for group in groups:
            own_in = (mask & group).counts.astype(np.float64)
            kept_in = np.stack([(other & group).counts for other in masks])
            expected += own_in * kept_in / np.maximum(group.counts, 1)
    return Meeting(keys, mask.counts, kept, shared, size, expected)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """How alike a mask and each of n languages are over one part of the model: means over the language's seeds.

    ``jaccard`` with the bounds ``low`` and ``high`` of its 95 % interval, ``chance`` and ``reference`` (what the
    densities and the pretrained magnitudes alone would give), ``above`` (``jaccard`` less ``reference``) with
    ``above_low`` and ``above_high``, and ``possible``, the most that masks of these sizes can reach, are float64
    (n,), NaN where undefined. ``seeds`` (n,) is the number of tickets. ``first_in`` (n,) is the share of the
    resamples in which the language is the most alike of all; NaN where nothing can be resampled.
    """

    languages: tuple[str, ...]
    seeds: np.ndarray
    jaccard: np.ndarray
    low: np.ndarray
    high: np.ndarray
    chance: np.ndarray
    reference: np.ndarray
    above: np.ndarray
    above_low: np.ndarray
    above_high: np.ndarray
    possible: np.ndarray
    first_in: np.ndarray

    @property
    def order(self) -> np.ndarray:
        """Places of the languages, the most alike first; those without a value last."""
        return np.argsort(-np.nan_to_num(self.jaccard, nan=-np.inf), kind="stable")


def neighbours(
    meeting: Meeting, matrices: np.ndarray, replicates: int = 400, rng_seed: int = 0
) -> Neighbours:
    """Compare over the matrices with these indices.

    A replicate draws as many of the matrices as there are, and for each language as many of its seeds, with
    replacement; intervals are those of ``calibration.language_matrix``. They do not cover the seed of the
    mask itself, of which there is one alone.
    """
    languages = in_paper_order({key.language for key in meeting.tickets})
    member = np.array([[key.language == code for key in meeting.tickets] for code in languages], dtype=float)
    seeds = member.sum(axis=1)
    count = len(matrices)
    every = _Sums(meeting, matrices, np.ones((1, count)))
    value = {name: _means(found, member, None)[0] for name, found in every.all().items()}

    rng = np.random.default_rng(rng_seed)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=replicates).astype(np.float64)
    weights = draw_seeds(member, replicates, rng)
    resampled = _Sums(meeting, matrices, drawn)
    jaccard = _means(resampled.jaccard(), member, weights)
    above = _means(resampled.jaccard() - resampled.reference(), member, weights)
    varies = np.full(len(languages), count > 1) | (seeds > 1)
    low, high = interval(value["jaccard"], jaccard, varies)
    above_low, above_high = interval(value["above"], above, varies)
    return Neighbours(
        languages=languages,
        seeds=seeds.astype(np.int64),
        low=low,
        high=high,
        above_low=above_low,
        above_high=above_high,
        first_in=_first_in(jaccard) if varies.any() else np.full(len(languages), np.nan),
        **value,
    )


class _Sums:
    """The measures of every ticket from sums over matrices, (B, T): ``weights`` (B, M) says how often each counts."""

    def __init__(self, meeting: Meeting, matrices: np.ndarray, weights: np.ndarray) -> None:
        own, kept, size = meeting.own[matrices], meeting.kept[:, matrices], meeting.size[matrices]
        self._own, self._kept = (weights @ own)[:, None], weights @ kept.T
        self._shared = weights @ meeting.shared[:, matrices].T
        self._chance = weights @ measures.expected_by_chance(own, kept, size).T
        self._expected = weights @ meeting.expected[:, matrices].T

    def jaccard(self) -> np.ndarray:
        return measures.jaccard(self._shared, self._own, self._kept)

    def reference(self) -> np.ndarray:
        return measures.jaccard(self._expected, self._own, self._kept)

    def all(self) -> dict[str, np.ndarray]:
        jaccard, reference = self.jaccard(), self.reference()
        return {
            "jaccard": jaccard,
            "reference": reference,
            "above": jaccard - reference,
            "chance": measures.jaccard(self._chance, self._own, self._kept),
            "possible": measures.jaccard(np.minimum(self._own, self._kept), self._own, self._kept),
        }


def _means(found: np.ndarray, member: np.ndarray, drawn: np.ndarray | None) -> np.ndarray:
    """Means (B, n) over each language's tickets of values (B, T); NaN where one that counts is undefined.

    ``member`` (n, T) says whose tickets are whose, ``drawn`` (B, T) how often each counts (once when None).
    """
    counts = np.ones_like(found) if drawn is None else drawn
    undefined = np.isnan(found)
    total = (np.where(undefined, 0, found) * counts) @ member.T
    holes = (undefined * counts) @ member.T
    return np.where(holes > 0, np.nan, total / (counts @ member.T))


def _first_in(resampled: np.ndarray) -> np.ndarray:
    """The share of the resamples (B, n) in which each language has the highest value; ties go to the first."""
    complete = resampled[~np.isnan(resampled).any(axis=1)]
    if not len(complete):
        return np.full(resampled.shape[1], np.nan)
    return np.bincount(complete.argmax(axis=1), minlength=resampled.shape[1]) / len(complete)

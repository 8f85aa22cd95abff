"""What overlap is compared with, and how sure it is: expectation, ceiling, neutrality, intervals."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lsn_core.analysis import measures
from lsn_core.analysis.counts import Counts
from lsn_core.errors import LsnError
from lsn_core.languages import in_paper_order
from lsn_core.masks.layout import SCOPES, Layout, Scope

_UNDEFINED_SHARE = 0.05
"""No interval is given where more than this share of the replicates is undefined: it would hide a tail."""
_BLOCK_CELLS = 2**17
"""Pairs of tickets, times replicates, that are worked out at once: a few arrays of them stay in a core's cache."""


@dataclass(frozen=True, eq=False)
class Expectations:
    """Observed and expected intersections of every two tickets in every matrix.

    ``observed``, ``chance`` and ``reference`` are float64 (T, T, M) (``reference`` is NaN without a base
    mask), ``kept`` is (T, M), ``size`` is (M,).
    """

    observed: np.ndarray
    chance: np.ndarray
    reference: np.ndarray
    kept: np.ndarray
    size: np.ndarray

    def summed(self, weights: np.ndarray) -> Expectations:
        """Sums over matrices: ``weights`` (K, M) says how often each of the M counts in each of K sums."""
        return Expectations(*(part @ weights.T for part in self._parts()))

    def _parts(self) -> tuple[np.ndarray, ...]:
        return self.observed, self.chance, self.reference, self.kept, self.size

    @property
    def a(self) -> np.ndarray:
        """Weights that the first of two tickets keeps, (T, 1, ...)."""
        return self.kept[:, None]

    @property
    def b(self) -> np.ndarray:
        """Weights that the second of two tickets keeps, (1, T, ...)."""
        return self.kept[None, :]

    def jaccard(self) -> np.ndarray:
        """Observed Jaccard index of every two tickets."""
        return measures.jaccard(self.observed, self.a, self.b)

    def chance_jaccard(self) -> np.ndarray:
        """The Jaccard index that random masks of the same densities would have."""
        return measures.jaccard(self.chance, self.a, self.b)

    def reference_jaccard(self) -> np.ndarray:
        """The Jaccard index that masks with nothing but the pretrained magnitudes in common would have."""
        return measures.jaccard(self.reference, self.a, self.b)


def expectations(counts: Counts) -> Expectations:
    """Observed and expected intersections of the counts, matrix by matrix."""
    kept, size = counts.kept.astype(np.float64), counts.layout.sizes.astype(np.float64)
    observed = counts.pair.astype(np.float64)
    chance = measures.expected_by_chance(kept[:, None], kept[None, :], size)
    if counts.reference_kept is None or counts.in_reference is None:
        return Expectations(observed, chance, np.full_like(observed, np.nan), kept, size)
    inside = counts.in_reference.astype(np.float64)
    outside = kept - inside
    reference = measures.expected_by_reference(
        inside[:, None],
        inside[None, :],
        outside[:, None],
        outside[None, :],
        counts.reference_kept,
        size - counts.reference_kept,
    )
    return Expectations(observed, chance, reference, kept, size)


def scope_weights(scopes: Sequence[Scope], layout: Layout) -> np.ndarray:
    """Which matrices each scope sums, float64 (K, M) of 0 and 1."""
    weights = np.zeros((len(scopes), len(layout.matrices)))
    for row, scope in zip(weights, scopes, strict=True):
        row[scope.matrices] = 1
    return weights


def find_scope(layout: Layout, label: str) -> Scope:
    """The scope with this label (``total``, ``encoder``, ``encoder.3``, ``query``, a matrix's name).

    Raises LsnError when the model has no such part.
    """
    for by in SCOPES:
        for scope in layout.scopes(by):
            if scope.label == label:
                return scope
    raise LsnError(
        f"the model has no part {label!r}; try total, encoder, encoder.0, query or a matrix's name"
    )


def ceilings(jaccard: np.ndarray, groups: Sequence[Hashable]) -> dict[Hashable, np.ndarray]:
    """Ceiling of each group: the mean Jaccard index of its tickets, two at a time.

    ``jaccard`` is (T, T, ...); ``groups`` says to which group (a language in a task) each ticket belongs.
    Returns arrays (...); NaN for a group of one ticket, as there is nothing to compare it with.
    """
    found = {}
    for group in dict.fromkeys(groups):
        members = [index for index, other in enumerate(groups) if other == group]
        first, second = (np.array(members)[side] for side in np.triu_indices(len(members), 1))
        undefined = np.full(jaccard.shape[2:], np.nan)
        found[group] = jaccard[first, second].mean(axis=0) if len(members) > 1 else undefined
    return found


@dataclass(frozen=True, eq=False)
class LanguageMatrix:
    """A measure for every two of n languages, with 95 % intervals.

    ``value`` (n, n): off the diagonal the mean over all pairs of a ticket of one language with a ticket of
    the other; on it the mean over pairs of different seeds of that language, NaN when there is one seed.
    ``low`` and ``high`` (n, n) bound the interval; ``replicates`` (B, n, n) are the resampled values that
    it comes from (see ``language_matrix``).
    """

    languages: tuple[str, ...]
    measure: str
    scope: str
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    replicates: np.ndarray


@dataclass(frozen=True, eq=False)
class TicketPairs:
    """P unordered pairs of tickets, each ticket with itself among them, in order of the two groups they are of.

    ``first`` and ``second`` (P,) are the places of the two among the T tickets, ``starts`` (G,) says where each
    pair of groups begins and ``groups`` (2, G) which they are, the lower one first. ``observed`` is float64
    (M, P), ``kept`` and ``inside`` (the base mask; None without one) are (M, T), ``size`` and
    ``reference_kept`` (M,).
    """

    first: np.ndarray
    second: np.ndarray
    starts: np.ndarray
    groups: np.ndarray
    observed: np.ndarray
    kept: np.ndarray
    size: np.ndarray
    inside: np.ndarray | None
    reference_kept: np.ndarray | None

    @classmethod
    def of(cls, counts: Counts, matrices: np.ndarray, group: np.ndarray) -> TicketPairs:
        """The pairs of all tickets of the counts over some matrices; ``group`` (T,) is each ticket's group."""
        first, second = np.triu_indices(len(counts.tickets))
        swapped = group[first] > group[second]
        first, second = np.where(swapped, second, first), np.where(swapped, first, second)
        order = np.lexsort((group[second], group[first]))
        first, second = first[order], second[order]
        of_pair = np.stack([group[first], group[second]])
        starts = np.flatnonzero(np.r_[True, np.any(of_pair[:, 1:] != of_pair[:, :-1], axis=0)])

        def by_matrix(values: np.ndarray) -> np.ndarray:
            return np.ascontiguousarray(values[..., matrices].T, dtype=np.float64)

        inside, reference = counts.in_reference, counts.reference_kept
        return cls(
            first,
            second,
            starts,
            of_pair[:, starts],
            by_matrix(counts.pair[first, second]),
            by_matrix(counts.kept),
            by_matrix(counts.layout.sizes),
            None if inside is None else by_matrix(inside),
            None if reference is None else by_matrix(reference),
        )

    @cached_property
    def within(self) -> np.ndarray:
        """The places of the pairs within one group."""
        ends = np.append(self.starts[1:], len(self.first))
        own = self.groups[0] == self.groups[1]
        return np.flatnonzero(np.repeat(own, ends - self.starts))

    @cached_property
    def chance(self) -> np.ndarray:
        """Expected intersections of random masks of the same densities, (M, P)."""
        return measures.expected_by_chance(
            self.kept[:, self.first], self.kept[:, self.second], self.size[:, None]
        )

    @cached_property
    def reference(self) -> np.ndarray:
        """Expected intersections of masks that share the pretrained magnitudes only, (M, P); NaN without a base mask."""
        if self.inside is None or self.reference_kept is None:
            return np.full_like(self.observed, np.nan)
        outside = self.kept - self.inside
        return measures.expected_by_reference(
            self.inside[:, self.first],
            self.inside[:, self.second],
            outside[:, self.first],
            outside[:, self.second],
            self.reference_kept[:, None],
            (self.size - self.reference_kept)[:, None],
        )


class PairSums:
    """The pairs' counts summed over matrices: ``weights`` (K, M) says how often each counts in each of K sums.

    What is not asked for is not summed. All are float64 (K, P).
    """

    def __init__(self, pairs: TicketPairs, weights: np.ndarray) -> None:
        self._pairs, self._weights = pairs, weights
        kept = weights @ pairs.kept
        self.a, self.b = kept[:, pairs.first], kept[:, pairs.second]

    @cached_property
    def observed(self) -> np.ndarray:
        """Weights that both keep."""
        return self._weights @ self._pairs.observed

    @property
    def size(self) -> np.ndarray:
        """All weights, (K, 1)."""
        return (self._weights @ self._pairs.size)[:, None]

    def jaccard(self) -> np.ndarray:
        """Observed Jaccard index."""
        return measures.jaccard(self.observed, self.a, self.b)

    def chance_jaccard(self) -> np.ndarray:
        """The Jaccard index that random masks of the same densities would have."""
        return measures.jaccard(self._weights @ self._pairs.chance, self.a, self.b)

    def reference_jaccard(self) -> np.ndarray:
        """The Jaccard index that masks with nothing but the pretrained magnitudes in common would have."""
        return measures.jaccard(self._weights @ self._pairs.reference, self.a, self.b)


_PAIR_MEASURES: dict[str, Callable[[PairSums], np.ndarray]] = {
    "jaccard": PairSums.jaccard,
    "chance": PairSums.chance_jaccard,
    "reference": PairSums.reference_jaccard,
    "excess": lambda sums: sums.jaccard() - sums.chance_jaccard(),
    "jaccard-reference": lambda sums: sums.jaccard() - sums.reference_jaccard(),
    "overlap-coefficient": lambda sums: measures.overlap_coefficient(sums.observed, sums.a, sums.b),
    "dice": lambda sums: measures.dice(sums.observed, sums.a, sums.b),
    "kappa": lambda sums: measures.kappa(sums.observed, sums.a, sums.b, sums.size),
}
MEASURES = (*_PAIR_MEASURES, "neutrality")


def language_matrix(
    counts: Counts,
    measure: str = "jaccard",
    scope: str = "total",
    languages: Sequence[str] | None = None,
    seeds: Collection[int] | None = None,
    replicates: int = 400,
    rng_seed: int = 0,
) -> LanguageMatrix:
    """A measure for every two languages of one task, with intervals that cover seeds and matrices.

    ``measure`` is one of ``MEASURES``: the Jaccard index, its excess over chance, ``jaccard-reference`` (its
    excess over the reference), ``neutrality`` and others. Neutrality is worked out from the means over
    seeds, (J - J_ref) / (J_seed - J_ref), with J_seed the mean of the two languages' ceilings; without a
    second seed of both languages it is NaN, and it is 1 on the diagonal.

    A replicate draws, for each language on its own, as many seeds as there are, with replacement, and as
    many matrices of the scope as there are, with replacement (the same for all languages). A seed that was
    drawn twice is never compared with itself: the ceiling takes the pairs of different seeds among those
    drawn, and all the language's pairs when one seed was drawn throughout. The interval runs from the 2.5th
    to the 97.5th percentile of the replicates, widened where needed to hold the value. So it covers how
    much the value hangs on these training seeds and on these matrices. It does not cover the choice of
    text, task or schedule; with s seeds the spread between seeds comes out too small by a factor near
    (s-1)/s in variance, and with two seeds that of the ceiling not at all. It is NaN where nothing can be
    resampled (one matrix and one seed each; on the diagonal, one matrix and fewer than three seeds) and
    where more than one replicate in twenty is undefined.

    ``languages`` gives the order (all, the paper's first, when None); ``seeds`` the seeds to use (all when
    None). The same ``rng_seed`` gives the same intervals. Raises LsnError on an unknown measure or scope, a
    language without a ticket, or counts over more than one task.
    """
    if measure not in MEASURES:
        raise LsnError(f"there is no measure {measure!r}; choose one of {', '.join(MEASURES)}")
    keys = [key for key in counts.tickets if seeds is None or key.seed in seeds]
    names = tuple(languages) if languages is not None else in_paper_order({key.language for key in keys})
    keys = [key for key in keys if key.language in names]
    missing = [name for name in names if name not in {key.language for key in keys}]
    if missing or not keys:
        raise LsnError(
            f"there is no ticket of language {missing[0] if missing else '(any)'} with these seeds"
        )
    if len({(key.task, key.method) for key in keys}) > 1:
        raise LsnError("the tickets are of several tasks or methods; choose one to compare languages")
    chosen = find_scope(counts.layout, scope)
    member = np.array([[key.language == name for key in keys] for name in names], dtype=np.float64)
    matrices = len(chosen.matrices)
    pairs = TicketPairs.of(counts.select(keys), chosen.matrices, member.argmax(axis=0))
    value, resampled = _resampled(pairs, measure, member, replicates, rng_seed)
    low, high = interval(value, resampled, _can_vary(member.sum(axis=1), matrices))
    return LanguageMatrix(names, measure, scope, value, low, high, resampled)


def group_neutrality(
    counts: Counts, groups: Sequence[tuple[str, str]], replicates: int = 400, rng_seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Neutrality of every two groups, each a task and a language, over the whole model: (G, G) and (B, G, G).

    As ``language_matrix`` works it out, so that tickets of two tasks are compared like those of two languages: with
    the reference that the base mask gives them, and the mean of their groups' own ceilings. The second is the
    value in each replicate.
    """
    keys = [key for key in counts.tickets if (key.task, key.language) in groups]
    member = np.array([[(key.task, key.language) == group for key in keys] for group in groups], dtype=float)
    every = np.arange(len(counts.layout.matrices))
    pairs = TicketPairs.of(counts.select(keys), every, member.argmax(axis=0))
    return _resampled(pairs, "neutrality", member, replicates, rng_seed)


def _resampled(
    pairs: TicketPairs, measure: str, member: np.ndarray, replicates: int, rng_seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The measure of every two groups of tickets, (n, n), and its replicates, (B, n, n); ``member`` is (n, T)."""
    matrices = len(pairs.size)
    once = np.ones((1, member.shape[1]))
    value = _by_language(pairs, measure, np.ones((1, matrices)), once, member)[0]
    rng = np.random.default_rng(rng_seed)
    drawn_matrices = rng.multinomial(matrices, np.full(matrices, 1 / matrices), size=replicates)
    drawn_seeds = draw_seeds(member, replicates, rng)
    resampled = np.empty((replicates, len(member), len(member)))
    at_once = max(1, _BLOCK_CELLS // len(pairs.first))
    for start in range(0, replicates, at_once):
        block = slice(start, start + at_once)
        weights = drawn_matrices[block].astype(np.float64)
        resampled[block] = _by_language(pairs, measure, weights, drawn_seeds[block], member)
    return value, resampled


def draw_seeds(member: np.ndarray, replicates: int, rng: np.random.Generator) -> np.ndarray:
    """How often each ticket is drawn in each replicate, float64 (B, T); ``member`` is (n, T) of 0 and 1."""
    drawn = np.zeros((replicates, member.shape[1]))
    for row in member.astype(bool):
        seeds = int(row.sum())
        drawn[:, row] = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=replicates)
    return drawn


def _by_language(
    pairs: TicketPairs, measure: str, weights: np.ndarray, drawn: np.ndarray, member: np.ndarray
) -> np.ndarray:
    """The measure of every two languages, (K, n, n), from K sums over matrices; see ``_mean_over_seeds``."""
    sums = PairSums(pairs, weights)
    if measure != "neutrality":
        return _mean_over_seeds(_PAIR_MEASURES[measure](sums), pairs, drawn, member)
    observed = _mean_over_seeds(sums.jaccard(), pairs, drawn, member)
    reference = _mean_over_seeds(sums.reference_jaccard(), pairs, drawn, member)
    own = np.einsum("kii->ki", observed)
    return measures.neutrality(observed, reference, (own[:, :, None] + own[:, None, :]) / 2)


def _mean_over_seeds(
    values: np.ndarray, pairs: TicketPairs, drawn: np.ndarray, member: np.ndarray
) -> np.ndarray:
    """Means of a measure of the pairs, (K, P), over those of drawn tickets, (K, n, n); on the diagonal over different
    ones.

    ``drawn`` (K, T) says how often each ticket was drawn, ``member`` (n, T) of 0 and 1 whose it is.
    """
    several = (
        (drawn > 0) @ member.T > 1
    ) @ member > 0  # tickets of languages of which different ones were drawn
    compared = np.where(several, drawn, 1.0)
    first, second, within = pairs.first, pairs.second, pairs.within
    times = drawn[:, first] * drawn[:, second]
    first, second = first[within], second[within]
    times[:, within] = compared[:, first] * compared[:, second] * (first != second)

    def total(amounts: np.ndarray) -> np.ndarray:
        return np.add.reduceat(amounts, pairs.starts, axis=1)

    undefined = np.isnan(values)
    number = total(times)
    unknown = number == 0
    if undefined.any():  # kept apart: times a weight of zero, NaN would spread to every language
        unknown |= total(times * undefined) > 0
        values = np.where(undefined, 0, values)
    means = np.where(unknown, np.nan, total(times * values) / np.maximum(number, 1))
    found = np.empty((len(means), len(member), len(member)))
    lower, upper = pairs.groups
    found[:, lower, upper] = found[:, upper, lower] = means
    return found


def _can_vary(seeds: np.ndarray, matrices: int) -> np.ndarray:
    """Whether resampling can change a cell at all, bool (n, n); ``seeds`` is the number a language, (n,)."""
    if matrices > 1:
        return np.ones((len(seeds), len(seeds)), dtype=bool)
    varies = (seeds[:, None] > 1) | (seeds[None, :] > 1)
    np.fill_diagonal(varies, seeds > 2)
    return varies


def interval(
    value: np.ndarray, replicates: np.ndarray, can_vary: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bound of the 95 % interval of each value, (...) each; NaN where there is none.

    ``replicates`` is (B, ...); ``can_vary`` says where resampling can change a value at all.
    """
    low, high = np.full_like(value, np.nan), np.full_like(value, np.nan)
    if not len(replicates):
        return low, high
    undefined = np.isnan(replicates).mean(axis=0)
    cells = can_vary & ~np.isnan(value) & (undefined <= _UNDEFINED_SHARE)
    whole, holed = cells & (undefined == 0), cells & (undefined > 0)
    for percentile, those in ((np.percentile, whole), (np.nanpercentile, holed)):
        if those.any():
            bounds = percentile(replicates[:, those], [2.5, 97.5], axis=0)
            low[those] = np.minimum(bounds[0], value[those])
            high[those] = np.maximum(bounds[1], value[those])
    return low, high

"""Which weights several languages keep: by how many each is kept, the core, and a random one of its size.

Tickets are read one after another, and of each one matrix at a time, so that beside one ticket there is
never more in memory than a byte or two a weight, however many languages there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from lsn_core.analysis.calibration import scope_weights
from lsn_core.analysis.counts import Counts, tickets_at
from lsn_core.errors import LsnError
from lsn_core.languages import in_paper_order
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.codec import make_random_survival
from lsn_core.masks.layout import Layout, Scope
from lsn_core.masks.mask import Mask, mask_from_survival
from lsn_core.masks.ticket import SPARSITY_TOLERANCE, Ticket, TicketKey

MAX_LANGUAGES = 255
MEMBERSHIP_SCOPES = ("total", "layer", "component")
MEMBERSHIP_COLUMNS = ("scope", "k", "weights", "share", "independence", "reference")
CORE_COLUMNS = ("scope", "size", "kept", "core", "independence", "reference")
EXCLUSIVE_COLUMNS = ("scope", "size", "language", "kept", "exclusive", "independence", "reference", "shared")


@dataclass(frozen=True, eq=False)
class Membership:
    """By how many of n languages each weight is kept, one ticket a language.

    ``counts`` is int64 (n+1, M): the weights of each matrix that exactly k languages keep, k from 0.
    ``kept`` (n, M) are the weights each language keeps, ``exclusive`` (n, M) those that no other language
    keeps. With a base mask R of the same sparsity, ``reference_kept`` is (M,), |R|, and ``in_reference``
    (n, M), |A∩R|; without one both are None. Raises LsnError when the parts do not fit together.
    """

    layout: Layout
    tickets: tuple[TicketKey, ...]
    sparsity: float
    counts: np.ndarray
    kept: np.ndarray
    exclusive: np.ndarray
    reference_kept: np.ndarray | None = None
    in_reference: np.ndarray | None = None

    def __post_init__(self) -> None:
        n, sizes = len(self.tickets), self.layout.sizes
        fits = self.counts.shape == (n + 1, len(sizes)) and self.kept.shape == self.exclusive.shape
        if not fits or self.kept.shape != (n, len(sizes)):
            raise LsnError(f"the counts of {n} languages over {len(sizes)} matrices have other shapes")
        if np.any(self.counts.sum(axis=0) != sizes):
            raise LsnError("the weights kept by 0 to n languages do not add up to the matrices' sizes")
        if np.any(np.arange(n + 1) @ self.counts != self.kept.sum(axis=0)):
            raise LsnError("the weights kept by k languages do not add up to what the languages keep")
        if (self.reference_kept is None) != (self.in_reference is None):
            raise LsnError("a reference needs both its own counts and those within it")

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages, in the order of ``tickets``."""
        return tuple(key.language for key in self.tickets)

    @property
    def shared(self) -> np.ndarray:
        """Weights that all languages keep, int64 (M,)."""
        return self.counts[-1]

    def at_least(self, k: int) -> np.ndarray:
        """Weights that at least k languages keep, int64 (M,); LsnError unless k lies in 1..n."""
        check_at_least(k, len(self.tickets))
        return self.counts[k:].sum(axis=0)

    def expected_by_chance(self) -> np.ndarray:
        """``counts`` as independent languages of the same densities would have them, float64 (n+1, M).

        A weight of matrix m is kept by language l with probability a_lm / n_m, so that the number of
        languages that keep it follows the Poisson-binomial distribution of these.
        """
        return self._by_chance

    @cached_property
    def _by_chance(self) -> np.ndarray:
        return _independent(self.kept, self.layout.sizes)

    def expected_by_reference(self) -> np.ndarray:
        """``counts`` as languages with only the reference R in common would have them, float64 (n+1, M).

        Independence within R and, on its own, within the weights that R removes, matrix by matrix: the
        J_ref of DESIGN.md, section 4, for more than two languages. NaN without a base mask.
        """
        return self._by_reference

    @cached_property
    def _by_reference(self) -> np.ndarray:
        if self.in_reference is None or self.reference_kept is None:
            return np.full(self.counts.shape, np.nan)
        outside, removed = self.kept - self.in_reference, self.layout.sizes - self.reference_kept
        return _independent(self.in_reference, self.reference_kept) + _independent(outside, removed)

    def expected_exclusive_by_chance(self) -> np.ndarray:
        """``exclusive`` as independent languages would have it, float64 (n, M)."""
        return _independent_alone(self.kept, self.layout.sizes)

    def expected_exclusive_by_reference(self) -> np.ndarray:
        """``exclusive`` as languages with only the reference in common would have it; NaN without one."""
        if self.in_reference is None or self.reference_kept is None:
            return np.full(self.kept.shape, np.nan)
        outside, removed = self.kept - self.in_reference, self.layout.sizes - self.reference_kept
        return _independent_alone(self.in_reference, self.reference_kept) + _independent_alone(
            outside, removed
        )


def core_tickets(
    atlas: Atlas,
    task: str,
    sparsity: float,
    seed: int | None = None,
    method: str = "imp",
    languages: Sequence[str] | None = None,
) -> tuple[TicketKey, ...]:
    """The tickets to compare: one a language, all of one seed, in the paper's order or that of ``languages``.

    ``seed`` None takes the lowest seed that all the languages have. Raises LsnError when no ticket fits, a
    language named has none of that seed, there is no seed that all have, or the atlas ships no tickets.
    """
    keys = tickets_at(atlas, sparsity, task, method)
    if not atlas.has_bits:
        raise LsnError(f"atlas {atlas.name} ships tables without tickets, and a core needs the tickets")
    there = {(key.language, key.seed): key for key in keys if key.language}
    wanted = tuple(dict.fromkeys(languages or in_paper_order({code for code, _ in there})))
    every_seed = sorted({key_seed for _, key_seed in there})
    if seed is None:
        common = [one for one in every_seed if all((code, one) in there for code in wanted)]
        if not common:
            raise LsnError(
                f"the {method} tickets of task {task} have no seed that all of {', '.join(wanted)} have; "
                "choose a seed or fewer languages"
            )
        seed = common[0]
    if seed not in every_seed:
        raise LsnError(
            f"atlas {atlas.name} has no {method} tickets of task {task} with seed {seed}; "
            f"it has {', '.join(map(str, every_seed))}"
        )
    missing = [code for code in languages or () if (code, seed) not in there]
    if missing:
        raise LsnError(
            f"atlas {atlas.name} has no {method} ticket of task {task}, language {missing[0]}, seed {seed}"
        )
    found = tuple(there[code, seed] for code in wanted if (code, seed) in there)
    if len(found) > MAX_LANGUAGES:
        raise LsnError(f"a core is taken over {MAX_LANGUAGES} languages at most, not {len(found)}")
    return found


def core_seeds(atlas: Atlas, task: str, sparsity: float, method: str = "imp") -> tuple[int, ...]:
    """The seeds that tickets of this task, sparsity and method have."""
    return tuple(sorted({key.seed for key in tickets_at(atlas, sparsity, task, method)}))


def membership(
    atlas: Atlas,
    task: str,
    sparsity: float,
    seed: int | None = None,
    method: str = "imp",
    languages: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Membership:
    """By how many languages the weights of a model are kept; for the choice of tickets see ``core_tickets``.

    Reads every ticket once; ``progress(done, total)`` is called before each. Holds two bytes a weight beside the
    ticket at hand and the base ticket.
    """
    keys = core_tickets(atlas, task, sparsity, seed, method, languages)
    layout = atlas.layout
    shape = (len(keys), len(layout.matrices))
    base = _base_ticket(atlas, sparsity)
    kept, inside = np.empty(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    keepers, last_keeper = (np.zeros(layout.size, dtype=np.uint8) for _ in range(2))
    for language, key in enumerate(keys):
        if progress is not None:
            progress(language, len(keys))
        ticket = atlas.ticket(key)
        for index in range(len(layout.matrices)):
            place, bits = layout.slice(index), _bits(ticket, sparsity, index)
            keepers[place] += bits
            last_keeper[place][bits] = language
            kept[language, index] = np.count_nonzero(bits)
            if base is not None:
                inside[language, index] = np.count_nonzero(bits & _bits(base, sparsity, index))
    counts, exclusive = _tally(keepers, last_keeper, layout, len(keys))
    if base is None:
        return Membership(layout, keys, sparsity, counts, kept, exclusive)
    reference_kept = base.kept[base.level_index(sparsity)]
    return Membership(layout, keys, sparsity, counts, kept, exclusive, reference_kept, inside)


def tallies_at(
    atlas: Atlas, keys: Sequence[TicketKey], levels: Sequence[float]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """``counts`` and ``exclusive`` of the tickets' ``Membership`` for several sparsities that all of them have.

    Every ticket is read once; two bytes a weight and level are held.
    """
    layout = atlas.layout
    keepers, last_keeper = (np.zeros((len(levels), layout.size), dtype=np.uint8) for _ in range(2))
    for language, ticket in enumerate(map(atlas.ticket, keys)):
        for row, level in enumerate(levels):
            for index in range(len(layout.matrices)):
                place, bits = layout.slice(index), _bits(ticket, level, index)
                keepers[row, place] += bits
                last_keeper[row, place][bits] = language
    pairs = zip(keepers, last_keeper, strict=True)
    return [_tally(each, last, layout, len(keys)) for each, last in pairs]


def counted_membership(counts: Counts, keepers: np.ndarray, exclusive: np.ndarray) -> Membership:
    """The membership of the counts' tickets, one a language, whose ``counts`` and ``exclusive`` are known."""
    return Membership(
        counts.layout,
        counts.tickets,
        counts.sparsity,
        keepers,
        counts.kept,
        exclusive,
        counts.reference_kept,
        counts.in_reference,
    )


def core_mask(
    atlas: Atlas,
    task: str,
    sparsity: float,
    at_least: int,
    seed: int | None = None,
    method: str = "imp",
    languages: Sequence[str] | None = None,
) -> Mask:
    """The core: the weights kept by at least so many of the languages that ``core_tickets`` gives.

    Holds one byte a weight beside the ticket at hand. Raises LsnError unless ``at_least`` lies in 1..n.
    """
    keys = core_tickets(atlas, task, sparsity, seed, method, languages)
    check_at_least(at_least, len(keys))
    keepers = np.zeros(atlas.layout.size, dtype=np.uint8)
    for ticket in map(atlas.ticket, keys):
        for index in range(len(atlas.layout.matrices)):
            keepers[atlas.layout.slice(index)] += _bits(ticket, sparsity, index)
    return mask_from_survival(keepers, at_least - 1, atlas.layout)


def random_core(core: Mask, layout: Layout, seed: int) -> Mask:
    """A random mask with as many weights as the core in every matrix: the core's control.

    Weights are drawn as those of ``random`` tickets are, so the same seed gives the same mask on any
    machine. Raises LsnError when the core is over another layout or the seed is not a whole number from 0.
    """
    if core.layout != layout:
        raise LsnError("the core is over other matrices than the model that its random control is for")
    return mask_from_survival(make_random_survival(layout, core.counts[None], seed), 0, layout)


def membership_table(found: Membership, by: Iterable[str] = MEMBERSHIP_SCOPES) -> pd.DataFrame:
    """``counts`` summed by scope, with the columns ``MEMBERSHIP_COLUMNS``; one row a scope and k.

    ``weights`` is the number of weights that exactly ``k`` languages keep and ``share`` their share of the
    scope; ``independence`` and ``reference`` are the shares expected of independent languages and of
    languages with only the pretrained magnitudes in common (NaN without a base ticket).
    """
    scopes = [scope for kind in by for scope in found.layout.scopes(kind)]
    size = _summed(found.layout.sizes, scopes, found.layout)
    weights = _summed(found.counts, scopes, found.layout)
    k = np.tile(np.arange(len(found.tickets) + 1), len(scopes))
    return pd.DataFrame(
        {
            "scope": np.repeat([scope.label for scope in scopes], len(found.tickets) + 1),
            "k": k,
            "weights": np.rint(weights).astype(np.int64).T.ravel(),
            "share": (weights / size).T.ravel(),
            "independence": (_summed(found.expected_by_chance(), scopes, found.layout) / size).T.ravel(),
            "reference": (_summed(found.expected_by_reference(), scopes, found.layout) / size).T.ravel(),
        },
        columns=list(MEMBERSHIP_COLUMNS),
    )


def exclusive_table(found: Membership, by: Iterable[str] = ("total",)) -> pd.DataFrame:
    """The weights that one language alone keeps, with the columns ``EXCLUSIVE_COLUMNS``.

    One row a scope and language, all in numbers of weights: ``kept`` by the language, ``exclusive`` to it,
    ``shared`` by all languages; ``independence`` and ``reference`` are what ``exclusive`` would be for
    independent languages and for languages with only the pretrained magnitudes in common (NaN without a
    base ticket).
    """
    scopes = [scope for kind in by for scope in found.layout.scopes(kind)]
    n = len(found.tickets)
    whole = {
        "size": np.broadcast_to(_summed(found.layout.sizes, scopes, found.layout), (n, len(scopes))),
        "kept": _summed(found.kept, scopes, found.layout),
        "exclusive": _summed(found.exclusive, scopes, found.layout),
        "shared": np.broadcast_to(_summed(found.shared, scopes, found.layout), (n, len(scopes))),
    }
    expected = {
        "independence": _summed(found.expected_exclusive_by_chance(), scopes, found.layout),
        "reference": _summed(found.expected_exclusive_by_reference(), scopes, found.layout),
    }
    return pd.DataFrame(
        {
            "scope": np.repeat([scope.label for scope in scopes], n),
            "language": list(found.languages) * len(scopes),
            **{name: np.rint(values).astype(np.int64).T.ravel() for name, values in whole.items()},
            **{name: values.T.ravel() for name, values in expected.items()},
        },
        columns=list(EXCLUSIVE_COLUMNS),
    )


def core_table(found: Membership, k: int, by: str = "total") -> pd.DataFrame:
    """The core of at least ``k`` languages by scope, with the columns ``CORE_COLUMNS``; one row a scope.

    In numbers of weights: ``kept`` by one language, the mean over languages; ``core``, those that at least
    ``k`` languages keep; ``independence`` and ``reference``, what ``core`` would be for independent languages
    and for languages with only the pretrained magnitudes in common (NaN without a base ticket). Summed over k
    from 1 to n, ``core``, ``independence`` and ``reference`` all give n times ``kept``: what one of them has
    more at one k it has less at others. Raises LsnError unless ``k`` lies in 1..n.
    """
    scopes = found.layout.scopes(by)
    parts = {
        "size": found.layout.sizes,
        "kept": found.kept.mean(axis=0),
        "core": found.at_least(k),
        "independence": found.expected_by_chance()[k:].sum(axis=0),
        "reference": found.expected_by_reference()[k:].sum(axis=0),
    }
    sums = {name: _summed(values, scopes, found.layout) for name, values in parts.items()}
    whole = {name: np.rint(sums[name]).astype(np.int64) for name in ("size", "core")}
    return pd.DataFrame(
        {"scope": [scope.label for scope in scopes]} | sums | whole, columns=list(CORE_COLUMNS)
    )


def check_at_least(k: int, n: int) -> None:
    """LsnError unless k is a number of languages out of n."""
    if not 1 <= k <= n:
        raise LsnError(
            f"a core is what at least K of the {n} languages here keep: K lies between 1 and {n}, unlike {k}"
        )


def _bits(ticket: Ticket, sparsity: float, index: int) -> np.ndarray:
    """The mask of one matrix at a sparsity, bool, flat."""
    return ticket.survival[ticket.layout.slice(index)] > ticket.level_index(sparsity)


def _base_ticket(atlas: Atlas, sparsity: float) -> Ticket | None:
    """The base ticket, or None when there is none of this sparsity."""
    base = atlas.base()
    if base is None or all(abs(level - sparsity) > SPARSITY_TOLERANCE for level in base.levels):
        return None
    return base


def _tally(
    keepers: np.ndarray, last_keeper: np.ndarray, layout: Layout, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """Weights kept by exactly k languages, int64 (n+1, M), and by one language alone, int64 (n, M)."""
    counts = np.empty((n + 1, len(layout.matrices)), dtype=np.int64)
    exclusive = np.empty((n, len(layout.matrices)), dtype=np.int64)
    for index in range(len(layout.matrices)):
        here = keepers[layout.slice(index)]
        counts[:, index] = np.bincount(here, minlength=n + 1)
        exclusive[:, index] = np.bincount(last_keeper[layout.slice(index)][here == 1], minlength=n)
    return counts, exclusive


def _independent(kept: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Expected weights kept by exactly k of n independent masks, float64 (n+1, M).

    ``kept`` is (n, M), ``size`` (M,); a part of no weights counts nothing.
    """
    from scipy.stats import poisson_binom  # takes half a second to import

    chances = kept / np.maximum(size, 1)
    return size * poisson_binom.pmf(np.arange(len(kept) + 1)[:, None], chances.T)


def _independent_alone(kept: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Expected weights kept by one of n independent masks and by no other, float64 (n, M)."""
    chances = kept / np.maximum(size, 1)
    others_remove = [np.prod(1 - np.delete(chances, one, axis=0), axis=0) for one in range(len(kept))]
    return size * chances * np.array(others_remove)


def _summed(values: np.ndarray, scopes: Sequence[Scope], layout: Layout) -> np.ndarray:
    """Sums over the matrices, the last axis of ``values``, by scope."""
    return values @ scope_weights(scopes, layout).T

"""Which weights a round removes. Pure functions on tensors; nothing here trains or touches files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

import torch

from lsn_core.errors import LsnError
from lsn_core.masks.layout import Layout

_PIECE = 1 << 18
_INFINITY = 0x7F800000
"""The bits of infinity as float32; those of a NaN without its sign are above it."""


class Computed(Sequence[torch.Tensor]):
    """Tensors that are made whenever they are asked for, by their number, so that one is held at a time."""

    def __init__(self, make: Callable[[int], torch.Tensor], length: int) -> None:
        self._make, self._length = make, length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, number: int) -> torch.Tensor:  # type: ignore[override]
        if not 0 <= number < self._length:
            raise IndexError(number)
        return self._make(number)


@dataclass(frozen=True)
class Cut:
    """Scores whose float32 bits are above `bits` stay, and the first `ties` of those that equal it."""

    bits: int
    ties: int


def kept_at(size: int, sparsity: float) -> int:
    """Return how many of `size` weights are kept at a sparsity: exact to one weight."""
    return size - round(sparsity * size)


def groups_of(layout: Layout, scope: str) -> list[list[int]]:
    """Return the matrices (by number, in layout order) whose weights are compared with one another.

    `scope` is one of `config.SCOPES`. A matrix outside the layers, such as a pooler, is a group of its own
    in scope `layer`.
    """
    groups: dict[object, list[int]] = {}
    for number, matrix in enumerate(layout.matrices):
        key = {
            "global": (),
            "stack": matrix.stack,
            "layer": number if matrix.layer is None else (matrix.stack, matrix.layer),
            "matrix": number,
        }[scope]
        groups.setdefault(key, []).append(number)
    return list(groups.values())


def divide(keep: int, sizes: Sequence[int], alive: Sequence[int]) -> list[int]:
    """Divide `keep` weights among groups of `sizes` weights: the same sparsity in each, the total exact.

    What is left after rounding down goes to the largest remainders, the first of equal ones (Hamilton's
    method), but no group is given more than it has `alive`. The shares of a smaller `keep` always fit into
    what an earlier division left. Raises LsnError when fewer than `keep` weights are alive in all.
    """
    total = sum(sizes)
    _check_alive(keep, sum(alive))
    shares = [keep * size // total for size in sizes]
    order = sorted(range(len(sizes)), key=lambda group: (-(keep * sizes[group] % total), group))
    left = keep - sum(shares)
    for group in cycle(order):
        if left == 0:
            break
        if shares[group] < alive[group]:
            shares[group] += 1
            left -= 1
    return shares


def keep_in_groups(
    scores: Sequence[torch.Tensor],
    alive: Sequence[torch.Tensor],
    keep: int,
    groups: Sequence[Sequence[int]],
) -> Iterator[torch.Tensor]:
    """Keep the highest scores of each group of matrices, `keep` in all, divided by `divide`.

    This is global unstructured pruning (Han et al. 2015; Foroutan et al. 2022, section 3) within each group.
    Among equal scores the first in layout order are kept, so that the result is deterministic.

    Parameters
    ----------
    scores: per matrix, float scores of its weights (any shape, never negative), compared as float32.
    alive: per matrix, bool of the same shape; a removed weight stays removed.
    keep: number of weights kept in all; at most the number alive.
    groups: the matrices (by number) whose weights are compared with one another; each is in one group.

    Every matrix is asked for a few times, one at a time, so that `Computed` sequences never hold the model's
    scores at once. Yields for each matrix in turn a bool tensor of its shape. Raises LsnError when a score is
    not a number or fewer than `keep` weights are alive.
    """
    counted = [(living.numel(), int(torch.count_nonzero(living))) for living in alive]
    shares = divide(
        keep,
        [sum(counted[m][0] for m in group) for group in groups],
        [sum(counted[m][1] for m in group) for group in groups],
    )
    place = {m: number for number, group in enumerate(groups) for m in group}
    cuts = [_cut(scores, alive, group, share) for group, share in zip(groups, shares, strict=True)]
    ties = [cut.ties for cut in cuts]
    for m in range(len(alive)):
        group = place[m]
        kept, used = _kept(scores[m], alive[m], Cut(cuts[group].bits, ties[group]))
        ties[group] -= used
        yield kept


def keep_largest(
    scores: Sequence[torch.Tensor], alive: Sequence[torch.Tensor], keep: int
) -> list[torch.Tensor]:
    """Keep the `keep` highest scores over all matrices together: `keep_in_groups` with one group."""
    return list(keep_in_groups(scores, alive, keep, [range(len(alive))]))


def _check_alive(keep: int, alive: int) -> None:
    if keep > alive:
        raise LsnError(f"Cannot keep {keep} weights: only {alive} are left after the rounds before.")


def _cut(
    scores: Sequence[torch.Tensor], alive: Sequence[torch.Tensor], group: Sequence[int], keep: int
) -> Cut:
    """Where to cut a group of matrices so that `keep` weights stay.

    Two passes of counting, over the upper and the lower half of the scores' bits: linear in the number of
    scores, where selecting and sorting are not, and 2¹⁶ counts are all that is held.
    """
    upper = torch.zeros(1 << 16, dtype=torch.int64)
    for bits, _ in _pieces(scores, alive, group):
        upper += torch.bincount(bits >> 16, minlength=1 << 16).cpu()
    if keep == 0:
        return Cut(_INFINITY, 0)
    bucket, above = _bucket_of(upper, keep)
    lower = torch.zeros(1 << 16, dtype=torch.int64)
    for bits, _ in _pieces(scores, alive, group):
        lower += torch.bincount(bits[bits >> 16 == bucket] & 0xFFFF, minlength=1 << 16).cpu()
    low, between = _bucket_of(lower, keep - above)
    return Cut((bucket << 16) | low, keep - above - between)


def _bucket_of(counts: torch.Tensor, n: int) -> tuple[int, int]:
    """Return which number is the n-th largest of those counted, and how many are larger than it."""
    at_least = counts.flip(0).cumsum(0).flip(0)
    bucket = int(torch.nonzero(at_least >= n)[-1])
    return bucket, int(at_least[bucket] - counts[bucket])


def _kept(score: torch.Tensor, alive: torch.Tensor, cut: Cut) -> tuple[torch.Tensor, int]:
    """Which weights of one matrix stay, bool in its shape; and how many of them are ties."""
    kept = torch.empty(alive.numel(), dtype=torch.bool, device=alive.device)
    left = cut.ties
    for part, (bits, living) in zip(kept.split(_PIECE), _pieces([score], [alive], [0]), strict=True):
        torch.gt(bits, cut.bits, out=part)
        if left:
            tied = (bits == cut.bits) & living
            chosen = torch.nonzero(tied).reshape(-1)[:left]
            part[chosen] = True
            left -= chosen.numel()
    return kept.reshape(alive.shape), cut.ties - left


def _pieces(
    scores: Sequence[torch.Tensor], alive: Sequence[torch.Tensor], group: Sequence[int]
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """The scores of a group of matrices as int32 bits that are ordered as the scores are, and which are alive.

    Pieces are short enough for a processor's cache. A removed weight counts as zero: it never raises the
    threshold. Raises LsnError when a score is not a number, of a removed weight too.
    """
    for m in group:
        flat, living = scores[m].detach().reshape(-1), alive[m].reshape(-1)
        highest = torch.zeros((), dtype=torch.int32, device=flat.device)
        for some, there in zip(flat.split(_PIECE), living.split(_PIECE), strict=True):
            # Floats from zero up are ordered like their bits; negative zero and NaN lose their sign.
            bits = some.float().abs().view(torch.int32)
            highest = torch.maximum(highest, bits.max())
            yield bits.mul_(there), there
        if int(highest) > _INFINITY:
            raise LsnError(
                "A pruning score is not a number, so training diverged; use a lower learning rate."
            )

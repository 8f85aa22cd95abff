"""Which weights a round removes. Pure functions on tensors; nothing here trains or touches files."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import torch

from lsn_core.errors import LsnError
from lsn_core.masks.layout import Layout


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
) -> list[torch.Tensor]:
    """Keep the highest scores of each group of matrices, `keep` in all, by `divide` and `keep_largest`."""
    shares = divide(
        keep,
        [sum(alive[m].numel() for m in group) for group in groups],
        [sum(int(torch.count_nonzero(alive[m])) for m in group) for group in groups],
    )
    kept: dict[int, torch.Tensor] = {}
    for group, share in zip(groups, shares, strict=True):
        chosen = keep_largest([scores[m] for m in group], [alive[m] for m in group], share)
        kept.update(zip(group, chosen, strict=True))
    return [kept[m] for m in range(len(alive))]


def keep_largest(
    scores: Sequence[torch.Tensor], alive: Sequence[torch.Tensor], keep: int
) -> list[torch.Tensor]:
    """Keep the `keep` highest scores among the weights that are still alive, over all matrices together.

    This is global unstructured pruning (Han et al. 2015; Foroutan et al. 2022, section 3). Among equal
    scores the first in layout order are kept, so that the result is deterministic.

    Parameters
    ----------
    scores: per matrix, float scores of its weights (any shape, never negative).
    alive: per matrix, bool of the same shape; a removed weight stays removed.
    keep: number of weights kept in all; at most the number alive.

    Returns per matrix a bool tensor of the same shape. Raises LsnError when a score is not a number or
    fewer than `keep` weights are alive.
    """
    flat = torch.cat([s.detach().reshape(-1).float() for s in scores])
    living = torch.cat([a.reshape(-1) for a in alive])
    if bool(torch.isnan(flat).any()):
        raise LsnError("A pruning score is not a number, so training diverged; use a lower learning rate.")
    _check_alive(keep, int(torch.count_nonzero(living)))
    # A removed weight counts as zero: it never raises the threshold, and is never among the ties.
    flat.masked_fill_(~living, 0.0)
    kept = _largest(flat, living, keep)
    return [
        part.reshape(a.shape) for part, a in zip(kept.split([a.numel() for a in alive]), alive, strict=True)
    ]


def _check_alive(keep: int, alive: int) -> None:
    if keep > alive:
        raise LsnError(f"Cannot keep {keep} weights: only {alive} are left after the rounds before.")


def _largest(values: torch.Tensor, living: torch.Tensor, keep: int) -> torch.Tensor:
    if keep == 0:
        return torch.zeros_like(living)
    threshold = _nth_largest(values, keep)
    kept = values > threshold
    missing = keep - int(torch.count_nonzero(kept))
    ties = torch.nonzero((values == threshold) & living).reshape(-1)[:missing]
    kept[ties] = True
    return kept


def _nth_largest(values: torch.Tensor, n: int) -> torch.Tensor:
    """Return the n-th largest (from 1) of float32 values that are not negative.

    Two passes of counting over the upper and the lower half of their bits, as floats from zero up are
    ordered like their bit patterns: linear in the number of values, where selecting and sorting are not.
    """
    bits = (values + 0.0).view(torch.int32)  # adding zero turns a negative zero into a positive one
    upper = bits >> 16
    bucket, above = _bucket_of(upper, n)
    lower = bits[upper == bucket] & 0xFFFF
    low, _ = _bucket_of(lower, n - above)
    return torch.tensor((bucket << 16) | low, dtype=torch.int32, device=values.device).view(torch.float32)


def _bucket_of(numbers: torch.Tensor, n: int) -> tuple[int, int]:
    """Return the n-th largest of 16-bit numbers, and how many are larger than it."""
    counts = torch.bincount(numbers, minlength=1 << 16)
    at_least = counts.flip(0).cumsum(0).flip(0)
    bucket = int(torch.nonzero(at_least >= n)[-1])
    return bucket, int(at_least[bucket] - counts[bucket])

"""Which weights a round removes. Pure functions on tensors; nothing here trains or touches files."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lsn_core.errors import LsnError


def kept_at(size: int, sparsity: float) -> int:
    """Return how many of `size` weights are kept at a sparsity: exact to one weight."""
    return size - round(sparsity * size)


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
    count = int(living.sum())
    if keep > count:
        raise LsnError(f"Cannot keep {keep} weights: only {count} are left after the rounds before.")
    flat.masked_fill_(~living, -1.0)
    kept = _largest(flat, keep)
    return [
        part.reshape(a.shape) for part, a in zip(kept.split([a.numel() for a in alive]), alive, strict=True)
    ]


def _largest(flat: torch.Tensor, keep: int) -> torch.Tensor:
    if keep == 0:
        return torch.zeros_like(flat, dtype=torch.bool)
    threshold = torch.kthvalue(flat, flat.numel() - keep + 1).values
    kept = flat > threshold
    missing = keep - int(kept.sum())
    ties = torch.nonzero(flat == threshold).reshape(-1)[:missing]
    kept[ties] = True
    return kept

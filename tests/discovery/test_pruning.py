"""The mask of a round against `torch.nn.utils.prune`, and its exactness where magnitudes tie."""

from __future__ import annotations

import pytest
import torch
from torch.nn.utils import prune

from lsn_core.discovery.pruning import keep_largest, kept_at
from lsn_core.errors import LsnError


def _modules(seed: int, dtype: torch.dtype = torch.float32) -> list[torch.nn.Linear]:
    torch.manual_seed(seed)
    shapes = [(17, 9), (8, 33), (40, 40), (1, 7)]
    return [torch.nn.Linear(columns, rows, dtype=dtype) for rows, columns in shapes]


def _all_alive(modules: list[torch.nn.Linear]) -> list[torch.Tensor]:
    return [torch.ones_like(m.weight, dtype=torch.bool) for m in modules]


@pytest.mark.parametrize("sparsity", [0.0, 0.1, 0.35, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_equals_global_unstructured_l1(sparsity: float, seed: int) -> None:
    modules = _modules(seed)
    size = sum(m.weight.numel() for m in modules)
    ours = keep_largest([m.weight.abs() for m in modules], _all_alive(modules), kept_at(size, sparsity))
    prune.global_unstructured(
        [(m, "weight") for m in modules], prune.L1Unstructured, amount=size - kept_at(size, sparsity)
    )
    for kept, module in zip(ours, modules, strict=True):
        assert torch.equal(kept, module.weight_mask.bool())


def test_rounds_equal_repeated_global_unstructured() -> None:
    ours, theirs = _modules(5), _modules(5)
    size = sum(m.weight.numel() for m in ours)
    alive = _all_alive(ours)
    for number in range(1, 10):
        keep = kept_at(size, number / 10)
        alive = keep_largest([m.weight.abs() for m in ours], alive, keep)
        left = int(sum((m.weight != 0).sum() for m in theirs))
        prune.global_unstructured([(m, "weight") for m in theirs], prune.L1Unstructured, amount=left - keep)
        for kept, module in zip(alive, theirs, strict=True):
            assert torch.equal(kept, module.weight_mask.bool())


def test_ties_break_in_layout_order_and_the_count_is_exact() -> None:
    scores = [torch.tensor([[1.0, 2.0], [1.0, 1.0]]), torch.tensor([[1.0, 3.0]])]
    alive = [torch.ones_like(s, dtype=torch.bool) for s in scores]
    kept = keep_largest(scores, alive, 4)
    assert kept[0].tolist() == [[True, True], [True, False]]
    assert kept[1].tolist() == [[False, True]]


def test_zero_weights_that_are_alive_are_kept_before_removed_ones() -> None:
    scores = [torch.tensor([[0.0, 5.0, 0.0, 0.0]])]
    alive = [torch.tensor([[False, True, True, False]])]
    assert keep_largest(scores, alive, 2)[0].tolist() == [[False, True, True, False]]


@pytest.mark.parametrize(
    ("size", "sparsity", "kept"), [(10, 0.5, 5), (1179648, 0.1, 1061683), (7, 0.9, 1), (3, 0.0, 3)]
)
def test_kept_at_is_exact_to_one_weight(size: int, sparsity: float, kept: int) -> None:
    assert kept_at(size, sparsity) == kept


def test_diverged_training_is_one_sentence() -> None:
    with pytest.raises(LsnError, match="not a number"):
        keep_largest([torch.tensor([[float("nan"), 1.0]])], [torch.ones(1, 2, dtype=torch.bool)], 1)


def test_more_than_are_alive_is_one_sentence() -> None:
    with pytest.raises(LsnError, match="only 1 are left"):
        keep_largest([torch.ones(1, 2)], [torch.tensor([[True, False]])], 2)

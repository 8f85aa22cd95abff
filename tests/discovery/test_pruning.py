"""The mask of a round against `torch.nn.utils.prune`, and its exactness where magnitudes tie."""

from __future__ import annotations

import weakref
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils import prune

from lsn_core.discovery import pruning
from lsn_core.discovery.config import SCOPES
from lsn_core.discovery.pruning import Computed, divide, groups_of, keep_in_groups, keep_largest, kept_at
from lsn_core.errors import LsnError
from tests.synthetic import odd_layout, small_layout


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


def _sorted(scores: list[torch.Tensor], alive: list[torch.Tensor], keep: int) -> list[list[bool]]:
    """What stays when all weights that are alive are sorted by score, and then by place."""
    places = [
        (-float(score), m, n)
        for m, (row, there) in enumerate(zip(scores, alive, strict=True))
        for n, (score, one) in enumerate(zip(row.float().reshape(-1), there.reshape(-1), strict=True))
        if one
    ]
    best = {(m, n) for _, m, n in sorted(places)[:keep]}
    return [[(m, n) in best for n in range(row.numel())] for m, row in enumerate(scores)]


_FEW = (0.0, -0.0, 1e-45, 1e-38, 0.5, 0.50000006, 1.0, 3.0, float("inf"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@given(data=st.data())
def test_equals_sorting_whatever_ties_there_are(dtype: torch.dtype, data: st.DataObject) -> None:
    shapes = data.draw(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 7)), min_size=1, max_size=4))
    scores, alive = [], []
    for rows, columns in shapes:
        size = rows * columns
        value = st.one_of(st.sampled_from(_FEW), st.floats(0, 2, width=32))
        drawn = data.draw(st.lists(value, min_size=size, max_size=size))
        there = data.draw(st.lists(st.booleans(), min_size=size, max_size=size))
        scores.append(torch.tensor(drawn, dtype=dtype).reshape(rows, columns))
        alive.append(torch.tensor(there).reshape(rows, columns))
    keep = data.draw(st.integers(0, sum(int(a.sum()) for a in alive)))
    piece, pruning._PIECE = pruning._PIECE, data.draw(st.sampled_from([1, 3, 1 << 18]))
    try:
        found = keep_largest(scores, alive, keep)
    finally:
        pruning._PIECE = piece
    assert [kept.reshape(-1).tolist() for kept in found] == _sorted(scores, alive, keep)
    assert [kept.shape for kept in found] == [score.shape for score in scores]


def test_one_matrix_is_held_at_a_time() -> None:
    """Every matrix's scores are let go before those of the next are made."""
    torch.manual_seed(0)
    weights = [torch.randn(30, 20) for _ in range(6)]
    made: list[weakref.ref[torch.Tensor]] = []
    most = 0

    def score(number: int) -> torch.Tensor:
        nonlocal most
        found = weights[number].abs()
        made.append(weakref.ref(found))
        most = max(most, sum(one() is not None for one in made))
        return found

    alive = [torch.ones(30, 20, dtype=torch.bool)] * 6
    streamed = list(keep_in_groups(Computed(score, 6), alive, 1234, [range(6)]))
    assert most <= 2
    whole = keep_largest([w.abs() for w in weights], alive, 1234)
    assert all(torch.equal(a, b) for a, b in zip(streamed, whole, strict=True))


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
    for nan in (float("nan"), -float("nan")):
        for removed in (False, True):
            alive = [torch.tensor([[not removed, True]])]
            with pytest.raises(LsnError, match="not a number"):
                keep_largest([torch.tensor([[nan, 1.0]])], alive, 1)


def test_more_than_are_alive_is_one_sentence() -> None:
    with pytest.raises(LsnError, match="only 1 are left"):
        keep_largest([torch.ones(1, 2)], [torch.tensor([[True, False]])], 2)


@pytest.mark.parametrize("sparsity", [0.1, 0.5, 0.9])
def test_scope_matrix_equals_l1_unstructured_of_each_matrix(sparsity: float) -> None:
    torch.manual_seed(3)
    modules = [torch.nn.Linear(columns, rows) for rows, columns in [(20, 10), (10, 30), (40, 40), (1, 10)]]
    size = sum(m.weight.numel() for m in modules)
    groups = [[0], [1], [2], [3]]
    ours = list(
        keep_in_groups(
            [m.weight.abs() for m in modules], _all_alive(modules), kept_at(size, sparsity), groups
        )
    )
    for kept, module in zip(ours, modules, strict=True):
        prune.l1_unstructured(module, "weight", amount=sparsity)
        assert torch.equal(kept, module.weight_mask.bool())


@pytest.mark.parametrize("scope", SCOPES)
def test_groups_hold_every_matrix_once(scope: str) -> None:
    for layout in (odd_layout(), small_layout(pooler=True)):
        groups = groups_of(layout, scope)
        assert sorted(m for group in groups for m in group) == list(range(len(layout.matrices)))


def test_groups_of_an_encoder_with_a_pooler() -> None:
    layout = small_layout(layers=2, pooler=True)
    assert groups_of(layout, "global") == [list(range(13))] == groups_of(layout, "stack")
    assert groups_of(layout, "layer") == [list(range(6)), list(range(6, 12)), [12]]
    assert groups_of(layout, "matrix") == [[m] for m in range(13)]


def test_groups_of_encoder_and_decoder_are_apart() -> None:
    matrices = odd_layout().matrices
    for scope in ("stack", "layer"):
        for group in groups_of(odd_layout(), scope):
            assert (
                len({(matrices[m].stack, matrices[m].layer if scope == "layer" else 0) for m in group}) == 1
            )
    assert len(groups_of(odd_layout(), "stack")) == 2


def test_what_rounding_leaves_goes_to_the_largest_remainders() -> None:
    # 5 of 9: shares of 2 7/9, 1 1/9 and 1 1/9.
    assert divide(5, [5, 2, 2], [5, 2, 2]) == [3, 1, 1]
    # 4 of 12 halves of equal size: 1 1/3 each, so the first one gets the one that is left.
    assert divide(4, [4, 4, 4], [4, 4, 4]) == [2, 1, 1]
    assert divide(4, [4, 4, 4], [1, 4, 4]) == [1, 2, 1]


@given(
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=8),
    cuts=st.lists(st.floats(0, 1), min_size=1, max_size=6),
)
def test_shares_are_exact_fair_and_shrink_from_round_to_round(sizes: list[int], cuts: list[float]) -> None:
    alive = sizes
    for cut in sorted(cuts):
        keep = kept_at(sum(sizes), cut)
        shares = divide(keep, sizes, alive)
        assert sum(shares) == keep
        for share, size, most in zip(shares, sizes, alive, strict=True):
            assert share <= most
            assert abs(share - keep * size / sum(sizes)) < 1 + 1e-9 or most < size
        alive = shares


def test_too_few_alive_in_all_groups_is_one_sentence() -> None:
    with pytest.raises(LsnError, match="only 3 are left"):
        divide(4, [4, 4], [2, 1])


@pytest.mark.parametrize("scope", SCOPES)
def test_every_part_of_a_scope_has_the_same_sparsity_and_masks_are_nested(scope: str) -> None:
    layout = odd_layout()
    torch.manual_seed(0)
    groups = groups_of(layout, scope)
    alive = [torch.ones(m.shape, dtype=torch.bool) for m in layout.matrices]
    found = [alive]
    for number in range(1, 10):
        keep = kept_at(layout.size, number / 10)
        scores = [torch.rand(m.shape) for m in layout.matrices]
        alive = list(keep_in_groups(scores, alive, keep, groups))
        assert sum(int(kept.sum()) for kept in alive) == keep
        for group in groups:
            size = sum(layout.matrices[m].size for m in group)
            assert abs(sum(int(alive[m].sum()) for m in group) - keep * size / layout.size) < 1
        found.append(alive)
    for before, after in pairwise(found):
        assert not any((a & ~b).any() for a, b in zip(after, before, strict=True))

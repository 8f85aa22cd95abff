from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsn_core.analysis import intersections as module
from lsn_core.analysis.intersections import intersections
from lsn_core.errors import LsnError
from lsn_core.masks.layout import Layout, Matrix
from lsn_core.masks.mask import Mask
from tests.synthetic import odd_layout, random_mask, small_layout


def brute_force(masks: Sequence[Mask]) -> np.ndarray:
    """The counts from plain arrays, one weight at a time."""
    layout = masks[0].layout
    return np.array(
        [[[int(np.sum(a[name] & b[name])) for name in layout.names] for b in masks] for a in masks],
        dtype=np.int64,
    )


def cases(layout: Layout) -> dict[str, list[Mask]]:
    """Sets of masks that could each go wrong in their own way."""
    rng = np.random.default_rng(0)
    full, empty, some = Mask.full(layout), Mask.empty(layout), random_mask(layout, 0.5, rng)
    return {
        "random": [random_mask(layout, density, rng) for density in (0.01, 0.3, 0.5, 0.9)],
        "empty": [empty, empty, some],
        "full": [full, full, some],
        "disjoint": [some, ~some, empty],
        "identical": [some, some, some],
        "one": [some],
    }


@pytest.mark.parametrize("layout", [odd_layout(), small_layout(pooler=True)], ids=["odd", "small"])
@pytest.mark.parametrize("case", list(cases(odd_layout())))
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_counts_equal_brute_force(layout: Layout, case: str, threads: int) -> None:
    masks = cases(layout)[case]
    found = intersections(masks, threads)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, brute_force(masks))


@pytest.mark.parametrize("block_bytes", [1, 2000, 2**14, 2**20])
def test_counts_do_not_hang_on_the_size_of_a_block(monkeypatch: pytest.MonkeyPatch, block_bytes: int) -> None:
    layout = Layout(
        (Matrix("a", (200, 333), "encoder", 0, "query"), Matrix("b", (64, 64), "encoder", 0, "key"))
    )
    rng = np.random.default_rng(1)
    masks = [random_mask(layout, 0.5, rng) for _ in range(5)]
    monkeypatch.setattr(module, "_BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(module, "_WORDS_A_THREAD", 100)
    for threads in (1, 2, None):
        np.testing.assert_array_equal(intersections(masks, threads), brute_force(masks))


def test_counts_above_what_a_byte_or_two_hold() -> None:
    layout = Layout((Matrix("a", (2048, 1024), "encoder", 0, "query"),))
    assert intersections([Mask.full(layout), Mask.full(layout)]).tolist() == [[[2**21]] * 2] * 2


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_properties(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    layout = odd_layout()
    masks = [random_mask(layout, rng.random(), rng) for _ in range(count)]
    found = intersections(masks)
    np.testing.assert_array_equal(found, found.transpose(1, 0, 2))
    kept = np.array([mask.counts for mask in masks])
    np.testing.assert_array_equal(np.einsum("iim->im", found), kept)
    assert np.all(found <= np.minimum(kept[:, None], kept[None, :]))
    assert np.all(found >= kept[:, None] + kept[None, :] - layout.sizes)
    np.testing.assert_array_equal(
        found, intersections([Mask.from_arrays(shuffled(mask, seed), layout) for mask in masks])
    )


def shuffled(mask: Mask, seed: int) -> dict[str, np.ndarray]:
    """The mask with the weights of each matrix in another order, the same for every mask."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.permutation(array.ravel()).reshape(array.shape) for name, array in mask.arrays().items()
    }


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(LsnError, match="no masks"):
        intersections([])
    with pytest.raises(LsnError, match="different matrices"):
        intersections([Mask.full(odd_layout()), Mask.full(small_layout())])

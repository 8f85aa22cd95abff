from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsn_core.analysis import intersections as module
from lsn_core.analysis.counts import Counts
from lsn_core.analysis.intersections import intersections
from lsn_core.analysis.overlap import overlap_table
from lsn_core.errors import CorruptFile, LsnError
from lsn_core.masks import layout as layouts
from lsn_core.masks.layout import Layout, Matrix
from lsn_core.masks.mask import Mask
from lsn_core.masks.stored import store
from lsn_core.masks.ticket import TicketKey
from tests.memory import at_most
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


@pytest.mark.parametrize("chunk_words", [1, 100, 2**13])
def test_counts_do_not_hang_on_the_size_of_a_chunk(monkeypatch: pytest.MonkeyPatch, chunk_words: int) -> None:
    monkeypatch.setattr(layouts, "CHUNK_WORDS", chunk_words)
    monkeypatch.setattr(module, "_WORDS_A_THREAD", 100)
    layout = wide_layout()
    rng = np.random.default_rng(1)
    masks = [random_mask(layout, 0.5, rng) for _ in range(5)]
    for threads in (1, 2, None):
        np.testing.assert_array_equal(intersections(masks, threads), brute_force(masks))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 8, 9, 16, 17, 33, 40])
def test_any_number_of_masks(count: int) -> None:
    rng = np.random.default_rng(count)
    masks = [random_mask(odd_layout(), rng.random(), rng) for _ in range(count)]
    np.testing.assert_array_equal(intersections(masks), brute_force(masks))


def wide_layout() -> Layout:
    """A matrix of several chunks, the last one short, and one of part of a chunk."""
    return Layout(
        (Matrix("a", (1000, 1111), "encoder", 0, "query"), Matrix("b", (64, 64), "encoder", 0, "key"))
    )


def test_counts_above_what_a_byte_or_two_hold() -> None:
    layout = Layout((Matrix("a", (2048, 1024), "encoder", 0, "query"),))
    assert intersections([Mask.full(layout), Mask.full(layout)]).tolist() == [[[2**21]] * 2] * 2


sizes = st.tuples(st.integers(1, 9), st.integers(1, 40))


@st.composite
def some_masks(draw: st.DrawFn, least: int = 1) -> list[Mask]:
    """Up to six masks, of any densities, over one to four matrices of sizes that need not fill words."""
    shapes = draw(st.lists(sizes, min_size=1, max_size=4))
    layout = Layout(
        tuple(Matrix(f"matrix {index}", shape, "encoder", index, "key") for index, shape in enumerate(shapes))
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    densities = draw(st.lists(st.floats(0, 1), min_size=least, max_size=6))
    return [random_mask(layout, density, rng) for density in densities]


@given(some_masks())
def test_counts_are_symmetric_and_bounded(masks: list[Mask]) -> None:
    found = intersections(masks)
    np.testing.assert_array_equal(found, found.transpose(1, 0, 2))
    kept = np.array([mask.counts for mask in masks])
    np.testing.assert_array_equal(np.einsum("iim->im", found), kept)
    assert np.all(found <= np.minimum(kept[:, None], kept[None, :]))
    assert np.all(found >= np.maximum(0, kept[:, None] + kept[None, :] - masks[0].layout.sizes))


@given(some_masks())
def test_packed_and_plain_and_threads_agree(masks: list[Mask]) -> None:
    expected = brute_force(masks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layouts, "CHUNK_WORDS", 2)
        patch.setattr(module, "_WORDS_A_THREAD", 1)
        again = [Mask.from_arrays(mask.arrays(), Layout(mask.layout.matrices)) for mask in masks]
        for threads in (1, 2):
            np.testing.assert_array_equal(intersections(again, threads), expected)


@given(some_masks(least=3), st.integers(0, 2**32 - 1))
def test_no_measure_hangs_on_the_order_of_the_weights_in_a_matrix(masks: list[Mask], seed: int) -> None:
    moved = [Mask.from_arrays(shuffled(mask, seed), mask.layout) for mask in masks]
    before, after = counted(masks), counted(moved)
    np.testing.assert_array_equal(before.pair, after.pair)
    for by in ("total", "component", "matrix"):
        pd.testing.assert_frame_equal(overlap_table(before, by), overlap_table(after, by))


def counted(masks: Sequence[Mask]) -> Counts:
    """The masks as tickets of two seeds a language, the last one as the base mask."""
    pair = intersections(masks)
    keys = tuple(TicketKey("mlm", f"l{number // 2}", "imp", number % 2) for number in range(len(masks) - 1))
    return Counts(masks[0].layout, keys, 0.5, pair[:-1, :-1], pair[-1, -1], pair[:-1, -1])


def shuffled(mask: Mask, seed: int) -> dict[str, np.ndarray]:
    """The mask with the weights of each matrix in another order, the same for every mask."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.permutation(array.ravel()).reshape(array.shape) for name, array in mask.arrays().items()
    }


@settings(max_examples=30)
@given(some_masks())
def test_masks_on_disk_count_as_those_in_memory(
    tmp_path_factory: pytest.TempPathFactory, masks: list[Mask]
) -> None:
    folder = tmp_path_factory.mktemp("stored")
    stored = [store(folder / str(number), mask) for number, mask in enumerate(masks)]
    np.testing.assert_array_equal(intersections(stored, 1), intersections(masks))
    np.testing.assert_array_equal(intersections([masks[0], *stored[1:]], 2), intersections(masks))


def test_many_masks_on_disk_take_little_memory(tmp_path: Path) -> None:
    layout = Layout(tuple(Matrix(f"m{index}", (1024, 2048), "encoder", index, "key") for index in range(8)))
    rng = np.random.default_rng(2)
    stored, words = [], int(layout.word_offsets[-1])
    for number in range(40):
        mask = Mask(rng.integers(0, 2**64, words, dtype=np.uint64), layout)
        stored.append(store(tmp_path / str(number), mask))
    packed = 40 * 8 * words
    with at_most(packed // 4):  # two threads hold one chunk in sixteen of every mask's, each
        found = intersections(stored, 2)
    assert found[3, 3].tolist() == stored[3].load().counts.tolist()


def test_a_file_that_changed_is_never_counted(tmp_path: Path) -> None:
    mask = random_mask(wide_layout(), 0.5, np.random.default_rng(3))
    stored = [store(tmp_path / name, mask) for name in "ab"]
    content = bytearray(stored[1].path.read_bytes())
    content[-5] ^= 4
    stored[1].path.write_bytes(content)
    with pytest.raises(CorruptFile, match="not those that were written"):
        intersections(stored)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(LsnError, match="no masks"):
        intersections([])
    with pytest.raises(LsnError, match="different matrices"):
        intersections([Mask.full(odd_layout()), Mask.full(small_layout())])

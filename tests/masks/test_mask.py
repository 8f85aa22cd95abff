from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsn_core.errors import LsnError
from lsn_core.masks.layout import Layout, Matrix
from lsn_core.masks.mask import Mask, mask_from_survival, survival_from_masks
from tests.synthetic import odd_layout, random_mask, small_layout

seeds = st.integers(0, 2**32 - 1)
densities = st.sampled_from([0.0, 0.01, 0.3, 0.5, 0.9, 1.0])


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    shapes = draw(st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20)), min_size=1, max_size=4))
    return Layout(
        tuple(Matrix(f"m{index}", shape, "encoder", index, "query") for index, shape in enumerate(shapes))
    )


@st.composite
def masks(draw: st.DrawFn, layout: Layout | None = None) -> Mask:
    return random_mask(layout or draw(layouts()), draw(densities), np.random.default_rng(draw(seeds)))


@given(layouts(), densities, seeds)
def test_packed_is_the_same_as_plain(layout: Layout, density: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    arrays = {matrix.name: rng.random(matrix.shape) < density for matrix in layout.matrices}
    mask = Mask.from_arrays(arrays, layout)
    assert list(mask.arrays()) == list(layout.names)
    for name, array in arrays.items():
        assert mask[name].dtype == np.bool_
        np.testing.assert_array_equal(mask[name], array)
    assert mask.counts.tolist() == [int(array.sum()) for array in arrays.values()]
    assert mask.kept == sum(int(array.sum()) for array in arrays.values())
    assert mask.density == pytest.approx(mask.kept / layout.size)
    assert mask.sparsity == pytest.approx(1 - mask.density)
    assert Mask.from_words(mask.words, layout) == mask
    assert Mask.from_sequence((arrays[name] for name in layout.names), layout) == mask


def test_a_sequence_that_does_not_fit_is_refused() -> None:
    layout = odd_layout()
    arrays = [np.zeros(matrix.shape, dtype=bool) for matrix in layout.matrices]
    with pytest.raises(LsnError, match=f"lacks the matrix {layout.names[-1]}"):
        Mask.from_sequence(arrays[:-1], layout)
    with pytest.raises(LsnError, match=f"{layout.names[0]} is bool"):
        Mask.from_sequence([arrays[0].T, *arrays[1:]], layout)
    with pytest.raises(LsnError, match=f"{layout.names[0]} is uint8"):
        Mask.from_sequence([arrays[0].astype(np.uint8), *arrays[1:]], layout)


def test_bits_lie_row_by_row_lowest_first_on_new_words() -> None:
    layout = odd_layout()
    arrays = {matrix.name: np.zeros(matrix.shape, dtype=bool) for matrix in layout.matrices}
    arrays["enc.0.q"][0, 0] = arrays["enc.0.q"][1, 2] = True  # weights 0 and 7
    arrays["enc.1.q"][5, 10] = True  # weight 65: bit 1 of the matrix's second word
    words = Mask.from_arrays(arrays, layout).words
    assert words[0] == 2**0 + 2**7
    assert words[3] == 2**1
    assert words.sum() == 2**0 + 2**7 + 2**1


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int64, np.float32, np.float64])
def test_zeros_and_ones_of_any_number_type(dtype: type) -> None:
    layout = odd_layout()
    mask = random_mask(layout, 0.4, np.random.default_rng(0))
    assert (
        Mask.from_arrays({name: array.astype(dtype) for name, array in mask.arrays().items()}, layout) == mask
    )


def test_arrays_in_any_memory_order() -> None:
    layout = odd_layout()
    mask = random_mask(layout, 0.4, np.random.default_rng(0))
    assert (
        Mask.from_arrays({n: np.asfortranarray(array) for n, array in mask.arrays().items()}, layout) == mask
    )


@pytest.mark.parametrize("wrong", [2, -1, 0.5, np.nan, np.inf])
def test_other_values_are_refused_by_name(wrong: float) -> None:
    layout = odd_layout()
    arrays = {matrix.name: np.zeros(matrix.shape) for matrix in layout.matrices}
    arrays["enc.1.ff"][2, 3] = wrong
    with pytest.raises(LsnError, match=r"enc\.1\.ff holds values other than 0 and 1"):
        Mask.from_arrays(arrays, layout)


def test_missing_unknown_and_misshapen_matrices_are_refused_by_name() -> None:
    layout = odd_layout()
    arrays = {matrix.name: np.ones(matrix.shape) for matrix in layout.matrices}
    with pytest.raises(LsnError, match="lacks the matrix pooler"):
        Mask.from_arrays({name: array for name, array in arrays.items() if name != "pooler"}, layout)
    with pytest.raises(LsnError, match="'embedding', which is no prunable matrix"):
        Mask.from_arrays(arrays | {"embedding": np.ones((2, 2))}, layout)
    with pytest.raises(LsnError, match=r"enc\.0\.q has shape \(5, 3\), not \(3, 5\)"):
        Mask.from_arrays(arrays | {"enc.0.q": np.ones((5, 3))}, layout)
    with pytest.raises(LsnError, match=r"enc\.0\.q holds <U1"):
        Mask.from_arrays(arrays | {"enc.0.q": np.full((3, 5), "1")}, layout)


def test_words_are_checked() -> None:
    layout = odd_layout()
    words = Mask.full(layout).words
    for wrong in (words[:-1], words.astype(np.int64), words.reshape(2, -1), words.tolist()):
        with pytest.raises(LsnError, match=r"needs uint64 \(12,\)"):
            Mask.from_words(wrong, layout)
    stray = words.copy()
    stray[3] |= np.uint64(2**13)  # enc.1.q has 77 weights, so 13 bits in its second word
    with pytest.raises(LsnError, match=r"beyond the end of enc\.1\.q"):
        Mask.from_words(stray, layout)


def test_a_mask_cannot_be_changed() -> None:
    layout = odd_layout()
    words = np.zeros(12, dtype=np.uint64)
    mask = Mask.from_words(words, layout)
    words[0] = 1
    assert mask.kept == 0
    window = np.zeros(24, dtype=np.uint64)
    view = window[:12]
    view.setflags(write=False)
    mask = Mask.from_words(view, layout)
    window[0] = 1
    assert mask.kept == 0
    for array in (mask.words, mask.counts):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_full_and_empty() -> None:
    layout = odd_layout()
    full, empty = Mask.full(layout), Mask.empty(layout)
    assert full.counts.tolist() == layout.sizes.tolist()
    assert empty.counts.tolist() == [0] * 7
    assert (full.sparsity, empty.sparsity) == (0, 1)
    assert ~full == empty
    assert ~empty == full


@given(st.data())
def test_set_operations(data: st.DataObject) -> None:
    layout = data.draw(layouts())
    a, b = data.draw(masks(layout)), data.draw(masks(layout))
    for name in layout.names:
        np.testing.assert_array_equal((a & b)[name], a[name] & b[name])
        np.testing.assert_array_equal((a | b)[name], a[name] | b[name])
        np.testing.assert_array_equal((a ^ b)[name], a[name] ^ b[name])
        np.testing.assert_array_equal((a - b)[name], a[name] & ~b[name])
        np.testing.assert_array_equal((~a)[name], ~a[name])
    assert (a <= b) == all(np.all(~a[name] | b[name]) for name in layout.names)
    assert (a & b) <= a <= (a | b)
    assert (a == b) == (a.content_hash == b.content_hash)
    assert a.kept + b.kept == (a & b).kept + (a | b).kept


def test_masks_of_different_models_cannot_be_combined() -> None:
    a, b = Mask.full(odd_layout()), Mask.full(small_layout())
    for operation in (lambda: a & b, lambda: a | b, lambda: a ^ b, lambda: a - b, lambda: a <= b):
        with pytest.raises(LsnError, match="different matrices"):
            operation()
    assert a != b
    assert a != "a mask"


def test_the_hash_tells_masks_apart_down_to_a_bit_and_a_name() -> None:
    layout = odd_layout()
    mask = random_mask(layout, 0.5, np.random.default_rng(1))
    words = mask.words.copy()
    words[0] ^= np.uint64(1)
    renamed = Layout((Matrix("other", (3, 5), "encoder", 0, "query"), *layout.matrices[1:]))
    other, moved = Mask.from_words(words, layout), Mask.from_words(mask.words, renamed)
    assert len({mask.content_hash, other.content_hash, moved.content_hash}) == 3
    assert len({mask, other, Mask.from_words(mask.words, layout)}) == 2
    # Pinned: a refactoring must not orphan what was written.
    assert (
        Mask.full(layout).content_hash == "c53f12598228503aa3637ec400fd0e1212e3ba1915ccd0175d1ed8c32550b071"
    )


@given(st.data(), st.integers(1, 20))
def test_nested_masks_become_survival_and_back(data: st.DataObject, levels: int) -> None:
    layout = data.draw(layouts())
    mask, nested = Mask.full(layout), []
    for _ in range(levels):
        mask = mask & data.draw(masks(layout))
        nested.append(mask)
    survival = survival_from_masks(nested)
    assert survival.dtype == np.uint8
    assert survival.shape == (layout.size,)
    assert [mask_from_survival(survival, level, layout) for level in range(levels)] == nested


def test_masks_that_are_not_nested_are_refused() -> None:
    layout = odd_layout()
    with pytest.raises(LsnError, match="level 2 keeps weights that level 1 removed"):
        survival_from_masks([Mask.full(layout), Mask.empty(layout), Mask.full(layout)])
    for count in (0, 256):
        with pytest.raises(LsnError, match=f"not {count}"):
            survival_from_masks([Mask.empty(layout)] * count)


def test_survival_of_another_layout_is_refused() -> None:
    for wrong in (np.zeros(493, np.uint8), np.zeros(494, np.int64), np.zeros((1, 494), np.uint8)):
        with pytest.raises(LsnError, match=r"needs uint8 \(494,\)"):
            mask_from_survival(wrong, 0, odd_layout())

"""Masks taken apart: against counting weight by weight, in matrices of any shape."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsn_core.analysis.anatomy import (
    EVERY,
    MOST_BLOCKS,
    NO_LAYER,
    block_means,
    by_lot,
    head_densities,
    known_heads,
    line_density,
    place_table,
)
from lsn_core.errors import LsnError
from lsn_core.masks.layout import Layout, Matrix
from lsn_core.masks.mask import Mask
from tests.memory import at_most
from tests.synthetic import odd_layout, random_mask, small_layout

PLACES = {"encoder.0", "encoder.1", "decoder.0", NO_LAYER, EVERY}


def masks(layout: Layout, seed: int = 0, count: int = 3) -> list[Mask]:
    rng = np.random.default_rng(seed)
    return [random_mask(layout, density, rng) for density in (0.5, 0.4, 0.6)[:count]]


def members(layout: Layout, layer: str, component: str) -> list[str]:
    """The matrices of a place, found by what they say of themselves."""
    return [
        m.name
        for m in layout.matrices
        if layer in (EVERY, NO_LAYER if m.layer is None else f"{m.stack}.{m.layer}")
        and component in (EVERY, m.component)
    ]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_every_place_is_counted_weight_by_weight(seed: int) -> None:
    layout = odd_layout()
    left, right, base = masks(layout, seed)
    table = place_table(left, right, base)
    assert set(table["layer"]) == PLACES
    assert not table.duplicated(["layer", "component"]).any()
    for row in table.itertuples():
        names = members(layout, row.layer, row.component)
        assert names
        expected, reference = 0.0, 0.0
        bits = {
            k: np.concatenate([m[n].ravel() for n in names])
            for k, m in (("l", left), ("r", right), ("b", base))
        }
        for name in names:
            a, b, r = (mask[name].ravel() for mask in (left, right, base))
            expected += a.sum() * b.sum() / a.size
            for part in (r, ~r):
                if part.any():
                    reference += (a & part).sum() * (b & part).sum() / part.sum()
        either = (bits["l"] | bits["r"]).sum()
        kept = bits["l"].sum() + bits["r"].sum()
        assert row.size == bits["l"].size
        assert (row.left, row.right) == (bits["l"].sum(), bits["r"].sum())
        assert row.both == (bits["l"] & bits["r"]).sum()
        assert row.left_in_base == (bits["l"] & bits["b"]).sum()
        assert row.right_in_base == (bits["r"] & bits["b"]).sum()
        assert row.density_left == pytest.approx(bits["l"].mean())
        if either:
            assert row.jaccard == pytest.approx(row.both / either)
            assert row.jaccard_chance == pytest.approx(expected / (kept - expected))
            assert row.jaccard_reference == pytest.approx(reference / (kept - reference))
        else:
            assert np.isnan(row.jaccard)


def test_what_is_not_there_is_unknown_and_not_zero() -> None:
    layout = small_layout(layers=2, pooler=True)
    left, right, base = masks(layout)
    alone = place_table(left)
    assert alone[["right", "both", "jaccard", "reference", "left_in_base"]].isna().all(axis=None)
    assert alone["density_left"].notna().all()
    pair = place_table(left, right)
    assert pair[["reference", "jaccard_reference", "left_in_base"]].isna().all(axis=None)
    assert pair[["jaccard", "jaccard_chance"]].notna().all(axis=None)
    assert place_table(left, None, base)["left_in_base"].notna().all()
    nothing = place_table(Mask.empty(layout), Mask.empty(layout))
    assert (nothing["density_left"] == 0).all()
    assert nothing["jaccard"].isna().all()


def test_same_mask_twice_and_its_opposite() -> None:
    left = masks(odd_layout())[0]
    assert (place_table(left, left)["jaccard"].dropna() == 1).all()
    assert (place_table(left, ~left)["jaccard"] == 0).all()


def test_masks_of_different_models_are_not_compared() -> None:
    with pytest.raises(LsnError, match="different matrices"):
        place_table(masks(odd_layout())[0], masks(small_layout())[0])


@settings(deadline=None, max_examples=80)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 12), st.integers(0, 1000))
def test_blocks_are_means_of_what_lies_in_them(rows: int, columns: int, most: int, seed: int) -> None:
    bits = np.random.default_rng(seed).random((rows, columns)) < 0.4
    found = block_means(bits, most)
    height, width = found.block
    assert found.shape == (rows, columns)
    assert max(found.value.shape) <= most
    for row in range(found.value.shape[0]):
        for column in range(found.value.shape[1]):
            inside = bits[row * height : (row + 1) * height, column * width : (column + 1) * width]
            assert inside.size
            assert found.value[row, column] == pytest.approx(inside.mean(), abs=1e-6)
    if max(rows, columns) <= most:
        np.testing.assert_array_equal(found.value, bits)


def test_blocks_of_differences_keep_their_sign() -> None:
    rng = np.random.default_rng(1)
    left, right = rng.random((2, 130, 97)) < 0.5
    apart = block_means(left.astype(np.int8) - right.astype(np.int8))
    assert apart.block == (2, 2)
    np.testing.assert_allclose(apart.value, block_means(left).value - block_means(right).value, atol=1e-6)
    assert apart.value.min() < 0 < apart.value.max()


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 9), st.sampled_from([0, 1]), st.integers(0, 999))
def test_lines_and_heads(groups: int, each: int, across: int, axis: int, seed: int) -> None:
    bits = np.random.default_rng(seed).random((groups * each, across)) < 0.5
    bits = bits if axis == 0 else bits.T
    lines = line_density(bits, axis)
    assert lines == pytest.approx([bits.take(k, axis=axis).sum() / across for k in range(bits.shape[axis])])
    heads = line_density(bits, axis, groups)
    assert heads == pytest.approx(
        [bits.take(range(k * each, (k + 1) * each), axis=axis).mean() for k in range(groups)]
    )
    assert lines.mean() == pytest.approx(bits.mean())


def test_lines_that_do_not_divide() -> None:
    with pytest.raises(LsnError, match="5 equal groups"):
        line_density(np.ones((12, 3), dtype=bool), 0, 5)


def test_heads_of_every_layer() -> None:
    mask = masks(small_layout(layers=3, hidden=8))[0]
    for component, axis in (("value", 0), ("attention output", 1)):
        found = head_densities(mask, component, 4)
        assert list(found) == ["encoder.0", "encoder.1", "encoder.2"]
        name = f"encoder.layer.1.{component.replace(' ', '_')}.weight"
        assert found["encoder.1"] == pytest.approx([part.mean() for part in np.split(mask[name], 4, axis)])
    with pytest.raises(LsnError, match="no attention heads"):
        head_densities(mask, "feed-forward in", 4)
    with pytest.raises(LsnError, match="3 equal groups"):
        head_densities(mask, "key", 3)


@pytest.mark.parametrize(
    ("component", "shape", "heads", "expected"),
    [
        ("query", (12, 8), 4, 4),
        ("cross key", (12, 8), 4, 4),
        ("attention output", (8, 12), 4, 4),
        ("cross output", (10, 12), 4, 4),
        ("query", (12, 8), 5, None),
        ("query", (12, 8), None, None),
        ("query", (12, 8), "4", None),
        ("query", (12, 8), 0, None),
        ("query", (12, 8), True, None),
        ("query", (12, 8), 4.0, None),
        ("feed-forward in", (12, 8), 4, None),
        ("pooler", (12, 12), 4, None),
    ],
)
def test_heads_are_known_or_not_guessed(
    component: str, shape: tuple[int, int], heads: object, expected: int | None
) -> None:
    assert known_heads(Matrix("m", shape, "encoder", 0, component), heads) == expected


def test_lot_holds_95_of_100_rows_that_were_drawn_by_lot() -> None:
    rng = np.random.default_rng(0)
    flat = np.zeros(400 * 300, dtype=bool)
    flat[rng.permutation(flat.size)[:50_000]] = True
    lot = by_lot(50_000, flat.size, 300)
    rows = line_density(flat.reshape(400, 300), 0)
    assert lot.low < 50_000 / flat.size < lot.high
    assert 0.02 < lot.outside(rows) < 0.08
    assert lot.outside(np.array([0.0, 1.0, 5 / 12])) == pytest.approx(2 / 3)


@pytest.mark.parametrize(("kept", "end"), [(0, 0.0), (24, 1.0)])
def test_lot_of_an_empty_and_of_a_full_matrix(kept: int, end: float) -> None:
    lot = by_lot(kept, 24, 6)
    assert (lot.low, lot.high) == (end, end)
    assert lot.outside(np.full(4, end)) == 0


@pytest.mark.slow
def test_model_of_85_million_weights_in_little_memory() -> None:
    layout = small_layout(layers=12, hidden=768)
    big = Layout(
        tuple(
            Matrix(
                m.name,
                tuple(
                    2 * e if e > 768 else e for e in m.shape
                ),  # feed-forward matrices are four times as wide
                m.stack,
                m.layer,
                m.component,
            )
            for m in layout.matrices
        )
    )
    assert big.size > 84e6
    rng = np.random.default_rng(0)
    left, right, base = (
        Mask.from_words(rng.integers(0, 2**64, int(big.word_offsets[-1]), dtype=np.uint64), big)
        for _ in range(3)
    )
    with at_most(80 * 2**20):
        table = place_table(left, right, base)
        bits, other = left[big.names[4]], right[big.names[4]]
        picture = block_means(bits.astype(np.int8) - other.astype(np.int8))
    assert table["size"].max() == big.size
    assert picture.value.shape == (MOST_BLOCKS, MOST_BLOCKS)

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lsn_core.errors import LsnError
from lsn_core.masks import codec
from lsn_core.masks.layout import Layout, Matrix
from lsn_core.masks.mask import mask_from_survival
from tests.memory import at_most
from tests.synthetic import odd_layout

levels = st.sampled_from([1, 2, 9, 15, 16, 40, 255])


@given(st.data(), levels)
def test_plain_round_trip(data: st.DataObject, count: int) -> None:
    survival = data.draw(arrays(np.uint8, st.integers(1, 300), elements=st.integers(0, count)))
    packed = codec.encode_plain(survival, count)
    assert packed.size == codec.plain_length(survival.size, count)
    np.testing.assert_array_equal(codec.decode_plain(packed, survival.size, count), survival)


def test_plain_takes_half_a_byte_for_up_to_fifteen_levels() -> None:
    assert codec.encode_plain(np.array([1, 2, 15], np.uint8), 15).tolist() == [0x21, 0x0F]
    assert codec.plain_length(1001, 15) == 501
    assert codec.plain_length(1001, 16) == 1001


@given(st.data())
def test_sparse_round_trip(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 2000))
    reference = data.draw(arrays(np.uint8, size, elements=st.sampled_from([0, 3, 9, 255]), fill=st.just(3)))
    survival = reference.copy()
    for place in data.draw(st.lists(st.integers(0, size - 1), max_size=30)):
        survival[place] = data.draw(st.integers(0, 255))
    gaps, changes = codec.encode_sparse(survival, codec.Reference(reference))
    assert changes.size == np.count_nonzero(survival != reference)
    np.testing.assert_array_equal(codec.decode_sparse(gaps, changes, codec.Reference(reference)), survival)


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([], []),
        ([0], [0]),
        ([254], [254]),
        ([255], [255, 0]),
        ([509], [255, 254]),
        ([510], [255, 255, 0]),
        ([0, 1, 257], [0, 0, 255, 0]),
    ],
)
def test_gaps(places: list[int], expected: list[int]) -> None:
    reference = np.zeros(600, np.uint8)
    survival = reference.copy()
    survival[places] = 1
    gaps, changes = codec.encode_sparse(survival, codec.Reference(reference))
    assert gaps.tolist() == expected
    assert changes.tolist() == [1] * len(places)
    np.testing.assert_array_equal(codec.decode_sparse(gaps, changes, codec.Reference(reference)), survival)


@given(st.data())
def test_the_groups_are_gone_through_like_weights_sorted_by_reference(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 600))
    reference = data.draw(arrays(np.uint8, size, elements=st.integers(0, 9)))
    survival = data.draw(arrays(np.uint8, size, elements=st.integers(0, 9)))
    order = np.argsort(reference, kind="stable")
    flat = np.zeros(size, np.uint8)
    flat_change = (survival - reference)[order]
    for whole, plain in zip(
        codec.encode_sparse(survival, codec.Reference(reference)),
        codec.encode_sparse(flat_change, codec.Reference(flat)),
        strict=True,
    ):
        np.testing.assert_array_equal(whole, plain)


@given(st.data())
def test_places_and_ranks_are_those_of_a_stable_sort(data: st.DataObject) -> None:
    values = st.sampled_from([0, 1, 2, 9, 255])
    values = data.draw(arrays(np.uint8, st.integers(1, 700), elements=values, fill=st.just(9)))
    order = np.argsort(values, kind="stable")
    turned = np.arange(
        255, -1, -1, dtype=np.uint8
    )  # 255 - value: what the table then gives is the value again
    some = np.flatnonzero(data.draw(arrays(np.bool_, values.size)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, "_PIECE", 5)
        for reference in (codec.Reference(values), codec.Reference(turned[values], turned)):
            np.testing.assert_array_equal(reference.copy(), values)
            np.testing.assert_array_equal(reference.places(some), order[some])
            np.testing.assert_array_equal(reference.ranks(order[some]), some)


def test_differences_in_the_order_of_the_weights_are_still_read() -> None:
    """As the code `sparse` of earlier versions has them."""
    reference = np.array([3, 0, 3, 0, 9], np.uint8)
    gaps, changes = np.array([1, 2], np.uint8), np.array([2, 253], np.uint8)
    decoded = codec.decode_sparse(gaps, changes, codec.Reference(reference), grouped=False)
    assert decoded.tolist() == [3, 2, 3, 0, 6]


@pytest.mark.parametrize(
    ("gaps", "changes"), [([0], []), ([], [1]), ([10], [1]), ([255], [1]), ([0, 9], [1, 1]), ([0, 0], [1])]
)
def test_sparse_parts_that_do_not_fit_are_refused(gaps: list[int], changes: list[int]) -> None:
    with pytest.raises(ValueError, match="does not fit the base"):
        codec.decode_sparse(
            np.array(gaps, np.uint8), np.array(changes, np.uint8), codec.Reference(np.zeros(10, np.uint8))
        )


@given(arrays(np.uint8, st.integers(0, 500)))
def test_pack_round_trip(raw: np.ndarray) -> None:
    np.testing.assert_array_equal(codec.unpack(codec.pack(raw)), raw)


def test_wrong_streams_are_refused() -> None:
    good = codec.pack(np.arange(100, dtype=np.uint8))
    for length in (0, 99, 101, 10**12):
        with pytest.raises(ValueError, match="not the"):
            codec.unpack(codec.Packed(length, good.data))
    for data in (good.data[:-1], good.data + b"x", b"", b"not zlib"):
        with pytest.raises(ValueError, match="packed data"):
            codec.unpack(codec.Packed(100, data))


def test_a_bomb_is_not_unpacked() -> None:
    bomb = zlib.compress(bytes(200_000_000), 9)
    with at_most(5_000_000), pytest.raises(ValueError, match="not the 1000 bytes"):
        codec.unpack(codec.Packed(1000, bomb))


def test_reference_of_a_ticket_with_other_levels() -> None:
    base = np.array([0, 1, 2, 3, 4], np.uint8)  # survives so many of 0.2, 0.4, 0.6, 0.8
    base_levels = (0.2, 0.4, 0.6, 0.8)
    assert codec.base_reference(base, base_levels, base_levels).copy().tolist() == [0, 1, 2, 3, 4]
    assert codec.base_reference(base, base_levels, (0.6,)).copy().tolist() == [0, 0, 0, 1, 1]
    assert codec.base_reference(base, base_levels, (0.39, 0.82)).copy().tolist() == [0, 0, 1, 1, 2]
    assert codec.base_reference(base, base_levels, (0.1, 0.15, 0.2)).copy().tolist() == [0, 3, 3, 3, 3]


@st.composite
def nested_counts(draw: st.DrawFn) -> np.ndarray:
    """Counts (L, M) for `odd_layout` that do not grow with the level."""
    rows = [
        sorted(draw(st.lists(st.integers(0, size), min_size=3, max_size=3)), reverse=True)
        for size in odd_layout().sizes.tolist()
    ]
    return np.array(rows).T


@given(nested_counts(), st.integers(0, 2**128 - 1))
def test_random_masks_keep_what_is_asked_and_are_nested(counts: np.ndarray, key: int) -> None:
    layout = odd_layout()
    survival = codec.make_random_survival(layout, counts, key)
    kept = [mask_from_survival(survival, level, layout).counts.tolist() for level in range(3)]
    assert kept == counts.tolist()
    np.testing.assert_array_equal(survival, codec.make_random_survival(layout, counts, key))


def test_random_masks_follow_the_ranks_as_documented() -> None:
    layout = Layout((Matrix("a", (30, 7), "encoder", 0, "key"), Matrix("b", (9, 9), "encoder", 0, "query")))
    counts = np.array([[150, 80], [21, 40], [21, 1], [0, 0]])
    survival = codec.make_random_survival(layout, counts, 12345)
    for index, size in enumerate([210, 81]):
        raw = np.random.Philox(key=12345, counter=[0, 0, 0, index]).random_raw((size + 1) // 2)
        ranks = np.stack([raw & 0xFFFFFFFF, raw >> 32], axis=1).ravel()[:size].astype(np.int64)
        best = np.lexsort([np.arange(size), -ranks])
        expected = np.zeros(size, dtype=int)
        for count in counts[:, index]:
            expected[best[:count]] += 1
        assert survival[layout.slice(index)].tolist() == expected.tolist()


def test_tied_ranks_go_to_the_first_weight() -> None:
    ranks = np.array([7, 9, 7, 2**31, 7, 7 + 2**16], dtype=np.uint32)
    for count, kept in [(1, [3]), (2, [3, 5]), (3, [1, 3, 5]), (4, [0, 1, 3, 5]), (5, [0, 1, 2, 3, 5])]:
        assert np.flatnonzero(codec._levels_survived(ranks, [count])).tolist() == kept


def test_random_masks_do_not_change_with_the_libraries() -> None:
    # Pinned: a ticket file holds the key alone, so another stream would orphan it.
    counts = np.array([[10, 40, 50, 30, 1, 100, 64], [5, 20, 25, 15, 0, 50, 32]])
    survival = codec.make_random_survival(odd_layout(), counts, 2024)
    assert zlib.crc32(survival.tobytes()) == 2952300674


def test_random_masks_are_spread_evenly() -> None:
    layout = Layout((Matrix("a", (400, 500), "encoder", 0, "key"),))
    survival = codec.make_random_survival(layout, np.array([[100_000]]), 1).reshape(400, 500)
    for part in (survival[:200], survival[:, :250], survival[::2], survival[:, ::2]):
        assert part.mean() == pytest.approx(0.5, abs=0.01)  # 4.5 standard deviations
    other = codec.make_random_survival(layout, np.array([[100_000]]), 2).reshape(400, 500)
    assert np.mean(survival == other) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("counts", "key", "message"),
    [
        (np.zeros((2, 6), int), 0, "whole numbers"),
        (np.zeros(7, int), 0, "whole numbers"),
        (np.zeros((0, 7), int), 0, "whole numbers"),
        (np.zeros((2, 7)), 0, "whole numbers"),
        (np.full((1, 7), -1), 0, "between 0 and"),
        (np.full((1, 7), 2), 0, "between 0 and"),
        (np.array([[0] * 7, [1] * 7]), 0, "not grow"),
        (np.zeros((1, 7), int), -1, "below 2"),
        (np.zeros((1, 7), int), 2**128, "below 2"),
        (np.zeros((1, 7), int), True, "below 2"),
        (np.zeros((1, 7), int), 1.0, "below 2"),
    ],
)
def test_wrong_counts_or_keys_are_refused(counts: np.ndarray, key: int, message: str) -> None:
    with pytest.raises(LsnError, match=message):
        codec.make_random_survival(odd_layout(), counts, key)

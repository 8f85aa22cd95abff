"""A mask beside an atlas: the numbers are counted again weight by weight, one loop at a time."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from lsn_core.analysis.calibration import language_matrix
from lsn_core.analysis.counts import Counts
from lsn_core.analysis.newcomer import Meeting, meet, nearest_level, neighbours, strata
from lsn_core.errors import LsnError
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.mask import Mask, survival_from_masks
from lsn_core.masks.ticket import BASE_KEY, Ticket, TicketKey
from tests.synthetic import make_atlas, odd_layout, random_mask

ALL = np.arange(len(odd_layout().matrices))


@pytest.fixture
def atlas(tmp_path: Path) -> Atlas:
    return make_atlas(tmp_path / "demo", ("en", "de", "sw"), seeds=(0, 1))


def base_ticket(masks: dict[float, Mask]) -> Ticket:
    layout = next(iter(masks.values())).layout
    return Ticket(BASE_KEY, layout, tuple(masks), survival_from_masks(list(masks.values())))


def nested(rng: np.random.Generator, *levels: float) -> dict[float, Mask]:
    """Base masks by magnitude, each within the one before."""
    layout = odd_layout()
    rank = np.argsort(np.argsort(rng.random(layout.size)))
    found = {}
    for level in levels:
        kept = rank >= round(level * layout.size)
        parts = {m.name: kept[layout.slice(i)].reshape(m.shape) for i, m in enumerate(layout.matrices)}
        found[level] = Mask.from_arrays(parts, layout)
    return found


def flat(mask: Mask, index: int) -> np.ndarray:
    return mask[mask.layout.names[index]].ravel()


def expected_weight_by_weight(mask: Mask, other: Mask, groups: list[Mask]) -> np.ndarray:
    """E[i] a matrix: every weight of the one meets every weight of the other's group with equal chance."""
    found = np.zeros(len(ALL))
    for index in ALL:
        label = np.array([flat(group, index) for group in groups])
        for own, place in zip(flat(mask, index), label.T, strict=True):
            if own:
                same = np.all(label == place[:, None], axis=0)
                found[index] += flat(other, index)[same].sum() / same.sum()
    return found


def test_counts_are_those_of_single_weights() -> None:
    rng = np.random.default_rng(0)
    layout = odd_layout()
    mask = random_mask(layout, 0.4, rng)
    others = {TicketKey("mlm", "en", "imp", seed): random_mask(layout, 0.6, rng) for seed in (0, 1)}
    found = meet(mask, others, None)
    for row, other in enumerate(others.values()):
        for index in ALL:
            mine, theirs = flat(mask, index), flat(other, index)
            assert found.own[index] == mine.sum()
            assert found.kept[row, index] == theirs.sum()
            assert found.shared[row, index] == (mine & theirs).sum()
    assert np.isnan(found.expected).all()
    assert np.isnan(neighbours(found, ALL).reference).all()
    assert np.isnan(neighbours(found, ALL).above_low).all()


@pytest.mark.parametrize(("mine", "theirs"), [(0.5, 0.5), (0.3, 0.5), (0.7, 0.5)])
def test_reference_is_independence_within_groups_of_alike_magnitude(mine: float, theirs: float) -> None:
    rng = np.random.default_rng(1)
    masks = nested(rng, 0.3, 0.5, 0.7)
    base = base_ticket(masks)
    mask, other = random_mask(odd_layout(), 0.5, rng), random_mask(odd_layout(), 0.5, rng)
    groups = strata(base, mine, theirs)
    assert groups is not None
    found = meet(mask, {TicketKey("mlm", "en", "imp", 0): other}, groups)
    wanted = expected_weight_by_weight(mask, other, [masks[mine], masks[theirs]])
    np.testing.assert_allclose(found.expected[0], wanted, rtol=1e-12)


def test_groups_hold_every_weight_once() -> None:
    base = base_ticket(nested(np.random.default_rng(2), 0.3, 0.5))
    for sparsity in (0.3, 0.5):
        groups = strata(base, sparsity, 0.5)
        assert groups is not None
        assert sum(group.kept for group in groups) == odd_layout().size
        for first, second in itertools.combinations(groups, 2):
            assert (first & second).kept == 0


def test_reference_is_that_of_masks_cut_at_two_thresholds(tmp_path: Path) -> None:
    """Masks that are the base's own at two sparsities share all that magnitudes can make them share."""
    masks = nested(np.random.default_rng(3), 0.3, 0.5)
    groups = strata(base_ticket(masks), 0.3, 0.5)
    found = neighbours(meet(masks[0.3], {TicketKey("mlm", "en", "imp", 0): masks[0.5]}, groups), ALL)
    assert found.reference[0] == found.jaccard[0] == found.possible[0]
    assert found.jaccard[0] == pytest.approx(masks[0.5].kept / masks[0.3].kept)


@pytest.mark.parametrize(("sparsity", "level"), [(0.45, 0.5), (0.5, 0.45), (0.52, 0.48)])
def test_no_reference_without_both_base_masks(sparsity: float, level: float) -> None:
    base = base_ticket(nested(np.random.default_rng(4), 0.3, 0.5))
    assert strata(base, sparsity, level) is None
    assert strata(None, 0.5, 0.5) is None
    assert strata(base, 0.5004, 0.5) is not None


def test_same_as_a_language_of_the_atlas_would_be(atlas: Atlas) -> None:
    """One more language, with the numbers that ``language_matrix`` gives from the atlas's own formulas."""
    keys = [TicketKey("mlm", code, "imp", seed) for code in ("en", "de") for seed in (0, 1)]
    masks = {key: atlas.ticket(key).mask(0.5) for key in keys}
    stranger = TicketKey("mlm", "sw", "imp", 0)
    mask = atlas.ticket(stranger).mask(0.5)
    base = atlas.base()
    assert base is not None
    found = neighbours(meet(mask, masks, strata(base, 0.5, 0.5)), np.arange(len(atlas.layout.matrices)))

    everyone = [*masks.values(), mask]
    pair = np.array([[(a & b).counts for b in everyone] for a in everyone])
    reference = base.mask(0.5)
    inside = np.array([(one & reference).counts for one in everyone])
    counts = Counts(atlas.layout, (*keys, stranger), 0.5, pair, reference.counts, inside)
    for name, values in (
        ("jaccard", found.jaccard),
        ("chance", found.chance),
        ("reference", found.reference),
        ("jaccard-reference", found.above),
    ):
        wanted = language_matrix(counts, name, languages=("en", "de", "sw"), replicates=400)
        np.testing.assert_allclose(values, wanted.value[2, :2], rtol=1e-12)
        if name == "jaccard":
            np.testing.assert_allclose(found.low, wanted.low[2, :2], atol=0.01)
            np.testing.assert_allclose(found.high, wanted.high[2, :2], atol=0.01)


def test_interval_is_the_middle_of_resampled_matrices(atlas: Atlas) -> None:
    key = TicketKey("mlm", "en", "imp", 0)
    mask = atlas.ticket(TicketKey("mlm", "sw", "imp", 0)).mask(0.5)
    meeting = meet(mask, {key: atlas.ticket(key).mask(0.5)}, None)
    count = len(atlas.layout.matrices)
    found = neighbours(meeting, np.arange(count), replicates=4000)
    rng = np.random.default_rng(9)
    values = []
    for _ in range(4000):
        drawn = rng.integers(0, count, size=count)
        shared = meeting.shared[0, drawn].sum()
        values.append(shared / (meeting.own[drawn].sum() + meeting.kept[0, drawn].sum() - shared))
    low, high = np.percentile(values, [2.5, 97.5])
    width = high - low
    assert found.low[0] == pytest.approx(low, abs=0.08 * width)
    assert found.high[0] == pytest.approx(high, abs=0.08 * width)
    assert found.low[0] < found.jaccard[0] < found.high[0]


def test_one_matrix_and_one_seed_have_no_interval(atlas: Atlas) -> None:
    key = TicketKey("mlm", "en", "imp", 0)
    mask = atlas.ticket(TicketKey("mlm", "sw", "imp", 0)).mask(0.5)
    found = neighbours(meet(mask, {key: atlas.ticket(key).mask(0.5)}, None), np.array([3]))
    assert np.isfinite(found.jaccard).all()
    assert np.isnan([found.low, found.high, found.first_in]).all()


def test_first_is_firm_when_it_leads_everywhere() -> None:
    own = np.full(6, 10)
    shared = np.array([[9] * 6, [5] * 6, [8, 10, 8, 10, 8, 10]])
    keys = tuple(TicketKey("mlm", code, "imp", 0) for code in ("en", "de", "sw"))
    size, nothing = np.full(6, 100.0), np.full((3, 6), np.nan)
    found = neighbours(Meeting(keys, own, np.full((3, 6), 10), shared, size, nothing), np.arange(6))
    assert found.languages == ("en", "de", "sw")
    assert found.first_in[1] == 0
    assert 0.5 < found.first_in[0] < 1  # as good as Swahili on average, and drawn first where both are level
    assert found.first_in.sum() == pytest.approx(1)
    alone = neighbours(
        Meeting(keys[:2], own, np.full((2, 6), 10), shared[:2], size, nothing[:2]), np.arange(6)
    )
    assert alone.first_in.tolist() == [1.0, 0.0]
    assert alone.order.tolist() == [0, 1]


def test_identical_tickets_are_named(atlas: Atlas) -> None:
    keys = [TicketKey("mlm", "de", "imp", seed) for seed in (0, 1)]
    masks = {key: atlas.ticket(key).mask(0.5) for key in keys}
    assert meet(masks[keys[1]], masks, None).identical == (keys[1],)
    assert meet(~masks[keys[1]], masks, None).identical == ()
    rest = meet(masks[keys[1]], masks, None).without({keys[1]})
    assert rest.tickets == (keys[0],)
    assert rest.shared.tolist() == [(masks[keys[0]] & masks[keys[1]]).counts.tolist()]


def test_part_without_kept_weights_is_undefined() -> None:
    layout = odd_layout()
    nothing = Mask.empty(layout)
    found = neighbours(meet(nothing, {TicketKey("mlm", "en", "imp", 0): nothing}, None), ALL)
    assert np.isnan(found.jaccard).all()
    assert np.isnan([found.low, found.high]).all()


def test_nearest_level() -> None:
    assert nearest_level(0.45, (0.5, 0.4, 0.9)) == 0.4
    assert nearest_level(0.451, (0.5, 0.4, 0.9)) == 0.5
    assert nearest_level(0.02, (0.5,)) == 0.5
    with pytest.raises(LsnError):
        nearest_level(0.5, ())


def test_nothing_to_compare_with() -> None:
    with pytest.raises(LsnError, match="no sub-network"):
        meet(Mask.full(odd_layout()), {}, None)

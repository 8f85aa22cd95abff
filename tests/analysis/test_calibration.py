from __future__ import annotations

import dataclasses
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsn_core.analysis import measures
from lsn_core.analysis.calibration import (
    MEASURES,
    TicketPairs,
    _mean_over_seeds,
    ceilings,
    draw_seeds,
    expectations,
    find_scope,
    interval,
    language_matrix,
)
from lsn_core.analysis.counts import Counts, load_counts
from lsn_core.analysis.intersections import intersections
from lsn_core.analysis.overlap import overlap_table
from lsn_core.errors import LsnError
from lsn_core.masks.layout import Layout, Matrix
from lsn_core.masks.mask import Mask
from lsn_core.masks.ticket import TicketKey
from tests.synthetic import make_atlas, odd_layout, random_mask


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> Counts:
    """Three languages with three seeds each."""
    folder = tmp_path_factory.mktemp("atlas") / "a"
    atlas = make_atlas(folder, languages=("en", "de", "sw"), seeds=(0, 1, 2), levels=(0.5,))
    return load_counts(atlas, 0.5)


def made_counts(masks: dict[tuple[str, int], Mask], base: Mask | None = None) -> Counts:
    keys = tuple(TicketKey("mlm", language, "imp", seed) for language, seed in masks)
    every = [*masks.values(), *([base] if base is not None else [])]
    pair = intersections(every)
    total = len(keys)
    if base is None:
        return Counts(every[0].layout, keys, 0.5, pair)
    return Counts(every[0].layout, keys, 0.5, pair[:total, :total], pair[-1, -1], pair[:total, -1])


def drop_seeds(counts: Counts, seeds: set[int]) -> Counts:
    return counts.select(key for key in counts.tickets if key.seed in seeds)


@pytest.mark.parametrize("scope", ["total", "encoder", "encoder.1", "query", "encoder.layer.2.key.weight"])
@pytest.mark.parametrize("measure", ["jaccard", "chance", "reference", "excess", "jaccard-reference"])
def test_values_are_means_over_pairs_of_seeds(counts: Counts, measure: str, scope: str) -> None:
    by = {"total": "total", "encoder": "stack", "encoder.1": "layer", "query": "component"}.get(
        scope, "matrix"
    )
    table = overlap_table(counts, by)
    table = table[table["scope"] == scope]
    table = table.assign(
        excess=table.jaccard - table.chance, **{"jaccard-reference": table.jaccard - table.reference}
    )
    found = language_matrix(counts, measure, scope, replicates=2)
    assert found.languages == ("en", "de", "sw")  # the paper's order
    assert (found.measure, found.scope) == (measure, scope)
    for (i, first), (j, second) in product(enumerate(found.languages), repeat=2):
        pair = {first, second}
        rows = table[(table.language_a.isin(pair)) & (table.language_b.isin(pair))]
        rows = rows[(rows.language_a == rows.language_b) == (first == second)]
        assert len(rows) == (3 if first == second else 9)
        assert found.value[i, j] == pytest.approx(rows[measure].mean())


def test_neutrality_is_worked_out_from_the_means(counts: Counts) -> None:
    j = language_matrix(counts, "jaccard", replicates=1).value
    reference = language_matrix(counts, "reference", replicates=1).value
    found = language_matrix(counts, "neutrality", replicates=1).value
    for a, b in combinations(range(3), 2):
        top = (j[a, a] + j[b, b]) / 2
        assert (
            found[a, b] == found[b, a] == pytest.approx((j[a, b] - reference[a, b]) / (top - reference[a, b]))
        )
    np.testing.assert_allclose(np.diagonal(found), 1)
    assert found[0, 1] > found[0, 2]  # English is nearer to German than to Swahili


@pytest.mark.parametrize("measure", MEASURES)
def test_intervals_hold_the_value_and_come_again(counts: Counts, measure: str) -> None:
    found = language_matrix(counts, measure, replicates=60, rng_seed=4)
    again = language_matrix(counts, measure, replicates=60, rng_seed=4)
    other = language_matrix(counts, measure, replicates=60, rng_seed=5)
    assert found.replicates.shape == (60, 3, 3)
    for name in ("value", "low", "high", "replicates"):
        np.testing.assert_array_equal(getattr(found, name), getattr(again, name))
    np.testing.assert_allclose(found.value, other.value)
    assert not np.array_equal(found.replicates, other.replicates)
    assert np.all(found.low <= found.value)
    assert np.all(found.value <= found.high)
    off = ~np.eye(3, dtype=bool)
    assert np.all(found.low[off] < found.high[off])
    inside = (found.replicates >= found.low) & (found.replicates <= found.high)
    assert np.all(inside.mean(axis=0) >= 0.93)
    for array in (found.value, found.low, found.high):
        np.testing.assert_allclose(array, array.T)


def test_intervals_do_not_hang_on_the_order_of_languages(counts: Counts) -> None:
    found = language_matrix(counts, languages=("sw", "en"), replicates=5)
    assert found.languages == ("sw", "en")
    whole = language_matrix(counts, replicates=5)
    assert found.value[0, 1] == pytest.approx(whole.value[0, 2])
    assert found.value[0, 0] == pytest.approx(whole.value[2, 2])


def test_one_seed_has_no_ceiling_and_no_neutrality(counts: Counts) -> None:
    single = drop_seeds(counts, {1})
    found = language_matrix(single, "jaccard", replicates=50)
    assert np.isnan(np.diagonal(found.value)).all()
    off = ~np.eye(3, dtype=bool)
    assert np.all(found.low[off] < found.high[off])  # matrices still vary
    neutrality = language_matrix(single, "neutrality", replicates=50)
    for array in (neutrality.value, neutrality.low, neutrality.high, neutrality.replicates):
        assert np.isnan(array).all()


def test_one_language_with_one_seed_leaves_only_its_own_cells_undefined(counts: Counts) -> None:
    keys = [key for key in counts.tickets if key.language != "sw" or key.seed == 0]
    found = language_matrix(counts.select(keys), "neutrality", replicates=50)
    undefined = np.array([[False, False, True], [False, False, True], [True, True, True]])
    np.testing.assert_array_equal(np.isnan(found.value), undefined)
    np.testing.assert_array_equal(np.isnan(found.low), undefined)


def test_no_base_means_no_neutrality(counts: Counts) -> None:
    blind = dataclasses.replace(counts, reference_kept=None, in_reference=None)
    assert np.isnan(language_matrix(blind, "neutrality", replicates=2).value).all()
    assert not np.isnan(language_matrix(blind, "jaccard", replicates=2).value).any()


@pytest.mark.parametrize(
    ("seeds", "cross", "own"), [({0}, False, False), ({0, 1}, True, False), ({0, 1, 2}, True, True)]
)
def test_with_one_matrix_only_seeds_can_give_an_interval(
    counts: Counts, seeds: set[int], cross: bool, own: bool
) -> None:
    found = language_matrix(drop_seeds(counts, seeds), scope="encoder.layer.0.key.weight", replicates=80)
    for array in (found.low, found.high):
        assert np.isnan(array[0, 1]) != cross
        assert np.isnan(array[0, 0]) != own
    assert np.isnan(found.value[0, 0]) == (len(seeds) == 1)
    if cross:
        assert found.low[0, 1] < found.high[0, 1]


def test_equal_matrices_and_seeds_give_a_point() -> None:
    layout = Layout(tuple(Matrix(f"m{i}", (8, 8), "encoder", i, "query") for i in range(6)))
    rng = np.random.default_rng(0)
    pattern = {"en": rng.random((8, 8)) < 0.5, "sw": rng.random((8, 8)) < 0.5}
    masks = {
        (language, seed): Mask.from_arrays(dict.fromkeys(layout.names, pattern[language]), layout)
        for language in ("en", "sw")
        for seed in (0, 1)
    }
    base = Mask.from_arrays(dict.fromkeys(layout.names, rng.random((8, 8)) < 0.5), layout)
    for measure in ("jaccard", "excess", "neutrality"):
        found = language_matrix(made_counts(masks, base), measure, replicates=40)
        np.testing.assert_allclose(found.low, found.value, rtol=0, atol=1e-12)
        np.testing.assert_allclose(found.high, found.value, rtol=0, atol=1e-12)
    np.testing.assert_allclose(np.diagonal(language_matrix(made_counts(masks), replicates=3).value), 1)


def test_the_interval_shrinks_with_more_matrices() -> None:
    rng = np.random.default_rng(0)
    widths = []
    for matrices in (5, 80):
        layout = Layout(tuple(Matrix(f"m{i}", (8, 8), "encoder", i, "query") for i in range(matrices)))
        masks = {(language, 0): random_mask(layout, 0.5, rng) for language in ("en", "sw")}
        found = language_matrix(made_counts(masks))
        widths.append(found.high[0, 1] - found.low[0, 1])
    assert widths[1] < widths[0] / 2  # the square root of 16, and some luck


def test_the_interval_covers_the_mean_of_the_matrices() -> None:
    # Matrices drawn independently from one distribution: near 95 of 100 intervals hold its expectation.
    rng = np.random.default_rng(0)
    layout = Layout(tuple(Matrix(f"m{i}", (16, 16), "encoder", i, "query") for i in range(40)))
    true = 0.25 / 0.75  # two random masks of density one half
    hits = 0
    for trial in range(100):
        masks = {(language, 0): random_mask(layout, 0.5, rng) for language in ("en", "sw")}
        found = language_matrix(made_counts(masks), replicates=200, rng_seed=trial)
        hits += found.low[0, 1] <= true <= found.high[0, 1]
    assert 86 <= hits <= 100


def test_two_seeds_widen_the_interval_between_languages() -> None:
    layout = Layout(tuple(Matrix(f"m{i}", (16, 16), "encoder", i, "query") for i in range(20)))
    rng = np.random.default_rng(0)
    core = random_mask(layout, 0.5, rng)
    masks = {
        ("en", 0): core,
        ("sw", 0): core ^ random_mask(layout, 0.01, rng),
        ("sw", 1): core ^ random_mask(layout, 0.3, rng),
    }
    both = language_matrix(made_counts(masks))
    single = language_matrix(made_counts({key: mask for key, mask in masks.items() if key != ("sw", 0)}))
    assert both.high[0, 1] - both.low[0, 1] > 3 * (single.high[0, 1] - single.low[0, 1])


def test_a_seed_drawn_twice_is_never_compared_with_itself() -> None:
    values = np.array(
        [[1.0, 0.2, 0.4, 0.1], [0.2, 1.0, 0.6, 0.3], [0.4, 0.6, 1.0, 0.5], [0.1, 0.3, 0.5, 1.0]]
    )
    member = np.array([[1.0, 1, 1, 0], [0, 0, 0, 1]])
    layout = Layout((Matrix("m", (4, 4), "encoder", 0, "query"),))
    keys = tuple(
        TicketKey("mlm", code, "imp", seed) for code, seed in (("en", 0), ("en", 1), ("en", 2), ("sw", 0))
    )
    some = Counts(layout, keys, 0.5, np.ones((4, 4, 1), dtype=np.int64))
    pairs = TicketPairs.of(some, np.array([0]), np.array([0, 0, 0, 1]))

    def means(*drawn: float) -> np.ndarray:
        found = values[pairs.first, pairs.second][None]
        return _mean_over_seeds(found, pairs, np.array([[*drawn, 1.0]]), member)[0]

    assert means(1, 1, 1)[0, 0] == pytest.approx((0.2 + 0.4 + 0.6) / 3)
    assert means(2, 1, 0)[0, 0] == pytest.approx(0.2)
    assert means(0, 2, 1)[0, 0] == pytest.approx(0.6)
    # nothing to compare: all the language's pairs
    assert means(3, 0, 0)[0, 0] == pytest.approx((0.2 + 0.4 + 0.6) / 3)
    cross = means(2, 1, 0)
    assert cross[0, 1] == cross[1, 0] == pytest.approx((2 * 0.1 + 0.3) / 3)
    assert np.isnan(cross[1, 1])


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(0, 1000))
def test_every_language_draws_as_many_seeds_as_it_has(seeds: list[int], rng_seed: int) -> None:
    member = np.repeat(np.eye(len(seeds)), seeds, axis=1)
    drawn = draw_seeds(member, 20, np.random.default_rng(rng_seed))
    np.testing.assert_array_equal(drawn @ member.T, np.tile(seeds, (20, 1)))


def test_ceilings() -> None:
    jaccard = np.array([[1, 0.5, 0.7, 0.1], [0.5, 1, 0.9, 0.2], [0.7, 0.9, 1, 0.3], [0.1, 0.2, 0.3, 1]])
    found = ceilings(jaccard, ["en", "en", "en", "sw"])
    assert found["en"] == pytest.approx((0.5 + 0.7 + 0.9) / 3)
    assert np.isnan(found["sw"])
    stacked = ceilings(np.stack([jaccard, jaccard / 2], axis=-1), ["en", "en", "en", "sw"])
    np.testing.assert_allclose(stacked["en"], [0.7, 0.35])
    assert stacked["sw"].shape == (2,)


def test_expectations_agree_with_the_formulas(counts: Counts) -> None:
    parts = expectations(counts)
    kept, inside, sizes = counts.kept, counts.in_reference, counts.layout.sizes
    a, b = 1, 5
    total = parts.summed(np.ones((1, len(sizes))))
    chance = measures.chance_jaccard(kept[a], kept[b], sizes)
    assert total.chance_jaccard()[a, b, 0] == pytest.approx(chance)
    reference = measures.reference_jaccard(
        inside[a],
        inside[b],
        kept[a] - inside[a],
        kept[b] - inside[b],
        counts.reference_kept,
        sizes - counts.reference_kept,
    )
    assert total.reference_jaccard()[a, b, 0] == pytest.approx(reference)


def test_other_measures_of_identical_and_disjoint_languages() -> None:
    layout = odd_layout()
    mask = random_mask(layout, 0.5, np.random.default_rng(0))
    same = made_counts({("en", 0): mask, ("sw", 0): mask})
    apart = made_counts({("en", 0): mask, ("sw", 0): ~mask})
    for measure, high, low in [("dice", 1, 0), ("overlap-coefficient", 1, 0), ("kappa", 1, None)]:
        assert language_matrix(same, measure, replicates=1).value[0, 1] == pytest.approx(high)
        value = language_matrix(apart, measure, replicates=1).value[0, 1]
        assert value == pytest.approx(low) if low is not None else value < -0.9


def test_empty_masks_are_undefined_and_say_so() -> None:
    empty = Mask.empty(odd_layout())
    found = language_matrix(made_counts({("en", 0): empty, ("sw", 0): empty}), replicates=10)
    for array in (found.value, found.low, found.high):
        assert np.isnan(array).all()


def test_one_empty_language_leaves_the_others_alone() -> None:
    layout = odd_layout()
    rng = np.random.default_rng(0)
    masks = {(language, seed): random_mask(layout, 0.5, rng) for language in ("en", "de") for seed in (0, 1)}
    with_empty = masks | {("sw", seed): Mask.empty(layout) for seed in (0, 1)}
    found = language_matrix(made_counts(with_empty), replicates=30)
    np.testing.assert_allclose(
        found.value[:2, :2], language_matrix(made_counts(masks), replicates=1, languages=("en", "de")).value
    )
    assert found.value[0, 2] == found.value[1, 2] == 0
    assert np.isnan(found.value[2, 2])
    assert not np.isnan(found.low[:2]).any()


def test_no_interval_where_replicates_are_often_undefined() -> None:
    # One of two matrices keeps nothing: drawn twice, in a quarter of the replicates, it leaves nothing.
    layout = Layout(tuple(Matrix(f"m{i}", (4, 4), "encoder", i, "query") for i in range(2)))
    mask = Mask.from_arrays({"m0": np.ones((4, 4)), "m1": np.zeros((4, 4))}, layout)
    found = language_matrix(made_counts({("en", 0): mask, ("sw", 0): mask}))
    assert found.value[0, 1] == 1
    assert np.isnan(found.low[0, 1])
    assert np.isnan(found.high[0, 1])


def test_an_interval_is_widened_to_hold_the_value() -> None:
    value = np.array([[0.9, 0.1], [0.1, np.nan]])
    replicates = np.random.default_rng(0).uniform(0.4, 0.6, size=(200, 2, 2))
    low, high = interval(value, replicates, np.ones((2, 2), dtype=bool))
    assert (low[0, 1], high[0, 0]) == (0.1, 0.9)
    assert high[0, 1] == pytest.approx(np.percentile(replicates[:, 0, 1], 97.5))
    assert low[0, 0] == pytest.approx(np.percentile(replicates[:, 0, 0], 2.5))
    assert np.isnan([low[1, 1], high[1, 1]]).all()


def test_seeds_can_be_chosen(counts: Counts) -> None:
    chosen = language_matrix(counts, seeds=(0, 2), replicates=3)
    np.testing.assert_allclose(chosen.value, language_matrix(drop_seeds(counts, {0, 2}), replicates=3).value)


def test_find_scope() -> None:
    layout = odd_layout()
    assert find_scope(layout, "total").matrices.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert find_scope(layout, "decoder").matrices.tolist() == [5, 6]
    assert find_scope(layout, "encoder.1").matrices.tolist() == [2, 3]
    assert find_scope(layout, "dec.0.q").matrices.tolist() == [5]
    with pytest.raises(LsnError, match=r"no part 'encoder\.9'"):
        find_scope(layout, "encoder.9")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"measure": "similarity"}, "choose one of jaccard"),
        ({"scope": "head"}, "no part 'head'"),
        ({"languages": ("en", "xx")}, "no ticket of language xx"),
        ({"seeds": (7,)}, "no ticket"),
    ],
)
def test_what_cannot_be_answered_is_refused(counts: Counts, arguments: dict, message: str) -> None:
    with pytest.raises(LsnError, match=message):
        language_matrix(counts, **arguments)


def test_several_tasks_are_refused(tmp_path: Path) -> None:
    mask = Mask.full(odd_layout())
    keys = (TicketKey("mlm", "en", "imp", 0), TicketKey("ner", "sw", "imp", 0))
    with pytest.raises(LsnError, match="several tasks"):
        language_matrix(Counts(odd_layout(), keys, 0.5, intersections([mask, mask])))

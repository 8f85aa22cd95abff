from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lsn_core.analysis import measures
from lsn_core.analysis.calibration import expectations
from lsn_core.analysis.cores import (
    CORE_COLUMNS,
    EXCLUSIVE_COLUMNS,
    MEMBERSHIP_COLUMNS,
    Membership,
    core_mask,
    core_seeds,
    core_table,
    core_tickets,
    exclusive_table,
    membership,
    membership_table,
    random_core,
)
from lsn_core.analysis.counts import load_counts
from lsn_core.errors import LsnError
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.mask import Mask
from lsn_core.masks.ticket import TicketKey
from tests.synthetic import LEVELS, make_atlas, make_ticket, odd_layout, random_mask, small_layout

LANGUAGES = ("en", "fr", "de", "zh", "es")


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    layout = small_layout(layers=2, hidden=12, pooler=True)
    return make_atlas(tmp_path_factory.mktemp("cores") / "a", layout=layout)


def bits_of(atlas: Atlas, seed: int = 0) -> dict[str, np.ndarray]:
    """For each matrix, the languages' masks at sparsity 0.5, bool (n, size)."""
    masks = [atlas.ticket(TicketKey("mlm", code, "imp", seed)).mask(0.5) for code in LANGUAGES]
    return {name: np.array([mask[name].ravel() for mask in masks]) for name in atlas.layout.names}


def by_enumeration(kept: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Expected weights kept by exactly k, and by one alone, from every way languages can keep a weight."""
    counts, alone = np.zeros(len(kept) + 1), np.zeros(len(kept))
    for pattern in product((False, True), repeat=len(kept)):
        chosen = np.array(pattern)
        expected = size * np.prod(np.where(chosen, kept / size, 1 - kept / size))
        counts[chosen.sum()] += expected
        if chosen.sum() == 1:
            alone[chosen.argmax()] += expected
    return counts, alone


@pytest.mark.parametrize("seed", [0, 1])
def test_membership_is_what_counting_weight_by_weight_gives(atlas: Atlas, seed: int) -> None:
    found = membership(atlas, "mlm", 0.5, seed)
    assert found.languages == LANGUAGES
    assert {key.seed for key in found.tickets} == {seed}
    base = atlas.base()
    assert base is not None
    for index, (name, bits) in enumerate(bits_of(atlas, seed).items()):
        keepers = bits.sum(axis=0)
        assert found.counts[:, index].tolist() == [int(np.sum(keepers == k)) for k in range(6)]
        assert found.kept[:, index].tolist() == bits.sum(axis=1).tolist()
        assert found.exclusive[:, index].tolist() == (bits & (keepers == 1)).sum(axis=1).tolist()
        assert found.shared[index] == bits.all(axis=0).sum()
        inside = base.mask(0.5)[name].ravel()
        assert found.reference_kept is not None
        assert found.in_reference is not None
        assert found.reference_kept[index] == inside.sum()
        assert found.in_reference[:, index].tolist() == (bits & inside).sum(axis=1).tolist()


def test_expectations_are_those_of_every_pattern_of_languages(atlas: Atlas) -> None:
    found = membership(atlas, "mlm", 0.5)
    chance, reference = found.expected_by_chance(), found.expected_by_reference()
    alone, alone_by_reference = (
        found.expected_exclusive_by_chance(),
        found.expected_exclusive_by_reference(),
    )
    assert found.reference_kept is not None
    assert found.in_reference is not None
    for index, size in enumerate(atlas.layout.sizes.tolist()):
        counts, exclusive = by_enumeration(found.kept[:, index], size)
        np.testing.assert_allclose(chance[:, index], counts, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(alone[:, index], exclusive, rtol=1e-9)
        inside, kept = found.in_reference[:, index], int(found.reference_kept[index])
        first = by_enumeration(inside, kept)
        second = by_enumeration(found.kept[:, index] - inside, size - kept)
        np.testing.assert_allclose(reference[:, index], first[0] + second[0], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(alone_by_reference[:, index], first[1] + second[1], rtol=1e-9)
    for expected in (chance, reference):
        np.testing.assert_allclose(expected.sum(axis=0), atlas.layout.sizes)
        np.testing.assert_allclose(np.arange(6) @ expected, found.kept.sum(axis=0))
    for one, many in ((alone, chance), (alone_by_reference, reference)):
        np.testing.assert_allclose(one.sum(axis=0), many[1])


def test_two_languages_have_the_expectations_of_the_overlap(atlas: Atlas) -> None:
    found = membership(atlas, "mlm", 0.5, 0, languages=("en", "zh"))
    parts = expectations(load_counts(atlas, 0.5).select(found.tickets))
    np.testing.assert_array_equal(found.shared, parts.observed[0, 1])
    np.testing.assert_allclose(found.expected_by_chance()[2], parts.chance[0, 1])
    np.testing.assert_allclose(found.expected_by_reference()[2], parts.reference[0, 1])
    either = found.counts[1:].sum()
    assert found.shared.sum() / either == measures.jaccard(found.shared.sum(), *found.kept.sum(axis=1))


def test_expectation_is_what_shuffling_within_matrices_gives(atlas: Atlas) -> None:
    """Independence means: each language's bits in an order of their own, within each half of the base mask."""
    found = membership(atlas, "mlm", 0.5)
    base = atlas.base()
    assert base is not None
    rng = np.random.default_rng(0)
    name = atlas.layout.names[4]
    bits, inside = bits_of(atlas)[name], base.mask(0.5)[name].ravel()
    anywhere, within = [], []
    for _ in range(2000):
        anywhere.append(np.bincount(rng.permuted(bits, axis=1).sum(axis=0), minlength=6))
        halves = np.concatenate([rng.permuted(bits[:, part], axis=1) for part in (inside, ~inside)], axis=1)
        within.append(np.bincount(halves.sum(axis=0), minlength=6))
    np.testing.assert_allclose(np.mean(anywhere, axis=0), found.expected_by_chance()[:, 4], atol=0.7)
    np.testing.assert_allclose(np.mean(within, axis=0), found.expected_by_reference()[:, 4], atol=0.7)


@pytest.mark.parametrize("at_least", [1, 2, 3, 4, 5])
def test_the_core_holds_the_weights_kept_by_so_many(atlas: Atlas, at_least: int) -> None:
    core = core_mask(atlas, "mlm", 0.5, at_least)
    for name, bits in bits_of(atlas).items():
        np.testing.assert_array_equal(core[name].ravel(), bits.sum(axis=0) >= at_least)
    np.testing.assert_array_equal(core.counts, membership(atlas, "mlm", 0.5).at_least(at_least))
    if at_least > 1:
        assert core <= core_mask(atlas, "mlm", 0.5, at_least - 1)


def test_the_outermost_cores_are_union_and_intersection(atlas: Atlas) -> None:
    masks = [atlas.ticket(TicketKey("mlm", code, "imp", 1)).mask(0.8) for code in ("de", "fr", "zh")]
    chosen = {"seed": 1, "languages": ("de", "fr", "zh")}
    assert core_mask(atlas, "mlm", 0.8, 1, **chosen) == masks[0] | masks[1] | masks[2]
    assert core_mask(atlas, "mlm", 0.8, 3, **chosen) == masks[0] & masks[1] & masks[2]


@pytest.mark.parametrize("at_least", [0, 6, -1])
def test_a_core_of_no_or_too_many_languages_is_refused(atlas: Atlas, at_least: int) -> None:
    with pytest.raises(LsnError, match="between 1 and 5"):
        core_mask(atlas, "mlm", 0.5, at_least)
    with pytest.raises(LsnError, match="between 1 and 5"):
        membership(atlas, "mlm", 0.5).at_least(at_least)


def test_memory_grows_with_the_model_and_not_with_the_languages(tmp_path: Path) -> None:
    layout = small_layout(layers=2, hidden=64)
    codes = tuple(f"x{index}" for index in range(20))
    big = make_atlas(tmp_path / "big", codes, (0,), (0.5,), layout, with_random=False, tables=False)

    def peak(task: Callable[..., object], *options: int, count: int) -> int:
        task(big, "mlm", 0.5, *options, languages=codes[:count])
        tracemalloc.start()
        task(big, "mlm", 0.5, *options, languages=codes[:count])
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    for task, options in ((core_mask, (2,)), (membership, ())):
        few, many = (peak(task, *options, count=count) for count in (3, 20))
        assert many < few + layout.size  # 17 more masks would be twice that, and 17 tickets 17 times


def test_random_core_has_the_cores_counts_and_nothing_else_of_it() -> None:
    layout = odd_layout()
    core = random_mask(layout, 0.4, np.random.default_rng(0))
    drawn = [random_core(core, layout, seed) for seed in range(200)]
    for mask in drawn:
        np.testing.assert_array_equal(mask.counts, core.counts)
    assert random_core(core, layout, 7) == drawn[7]
    assert len({mask.content_hash for mask in drawn}) == len(drawn)
    often = np.mean([np.concatenate([bits.ravel() for bits in mask.arrays().values()]) for mask in drawn], 0)
    expected = np.repeat(core.counts / layout.sizes, layout.sizes)
    assert np.abs(often - expected).max() < 5 * np.sqrt(0.25 / len(drawn))
    for edge in (Mask.full(layout), Mask.empty(layout)):
        assert random_core(edge, layout, 0) == edge


def test_random_core_refuses_another_model_and_another_seed() -> None:
    with pytest.raises(LsnError, match="other matrices"):
        random_core(Mask.full(odd_layout()), small_layout(), 0)
    with pytest.raises(LsnError, match="whole number"):
        random_core(Mask.full(odd_layout()), odd_layout(), -1)


def test_tables_sum_the_counts_by_scope(atlas: Atlas) -> None:
    found = membership(atlas, "mlm", 0.5)
    table = membership_table(found)
    assert tuple(table.columns) == MEMBERSHIP_COLUMNS
    layers, components = ["encoder.0", "encoder.1"], [s.label for s in atlas.layout.scopes("component")]
    assert list(dict.fromkeys(table["scope"])) == ["total", *layers, *components]
    assert table["k"].tolist() == list(range(6)) * (1 + 2 + 7)
    by_scope = dict(list(table.groupby("scope")))
    for label, part in by_scope.items():
        for column in ("share", "independence", "reference"):
            assert part[column].sum() == pytest.approx(1), (label, column)
    value = found.layout.index("encoder.layer.1.value.weight")
    other = found.layout.index("encoder.layer.0.value.weight")
    np.testing.assert_array_equal(
        by_scope["value"]["weights"], found.counts[:, value] + found.counts[:, other]
    )
    np.testing.assert_allclose(
        by_scope["value"]["reference"], found.expected_by_reference()[:, [value, other]].sum(axis=1) / 288
    )
    np.testing.assert_array_equal(by_scope["total"]["weights"], found.counts.sum(axis=1))

    alone = exclusive_table(found, ("total", "layer"))
    assert tuple(alone.columns) == EXCLUSIVE_COLUMNS
    assert alone["language"].tolist() == list(LANGUAGES) * 3
    total = alone[alone["scope"] == "total"]
    np.testing.assert_array_equal(total["exclusive"], found.exclusive.sum(axis=1))
    np.testing.assert_array_equal(total["kept"], found.kept.sum(axis=1))
    assert set(total["shared"]) == {int(found.shared.sum())}
    assert total["exclusive"].sum() == found.counts[1].sum()
    assert total["reference"].sum() == pytest.approx(found.expected_by_reference()[1].sum())
    assert set(total["size"]) == {atlas.layout.size}


def test_without_a_base_ticket_the_reference_is_undefined(tmp_path: Path) -> None:
    plain = make_atlas(tmp_path / "plain", ("en", "fr"), (0,), with_base=False)
    found = membership(plain, "mlm", 0.5)
    assert found.reference_kept is None
    assert np.isnan(found.expected_by_reference()).all()
    assert np.isnan(found.expected_exclusive_by_reference()).all()
    table = membership_table(found)
    assert table["reference"].isna().all()
    assert not table["independence"].isna().any()


def test_a_base_ticket_of_other_levels_gives_no_reference(tmp_path: Path) -> None:
    other = make_atlas(tmp_path / "other", ("en",), (0,), (0.3,))
    key = TicketKey("mlm", "fr", "imp", 0)
    magnitude = np.random.default_rng(0).random(other.layout.size)
    other.save(make_ticket(key, other.layout, magnitude, (0.25,)))
    assert membership(other, "mlm", 0.25).reference_kept is None
    assert membership(other, "mlm", 0.3).reference_kept is not None


def test_which_tickets_are_compared(atlas: Atlas, tmp_path: Path) -> None:
    assert core_seeds(atlas, "mlm", 0.5) == (0, 1)
    assert [key.language for key in core_tickets(atlas, "mlm", 0.5)] == list(LANGUAGES)
    some = core_tickets(atlas, "mlm", 0.5, 1, languages=("zh", "en", "zh"))
    assert [key.stem for key in some] == ["mlm-zh-imp-s1", "mlm-en-imp-s1"]
    assert core_tickets(atlas, "mlm", 0.5, method="random")[0].method == "random"

    uneven = make_atlas(tmp_path / "uneven", ("en", "fr"), (0, 1), with_random=False, tables=False)
    (uneven.path / "tickets" / "mlm-fr-imp-s0.safetensors").unlink()
    assert {key.seed for key in core_tickets(uneven, "mlm", 0.5)} == {1}
    assert [key.language for key in core_tickets(uneven, "mlm", 0.5, 0)] == ["en"]
    with pytest.raises(LsnError, match="language fr, seed 0"):
        core_tickets(uneven, "mlm", 0.5, 0, languages=("en", "fr"))
    (uneven.path / "tickets" / "mlm-en-imp-s1.safetensors").unlink()
    with pytest.raises(LsnError, match="no seed that all of en, fr have"):
        core_tickets(uneven, "mlm", 0.5)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"task": "ner"}, "imp of task mlm"),
        ({"sparsity": 0.55}, "0.1, 0.2"),
        ({"method": "oneshot"}, "oneshot"),
        ({"seed": 9}, "seed 9; it has 0, 1"),
        ({"languages": ("en", "xx")}, "xx"),
        ({"method": "base", "task": ""}, "base"),
    ],
)
def test_what_is_not_there_is_said(atlas: Atlas, change: dict, says: str) -> None:
    with pytest.raises(LsnError, match=says):
        core_tickets(atlas, **{"task": "mlm", "sparsity": 0.5, **change})


def test_an_atlas_without_tickets_is_said(atlas: Atlas, tmp_path: Path) -> None:
    bare = Atlas.create(tmp_path / "bare", atlas.model, atlas.layout)
    for name in ("overlap", "scores"):
        frame, stamps = atlas.read_table(name) or (pd.DataFrame(), {})
        bare.write_table(name, frame, stamps)
    with pytest.raises(LsnError, match="tables without tickets"):
        membership(bare, "mlm", LEVELS[4])


def test_counts_that_do_not_fit_are_refused(atlas: Atlas) -> None:
    found = membership(atlas, "mlm", 0.5)

    def changed(**parts: np.ndarray | None) -> Membership:
        names = ("counts", "kept", "exclusive", "reference_kept", "in_reference")
        whole = {name: getattr(found, name) for name in names} | parts
        return Membership(found.layout, found.tickets, 0.5, **whole)

    moved = found.counts.copy()
    moved[1, 0] -= 1
    moved[2, 0] += 1
    for parts, says in (
        ({"counts": found.counts[1:]}, "other shapes"),
        ({"exclusive": found.exclusive[:2]}, "other shapes"),
        ({"counts": found.counts + 1}, "sizes"),
        ({"counts": moved}, "what the languages keep"),
        ({"in_reference": None}, "needs both"),
    ):
        with pytest.raises(LsnError, match=says):
            changed(**parts)


@pytest.mark.parametrize("by", ["total", "layer", "component", "matrix"])
def test_core_table_is_the_tail_of_the_membership_table(atlas: Atlas, by: str) -> None:
    found = membership(atlas, "mlm", 0.5)
    members = membership_table(found, (by,))
    sizes = members.groupby("scope", sort=False)["weights"].sum()
    for k in range(1, 6):
        table = core_table(found, k, by)
        assert tuple(table.columns) == CORE_COLUMNS
        tail = members[members["k"] >= k].groupby("scope", sort=False)
        assert table["scope"].tolist() == list(sizes.index)
        assert table["size"].tolist() == sizes.tolist()
        assert table["core"].tolist() == tail["weights"].sum().tolist()
        for name in ("independence", "reference"):
            np.testing.assert_allclose(table[name], tail[name].sum() * sizes, rtol=1e-9)


def test_cores_over_all_k_add_up_to_what_the_languages_keep(atlas: Atlas) -> None:
    found = membership(atlas, "mlm", 0.5)
    cores = pd.concat([core_table(found, k, "layer") for k in range(1, 6)])
    sums = cores.groupby("scope")[["kept", "core", "independence", "reference"]].sum()
    for name in ("core", "independence", "reference"):
        np.testing.assert_allclose(sums[name], sums["kept"], rtol=1e-9)


@pytest.mark.parametrize("k", [0, 6])
def test_core_table_needs_a_k_that_there_is(atlas: Atlas, k: int) -> None:
    with pytest.raises(LsnError, match="K lies between 1 and 5"):
        core_table(membership(atlas, "mlm", 0.5), k)

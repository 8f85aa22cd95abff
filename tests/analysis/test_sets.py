"""Sets of languages that keep a weight: against counting weight by weight, and what is expected."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from lsn_core.analysis.cores import membership
from lsn_core.analysis.sets import MAX_LANGUAGES, expected_sets, keeper_sets, set_table
from lsn_core.errors import LsnError
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.ticket import TicketKey
from tests.synthetic_atlas import make_atlas, make_layout

LANGUAGES = ("en", "de", "fr", "sw")
EVERY = np.arange(2 ** len(LANGUAGES), dtype=np.uint16)


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    layout = make_layout(layers=2, hidden=12)
    return make_atlas(
        tmp_path_factory.mktemp("sets") / "a", LANGUAGES, methods=("imp",), levels=(0.5,), layout=layout
    )


def _bits(atlas: Atlas, matrix: str, languages: tuple[str, ...] = LANGUAGES) -> np.ndarray:
    masks = (atlas.ticket(TicketKey("mlm", code, "imp", 0)).mask(0.5) for code in languages)
    return np.array([mask[matrix].ravel() for mask in masks])


def test_every_set_is_counted_as_weight_by_weight(atlas: Atlas) -> None:
    found = keeper_sets(atlas, "mlm", 0.5, 0)
    assert found.languages == membership(atlas, "mlm", 0.5, 0).languages
    told = {
        (pattern, index): count
        for pattern, row in zip(found.patterns.tolist(), found.counts.tolist(), strict=True)
        for index, count in enumerate(row)
    }
    for index, matrix in enumerate(atlas.layout.names):
        bits = _bits(atlas, matrix, found.languages)
        for chosen in product((False, True), repeat=len(LANGUAGES)):
            pattern = sum(1 << bit for bit, inside in enumerate(chosen) if inside)
            count = int((bits == np.array(chosen)[:, None]).all(axis=0).sum())
            assert told.get((pattern, index), 0) == count


def test_sets_add_up_to_the_numbers_of_keepers_and_so_do_the_expected(atlas: Atlas) -> None:
    sets, found = keeper_sets(atlas, "mlm", 0.5, 0), membership(atlas, "mlm", 0.5, 0)
    sizes = np.bitwise_count(sets.patterns)
    every = np.bitwise_count(EVERY)
    for k in range(len(LANGUAGES) + 1):
        assert np.array_equal(sets.counts[sizes == k].sum(axis=0), found.counts[k])
        for reference, expected in (
            (True, found.expected_by_reference()),
            (False, found.expected_by_chance()),
        ):
            here = expected_sets(found, EVERY, reference)
            np.testing.assert_allclose(here[every == k].sum(axis=0), expected[k])
    alone = [1 << bit for bit in range(len(LANGUAGES))]
    np.testing.assert_allclose(
        expected_sets(found, np.array(alone, dtype=np.uint16), True), found.expected_exclusive_by_reference()
    )


def test_table_is_of_the_part_that_is_asked_for_most_weights_first(atlas: Atlas) -> None:
    sets, found = keeper_sets(atlas, "mlm", 0.5, 0), membership(atlas, "mlm", 0.5, 0)
    (scope,) = [scope for scope in atlas.layout.scopes("layer") if scope.label == "encoder.1"]
    table = set_table(sets.over(scope.matrices), found, scope.matrices)
    assert table["weights"].is_monotonic_decreasing
    assert (table["weights"] > 0).all()
    assert table["weights"].sum() == atlas.layout.sizes[scope.matrices].sum()
    names = {name for name in table["languages"] if name}
    assert all(list(name.split()) == [c for c in found.languages if c in name.split()] for name in names)


def test_without_a_base_ticket_there_is_no_reference(tmp_path: Path) -> None:
    plain = make_atlas(tmp_path / "plain", ("en", "fr"), (0,), ("imp",), base=False, levels=(0.5,))
    sets, found = keeper_sets(plain, "mlm", 0.5), membership(plain, "mlm", 0.5)
    every = np.arange(len(plain.layout.matrices))
    table = set_table(sets.over(every), found, every)
    assert table["reference"].isna().all()
    assert table["independence"].notna().all()


def test_too_many_languages_and_other_languages_are_refused(atlas: Atlas, tmp_path: Path) -> None:
    codes = tuple(f"x{number}" for number in range(MAX_LANGUAGES + 1))
    layout = make_layout(layers=1, hidden=4)
    many = make_atlas(tmp_path / "many", codes, (0,), ("imp",), tables=False, levels=(0.5,), layout=layout)
    with pytest.raises(LsnError, match="16 languages at most, not 17"):
        keeper_sets(many, "mlm", 0.5)
    sets = keeper_sets(atlas, "mlm", 0.5, languages=("en", "fr"))
    with pytest.raises(LsnError, match="other languages"):
        set_table(sets.over(np.arange(2)), membership(atlas, "mlm", 0.5), np.arange(2))

"""The table of keepers: what it says is what the masks say, for the tickets that are here now."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lsn_core.analysis import keepers
from lsn_core.analysis.cores import membership
from lsn_core.analysis.counts import Counts, load_counts
from lsn_core.analysis.keepers import KEEPERS_TABLE, keepers_row, parts, read_keepers, refresh_keepers
from lsn_core.analysis.sets import MAX_LANGUAGES, keeper_sets
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.ticket import TicketKey
from tests.synthetic_atlas import make_atlas, make_layout

LANGUAGES = ("en", "de", "fr", "sw")
LEVELS = (0.3, 0.5)
ORDER = ("en", "fr", "de", "sw")  # the paper's


def made(folder: Path, languages: tuple[str, ...] = LANGUAGES, **settings: object) -> Atlas:
    layout = make_layout(layers=2, hidden=12)
    return make_atlas(folder, languages, levels=LEVELS, layout=layout, **settings)


def counts_of(
    atlas: Atlas, languages: tuple[str, ...], seed: int, level: float, method: str = "imp"
) -> Counts:
    found = load_counts(atlas, level, "mlm", method)
    return found.select(TicketKey("mlm", code, method, seed) for code in languages)


@pytest.mark.parametrize("method", ["imp", "random"])
def test_rows_say_what_the_masks_say(tmp_path: Path, method: str) -> None:
    atlas = made(tmp_path / "a")
    assert refresh_keepers(atlas)
    table = read_keepers(atlas)
    assert len(table) == 2 * 2 * len(LEVELS)  # methods, seeds
    for seed in (0, 1):
        for level in LEVELS:
            found = keepers_row(table, counts_of(atlas, ORDER, seed, level, method))
            assert found is not None
            told, sizes = found
            counted = membership(atlas, "mlm", level, seed, method)
            for name in ("counts", "kept", "exclusive", "reference_kept", "in_reference"):
                np.testing.assert_array_equal(getattr(told, name), getattr(counted, name))
            whole = keeper_sets(atlas, "mlm", level, seed, method)
            assert sizes is not None
            for scope in parts(atlas.layout):
                part, expected = sizes.over(scope.label), whole.over(scope.matrices)
                assert part is not None
                assert part.languages == expected.languages
                np.testing.assert_array_equal(part.patterns, expected.patterns)
                np.testing.assert_array_equal(part.weights, expected.weights)
            assert sizes.over(atlas.layout.names[0]) is None  # a single matrix


def test_other_languages_or_another_order_have_no_row(tmp_path: Path) -> None:
    atlas = made(tmp_path / "a")
    refresh_keepers(atlas)
    table = read_keepers(atlas)
    assert keepers_row(table, counts_of(atlas, ORDER[:3], 0, 0.5)) is None
    assert keepers_row(table, counts_of(atlas, ORDER[::-1], 0, 0.5)) is None


def test_rows_hold_as_long_as_their_tickets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    atlas = made(tmp_path / "a")
    assert refresh_keepers(atlas)
    assert not refresh_keepers(atlas)
    made(tmp_path / "a", (*LANGUAGES, "hi"), seeds=(1,), base=False)  # one more language with one seed
    atlas = Atlas.open(atlas.path)
    assert keepers_row(read_keepers(atlas), counts_of(atlas, ORDER, 0, 0.5)) is not None
    counted = []
    count = keepers._counted

    def watched(atlas: Atlas, keys: tuple[TicketKey, ...], levels: list[float]) -> object:
        counted.extend(key.seed for key in keys if levels)
        return count(atlas, keys, levels)

    monkeypatch.setattr(keepers, "_counted", watched)
    assert refresh_keepers(atlas)
    assert set(counted) == {1}
    assert keepers_row(read_keepers(atlas), counts_of(atlas, (*ORDER[:3], "hi", "sw"), 1, 0.5)) is not None
    assert keepers_row(read_keepers(atlas), counts_of(atlas, ORDER, 1, 0.5)) is None

    stem = TicketKey("mlm", "en", "imp", 0).stem
    other = made(tmp_path / "b", drift=2.0)
    for file in (other.path / "tickets" / f"{stem}.safetensors",):
        (atlas.path / "tickets" / file.name).write_bytes(file.read_bytes())
    atlas = Atlas.open(atlas.path)
    table = read_keepers(atlas)
    assert all(stem not in tickets for tickets in table["tickets"])
    assert [p.path.name for p in atlas.verify() if p.path.stem == KEEPERS_TABLE] == ["keepers.parquet"]


def test_a_damaged_table_counts_for_nothing_and_is_made_again(tmp_path: Path) -> None:
    atlas = made(tmp_path / "a")
    refresh_keepers(atlas)
    file = atlas.path / "keepers.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    assert read_keepers(atlas).empty
    assert refresh_keepers(atlas)
    assert len(read_keepers(atlas)) == 8


def test_many_languages_have_no_sets(tmp_path: Path) -> None:
    codes = tuple(f"x{number:02d}" for number in range(MAX_LANGUAGES + 1))
    atlas = make_atlas(
        tmp_path / "a", codes, (0,), ("imp",), levels=(0.5,), layout=make_layout(layers=1, hidden=4)
    )
    refresh_keepers(atlas)
    found = keepers_row(read_keepers(atlas), counts_of(atlas, codes, 0, 0.5))
    assert found is not None
    assert found[1] is None
    np.testing.assert_array_equal(found[0].counts, membership(atlas, "mlm", 0.5, 0).counts)


def test_sets_of_some_languages_are_those_counted_of_them(tmp_path: Path) -> None:
    atlas = made(tmp_path / "a", seeds=(0,), methods=("imp",))
    every, some = keeper_sets(atlas, "mlm", 0.5), keeper_sets(atlas, "mlm", 0.5, languages=("sw", "en"))
    found = every.select(("sw", "en"))
    assert found.languages == some.languages
    np.testing.assert_array_equal(found.patterns, some.patterns)
    np.testing.assert_array_equal(found.counts, some.counts)


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("counts", lambda values: values[::-1]),
        ("counts", lambda values: values[:-1]),
        ("counts", lambda values: values.astype(float)),
        ("exclusive", lambda values: values + 1),
        ("sets", lambda values: values[::-1]),
        ("sets", lambda values: values[:0]),
        ("tickets", lambda stems: stems[:1]),
        ("tickets", lambda stems: None),
        ("sparsity", lambda level: float("nan")),
    ],
)
def test_a_row_that_nothing_counted_is_not_believed(
    tmp_path: Path, column: str, change: Callable[[Any], Any]
) -> None:
    """A table can come from anywhere, sealed as it has to be."""
    atlas = made(tmp_path / "a")
    refresh_keepers(atlas)
    found = atlas.read_table(KEEPERS_TABLE)
    assert found is not None
    frame, stamps = found
    before = read_keepers(atlas)
    frame[column] = [change(value) if row == 0 else value for row, value in enumerate(frame[column])]
    if column == "counts" and change(np.array([1, 2])).dtype == float:
        frame[column] = [np.asarray(value, float) for value in frame[column]]
    atlas.write_table(KEEPERS_TABLE, frame, stamps)
    assert len(read_keepers(atlas)) < len(before)
    assert refresh_keepers(atlas)
    pd.testing.assert_frame_equal(read_keepers(atlas), before)

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lsn_core.analysis import counts as counts_module
from lsn_core.analysis import tables as tables_module
from lsn_core.analysis.counts import catalogue, load_counts
from lsn_core.analysis.intersections import intersections
from lsn_core.analysis.overlap import overlap
from lsn_core.analysis.tables import refresh, scores_table
from lsn_core.errors import CorruptFile, LsnError
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.stored import Shelf
from lsn_core.masks.ticket import BASE_KEY, TicketKey
from tests.synthetic import LEVELS, MODEL, make_atlas, make_ticket, small_layout

EN = TicketKey("mlm", "en", "imp", 0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_atlas(tmp_path_factory.mktemp("atlases") / "made", languages=("en", "sw")).path


@pytest.fixture
def atlas(made: Path, tmp_path: Path) -> Atlas:
    shutil.copytree(made, tmp_path / "atlas")
    return Atlas.open(tmp_path / "atlas")


@pytest.fixture
def no_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail on any attempt to look into masks."""

    def refuse(*args: object) -> None:
        pytest.fail("bits were read")

    monkeypatch.setattr(counts_module, "intersections", refuse)
    monkeypatch.setattr(Atlas, "ticket", refuse)


def changed(atlas: Atlas) -> None:
    """Put other masks in the place of one ticket's."""
    atlas.save(make_ticket(EN, atlas.layout, np.random.default_rng(5).random(atlas.layout.size)))


def flip(path: Path, place: int = -9) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 8
    path.write_bytes(data)


def test_the_table_holds_every_pair_at_every_level(atlas: Atlas) -> None:
    frame, stamps = atlas.read_table("overlap")
    assert list(frame.columns) == ["sparsity", "ticket_a", "ticket_b", "intersection"]
    assert stamps == atlas.stamps()
    tickets = len(stamps)
    assert len(frame) == len(LEVELS) * tickets * (tickets + 1) / 2
    assert sorted(frame["sparsity"].unique()) == list(LEVELS)
    for _, row in frame.sample(20, random_state=0).iterrows():
        a, b = (
            atlas.ticket(TicketKey.from_stem(row[name])).mask(row.sparsity)
            for name in ("ticket_a", "ticket_b")
        )
        assert row.intersection.tolist() == (a & b).counts.tolist()


def test_fresh_tables_are_used_and_agree_with_the_bits(atlas: Atlas, request: pytest.FixtureRequest) -> None:
    keys = [key for key in catalogue(atlas) if key.method == "imp"]
    masks = [atlas.ticket(key).mask(0.7) for key in keys]
    base = atlas.base().mask(0.7)
    request.getfixturevalue("no_bits")
    found = load_counts(atlas, 0.7)
    assert found.tickets == tuple(keys)
    assert found.sparsity == 0.7
    np.testing.assert_array_equal(found.pair, intersections(masks))
    np.testing.assert_array_equal(found.kept, [mask.counts for mask in masks])
    np.testing.assert_array_equal(found.reference_kept, base.counts)
    np.testing.assert_array_equal(found.in_reference, [(mask & base).counts for mask in masks])


def test_without_tables_the_bits_are_counted(atlas: Atlas) -> None:
    from_table = overlap(atlas, by="matrix")
    (atlas.path / "overlap.parquet").unlink()
    pd.testing.assert_frame_equal(overlap(atlas, by="matrix"), from_table)


def test_a_stale_table_is_not_used(atlas: Atlas) -> None:
    before = overlap(atlas)
    changed(atlas)
    after = overlap(atlas)
    touched = ((before.language_a == "en") & (before.seed_a == 0)) | (
        (before.language_b == "en") & (before.seed_b == 0)
    )
    assert (before.intersection[touched] != after.intersection[touched]).all()
    assert (before.intersection[~touched] == after.intersection[~touched]).all()
    assert {problem.path.name for problem in atlas.verify()} == {"overlap.parquet", "scores.parquet"}
    assert refresh(atlas)
    assert atlas.verify() == []
    pd.testing.assert_frame_equal(overlap(atlas), after)


def test_a_new_ticket_is_counted_before_the_tables_know_it(atlas: Atlas) -> None:
    key = TicketKey("mlm", "fr", "imp", 0)
    atlas.save(dataclasses.replace(atlas.ticket(EN), key=key))
    table = overlap(atlas)
    row = table[(table.language_a == "en") & (table.seed_a == 0) & (table.language_b == "fr")].iloc[0]
    assert row.jaccard == 1


def test_a_removed_ticket_is_gone_from_the_answers(atlas: Atlas, no_bits: None) -> None:
    (atlas.path / "tickets" / "mlm-en-imp-s0.safetensors").unlink()
    assert EN not in load_counts(atlas, 0.5).tickets
    assert len(overlap(atlas)) == 3


def test_a_damaged_ticket_is_gone_and_the_table_still_serves_the_others(atlas: Atlas, no_bits: None) -> None:
    flip(atlas.path / "tickets" / "mlm-en-imp-s0.safetensors")
    assert EN not in load_counts(atlas, 0.5).tickets
    assert len(overlap(atlas)) == 3
    assert set(scores_table(atlas).seed[scores_table(atlas).language == "en"]) == {
        0,
        1,
    }  # s0 is the random one
    flip(atlas.path / "tickets" / "base.safetensors")
    table = overlap(atlas)
    assert len(table) == 3
    assert table.reference.isna().all()


def test_a_damaged_base_and_no_table_is_a_sentence(atlas: Atlas) -> None:
    flip(atlas.path / "tickets" / "base.safetensors")
    (atlas.path / "overlap.parquet").unlink()
    with pytest.raises(LsnError, match="stored as differences from base ticket"):
        overlap(atlas)


def test_a_damaged_table_is_counted_again_where_there_are_bits(atlas: Atlas) -> None:
    before = overlap(atlas)
    flip(atlas.path / "overlap.parquet", 100)
    pd.testing.assert_frame_equal(overlap(atlas), before)
    assert [problem.path.name for problem in atlas.verify()] == ["overlap.parquet"]
    assert refresh(atlas)
    assert atlas.verify() == []


def test_an_atlas_without_bits_answers_from_its_tables(atlas: Atlas, no_bits: None) -> None:
    before = {by: overlap(atlas, by=by) for by in ("total", "layer", "component", "matrix")}
    scores = scores_table(atlas)
    there = catalogue(atlas)
    shutil.rmtree(atlas.path / "tickets")
    bare = Atlas.open(atlas.path)
    assert not bare.has_bits
    assert catalogue(bare) == there
    for by, table in before.items():
        pd.testing.assert_frame_equal(overlap(bare, by=by), table)
    pd.testing.assert_frame_equal(scores_table(bare), scores, check_dtype=False)
    assert bare.verify() == []
    assert not refresh(bare)  # nothing to build from: what was shipped stays
    pd.testing.assert_frame_equal(overlap(bare), before["total"])
    with pytest.raises(LsnError, match=r"no imp tickets at sparsity 0.55; they have 0.1, 0.2"):
        overlap(bare, sparsity=0.55)
    flip(bare.path / "overlap.parquet", 100)
    with pytest.raises(CorruptFile, match=r"overlap\.parquet is damaged"):
        overlap(bare)


def test_an_empty_atlas_says_so(tmp_path: Path) -> None:
    atlas = Atlas.create(tmp_path / "a", MODEL, small_layout())
    assert catalogue(atlas) == {}
    assert not refresh(atlas)
    assert scores_table(atlas).empty
    with pytest.raises(
        LsnError, match="atlas a has neither sound tickets nor a table of counts; discover some first"
    ):
        overlap(atlas)


def test_a_table_that_does_not_fit_the_model_is_refused(atlas: Atlas) -> None:
    frame, stamps = atlas.read_table("overlap")
    expected = overlap(atlas)
    shorter = frame.assign(intersection=[row[:-1] for row in frame["intersection"]])
    for wrong in (shorter, frame.rename(columns={"ticket_a": "first"})):
        atlas.write_table("overlap", wrong, stamps)
        pd.testing.assert_frame_equal(overlap(atlas), expected)
    atlas.write_table("scores", frame, stamps)
    shutil.rmtree(atlas.path / "tickets")
    with pytest.raises(CorruptFile, match="does not fit its model"):
        overlap(atlas)
    with pytest.raises(CorruptFile, match=r"none of scores \(it has other columns\)"):
        scores_table(atlas)


def test_refresh_works_once(atlas: Atlas, no_bits: None) -> None:
    assert not refresh(atlas)


def test_levels_are_counted_in_several_passes_when_memory_is_short(
    atlas: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = atlas.read_table("overlap")
    for name in ("overlap", "scores"):
        (atlas.path / f"{name}.parquet").unlink()
    monkeypatch.setattr(tables_module, "_PACKED_BYTES", 1)
    assert refresh(atlas)
    pieces, _ = atlas.read_table("overlap")
    pd.testing.assert_frame_equal(pieces, whole)


@pytest.mark.parametrize("memory", [0, 3000])
def test_masks_that_wait_on_disk_are_counted_alike(
    atlas: Atlas, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, memory: int
) -> None:
    whole, _ = atlas.read_table("overlap")
    for name in ("overlap", "scores"):
        (atlas.path / f"{name}.parquet").unlink()
    waiting = tmp_path / "waiting"
    waiting.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(waiting))
    monkeypatch.setattr(counts_module, "Shelf", lambda: Shelf(memory))
    monkeypatch.setattr(tables_module, "Shelf", lambda: Shelf(memory))
    counted = load_counts(atlas, 0.5)
    assert refresh(atlas)
    pd.testing.assert_frame_equal(atlas.read_table("overlap")[0], whole)
    np.testing.assert_array_equal(load_counts(atlas, 0.5).pair, counted.pair)
    assert not list(waiting.iterdir())


def test_tickets_of_different_levels_are_paired_where_they_meet(tmp_path: Path) -> None:
    atlas = make_atlas(
        tmp_path / "a", languages=("en", "sw"), seeds=(0,), levels=(0.3, 0.5), with_random=False
    )
    rng = np.random.default_rng(0)
    other = TicketKey("mlm", "fr", "imp", 0)
    atlas.save(make_ticket(other, atlas.layout, rng.random(atlas.layout.size), (0.1 + 0.2, 0.8)))
    assert refresh(atlas)
    assert len(overlap(atlas, sparsity=0.3)) == 3
    assert len(overlap(atlas, sparsity=0.5)) == 1
    lonely = load_counts(atlas, 0.8)
    assert lonely.tickets == (other,)
    assert lonely.reference_kept is None
    frame, _ = atlas.read_table("overlap")
    assert sorted(frame["sparsity"].unique()) == [0.3, 0.5, 0.8]


def test_counts_of_chosen_tickets(atlas: Atlas) -> None:
    found = load_counts(atlas, 0.5)
    chosen = found.select([found.tickets[3], found.tickets[0]])
    assert chosen.tickets == (found.tickets[3], found.tickets[0])
    np.testing.assert_array_equal(chosen.pair[0, 1], found.pair[3, 0])
    np.testing.assert_array_equal(chosen.in_reference, found.in_reference[[3, 0]])
    with pytest.raises(LsnError, match=r"no counts of ticket base at sparsity 0\.5"):
        found.select([BASE_KEY])


def test_scores(atlas: Atlas) -> None:
    table = scores_table(atlas)
    assert list(table.columns) == [
        *("task", "language", "method", "seed", "sparsity", "metric", "value", "count", "split"),
    ]
    assert len(table) == 6 * 10
    row = table[
        (table.language == "sw") & (table.method == "imp") & (table.seed == 1) & (table.sparsity == 0)
    ]
    (dense,) = [
        score for score in atlas.header(TicketKey("mlm", "sw", "imp", 1)).scores if score.sparsity == 0
    ]
    assert row[["metric", "value", "count", "split"]].values.tolist() == [
        [dense.metric, dense.value, dense.count, dense.split]
    ]

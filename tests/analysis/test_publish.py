"""What is made from an atlas is made anew when that has changed, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest

from lsn_core.analysis import publish as module
from lsn_core.analysis.card import CARD_FILE, NOTE_FILE
from lsn_core.analysis.publish import publish
from lsn_core.masks.atlas import Atlas
from tests.synthetic_atlas import make_atlas, write_core_scores, write_transfer

LANGUAGES = ("en", "fr", "sw")


@pytest.fixture
def atlas(tmp_path: Path) -> Atlas:
    made = make_atlas(tmp_path / "a", LANGUAGES, methods=("imp",), levels=(0.5,))
    assert publish(made)
    return made


def test_nothing_is_worked_out_again_where_nothing_changed(
    atlas: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("it was worked out again")

    before = {file.name: file.read_bytes() for file in atlas.path.iterdir() if file.is_file()}
    for name in ("findings", "write_card", "write_findings"):
        monkeypatch.setattr(module, name, fail)
    assert not publish(Atlas.open(atlas.path))
    assert before == {file.name: file.read_bytes() for file in atlas.path.iterdir() if file.is_file()}
    assert atlas.verify() == []


@pytest.mark.parametrize("what", ["transfer", "core", "ticket", "card", "note", "damage", "table gone"])
def test_every_change_is_seen(atlas: Atlas, what: str) -> None:
    if what == "transfer":
        write_transfer(atlas, LANGUAGES)
    elif what == "core":
        write_core_scores(atlas, LANGUAGES, 2)
    elif what == "ticket":
        (atlas.path / "tickets" / "mlm-sw-imp-s1.safetensors").unlink()
    elif what == "card":
        (atlas.path / CARD_FILE).unlink()
    elif what == "note":
        (atlas.path / NOTE_FILE).write_text("A word of its makers.")
    elif what == "damage":
        (atlas.path / "findings.parquet").write_bytes(b"not a table")
    else:
        write_transfer(atlas, LANGUAGES)
        assert publish(atlas)
        (atlas.path / "transfer.parquet").unlink()
    assert publish(atlas)
    assert not publish(atlas)
    assert atlas.verify() == []
    card = (atlas.path / CARD_FILE).read_text()
    assert ("Transfer of masks" in card) == (what == "transfer")
    assert ("Score of the core" in card) == (what == "core")
    assert ("A word of its makers." in card) == (what == "note")


def test_findings_older_than_the_transfer_table_are_found_stale(atlas: Atlas) -> None:
    write_transfer(atlas, LANGUAGES)
    (problem,) = atlas.verify()
    assert problem.path.name == "findings.parquet"
    assert "table:transfer" in problem.message


def test_a_stop_between_card_and_findings_is_made_good(atlas: Atlas, monkeypatch: pytest.MonkeyPatch) -> None:
    write_transfer(atlas, LANGUAGES)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, "write_findings", stop)
        with pytest.raises(KeyboardInterrupt):
            publish(atlas)
    assert publish(atlas)
    assert atlas.verify() == []

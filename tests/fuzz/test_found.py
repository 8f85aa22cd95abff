"""What fuzzing and faults have found, each in its smallest form."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from lsn_core.analysis.card import NOTE_FILE, write_card
from lsn_core.analysis.core_scores import core_scores, scored_cores
from lsn_core.analysis.counts import load_counts
from lsn_core.analysis.findings import Finding, read_findings
from lsn_core.analysis.tables import refresh, scores_table
from lsn_core.cli import main
from lsn_core.data.opening import open_source
from lsn_core.discovery.config import Recipe
from lsn_core.discovery.plan import Plan, estimate
from lsn_core.errors import CorruptFile, LsnError
from lsn_core.jobs.board import Board, job_id
from lsn_core.jobs.snapshot import Snapshot, TicketState, read_snapshot, write_snapshot
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.cells import CORE, TRANSFER, Cell, gather, read_rows, save_cell
from lsn_core.masks.checks import is_real
from lsn_core.masks.container import parse_json
from lsn_core.masks.foreign.inspection import inspect_foreign
from lsn_core.masks.layout import Layout, Matrix
from lsn_core.masks.ticket import Score, Ticket, TicketKey
from lsn_core.masks.ticket_file import read_ticket, write_ticket
from lsn_core.ui.address import Address
from tests.synthetic import MODEL, make_atlas, make_ticket, small_layout
from tests.synthetic_atlas import write_transfer

LAYOUT = small_layout(1, 8)
EN = TicketKey("mlm", "en", "imp", 0)
LANGUAGES = ("en", "de", "sw")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An atlas with tickets of three languages and a transfer table."""
    atlas = make_atlas(tmp_path_factory.mktemp("found") / "atlas", LANGUAGES, (0,), (0.3, 0.5), LAYOUT)
    write_transfer(atlas, LANGUAGES, seeds=(0,))
    return atlas.path


@pytest.fixture
def atlas(whole: Path, tmp_path: Path) -> Atlas:
    return Atlas.open(shutil.copytree(whole, tmp_path / "atlas"))


def _plain(error: BaseException) -> None:
    assert "\n" not in str(error)
    assert len(str(error)) < 2000


# ---------------------------------------------------------------- tickets, layouts, JSON


def test_a_ticket_of_few_weights_is_read_again(tmp_path: Path) -> None:
    """What packs a byte takes more than twice a byte."""
    layout = Layout((Matrix("m", (1, 1), "encoder", 0, "query"),))
    ticket = Ticket(EN, layout, (0.0,), np.zeros(1, np.uint8))
    write_ticket(tmp_path / "t", ticket, None)
    assert read_ticket(tmp_path / "t").content_hash == ticket.content_hash


@pytest.mark.parametrize(
    "about",
    [
        {"recipe": "fast"},
        {"recipe": {"training": [1]}},
        {"recipe": {"rounds": True}},
        {"imported": "mask.pt"},
        {"imported": {"file": 5}},
        {"data": ["cldr"]},
        {"data": {"fingerprint": 7}},
        {"seconds": "long"},
        {"versions": ["2.0"]},
        {"created": 2024},
    ],
)
def test_a_provenance_of_another_kind_is_refused(about: dict[str, Any]) -> None:
    with pytest.raises(LsnError, match="in a provenance cannot be"):
        dataclasses.replace(
            make_ticket(EN, LAYOUT, np.arange(LAYOUT.size)), provenance={"model": MODEL, **about}
        )


def test_half_a_surrogate_pair_is_no_text() -> None:
    assert parse_json('{"a": "\\ud800"}') is None
    assert parse_json(b'{"a": "\\uDFFF"}') is None
    assert parse_json('{"a": "\\ud83d\\ude00"}') == {"a": "😀"}
    assert parse_json('"\\\\ud800"') == "\\ud800"


def test_a_number_beyond_every_float_is_no_real_one() -> None:
    assert not is_real(10**400)
    with pytest.raises(LsnError):
        Score(0.5, "top-1", 10**400, 1, "test")


@pytest.mark.parametrize("name", ["a\nb", "a\0b", "x" * 5000, ["a"], ""])
def test_a_matrix_has_a_name_in_one_line(name: Any) -> None:
    with pytest.raises(LsnError, match="name in one line") as caught:
        Matrix(name, (1, 1), "encoder", 0, "query")
    _plain(caught.value)


def test_what_a_message_quotes_is_cut(tmp_path: Path) -> None:
    for about in (
        lambda: Matrix("m", (1, 1), "x" * 5000, 0, "query"),
        lambda: Matrix("m", (1, "x" * 5000), "encoder", 0, "query"),  # type: ignore[arg-type]
    ):
        with pytest.raises(LsnError) as caught:
            about()
        _plain(caught.value)
    (tmp_path / "atlas.json").write_text(json.dumps({"format_version": "x" * 5000}))
    with pytest.raises(LsnError, match="has atlas format") as caught:
        Atlas.open(tmp_path)
    _plain(caught.value)


def test_a_model_has_a_name_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(LsnError, match="name and fingerprint"):
        Atlas.create(tmp_path / "a", {"name": "a\nb", "fingerprint": "0"}, LAYOUT)


def test_an_atlas_that_says_little_of_its_model(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    atlas = Atlas.create(tmp_path / "a", {"name": "mine", "fingerprint": "0" * 64}, LAYOUT)
    assert main(["inspect", str(atlas.path)]) == 0
    assert "mine (revision not recorded)" in capsys.readouterr().out
    write_card(atlas)
    assert "revision not recorded" in (atlas.path / "CARD.md").read_text()


def test_a_card_of_tickets_some_of_which_were_imported(atlas: Atlas) -> None:
    ticket = atlas.ticket(EN)
    about = {**ticket.provenance, "imported": {"sha256": "1" * 64}}
    atlas.save(dataclasses.replace(ticket, provenance=about))
    (atlas.path / NOTE_FILE).write_bytes("Größe".encode("latin-1"))
    write_card(atlas)
    text = (atlas.path / "CARD.md").read_text()
    assert "1 tickets imported, not made here: en seed 0 from `a file that is not named`" in text
    assert "`imp`: 2 tickets, 2 languages" in text
    assert "Gr\ufffd\ufffde" in text


def test_time_is_not_judged_by_tickets_that_were_imported(atlas: Atlas) -> None:
    ticket = atlas.ticket(EN)
    recipe = Recipe("mlm")
    like = {"batch_size": recipe.training.batch_size, "max_length": recipe.training.max_length}
    about = {"model": MODEL, "recipe": {"training": like}, "seconds": 5.0}
    write_ticket(
        atlas.path / "tickets" / f"{EN.stem}.safetensors", dataclasses.replace(ticket, provenance=about), None
    )
    assert estimate(Plan(1, 0, recipe), [atlas.header(EN)], 2) is None


# ---------------------------------------------------------------- tables and cells


def _spoilt(atlas: Atlas, name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """Write a table with something changed in it, as someone does who knows the format."""
    found = atlas.read_table(name)
    assert found is not None
    atlas.write_table(name, change(found[0].copy()), found[1])


def _with(column: str, value: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda frame: frame.assign(**{column: [value] * len(frame)})


@pytest.mark.parametrize(
    "change",
    [
        _with("intersection", None),
        _with("intersection", [1]),
        _with("intersection", [10**9] * 6),
        _with("intersection", ["1"] * 6),
        _with("sparsity", "half"),
        _with("sparsity", 7.0),
        _with("ticket_a", None),
        _with("ticket_b", "../x"),
        lambda frame: frame.rename(columns={"sparsity": "x"}),
    ],
)
def test_an_overlap_table_that_cannot_be(
    change: Callable[[pd.DataFrame], pd.DataFrame], atlas: Atlas, tmp_path: Path
) -> None:
    before = load_counts(atlas, 0.5).pair
    _spoilt(atlas, "overlap", change)
    np.testing.assert_array_equal(load_counts(atlas, 0.5).pair, before)  # counted from the masks
    shutil.rmtree(atlas.path / "tickets")
    with pytest.raises(CorruptFile, match="does not fit its model") as caught:
        load_counts(Atlas.open(atlas.path), 0.5)
    _plain(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        _with("value", "high"),
        _with("value", math.inf),
        _with("count", -1),
        _with("count", 0.5),
        _with("language", None),
        _with("seed", "0"),
        lambda frame: frame.drop(columns="split"),
    ],
)
def test_a_score_table_that_cannot_be(change: Callable[[pd.DataFrame], pd.DataFrame], atlas: Atlas) -> None:
    _spoilt(atlas, "scores", change)
    shutil.rmtree(atlas.path / "tickets")
    with pytest.raises(CorruptFile, match="is none of scores"):
        scores_table(Atlas.open(atlas.path))


@pytest.mark.parametrize(
    "change", [_with("seed", "a"), _with("value", None), _with("tickets", 5), _with("sparsity", -1.0)]
)
def test_a_transfer_table_that_cannot_be(
    change: Callable[[pd.DataFrame], pd.DataFrame], atlas: Atlas
) -> None:
    _spoilt(atlas, "transfer", change)
    with pytest.raises(CorruptFile, match=r"table transfer of atlas .* remove and rebuild it"):
        read_rows(atlas, TRANSFER)
    assert [problem.path.name for problem in gather(atlas, TRANSFER).problems] == ["transfer.parquet"]


def test_findings_of_which_no_sentence_can_be_made(atlas: Atlas) -> None:
    for question, subject in (("core", "nobody"), ("across tasks", "x"), ("neutrality", "encoder.0")):
        rows = [Finding("mlm", 0.5, question, subject, 0.5, 0.4, 0.6, 0.1, 3)]
        atlas.write_table("findings", pd.DataFrame([dataclasses.asdict(row) for row in rows]), {})
        with pytest.raises(CorruptFile, match="is none of findings"):
            read_findings(atlas)
    atlas.write_table("findings", pd.DataFrame({"x": [1]}), {})
    with pytest.raises(CorruptFile, match="it has other columns"):
        read_findings(atlas)


def test_a_core_scored_on_a_language_that_it_is_not_of() -> None:
    row = {
        **{"task": "mlm", "members": "en de", "at_least": 2, "control": "", "target": "en", "seed": 0},
        **{"sparsity": 0.5, "kept": 9, "metric": "top-1", "value": 0.5, "count": 9, "split": "test"},
        **{"tickets": "", "settings": "", "cell": ""},
    }
    rows = pd.DataFrame([row, {**row, "target": "sw"}], columns=list(CORE.columns))
    (which,) = scored_cores(rows, "mlm")
    assert core_scores(rows, which).networks.languages == ("en", "de")


def _row(**changes: Any) -> dict[str, Any]:
    row = {
        **{
            "kind": "mask",
            "task": "mlm",
            "source_task": "mlm",
            "source": "en",
            "control": "",
            "target": "de",
        },
        **{"seed": 0, "sparsity": 0.5, "metric": "top-1", "value": 0.5, "count": 9, "split": "test"},
    }
    return {**row, **changes}


@pytest.mark.parametrize(
    "changes",
    [{"seed": "0"}, {"seed": True}, {"value": None}, {"sparsity": 3}, {"count": 2**70}, {"kind": 5}],
)
def test_a_cell_whose_rows_are_not_of_the_table(changes: dict[str, Any], atlas: Atlas) -> None:
    stamps = {EN.stem: atlas.stamps()[EN.stem]}
    save_cell(atlas, TRANSFER, Cell({"settings": {}, "n": 1}, stamps, (_row(),)))
    bad = Cell({"settings": {}, "n": 2}, stamps, (_row(**changes),))
    save_cell(atlas, TRANSFER, bad)
    found = gather(atlas, TRANSFER)
    assert [problem.path.stem for problem in found.problems] == [bad.name]
    assert len(found.frame[found.frame["settings"] != "0" * 12]) == 1


def test_tickets_that_are_replaced_while_they_are_counted(
    atlas: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table under the stamp of one ticket never holds the counts of the one that came in its place."""
    read = Atlas.ticket
    replaced = []

    def ticket(self: Atlas, key: TicketKey) -> Ticket:
        if key == EN and not replaced:
            replaced.append(key)
            other = Atlas.open(self.path)
            other.save(make_ticket(EN, LAYOUT, np.random.default_rng(9).random(LAYOUT.size), (0.3, 0.5)))
        return read(self, key)

    (atlas.path / "overlap.parquet").unlink()
    monkeypatch.setattr(Atlas, "ticket", ticket)
    assert refresh(atlas)
    assert replaced
    again = Atlas.open(atlas.path)
    np.testing.assert_array_equal(
        load_counts(again, 0.5).select([EN]).pair[0, 0], read(again, EN).mask(0.5).counts
    )
    assert [problem.path.name for problem in again.verify()] == ["transfer.parquet"]


def test_tickets_that_are_replaced_all_the_time(atlas: Atlas, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Atlas.ticket
    monkeypatch.setattr(
        Atlas, "ticket", lambda self, key: dataclasses.replace(read(self, key), config_hash="another")
    )
    (atlas.path / "overlap.parquet").unlink()
    with pytest.raises(LsnError, match="change while they are counted"):
        refresh(atlas)


# ---------------------------------------------------------------- runs, addresses

ARGV = ["discover", "--atlas", "masks/mine"]


@pytest.mark.parametrize(
    "record",
    [
        {"command": ["discover", 5], "atlas": "mine", "begun": 1.0},
        {"command": ["discover", "--atlas", "masks/yours"], "atlas": "yours", "begun": 1.0},
        {"command": ARGV, "atlas": "mine", "begun": math.nan},
        {"command": ARGV, "atlas": "mine", "begun": 1e300},
        {"command": ARGV, "atlas": "mine", "begun": -5.0},
        {"command": ARGV, "atlas": "\ud800", "begun": 1.0},
        [],
    ],
)
def test_a_record_that_is_not_of_its_run(record: Any, tmp_path: Path) -> None:
    home = tmp_path / "masks" / ".jobs" / job_id(ARGV)
    home.mkdir(parents=True)
    (home / "job.json").write_text(json.dumps(record))
    board = Board(tmp_path / "masks")
    assert board.jobs() == []
    assert board.damaged() == [home.name]


@pytest.mark.parametrize("start", [10**30, -5, 2**40])
def test_a_place_in_the_log_that_is_not_there(start: int, tmp_path: Path) -> None:
    home = tmp_path / "masks" / ".jobs" / job_id(ARGV)
    home.mkdir(parents=True)
    (home / "job.json").write_text(json.dumps({"command": ARGV, "atlas": "mine", "begun": 1.0}))
    (home / "process.json").write_text(json.dumps({"pid": 2**22 + 1, "birth": "never", "log_from": start}))
    (home / "log.txt").write_text("lsn_core: no room.\n")
    board = Board(tmp_path / "masks")
    assert len(board.jobs()) + len(board.damaged()) == 1


@pytest.mark.parametrize("time", [math.nan, 1e300, 10**400, -1.0])
def test_a_snapshot_of_a_time_that_never_was(time: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a time"):
        write_snapshot(tmp_path / "state.json", Snapshot(1, "running", time, 2.0))


def test_a_seed_of_eighteen_digits_is_told(tmp_path: Path) -> None:
    from lsn_core.jobs.snapshot import TicketState, read_snapshot

    said = Snapshot(1, "running", 1.0, 2.0, tickets=(TicketState("mlm", "en", "imp", 10**17),))
    write_snapshot(tmp_path / "state.json", said)
    assert read_snapshot(tmp_path / "state.json") == said


def test_a_link_cannot_put_a_picture_on_the_page() -> None:
    address = Address({}, {"v": "![x](https://example.org/x.png)" + "y" * 5000}, "overlap")
    (note,) = address.notes
    assert r"\!\[x\](https" in note
    assert len(note) < 400


# ---------------------------------------------------------------- text and labels


def _folder(root: Path, name: str, content: bytes) -> Path:
    (root / "en").mkdir()
    for split in ("train", "dev", "test"):
        (root / "en" / f"{split}.{name}").write_bytes(content)
    return root


@pytest.mark.parametrize(
    ("name", "kind", "content", "says"),
    [
        ("jsonl", "text", b"[" * 5000, "is not JSON"),
        ("jsonl", "text", b'{"text": "\\ud800"}', "is not JSON"),
        ("jsonl", "text", b'{"text": ' + b"9" * 5000 + b"}", "is not JSON"),
        ("jsonl", "pos", b'{"a":' * 5000, "is not JSON"),
        ("conllu", "text", b"1-" + b"9" * 5000 + b"\tword\n\n", "is not CoNLL-U"),
        ("conllu", "pos", b"9" * 5000 + b"\tword\tword\tNOUN\n\n", "is not CoNLL-U"),
        ("tsv", "nli", b"a\tb\t" + b"x" * 5000, "has the label"),
        ("txt", "pos", b"word\t" + b"x" * 5000, "has the tag"),
        ("txt", "ner", b"word\t" + b"x" * 5000, "has the entity tag"),
    ],
)
def test_text_that_is_none(name: str, kind: str, content: bytes, says: str, tmp_path: Path) -> None:
    source = open_source(str(_folder(tmp_path, name, content)))
    with pytest.raises(LsnError, match=says) as caught:
        source.corpus("en", "train", kind)
    _plain(caught.value)


LONG = "A line that is long enough to be read as a passage of text, as it is here and in no other place."


@pytest.mark.parametrize(
    ("kind", "table", "says"),
    [
        ("nli", {"premise": [1], "hypothesis": ["b"], "label": [0]}, "int64 in its column 'premise'"),
        ("ner", {"tokens": ["Ann"], "ner_tags": [[0]]}, "string in its column 'tokens'"),
        ("ner", {"tokens": [[1]], "ner_tags": [[0]]}, "in its column 'tokens'"),
        ("text", {"text": [5]}, "int64 in its column 'text'"),
        ("text", {"text": pa.array([b"\xff" * 80]).view(pa.string())}, "not a whole parquet file"),
        (
            "nli",
            {"premise": pa.array([b"\xff"]).view(pa.string()), "hypothesis": ["b"], "label": [0]},
            "not a whole parquet file",
        ),
    ],
)
def test_parquet_of_something_else(kind: str, table: dict[str, Any], says: str, tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    for split in ("train", "validation", "test"):
        pq.write_table(pa.table(table), tmp_path / "en" / f"{split}.parquet")
    source = open_source(str(tmp_path))
    with pytest.raises(LsnError, match=says) as caught:
        source.corpus("en", "train", kind)
    _plain(caught.value)


def test_labels_without_a_sign(tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    columns = {"premise": ["a", "b"], "hypothesis": ["c", "d"], "label": pa.array([2, None], pa.uint8())}
    for split in ("train", "validation", "test"):
        pq.write_table(pa.table(columns), tmp_path / "en" / f"{split}.parquet")
    corpus = open_source(str(tmp_path)).corpus("en", "train", "nli")
    assert [corpus[number].label for number in range(len(corpus))] == ["contradiction"]


def test_a_column_that_comes_twice(tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    table = pa.table([pa.array([LONG]), pa.array([LONG])], names=["text", "text"])
    pq.write_table(table, tmp_path / "en" / "train.parquet")
    with pytest.raises(LsnError, match="not a whole parquet file"):
        open_source(str(tmp_path)).corpus("en", "train", "text")


# ---------------------------------------------------------------- masks of others


def test_numbers_of_two_parts_are_no_mask(tmp_path: Path) -> None:
    arrays = {name: np.ones(LAYOUT.matrices[0].shape, np.complex64) for name in LAYOUT.names}
    save_file(arrays, tmp_path / "mask.safetensors")
    report = inspect_foreign(tmp_path / "mask.safetensors", LAYOUT)
    assert report.failed is not None
    assert "is of type C64" in report.failed.found


def test_a_header_of_numpy_that_fails_in_another_way(tmp_path: Path) -> None:
    text = b"{'descr': [('a', 5, 'b', 9)], 'fortran_order': False, 'shape': (1, 4), }"
    data = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + text.ljust(117) + b"\n" + bytes(32)
    (tmp_path / "mask.npy").write_bytes(data)
    report = inspect_foreign(tmp_path / "mask.npy", LAYOUT)
    assert report.failed is not None
    assert "is not in numpy's format" in report.failed.found


def test_text_in_another_coding_is_no_json() -> None:
    assert parse_json(b'"\xed\xa0\x80"') is None  # half a surrogate pair, as UTF-8 may not have it
    assert parse_json('"a"'.encode("utf-16")) is None
    assert parse_json('"é"'.encode()) == "é"


def test_a_file_that_is_gone_when_it_is_to_be_read(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    from lsn_core.masks.foreign import child

    code = child.main(["npy", str(tmp_path / "gone.npy"), "10", "60", str(tmp_path / "out")])
    assert code == 0
    assert json.loads(capsys.readouterr().out)["found"] == "it cannot be read (no such file or directory)"


def test_a_setting_that_is_far_too_long() -> None:
    with pytest.raises(LsnError, match="The setting scope is") as caught:
        Recipe("mlm", scope="x" * 5000)
    _plain(caught.value)


def test_a_ticket_that_begins_after_the_run_has_ended(tmp_path: Path) -> None:
    ticket = TicketState("mlm", "en", "imp", 0, first=1)
    write_snapshot(tmp_path / "state.json", Snapshot(1, "running", 1.0, 2.0, 1, 4, tickets=(ticket,)))
    data = json.loads((tmp_path / "state.json").read_text())
    data["tickets"][0]["first"] = 12
    (tmp_path / "state.json").write_text(json.dumps(data))
    with pytest.raises(CorruptFile, match="first round"):
        read_snapshot(tmp_path / "state.json")

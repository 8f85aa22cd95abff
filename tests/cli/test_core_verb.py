"""The verb `core` from outside."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from lsn_core.analysis.cores import core_mask
from lsn_core.cli import main
from lsn_core.masks.atlas import Atlas
from tests.synthetic import make_atlas

LANGUAGES = ("en", "fr", "zh")


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_atlas(tmp_path_factory.mktemp("core") / "atlas", LANGUAGES).path


def _core(atlas: Path, *options: str) -> int:
    return main(["core", "--atlas", str(atlas), "--task", "mlm", "--sparsity", "0.5", *options])


def test_core_prints_a_row_for_each_scope_and_number_of_languages(
    atlas: Path, capsys: pytest.CaptureFixture
) -> None:
    assert _core(atlas, "--at-least", "2") == 0
    captured = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(captured.out)))
    assert list(rows[0]) == ["scope", "k", "weights", "share", "independence", "reference"]
    scopes = list(dict.fromkeys(row["scope"] for row in rows))
    assert scopes[:4] == ["total", "encoder.0", "encoder.1", "encoder.2"]
    assert len(scopes) == 1 + 3 + 6
    assert [(row["scope"], int(row["k"])) for row in rows] == [(s, k) for s in scopes for k in range(4)]
    layout = Atlas.open(atlas).layout
    total = rows[:4]
    assert sum(int(row["weights"]) for row in total) == layout.size
    for row in total:
        assert float(row["share"]) == pytest.approx(int(row["weights"]) / layout.size)

    core = core_mask(Atlas.open(atlas), "mlm", 0.5, 2)
    assert sum(int(row["weights"]) for row in total[2:]) == core.kept
    said = captured.err.strip()
    assert len(said.splitlines()) == 1
    assert said.startswith(f"At least 2 of 3 languages keep {core.kept:,} ({core.density:.1%}) of")
    for column, words in (("reference", "magnitudes alone would give"), ("independence", "chance")):
        share = sum(float(row[column]) for row in total[2:])
        assert f"{words} {round(share * layout.size):,} ({share:.1%})" in said


def test_core_into_a_file_and_of_another_seed_and_method(
    atlas: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    outs = {}
    for name, options in {
        "first": [],
        "second": ["--seed", "1"],
        "random": ["--method", "random"],
    }.items():
        out = tmp_path / f"{name}.csv"
        assert _core(atlas, "--at-least", "3", "--out", str(out), *options) == 0
        outs[name] = out.read_text()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "seed 1" in captured.err
    assert "random" in captured.err
    assert len(set(outs.values())) == 3


def test_core_without_a_base_ticket_leaves_the_reference_empty(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    plain = make_atlas(tmp_path / "plain", LANGUAGES, (0,), with_base=False).path
    assert _core(plain, "--at-least", "1") == 0
    captured = capsys.readouterr()
    assert {row["reference"] for row in csv.DictReader(io.StringIO(captured.out))} == {""}
    assert "base ticket" in captured.err
    assert "nan" not in captured.err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--at-least", "0"], "between 1 and 3, unlike 0"),
        (["--at-least", "4"], "between 1 and 3, unlike 4"),
        (["--at-least", "most"], "--at-least"),
        ([], "--at-least"),
        (["--at-least", "2", "--sparsity", "0.55"], "0.55"),
        (["--at-least", "2", "--sparsity", "1"], "--sparsity"),
        (["--at-least", "2", "--task", "ner"], "ner"),
        (["--at-least", "2", "--method", "magic"], "magic"),
        (["--at-least", "2", "--seed", "7"], "seed 7"),
        (["--at-least", "2", "--atlas", "nowhere"], "nowhere"),
        (["--at-least", "2", "--out", "."], "--out"),
        (["--at-least", "2", "--languages", "en", "xx"], "all of en, xx have"),
        (["--at-least", "2", "--steps", "5"], "--steps goes with --score only"),
        (["--at-least", "2", "--seeds", "0"], "--seeds goes with --score only"),
    ],
)
def test_bad_input_to_core_is_one_sentence(
    options: list[str], says: str, atlas: Path, capsys: pytest.CaptureFixture
) -> None:
    assert _core(atlas, *options) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err
    assert captured.err.startswith("lsn_core: ")
    assert len(captured.err.strip().splitlines()) == 1


def test_core_needs_a_task(atlas: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["core", "--atlas", str(atlas), "--at-least", "2"]) == 2
    assert "--task" in capsys.readouterr().err


def test_core_has_help(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["core", "--help"])
    assert stop.value.code == 0
    assert "usage: python -m lsn_core core" in capsys.readouterr().out

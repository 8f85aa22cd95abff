"""The command line from outside: what it writes, its exit codes, and one sentence for bad input."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lsn_core.cli import main
from lsn_core.masks.atlas import Atlas

LANGUAGES = ("en", "fr", "sw")


def _discover(atlas: Path, model: Path, *extra: str) -> int:
    return main(
        [
            *("discover", "--model", str(model), "--task", "mlm", "--languages", *LANGUAGES),
            *("--seeds", "0", "1", "--rounds", "5", "--steps", "2", "--batch-size", "8"),
            *("--train-lines", "64", "--score-lines", "40", "--learning-rate", "0.01"),
            *("--atlas", str(atlas), "--jobs", "1", *extra),
        ]
    )


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "atlas"
    assert _discover(folder, tiny_folder) == 0
    return folder


def test_discover_then_overlap_gives_the_contract_columns(atlas: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["overlap", "--atlas", str(atlas), "--task", "mlm", "--sparsity", "0.5"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert list(rows[0]) == [
        "task_a",
        "language_a",
        "seed_a",
        "task_b",
        "language_b",
        "seed_b",
        "sparsity",
        "scope",
        "size",
        "count_a",
        "count_b",
        "intersection",
        "union",
        "jaccard",
        "chance",
        "reference",
        "ceiling",
        "neutrality",
    ]
    assert len(rows) == 15  # 3 languages x 2 seeds: 6 tickets, 15 unordered pairs
    assert {row["scope"] for row in rows} == {"total"}
    for row in rows:
        assert int(row["count_a"]) + int(row["count_b"]) == int(row["intersection"]) + int(row["union"])
        assert float(row["jaccard"]) == pytest.approx(int(row["intersection"]) / int(row["union"]))


def test_overlap_by_every_scope_and_into_a_file(atlas: Path, tmp_path: Path) -> None:
    matrices = len(Atlas.open(atlas).layout.matrices)
    for by, scopes in (("stack", 1), ("layer", 2), ("component", 6), ("matrix", matrices)):
        out = tmp_path / f"{by}.csv"
        assert main(["overlap", "--atlas", str(atlas), "--by", by, "--out", str(out)]) == 0
        assert len({row["scope"] for row in csv.DictReader(out.open())}) == scopes


def test_tree_writes_newick(atlas: Path, tmp_path: Path) -> None:
    out = tmp_path / "tree.nwk"
    assert main(["tree", "--atlas", str(atlas), "--sparsity", "0.5", "--out", str(out)]) == 0
    text = out.read_text()
    assert text.rstrip().endswith(";")
    assert all(language in text for language in LANGUAGES)


def test_inspect_and_verify(atlas: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["inspect", str(atlas)]) == 0
    shown = capsys.readouterr().out
    assert "mlm en imp seed 0" in shown
    assert "masked top-1" in shown
    assert main(["verify", str(atlas)]) == 0
    assert "0 problems" in capsys.readouterr().out


def test_the_same_command_again_uses_what_is_there(
    atlas: Path, tiny_folder: Path, capsys: pytest.CaptureFixture
) -> None:
    assert _discover(atlas, tiny_folder) == 0
    assert "0 tickets made, 6 were there already" in capsys.readouterr().err


def test_several_processes_give_the_same_hashes(atlas: Path, tiny_folder: Path, tmp_path: Path) -> None:
    assert _discover(tmp_path / "two", tiny_folder, "--jobs", "2") == 0
    assert Atlas.open(tmp_path / "two").stamps() == Atlas.open(atlas).stamps()


def test_base_takes_and_ignores_task_and_language(tiny_folder: Path, tmp_path: Path) -> None:
    command = ["discover", "--model", str(tiny_folder), "--languages", "en", "--method", "base"]
    assert main([*command, "--atlas", str(tmp_path / "b")]) == 0
    stamps = Atlas.open(tmp_path / "b").stamps()
    assert list(stamps) == ["base"]
    assert main([*command, "--task", "mlm", "--atlas", str(tmp_path / "c")]) == 0
    assert Atlas.open(tmp_path / "c").stamps() == stamps


def test_a_flipped_byte_is_named_by_verify_and_left_out_elsewhere(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    folder = tmp_path / "flip"
    assert _discover(folder, tiny_folder) == 0
    victim = folder / "tickets" / "mlm-fr-imp-s1.safetensors"
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    capsys.readouterr()
    assert main(["verify", str(folder)]) == 1
    assert "mlm-fr-imp-s1.safetensors" in capsys.readouterr().out
    assert main(["overlap", "--atlas", str(folder)]) == 0
    captured = capsys.readouterr()
    assert "mlm-fr-imp-s1.safetensors" in captured.err
    assert len(captured.out.splitlines()) == 1 + 10  # 5 sound tickets


@pytest.fixture
def bad_data(tmp_path: Path) -> Path:
    lines = "one line of text\n" * 20
    for kind in ("empty", "unreadable", "binary", "fine"):
        (tmp_path / kind).mkdir()
        for split in ("train", "dev", "test"):
            (tmp_path / kind / f"en.{split}.txt").write_text(lines)
    (tmp_path / "empty" / "en.train.txt").write_text("")
    (tmp_path / "binary" / "en.train.txt").write_bytes(b"\xff\xfe\x00\x80" * 10)
    (tmp_path / "unreadable" / "en.train.txt").unlink()
    (tmp_path / "unreadable" / "en.train.txt").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--model", "{tmp}/nothing"], "no model folder"),
        (["--task", "chess"], "chess"),
        (["--method", "magic"], "magic"),
        (["--languages", "xx"], "'xx'"),
        (["--languages", "de", "--data", "{tmp}/fine"], "no text in language 'de'"),
        (["--data", "{tmp}/empty"], "en.train.txt is empty"),
        (["--data", "{tmp}/binary"], "UTF-8"),
        (["--data", "{tmp}/unreadable"], "en.train.txt is a"),
        (["--data", "{tmp}/nothing"], "does not exist"),
        (["--data", "hub:thing"], "hub:wikiann"),
        (["--rounds", "12"], "rounds"),
        (["--steps", "0"], "steps"),
        (["--steps", "many"], "--steps"),
        (["--epochs", "-1"], "epochs"),
        (["--seeds", "-1"], "--seeds holds -1"),
        (["--seeds", "99999999999"], "--seeds holds 99999999999"),
        (["--device", "meta"], "'meta' cannot be used"),
        (["--jobs", "0"], "--jobs"),
        (["--threads", "0"], "--threads"),
        (["--device", "toaster"], "toaster"),
        (["--learning-rate", "7"], "learning_rate"),
        (["--max-length", "4000"], "--max-length"),
        (["--criterion", "luck"], "criterion"),
        (["--scope", "universe"], "scope"),
        (["--accumulate", "5"], "accumulate"),
        (["--criterion", "wanda", "--calibration-batches", "0"], "calibration_batches"),
        (["--bogus"], "--bogus"),
    ],
)
def test_bad_input_to_discover_is_one_sentence_and_leaves_nothing(
    options: list[str], says: str, bad_data: Path, tiny_folder: Path, capsys: pytest.CaptureFixture
) -> None:
    target = bad_data / "target"
    command = ["discover", "--model", str(tiny_folder), "--languages", "en", "--steps", "2", "--jobs", "1"]
    code = main(
        [*command, "--atlas", str(target), *(option.replace("{tmp}", str(bad_data)) for option in options)]
    )
    captured = capsys.readouterr()
    assert code == 2
    assert says in captured.err
    lines = captured.err.strip().splitlines()
    assert [line.startswith("lsn_core: ") for line in lines] == [True]
    assert not target.exists()


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["overlap", "--atlas", "{atlas}", "--sparsity", "1.5"], "--sparsity"),
        (["overlap", "--atlas", "{atlas}", "--sparsity", "0.55"], "0.55"),
        (["overlap", "--atlas", "{atlas}", "--task", "chess"], "chess"),
        (["overlap", "--atlas", "{atlas}", "--by", "moon"], "moon"),
        (["overlap", "--atlas", "{atlas}", "--out", "{atlas}/atlas.json/table.csv"], "table.csv"),
        (["overlap", "--atlas", "{atlas}/nothing"], "nothing"),
        (["tree", "--atlas", "{atlas}", "--sparsity", "-1"], "--sparsity"),
        (["tree", "--atlas", "{atlas}", "--distance", "feet"], "feet"),
        (["inspect", "{atlas}/tickets"], "atlas"),
        (["verify", "{atlas}/nothing"], "nothing"),
        (["pretrain", "--out", "x", "--steps", "0"], "--steps"),
        (["fly"], "fly"),
        ([], "VERB"),
    ],
)
def test_bad_input_elsewhere_is_one_sentence(
    command: list[str], says: str, atlas: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main([part.replace("{atlas}", str(atlas)) for part in command]) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert captured.err.startswith("lsn_core: ")
    assert len(captured.err.strip().splitlines()) == 1
    assert captured.out == ""


@pytest.mark.slow
def test_a_model_that_is_nowhere_is_one_sentence(tmp_path: Path) -> None:
    command = ["discover", "--model", "no-such/model", "--languages", "en", "--atlas", str(tmp_path / "a")]
    done = subprocess.run(
        [sys.executable, "-m", "lsn_core", *command],
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "'no-such/model' could not be loaded" in done.stderr
    assert not (tmp_path / "a").exists()


def test_an_atlas_of_another_model_is_refused_and_kept(
    atlas: Path, other_folder: Path, capsys: pytest.CaptureFixture
) -> None:
    before = Atlas.open(atlas).stamps()
    assert _discover(atlas, other_folder) == 2
    assert "another model" in capsys.readouterr().err
    assert Atlas.open(atlas).stamps() == before


def test_other_settings_into_the_same_atlas_are_refused(
    atlas: Path, tiny_folder: Path, capsys: pytest.CaptureFixture
) -> None:
    assert _discover(atlas, tiny_folder, "--steps", "3") == 2
    assert "steps" in capsys.readouterr().err


@pytest.mark.slow
def test_random_alone_brings_the_imp_tickets_that_it_is_matched_to(
    atlas: Path, tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert (
        _discover(tmp_path / "a", tiny_folder, "--method", "random", "--languages", "en", "--seeds", "0") == 0
    )
    assert "2 tickets made" in capsys.readouterr().err
    stamps = Atlas.open(tmp_path / "a").stamps()
    assert set(stamps) == {"base", "mlm-en-imp-s0", "mlm-en-random-s0"}
    assert stamps["mlm-en-imp-s0"] == Atlas.open(atlas).stamps()["mlm-en-imp-s0"]


@pytest.mark.parametrize(
    "verb",
    [
        "discover",
        "transfer",
        "retrieve",
        "import",
        "export",
        "overlap",
        "tree",
        "inspect",
        "verify",
        "pretrain",
    ],
)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == 0
    assert "usage: python -m lsn_core " + verb in capsys.readouterr().out

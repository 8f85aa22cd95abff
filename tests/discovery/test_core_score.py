"""The core's score: its masks by brute force, its table against networks trained by hand, resuming, refusals."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lsn_core.analysis.core_scores import WhichCore, core_scores
from lsn_core.cli import main
from lsn_core.discovery.config import Recipe, Training
from lsn_core.discovery.core import CoreJob, CoreSetup, CoreWorkshop, plan_core
from lsn_core.discovery.lottery import base_mask, base_masks
from lsn_core.discovery.runs import Setup, TicketJob, Workshop
from lsn_core.discovery.training import load_features, round_seed, scoring_seed
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.cells import CORE, read_rows, rebuild
from lsn_core.masks.mask import Mask
from lsn_core.masks.ticket import TicketKey

TRAINING = Training(steps=3, batch_size=8, learning_rate=1e-2, train_lines=64, score_lines=40)
LANGUAGES = ("en", "fr", "sw")
LEVEL, AT_LEAST = 0.3, 2


def _ignore(job: object, done: int) -> None:
    pass


@pytest.fixture(scope="module")
def tickets(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    """An atlas with tickets of three languages with two seeds, but none of Swahili with the second."""
    folder = tmp_path_factory.mktemp("core") / "atlas"
    workshop = Workshop(Setup(str(folder), str(tiny_folder), "mlm"), ())
    for seed, languages in ((0, LANGUAGES), (1, ("en", "fr"))):
        for language in languages:
            workshop.make(TicketJob(Recipe("mlm", rounds=3, training=TRAINING), language, seed), _ignore)
    return folder


@pytest.fixture
def folder(tickets: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tickets, tmp_path / "atlas"))


def _run(folder: Path, model: Path, on_progress=_ignore, at_least: int = AT_LEAST, **chosen) -> pd.DataFrame:
    jobs = plan_core(Atlas.open(folder), "mlm", LEVEL, at_least, {}, **chosen)
    workshop = CoreWorkshop(CoreSetup(str(folder), str(model), "mlm"), jobs)
    for job in jobs:
        workshop.make(job, on_progress)
    return rebuild(workshop.atlas, CORE).frame


@pytest.fixture(scope="module")
def table(tickets: Path, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return _run(Path(shutil.copytree(tickets, tmp_path_factory.mktemp("table") / "atlas")), tiny_folder)


def _jobs(folder: Path, learns: str = "fr") -> dict[str, CoreJob]:
    jobs = plan_core(Atlas.open(folder), "mlm", LEVEL, AT_LEAST, {})
    return {job.control: job for job in jobs if job.learns == learns}


def _keepers(atlas: Atlas) -> dict[str, np.ndarray]:
    """By how many of the languages each weight is kept, matrix by matrix."""
    masks = [atlas.ticket(TicketKey("mlm", code, "imp", 0)).mask(LEVEL) for code in LANGUAGES]
    return {name: sum(mask[name].astype(int) for mask in masks) for name in atlas.layout.names}


def test_masks_are_those_of_brute_force(folder: Path, tiny_folder: Path) -> None:
    workshop = CoreWorkshop(CoreSetup(str(folder), str(tiny_folder), "mlm"), ())
    masks = {control: workshop.mask(job) for control, job in _jobs(folder).items()}
    keepers = _keepers(workshop.atlas)
    for name, count in keepers.items():
        assert np.array_equal(masks[""][name], count >= AT_LEAST), name
    core = masks[""]
    assert 0 < core.kept < core.layout.size
    assert np.array_equal(masks["random"].counts, core.counts), "as many weights in every matrix"
    assert masks["random"] != core
    assert masks["base"].kept == core.kept, "as many weights in all"
    workshop.bench.rewind(Mask.full(core.layout))
    parameters = dict(workshop.bench.model.named_parameters())
    sizes = {
        name: next(p for n, p in parameters.items() if n.endswith(name)).detach().abs().numpy()
        for name in core.layout.names
    }
    kept = np.concatenate([sizes[name][masks["base"][name]] for name in core.layout.names])
    removed = np.concatenate([sizes[name][~masks["base"][name]] for name in core.layout.names])
    assert kept.min() >= removed.max(), "the largest pretrained weights"
    assert masks["own"] == workshop.atlas.ticket(TicketKey("mlm", "fr", "imp", 0)).mask(LEVEL)
    assert masks["dense"] == Mask.full(core.layout)


def test_a_base_mask_of_any_size_is_the_base_tickets_at_its_levels(tiny_folder: Path, folder: Path) -> None:
    bench = Workshop(Setup(str(folder), str(tiny_folder), "mlm"), ()).bench
    for mask in base_masks(bench, (0.2, 0.5)):
        assert base_mask(bench, mask.kept) == mask


def test_table_is_what_training_every_network_by_hand_gives(
    tickets: Path, tiny_folder: Path, table: pd.DataFrame
) -> None:
    workshop = CoreWorkshop(CoreSetup(str(tickets), str(tiny_folder), "mlm"), ())
    bench, source = workshop.bench, Workshop(Setup(str(tickets), str(tiny_folder), "mlm"), ()).source
    found = table.set_index(["control", "target", "metric"])["value"].to_dict()
    wanted = {}
    for language in LANGUAGES:
        for control, job in _jobs(tickets, language).items():
            mask = workshop.mask(job)
            features = {
                split: load_features(bench.task, source, language, split, bench.loaded, TRAINING)
                for split in ("train", "test")
            }
            bench.rewind(mask)
            seed = round_seed("mlm", language, 0, 0 if control == "dense" else 3)
            bench.train(features["train"], mask, TRAINING, seed, _ignore)
            scores, _ = bench.score(features["test"], TRAINING, scoring_seed("mlm", language))
            wanted |= {(control, language, metric): value for metric, value in scores.items()}
    assert found == wanted


def test_table_has_the_agreed_columns_counts_and_stamps(folder: Path, tiny_folder: Path) -> None:
    frame = _run(folder, tiny_folder)
    atlas = Atlas.open(folder)
    assert tuple(frame.columns) == CORE.columns
    assert atlas.read_table("core")[1] == {  # type: ignore[index]
        f"mlm-{code}-imp-s0": atlas.stamps()[f"mlm-{code}-imp-s0"] for code in LANGUAGES
    }
    core = sum(int((count >= AT_LEAST).sum()) for count in _keepers(atlas).values())
    assert set(frame.loc[frame["control"].isin(["", "random", "base"]), "kept"]) == {core}
    assert set(frame.loc[frame["control"] == "dense", "kept"]) == {atlas.layout.size}
    own = frame[frame["control"] == "own"]
    assert set(own["kept"]) == {atlas.layout.size - round(LEVEL * atlas.layout.size)}
    assert set(own["members"]) == {""}
    assert set(frame.loc[frame["control"] == "", "members"]) == {"en fr sw"}


def test_own_and_dense_are_the_tickets_scores_and_cost_no_training(folder: Path, tiny_folder: Path) -> None:
    steps: list[str] = []
    frame = _run(folder, tiny_folder, lambda job, done: steps.append(job.control))
    assert sorted(set(steps)) == ["", "base", "random"]
    assert len(steps) == 3 * 3 * TRAINING.steps
    header = Atlas.open(folder).header(TicketKey("mlm", "sw", "imp", 0))
    for control, level in (("own", LEVEL), ("dense", 0.0)):
        rows = frame[(frame["control"] == control) & (frame["target"] == "sw")]
        told = {score.metric: score.value for score in header.scores if score.sparsity == level}
        assert dict(zip(rows["metric"], rows["value"], strict=True)) == told
    steps.clear()
    _run(folder, tiny_folder, lambda job, done: steps.append(job.control), at_least=3)
    assert sorted(set(steps)) == ["", "base", "random"], "another core has its own controls"


class _Halt(Exception):
    pass


def test_stopped_anywhere_it_goes_on_to_the_same_table(
    folder: Path, tiny_folder: Path, table: pd.DataFrame
) -> None:
    finished: list[int] = []
    for _ in range(30):
        left = iter(range(5))  # one network and a half a run

        def halt(job: CoreJob, done: int, left=left) -> None:
            if next(left, None) is None:
                raise _Halt

        try:
            frame = _run(folder, tiny_folder, on_progress=halt)
            break
        except _Halt:
            finished.append(len(list((folder / "core").glob("*.json"))))
            assert Atlas.open(folder).verify() == []
    assert len(finished) > 2
    assert finished == sorted(set(finished)), "a run lost cells or made none"
    pd.testing.assert_frame_equal(frame, table)


def test_a_changed_ticket_makes_the_core_stale_but_not_what_is_of_other_languages(
    folder: Path, tiny_folder: Path
) -> None:
    before = _run(folder, tiny_folder)
    (folder / "tickets" / "mlm-fr-imp-s0.safetensors").unlink()
    atlas = Atlas.open(folder)
    assert [problem.path.name for problem in atlas.verify()] == ["core.parquet"]
    left = read_rows(atlas, CORE)
    assert set(left["control"]) == {"own", "dense"}
    assert set(left["target"]) == {"en", "sw"}
    assert rebuild(atlas, CORE).stale == before["cell"].nunique() - left["cell"].nunique()


def _verb(folder: Path, model: Path, *extra: str) -> int:
    options = ("--task", "mlm", "--sparsity", "0.3", "--at-least", "2", "--model", str(model), "--jobs", "1")
    return main(["core", "--score", "--atlas", str(folder), *options, *extra])


def test_the_verb_writes_the_rows_and_says_the_means(
    folder: Path, tiny_folder: Path, table: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert _verb(folder, tiny_folder) == 0
    captured = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(captured.out)))
    assert [float(row["value"]) for row in rows] == table["value"].tolist()
    assert list(rows[0]) == list(CORE.dtypes)
    found = core_scores(table, WhichCore("mlm", LEVEL, LANGUAGES, AT_LEAST))
    core = table[(table["control"] == "") & (table["metric"] == "masked top-1")]
    assert found.networks.mean("core") == pytest.approx(core["value"].mean())
    assert f"scores {core['value'].mean():.3f} (masked top-1)" in captured.err
    assert "### Score of the core" in (folder / "CARD.md").read_text()
    assert _verb(folder, tiny_folder, "--out", str(tmp_path / "scores.csv")) == 0
    assert "0 networks made, 15 were there already" in capsys.readouterr().err
    assert (tmp_path / "scores.csv").read_text() == captured.out
    assert main(["verify", str(folder)]) == 0


def test_some_languages_have_a_core_of_their_own_with_both_seeds(folder: Path, tiny_folder: Path) -> None:
    assert _verb(folder, tiny_folder, "--languages", "fr", "en") == 0
    rows = read_rows(Atlas.open(folder), CORE)
    assert set(rows["seed"]) == {0, 1}
    assert set(rows.loc[rows["control"] == "", "members"]) == {"en fr"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--task", "chess"], "no task 'chess'"),
        (["--sparsity", "0.55"], "0.55"),
        (["--at-least", "4"], "between 1 and 3, unlike 4"),
        (["--at-least", "0"], "between 1 and 3, unlike 0"),
        (["--languages", "en", "de"], "'de'; it has en, fr, sw"),
        (["--seeds", "1"], "seed 1; the seeds in common are 0"),
        (["--seed", "0"], "give --seeds"),
        (["--method", "random"], "leave --method random out"),
        (["--model", "{other}"], "another model"),
        (["--steps", "0"], "steps"),
        (["--device", "toaster"], "toaster"),
        (["--jobs", "0"], "--jobs"),
        (["--atlas", "{tmp}/nothing"], "not an atlas"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    options: list[str],
    says: str,
    folder: Path,
    tiny_folder: Path,
    other_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    filled = [o.replace("{tmp}", str(tmp_path)).replace("{other}", str(other_folder)) for o in options]
    assert _verb(folder, tiny_folder, *filled) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err
    assert [line.startswith("lsn_core: ") for line in captured.err.strip().splitlines()] == [True]
    assert not (folder / "core.parquet").exists()
    assert not (folder / "core").exists()

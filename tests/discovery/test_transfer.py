"""Transfer: its table against networks trained by hand, resuming, staleness, and what is refused."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lsn_core.cli import main
from lsn_core.discovery.config import Recipe, Training
from lsn_core.discovery.lottery import random_masks
from lsn_core.discovery.runs import Setup, TicketJob, Workshop
from lsn_core.discovery.training import load_features, round_seed, scoring_seed
from lsn_core.discovery.transfer import TransferJob, TransferSetup, TransferWorkshop, plan_transfer
from lsn_core.errors import LsnError
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.cells import TRANSFER, gather, read_rows, rebuild
from lsn_core.masks.mask import Mask
from lsn_core.masks.ticket import TicketKey
from lsn_core.tasks import registry
from lsn_core.tasks.mlm import MaskedLanguageModelling

TRAINING = Training(steps=3, batch_size=8, learning_rate=1e-2, train_lines=64, score_lines=40)
LANGUAGES = ("en", "fr", "sw")
LEVEL = 0.3


def _ignore(job: object, done: int) -> None:
    pass


def _ticket_job(method: str, language: str, seed: int = 0) -> TicketJob:
    return TicketJob(Recipe("mlm", method, rounds=3, training=TRAINING), language, seed)


@pytest.fixture(scope="module")
def tickets(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    """An atlas with tickets of three languages; only English has a random one."""
    folder = tmp_path_factory.mktemp("transfer") / "atlas"
    workshop = Workshop(Setup(str(folder), str(tiny_folder), "mlm"), ())
    workshop.base()
    for language in LANGUAGES:
        workshop.make(_ticket_job("imp", language), _ignore)
    workshop.make(_ticket_job("random", "en"), _ignore)
    return folder


@pytest.fixture
def folder(tickets: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tickets, tmp_path / "atlas"))


def _workshop(folder: Path, model: Path, jobs: list[TransferJob] | None = None) -> TransferWorkshop:
    return TransferWorkshop(TransferSetup(str(folder), str(model), "mlm"), jobs or [])


def _run(folder: Path, model: Path, kind: str = "mask", on_progress=_ignore, **chosen) -> pd.DataFrame:
    jobs = plan_transfer(Atlas.open(folder), kind, "mlm", LEVEL, {}, **chosen)
    workshop = _workshop(folder, model, jobs)
    for job in jobs:
        workshop.make(job, on_progress)
    return rebuild(workshop.atlas, TRANSFER).frame


@pytest.fixture(scope="module")
def mask_table(tickets: Path, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder = shutil.copytree(tickets, tmp_path_factory.mktemp("table") / "atlas")
    return _run(folder, tiny_folder)


class _ByHand:
    """Trains and scores networks without any of the transfer's own code."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.workshop = Workshop(Setup(str(folder), str(model), "mlm"), ())
        self.bench, self.atlas = self.workshop.bench, self.workshop.atlas

    def mask(self, source: str, control: str, learns: str) -> Mask:
        twin = self.atlas.header(TicketKey("mlm", source or learns, "imp", 0))
        if control == "dense":
            return Mask.full(self.bench.layout)
        if control == "base":
            return self.atlas.base().mask(LEVEL)
        if control == "random":
            return random_masks(twin)[2]
        return self.atlas.ticket(twin.key).mask(LEVEL)

    def score(self, source: str, control: str, learns: str, target: str) -> dict[str, float]:
        mask = self.mask(source, control, learns)
        return self.score_of(mask, 0 if control == "dense" else 3, learns, target)

    def score_of(self, mask: Mask, number: int, learns: str, target: str) -> dict[str, float]:
        def features(language: str, split: str):
            return load_features(
                self.bench.task, self.workshop.source, language, split, self.bench.loaded, TRAINING
            )

        self.bench.rewind(mask)
        seed = round_seed("mlm", learns, 0, number)
        self.bench.train(features(learns, "train"), mask, TRAINING, seed, _ignore)
        return self.bench.score(features(target, "test"), TRAINING, scoring_seed("mlm", target))[0]


def test_the_table_is_what_training_every_network_by_hand_gives(
    tickets: Path, tiny_folder: Path, mask_table: pd.DataFrame
) -> None:
    """So too the diagonal, the dense model and the English random ticket, that are read from tickets."""
    hand = _ByHand(tickets, tiny_folder)
    wanted = {
        (source, control, target): hand.score(source, control, target, target)
        for target in LANGUAGES
        for source, control in [*((s, "") for s in LANGUAGES), ("", "dense"), ("", "random"), ("", "base")]
    }
    found = mask_table.set_index(["source", "control", "target", "metric"])["value"].to_dict()
    assert found == {(*place, m): v for place, scores in wanted.items() for m, v in scores.items()}


def test_the_table_has_the_agreed_columns_and_stamps(folder: Path, tiny_folder: Path) -> None:
    _run(folder, tiny_folder, languages=("en", "fr"))
    atlas = Atlas.open(folder)
    frame, stamps = atlas.read_table("transfer")
    assert list(frame.columns)[:12] == [
        *("kind", "task", "source_task", "source", "control", "target", "seed", "sparsity"),
        *("metric", "value", "count", "split"),
    ]
    assert stamps == {
        s: h for s, h in atlas.stamps().items() if s in ("base", "mlm-en-imp-s0", "mlm-fr-imp-s0")
    }
    assert set(frame["sparsity"]) == {LEVEL}
    assert frame["metric"].iloc[0] == "masked top-1", "the task's own score comes first"
    assert (frame["count"] > 0).all()
    assert not frame.duplicated([*TRANSFER.place, "metric"]).any()


def test_the_diagonal_is_the_tickets_own_score_and_costs_no_training(folder: Path, tiny_folder: Path) -> None:
    jobs = [
        job
        for job in plan_transfer(Atlas.open(folder), "mask", "mlm", LEVEL, {}, ("en",))
        if job.control != "base"
    ]
    workshop = _workshop(folder, tiny_folder, jobs)

    def fail(job: TransferJob, done: int) -> None:
        raise AssertionError("a training step was run")

    for job in jobs:
        assert workshop.make(job, fail)
    frame = rebuild(workshop.atlas, TRANSFER).frame
    for control, method, level in (("", "imp", LEVEL), ("dense", "imp", 0.0), ("random", "random", LEVEL)):
        own = {
            score.metric: score.value
            for score in workshop.atlas.header(TicketKey("mlm", "en", method, 0)).scores
            if score.sparsity == level
        }
        rows = frame[frame["control"] == control]
        assert dict(zip(rows["metric"], rows["value"], strict=True)) == own


def test_zero_shot_trains_each_network_once_and_scores_it_everywhere(folder: Path, tiny_folder: Path) -> None:
    steps: list[TransferJob] = []
    frame = _run(folder, tiny_folder, "zero-shot", lambda job, done: steps.append(job))
    assert len(steps) == 3 * 4 * TRAINING.steps  # three sources; the sub-network and three controls
    hand = _ByHand(folder, tiny_folder)
    found = frame.set_index(["source", "control", "target", "metric"])["value"].to_dict()
    for source, control, target in (
        *(("en", "", "fr"), ("sw", "dense", "en"), ("fr", "random", "sw")),
        *(("fr", "base", "fr"), ("sw", "", "sw"), ("en", "random", "en")),
    ):
        for metric, value in hand.score(source, control, source, target).items():
            assert found[source, control, target, metric] == value
    assert len(found) == 3 * 4 * 3 * 2


class _Another(MaskedLanguageModelling):
    """A second task: other seeds, and so other tickets."""

    name = "other"


def test_between_tasks_a_mask_learns_another_task_in_its_own_language(
    folder: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "TASKS", {**registry.TASKS, "other": _Another()})
    atlas = Atlas.open(folder)
    with pytest.raises(LsnError, match="no imp tickets of task 'other'"):
        plan_transfer(atlas, "task", "mlm", LEVEL, {}, source_task="other")
    workshop = Workshop(Setup(str(folder), str(tiny_folder), "other"), ())
    for language in ("en", "fr"):
        job = _ticket_job("imp", language)
        workshop.make(replace(job, recipe=replace(job.recipe, task="other")), _ignore)
    frame = _run(folder, tiny_folder, "task", source_task="other")
    assert set(frame["target"]) == {"en", "fr"}
    assert (frame["source_task"] == "other").all()
    found = frame.set_index(["source", "control", "target", "metric"])["value"].to_dict()
    twin = workshop.atlas.header(TicketKey("other", "fr", "imp", 0))
    masks = {
        "": workshop.atlas.ticket(twin.key).mask(LEVEL),
        "random": random_masks(twin)[2],
        "base": workshop.base().mask(LEVEL),
        "dense": Mask.full(workshop.bench.layout),
    }
    hand = _ByHand(folder, tiny_folder)
    for control, mask in masks.items():
        for metric, value in hand.score_of(mask, 0 if control == "dense" else 3, "fr", "fr").items():
            assert found["" if control else "fr", control, "fr", metric] == value


class _Halt(Exception):
    pass


def test_stopped_anywhere_it_goes_on_to_the_same_table(
    folder: Path, tiny_folder: Path, mask_table: pd.DataFrame
) -> None:
    finished: list[int] = []
    for _ in range(30):
        left = iter(range(5))  # one network and a half a run

        def halt(job: TransferJob, done: int, left=left) -> None:
            if next(left, None) is None:
                raise _Halt

        try:
            frame = _run(folder, tiny_folder, on_progress=halt)
            break
        except _Halt:
            finished.append(len(list((folder / "transfer").glob("*.json"))))
            assert Atlas.open(folder).verify() == []
    assert finished == sorted(set(finished)), "a run lost cells or made none"
    pd.testing.assert_frame_equal(frame, mask_table)


def test_what_is_there_is_not_measured_again_even_without_its_cells(folder: Path, tiny_folder: Path) -> None:
    before = _run(folder, tiny_folder, languages=("en", "fr"))

    def fail(job: TransferJob, done: int) -> None:
        raise AssertionError("a training step was run")

    pd.testing.assert_frame_equal(_run(folder, tiny_folder, on_progress=fail, languages=("en", "fr")), before)
    shutil.rmtree(folder / "transfer")
    pd.testing.assert_frame_equal(_run(folder, tiny_folder, on_progress=fail, languages=("en", "fr")), before)
    after = _run(folder, tiny_folder)
    assert len(after) > len(before)
    pd.testing.assert_frame_equal(after[after["cell"].isin(before["cell"])].reset_index(drop=True), before)


def test_a_changed_ticket_makes_its_cells_stale_and_no_others(folder: Path, tiny_folder: Path) -> None:
    before = _run(folder, tiny_folder)
    atlas = Atlas.open(folder)
    (folder / "tickets" / "mlm-fr-imp-s0.safetensors").unlink()
    assert [problem.path.name for problem in atlas.verify()] == ["transfer.parquet"]
    kept = ~before["tickets"].str.contains("-fr-")
    pd.testing.assert_frame_equal(
        read_rows(atlas, TRANSFER), before[kept].reset_index(drop=True), check_dtype=False
    )
    found = rebuild(atlas, TRANSFER)
    assert found.stale == before[~kept]["cell"].nunique()
    pd.testing.assert_frame_equal(found.frame, before[kept].reset_index(drop=True))
    assert atlas.verify() == []


def test_tickets_that_come_later_do_not_make_the_table_stale(folder: Path, tiny_folder: Path) -> None:
    _run(folder, tiny_folder, languages=("en", "fr"))
    workshop = Workshop(Setup(str(folder), str(tiny_folder), "mlm"), ())
    workshop.make(_ticket_job("oneshot", "en"), _ignore)
    assert workshop.atlas.verify() == []


def test_a_damaged_cell_is_named_and_measured_again(folder: Path, tiny_folder: Path) -> None:
    before = _run(folder, tiny_folder, languages=("en", "fr"))
    (folder / "transfer.parquet").unlink()
    victim = next((folder / "transfer").glob("*.json"))
    victim.write_bytes(victim.read_bytes().replace(b'"count":', b'"count":1', 1))
    found = gather(Atlas.open(folder), TRANSFER)
    assert [problem.path for problem in found.problems] == [victim]
    assert found.frame["cell"].nunique() == before["cell"].nunique() - 1
    pd.testing.assert_frame_equal(_run(folder, tiny_folder, languages=("en", "fr")), before)


def test_other_settings_do_not_get_into_the_same_table(folder: Path, tiny_folder: Path) -> None:
    _run(folder, tiny_folder, languages=("en",))
    jobs = plan_transfer(Atlas.open(folder), "mask", "mlm", LEVEL, {"steps": 4}, ("en",))
    with pytest.raises(LsnError, match="other settings"):
        _workshop(folder, tiny_folder, jobs)
    _run(folder, tiny_folder, "zero-shot", languages=("en",))  # another kind is another table of its own


def _verb(folder: Path, model: Path, *extra: str) -> int:
    options = ("--task", "mlm", "--sparsity", "0.3", "--jobs", "1")
    return main(["transfer", "--atlas", str(folder), "--model", str(model), *options, *extra])


def test_the_verb_writes_the_table_and_says_what_was_there(
    folder: Path, tiny_folder: Path, mask_table: pd.DataFrame, capsys: pytest.CaptureFixture
) -> None:
    assert _verb(folder, tiny_folder) == 0
    frame = read_rows(Atlas.open(folder), TRANSFER)
    pd.testing.assert_frame_equal(frame, mask_table)
    capsys.readouterr()
    assert _verb(folder, tiny_folder) == 0
    assert "0 networks made, 18 were there already" in capsys.readouterr().err
    assert main(["verify", str(folder)]) == 0


@pytest.mark.slow
def test_several_processes_give_the_same_table(
    folder: Path, tiny_folder: Path, mask_table: pd.DataFrame
) -> None:
    assert _verb(folder, tiny_folder, "--jobs", "2") == 0
    pd.testing.assert_frame_equal(read_rows(Atlas.open(folder), TRANSFER), mask_table)


@pytest.mark.slow
def test_killed_at_random_moments_then_resumed(tiny_folder: Path, tmp_path: Path) -> None:
    training = replace(TRAINING, steps=60)
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    workshop = Workshop(Setup(str(undisturbed), str(tiny_folder), "mlm"), ())
    for language in LANGUAGES:
        workshop.make(TicketJob(Recipe("mlm", rounds=3, training=training), language, 0), _ignore)
    shutil.copytree(undisturbed, killed)
    options = ("--task", "mlm", "--sparsity", "0.3", "--jobs", "1", "--model", str(tiny_folder))
    command = [sys.executable, "-m", "lsn_core", "transfer", *options, "--atlas"]
    subprocess.run([*command, str(undisturbed)], check=True, capture_output=True)
    moments, done, kills = random.Random(1), 0, 0
    for _ in range(6):
        process = subprocess.Popen([*command, str(killed)], stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        process.stderr.readline()  # set up: from here on it works
        time.sleep(moments.uniform(0.0, 1.0))
        kills += process.poll() is None
        process.kill()
        process.wait()
        process.stderr.close()
        now = len(list((killed / "transfer").glob("*.json")))
        assert now >= done, "a finished cell got lost"
        assert Atlas.open(killed).verify() == []
        done = now
    assert kills, "the work was done before any kill had come: give it more"
    last = subprocess.run([*command, str(killed)], check=True, capture_output=True, text=True)
    assert f"{done} were there already" in last.stderr
    pd.testing.assert_frame_equal(
        read_rows(Atlas.open(killed), TRANSFER), read_rows(Atlas.open(undisturbed), TRANSFER)
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--task", "chess"], "no task 'chess'"),
        (["--sparsity", "0.55"], "no level 0.55; it has 0.1, 0.2, 0.3"),
        (["--sparsity", "1.5"], "--sparsity is 1.5"),
        (["--kind", "magic"], "magic"),
        (["--kind", "task"], "--source-task"),
        (["--kind", "task", "--source-task", "pos"], "no imp tickets of task 'pos'; it has mlm"),
        (["--source-task", "pos"], "--kind task only"),
        (["--languages", "en", "de"], "'de'; it has en, fr, sw"),
        (["--seeds", "7"], "seed 7; it has 0"),
        (["--data", "{tmp}/text"], "ticket mlm-en-imp-s0 was made from (cldr)"),
        (["--model", "{other}"], "another model"),
        (["--model", "{tmp}/nothing"], "no model folder"),
        (["--steps", "0"], "steps"),
        (["--jobs", "0"], "--jobs"),
        (["--device", "toaster"], "toaster"),
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
    (tmp_path / "text").mkdir()
    for language in LANGUAGES:
        for split in ("train", "dev", "test"):
            (tmp_path / "text" / f"{language}.{split}.txt").write_text("another line of text\n" * 20)
    filled = [o.replace("{tmp}", str(tmp_path)).replace("{other}", str(other_folder)) for o in options]
    assert _verb(folder, tiny_folder, *filled) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert [line.startswith("lsn_core: ") for line in captured.err.strip().splitlines()] == [True]
    assert not (folder / "transfer.parquet").exists()
    assert not (folder / "transfer").exists()


def test_a_model_in_a_folder_has_to_be_given(folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["transfer", "--atlas", str(folder), "--task", "mlm", "--sparsity", "0.3"]) == 2
    assert "give it with --model" in capsys.readouterr().err


def test_a_missing_seed_is_a_missing_row(folder: Path, tiny_folder: Path) -> None:
    workshop = Workshop(Setup(str(folder), str(tiny_folder), "mlm"), ())
    workshop.make(_ticket_job("imp", "en", seed=1), _ignore)
    jobs = plan_transfer(workshop.atlas, "mask", "mlm", LEVEL, {})
    second = {(job.source, job.control, job.learns) for job in jobs if job.seed == 1}
    assert second == {("en", "", "en"), ("", "dense", "en"), ("", "random", "en"), ("", "base", "en")}
    assert np.isclose([job.sparsity for job in jobs], LEVEL).all()

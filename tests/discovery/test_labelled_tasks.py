"""`discover` on labelled files from the command line: every task on every family of encoders."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from lsn_core.cli import main
from lsn_core.data.files import FolderSource
from lsn_core.data.source import NLI_LABELS, SPLITS
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.ticket import TicketKey
from lsn_core.models.loading import load_model
from lsn_core.tasks.registry import task_named
from tests.tiny_models import FAMILIES, save_tiny_model

METRICS = {"pos": "accuracy", "ner": "entity F1", "nli": "accuracy"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("families")
    return {family: save_tiny_model(folder / family, family) for family in FAMILIES}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder a task, in two languages and two formats each."""
    folder = tmp_path_factory.mktemp("data")
    for task in METRICS:
        for language in ("en", "sw"):
            (folder / task / language).mkdir(parents=True)
    for split in SPLITS:
        for n, language in enumerate(("en", "sw")):
            words = [("Ann", "PROPN", "B-PER"), ("saw", "VERB", "O"), (f"{n}{len(split)}", "NUM", "O")]
            columns = "\n".join(f"{word} {tag}" for word, tag, _ in words) + "\n\n"
            rows = "\n".join(f"{i}\t{word}\t_\t{tag}" for i, (word, tag, _) in enumerate(words, 1)) + "\n\n"
            entities = "\n".join(f"{word} x {tag}" for word, _, tag in words) + "\n\n"
            # Lengths must not tell the labels: batches hold items of like length.
            pairs = "".join(
                f"Ann{' saw' * k}{n}.\t{said * 4}\t{label}\n"
                for k in range(4)
                for said, label in zip("a1.", NLI_LABELS, strict=True)
            )
            name = "txt" if n else "conllu"
            (folder / "pos" / language / f"{split}.{name}").write_text((columns if n else rows) * 10)
            (folder / "ner" / language / f"{split}.txt").write_text(entities * 10)
            (folder / "nli" / language / f"{split}.tsv").write_text(pairs)
    return folder


def _discover(model: Path, task: str, data: Path, atlas: Path, *extra: str) -> int:
    return main(
        [
            *("discover", "--model", str(model), "--task", task, "--languages", "en", "sw"),
            *("--data", str(data / task), "--rounds", "2", "--steps", "2", "--batch-size", "4"),
            *("--learning-rate", "0.01", "--jobs", "1", "--atlas", str(atlas), *extra),
        ]
    )


@pytest.mark.parametrize("task", METRICS)
@pytest.mark.parametrize("family", FAMILIES)
def test_discover(family: str, task: str, models: dict[str, Path], data: Path, tmp_path: Path) -> None:
    assert _discover(models[family], task, data, tmp_path / "atlas") == 0
    atlas = Atlas.open(tmp_path / "atlas")
    assert not atlas.problems()
    for language in ("en", "sw"):
        ticket = atlas.ticket(TicketKey(task, language, "imp", 0))
        assert ticket.levels == (0.1, 0.2)
        first = [score for score in ticket.scores if score.metric == METRICS[task]]
        assert ticket.scores[0] == first[0]
        assert [score.sparsity for score in first] == [0.0, 0.1, 0.2]
        assert {score.count for score in first} == {12 if task == "nli" else 30}


@pytest.mark.slow
def test_the_tasks_of_one_model_share_an_atlas_and_are_told_again_alike(
    models: dict[str, Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for task in METRICS:
        assert _discover(models["bert"], task, data, tmp_path / "one") == 0
    for task in reversed(METRICS):
        assert _discover(models["bert"], task, data, tmp_path / "two") == 0
    one, two = (Atlas.open(tmp_path / name) for name in ("one", "two"))
    assert len(one.headers()) == 1 + 2 * len(METRICS)
    for header in one.headers():
        mine, other = one.ticket(header.key), two.ticket(header.key)
        assert np.array_equal(mine.survival, other.survival)
        assert mine.scores == other.scores
    assert main(["overlap", "--atlas", str(tmp_path / "one"), "--sparsity", "0.2"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + 15  # six tickets, each with each other


@pytest.mark.slow
def test_so_little_data_can_be_learnt_by_heart(models: dict[str, Path], data: Path, tmp_path: Path) -> None:
    """It cannot unless features, labels and loss fit together."""
    for task in METRICS:
        atlas = tmp_path / task
        options = ("--steps", "200", "--rounds", "1", "--precision", "fp32", "--languages", "en")
        assert _discover(models["bert"], task, data, atlas, *options) == 0
        scores = Atlas.open(atlas).ticket(TicketKey(task, "en", "imp", 0)).scores
        # So narrow a pooler tells two of three kinds of pairs apart; always the same answer would give a third.
        assert scores[0].value >= (0.66 if task == "nli" else 0.999)


def test_a_head_has_the_labels_of_its_source(models: dict[str, Path], data: Path) -> None:
    for name, count in (("pos", 17), ("ner", 3), ("nli", 3)):
        task, source = task_named(name), FolderSource(data / name)
        loaded = load_model(str(models["bert"]), task.auto_class, settings=task.head_settings(source))
        assert loaded.model.config.num_labels == loaded.model.classifier.out_features == count
        assert tuple(loaded.model.config.id2label.values()) == source.labels(name)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_is_the_one_that_transformers_computes(
    family: str, name: str, models: dict[str, Path], data: Path
) -> None:
    task, source = task_named(name), FolderSource(data / name)
    loaded = load_model(str(models[family]), task.auto_class, settings=task.head_settings(source))
    features = task.features(source, "en", "train", 6, loaded.tokenizer, 32)
    batch = task.collate(features, loaded.tokenizer, np.random.default_rng(0), training=True)
    model = loaded.model.eval()
    inputs = {key: value for key, value in batch.items() if key != "token_type_ids"}
    with torch.no_grad():
        expected = float(model(**inputs).loss)
        assert float(task.loss(model, loaded.family, batch)) == pytest.approx(expected, rel=1e-5)
        values, _ = task.evaluate(model, loaded.family, [batch])
    assert values["loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("task", "break_it", "says"),
    [
        ("pos", ("pos/en/train.conllu", "1\tx\t_\tWORD\n"), "Line 1 of"),
        ("ner", ("ner/sw/test.txt", "x PER\n"), "Line 1 of"),
        ("ner", ("ner/sw/test.txt", "x B-TIME\n"), "'B-TIME', which no training data has"),
        ("nli", ("nli/en/dev.tsv", "a\tb\n"), "Line 1 of"),
        ("nli", ("nli/en/dev.tsv", None), "no dev split for language 'en'"),
    ],
)
def test_broken_data_is_one_sentence_and_leaves_nothing(
    task: str,
    break_it: tuple[str, str | None],
    says: str,
    models: dict[str, Path],
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    copy = shutil.copytree(data, tmp_path / "data")
    name, content = break_it
    if content is None:
        (copy / name).unlink()
    else:
        (copy / name).write_text(content)
    assert _discover(models["bert"], task, copy, tmp_path / "atlas") == 2
    error = capsys.readouterr().err.strip()
    assert says in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "atlas").exists()


def test_the_embedded_text_has_no_labels(
    models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    command = ["discover", "--model", str(models["bert"]), "--task", "pos", "--languages", "en"]
    assert main([*command, "--atlas", str(tmp_path / "atlas")]) == 2
    assert "'cldr' has no data for 'pos'" in capsys.readouterr().err

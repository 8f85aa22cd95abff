"""Retrieval: its table against encodings made by hand, resuming, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lsn_core.analysis.retrieval import retrieval_accuracy
from lsn_core.cli import main
from lsn_core.discovery.config import Recipe, Training
from lsn_core.discovery.lottery import random_masks
from lsn_core.discovery.retrieval import EncodingJob, RetrievalSetup, RetrievalWorkshop, plan_networks
from lsn_core.discovery.runs import Setup, TicketJob, Workshop
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.cells import RETRIEVAL, read_rows, rebuild
from lsn_core.masks.mask import Mask
from lsn_core.masks.ticket import TicketKey
from tests.tiny_models import LAYERS

TRAINING = Training(steps=2, batch_size=8, learning_rate=1e-2, train_lines=64, score_lines=40)
LANGUAGES = ("en", "fr", "sw")
LEVEL = 0.3
LINES = 40


def _ignore(job: object, done: int) -> None:
    pass


@pytest.fixture(scope="module")
def tickets(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    folder = tmp_path_factory.mktemp("retrieval") / "atlas"
    workshop = Workshop(Setup(str(folder), str(tiny_folder), "mlm"), ())
    workshop.base()
    for language in LANGUAGES:
        recipe = Recipe("mlm", "imp", rounds=3, training=TRAINING)
        workshop.make(TicketJob(recipe, language, 0), _ignore)
    return folder


@pytest.fixture
def folder(tickets: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tickets, tmp_path / "atlas"))


def _run(folder: Path, model: Path, on_progress=_ignore, languages=LANGUAGES) -> pd.DataFrame:
    task, codes, networks = plan_networks(Atlas.open(folder), None, LEVEL, languages)
    workshop = RetrievalWorkshop(RetrievalSetup(str(folder), str(model), task, lines=LINES, languages=codes))
    encodings, pairs, _ = workshop.plan(networks)
    for job in (*encodings, *pairs):
        workshop.make(job, on_progress)
    return rebuild(workshop.atlas, RETRIEVAL).frame


@pytest.fixture(scope="module")
def table(tickets: Path, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return _run(Path(shutil.copytree(tickets, tmp_path_factory.mktemp("table") / "atlas")), tiny_folder)


def _by_hand(workshop: Workshop, mask: Mask, language: str) -> list[np.ndarray]:
    """Sentence by sentence, without padding: per layer the mean state of its pieces, (LINES, hidden)."""
    workshop.bench.rewind(mask)
    model = workshop.bench.model.eval()
    corpus = workshop.source.corpus(language, "test")
    states = []
    for i in range(LINES):
        ids = workshop.bench.loaded.tokenizer(corpus[i], truncation=True, max_length=64, return_tensors="pt")
        with torch.no_grad():
            hidden = model.bert(ids["input_ids"], output_hidden_states=True).hidden_states
        states.append([layer[0].mean(dim=0).numpy() for layer in hidden])
    return [np.stack(layer) for layer in zip(*states, strict=True)]


def test_the_table_is_what_encoding_by_hand_gives(
    tickets: Path, tiny_folder: Path, table: pd.DataFrame
) -> None:
    workshop = Workshop(Setup(str(tickets), str(tiny_folder), "mlm"), ())
    base = workshop.base().mask(LEVEL)
    full = Mask.full(workshop.bench.layout)
    headers = {code: workshop.atlas.header(TicketKey("mlm", code, "imp", 0)) for code in ("en", "sw")}
    masks = {
        "dense": dict.fromkeys(headers, full),
        "base": dict.fromkeys(headers, base),
        "imp": {code: workshop.atlas.ticket(header.key).mask(LEVEL) for code, header in headers.items()},
        "random": {code: random_masks(header)[2] for code, header in headers.items()},
    }
    place = ["method", "layer", "source", "target"]
    found = table.set_index(place)["accuracy"].to_dict()
    for method, of_language in masks.items():
        sides = [_by_hand(workshop, of_language[code], code) for code in ("en", "sw")]
        for layer, (a, b) in enumerate(zip(*sides, strict=True)):
            # Padding changes the last bits of a state, and so at most which of two equal neighbours wins.
            forth, back = retrieval_accuracy(a, b, 5)
            assert found[method, layer, "en", "sw"] == pytest.approx(forth, abs=1.01 / LINES)
            assert found[method, layer, "sw", "en"] == pytest.approx(back, abs=1.01 / LINES)


def test_the_table_has_every_method_layer_and_ordered_pair_once(table: pd.DataFrame) -> None:
    assert list(table.columns)[:9] == [
        *("method", "task", "seed", "sparsity", "layer", "source", "target", "accuracy", "count")
    ]
    assert len(table) == 4 * (LAYERS + 1) * 6
    assert not table.duplicated(list(RETRIEVAL.place)).any()
    assert set(table["count"]) == {LINES}
    embeddings = table[table["layer"] == 0].pivot(
        index=["source", "target"], columns="method", values="accuracy"
    )
    assert (embeddings["dense"] == embeddings.T).all(axis=None), "no mask touches the embeddings"
    last = table[table["layer"] == LAYERS].pivot(
        index=["source", "target"], columns="method", values="accuracy"
    )
    assert not (last["random"] == last["dense"]).all()


class _Halt(Exception):
    pass


def test_stopped_anywhere_it_goes_on_to_the_same_table(
    folder: Path, tiny_folder: Path, table: pd.DataFrame
) -> None:
    encoded: list[EncodingJob] = []
    for _ in range(20):
        left = iter(range(3))

        def halt(job: EncodingJob, done: int, left=left) -> None:
            if next(left, None) is None:
                raise _Halt
            if done == job.steps:
                encoded.append(job)

        try:
            frame = _run(folder, tiny_folder, on_progress=halt)
            break
        except _Halt:
            assert Atlas.open(folder).verify() == []
    pd.testing.assert_frame_equal(frame, table)
    # The batch after which a run stops is the only one that may be done twice.
    assert len(set(encoded)) == 4 * 3


def test_a_damaged_encoding_is_made_again(folder: Path, tiny_folder: Path, table: pd.DataFrame) -> None:
    task, codes, networks = plan_networks(Atlas.open(folder), None, LEVEL, LANGUAGES)
    setup = RetrievalSetup(str(folder), str(tiny_folder), task, lines=LINES, languages=codes)
    workshop = setup.open()
    encodings, pairs, _ = workshop.plan(networks)
    for job in encodings:
        assert workshop.make(job, _ignore)
    victim = sorted((folder / "runs" / "retrieval").iterdir())[0]
    data = bytearray(victim.read_bytes())
    data[-3] ^= 8
    victim.write_bytes(data)
    assert sum(workshop.make(job, _ignore) for job in encodings) == 1
    for job in pairs:
        workshop.make(job, _ignore)
    pd.testing.assert_frame_equal(rebuild(workshop.atlas, RETRIEVAL).frame, table)


def _verb(folder: Path, model: Path, *extra: str) -> int:
    options = ("--data", "cldr", "--sparsity", "0.3", "--lines", str(LINES), "--jobs", "1")
    return main(["retrieve", "--atlas", str(folder), "--model", str(model), *options, *extra])


def test_the_verb_writes_the_table_once(
    folder: Path, tiny_folder: Path, table: pd.DataFrame, capsys: pytest.CaptureFixture
) -> None:
    assert _verb(folder, tiny_folder) == 0
    pd.testing.assert_frame_equal(read_rows(Atlas.open(folder), RETRIEVAL), table)
    assert not (folder / "runs" / "retrieval").exists()
    shutil.rmtree(folder / "retrieval")  # the table alone is enough
    capsys.readouterr()
    assert _verb(folder, tiny_folder) == 0
    assert "0 encodings and 0 comparisons to do, 12 comparisons were there already" in capsys.readouterr().err
    assert main(["verify", str(folder)]) == 0
    assert _verb(folder, tiny_folder, "--lines", "30") == 2
    assert "other settings" in capsys.readouterr().err


@pytest.mark.slow
def test_several_processes_give_the_same_table(folder: Path, tiny_folder: Path, table: pd.DataFrame) -> None:
    assert _verb(folder, tiny_folder, "--jobs", "2") == 0
    pd.testing.assert_frame_equal(read_rows(Atlas.open(folder), RETRIEVAL), table)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--task", "pos"], "no imp tickets of task 'pos'; it has mlm"),
        (["--sparsity", "0.55"], "no level 0.55; it has 0.1, 0.2, 0.3"),
        (["--languages", "en", "de"], "'de'; it has en, fr, sw"),
        (["--languages", "en"], "two at least"),
        (["--seeds", "7"], "seed 7; the seeds in common are 0"),
        (["--lines", "1"], "--lines is 1"),
        (["--max-length", "4000"], "--max-length"),
        (["--data", "{tmp}/text"], "not parallel: its test split has 20 lines in 'en' and 19 in 'sw'"),
        (["--model", "{other}"], "another model"),
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
    for language, lines in (("en", 20), ("fr", 20), ("sw", 19)):
        (tmp_path / "text" / f"{language}.test.txt").write_text("a line of text\n" * lines)
    filled = [o.replace("{tmp}", str(tmp_path)).replace("{other}", str(other_folder)) for o in options]
    assert _verb(folder, tiny_folder, *filled) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert [line.startswith("lsn_core: ") for line in captured.err.strip().splitlines()] == [True]
    assert not (folder / "retrieval.parquet").exists()
    assert not (folder / "retrieval").exists()

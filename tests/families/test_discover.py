"""`discover` from the command line for every task and family, and one sentence for what does not exist."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import AutoConfig, AutoTokenizer, GPT2Config, GPT2LMHeadModel, MT5EncoderModel

from lsn_core.cli import main
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.ticket import TicketKey
from tests.families.conftest import EVERY_FAMILY
from tests.tiny_models import DECODER_LAYERS, LAYERS, TEXT_FAMILIES, tiny_text_tokenizer

METRICS = {"mlm": "masked top-1", "pos": "accuracy", "ner": "entity F1", "nli": "accuracy"}
# The pairs that are slow go the same ways as the others.
PAIRS = [
    pytest.param(family, task, marks=[] if family == "mt5" or task == "mlm" else [pytest.mark.slow])
    for family in EVERY_FAMILY
    for task in METRICS
]


def _discover(model: Path | str, task: str, source: Path | str, atlas: Path, *extra: str) -> int:
    return main(
        [
            *("discover", "--model", str(model), "--task", task, "--languages", "en", "sw"),
            *("--data", str(source), "--rounds", "2", "--steps", "1", "--batch-size", "4"),
            *("--train-lines", "12", "--score-lines", "12", "--learning-rate", "0.01"),
            *("--jobs", "1", "--atlas", str(atlas), *extra),
        ]
    )


def _source(task: str, data: Path) -> Path | str:
    return "cldr" if task == "mlm" else data / task


@pytest.mark.parametrize(("family", "task"), PAIRS)
def test_discover(
    family: str, task: str, folder_of: Callable[[str], Path], data: Path, tmp_path: Path
) -> None:
    assert _discover(folder_of(family), task, _source(task, data), tmp_path / "atlas") == 0
    atlas = Atlas.open(tmp_path / "atlas")
    assert not atlas.problems()
    writes = family in TEXT_FAMILIES and task in ("mlm", "nli")
    stacks = [scope.label for scope in atlas.layout.scopes("stack")]
    assert stacks == (["encoder", "decoder"] if writes else ["encoder"])
    for language in ("en", "sw"):
        ticket = atlas.ticket(TicketKey(task, language, "imp", 0))
        assert ticket.levels == (0.1, 0.2)
        metric = "span top-1" if writes and task == "mlm" else METRICS[task]
        scores = [score for score in ticket.scores if score.metric == metric]
        assert ticket.scores[0] == scores[0]
        assert [score.sparsity for score in scores] == [0.0, 0.1, 0.2]
    assert main(["verify", str(tmp_path / "atlas")]) == 0


def test_two_tasks_of_mt5_share_an_atlas_and_the_encoder_alone_is_refused(
    folder_of: Callable[[str], Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    atlas = tmp_path / "atlas"
    for task in ("nli", "mlm"):
        assert _discover(folder_of("mt5"), task, _source(task, data), atlas) == 0
    before = Atlas.open(atlas).stamps()
    assert len(before) == 5
    capsys.readouterr()
    assert _discover(folder_of("mt5"), "pos", _source("pos", data), atlas) == 2
    error = capsys.readouterr().err.strip()
    assert "is an atlas over other matrices of mt5; choose another folder" in error
    assert len(error.splitlines()) == 1
    assert Atlas.open(atlas).stamps() == before
    layers = [f"encoder.{n}" for n in range(LAYERS)] + [f"decoder.{n}" for n in range(DECODER_LAYERS)]
    for by, labels in (("stack", ["encoder", "decoder"]), ("layer", layers)):
        out = tmp_path / f"{by}.csv"
        options = ["--sparsity", "0.2", "--by", by, "--out", str(out)]
        assert main(["overlap", "--atlas", str(atlas), *options]) == 0
        rows = list(csv.DictReader(out.open()))
        assert [row["scope"] for row in rows[: len(labels)]] == labels
        assert len(rows) == 6 * len(labels)  # four tickets, each with each other


@pytest.fixture
def broken(folder_of: Callable[[str], Path], tmp_path: Path) -> dict[str, Path]:
    """Models that cannot do a task, each in its own way."""
    root = tmp_path / "broken"
    names = ("bare", "headless", "foreign", "endless", "startless")
    folders = {name: shutil.copytree(folder_of("mt5"), root / name) for name in names}
    text = tiny_text_tokenizer()
    state = text.backend_tokenizer.to_str().replace("<extra_id_", "<other_")
    type(text)(
        tokenizer_object=text.backend_tokenizer.from_str(state),
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
    ).save_pretrained(folders["bare"])
    shutil.rmtree(folders["headless"])
    MT5EncoderModel.from_pretrained(folder_of("mt5")).save_pretrained(folders["headless"])
    text.save_pretrained(folders["headless"])
    shutil.rmtree(folders["foreign"])
    GPT2LMHeadModel(GPT2Config(vocab_size=50, n_embd=8, n_layer=1, n_head=1)).save_pretrained(
        folders["foreign"]
    )
    text.save_pretrained(folders["foreign"])
    AutoTokenizer.from_pretrained(folder_of("bert")).save_pretrained(folders["endless"])
    config = AutoConfig.from_pretrained(folders["startless"])
    config.decoder_start_token_id = None
    config.save_pretrained(folders["startless"])
    return folders


@pytest.mark.parametrize(
    ("model", "task", "options", "says"),
    [
        ("bare", "mlm", (), "has no sentinels"),
        ("headless", "mlm", (), "weights of the encoder and decoder"),
        ("headless", "nli", (), "weights of the encoder and decoder"),
        ("foreign", "mlm", (), "Models of type 'gpt2' are not supported"),
        ("endless", "nli", (), "has no end piece"),
        ("startless", "mlm", (), "set decoder_start_token_id"),
        ("mt5", "chess", (), "There is no task 'chess'"),
        ("mt5", "nli", ("--max-length", "12"), "--max-length is 12"),
        ("bert", "mlm", ("--max-length", "4000"), "--max-length is 4000"),
        ("mt5", "nli", ("--data", "{data}/ner"), "sentence pairs"),
    ],
)
def test_what_does_not_exist_is_one_sentence_and_leaves_nothing(
    model: str,
    task: str,
    options: tuple[str, ...],
    says: str,
    broken: dict[str, Path],
    folder_of: Callable[[str], Path],
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    folder = broken[model] if model in broken else folder_of(model)
    extra = [option.replace("{data}", str(data)) for option in options]
    assert _discover(folder, task, _source(task, data), tmp_path / "atlas", *extra) == 2
    error = capsys.readouterr().err.strip()
    assert says in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "atlas").exists()

"""Making a model from the embedded text, at toy size: it resumes, reproduces itself and describes itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from lsn_core.data.cldr import CldrSource
from lsn_core.tasks.pretrain import PretrainConfig, pretrain, train_tokenizer

LANGUAGES = ("en", "sw", "zh")
CONFIG = PretrainConfig(
    steps=260, batch_size=2, warmup_steps=5, vocabulary=300, tokenizer_lines=50, hidden_size=16, layers=1, heads=2,
    max_length=24, score_lines=20,
)  # fmt: skip


class _Halt(Exception):
    pass


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return AutoModelForMaskedLM.from_pretrained(folder).state_dict()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pretrained")
    pretrain(CldrSource(), LANGUAGES, folder, CONFIG, lambda done, total, loss: None)
    return folder


def test_the_result_opens_with_plain_transformers(made: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(made)
    model = AutoModelForMaskedLM.from_pretrained(made)
    encoded = tokenizer("June 5, 2031", "5 Juni 2031", return_tensors="pt")
    assert model(**encoded).logits.shape[-1] == len(tokenizer)
    assert not (made / ".training").exists()


def test_the_card_has_a_row_a_language_beside_the_baseline(made: Path) -> None:
    card = (made / "CARD.md").read_text(encoding="utf-8")
    assert "most frequent piece" in card
    for language in LANGUAGES:
        row = next(line for line in card.splitlines() if line.startswith(f"| {language} |"))
        assert all(0 <= float(cell) <= 1 for cell in row.split("|")[3:5])


def test_a_stopped_run_goes_on_and_ends_with_the_same_weights(made: Path, tmp_path: Path) -> None:
    def halt(done: int, total: int, loss: float) -> None:
        if done == 258:
            raise _Halt

    ran: list[int] = []
    with pytest.raises(_Halt):
        pretrain(CldrSource(), LANGUAGES, tmp_path, CONFIG, halt)
    pretrain(CldrSource(), LANGUAGES, tmp_path, CONFIG, lambda done, total, loss: ran.append(done))
    assert ran == [257, 258, 259, 260]
    again, once = _weights(tmp_path), _weights(made)
    assert all(torch.equal(again[name], once[name]) for name in once)


def test_the_tokenizer_drops_marks_of_direction_and_keeps_words(made: Path) -> None:
    tokenizer = train_tokenizer(CldrSource(), ("ar", "fa"), replace(CONFIG, tokenizer_lines=300))
    assert tokenizer.tokenize("\u200f\u061c") == tokenizer.tokenize("")
    assert tokenizer.tokenize("2031") == tokenizer.tokenize("\u200f2031")

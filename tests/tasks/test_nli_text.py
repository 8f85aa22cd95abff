"""Inference as text to text: the input's words, the answers' likelihoods against brute force, and learning it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import AutoModelForSeq2SeqLM

from lsn_core.data.source import NLI_LABELS, Pair
from lsn_core.discovery.config import Training
from lsn_core.discovery.training import Bench
from lsn_core.errors import LsnError
from lsn_core.masks.mask import Mask
from lsn_core.models.families import family_of
from lsn_core.models.loading import load_model
from lsn_core.tasks.nli_text import TextInference, answer_likelihoods, fit
from tests.tiny_models import TEXT_FAMILIES, save_tiny_model, tiny_text_model, tiny_text_tokenizer

TASK = TextInference()
PAIRS = (
    Pair("A dog sleeps in the sun.", "An animal sleeps.", "entailment"),
    Pair("It is Monday.", "The shop on the corner is open until the evening.", "neutral"),
    Pair("Nobody came.", "Everybody came.", "contradiction"),
)


class _Pairs:
    name = "pairs"

    def corpus(self, language: str, split: str, kind: str) -> tuple[Pair, ...]:
        assert kind == "nli"
        return PAIRS


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_text_tokenizer()


def _features(tokenizer, limit: int | None = None, max_length: int = 128):
    return TASK.features(_Pairs(), "en", "train", limit, tokenizer, max_length)  # type: ignore[arg-type]


def test_the_input_is_the_whole_text_and_the_target_the_word(tokenizer) -> None:
    features = _features(tokenizer)
    batch = TASK.collate(features, tokenizer, np.random.default_rng(0), training=False)
    for row, pair in enumerate(PAIRS):
        text = f"xnli: premise: {pair.premise} hypothesis: {pair.hypothesis}"
        assert features[row]["ids"].tolist() == tokenizer(text)["input_ids"]
        labels = batch["labels"][row]
        assert labels[labels != -100].tolist() == tokenizer(pair.label)["input_ids"]
        for answer, word in zip(batch["answers"][row], NLI_LABELS, strict=True):
            assert answer[answer != -100].tolist() == tokenizer(word)["input_ids"]
    assert batch["right"].tolist() == [0, 1, 2]
    assert len(_features(tokenizer, limit=2)) == 2


def test_training_batches_can_be_split_by_rows_and_hold_no_other_answers(tokenizer) -> None:
    batch = TASK.collate(_features(tokenizer), tokenizer, np.random.default_rng(0), training=True)
    assert {name: len(value) for name, value in batch.items()} == {
        "input_ids": 3,
        "attention_mask": 3,
        "labels": 3,
    }


@pytest.mark.parametrize("room", [3, 10, 17, 30, 63])
def test_what_is_too_long_loses_the_end_of_its_longer_part(room: int) -> None:
    for first in range(40):
        for second in range(40):
            kept = fit(list(range(first)), list(range(100, 100 + second)), room)
            ones = sum(piece < 100 for piece in kept)
            others = len(kept) - ones
            assert kept == [*range(ones), *range(100, 100 + others)]
            assert len(kept) == min(room, first + second)
            if ones < first and others < second:
                assert abs(ones - others) <= 1
            elif ones < first:
                assert ones >= others - 1
            elif others < second:
                assert others >= ones - 1


def test_long_pairs_fit_into_the_length(tokenizer) -> None:
    assert [len(feature["ids"]) for feature in _features(tokenizer, max_length=40)] == [40, 40, 40]


@pytest.mark.parametrize("name", TEXT_FAMILIES)
def test_likelihoods_are_those_of_writing_each_answer_piece_by_piece(name: str, tokenizer) -> None:
    model, family = tiny_text_model(name, len(tokenizer)).eval(), family_of(name)
    features = _features(tokenizer)
    batch = TASK.collate(features, tokenizer, np.random.default_rng(0), training=False)
    with torch.no_grad():
        found = answer_likelihoods(model, family, batch)
        metrics, count = TASK.evaluate(model, family, [batch])
        slow = torch.zeros(3, 3)
        for row, feature in enumerate(features):
            ids = torch.from_numpy(feature["ids"])[None]
            for column, word in enumerate(NLI_LABELS):
                written = [model.config.decoder_start_token_id]
                for piece in tokenizer(word)["input_ids"]:
                    logits = model(input_ids=ids, decoder_input_ids=torch.tensor([written])).logits[0, -1]
                    slow[row, column] += logits.log_softmax(-1)[piece]
                    written.append(piece)
        loss = TASK.loss(model, family, batch)
    assert torch.allclose(found, slow, atol=1e-3)
    assert count == 3
    assert metrics["accuracy"] == pytest.approx(float((slow.argmax(1) == torch.arange(3)).float().mean()))
    assert metrics["loss"] == pytest.approx(float(loss), rel=1e-4)


@pytest.mark.slow
def test_a_network_learns_the_pairs_it_is_shown(tmp_path) -> None:
    bench = Bench(load_model(str(save_tiny_model(tmp_path / "m", "mt5")), AutoModelForSeq2SeqLM), TASK)
    TASK.check(bench.loaded)
    features = _features(bench.loaded.tokenizer)
    settings = Training(steps=150, learning_rate=0.01, precision="fp32")
    full = Mask.full(bench.layout)
    bench.rewind(full)
    bench.train(features, full, settings, 0, lambda done, total: None)
    assert bench.score(features, settings, 0)[0]["accuracy"] == 1.0


def test_a_tokenizer_that_cannot_tell_the_answers_apart_is_one_sentence(tmp_path) -> None:
    loaded = load_model(str(save_tiny_model(tmp_path / "m", "mt5")), AutoModelForSeq2SeqLM)

    class Mute:
        pad_token_id, eos_token_id = 0, 1

        def __len__(self) -> int:
            return 10

        def __call__(self, texts: list[str], **settings: object) -> dict:
            return {"input_ids": [[2] for _ in texts]}

    object.__setattr__(loaded, "tokenizer", Mute())
    with pytest.raises(LsnError, match="cannot tell the words entailment, neutral, contradiction apart"):
        TASK.check(loaded)

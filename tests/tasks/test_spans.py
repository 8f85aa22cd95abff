"""Span corruption: nothing of a line is lost, the right share is hidden, and the score is what the model says."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, PreTrainedTokenizerFast

from lsn_core.data.cldr import CldrSource
from lsn_core.errors import LsnError
from lsn_core.models.families import family_of
from lsn_core.models.loading import load_model
from lsn_core.tasks.batching import IGNORED
from lsn_core.tasks.spans import SpanCorruption, corrupt, draw_spans, hidden_in, sentinels, spans_in
from tests.tiny_models import SENTINELS, TEXT_FAMILIES, save_tiny_model, tiny_text_model, tiny_text_tokenizer

TASK = SpanCorruption()
MARKS = np.arange(1000, 1100)


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_text_tokenizer()


@pytest.fixture(scope="module")
def features(tokenizer):
    return TASK.features(CldrSource(), "en", "train", 40, tokenizer, 32)


def _mended(left: list[int], target: list[int]) -> list[int]:
    """Put the spans of a target back where their sentinels are."""
    spans: dict[int, list[int]] = {}
    for piece in target:
        if piece >= MARKS[0]:
            mark = piece
            assert mark not in spans
            spans[mark] = []
        else:
            spans[mark].append(piece)
    last = max(spans)
    assert spans.pop(last) == []
    assert list(spans) == [piece for piece in left if piece >= MARKS[0]] == list(MARKS[: len(spans)])
    return [whole for piece in left for whole in spans.get(piece, [piece])]


@pytest.mark.parametrize("length", [1, 2, 3, 7, 20, 61, 200])
def test_a_line_can_be_put_together_again_and_the_right_share_of_it_is_hidden(length: int) -> None:
    ids = np.arange(length)
    for seed in range(30):
        spans = draw_spans(length, 99, np.random.default_rng(seed))
        left, target, text = corrupt(ids, spans, MARKS)
        assert _mended(left.tolist(), target.tolist()) == ids.tolist()
        assert text.tolist() == [int(piece < MARKS[0]) for piece in target]
        assert text.sum() == max(1, round(0.15 * length))
        assert all(end < start for (_, end), (start, _) in pairwise(spans))


def test_a_case_by_hand() -> None:
    left, target, text = corrupt(np.arange(10, 20), [(0, 2), (5, 6)], np.array([90, 91, 92, 93]))
    assert left.tolist() == [90, 12, 13, 14, 91, 16, 17, 18, 19]
    assert target.tolist() == [90, 10, 11, 91, 15, 92]
    assert text.tolist() == [0, 1, 1, 0, 1, 0]


def test_spans_are_three_pieces_long_on_average_and_lie_anywhere() -> None:
    assert (hidden_in(200), spans_in(200)) == (30, 10)
    rng = np.random.default_rng(0)
    often = np.zeros(40)
    for _ in range(4000):
        for start, end in draw_spans(40, 99, rng):
            often[start:end] += 1
    assert often.sum() == 4000 * 6
    inner = often[4:-4] / 4000
    assert inner == pytest.approx(np.full(32, 0.15), abs=0.04)
    assert often.min() > 0


def test_no_more_spans_than_sentinels() -> None:
    assert len(draw_spans(400, 4, np.random.default_rng(0))) == 4


def test_sentinels_are_found_in_order_with_and_without_the_mark_of_a_word(tokenizer) -> None:
    assert sentinels(tokenizer, 99).tolist() == [tokenizer.get_vocab()[name] for name in SENTINELS]
    assert len(sentinels(tokenizer, 3)) == 3
    state = tokenizer.backend_tokenizer.to_str().replace("<extra_id_", "▁<extra_id_")
    marked = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer.from_str(state), unk_token="<unk>"
    )
    assert "<extra_id_0>" not in marked.get_vocab()
    assert sentinels(marked, 99).tolist() == sentinels(tokenizer, 99).tolist()


def test_inputs_fit_and_end_with_the_end_piece(features, tokenizer) -> None:
    batch = TASK.collate(features, tokenizer, np.random.default_rng(0), training=True)
    assert batch["input_ids"].shape[1] <= 32
    end = tokenizer.eos_token_id
    for row in range(len(features)):
        read = batch["input_ids"][row][batch["attention_mask"][row].bool()].tolist()
        written = batch["labels"][row][batch["labels"][row] != IGNORED].tolist()
        assert read.index(end) == len(read) - 1
        assert written.index(end) == len(written) - 1
    assert {value.shape[0] for value in batch.values()} == {len(features)}
    again = TASK.collate(features, tokenizer, np.random.default_rng(0), training=True)
    other = TASK.collate(features, tokenizer, np.random.default_rng(1), training=True)
    assert all(torch.equal(batch[name], again[name]) for name in batch)
    assert batch["labels"].shape != other["labels"].shape or not torch.equal(batch["labels"], other["labels"])


@pytest.mark.parametrize("name", TEXT_FAMILIES)
def test_loss_and_score_are_those_of_the_whole_model(name: str, features, tokenizer) -> None:
    model, family = tiny_text_model(name, len(tokenizer)).eval(), family_of(name)
    batch = TASK.collate(features[:8], tokenizer, np.random.default_rng(0), training=False)
    with torch.no_grad():
        whole = model(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=batch["labels"]
        )
        assert torch.allclose(TASK.loss(model, family, batch), whole.loss, atol=1e-5)
        metrics, count = TASK.evaluate(model, family, [batch, batch])
    right = total = 0
    for row, labels in enumerate(batch["labels"].tolist()):
        for place, piece in enumerate(labels):
            if piece not in (IGNORED, tokenizer.eos_token_id) and piece not in sentinels(tokenizer, 99):
                total += 1
                right += int(whole.logits[row, place].argmax()) == piece
    assert count == 2 * total
    assert metrics["span top-1"] == pytest.approx(right / total)


def test_a_tokenizer_without_sentinels_is_one_sentence(tmp_path) -> None:
    loaded = load_model(str(save_tiny_model(tmp_path / "m", "mt5")), AutoModelForSeq2SeqLM)
    TASK.check(loaded)
    state = loaded.tokenizer.backend_tokenizer.to_str().replace("<extra_id_", "<other_")
    bare = PreTrainedTokenizerFast(
        tokenizer_object=loaded.tokenizer.backend_tokenizer.from_str(state),
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
    )
    object.__setattr__(loaded, "tokenizer", bare)
    with pytest.raises(LsnError, match="has no sentinels"):
        TASK.check(loaded)

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import processors
from transformers import AutoModelForSequenceClassification, BertConfig

from lsn_core.data.files import FolderSource
from lsn_core.data.source import NLI_LABELS
from lsn_core.errors import LsnError
from lsn_core.models.families import family_of
from lsn_core.tasks.registry import task_named
from tests.tiny_models import tiny_tokenizer

NLI = task_named("nli")
BERT = family_of("bert")
PAIRS = [("One two three four five six.", "No.", 2), ("Two.", "One date.", 0), ("A day of June.", "Four.", 1)]


@pytest.fixture(scope="module")
def tokenizer():
    """As BERT's: the pieces of the second sentence are of type 1."""
    tokenizer = copy.deepcopy(tiny_tokenizer())
    special = [(piece, tokenizer.convert_tokens_to_ids(piece)) for piece in ("[CLS]", "[SEP]")]
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=special
    )
    return tokenizer


@pytest.fixture
def source(tmp_path: Path) -> FolderSource:
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "train.tsv").write_text("".join(f"{p}\t{h}\t{label}\n" for p, h, label in PAIRS))
    return FolderSource(tmp_path)


def _alone(tokenizer, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def test_pairs_are_encoded_together_with_types_and_labels(source, tokenizer):
    features = NLI.features(source, "en", "train", 2, tokenizer, 128)
    assert len(features) == 2
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    for feature, (premise, hypothesis, label) in zip(features, PAIRS, strict=False):
        first, second = _alone(tokenizer, premise), _alone(tokenizer, hypothesis)
        assert feature["ids"].tolist() == [cls, *first, sep, *second, sep]
        assert feature["types"].tolist() == [0] * (len(first) + 2) + [1] * (len(second) + 1)
        assert feature["label"] == label


def test_the_longer_sentence_is_cut_first_and_both_stay(source, tokenizer):
    first, second = (_alone(tokenizer, text) for text in PAIRS[0][:2])
    assert len(first) > len(second)
    length = 3 + 2 * len(second)
    ids = NLI.features(source, "en", "train", 1, tokenizer, length)[0]["ids"].tolist()
    assert len(ids) == length
    assert ids[1 : 1 + len(second)] == first[: len(second)]
    assert ids[2 + len(second) : -1] == second
    shortest = NLI.features(source, "en", "train", None, tokenizer, 5)
    assert {len(feature["ids"]) for feature in shortest} == {5}
    with pytest.raises(LsnError, match=r"--max-length is 4, .* give 5 or more"):
        NLI.features(source, "en", "train", None, tokenizer, 4)


def test_types_reach_only_a_model_that_tells_them_apart(source, tokenizer):
    features = NLI.features(source, "en", "train", None, tokenizer, 64)
    batch = NLI.collate(features, tokenizer, np.random.default_rng(0), training=False)
    without = {**batch, "token_type_ids": torch.zeros_like(batch["token_type_ids"])}
    for kinds, same in ((2, False), (1, True)):
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            type_vocab_size=kinds,
            num_labels=3,
        )
        model = AutoModelForSequenceClassification.from_config(config).eval()
        with torch.no_grad():
            losses = [float(NLI.loss(model, BERT, b)) for b in (batch, without)]
        assert (losses[0] == losses[1]) is same


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=9), st.integers(1, 4))
def test_scores_are_those_of_the_pairs(answers, batch_size):
    class Oracle(torch.nn.Module):
        config = SimpleNamespace(id2label=dict(enumerate(NLI_LABELS)))

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SimpleNamespace:
            return SimpleNamespace(logits=10.0 * torch.nn.functional.one_hot(input_ids[:, 0], 3))

    features = [
        {"ids": np.array([said, 0]), "types": np.array([0, 1]), "label": right} for right, said in answers
    ]
    tokenizer = SimpleNamespace(pad_token_id=0)
    batches = [
        NLI.collate(features[i : i + batch_size], tokenizer, np.random.default_rng(0), training=False)
        for i in range(0, len(features), batch_size)
    ]
    values, count = NLI.evaluate(Oracle(), BERT, batches)
    share = sum(right == said for right, said in answers) / len(answers)
    assert list(values) == ["accuracy", "loss"]
    assert count == len(answers)
    assert values["accuracy"] == pytest.approx(share)
    assert values["loss"] == pytest.approx(10 * (1 - share), abs=1e-3)

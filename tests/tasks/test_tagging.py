from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import f1_score
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from lsn_core.data.files import FolderSource
from lsn_core.data.source import UPOS_TAGS
from lsn_core.errors import LsnError
from lsn_core.models.families import family_of
from lsn_core.tasks.batching import IGNORED
from lsn_core.tasks.registry import task_named
from lsn_core.tasks.tagging import word_pieces
from tests.tiny_models import tiny_tokenizer

POS, NER = task_named("pos"), task_named("ner")
BERT = family_of("bert")
TOKENIZER = tiny_tokenizer()
# The last ones leave no piece: the tokenizer takes marks of direction out of the text.
WORDS = st.one_of(
    st.text("abcdeéß1.ع中", min_size=1, max_size=12), st.sampled_from(["6 20 30", "\u200e", "\u061c\u200f"])
)


def byte_level(prefix: bool) -> PreTrainedTokenizerFast:
    """A tokenizer as RoBERTa's, whose words begin with the space before them."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=280, initial_alphabet=alphabet, show_progress=False)
    backend.train_from_iterator(["the cat sat on the mat with the hat"] * 3, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend)


@given(st.lists(WORDS, min_size=1, max_size=20), st.integers(4, 40))
def test_kept_words_are_whole_and_labelled_on_their_first_piece(words, max_length):
    (pieces,) = word_pieces(TOKENIZER, [words], max_length)
    ids = pieces.ids.tolist()
    assert len(ids) <= max_length
    assert (ids[0], ids[-1]) == (TOKENIZER.cls_token_id, TOKENIZER.sep_token_id)
    # Every word on its own, as the oracle of what its pieces are.
    alone = [
        TOKENIZER([word], is_split_into_words=True, add_special_tokens=False)["input_ids"] for word in words
    ]
    kept = words[: len(words) - pieces.cut]
    assert ids[1:-1] == [piece for one in alone[: len(kept)] for piece in one]
    place = 1
    for number, one in enumerate(alone[: len(kept)]):
        assert pieces.first.get(number) == (place if one else None)
        place += len(one)
    assert len(pieces.first) + pieces.dropped + pieces.cut == len(words)
    if pieces.cut:  # the next word with a piece would not have fitted
        assert len(ids) + len(alone[len(kept)]) > max_length


def test_a_sentence_worked_by_hand(tmp_path):
    for split in ("train", "test"):
        (tmp_path / f"en.{split}.txt").write_text("One NUM\n\u200e PUNCT\ndate NOUN\n. PUNCT\n")
    source = FolderSource(tmp_path)
    whole, cut = (POS.features(source, "en", "train", None, TOKENIZER, length)[0] for length in (64, 6))
    (one, date, stop) = (
        TOKENIZER([word], is_split_into_words=True, add_special_tokens=False)["input_ids"]
        for word in ("One", "date", ".")
    )
    assert whole["ids"].tolist() == [TOKENIZER.cls_token_id, *one, *date, *stop, TOKENIZER.sep_token_id]
    number = {tag: i for i, tag in enumerate(UPOS_TAGS)}
    rest = [[IGNORED] * (len(pieces) - 1) for pieces in (one, date, stop)]
    assert whole["labels"].tolist() == [
        *[IGNORED, number["NUM"], *rest[0], number["NOUN"], *rest[1]],
        *[number["PUNCT"], *rest[2], IGNORED],
    ]
    assert (whole["dropped"], whole["cut"]) == (1, 0)
    assert len(one) <= 4 < len(one + date)
    assert cut["ids"].tolist() == [TOKENIZER.cls_token_id, *one, TOKENIZER.sep_token_id]
    # The mark left of the word that is cut has no piece either, but it stood before the end.
    assert (cut["dropped"], cut["cut"]) == (1, 2)


@pytest.mark.parametrize("prefix", [False, True])
def test_words_are_read_as_within_a_text_when_the_space_belongs_to_them(prefix):
    tokenizer = byte_level(prefix)
    words = ["the", "cat", "mat"]
    (pieces,) = word_pieces(tokenizer, [words], 32)
    assert pieces.ids.tolist() == tokenizer(" the cat mat")["input_ids"]
    assert sorted(pieces.first) == [0, 1, 2]


def test_padding_carries_no_label_and_no_attention():
    features = [{"ids": np.arange(5, 5 + n), "labels": np.full(n, 3), "dropped": 0, "cut": 0} for n in (2, 4)]
    batch = POS.collate(features, TOKENIZER, np.random.default_rng(0), training=True)
    pad = TOKENIZER.pad_token_id
    assert batch["input_ids"].tolist() == [[5, 6, pad, pad], [5, 6, 7, 8]]
    assert batch["attention_mask"].tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]
    assert batch["labels"].tolist() == [[3, 3, IGNORED, IGNORED], [3, 3, 3, 3]]


class Oracle(torch.nn.Module):
    """Says of every piece what `answers` has for its number, and is sure of it."""

    def __init__(self, labels: tuple[str, ...], answers: torch.Tensor) -> None:
        super().__init__()
        self.config = SimpleNamespace(id2label=dict(enumerate(labels)))
        self.answers = answers

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SimpleNamespace:
        width = len(self.config.id2label)
        return SimpleNamespace(logits=10.0 * torch.nn.functional.one_hot(self.answers[input_ids], width))


TAGS = ("O", "B-LOC", "B-PER", "I-LOC", "I-PER")
SENTENCES = st.lists(
    st.lists(st.tuples(*[st.integers(0, len(TAGS) - 1)] * 2), min_size=1, max_size=7), min_size=1, max_size=5
)


@given(SENTENCES, st.integers(1, 3))
def test_scores_are_those_of_the_words(sentences, batch_size):
    """Each word has two pieces; the model's answer for the second one must not matter."""
    right = [[r for r, _ in sentence] for sentence in sentences]
    said = [[s for _, s in sentence] for sentence in sentences]
    answers, features = [], []
    for r, s in zip(right, said, strict=True):
        features.append(
            {
                "ids": np.arange(len(answers), len(answers) + 2 * len(r)),
                "labels": np.asarray([x for label in r for x in (label, IGNORED)]),
            }
        )
        answers += [x for label in s for x in (label, (label + 1) % len(TAGS))]
    model = Oracle(TAGS, torch.tensor(answers))
    batches = [
        POS.collate(features[i : i + batch_size], TOKENIZER, np.random.default_rng(0), training=False)
        for i in range(0, len(features), batch_size)
    ]
    count = sum(map(len, right))
    share = sum(a == b for r, s in zip(right, said, strict=True) for a, b in zip(r, s, strict=True)) / count
    wrong = 10.0 * (1 - share)
    for task, metrics in ((POS, ["accuracy", "loss"]), (NER, ["entity F1", "accuracy", "loss"])):
        values, scored = task.evaluate(model, BERT, batches)
        assert list(values) == metrics
        assert scored == count
        assert values["accuracy"] == pytest.approx(share)
        assert values["loss"] == pytest.approx(wrong, abs=1e-3)
    named = [[[TAGS[x] for x in sentence] for sentence in half] for half in (right, said)]
    assert values["entity F1"] == pytest.approx(f1_score(*named, zero_division=0))
    assert float(POS.loss(model, BERT, batches[0])) >= 0


def test_entity_f1_worked_by_hand():
    """Two right entities and three predicted ones, of which one is right: precision 1/3, recall 1/2."""
    right, said = [2, 4, 0, 1, 0], [2, 4, 2, 1, 3]
    model = Oracle(TAGS, torch.tensor(said))
    feature = {"ids": np.arange(5), "labels": np.asarray(right)}
    batch = NER.collate([feature], TOKENIZER, np.random.default_rng(0), training=False)
    values, count = NER.evaluate(model, BERT, [batch])
    assert values["entity F1"] == pytest.approx(2 * (1 / 3) * (1 / 2) / (1 / 3 + 1 / 2))
    assert values["accuracy"] == pytest.approx(3 / 5)
    assert count == 5


def test_data_that_cannot_be_learnt_from_is_one_sentence(tmp_path):
    (tmp_path / "en.train.txt").write_text("Ann B-PER\nLee I-PER\n")
    (tmp_path / "en.test.txt").write_text("Rome B-LOC\n")
    source = FolderSource(tmp_path)
    with pytest.raises(LsnError, match=r"test data of 'en'.*'B-LOC', which no training data has"):
        NER.features(source, "en", "test", None, TOKENIZER, 16)
    (tmp_path / "en.dev.txt").write_text("supercalifragilistic B-PER\n")
    with pytest.raises(LsnError, match=r"dev data of 'en'.*at most 2 word pieces.*--max-length"):
        NER.features(FolderSource(tmp_path), "en", "dev", None, TOKENIZER, 4)


@pytest.mark.parametrize("name", ["pos", "ner", "nli"])
def test_tokenizers_that_cannot_do_it_are_one_sentence(name):
    def loaded(tokenizer, embedded=10_000):
        embeddings = SimpleNamespace(num_embeddings=embedded)
        return SimpleNamespace(
            info={"name": "some/model"},
            tokenizer=tokenizer,
            model=SimpleNamespace(get_input_embeddings=lambda: embeddings),
        )

    task = task_named(name)
    task.check(loaded(TOKENIZER))
    with pytest.raises(LsnError, match=r"'some/model' has \d+ pieces, but the model embeds 5"):
        task.check(loaded(TOKENIZER, 5))
    bare = copy.deepcopy(TOKENIZER)
    bare.pad_token = None
    with pytest.raises(LsnError, match=rf"no padding piece, so it cannot do the task '{name}'"):
        task.check(loaded(bare))
    slow = SimpleNamespace(is_fast=False, pad_token_id=0, __len__=lambda: 1)
    if name != "nli":
        with pytest.raises(LsnError, match=r"which word a piece belongs to"):
            task.check(loaded(slow))

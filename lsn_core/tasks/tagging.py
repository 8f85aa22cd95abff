"""Tagging words: what the tasks share that give every word of a sentence a label.

A word's label sits on the first of its pieces, the other pieces are ignored (Devlin et al. 2019, section 5.3).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from transformers import AutoModelForTokenClassification, PreTrainedTokenizerBase

from lsn_core.data.source import Source
from lsn_core.errors import LsnError
from lsn_core.models.families import Family
from lsn_core.models.loading import LoadedModel
from lsn_core.tasks.base import Batch, Feature, Task
from lsn_core.tasks.batching import IGNORED, pad
from lsn_core.tasks.checks import check_padding, check_vocabulary, check_word_pieces
from lsn_core.tasks.labels import label_settings


@dataclass(frozen=True)
class Pieces:
    """The pieces of one sentence, special ones included.

    `first` maps each kept word's number to the place of its first piece. `dropped` words have no piece at all
    (the tokenizer's normalizer left nothing of them); `cut` words did not fit.
    """

    ids: np.ndarray
    first: Mapping[int, int]
    dropped: int
    cut: int


def word_pieces(
    tokenizer: PreTrainedTokenizerBase, sentences: Sequence[Sequence[str]], max_length: int
) -> list[Pieces]:
    """Encode sentences given in words, each cut at a word's end to at most `max_length` pieces.

    `tokenizer` is a fast one. A sentence whose first word alone is too long keeps no word.
    """
    # Some tokenizers mark a word's beginning by the space before it, and give a word on its own none.
    space = " " if _space_makes_the_word(tokenizer) else ""
    encoded = tokenizer(
        [[space + word for word in words] for words in sentences],
        is_split_into_words=True,
        truncation=False,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )
    return [
        _cut(encoded["input_ids"][i], encoded.word_ids(i), len(words), max_length)
        for i, words in enumerate(sentences)
    ]


def _cut(ids: Sequence[int], words: Sequence[int | None], count: int, max_length: int) -> Pieces:
    """Leave out the last words until the rest fits; special pieces (of word None) all stay."""
    present = [word for word in words if word is not None]
    room = max(0, max_length - (len(ids) - len(present)))
    end = present[room] if room < len(present) else count  # the first word that has a piece without room
    places = [place for place, word in enumerate(words) if word is None or word < end]
    first: dict[int, int] = {}
    for new, old in enumerate(places):
        word = words[old]
        if word is not None:
            first.setdefault(word, new)
    seen = set(present)
    return Pieces(
        ids=np.asarray([ids[place] for place in places], dtype=np.int64),
        first=first,
        dropped=sum(word not in seen for word in range(end)),
        cut=count - end,
    )


def _space_makes_the_word(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether a word on its own is read otherwise than within a text, unless a space stands before it."""
    splitter = tokenizer.backend_tokenizer.pre_tokenizer
    if splitter is None:
        return False
    alone, spaced, within = (splitter.pre_tokenize_str(text)[-1][0] for text in ("a", " a", "b a"))
    return alone != within and spaced == within


class Tagging(Task):
    """A label for every word. What is left to a task: its name, its kind of items and its metric."""

    auto_class: ClassVar[Any] = AutoModelForTokenClassification

    def head_settings(self, source: Source) -> Mapping[str, Any]:
        return label_settings(source.labels(self.kind))

    def check(self, loaded: LoadedModel) -> None:
        check_padding(loaded, self.name)
        check_word_pieces(loaded, self.name)
        check_vocabulary(loaded)

    def features(
        self,
        source: Source,
        language: str,
        split: str,
        limit: int | None,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
    ) -> Sequence[Feature]:
        """Return `ids` and `labels` (one a piece) of each sentence, and how many words are not in them.

        `dropped` counts words that the tokenizer leaves nothing of, `cut` words beyond `max_length`. Sentences
        without any word left are left out. Raises LsnError when none is left, or a tag is not among the labels.
        """
        corpus = source.corpus(language, split, self.kind)
        numbers = {label: number for number, label in enumerate(source.labels(self.kind))}
        count = len(corpus) if limit is None else min(limit, len(corpus))
        sentences = [corpus[i] for i in range(count)]
        features = []
        encoded = word_pieces(tokenizer, [sentence.words for sentence in sentences], max_length)
        for sentence, pieces in zip(sentences, encoded, strict=True):
            labels = np.full(len(pieces.ids), IGNORED, dtype=np.int64)
            for word, place in pieces.first.items():
                tag = sentence.tags[word]
                if tag not in numbers:
                    raise LsnError(
                        f"The {split} data of {language!r} in {source.name!r} has the tag {tag!r}, which no "
                        "training data has; add training data with it, or take it out."
                    )
                labels[place] = numbers[tag]
            if pieces.first:
                features.append(
                    {"ids": pieces.ids, "labels": labels, "dropped": pieces.dropped, "cut": pieces.cut}
                )
        if not features:
            raise LsnError(
                f"The {split} data of {language!r} in {source.name!r} has no word of at most {max_length - 2} "
                "word pieces at the beginning of a sentence; give a greater --max-length or other data."
            )
        return features

    def collate(
        self,
        features: Sequence[Feature],
        tokenizer: PreTrainedTokenizerBase,
        rng: np.random.Generator,
        training: bool,
    ) -> Batch:
        """Return `input_ids`, `attention_mask` and `labels`, each (batch, longest)."""
        ids = [feature["ids"] for feature in features]
        return {
            "input_ids": pad(ids, tokenizer.pad_token_id),
            "attention_mask": pad([np.ones_like(row) for row in ids], 0),
            "labels": pad([feature["labels"] for feature in features], IGNORED),
        }

    def loss(self, model: nn.Module, family: Family, batch: Batch) -> torch.Tensor:
        logits, targets = word_logits(model, batch)
        return nn.functional.cross_entropy(logits.float(), targets)


def word_logits(model: nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits (n, labels) and targets (n,) of the batch's n words, sentence after sentence."""
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    chosen = batch["labels"] != IGNORED
    return logits[chosen], batch["labels"][chosen]


@dataclass(frozen=True)
class TaggedBatch:
    """What a model says of one batch: each sentence's predicted and right labels, and the summed loss."""

    predicted: tuple[tuple[int, ...], ...]
    right: tuple[tuple[int, ...], ...]
    loss: float


def tagged_batches(model: nn.Module, batches: Iterable[Batch]) -> Iterator[TaggedBatch]:
    """Yield what the model says of each batch."""
    for batch in batches:
        logits, targets = word_logits(model, batch)
        ends = (batch["labels"] != IGNORED).sum(dim=1).cumsum(dim=0).tolist()
        predicted, right = logits.argmax(dim=-1).tolist(), targets.tolist()
        spans = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
        yield TaggedBatch(
            tuple(tuple(predicted[span]) for span in spans),
            tuple(tuple(right[span]) for span in spans),
            float(nn.functional.cross_entropy(logits.float(), targets, reduction="sum")),
        )

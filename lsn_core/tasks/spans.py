"""Span corruption (Raffel et al. 2020, section 3.1.4): the decoder writes the spans that were cut out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from transformers import AutoModelForSeq2SeqLM, PreTrainedTokenizerBase

from lsn_core.data.source import Source
from lsn_core.errors import LsnError
from lsn_core.models.families import Family
from lsn_core.models.loading import LoadedModel
from lsn_core.tasks.base import Batch, Feature, Task
from lsn_core.tasks.batching import IGNORED, pad
from lsn_core.tasks.text_to_text import check_text_to_text, ended, target_logits, target_loss

HIDDEN_SHARE = 0.15
MEAN_SPAN = 3.0


class SpanCorruption(Task):
    """Score: share of hidden pieces that are the likeliest, given the target so far (span top-1).

    The masked language modelling of encoder-decoder models. Each span that was hidden leaves a sentinel in the
    input; the target is every sentinel with its span after it, one more sentinel and the end piece. Sentinels
    and the end are learned but not scored, as they say nothing of the text.
    """

    name: ClassVar[str] = "mlm"
    kind: ClassVar[str] = "text"
    auto_class: ClassVar[Any] = AutoModelForSeq2SeqLM

    def check(self, loaded: LoadedModel) -> None:
        check_text_to_text(loaded, self.name)
        if len(sentinels(loaded.tokenizer, 2)) < 2:
            raise LsnError(
                f"The tokenizer of {loaded.info['name']!r} has no sentinels '<extra_id_0>' and '<extra_id_1>', so it "
                f"cannot do the task {self.name!r}."
            )

    def features(
        self,
        source: Source,
        language: str,
        split: str,
        limit: int | None,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
    ) -> Sequence[Feature]:
        """Return `ids` of each line, without an end piece and with room for one."""
        corpus = source.corpus(language, split, self.kind)
        count = len(corpus) if limit is None else min(limit, len(corpus))
        encoded = tokenizer(
            [corpus[i] for i in range(count)],
            add_special_tokens=False,
            truncation=True,
            max_length=max_length - 1,
            return_attention_mask=False,
        )
        features = [{"ids": np.asarray(ids, dtype=np.int64)} for ids in encoded["input_ids"] if ids]
        if not features:
            raise LsnError(
                f"The {split} text of {language!r} in {source.name!r} has no line with a word piece in it; "
                "give a file with text."
            )
        return features

    def collate(
        self,
        features: Sequence[Feature],
        tokenizer: PreTrainedTokenizerBase,
        rng: np.random.Generator,
        training: bool,
    ) -> Batch:
        """Return `input_ids` and `attention_mask` (batch, longest input), `labels` and `hidden` (batch, longest
        target); `hidden` says which pieces of the target are text."""
        most = sentinels(tokenizer, 1 + max(spans_in(len(feature["ids"])) for feature in features))
        cut = [corrupt(f["ids"], draw_spans(len(f["ids"]), len(most) - 1, rng), most) for f in features]
        inputs = [ended(kept, tokenizer) for kept, _, _ in cut]
        return {
            "input_ids": pad(inputs, tokenizer.pad_token_id),
            "attention_mask": pad([np.ones_like(row) for row in inputs], 0),
            "labels": pad([ended(target, tokenizer) for _, target, _ in cut], IGNORED),
            "hidden": pad([np.append(hidden, 0) for _, _, hidden in cut], 0).bool(),
        }

    def loss(self, model: nn.Module, family: Family, batch: Batch) -> torch.Tensor:
        return target_loss(model, batch)

    def evaluate(
        self, model: nn.Module, family: Family, batches: Iterable[Batch]
    ) -> tuple[dict[str, float], int]:
        right, total, loss = 0, 0, 0.0
        for batch in batches:
            hidden = batch["hidden"]
            logits, targets = target_logits(model, batch)[hidden], batch["labels"][hidden]
            right += int((logits.argmax(dim=-1) == targets).sum())
            total += len(targets)
            loss += float(nn.functional.cross_entropy(logits.float(), targets, reduction="sum"))
        return {"span top-1": right / total, "loss": loss / total}, total


def sentinels(tokenizer: PreTrainedTokenizerBase, most: int) -> np.ndarray:
    """Return the piece numbers of `<extra_id_0>`, `<extra_id_1>` …: `most`, or as many as there are.

    mT5's vocabulary writes them with the mark of a word's beginning before them.
    """
    found: list[int] = []
    while len(found) < most:
        number = len(found)
        names = [f"<extra_id_{number}>", f"▁<extra_id_{number}>"]
        ids: list[Any] = tokenizer.convert_tokens_to_ids(names)  # type: ignore[assignment]
        known = [i for i in ids if i is not None and i != tokenizer.unk_token_id]
        if not known:
            break
        found.append(known[0])
    return np.asarray(found, dtype=np.int64)


def hidden_in(length: int) -> int:
    """Return how many of a line's pieces are hidden: 15 %, but at least one."""
    return max(1, round(HIDDEN_SHARE * length))


def spans_in(length: int) -> int:
    """Return how many spans those are in: their mean length is 3."""
    return max(1, round(hidden_in(length) / MEAN_SPAN))


def draw_spans(length: int, most: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Return at most `most` spans (start, end) of a line of `length` pieces, all ways to place them alike.

    Between two spans is at least one piece that stays. Lengths of spans and of gaps are drawn apart.
    """
    hidden, count = hidden_in(length), min(most, spans_in(length))
    sizes = _parts(hidden, count, rng)
    # The gaps at both ends may be empty: drawn one too large, and made smaller by one.
    gaps = _parts(length - hidden + 2, count + 1, rng)
    starts = np.cumsum(gaps[:-1]) - 1 + np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return [(int(start), int(start + size)) for start, size in zip(starts, sizes, strict=True)]


def corrupt(
    ids: np.ndarray, spans: Sequence[tuple[int, int]], marks: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what is left of a line, the target, and for each piece of the target whether it is text.

    `marks` are at least one sentinel more than there are spans. Neither text has its end piece yet.
    """
    edges = [0, *(edge for span in spans for edge in span), len(ids)]
    parts = [ids[start:end] for start, end in pairwise(edges)]
    kept, cut = parts[::2], parts[1::2]
    marked = [piece for mark, part in zip(marks, cut, strict=False) for piece in ([mark], part)]
    left = [piece for mark, part in zip(marks, kept, strict=False) for piece in (part, [mark])][:-1]
    last = marks[len(cut)]
    hidden = [flag for part in cut for flag in ([0], np.ones_like(part))]
    return (
        np.concatenate(left).astype(np.int64),
        np.append(np.concatenate(marked), last).astype(np.int64),
        np.append(np.concatenate(hidden), 0).astype(np.int64),
    )


def _parts(total: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return `count` whole numbers above zero that add up to `total`; every such row is as likely."""
    cuts = np.sort(rng.choice(total - 1, count - 1, replace=False)) + 1
    return np.diff([0, *cuts, total])

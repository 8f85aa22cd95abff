"""Natural language inference for models that write: the label is a word (Xue et al. 2021, section 4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from transformers import AutoModelForSeq2SeqLM, PreTrainedTokenizerBase

from lsn_core.data.source import NLI_LABELS, Source
from lsn_core.errors import LsnError
from lsn_core.models.families import Family, encoder_of
from lsn_core.models.loading import LoadedModel
from lsn_core.tasks.base import Batch, Feature, Task
from lsn_core.tasks.batching import IGNORED, pad
from lsn_core.tasks.text_to_text import check_text_to_text, ended, target_logits, target_loss


class TextInference(Task):
    """Score: share of pairs whose right label has the likeliest text of the three (accuracy).

    Input: `xnli: premise: … hypothesis: …`; target: the label's English word, in every language.
    """

    name: ClassVar[str] = "nli"
    kind: ClassVar[str] = "nli"
    auto_class: ClassVar[Any] = AutoModelForSeq2SeqLM

    def check(self, loaded: LoadedModel) -> None:
        check_text_to_text(loaded, self.name)
        answers = {tuple(answer.tolist()) for answer in _answers(loaded.tokenizer)}
        if len(answers) < len(NLI_LABELS):
            raise LsnError(
                f"The tokenizer of {loaded.info['name']!r} cannot tell the words {', '.join(NLI_LABELS)} apart, so "
                f"it cannot do the task {self.name!r}."
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
        """Return `ids` of each pair's input text and `label`, its number in `NLI_LABELS`.

        Of a text that is too long, the longer of premise and hypothesis is cut at its end.
        """
        corpus = source.corpus(language, split, self.kind)
        count = len(corpus) if limit is None else min(limit, len(corpus))
        pairs = [corpus[i] for i in range(count)]
        premises = _encode(tokenizer, [f"xnli: premise: {pair.premise}" for pair in pairs])
        hypotheses = _encode(tokenizer, [f"hypothesis: {pair.hypothesis}" for pair in pairs])
        return [
            {
                "ids": ended(fit(premise, hypothesis, max_length - 1), tokenizer),
                "label": NLI_LABELS.index(pair.label),
            }
            for pair, premise, hypothesis in zip(pairs, premises, hypotheses, strict=True)
        ]

    def collate(
        self,
        features: Sequence[Feature],
        tokenizer: PreTrainedTokenizerBase,
        rng: np.random.Generator,
        training: bool,
    ) -> Batch:
        """Return `input_ids` and `attention_mask` (batch, longest) and `labels` (batch, longest answer).

        For scoring also `answers` (batch, 3, longest answer), the texts of all labels, and `right` (batch,).
        """
        answers = _answers(tokenizer)
        right = [feature["label"] for feature in features]
        batch = {
            "input_ids": pad([feature["ids"] for feature in features], tokenizer.pad_token_id),
            "attention_mask": pad([np.ones_like(feature["ids"]) for feature in features], 0),
            "labels": pad([answers[label] for label in right], IGNORED),
        }
        if not training:
            batch["answers"] = pad(answers, IGNORED).expand(len(features), -1, -1)
            batch["right"] = torch.tensor(right)
        return batch

    def loss(self, model: nn.Module, family: Family, batch: Batch) -> torch.Tensor:
        return target_loss(model, batch)

    def evaluate(
        self, model: nn.Module, family: Family, batches: Iterable[Batch]
    ) -> tuple[dict[str, float], int]:
        hits, total, loss, pieces = 0, 0, 0.0, 0
        for batch in batches:
            likelihoods, right = answer_likelihoods(model, family, batch), batch["right"]
            hits += int((likelihoods.argmax(dim=1) == right).sum())
            total += len(right)
            loss -= float(likelihoods.gather(1, right[:, None]).sum())
            pieces += int((batch["labels"] != IGNORED).sum())
        return {"accuracy": hits / total, "loss": loss / pieces}, total


def answer_likelihoods(model: nn.Module, family: Family, batch: Batch) -> torch.Tensor:
    """Return the log-likelihood (batch, 3) of each label's whole text, its end piece included."""
    encoded = encoder_of(model, family)(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
    columns = []
    # One answer after the other: logits over a large vocabulary are what takes the memory.
    for labels in batch["answers"].unbind(dim=1):
        logits = target_logits(model, {**batch, "labels": labels}, encoded).float()
        losses = nn.functional.cross_entropy(
            logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="none"
        )
        columns.append(-losses.sum(dim=1))
    return torch.stack(columns, dim=1)


def fit(first: Sequence[int], second: Sequence[int], room: int) -> list[int]:
    """Return two texts one after the other, the longer one cut at its end until both fit into `room`."""
    of_second = min(len(second), max(room - len(first), room // 2))
    of_first = min(len(first), room - of_second)
    return [*first[:of_first], *second[:of_second]]


def _encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    return tokenizer(list(texts), add_special_tokens=False, return_attention_mask=False, verbose=False)[
        "input_ids"
    ]


def _answers(tokenizer: PreTrainedTokenizerBase) -> list[np.ndarray]:
    return [ended(ids, tokenizer) for ids in _encode(tokenizer, NLI_LABELS)]

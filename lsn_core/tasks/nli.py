"""Natural language inference: does the first sentence entail the second, contradict it, or neither?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerBase

from lsn_core.data.source import Source
from lsn_core.errors import LsnError
from lsn_core.models.families import Family
from lsn_core.models.loading import LoadedModel
from lsn_core.tasks.base import Batch, Feature, Task
from lsn_core.tasks.batching import pad
from lsn_core.tasks.checks import check_padding, check_vocabulary
from lsn_core.tasks.labels import label_settings


class Inference(Task):
    """Score: share of pairs with the right one of the three labels (accuracy)."""

    name: ClassVar[str] = "nli"
    kind: ClassVar[str] = "nli"
    auto_class: ClassVar[Any] = AutoModelForSequenceClassification

    def head_settings(self, source: Source) -> Mapping[str, Any]:
        return label_settings(source.labels(self.kind))

    def check(self, loaded: LoadedModel) -> None:
        check_padding(loaded, self.name)
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
        """Return `ids`, `types` (which sentence a piece is of, as the tokenizer numbers them) and `label`.

        Where a pair is too long, pieces go from the end of the longer sentence first. Raises LsnError when
        `max_length` leaves no room for a piece of each.
        """
        corpus = source.corpus(language, split, self.kind)
        numbers = {label: number for number, label in enumerate(source.labels(self.kind))}
        special = tokenizer.num_special_tokens_to_add(pair=True)
        if max_length < special + 2:
            raise LsnError(
                f"The option --max-length is {max_length}, but a pair takes {special} special pieces and at least one "
                f"of each sentence; give {special + 2} or more."
            )
        count = len(corpus) if limit is None else min(limit, len(corpus))
        pairs = [corpus[i] for i in range(count)]
        encoded = tokenizer(
            [pair.premise for pair in pairs],
            [pair.hypothesis for pair in pairs],
            truncation="longest_first",
            max_length=max_length,
            return_token_type_ids=True,
            return_attention_mask=False,
        )
        return [
            {
                "ids": np.asarray(ids, dtype=np.int64),
                "types": np.asarray(types, dtype=np.int64),
                "label": numbers[pair.label],
            }
            for pair, ids, types in zip(pairs, encoded["input_ids"], encoded["token_type_ids"], strict=True)
        ]

    def collate(
        self,
        features: Sequence[Feature],
        tokenizer: PreTrainedTokenizerBase,
        rng: np.random.Generator,
        training: bool,
    ) -> Batch:
        """Return `input_ids`, `token_type_ids` and `attention_mask`, each (batch, longest), and `labels` (batch,)."""
        ids = [feature["ids"] for feature in features]
        return {
            "input_ids": pad(ids, tokenizer.pad_token_id),
            "token_type_ids": pad([feature["types"] for feature in features], 0),
            "attention_mask": pad([np.ones_like(row) for row in ids], 0),
            "labels": torch.tensor([feature["label"] for feature in features]),
        }

    def loss(self, model: nn.Module, family: Family, batch: Batch) -> torch.Tensor:
        return nn.functional.cross_entropy(_logits(model, batch).float(), batch["labels"])

    def evaluate(
        self, model: nn.Module, family: Family, batches: Iterable[Batch]
    ) -> tuple[dict[str, float], int]:
        right, total, loss = 0, 0, 0.0
        for batch in batches:
            logits, labels = _logits(model, batch), batch["labels"]
            right += int((logits.argmax(dim=-1) == labels).sum())
            total += len(labels)
            loss += float(nn.functional.cross_entropy(logits.float(), labels, reduction="sum"))
        return {"accuracy": right / total, "loss": loss / total}, total


def _logits(model: nn.Module, batch: Batch) -> torch.Tensor:
    """Return logits (batch, labels)."""
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    # A model that tells only one type of piece, or none, has no use for them, whatever its tokenizer says.
    if getattr(model.config, "type_vocab_size", 0) > 1:
        inputs["token_type_ids"] = batch["token_type_ids"]
    return model(**inputs).logits

"""Masked language modelling (Devlin et al. 2019): predict the 15 % of pieces that were hidden."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import nn
from transformers import AutoModelForMaskedLM, PreTrainedTokenizerBase

from lsn_core.data.source import Source
from lsn_core.errors import LsnError
from lsn_core.models.families import Family, encoder_of
from lsn_core.models.loading import LoadedModel
from lsn_core.tasks.base import Batch, Feature, Task
from lsn_core.tasks.batching import IGNORED
from lsn_core.tasks.checks import check_padding, check_vocabulary

MASKED_SHARE = 0.15


class MaskedLanguageModelling(Task):
    """Score: share of hidden pieces whose most likely piece is the right one (masked top-1)."""

    name: ClassVar[str] = "mlm"
    kind: ClassVar[str] = "text"
    auto_class = AutoModelForMaskedLM

    def check(self, loaded: LoadedModel) -> None:
        name, tokenizer = loaded.info["name"], loaded.tokenizer
        if tokenizer.mask_token_id is None:
            raise LsnError(f"The tokenizer of {name!r} has no mask piece, so it cannot do the task 'mlm'.")
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
        corpus = source.corpus(language, split)
        count = len(corpus) if limit is None else min(limit, len(corpus))
        lines = [corpus[i] for i in range(count)]
        encoded = tokenizer(
            lines,
            truncation=True,
            max_length=max_length,
            return_special_tokens_mask=True,
            return_attention_mask=False,
        )
        features = [
            {"ids": np.asarray(ids, dtype=np.int64), "maskable": ~np.asarray(special, dtype=bool)}
            for ids, special in zip(encoded["input_ids"], encoded["special_tokens_mask"], strict=True)
        ]
        features = [feature for feature in features if feature["maskable"].any()]
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
        """Return `input_ids`, `attention_mask` and `labels`, each (batch, longest).

        In training, of the hidden pieces 80 % become the mask piece, 10 % a random one and 10 % stay;
        in scoring all become the mask piece. At least one piece of every line is hidden.
        """
        width = max(len(feature["ids"]) for feature in features)
        ids = np.full((len(features), width), tokenizer.pad_token_id, dtype=np.int64)
        attention = np.zeros_like(ids)
        chance = np.ones(ids.shape)
        for row, feature in enumerate(features):
            length = len(feature["ids"])
            ids[row, :length] = feature["ids"]
            attention[row, :length] = 1
            chance[row, :length][feature["maskable"]] = rng.random(int(feature["maskable"].sum()))
        hidden = chance < MASKED_SHARE
        hidden[np.arange(len(features)), chance.argmin(axis=1)] = True
        labels = np.where(hidden, ids, IGNORED)
        if training:
            kind = rng.random(ids.shape)
            random_pieces = rng.integers(0, len(tokenizer), size=ids.shape)
            ids = np.where(hidden & (kind < 0.8), tokenizer.mask_token_id, ids)
            ids = np.where(hidden & (kind >= 0.8) & (kind < 0.9), random_pieces, ids)
        else:
            ids = np.where(hidden, tokenizer.mask_token_id, ids)
        return {
            "input_ids": torch.from_numpy(ids),
            "attention_mask": torch.from_numpy(attention),
            "labels": torch.from_numpy(labels),
        }

    def loss(self, model: nn.Module, family: Family, batch: Batch) -> torch.Tensor:
        logits, targets = _hidden_logits(model, family, batch)
        return nn.functional.cross_entropy(logits.float(), targets)

    def evaluate(
        self, model: nn.Module, family: Family, batches: Iterable[Batch]
    ) -> tuple[dict[str, float], int]:
        right, total, loss = 0, 0, 0.0
        for batch in batches:
            logits, targets = _hidden_logits(model, family, batch)
            right += int((logits.argmax(dim=-1) == targets).sum())
            total += len(targets)
            loss += float(nn.functional.cross_entropy(logits.float(), targets, reduction="sum"))
        return {"masked top-1": right / total, "loss": loss / total}, total


def _hidden_logits(model: nn.Module, family: Family, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits (n, vocabulary) and targets (n,) of the n hidden pieces alone.

    With a large vocabulary, the logits of all the other positions would be most of a small encoder's work.
    """
    states = encoder_of(model, family)(
        input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
    ).last_hidden_state
    chosen = batch["labels"] != IGNORED
    return family.mlm_logits(model, states[chosen]), batch["labels"][chosen]

"""Text to text (Raffel et al. 2020): what the tasks share in which a decoder writes the answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from lsn_core.errors import LsnError
from lsn_core.models.loading import LoadedModel
from lsn_core.tasks.base import Batch
from lsn_core.tasks.batching import IGNORED
from lsn_core.tasks.checks import check_padding, check_vocabulary


def check_text_to_text(loaded: LoadedModel, task: str) -> None:
    """Raise LsnError when the model cannot begin an answer, or its tokenizer not end one."""
    check_padding(loaded, task)
    check_vocabulary(loaded)
    name = loaded.info["name"]
    if loaded.tokenizer.eos_token_id is None:
        raise LsnError(f"The tokenizer of {name!r} has no end piece, so it cannot do the task {task!r}.")
    if loaded.model.config.decoder_start_token_id is None:  # type: ignore[union-attr]
        raise LsnError(
            f"The configuration of {name!r} does not say what its decoder starts from, so it cannot do the task "
            f"{task!r}; set decoder_start_token_id."
        )


def ended(ids: Any, tokenizer: PreTrainedTokenizerBase) -> np.ndarray:
    """Return piece numbers with the end piece after them."""
    return np.append(np.asarray(ids, dtype=np.int64), tokenizer.eos_token_id)


def target_logits(model: Any, batch: Batch, encoded: Any = None) -> torch.Tensor:
    """Return the logits (batch, longest target, vocabulary) of each target piece, given the right ones before.

    `batch` has `input_ids`, `attention_mask` and `labels`; `encoded` is what the encoder said of the first two,
    where that is known.
    """
    given = {"input_ids": batch["input_ids"]} if encoded is None else {"encoder_outputs": encoded}
    return model(
        **given,
        attention_mask=batch["attention_mask"],
        decoder_input_ids=model.prepare_decoder_input_ids_from_labels(batch["labels"]),
        use_cache=False,
    ).logits


def target_loss(model: nn.Module, batch: Batch) -> torch.Tensor:
    """Return the mean cross-entropy of the batch's target pieces."""
    chosen = batch["labels"] != IGNORED
    logits = target_logits(model, batch)[chosen]
    return nn.functional.cross_entropy(logits.float(), batch["labels"][chosen])

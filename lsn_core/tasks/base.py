"""What a task is: its features, head, loss and metric."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from lsn_core.data.source import Source
from lsn_core.models.families import Family
from lsn_core.models.loading import LoadedModel

Feature = Mapping[str, Any]
Batch = Mapping[str, torch.Tensor]


class Task(ABC):
    """One kind of training signal. A new task is one subclass in a file of its own, listed in `TASKS`."""

    name: ClassVar[str]
    kind: ClassVar[str]
    """The kind of items that it learns from (``data.source.KINDS``)."""
    auto_class: ClassVar[Any]
    """The transformers Auto class that puts this task's head on a model."""

    def head_settings(self, source: Source) -> Mapping[str, Any]:
        """Return what the head's configuration has to say, such as its labels; nothing by default."""
        return {}

    @abstractmethod
    def check(self, loaded: LoadedModel) -> None:
        """Raise LsnError when the model or its tokenizer cannot do this task."""

    @abstractmethod
    def features(
        self,
        source: Source,
        language: str,
        split: str,
        limit: int | None,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
    ) -> Sequence[Feature]:
        """Return the split's first `limit` items, encoded to at most `max_length` pieces each."""

    @abstractmethod
    def collate(
        self,
        features: Sequence[Feature],
        tokenizer: PreTrainedTokenizerBase,
        rng: np.random.Generator,
        training: bool,
    ) -> Batch:
        """Return one padded batch of tensors; `rng` decides whatever is random in it."""

    @abstractmethod
    def loss(self, model: nn.Module, family: Family, batch: Batch) -> torch.Tensor:
        """Return the batch's mean loss, a scalar with a gradient."""

    @abstractmethod
    def evaluate(
        self, model: nn.Module, family: Family, batches: Iterable[Batch]
    ) -> tuple[dict[str, float], int]:
        """Return the value of each metric, the task's own score (higher is better) first, and the number
        of items that were scored."""

"""Parts of speech: the universal tag of every word."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from torch import nn

from lsn_core.models.families import Family
from lsn_core.tasks.base import Batch
from lsn_core.tasks.tagging import Tagging, tagged_batches


class PartOfSpeech(Tagging):
    """Score: share of words with the right tag (accuracy)."""

    name: ClassVar[str] = "pos"
    kind: ClassVar[str] = "pos"

    def evaluate(
        self, model: nn.Module, family: Family, batches: Iterable[Batch]
    ) -> tuple[dict[str, float], int]:
        right, total, loss = 0, 0, 0.0
        for said in tagged_batches(model, batches):
            for predicted, tags in zip(said.predicted, said.right, strict=True):
                right += sum(p == t for p, t in zip(predicted, tags, strict=True))
                total += len(tags)
            loss += said.loss
        return {"accuracy": right / total, "loss": loss / total}, total

"""Named entities: the words that name a person, a place and so on, as tags in the scheme BIO."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from torch import nn

from lsn_core.models.families import Family
from lsn_core.tasks.base import Batch
from lsn_core.tasks.labels import labels_of
from lsn_core.tasks.tagging import Tagging, tagged_batches


class NamedEntities(Tagging):
    """Score: F1 over entities, right only with type and both ends right (entity F1).

    Micro-averaged over types, with predicted tags read as the scorer of CoNLL-2003 reads them: an entity begins
    at I- too, where none of its type goes before. Without any entity, right or predicted, it is 0.
    """

    name: ClassVar[str] = "ner"
    kind: ClassVar[str] = "ner"

    def evaluate(
        self, model: nn.Module, family: Family, batches: Iterable[Batch]
    ) -> tuple[dict[str, float], int]:
        # Imported here, because it brings scikit-learn with it, which nothing else needs.
        from seqeval.metrics import accuracy_score, f1_score

        names = labels_of(model)
        right: list[list[str]] = []
        predicted: list[list[str]] = []
        loss = 0.0
        for said in tagged_batches(model, batches):
            right += [[names[label] for label in sentence] for sentence in said.right]
            predicted += [[names[label] for label in sentence] for sentence in said.predicted]
            loss += said.loss
        total = sum(map(len, right))
        return {
            "entity F1": float(f1_score(right, predicted, zero_division=0)),
            "accuracy": float(accuracy_score(right, predicted)),
            "loss": loss / total,
        }, total

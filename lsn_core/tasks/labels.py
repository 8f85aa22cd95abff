"""A head's labels: how they get into a model's configuration, and how they are had from it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn


def label_settings(labels: Sequence[str]) -> Mapping[str, Any]:
    """Return what a configuration says of a head with these labels, numbered in their order."""
    return {
        "num_labels": len(labels),
        "id2label": dict(enumerate(labels)),
        "label2id": {label: number for number, label in enumerate(labels)},
    }


def labels_of(model: nn.Module) -> tuple[str, ...]:
    """Return the labels of a model's head in the order of its logits."""
    names: Any = model.config.id2label  # type: ignore[union-attr]
    return tuple(names[number] for number in range(len(names)))

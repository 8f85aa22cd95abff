"""One model on the bench: rewound to its starting weights, trained under a mask, scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import nn

from lsn_core.data.source import Source
from lsn_core.discovery.config import Training
from lsn_core.discovery.pruning import keep_largest
from lsn_core.errors import LsnError
from lsn_core.masks.layout import Layout
from lsn_core.masks.mask import Mask
from lsn_core.models.families import prunable_parameters
from lsn_core.models.loading import LoadedModel
from lsn_core.tasks.base import Batch, Feature, Task
from lsn_core.tasks.batching import scoring_batches, stable_seed, training_batches

OnStep = Callable[[int, int], None]
"""Called after each training step with the number done and the number in all; may raise to stop."""

_SCORING_BATCH = 64


class Bench:
    """Holds one loaded model and its starting weights θ0 (a true copy, head included)."""

    def __init__(self, loaded: LoadedModel, task: Task) -> None:
        self.loaded = loaded
        self.task = task
        self.model: nn.Module = loaded.model
        self.layout: Layout = loaded.layout
        self.device = next(self.model.parameters()).device
        self._prunable = prunable_parameters(self.model, loaded.family)
        # Each value under one name: tied embeddings, which have several, can be most of a model.
        self._values = dict(self.model.named_parameters()) | dict(self.model.named_buffers())
        self._theta0 = {name: value.detach().clone() for name, value in self._values.items()}

    @torch.no_grad()
    def rewind(self, mask: Mask) -> None:
        """Put every weight and buffer, the head's too, back to θ0, and zero what the mask removes."""
        for name, value in self._values.items():
            value.copy_(self._theta0[name])
        _zero_removed(list(self._prunable.values()), self._kept(mask))

    def train(
        self, features: Sequence[Feature], mask: Mask, settings: Training, seed: int, on_step: OnStep
    ) -> None:
        """Train from the present weights for `settings.steps` steps, with the mask applied after each.

        Data order, hidden pieces and dropout follow from `seed` alone. A weight that the mask removes is
        zero in every forward pass.
        """
        kept = self._kept(mask)
        prunable = list(self._prunable.values())
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=0.0, fused=True)
        rng = np.random.default_rng(seed)
        torch.manual_seed(seed)
        batches = training_batches([len(f["ids"]) for f in features], settings.batch_size, rng)
        self.model.train()
        for step in range(settings.steps):
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * (1 - step / settings.steps)
            chosen = [features[i] for i in next(batches)]
            batch = self._to_device(self.task.collate(chosen, self.loaded.tokenizer, rng, training=True))
            with self._autocast(settings):
                loss = self.task.loss(self.model, self.loaded.family, batch)
            loss.backward()
            with torch.no_grad():
                # Weights that the sub-network lacks have no say in the norm that clips the gradient.
                _zero_removed([p.grad for p in prunable if p.grad is not None], kept)
            nn.utils.clip_grad_norm_(parameters, settings.clip_norm, foreach=True)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            with torch.no_grad():
                _zero_removed(prunable, kept)
            on_step(step + 1, settings.steps)

    @torch.no_grad()
    def score(
        self, features: Sequence[Feature], settings: Training, seed: int
    ) -> tuple[dict[str, float], int]:
        """Return each metric's value and the number of items scored; `seed` fixes what is hidden."""
        self.model.eval()
        rng = np.random.default_rng(seed)

        def batches() -> Iterator[Batch]:
            for chosen in scoring_batches([len(f["ids"]) for f in features], _SCORING_BATCH):
                batch = self.task.collate(
                    [features[i] for i in chosen], self.loaded.tokenizer, rng, training=False
                )
                yield self._to_device(batch)

        with self._autocast(settings):
            return self.task.evaluate(self.model, self.loaded.family, batches())

    @torch.no_grad()
    def prune(self, mask: Mask, keep: int) -> Mask:
        """Return the mask that keeps the `keep` largest |weight| among those that `mask` keeps."""
        scores = [p.detach().abs() for p in self._prunable.values()]
        kept = keep_largest(scores, self._kept(mask), keep)
        arrays = {name: k.cpu().numpy() for name, k in zip(self._prunable, kept, strict=True)}
        return Mask.from_arrays(arrays, self.layout)

    def _kept(self, mask: Mask) -> list[torch.Tensor]:
        return [torch.from_numpy(mask[name]).to(self.device) for name in self._prunable]

    def _to_device(self, batch: Batch) -> Batch:
        return {name: value.to(self.device) for name, value in batch.items()}

    def _autocast(self, settings: Training) -> AbstractContextManager:
        if settings.precision == "bf16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()


def _zero_removed(weights: list[Any], kept: list[torch.Tensor]) -> None:
    # One fused call for all matrices; a bool mask costs a quarter of a float one.
    torch._foreach_mul_(weights, kept)


def check_length(loaded: LoadedModel, max_length: int) -> None:
    """Raise LsnError when the model cannot read `max_length` pieces at once."""
    readable = loaded.info["positions"]
    if readable is not None and max_length > readable:
        raise LsnError(
            f"The option --max-length is {max_length}, but {loaded.info['name']!r} reads at most {readable} "
            "pieces at once; give a smaller one."
        )


def load_features(
    task: Task, source: Source, language: str, split: str, loaded: LoadedModel, settings: Training
) -> Sequence[Feature]:
    """Encode one split of one language for a task, as many items as the settings allow."""
    limit = settings.train_lines if split == "train" else settings.score_lines
    return task.features(source, language, split, limit, loaded.tokenizer, settings.max_length)


def round_seed(task: str, language: str, seed: int, round_number: int) -> int:
    """Return the seed of one round: tickets of other languages and seeds see unrelated random numbers."""
    return stable_seed("round", task, language, seed, round_number)


def scoring_seed(task: str, language: str) -> int:
    """Return the seed of scoring: the same questions for every method, level and training seed."""
    return stable_seed("score", task, language)

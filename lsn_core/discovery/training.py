"""One model on the bench: rewound to its starting weights, trained under a mask, scored."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from lsn_core.data.source import Source
from lsn_core.discovery.config import SCORING_BATCH, Training
from lsn_core.discovery.criteria import CRITERIA, GRADIENT, INPUT_NORM, START, Evidence
from lsn_core.discovery.placement import Shape
from lsn_core.discovery.pruning import Computed, groups_of, keep_in_groups
from lsn_core.discovery.starts import StartWeights
from lsn_core.errors import LsnError
from lsn_core.masks.layout import Layout, Matrix
from lsn_core.masks.mask import Mask
from lsn_core.models.families import prunable_parameters
from lsn_core.models.loading import LoadedModel
from lsn_core.tasks.base import Batch, Feature, Task
from lsn_core.tasks.batching import scoring_batches, stable_seed, training_batches

OnStep = Callable[[int, int], None]
"""Called after each training step with the number done and the number in all; may raise to stop."""

_NO_LABEL = -100
"""What stands in a batch's `labels` where nothing is to be predicted (the convention of PyTorch's losses)."""


@dataclass(frozen=True)
class Calibration:
    """Which batches a criterion is shown: the first `batches` that training with `seed` would see."""

    features: Sequence[Feature]
    settings: Training
    batches: int
    seed: int


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
        self._start = StartWeights(self._values)
        names = {id(value): name for name, value in self._values.items()}
        self._names = [names[id(weight)] for weight in self._prunable.values()]

    @property
    def shape(self) -> Shape:
        """What the memory of a training here hangs on."""
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        writes = self.task.name == "mlm" or self.loaded.family.is_encoder_decoder
        config: Any = self.model.config
        return Shape.of(
            self.layout, parameters, self.loaded.info["heads"], config.vocab_size if writes else 0
        )

    @torch.no_grad()
    def rewind(self, mask: Mask) -> None:
        """Put every weight and buffer, the head's too, back to θ0, and zero what the mask removes."""
        for name, value in self._values.items():
            self._start.put_back(name, value)
        for weight, kept in zip(self._prunable.values(), self._kept(mask), strict=True):
            weight.mul_(kept)

    def train(
        self, features: Sequence[Feature], mask: Mask, settings: Training, seed: int, on_step: OnStep
    ) -> None:
        """Train from the present weights under the mask, for `settings.steps` steps.

        Data order, hidden pieces and dropout follow from `seed` alone. A weight that the mask removes is
        zero in every forward pass. Batches in pieces (`settings.accumulate`) give the same gradient up to
        rounding, but for dropout, which then draws other numbers.
        """
        # What a mask does not remove needs no work: the dense round is trained as any model is.
        kept = list(self._kept(mask)) if mask.kept < mask.layout.size else None
        prunable = list(self._prunable.values())
        if kept is not None:
            with torch.no_grad():
                _zero_removed(prunable, kept)
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=0.0, fused=True)
        torch.manual_seed(seed)
        batches = self._training_batches(features, settings, seed)
        self.model.train()
        for step in range(settings.steps):
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * (1 - step / settings.steps)
            for part, share in micro_batches(next(batches), settings.accumulate):
                (self._loss(part, settings) * share).backward()
            if kept is not None:
                # Weights that the sub-network lacks have no say in the norm that clips the gradient. With
                # no gradient and no decay, AdamW leaves them at zero: nothing is to be done after its step.
                _zero_removed([p.grad for p in prunable], kept)
            nn.utils.clip_grad_norm_(parameters, settings.clip_norm, foreach=True)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            on_step(step + 1, settings.steps)

    @torch.no_grad()
    def score(
        self, features: Sequence[Feature], settings: Training, seed: int
    ) -> tuple[dict[str, float], int]:
        """Return each metric's value and the number of items scored; `seed` fixes what is hidden."""
        self.model.eval()
        rng = np.random.default_rng(seed)

        def batches() -> Iterator[Batch]:
            for chosen in scoring_batches([len(f["ids"]) for f in features], SCORING_BATCH):
                batch = self.task.collate(
                    [features[i] for i in chosen], self.loaded.tokenizer, rng, training=False
                )
                yield self._to_device(batch)

        with self._autocast(settings):
            return self.task.evaluate(self.model, self.loaded.family, batches())

    def importance(self, criterion: str, calibration: Calibration | None = None) -> Sequence[torch.Tensor]:
        """Return the score of every weight, per matrix: by a criterion, with the weights as they are now.

        A matrix's scores are worked out when they are asked for, so that those of the whole model never lie
        in memory; they are not to be asked for once the weights have changed. `calibration` is for a
        criterion that needs it (`CRITERIA`). It runs without dropout and leaves weights and gradients alone.
        """
        found = CRITERIA[criterion]
        weights = list(self._prunable.values())
        gradients: list[torch.Tensor] | None = None
        norms: list[torch.Tensor] | None = None
        if found.calibrated:
            assert calibration is not None
            self.model.eval()
            if found.needs == GRADIENT:
                gradients = self._mean_gradients(calibration)
            elif found.needs == INPUT_NORM:
                norms = self._input_norms(calibration)

        @torch.no_grad()
        def score(number: int) -> torch.Tensor:
            weight = weights[number].detach()
            return found.score(
                Evidence(
                    weight,
                    self._start.read(self._names[number], weight) if found.needs == START else None,
                    None if gradients is None else gradients[number],
                    None if norms is None else norms[number],
                )
            )

        return Computed(score, len(weights))

    @torch.no_grad()
    def prune(
        self,
        mask: Mask,
        keep: int,
        importance: Sequence[torch.Tensor] | None = None,
        scope: str = "global",
    ) -> Mask:
        """Return the mask that keeps the `keep` most important weights among those that `mask` keeps.

        `importance` is what `importance` returned, by default the magnitudes; weights are compared within
        `scope`, and every part of the model that it names gets the same sparsity.
        """
        scores = self.importance("magnitude") if importance is None else importance
        kept = keep_in_groups(scores, self._kept(mask), keep, groups_of(self.layout, scope))
        return Mask.from_sequence((matrix.cpu().numpy() for matrix in kept), self.layout)

    def _mean_gradients(self, calibration: Calibration) -> list[torch.Tensor]:
        """Per matrix ∂L/∂w: the mean over the calibration batches of each one's mean loss."""
        weights = list(self._prunable.values())
        try:
            for batch in self._calibration_batches(calibration):
                for part, share in micro_batches(batch, calibration.settings.accumulate):
                    # Added up where gradients lie anyway, those of other weights left out: one copy in all.
                    (self._loss(part, calibration.settings) * share).backward(inputs=weights)
            # A matrix that the task does not use has no gradient: nothing depends on its weights.
            return [
                torch.zeros_like(weight) if weight.grad is None else weight.grad.div_(calibration.batches)
                for weight in weights
            ]
        finally:
            for weight in weights:
                weight.grad = None

    @torch.no_grad()
    def _input_norms(self, calibration: Calibration) -> list[torch.Tensor]:
        """Per matrix the L2 norm (in,) of each of its input features over the calibration batches."""
        squares = [
            torch.zeros(weight.shape[1], dtype=torch.float64, device=self.device)
            for weight in self._prunable.values()
        ]
        numbers = {id(weight): number for number, weight in enumerate(self._prunable.values())}
        shown: Batch = {}

        def add(number: int, _: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            positions = _positions_read(self.layout.matrices[number], inputs[0].shape[:-1], shown)
            squares[number] += _sum_of_squares(inputs[0], positions)

        hooks = [
            module.register_forward_pre_hook(partial(add, numbers[id(module.weight)]))
            for module in self.model.modules()
            if id(getattr(module, "weight", None)) in numbers
        ]
        try:
            for batch in self._calibration_batches(calibration):
                for shown, _ in micro_batches(batch, calibration.settings.accumulate):
                    self._loss(shown, calibration.settings)
        finally:
            for hook in hooks:
                hook.remove()
        return [total.sqrt().float() for total in squares]

    def _calibration_batches(self, calibration: Calibration) -> Iterator[Batch]:
        return itertools.islice(
            self._training_batches(calibration.features, calibration.settings, calibration.seed),
            calibration.batches,
        )

    def _training_batches(
        self, features: Sequence[Feature], settings: Training, seed: int
    ) -> Iterator[Batch]:
        """Yield batches without end; their order and what is random in them follow from `seed` alone."""
        rng = np.random.default_rng(seed)
        for chosen in training_batches([len(f["ids"]) for f in features], settings.batch_size, rng):
            items = [features[i] for i in chosen]
            yield self._to_device(self.task.collate(items, self.loaded.tokenizer, rng, training=True))

    def _loss(self, batch: Batch, settings: Training) -> torch.Tensor:
        with self._autocast(settings):
            return self.task.loss(self.model, self.loaded.family, batch)

    def _kept(self, mask: Mask) -> Sequence[torch.Tensor]:
        """Per matrix bool of its shape: which weights the mask keeps."""
        names = list(self._prunable)
        return Computed(lambda number: torch.from_numpy(mask[names[number]]).to(self.device), len(names))

    def _to_device(self, batch: Batch) -> Batch:
        return {name: value.to(self.device) for name, value in batch.items()}

    def _autocast(self, settings: Training) -> AbstractContextManager:
        if settings.precision == "bf16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()


def micro_batches(batch: Batch, parts: int) -> list[tuple[Batch, float]]:
    """Split a batch by rows into `parts`, each with its share of the batch's labels.

    A task's loss is the mean over the labels of what it is shown, so the sum of the parts' losses times
    their shares is the loss of the whole batch. Parts without a label are left out.
    """
    if parts == 1:
        return [(batch, 1.0)]
    split = {name: value.tensor_split(parts) for name, value in batch.items()}
    labels = [int((part != _NO_LABEL).sum()) for part in split["labels"]]
    return [
        ({name: pieces[number] for name, pieces in split.items()}, count / sum(labels))
        for number, count in enumerate(labels)
        if count
    ]


def _positions_read(matrix: Matrix, shape: torch.Size, batch: Batch) -> torch.Tensor | None:
    """Return where a matrix reads pieces rather than padding, bool of `shape`; None: it does everywhere.

    `shape` is that of the matrix's input without the features: (batch, length), or (batch,) for a pooler.
    """
    masks = [batch["attention_mask"].bool()]
    if matrix.stack == "decoder" and matrix.component not in ("cross key", "cross value"):
        # The decoder reads the right answer so far, as long as the labels are.
        masks.insert(0, batch["labels"] != _NO_LABEL)
    return next((mask for mask in masks if mask.shape == shape), None)


def _sum_of_squares(inputs: torch.Tensor, positions: torch.Tensor | None) -> torch.Tensor:
    """Return for each feature of `inputs` (…, in) the sum of its squares over some positions, float64 (in,)."""
    chosen = inputs.flatten(0, -2) if positions is None else inputs[positions]
    return chosen.double().square().sum(0)


def _zero_removed(weights: Sequence[torch.Tensor | None], kept: Sequence[torch.Tensor]) -> None:
    """Multiply each matrix by its mask, bool of the same shape, in place; None stands for one to leave out."""
    pairs = [(weight, mask) for weight, mask in zip(weights, kept, strict=True) if weight is not None]
    # A byte a weight is a quarter of a float mask; read as numbers, bytes multiply three times faster than bools.
    torch._foreach_mul_([weight for weight, _ in pairs], [mask.view(torch.uint8) for _, mask in pairs])


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


def calibration_seed(task: str, language: str, seed: int) -> int:
    """Return the seed of a ticket's calibration batches, the same ones in every round."""
    return stable_seed("calibration", task, language, seed)


def round_seed(task: str, language: str, seed: int, round_number: int) -> int:
    """Return the seed of one round: tickets of other languages and seeds see unrelated random numbers."""
    return stable_seed("round", task, language, seed, round_number)


def scoring_seed(task: str, language: str) -> int:
    """Return the seed of scoring: the same questions for every method, level and training seed."""
    return stable_seed("score", task, language)

"""One training step, beside how others do it: under a mask, and of a model with the shape of mBERT.

The model is BERT base with mBERT's vocabulary, 178 M weights, drawn at random: a step takes as long whatever the
weights are, and nothing is downloaded. Ways are measured in turn, a few steps each, and in several turns.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from tokenizers import Tokenizer, models
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

from lsn_core.discovery.config import Training
from lsn_core.discovery.lottery import base_masks
from lsn_core.discovery.training import Bench
from lsn_core.masks.mask import Mask
from lsn_core.models.families import encoder_of, family_of, layout_of
from lsn_core.models.loading import LoadedModel
from lsn_core.tasks.base import Batch, Feature
from lsn_core.tasks.registry import task_named

from .machine_limits import matrix_rate, memory_bandwidth, wait
from .plain import hide_weights, show_weights, train
from .table import Row

_RATE = 2e-5
_SEED = 0
_MASKED_BYTES = 9
"""Memory traffic of masking a weight's gradient: four bytes read, four written, and one of the mask read."""
_ADAMW_BYTES = 28
"""Memory traffic of AdamW a weight: four 32-bit floats read, three written."""
_BF16_ROUNDING = 2.0**-8
"""Half the distance of neighbouring bf16 numbers, relative to them."""


@dataclass(frozen=True)
class Size:
    """How large the model and its batches are, and how often is measured. A turn's first step does not count."""

    rows: int = 8
    width: int = 128
    vocabulary: int = 119_547
    layers: int = 12
    hidden: int = 768
    turns: int = 3
    steps: int = 3

    def __str__(self) -> str:
        return f"mBERT shape, {self.rows} lines of {self.width} pieces"


def measure() -> list[Row]:
    """The rows of this benchmark: on the CPU, and on a GPU where there is one."""
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    return [row for device in devices for row in measure_on(torch.device(device), Size())]


def measure_on(device: torch.device, size: Size) -> list[Row]:
    """The rows of one device."""
    steps = Steps(device, size)
    bandwidth = memory_bandwidth(device)
    return [*_under_a_mask(steps, bandwidth), _whole_step(steps, bandwidth)]


class Steps:
    """A model on its bench with data for it: trains for a few steps in each way, and says how long each took."""

    def __init__(self, device: torch.device, size: Size) -> None:
        self.device, self.size = device, size
        self.task = task_named("mlm")
        self.loaded = _random_model(size, device)
        self.bench = Bench(self.loaded, self.task)
        self.full = Mask.full(self.bench.layout)
        self.half = base_masks(self.bench, (0.5,))[0]
        rng = np.random.default_rng(_SEED)
        maskable = np.ones(size.width, dtype=bool)
        self.features: list[Feature] = [
            {"ids": rng.integers(3, size.vocabulary, size.width), "maskable": maskable}
            for _ in range(size.rows * size.steps)
        ]

    @property
    def model(self) -> nn.Module:
        return self.bench.model

    def here(self, mask: Mask, precision: str) -> list[float]:
        """Seconds of the steps of a discovery."""
        settings = Training(
            steps=self.size.steps,
            batch_size=self.size.rows,
            learning_rate=_RATE,
            max_length=self.size.width,
            precision=precision,
        )
        stamps: list[float] = []

        def on_step(done: int, total: int) -> None:
            wait(self.device)
            stamps.append(time.perf_counter())

        self.attend("eager")
        self.bench.rewind(mask)
        self.bench.train(self.features, mask, settings, _SEED, on_step)
        return [after - before for before, after in pairwise(stamps)]

    def there(self, loss: Callable[[Batch], torch.Tensor], attention: str) -> list[float]:
        """Seconds of the steps of a plain loop without a mask."""
        self.attend(attention)
        self.bench.rewind(self.full)
        return train(self.model, self.batches(), self.size.steps, loss, _RATE)[1:]

    def pruned(self) -> list[float]:
        """Seconds of the steps of a plain loop under the masks of `torch.nn.utils.prune`."""
        names = self.half.layout.names
        body = encoder_of(self.model, self.loaded.family)
        modules = [body.get_submodule(name.removesuffix(".weight")) for name in names]
        masks = [torch.from_numpy(self.half[name]).float().to(self.device) for name in names]
        self.attend("eager")
        self.bench.rewind(self.half)
        hide_weights(modules, masks)
        try:
            return train(self.model, self.batches(), self.size.steps, self.lean_loss, _RATE)[1:]
        finally:
            show_weights(modules)

    def lean_loss(self, batch: Batch) -> torch.Tensor:
        """The loss as a discovery computes it: bf16, the logits of hidden pieces alone."""
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            return self.task.loss(self.model, self.loaded.family, batch)

    def plain_loss(self, batch: Batch) -> torch.Tensor:
        """The loss as transformers computes it: 32 bits, the logits of all pieces."""
        return self.model(**batch).loss

    def batches(self) -> Iterator[Batch]:
        """The same kind of batches as a discovery trains on."""
        rng = np.random.default_rng(_SEED)
        for first in range(0, len(self.features), self.size.rows):
            chosen = self.features[first : first + self.size.rows]
            batch = self.task.collate(chosen, self.loaded.tokenizer, rng, training=True)
            yield {name: value.to(self.device) for name, value in batch.items()}

    def attend(self, implementation: str) -> None:
        self.model.set_attn_implementation(implementation)  # type: ignore[operator]

    def losses(self) -> tuple[float, float, float]:
        """The loss of one batch: plain, here in 32 bits, and here in bf16."""
        self.bench.rewind(self.full)
        self.model.eval()
        batch = next(self.batches())
        with torch.no_grad():
            self.attend("sdpa")
            plain = float(self.plain_loss(batch))
            self.attend("eager")
            return (
                plain,
                float(self.task.loss(self.model, self.loaded.family, batch)),
                float(self.lean_loss(batch)),
            )

    def operations(self) -> int:
        """Floating-point operations of the matrix products of one step here."""
        self.bench.rewind(self.full)
        with FlopCounterMode(display=False) as counter:
            self.lean_loss(next(self.batches())).backward()
        self.model.zero_grad()
        return counter.get_total_flops()


def _under_a_mask(steps: Steps, bandwidth: float) -> list[Row]:
    masked, dense, pruned = [], [], []
    for _ in range(steps.size.turns):
        masked += steps.here(steps.half, "bf16")
        dense += steps.there(steps.lean_loss, "eager")
        pruned += steps.pruned()
    ours, without, theirs = map(statistics.median, (masked, dense, pruned))
    floor = _MASKED_BYTES * steps.half.layout.size / bandwidth
    work = f"one training step under a mask ({steps.size}, bf16, {steps.device.type})"
    limit = (
        f"memory traffic: a mask of {steps.half.layout.size / 1e6:.0f} M weights is {floor * 1e3:.0f} ms at the "
        f"{bandwidth / 1e9:.1f} GB/s of a copy, {floor / without:.1%} of the dense step; it takes "
        f"{(ours - without) / without:+.1%} here, {(theirs - without) / without:+.1%} there"
    )
    within = "within 3 % of dense"
    return [
        Row(
            work,
            "the same step without a mask",
            _time(ours),
            _time(without),
            without / ours,
            within,
            ours <= 1.03 * without,
            limit,
        ),
        Row(
            work,
            "the same step, masks by torch.nn.utils.prune",
            _time(ours),
            _time(theirs),
            theirs / ours,
            "faster",
            ours < theirs,
            "as above",
        ),
    ]


def _whole_step(steps: Steps, bandwidth: float) -> Row:
    lean, plain = [], []
    for _ in range(max(1, steps.size.turns - 1)):
        lean += steps.here(steps.full, "bf16")
        plain += steps.there(steps.plain_loss, "sdpa")
    exact = statistics.median(steps.here(steps.full, "fp32"))
    ours, theirs = statistics.median(lean), statistics.median(plain)
    loss, same, rounded = steps.losses()
    arithmetic = steps.operations() / matrix_rate(steps.device, torch.bfloat16)
    weights = sum(parameter.numel() for parameter in steps.model.parameters())
    update = _ADAMW_BYTES * weights / bandwidth
    return Row(
        f"one MLM step ({steps.size}, {steps.device.type})",
        "the plain transformers step: 32 bits, all logits, fused AdamW",
        f"{_time(ours)} (32 bits: {_time(exact)})",
        _time(theirs),
        theirs / ours,
        "2.5 times faster; same loss to bf16 rounding, to 1e-5 in 32 bits",
        theirs >= 2.5 * ours and abs(same - loss) <= 1e-5 and abs(rounded - loss) <= _BF16_ROUNDING * loss,
        f"arithmetic: its matrix products take {_time(arithmetic)} at the rate of one large bf16 product, AdamW's "
        f"memory traffic {_time(update)} more, together {(arithmetic + update) / ours:.0%} of the step; the loss "
        f"{loss:.4f} differs by {abs(same - loss):.1e} in 32 bits and by {abs(rounded - loss):.1e} in bf16",
    )


def _random_model(size: Size, device: torch.device) -> LoadedModel:
    torch.manual_seed(_SEED)
    config = BertConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.hidden,
        num_hidden_layers=size.layers,
        intermediate_size=4 * size.hidden,
    )
    model = BertForMaskedLM(config)
    words = {piece: number for number, piece in enumerate(("[PAD]", "[UNK]", "[MASK]"))}
    words |= {str(number): number for number in range(len(words), size.vocabulary)}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="[UNK]")),
        pad_token="[PAD]",
        unk_token="[UNK]",
        mask_token="[MASK]",
    )
    family = family_of("bert")
    info = {"name": "random weights"}
    return LoadedModel(model.to(device), tokenizer, family, layout_of(model, family), info, "", ())


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.0f} ms"

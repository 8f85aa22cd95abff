"""What a user would write instead of this software: a transformers training loop, and the paper's loop around it.

Written to be as fast as such a script can be without changing what it does: fused AdamW, no checkpoint of the model,
no logging. What it does as scripts do: 32-bit floats, every example padded to the greatest length, the logits of all
positions, masks multiplied in by `torch.nn.utils.prune`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils import prune
from transformers import (
    AutoModelForMaskedLM,
    AutoTokenizer,
    DataCollatorForLanguageModeling,
    get_linear_schedule_with_warmup,
)

from .machine_limits import wait

Batch = Mapping[str, torch.Tensor]
Loss = Callable[[Batch], torch.Tensor]
_SCORING_BATCH = 64
_HIDDEN_SHARE = 0.15


def train(
    model: nn.Module, batches: Iterable[Batch], steps: int, loss: Loss, learning_rate: float
) -> list[float]:
    """Train for some steps: AdamW without weight decay, a rate that falls linearly, clipped gradients.

    Returns the seconds that each step took, the making of its batch included.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    device = parameters[0].device
    optimiser = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.0, fused=True)
    schedule = get_linear_schedule_with_warmup(optimiser, 0, steps)
    model.train()
    stamps = [time.perf_counter()]
    for _, batch in zip(range(steps), batches, strict=False):
        loss(batch).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        wait(device)
        stamps.append(time.perf_counter())
    return [after - before for before, after in pairwise(stamps)]


def bert_modules(model: nn.Module) -> list[nn.Module]:
    """Return the linear modules inside a BERT's layers."""
    layers = model.get_submodule("bert.encoder.layer")
    return [module for module in layers.modules() if isinstance(module, nn.Linear)]


def hide_weights(modules: Sequence[nn.Module], masks: Sequence[torch.Tensor]) -> None:
    """Multiply a mask into the weight of each module, in every forward pass."""
    for module, mask in zip(modules, masks, strict=True):
        prune.custom_from_mask(module, "weight", mask)


def show_weights(modules: Sequence[nn.Module]) -> None:
    """Take the masks out again; the weights stay as they are under them."""
    for module in modules:
        prune.remove(module, "weight")


@dataclass(frozen=True)
class PaperLoop:
    """Iterative magnitude pruning of one language as a script (Foroutan et al. 2022, section 3).

    `model` is a name or folder that transformers loads; `train_lines` and `test_lines` are its text. Every
    example is padded to `max_length`, as the paper's scripts do, or with `pad_to_greatest=False` to the longest
    of its batch.
    """

    model: str
    train_lines: Sequence[str]
    test_lines: Sequence[str]
    rounds: int
    steps: int
    batch_size: int
    max_length: int
    learning_rate: float
    pad_to_greatest: bool = True

    def run(self, folder: Path) -> list[float]:
        """Do all rounds, with a `mask.pt` a level in `folder`; return the masked top-1 of every round."""
        tokenizer = AutoTokenizer.from_pretrained(self.model)
        model = AutoModelForMaskedLM.from_pretrained(self.model, dtype=torch.float32)
        start = {name: value.clone() for name, value in model.state_dict().items()}
        examples, questions = (
            self._encode(tokenizer, lines) for lines in (self.train_lines, self.test_lines)
        )
        collate = DataCollatorForLanguageModeling(tokenizer, mlm_probability=_HIDDEN_SHARE)
        modules = bert_modules(model)
        masks: list[torch.Tensor] | None = None
        scores = []
        for number in range(self.rounds + 1):
            model.load_state_dict(start)
            if masks is not None:
                hide_weights(modules, masks)
            torch.manual_seed(number)
            train(
                model,
                self._batches(examples, collate),
                self.steps,
                lambda batch: model(**batch).loss,
                self.learning_rate,
            )
            scores.append(self._score(model, questions, collate))
            if number < self.rounds:
                # The amount is a share of what is left; a level is a tenth of the original weights.
                prune.global_unstructured(
                    [(module, "weight") for module in modules],
                    pruning_method=prune.L1Unstructured,
                    amount=1 / (10 - number),
                )
                masks = [module.get_buffer("weight_mask").clone() for module in modules]
                torch.save(
                    {name: value for name, value in model.state_dict().items() if name.endswith("_mask")},
                    folder / f"mask-{number + 1}.pt",
                )
            if masks is not None:
                show_weights(modules)
        return scores

    def _encode(self, tokenizer: object, lines: Sequence[str]) -> list[dict[str, list[int]]]:
        assert callable(tokenizer)
        encoded = tokenizer(
            list(lines),
            truncation=True,
            padding="max_length" if self.pad_to_greatest else False,
            max_length=self.max_length,
            return_special_tokens_mask=True,
        )
        names = ("input_ids", "attention_mask", "special_tokens_mask")
        return [
            dict(zip(names, values, strict=True))
            for values in zip(*(encoded[name] for name in names), strict=True)
        ]

    def _batches(
        self, examples: Sequence[Mapping], collate: DataCollatorForLanguageModeling
    ) -> Iterator[Batch]:
        while True:
            order = torch.randperm(len(examples)).tolist()
            for first in range(0, len(order) - self.batch_size + 1, self.batch_size):
                yield collate([examples[i] for i in order[first : first + self.batch_size]])

    @staticmethod
    @torch.no_grad()
    def _score(
        model: nn.Module, questions: Sequence[Mapping], collate: DataCollatorForLanguageModeling
    ) -> float:
        model.eval()
        right = total = 0
        for first in range(0, len(questions), _SCORING_BATCH):
            batch = collate(list(questions[first : first + _SCORING_BATCH]))
            hidden = batch["labels"] != -100
            found = model(**batch).logits.argmax(dim=-1)
            right += int((found == batch["labels"])[hidden].sum())
            total += int(hidden.sum())
        return right / total

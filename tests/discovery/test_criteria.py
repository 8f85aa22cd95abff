"""The scores of weights, worked by hand, and as the bench gathers what they need."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoModelForMaskedLM

from lsn_core.data.cldr import CldrSource
from lsn_core.discovery.config import Training, default_scope
from lsn_core.discovery.criteria import CRITERIA, Evidence
from lsn_core.discovery.training import Bench, Calibration, load_features, micro_batches
from lsn_core.masks.mask import Mask
from lsn_core.models.loading import load_model
from lsn_core.tasks.batching import training_batches
from lsn_core.tasks.registry import task_named
from tests.synthetic import odd_layout, small_layout

SETTINGS = Training(
    steps=2, batch_size=8, learning_rate=1e-2, precision="fp32", train_lines=64, score_lines=40
)


def _score(criterion: str, **evidence: torch.Tensor) -> list[list[float]]:
    return CRITERIA[criterion].score(Evidence(**evidence)).tolist()


def test_magnitude_by_hand() -> None:
    weight = torch.tensor([[1.0, -2.0], [0.0, 0.5]])
    assert _score("magnitude", weight=weight, start=weight + 1) == [[1.0, 2.0], [0.0, 0.5]]


def test_magnitude_change_by_hand() -> None:
    weight, start = torch.tensor([[1.0, -2.0], [3.0, 0.5]]), torch.tensor([[1.5, 2.0], [3.0, 0.25]])
    assert _score("magnitude-change", weight=weight, start=start) == [[0.5, 4.0], [0.0, 0.25]]


def test_wanda_by_hand() -> None:
    """Three inputs of two features, (3, 1), (0, 1), (4, 1): norms 5 and √3."""
    norms = torch.tensor([[3.0, 1.0], [0.0, 1.0], [4.0, 1.0]]).norm(dim=0)
    weight = torch.tensor([[1.0, -3.0], [-2.0, 0.0]])
    found = _score("wanda", weight=weight, start=weight, input_norm=norms)
    assert found[0] == pytest.approx([5.0, 3 * 3**0.5])
    assert found[1] == [10.0, 0.0]


def test_taylor_by_hand() -> None:
    """L = mean((Wx − y)²) over two outputs, x = (1, 2), y = 0: ∂L/∂w_ij = (Wx)_i x_j."""
    weight = torch.tensor([[1.0, 1.0], [-1.0, 0.0]], requires_grad=True)
    (weight @ torch.tensor([1.0, 2.0])).square().mean().backward()
    found = _score("taylor", weight=weight.detach(), start=weight.detach(), gradient=weight.grad)
    assert found == [[3.0, 6.0], [1.0, 0.0]]


class _Linear(nn.Module):
    """One layer of the shape that the tiny family below asks for, without a nonlinearity."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.proj = nn.Linear(3, 2, bias=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.proj(inputs)


class _Regression:
    """Sentences of number triples; the loss is the mean over pieces of half the squared output."""

    def collate(self, features, tokenizer, rng, training):
        width = max(len(f["ids"]) for f in features)
        inputs, mask = torch.zeros(len(features), width, 3), torch.zeros(len(features), width)
        for row, feature in enumerate(features):
            inputs[row, : len(feature["ids"])] = feature["ids"]
            mask[row, : len(feature["ids"])] = 1
        inputs[mask == 0] = 1e6  # padding that must not count
        labels = torch.where(mask.bool(), 0, -100)
        return {"inputs": inputs, "attention_mask": mask, "labels": labels}

    def loss(self, model, family, batch):
        kept = batch["labels"] != -100
        return (model(batch["inputs"])[kept].square().sum(-1) / 2).mean()


@pytest.fixture
def linear(monkeypatch: pytest.MonkeyPatch) -> Bench:
    model = _Linear()
    layout = SimpleNamespace(
        matrices=(SimpleNamespace(stack="encoder", component="query", layer=0, name="proj.weight"),)
    )
    monkeypatch.setattr(
        "lsn_core.discovery.training.prunable_parameters", lambda m, f: {"proj.weight": m.proj.weight}
    )
    loaded = SimpleNamespace(model=model, layout=layout, family=None, tokenizer=None)
    return Bench(loaded, _Regression())  # type: ignore[arg-type]


def _sentences(lengths: list[int]) -> list[dict]:
    rng = torch.Generator().manual_seed(1)
    return [{"ids": torch.randn(length, 3, generator=rng)} for length in lengths]


@pytest.mark.parametrize("accumulate", [1, 3])
def test_taylor_on_a_linear_model_equals_the_gradient_by_hand(linear: Bench, accumulate: int) -> None:
    """For L = ½ mean |Wx|², ∂L/∂W = mean (Wx) xᵀ."""
    sentences = _sentences([2, 5, 3])
    settings = Training(batch_size=3, precision="fp32", accumulate=accumulate)
    found = linear.importance("taylor", Calibration(sentences, settings, 2, 0))[0]
    pieces = torch.cat([s["ids"] for s in sentences])
    weight = linear.model.proj.weight.detach()
    by_hand = (pieces @ weight.T).T @ pieces / len(pieces)
    assert torch.allclose(found, (weight * by_hand).abs(), atol=1e-6)
    assert linear.model.proj.weight.grad is None


@pytest.mark.parametrize("accumulate", [1, 3])
def test_wanda_counts_every_piece_but_padding(linear: Bench, accumulate: int) -> None:
    sentences = _sentences([2, 5, 3])
    settings = Training(batch_size=3, precision="fp32", accumulate=accumulate)
    found = linear.importance("wanda", Calibration(sentences, settings, 2, 0))[0]
    norms = torch.cat([s["ids"] for s in sentences] * 2).norm(dim=0)
    assert torch.allclose(found, linear.model.proj.weight.detach().abs() * norms, rtol=1e-5)
    assert not linear.model.proj._forward_pre_hooks


@pytest.fixture(scope="module")
def bench(tiny_folder: Path) -> Bench:
    return Bench(load_model(str(tiny_folder), AutoModelForMaskedLM), task_named("mlm"))


@pytest.fixture(scope="module")
def features(bench: Bench):
    return load_features(task_named("mlm"), CldrSource(), "en", "train", bench.loaded, SETTINGS)


def test_taylor_on_a_model_equals_autograd_on_the_same_batches(bench: Bench, features) -> None:
    bench.rewind(Mask.full(bench.layout))
    found = bench.importance("taylor", Calibration(features, SETTINGS, 2, 7))
    rng = np.random.default_rng(7)
    batches = training_batches([len(f["ids"]) for f in features], SETTINGS.batch_size, rng)
    bench.model.eval()
    bench.model.zero_grad()
    for _ in range(2):
        batch = bench.task.collate([features[i] for i in next(batches)], bench.loaded.tokenizer, rng, True)
        (bench.task.loss(bench.model, bench.loaded.family, batch) / 2).backward()
    modules = dict(bench.model.bert.named_modules())
    for name, score in zip(bench.layout.names, found, strict=True):
        weight = modules[name.removesuffix(".weight")].weight
        assert torch.allclose(score, (weight * weight.grad).abs(), atol=1e-9), name
    bench.model.zero_grad(set_to_none=True)


def test_wanda_on_a_model_sees_every_matrix(bench: Bench, features) -> None:
    bench.rewind(Mask.full(bench.layout))
    found = bench.importance("wanda", Calibration(features, SETTINGS, 2, 7))
    for weights, score in zip(bench.importance("magnitude"), found, strict=True):
        norms = score / weights
        assert (norms > 0).all()
        assert torch.allclose(norms, norms[:1].expand_as(norms), rtol=1e-4)
    # Query, key and value of a layer read the same states.
    ratio = [score / weights for weights, score in zip(bench.importance("magnitude"), found, strict=True)]
    assert torch.allclose(ratio[0][0], ratio[1][0], rtol=1e-4)


@pytest.mark.parametrize("criterion", [name for name, c in CRITERIA.items() if c.calibrated])
def test_calibration_is_repeatable_and_follows_its_seed(bench: Bench, features, criterion: str) -> None:
    bench.rewind(Mask.full(bench.layout))
    runs = []
    for seed in (7, 7, 8):
        torch.manual_seed(len(runs))  # what was drawn before must not matter
        bench.model.train()
        runs.append(torch.cat([s.flatten() for s in _calibrated(bench, features, criterion, seed)]))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def _calibrated(bench: Bench, features, criterion: str, seed: int) -> list[torch.Tensor]:
    return bench.importance(criterion, Calibration(features, SETTINGS, 2, seed))


def test_magnitude_change_is_nothing_before_training(bench: Bench) -> None:
    bench.rewind(Mask.full(bench.layout))
    assert not any(score.any() for score in bench.importance("magnitude-change"))


def test_two_stacks_are_pruned_apart_by_default() -> None:
    assert default_scope(small_layout(pooler=True)) == "global"
    assert default_scope(odd_layout()) == "stack"


def test_parts_of_a_batch_hold_it_all_and_share_by_labels() -> None:
    batch = {
        "input_ids": torch.arange(10).reshape(5, 2),
        "labels": torch.tensor([[1, -100], [2, 3], [-100, -100], [-100, -100], [4, -100]]),
    }
    parts = micro_batches(batch, 3)
    assert [share for _, share in parts] == [0.75, 0.25]  # the middle part has no label
    assert torch.equal(parts[0][0]["input_ids"], batch["input_ids"][:2])
    assert torch.equal(parts[1][0]["labels"], batch["labels"][4:])
    assert micro_batches(batch, 1) == [(batch, 1.0)]

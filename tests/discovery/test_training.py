"""Rewinding and masked training, the places where the paper's own code went wrong."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForMaskedLM

from lsn_core.data.cldr import CldrSource
from lsn_core.discovery.config import Training
from lsn_core.discovery.lottery import base_masks
from lsn_core.discovery.pruning import kept_at
from lsn_core.discovery.training import Bench, check_length, load_features, micro_batches
from lsn_core.errors import LsnError
from lsn_core.masks.mask import Mask
from lsn_core.models.families import prunable_parameters
from lsn_core.models.loading import load_model
from lsn_core.tasks.registry import task_named
from tests.tiny_models import POSITIONS

SETTINGS = Training(
    steps=4, batch_size=8, learning_rate=1e-2, precision="fp32", train_lines=64, score_lines=40
)


@pytest.fixture
def bench(tiny_folder: Path) -> Bench:
    return Bench(load_model(str(tiny_folder), AutoModelForMaskedLM), task_named("mlm"))


@pytest.fixture(scope="module")
def features(tiny_folder: Path):
    loaded = load_model(str(tiny_folder), AutoModelForMaskedLM)
    return load_features(task_named("mlm"), CldrSource(), "en", "train", loaded, SETTINGS)


def _half(bench: Bench) -> Mask:
    return base_masks(bench, (0.5,))[0]


def _scale_outside(kept: torch.Tensor, factor: float, gradient: torch.Tensor) -> torch.Tensor:
    return torch.where(kept, gradient, gradient * factor)


def _ignore(done: int, total: int) -> None:
    pass


def test_after_a_round_weights_and_head_are_exactly_theta0_under_the_mask(
    bench, features, tiny_folder
) -> None:
    original = AutoModelForMaskedLM.from_pretrained(tiny_folder, dtype=torch.float32).state_dict()
    mask = _half(bench)
    bench.rewind(mask)
    bench.train(features, mask, SETTINGS, 1, _ignore)
    trained = bench.model.state_dict()
    assert not torch.equal(
        trained["cls.predictions.transform.dense.weight"], original["cls.predictions.transform.dense.weight"]
    )
    bench.rewind(mask)
    for name, value in bench.model.state_dict().items():
        expected = original[name]
        inner = name.removeprefix("bert.")
        if inner in mask.layout.names:
            expected = expected * torch.from_numpy(mask[inner])
        assert torch.equal(value, expected), name


def test_removed_weights_stay_zero_and_kept_ones_move(bench, features) -> None:
    mask = _half(bench)
    bench.rewind(mask)
    seen = []

    def check(done: int, total: int) -> None:
        seen.append(done)
        for name, parameter in prunable_parameters(bench.model, bench.loaded.family).items():
            assert not parameter.detach()[~torch.from_numpy(mask[name])].any()

    before = {n: p.detach().clone() for n, p in prunable_parameters(bench.model, bench.loaded.family).items()}
    bench.train(features, mask, SETTINGS, 1, check)
    assert seen == [1, 2, 3, 4]
    after = prunable_parameters(bench.model, bench.loaded.family)
    for name, old in before.items():
        kept = torch.from_numpy(mask[name])
        assert (after[name].detach()[kept] != old[kept]).float().mean() > 0.9


def test_what_removed_weights_would_have_wanted_has_no_say(bench, features) -> None:
    """The gradient is clipped by the norm of the weights that the sub-network has, not of those it lacks."""
    mask = _half(bench)
    results = []
    for factor in (1.0, 1e4):
        hooks = [
            parameter.register_hook(partial(_scale_outside, torch.from_numpy(mask[name]), factor))
            for name, parameter in prunable_parameters(bench.model, bench.loaded.family).items()
        ]
        bench.rewind(mask)
        bench.train(features, mask, SETTINGS, 3, _ignore)
        results.append(torch.cat([p.detach().flatten() for p in bench.model.parameters()]).clone())
        for hook in hooks:
            hook.remove()
    assert torch.equal(results[0], results[1])


def test_same_seed_same_weights_other_seed_other_weights(bench, features) -> None:
    full, results = Mask.full(bench.layout), []
    for seed in (3, 3, 4):
        bench.rewind(full)
        bench.train(features, full, SETTINGS, seed, _ignore)
        results.append(torch.cat([p.detach().flatten() for p in bench.model.parameters()]).clone())
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def _without_dropout(bench: Bench) -> None:
    for module in bench.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0


@pytest.mark.parametrize("accumulate", [2, 8])
def test_a_batch_in_parts_has_the_gradient_of_the_whole(bench, features, accumulate: int) -> None:
    """Lines hide different numbers of pieces, so the parts' mean losses may not simply be averaged."""
    _without_dropout(bench)
    rng = np.random.default_rng(0)
    batch = bench.task.collate(features[:8], bench.loaded.tokenizer, rng, training=True)
    assert len({int((row != -100).sum()) for row in batch["labels"]}) > 1
    gradients = []
    for parts in (1, accumulate):
        bench.model.zero_grad()
        for part, share in micro_batches(batch, parts):
            (bench.task.loss(bench.model, bench.loaded.family, part) * share).backward()
        gradients.append(
            torch.cat([p.grad.flatten() for p in bench.model.parameters() if p.grad is not None])
        )
    assert torch.allclose(gradients[0], gradients[1], atol=1e-6)
    assert gradients[0].abs().max() > 1e-3


def test_training_in_parts_sees_the_same_batches(bench, features) -> None:
    _without_dropout(bench)
    full, losses = Mask.full(bench.layout), []
    for accumulate in (1, 4):
        bench.rewind(full)
        bench.train(features, full, replace(SETTINGS, accumulate=accumulate), 3, _ignore)
        losses.append(bench.score(features, SETTINGS, 5)[0]["loss"])
    bench.rewind(full)
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert losses[0] != pytest.approx(bench.score(features, SETTINGS, 5)[0]["loss"], rel=1e-2)


def test_scoring_does_not_depend_on_what_ran_before(bench, features) -> None:
    full = Mask.full(bench.layout)
    bench.rewind(full)
    one = bench.score(features, SETTINGS, 5)
    bench.train(features, full, SETTINGS, 1, _ignore)
    bench.rewind(full)
    assert bench.score(features, SETTINGS, 5) == one


def test_pruning_keeps_the_largest_of_what_is_left(bench) -> None:
    mask = _half(bench)
    next_mask = bench.prune(mask, kept_at(bench.layout.size, 0.6))
    assert next_mask <= mask
    assert next_mask.kept == kept_at(bench.layout.size, 0.6)
    weights = {
        n: p.detach().abs().numpy() for n, p in prunable_parameters(bench.model, bench.loaded.family).items()
    }
    kept = np.concatenate([weights[n][next_mask[n]] for n in weights])
    dropped = np.concatenate([weights[n][(mask - next_mask)[n]] for n in weights])
    assert kept.min() >= dropped.max()


def test_too_long_sentences_for_the_model_are_one_sentence(bench) -> None:
    with pytest.raises(LsnError, match="--max-length"):
        check_length(bench.loaded, POSITIONS + 1)
    check_length(bench.loaded, POSITIONS)
